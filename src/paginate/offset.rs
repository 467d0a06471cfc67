//! Pages by the number of records before them (reference, section 2.7).

use super::place::{Place, Setting};
use super::stop::{Said, Stop};
use super::{Following, Page, Position};
use crate::config::model;
use crate::error::Result;
use crate::select::Selector;

/// Pages by offset.
pub struct Offset {
    first: u64,
    limit: u64,
    offset_place: Place,
    limit_place: Place,
    /// The largest offset that is asked for.
    maximum: Option<u64>,
    /// When a chain ends.
    pub stop: Stop,
}

impl Offset {
    pub fn new(config: &model::Offset, pointer: &str) -> Result<Self> {
        let selector = |path: &str, key: &str| Selector::parse(path, &format!("{pointer}/{key}"));
        let total = config.total_path.clone().unwrap_or_else(|| Some("total".to_owned()));
        let stop = Stop {
            total: total.map(|path| selector(&path, "total_path")).transpose()?,
            has_more: config.has_more_path.as_ref().map(|path| selector(path, "has_more_path")).transpose()?,
            after_empty_page: config.stop_after_empty_page,
            otherwise: config.maximum_offset.is_some() || config.stop_when.is_some(),
        };
        stop.check("maximum_offset", pointer)?;
        let offset = Place::new(config.offset_param.as_deref(), config.offset_body_path.as_deref(), "offset", pointer)?;
        let limit = Place::new(config.limit_param.as_deref(), config.limit_body_path.as_deref(), "limit", pointer)?;
        Ok(Self {
            first: config.offset,
            limit: config.limit,
            offset_place: Place::or_query(offset, "offset"),
            limit_place: Place::or_query(limit, "limit"),
            maximum: config.maximum_offset,
            stop,
        })
    }

    pub fn first(&self) -> Position {
        Position::Offset(self.first)
    }

    pub fn settings(&self, offset: u64) -> Vec<Setting<'_>> {
        vec![self.offset_place.set(offset.into()), self.limit_place.set(self.limit.into())]
    }

    pub fn after(&self, offset: u64) -> Option<u64> {
        offset.checked_add(self.limit).filter(|next| self.maximum.is_none_or(|maximum| *next <= maximum))
    }

    /// Whether the offset is one that only a page with fewer records than the limit leads to.
    pub fn is_between(&self, offset: u64) -> bool {
        !offset.saturating_sub(self.first).is_multiple_of(self.limit.max(1))
    }

    /// Records that the total counts and that no page had.
    pub fn falls_short(&self, offset: u64, page: &Page<'_>) -> Result<Option<String>> {
        let end = offset.saturating_add(page.records);
        let total = self.stop.total(page)?.filter(|total| end < *total && self.maximum.is_none());
        Ok(total.map(|total| format!("the API told of {total} records, and its pages end with number {end}")))
    }

    /// The next offset is that of the first record which was not received: a server that caps the size of a page makes none
    /// be skipped. An empty page that does not end the chain is passed over.
    pub fn next(&self, offset: u64, page: &Page<'_>) -> Result<Option<Following>> {
        let Said::GoesOn(total) = self.stop.judge(page)? else { return Ok(None) };
        let step = if page.records == 0 { self.limit } else { page.records.min(self.limit) };
        let Some(next) = offset.checked_add(step) else { return Ok(None) };
        if total.is_some_and(|total| next >= total) || self.maximum.is_some_and(|maximum| next > maximum) {
            return Ok(None);
        }
        let last = total.map(|total| {
            let last = total.saturating_sub(1);
            self.maximum.map_or(last, |maximum| last.min(maximum))
        });
        Ok(Some(Following { position: Position::Offset(next), last }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{chain, paginator};
    use super::*;
    use serde_json::{Value, json};

    /// The offsets that are asked for, where page n has that many records.
    fn offsets(config: Value, body: &Value, pages: &[u64]) -> Vec<u64> {
        let pages: Vec<_> = pages.iter().map(|records| (body.clone(), &[][..], *records)).collect();
        let positions = chain(config, &pages).unwrap_or_else(|error| panic!("{error}"));
        let offset = |position| match position {
            Position::Offset(offset) => offset,
            other => panic!("{other:?} is no offset"),
        };
        positions.into_iter().map(offset).collect()
    }

    #[test]
    fn a_total_ends_the_chain() {
        let config = json!({"type": "offset", "limit": 2, "offset": 1});
        assert_eq!(offsets(config, &json!({"total": "6"}), &[2; 9]), [1, 3, 5]);
    }

    #[test]
    fn without_a_total_an_empty_page_does() {
        // Reference, worked example 15, and the same without `total_path: null`.
        let config = json!({"type": "offset", "limit": 1, "total_path": null});
        assert_eq!(offsets(config, &json!({}), &[1, 1, 0]), [0, 1, 2]);
        assert_eq!(offsets(json!({"type": "offset", "limit": 1}), &json!({}), &[1, 1, 0]), [0, 1, 2]);
    }

    #[test]
    fn a_server_that_caps_the_page_makes_no_record_be_skipped() {
        let config = json!({"type": "offset", "limit": 100});
        assert_eq!(offsets(config, &json!({"total": 65}), &[30, 30, 5]), [0, 30, 60]);
    }

    #[test]
    fn the_maximum_is_the_largest_offset_that_is_asked_for() {
        let config = json!({"type": "offset", "limit": 2, "maximum_offset": 4, "stop_after_empty_page": false});
        assert_eq!(offsets(config, &json!({}), &[2; 9]), [0, 2, 4]);
    }

    #[test]
    fn has_more_ends_the_chain_and_never_lengthens_it() {
        let config = json!({"type": "offset", "limit": 2, "has_more_path": "more"});
        assert_eq!(offsets(config.clone(), &json!({"total": 9, "more": "no"}), &[2; 9]), [0]);
        assert_eq!(offsets(config, &json!({"total": 4, "more": 1}), &[2; 9]), [0, 2]);
    }

    #[test]
    fn something_must_end_the_chain() {
        let config = json!({"type": "offset", "limit": 2, "total_path": null, "stop_after_empty_page": false});
        assert_eq!(paginator(config).err().unwrap(), ("/p".into(), "nothing ends the chain of pages".into()));
        let config = json!({"type": "offset", "limit": 2, "stop_after_empty_page": false});
        let error = chain(config, &[(json!({}), &[], 2)]).unwrap_err();
        assert_eq!(error.message, "the response has no total, and nothing else ends the chain of pages");
    }
}
