//! Finding the paginator in the first response of a chain (reference, section 2.2, in its order).

use super::cursor::Cursor;
use super::header_link::HeaderLink;
use super::json_link::JsonLink;
use super::page_number::PageNumber;
use super::{Page, Paginator, Position, Style};
use crate::select::Selector;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A paginator that was found, as the state keeps it. Paths are lists of keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Found {
    /// Nothing that leads on.
    SinglePage,
    /// A `Link` header with the relation `next`.
    HeaderLink,
    /// A link in the body.
    JsonLink(Vec<String>),
    /// A number of pages in the body.
    PageNumber {
        /// Where it stands.
        total: Vec<String>,
        /// The number of the API's first page.
        base: u64,
        /// The number of the page that was asked for without one.
        first: u64,
        /// Whether nothing told the base, so that page 1 tells it: if it is the first page again, the base is 1.
        by_repetition: bool,
    },
    /// A cursor in the body, and the query parameter for it.
    Cursor(Vec<String>, String),
}

/// A paginator that was found, ready for use.
pub struct Detected {
    /// What was found.
    pub found: Found,
    /// The paginator.
    pub paginator: Paginator,
}

impl Detected {
    /// Makes the paginator.
    pub fn new(found: Found) -> Self {
        let path = |keys: &[String]| Selector::of_keys(keys.to_vec());
        let style = match &found {
            Found::SinglePage => Style::SinglePage,
            Found::HeaderLink => Style::HeaderLink(HeaderLink::of("next")),
            Found::JsonLink(keys) => Style::JsonLink(JsonLink::at(path(keys))),
            Found::PageNumber { total, base, first, .. } => {
                Style::PageNumber(PageNumber::at(path(total), *base, *first))
            }
            Found::Cursor(keys, param) => Style::Cursor(Cursor::at(path(keys), param)),
        };
        Self { found, paginator: style.into() }
    }

    /// Whether this page tells the base, so that nothing may be asked for before it is here.
    pub fn awaits(&self, position: &Position) -> bool {
        matches!(self.found, Found::PageNumber { by_repetition: true, .. }) && *position == Position::First
    }

    /// The paginator once the page after the first one turned out to be the first one again; none where that says nothing.
    pub fn repeated(&self, position: &Position) -> Option<Self> {
        match &self.found {
            Found::PageNumber { total, by_repetition: true, .. } if *position == Position::Page(1) => {
                Some(Self::new(Found::PageNumber { total: total.clone(), base: 1, first: 0, by_repetition: true }))
            }
            _ => None,
        }
    }
}

/// Finds the paginator in a first response.
pub fn detect(page: &Page<'_>) -> Found {
    if HeaderLink::of("next").target(page.headers).is_some() {
        return Found::HeaderLink;
    }
    let next = find(page.body, &next_value);
    if let Some((keys, Value::String(text))) = &next
        && ["http://", "https://", "/", "?", "./", "../"].iter().any(|start| text.starts_with(start))
    {
        return Found::JsonLink(keys.clone());
    }
    let count = |key: &str, value: &Value| {
        let known = matches!(key.to_lowercase().as_str(), "total_pages" | "pages" | "totalpages");
        (known && number(value).is_some()).then(Vec::new)
    };
    if let Some((total, _)) = find(page.body, &count) {
        let current = |key: &str, value: &Value| {
            let known = matches!(letters(key).as_str(), "page" | "currentpage" | "pagenumber");
            (known && number(value).is_some()).then(Vec::new)
        };
        let of_body = find(page.body, &current).and_then(|(_, value)| number(value));
        let of_url = page.url.query_pairs().find(|(name, _)| name == "page").and_then(|(_, value)| value.parse().ok());
        let first = of_body.or(of_url);
        let base = first.map_or(0, |first| first.min(1));
        return Found::PageNumber { total, base, first: first.unwrap_or(0), by_repetition: first.is_none() };
    }
    match next {
        // The number of the next page is no cursor: it goes where page numbers go.
        Some((keys, Value::Number(_))) if keys.last().is_some_and(|key| letters(key) == "nextpage") => {
            Found::Cursor(keys, "page".to_owned())
        }
        Some((keys, _)) => Found::Cursor(keys, "cursor".to_owned()),
        None => Found::SinglePage,
    }
}

/// Keys that lead on from a key that was found.
type Match<'a> = dyn Fn(&str, &Value) -> Option<Vec<String>> + 'a;

