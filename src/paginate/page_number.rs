//! Pages by number (reference, section 2.8).

use super::place::{Place, Setting};
use super::stop::{Said, Stop};
use super::{Following, Page, Position};
use crate::config::model;
use crate::error::Result;
use crate::select::Selector;

/// Pages by number.
pub struct PageNumber {
    base: u64,
    first: u64,
    page_place: Place,
    limit: Option<(Place, u64)>,
    /// A page with fewer records is the last one.
    full_page: Option<u64>,
    /// The largest number that is asked for.
    maximum: Option<u64>,
    /// Whether a person, or the API by the name of the key, says that the total counts pages.
    counts_pages: bool,
    /// When a chain ends. The total counts pages.
    pub stop: Stop,
}

impl PageNumber {
    pub fn new(config: &model::PageNumber, pointer: &str) -> Result<Self> {
        let selector = |path: &str, key: &str| Selector::parse(path, &format!("{pointer}/{key}"));
        let page = Place::new(config.page_param.as_deref(), config.page_body_path.as_deref(), "page", pointer)?;
        let limit = Place::new(config.limit_param.as_deref(), config.limit_body_path.as_deref(), "limit", pointer)?;
        let has_limit = config.limit.is_some() || limit.is_some();
        let base = config.base_page.unwrap_or(u64::from(has_limit));
        let total = match &config.total_path {
            Some(path) => path.clone(),
            // With a page size in play, `total` commonly counts records, so it is read only where the configuration says so.
            None => (!has_limit).then(|| "total".to_owned()),
        };
        let full_page = config.limit.filter(|_| config.stop_after_short_page);
        let stop = Stop {
            total: total.map(|path| selector(&path, "total_path")).transpose()?,
            has_more: config.has_more_path.as_ref().map(|path| selector(path, "has_more_path")).transpose()?,
            after_empty_page: config.stop_after_empty_page,
            otherwise: config.maximum_page.is_some() || full_page.is_some() || config.stop_when.is_some(),
        };
        stop.check("maximum_page", pointer)?;
        Ok(Self {
            base,
            first: config.page.unwrap_or(base),
            page_place: Place::or_query(page, "page"),
            limit: config.limit.map(|size| (Place::or_query(limit, "limit"), size)),
            full_page,
            maximum: config.maximum_page,
            counts_pages: matches!(config.total_path, Some(Some(_))),
            stop,
        })
    }

    /// By a number of pages at a path, where the first page was asked for without its number.
    pub fn at(total: Selector, base: u64, first: u64) -> Self {
        let stop = Stop { total: Some(total), has_more: None, after_empty_page: true, otherwise: false };
        let page_place = Place::or_query(None, "page");
        Self { base, first, page_place, limit: None, full_page: None, maximum: None, counts_pages: true, stop }
    }

    pub fn first(&self) -> Position {
        Position::Page(self.first)
    }

