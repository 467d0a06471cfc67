//! Pages as the API has them: the names of columns, rows of cells, and the sequence number after which there are more. Change
//! this file where yours have another form.

use crate::contract::failure;
use crate::{COLUMNS, Error, ErrorKind, rows};
use serde::Deserialize;
use serde_json::Value;
use std::collections::VecDeque;

#[derive(Deserialize)]
struct Answer {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
    /// It is null on the last page. Where it is absent, the answer is something else.
    next: Value,
}

pub struct Page {
    pub entries: VecDeque<Entry>,
    /// None on the last page.
    pub next: Option<i64>,
    pub bytes_of_entry: usize,
}

pub struct Entry {
    pub seq: i64,
    /// In the order of the table's columns.
    pub cells: Vec<Value>,
}

impl Page {
    /// Reads the page of the entries after one.
    pub fn read(body: &[u8], after: i64) -> Result<Self, Error> {
        let answer: Answer = serde_json::from_slice(body).map_err(|error| match error.is_data() {
            true => no_page(&error.to_string()),
            false => failure(ErrorKind::Upstream, format!("the answer is not JSON: {error}")),
        })?;
        let place = |name: &str| answer.columns.iter().position(|column| column == name);
        let places = COLUMNS.map(|(name, _)| place(name));
        let seq_place = place("seq").ok_or_else(|| no_page("there is no column `seq`"))?;
        let bytes_of_entry = body.len() / answer.rows.len().max(1);
        let (mut entries, mut last) = (VecDeque::new(), after);
        for row in answer.rows {
            if row.len() != answer.columns.len() {
                return Err(no_page(&format!("{} cells stand in {} columns", row.len(), answer.columns.len())));
            }
            let cell = |place: usize| row.get(place).cloned().unwrap_or_default();
            let wrong = |seq: Value| failure(ErrorKind::Schema, format!("`seq` is {seq}, which is no bigint"));
            let seq = rows::bigint(&cell(seq_place)).ok_or_else(|| wrong(cell(seq_place)))?;
            // In another order, no number would cover just the entries up to it.
            if seq <= last {
                return Err(no_page(&format!("{seq} comes after {last}")));
            }
            last = seq;
            entries.push_back(Entry { seq, cells: places.map(|place| place.map(cell).unwrap_or_default()).into() });
        }
        let next = match &answer.next {
            Value::Null => None,
            next => Some(rows::bigint(next).ok_or_else(|| no_page("`next` is no number"))?),
        };
        // Else it would be asked for again and again.
        if next.is_some_and(|next| next < last || next == after) {
            return Err(failure(ErrorKind::Upstream, "the page leads to itself"));
        }
        Ok(Self { entries, next, bytes_of_entry })
    }
}

fn no_page(why: &str) -> Error {
    failure(ErrorKind::Upstream, format!("the answer is no page of entries: {why}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_go_into_the_order_of_the_table() {
        let body = br#"{"columns":["more","amount","seq"],"rows":[[0,1.5,"9007199254740993"],[0,null,9007199254740996]],"next":9007199254741000}"#;
        let page = Page::read(body, 0).unwrap();
        assert_eq!(page.next, Some(9_007_199_254_741_000));
        let [first, second] = page.entries.iter().collect::<Vec<_>>()[..] else { unreachable!() };
        assert_eq!((first.seq, second.seq), (9_007_199_254_740_993, 9_007_199_254_740_996));
        let null = Value::Null;
        assert_eq!(
            first.cells,
            [&json!("9007199254740993"), &null, &null, &null, &json!(1.5), &null].map(Clone::clone)
        );
    }

    #[test]
    fn the_last_page_may_be_empty() {
        let page = Page::read(br#"{"columns":["seq"],"rows":[],"next":null}"#, 7).unwrap();
        assert!(page.entries.is_empty() && page.next.is_none());
    }

    #[test]
    fn what_is_no_page_is_told() {
        let page = |rows: &str, next: &str| format!(r#"{{"columns":["seq","id"],"rows":{rows},"next":{next}}}"#);
        for (body, kind, why) in [
            ("<html>".to_owned(), ErrorKind::Upstream, "the answer is not JSON"),
            (String::new(), ErrorKind::Upstream, "the answer is not JSON"),
            (r#"{"columns":["seq"],"rows":[]}"#.to_owned(), ErrorKind::Upstream, "missing field `next`"),
            (r#"{"columns":["id"],"rows":[],"next":null}"#.to_owned(), ErrorKind::Upstream, "no column `seq`"),
            (page("{}", "null"), ErrorKind::Upstream, "no page of entries"),
            (page("[[8]]", "null"), ErrorKind::Upstream, "1 cells stand in 2 columns"),
            (page(r#"[["1x","a"]]"#, "null"), ErrorKind::Schema, "`seq` is \"1x\", which is no bigint"),
            (page(r#"[[9,"a"],[8,"b"]]"#, "null"), ErrorKind::Upstream, "8 comes after 9"),
            (page(r#"[[7,"a"]]"#, "null"), ErrorKind::Upstream, "7 comes after 7"),
            (page(r#"[[9,"a"]]"#, "8"), ErrorKind::Upstream, "leads to itself"),
            (page("[]", "7"), ErrorKind::Upstream, "leads to itself"),
            (page("[]", "true"), ErrorKind::Upstream, "`next` is no number"),
        ] {
            let error = Page::read(body.as_bytes(), 7).err().unwrap();
            assert_eq!(error.kind, kind, "{body}");
            assert!(error.message.contains(why), "{}", error.message);
        }
    }
}
