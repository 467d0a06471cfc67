//! Pages by number, in the query (reference, section 2.8).

use super::{Page, count};
use crate::config::model;
use crate::error::Result;
use crate::select::Selector;

/// Pages by number.
pub struct PageNumber {
    base: u64,
    first: u64,
    page_param: String,
    limit: Option<(String, u64)>,
    /// Where the number of pages stands.
    total: Option<Selector>,
    /// A page with fewer records is the last one.
    full_page: Option<usize>,
    stop_after_empty_page: bool,
}

impl PageNumber {
    pub fn new(config: &model::PageNumber, pointer: &str) -> Result<Self> {
        let has_limit = config.limit.is_some() || config.limit_param.is_some();
        let base = config.base_page.unwrap_or(u64::from(has_limit));
        let total = match (&config.total_path, has_limit) {
            (Some(path), _) => Some(path.as_str()),
            (None, false) => Some("total"),
            // With a page size in play, `total` commonly counts records, so it is read only where the configuration says so.
            (None, true) => None,
        };
        let total = total.map(|path| Selector::parse(path, &format!("{pointer}/total_path"))).transpose()?;
        let limit_param = config.limit_param.clone().unwrap_or_else(|| "limit".to_owned());
        Ok(Self {
            base,
            first: config.page.unwrap_or(base),
            page_param: config.page_param.clone(),
            limit: config.limit.map(|limit| (limit_param, limit)),
            total,
            full_page: config
                .limit
                .filter(|_| config.stop_after_short_page)
                .and_then(|limit| usize::try_from(limit).ok()),
            stop_after_empty_page: config.stop_after_empty_page,
        })
    }

    pub fn first(&self) -> super::Position {
        super::Position::Page(self.first)
    }

    pub fn query(&self, number: u64) -> Vec<(&str, String)> {
        let mut query = vec![(self.page_param.as_str(), number.to_string())];
        if let Some((name, limit)) = &self.limit {
            query.push((name, limit.to_string()));
        }
        query
    }

    pub fn next(&self, number: u64, page: &Page<'_>) -> Option<u64> {
        if page.records == 0 && self.stop_after_empty_page {
            return None;
        }
        if self.full_page.is_some_and(|full| page.records < full) {
            return None;
        }
        let next = number.checked_add(1)?;
        let total = self.total.as_ref().and_then(|path| count(path, page.body));
        if total.is_some_and(|total| next >= total.saturating_add(self.base)) {
            return None;
        }
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Page, Paginator, Position};
    use serde_json::{Value, json};

    /// The numbers of the pages that are requested, where page n of `pages` has that many records.
    fn requested(config: Value, body: Value, pages: &[usize]) -> Vec<u64> {
        let paginator = Paginator::new(&serde_json::from_value(config).unwrap(), "").unwrap();
        let mut numbers = Vec::new();
        let mut position = Some(paginator.first());
        while let Some(at) = position {
            let Position::Page(number) = at else { panic!("a page has a number") };
            numbers.push(number);
            let records = pages.get(numbers.len() - 1).copied().unwrap_or(0);
            position = paginator.next(&at, &Page { body: &body, records });
        }
        numbers
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
    fn the_request_names_page_and_limit() {
        let config = json!({"type": "page_number", "page_param": "p", "limit_param": "n", "limit": 5, "page": 3});
        let paginator = Paginator::new(&serde_json::from_value(config).unwrap(), "").unwrap();
        assert_eq!(paginator.query(&paginator.first()), [("p", "3".to_owned()), ("n", "5".to_owned())]);
    }
}
