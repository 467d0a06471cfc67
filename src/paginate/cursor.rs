//! A cursor in the body, or a field of the last record (reference, section 2.9).

use super::place::{Place, Setting};
use super::stop::flag;
use super::{Page, Position};
use crate::config::model;
use crate::error::{Error, Kind, Result};
use crate::select::Selector;
use serde_json::Value;

/// A cursor in the body.
pub struct Cursor {
    source: Source,
    place: Place,
    stop_after_empty_page: bool,
    has_more: Option<Selector>,
}

/// Where the cursor stands.
enum Source {
    Body(Selector),
    LastRecord(Selector),
}

impl Cursor {
    pub fn new(config: &model::Cursor, pointer: &str) -> Result<Self> {
        let at = |key: &str| format!("{pointer}/{key}");
        let source = match (&config.cursor_path, &config.last_record) {
            (Some(_), Some(_)) => {
                let message = "`cursor_path` and `last_record` are given, and only one of them can hold";
                return Err(Error::config(pointer, message).advice("leave one of them out"));
            }
            (None, Some(path)) => Source::LastRecord(Selector::parse(path, &at("last_record"))?),
            (Some(path), None) => Source::Body(Selector::parse(path, &at("cursor_path"))?),
            (None, None) => Source::Body(Selector::parse("cursors.next", pointer)?),
        };
        let place = Place::new(config.cursor_param.as_deref(), config.cursor_body_path.as_deref(), "cursor", pointer)?;
        let has_more = config.has_more_path.as_ref();
        Ok(Self {
            source,
            place: Place::or_query(place, "cursor"),
            stop_after_empty_page: config.stop_after_empty_page,
            has_more: has_more.map(|path| Selector::parse(path, &at("has_more_path"))).transpose()?,
        })
    }

    /// The cursor at a path of the body, sent in a query parameter.
    pub fn at(path: Selector, param: &str) -> Self {
        let place = Place::Query(param.to_owned());
        Self { source: Source::Body(path), place, stop_after_empty_page: false, has_more: None }
    }

    /// The paths in a body that it reads.
    pub fn paths(&self) -> Vec<&Selector> {
        let source = match &self.source {
            Source::Body(path) => Some(path),
            Source::LastRecord(_) => None,
        };
        source.into_iter().chain(&self.has_more).collect()
    }

    /// Whether the cursor is a field of the last record.
    pub fn reads_last_record(&self) -> bool {
        matches!(self.source, Source::LastRecord(_))
    }

    pub fn settings(&self, cursor: &Value) -> Vec<Setting<'_>> {
        vec![self.place.set(cursor.clone())]
    }

    pub fn next(&self, page: &Page<'_>) -> Result<Option<Position>> {
        let cursor = match &self.source {
            Source::Body(path) => path.first(page.body).filter(|cursor| !is_none(cursor)),
            Source::LastRecord(path) => page.last_record.map(|record| last(path, record)).transpose()?,
        };
        // A record may well be number 0.
        let Some(cursor) = cursor else { return Ok(None) };
        if page.records == 0 && self.stop_after_empty_page {
            return Ok(None);
        }
        if let Some(path) = &self.has_more
            && flag(path, page.body)? == Some(false)
        {
            return Ok(None);
        }
        if cursor.is_object() || cursor.is_array() {
            return Err(Error::new(Kind::Upstream, "the cursor is not a single value"));
        }
        Ok(Some(Position::Cursor(cursor.clone())))
    }
}

/// The field of the last record. One that is missing fails: the pages after it would be lost without a word.
fn last<'v>(path: &Selector, record: &'v Value) -> Result<&'v Value> {
    let missing = || Error::new(Kind::Upstream, "the last record of the page does not have the field of `last_record`");
    path.first(record).filter(|value| !value.is_null()).ok_or_else(missing)
}

/// null, "", 0 and false stand for no cursor.
fn is_none(cursor: &Value) -> bool {
    match cursor {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{chain, paginator};
    use super::*;
    use serde_json::json;

    #[test]
    fn a_cursor_is_sent_until_there_is_none() {
        let config = json!({"type": "cursor", "cursor_path": "c"});
        for last in [json!({}), json!({"c": null}), json!({"c": ""}), json!({"c": 0}), json!({"c": false})] {
            let asked =
                chain(config.clone(), &[(json!({"c": "1"}), &[], 0), (json!({"c": 2}), &[], 1), (last, &[], 1)]);
            assert_eq!(asked.unwrap(), [Position::First, Position::Cursor(json!("1")), Position::Cursor(json!(2))]);
        }
        assert_eq!(chain(config, &[(json!({"c": {}}), &[], 1)]).unwrap_err().kind, Kind::Upstream);
    }

    #[test]
    fn has_more_and_empty_pages_end_the_chain() {
        // Reference, worked example 3: it stops although a cursor is present.
        let config = json!({"type": "cursor", "cursor_path": "c", "has_more_path": "more"});
        let pages = [(json!({"c": "1", "more": true}), &[][..], 1), (json!({"c": "1", "more": false}), &[], 1)];
        assert_eq!(chain(config.clone(), &pages).unwrap().len(), 2);
        // The missing cursor is a stop rule, so `has_more` may be missing.
        assert_eq!(chain(config, &[(json!({"c": "1"}), &[], 1), (json!({}), &[], 1)]).unwrap().len(), 2);
        let config = json!({"type": "cursor", "cursor_path": "c", "stop_after_empty_page": true});
        assert_eq!(chain(config, &[(json!({"c": "1"}), &[], 0)]).unwrap().len(), 1);
    }

    #[test]
    fn the_last_record_is_a_cursor() {
        let config = json!({"type": "cursor", "last_record": "id", "cursor_body_path": "page.after"});
        let asked = chain(config.clone(), &[(json!([]), &[], 5), (json!([]), &[], 3), (json!([]), &[], 0)]).unwrap();
        assert_eq!(asked, [Position::First, Position::Cursor(json!(5)), Position::Cursor(json!(3))]);
        let made = paginator(config).ok().unwrap();
        let place = Place::Body(vec!["page".to_owned(), "after".to_owned()]);
        assert_eq!(made.settings(&asked[1]), [place.set(json!(5))]);
        let config = json!({"type": "cursor", "last_record": "nope"});
        assert_eq!(chain(config, &[(json!([]), &[], 1)]).unwrap_err().kind, Kind::Upstream);
        let (pointer, _) = paginator(json!({"type": "cursor", "last_record": "a", "cursor_path": "b"})).err().unwrap();
        assert_eq!(pointer, "/p");
    }
}
