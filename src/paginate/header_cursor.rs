//! A cursor in a response header (reference, section 2.6).

use super::place::{Place, Setting};
use super::{Page, Position};
use crate::config::model;
use crate::error::Result;
use serde_json::Value;

/// A cursor in a header.
pub struct HeaderCursor {
    /// In lower case.
    header: String,
    place: Place,
}

impl HeaderCursor {
    pub fn new(config: &model::HeaderCursor, pointer: &str) -> Result<Self> {
        let place = Place::new(config.cursor_param.as_deref(), config.cursor_body_path.as_deref(), "cursor", pointer)?;
        Ok(Self { header: config.cursor_key.to_lowercase(), place: Place::or_query(place, "cursor") })
    }

    pub fn settings(&self, cursor: &Value) -> Vec<Setting<'_>> {
        vec![self.place.set(cursor.clone())]
    }

    pub fn next(&self, page: &Page<'_>) -> Option<Position> {
        let (_, cursor) = page.headers.iter().find(|(name, _)| *name == self.header)?;
        let cursor = cursor.trim();
        (!cursor.is_empty()).then(|| Position::Cursor(cursor.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{chain, paginator};
    use super::*;
    use serde_json::json;

    #[test]
    fn a_cursor_is_read_from_a_header() {
        let config = json!({"type": "header_cursor", "cursor_key": "X-After", "cursor_param": "after"});
        let first = (json!([]), &[("x-after", "c1")][..], 0);
        for last in [(json!([]), &[][..], 1), (json!([]), &[("x-after", " ")][..], 1)] {
            let asked = chain(config.clone(), &[first.clone(), last]).unwrap();
            assert_eq!(asked, [Position::First, Position::Cursor(json!("c1"))]);
        }
        let paginator = paginator(config).ok().unwrap();
        assert_eq!(paginator.settings(&Position::First), []);
        let place = Place::Query("after".to_owned());
        assert_eq!(paginator.settings(&Position::Cursor(json!("c1"))), [place.set(json!("c1"))]);
    }
}