    pub fn settings(&self, number: u64) -> Vec<Setting<'_>> {
        let mut settings = vec![self.page_place.set(number.into())];
        settings.extend(self.limit.as_ref().map(|(place, limit)| place.set((*limit).into())));
        settings
    }

    pub fn after(&self, number: u64) -> Option<u64> {
        number.checked_add(1).filter(|next| self.maximum.is_none_or(|maximum| *next <= maximum))
    }

    /// Pages that the total counts and that did not come.
    pub fn falls_short(&self, number: u64, page: &Page<'_>) -> Result<Option<String>> {
        // An empty page is one beyond the last.
        let came = (number.saturating_add(1).saturating_sub(self.base)).saturating_sub(u64::from(page.records == 0));
        // A `total` that nobody named may count records.
        let is_sure = self.counts_pages && self.maximum.is_none();
        let total = self.stop.total(page)?.filter(|total| is_sure && came < *total);
        Ok(total.map(|total| format!("the API told of {total} pages, and page {came} was the last one with records")))
    }

    pub fn next_after_first(&self, page: &Page<'_>) -> Result<Option<Following>> {
        self.next(self.first, page)
    }

    pub fn next(&self, number: u64, page: &Page<'_>) -> Result<Option<Following>> {
        let Said::GoesOn(total) = self.stop.judge(page)? else { return Ok(None) };
        if self.full_page.is_some_and(|full| page.records < full) {
            return Ok(None);
        }
        let Some(next) = number.checked_add(1) else { return Ok(None) };
        // Both are the last number.
        let last = total.map(|total| total.saturating_add(self.base).saturating_sub(1));
        let last = last.map(|last| self.maximum.map_or(last, |maximum| last.min(maximum)));
        if last.or(self.maximum).is_some_and(|last| next > last) {
            return Ok(None);
        }
        Ok(Some(Following { position: Position::Page(next), last }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{chain, paginator};
    use super::*;
    use serde_json::{Value, json};

    /// The numbers of the pages that are asked for, where page n of `pages` has that many records.
    fn requested(config: Value, body: Value, pages: &[u64]) -> Vec<u64> {
        // An empty page at the end, after which some paginators stop.
        let pages: Vec<_> = pages.iter().chain(&[0]).map(|records| (body.clone(), &[][..], *records)).collect();
        let positions = chain(config, &pages).unwrap_or_else(|error| panic!("{error}"));
        let number = |position| match position {
            Position::Page(number) => number,
            other => panic!("{other:?} is no page's number"),
        };
        positions.into_iter().map(number).collect()
    }

    #[test]
    fn the_form_with_a_limit_counts_from_one_and_ends_at_an_empty_page() {
        let config = json!({"type": "page_number", "limit_param": "per_page", "limit": 20});
        assert_eq!(requested(config, json!({"total": 45}), &[20, 20, 5]), [1, 2, 3, 4]);
    }

    #[test]
    fn a_short_page_ends_the_chain_where_the_configuration_says_so() {
        let config = json!({"type": "page_number", "limit": 20, "stop_after_short_page": true});
        assert_eq!(requested(config.clone(), json!({}), &[20, 20, 5]), [1, 2, 3]);
        assert_eq!(requested(config, json!({}), &[20, 20]), [1, 2, 3]);
    }

    #[test]
    fn a_total_counts_pages_from_the_base() {
        // Reference, section 2.8: base 0 and total 3 ask for 0, 1, 2; base 1 for 1, 2, 3.
        let pages = [1; 9];
        assert_eq!(requested(json!({"type": "page_number"}), json!({"total": "3"}), &pages), [0, 1, 2]);
        assert_eq!(requested(json!({"type": "page_number", "base_page": 1}), json!({"total": 3}), &pages), [1, 2, 3]);
        let config = json!({"type": "page_number", "total_path": "meta.pages"});
        assert_eq!(requested(config, json!({"meta": {"pages": 2}}), &pages), [0, 1]);
    }

    #[test]
    fn the_maximum_is_the_largest_number_that_is_asked_for() {
        let config = |base| json!({"type": "page_number", "base_page": base, "maximum_page": 2});
        assert_eq!(requested(config(0), json!({}), &[1; 9]), [0, 1, 2]);
        assert_eq!(requested(config(1), json!({"total": 9}), &[1; 9]), [1, 2]);
        assert_eq!(requested(config(1), json!({"total": 1}), &[1; 9]), [1]);
    }

    #[test]
    fn has_more_ends_the_chain() {
        let config = json!({"type": "page_number", "has_more_path": "m", "stop_after_empty_page": false,
            "total_path": null});
        assert_eq!(requested(config.clone(), json!({"m": "F"}), &[0; 9]), [0]);
        let error = chain(config, &[(json!({}), &[], 2)]).unwrap_err();
        assert_eq!(error.message, "the response has no `has_more`, and nothing else ends the chain of pages");
    }

    #[test]
    fn something_must_end_the_chain() {
        let config = json!({"type": "page_number", "limit": 2, "stop_after_empty_page": false});
        assert_eq!(paginator(config).err().unwrap(), ("/p".into(), "nothing ends the chain of pages".into()));
    }

    #[test]
    fn the_request_names_page_and_limit() {
        let config = json!({"type": "page_number", "page_body_path": "p.n", "limit_param": "n", "limit": 5, "page": 3});
        let made = paginator(config).ok().unwrap();
        let (page, limit) = (Place::Body(vec!["p".into(), "n".into()]), Place::Query("n".into()));
        assert_eq!(made.settings(&made.first()), [page.set(json!(3)), limit.set(json!(5))]);
    }
}
