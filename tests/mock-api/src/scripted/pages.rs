//! The answer of a collection.

use super::request::Received;
use super::script::{Pages, Part, Place, Route, Telling, Told};
use serde_json::{Map, Value, json};

/// A page, and what is told beside it.
pub(super) struct Page {
    pub(super) body: Value,
    pub(super) headers: Vec<(String, String)>,
}

/// Where a page stands among all records.
struct Cut {
    start: usize,
    end: usize,
    size: usize,
    count: usize,
    base: usize,
}

impl Cut {
    fn has_more(&self) -> bool {
        self.end < self.count
    }

    fn pages(&self) -> usize {
        self.count.div_ceil(self.size)
    }

    fn page(&self) -> usize {
        self.start / self.size + self.base
    }
}

impl Pages {
    /// Where the request says which page it wants.
    pub(super) fn position_at(&self) -> Option<&Place> {
        self.page_at.as_ref().or(self.offset_at.as_ref()).or(self.cursor_at.as_ref())
    }
}

/// The page that is asked for; `fields` are put into every record that is made. The error says what is wrong with the request.
pub(super) fn page(route: &Route, fields: &[(String, String)], request: &Received) -> Result<Page, String> {
    let records = records(route, fields);
    let cut = cut(&route.pages, records.len(), request)?;
    let list = Value::Array(records.get(cut.start..cut.end).unwrap_or_default().to_vec());
    let mut body = Value::Null;
    match route.inside.as_str() {
        "" => body = list,
        inside => set(&mut body, inside, list),
    }
    let mut headers = Vec::new();
    for telling in &route.pages.tells {
        let value = told(telling, &route.pages, &cut, request);
        match (telling.at.part, value) {
            (Part::Header, Value::Null) => {}
            (Part::Header, Value::String(text)) => headers.push((telling.at.name.clone(), text)),
            (Part::Header, other) => headers.push((telling.at.name.clone(), other.to_string())),
            (_, value) => set(&mut body, &telling.at.name, value),
        }
    }
    Ok(Page { body, headers })
}

fn records(route: &Route, fields: &[(String, String)]) -> Vec<Value> {
    if let Some(records) = &route.records {
        return records.clone();
    }
    let record = |id: usize| {
        let mut record = Map::new();
        record.insert("id".to_owned(), json!(id));
        record.insert("name".to_owned(), json!(format!("n{id}")));
        record.extend(fields.iter().map(|(name, value)| (name.clone(), json!(value))));
        Value::Object(record)
    };
    (1..=route.count).map(record).collect()
}

fn cut(pages: &Pages, count: usize, request: &Received) -> Result<Cut, String> {
    let number = |place: &Option<Place>| match place.as_ref().and_then(|place| request.at(place)) {
        None => Ok(None),
        Some(text) => text.parse::<usize>().map(Some).map_err(|_| format!("\"{text}\" is no number")),
    };
    let size = number(&pages.size_at)?.unwrap_or(pages.size);
    let size = if size == 0 { count.max(1) } else { size.min(pages.cap.unwrap_or(size)) };
    let by_page = match number(&pages.page_at)? {
        Some(page) => Some(page.checked_sub(pages.base).ok_or_else(|| format!("there is no page {page}"))? * size),
        None => None,
    };
    let by_cursor = match pages.cursor_at.as_ref().and_then(|place| request.at(place)) {
        Some(cursor) => {
            let start = cursor.strip_prefix('c').and_then(|start| start.parse::<usize>().ok());
            Some(start.ok_or_else(|| format!("\"{cursor}\" is no cursor"))?)
        }
        None => None,
    };
    let start = by_page.or(number(&pages.offset_at)?).or(by_cursor).unwrap_or(0).min(count);
    Ok(Cut { start, end: (start + size).min(count), size, count, base: pages.base })
}

fn told(telling: &Telling, pages: &Pages, cut: &Cut, request: &Received) -> Value {
    let at_end = || telling.at_end.clone().unwrap_or_default();
    let number = |number: usize| if telling.as_text { json!(number.to_string()) } else { json!(number) };
    let param = pages.position_at().map_or("", |place| place.name.as_str());
    let position = match (&pages.page_at, &pages.offset_at) {
        (Some(_), _) => (cut.page() + 1).to_string(),
        (None, Some(_)) => cut.end.to_string(),
        (None, None) => format!("c{}", cut.end),
    };
    let query = format!("?{param}={position}");
    let link = |link: String| match telling.at.part {
        Part::Header => json!(format!("<{link}>; rel=\"{}\"", telling.relation)),
        _ => json!(link),
    };
    match telling.what {
        Told::Records => number(cut.count),
        Told::Pages => number(cut.pages()),
        Told::Page => number(cut.page()),
        Told::HasMore => json!(cut.has_more()),
        _ if !cut.has_more() => at_end(),
        Told::NextPage => number(cut.page() + 1),
        Told::Cursor => json!(position),
        Told::Link => link(format!("$api{}{query}", request.path)),
        Told::LinkToOther => link(format!("$other{}{query}", request.path)),
        Told::LinkPath => link(format!("{}{query}", request.path)),
        Told::LinkQuery => link(query),
    }
}

/// Sets a value by the keys that lead to it.
fn set(body: &mut Value, path: &str, value: Value) {
    let mut at = body;
    for key in path.split('.') {
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(fields) = at else { return };
        at = fields.entry(key).or_insert(Value::Null);
    }
    *at = value;
}