/// The first key, depth first and in document order, that matches, as a path, and its value. Lists are not entered: what is in
/// them belongs to a record.
fn find<'v>(body: &'v Value, matches: &Match<'_>) -> Option<(Vec<String>, &'v Value)> {
    for (key, value) in body.as_object()? {
        if let Some(rest) = matches(key, value) {
            let found = rest.iter().try_fold(value, |value, key| value.get(key))?;
            return Some((std::iter::once(key.clone()).chain(rest).collect(), found));
        }
        if let Some((mut path, found)) = find(value, matches) {
            path.insert(0, key.clone());
            return Some((path, found));
        }
    }
    None
}

/// Whether a key names the next page, and its value tells it.
fn next_value(key: &str, value: &Value) -> Option<Vec<String>> {
    if !names_next(key) {
        return None;
    }
    match value {
        Value::String(text) => (!text.is_empty()).then(Vec::new),
        Value::Number(_) => Some(Vec::new()),
        Value::Object(fields) => link_of(fields).map(|key| vec![key.clone()]),
        _ => None,
    }
}

fn link_of(fields: &Map<String, Value>) -> Option<&String> {
    let is_link = |key: &str| key.to_lowercase().starts_with("href") || key.to_lowercase().starts_with("url");
    fields.iter().find(|(key, value)| is_link(key) && value.is_string()).map(|(key, _)| key)
}

/// `next`, alone or with words for what it leads to: `next_page_url`, `nextLink`, `@odata.nextLink`, but not `nextstep`.
fn names_next(key: &str) -> bool {
    const WORDS: [&str; 14] = [
        "page", "url", "uri", "link", "href", "token", "cursor", "marker", "records", "results", "key", "id", "path",
        "start",
    ];
    let letters = letters(key.strip_prefix("@odata.").or(key.strip_prefix("odata.")).unwrap_or(key));
    let Some(mut rest) = letters.strip_prefix("next") else { return false };
    while let Some(after) = WORDS.iter().find_map(|word| rest.strip_prefix(word)) {
        rest = after;
    }
    rest.is_empty()
}

/// The key without regard to case and separators.
fn letters(key: &str) -> String {
    key.chars().filter(|char| char.is_alphanumeric()).collect::<String>().to_lowercase()
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use url::Url;

    fn found(body: Value) -> Found {
        found_with(body, &[], "http://h.example/x")
    }

    fn found_with(body: Value, headers: &[(String, String)], url: &str) -> Found {
        let url = Url::parse(url).unwrap();
        detect(&Page { url: &url, headers, body: &body, selector: None, records: 1, last_record: None, index: 0 })
    }

    fn keys(path: &[&str]) -> Vec<String> {
        path.iter().map(|key| (*key).to_owned()).collect()
    }

    #[test]
    fn links_are_found() {
        let header = [("link".to_owned(), "<?p=2>; rel=next".to_owned())];
        assert_eq!(found_with(json!({"next": "/x"}), &header, "http://h.example/"), Found::HeaderLink);
        for (body, path) in [
            (json!({"a": {"next": null}, "links": {"next": {"href": "/x"}}}), &["links", "next", "href"][..]),
            (json!({"data": [{"next": "/y"}], "next_page_url": "https://h.example/"}), &["next_page_url"]),
            (json!({"@odata.nextLink": "http://h.example/?$skip=2"}), &["@odata.nextLink"]),
            (json!({"next": "?p=2"}), &["next"]),
            (json!({"nextRecordsUrl": "/services/2", "total_pages": 3}), &["nextRecordsUrl"]),
        ] {
            assert_eq!(found(body), Found::JsonLink(keys(path)));
        }
    }

    #[test]
    fn cursors_are_found() {
        let cursor = |path: &[&str], param: &str| Found::Cursor(keys(path), param.to_owned());
        assert_eq!(found(json!({"meta": {"next_cursor": "abc"}})), cursor(&["meta", "next_cursor"], "cursor"));
        assert_eq!(found(json!({"nextPage": 2})), cursor(&["nextPage"], "page"));
        for none in [json!({"next": true}), json!({"nextstep": "x"}), json!({"next": ""}), json!([{"next": "/x"}])] {
            assert_eq!(found(none), Found::SinglePage);
        }
    }

    #[test]
    fn page_counts_are_found_with_the_base_that_the_response_implies() {
        let count = |base, first, by_repetition| Found::PageNumber {
            total: keys(&["meta", "totalPages"]),
            base,
            first,
            by_repetition,
        };
        assert_eq!(found(json!({"meta": {"totalPages": "3", "currentPage": 1}})), count(1, 1, false));
        assert_eq!(found(json!({"page": 0, "meta": {"totalPages": 3}})), count(0, 0, false));
        assert_eq!(found(json!({"meta": {"totalPages": 3}})), count(0, 0, true));
        let with_page = found_with(json!({"meta": {"totalPages": 3}}), &[], "http://h.example/?page=2");
        assert_eq!(with_page, count(1, 2, false));
    }
}
