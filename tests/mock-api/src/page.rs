//! The body of a page.

use crate::collection::{Collection, Parent};
use crate::json::Json;
use crate::options::Options;
use crate::record;

/// The most records that a page may hold.
const MAX_PER_PAGE: u64 = 1000;

/// What a request asks for by its query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// From 1.
    number: u64,
    per_page: u64,
}

impl Page {
    /// Reads `page` (1 where absent) and `per_page` (20 where absent); `None` where one of them is no such number.
    /// Other parameters are ignored, as the real API does.
    pub(crate) fn from_query(query: &str) -> Option<Self> {
        let mut page = Self { number: 1, per_page: 20 };
        for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match key {
                "page" => page.number = value.parse().ok().filter(|n| *n >= 1)?,
                "per_page" => page.per_page = value.parse().ok().filter(|n| (1..=MAX_PER_PAGE).contains(n))?,
                _ => {}
            }
        }
        Some(page)
    }

    /// The body: `{"status": {…}, "<selector>": […]}`, an empty list past the end.
    pub(crate) fn body(self, options: &Options, collection: Collection, parent: Parent) -> Vec<u8> {
        let count = collection.count(options);
        let first = (self.number - 1).saturating_mul(self.per_page).min(count);
        let rows = self.per_page.min(count - first);
        let mut json = Json::with_capacity(128 + rows as usize * 768);
        json.object(|body| {
            body.field_object("status", |status| {
                status.field("code", 10_000).field("description", "Ok");
            });
            body.field_list(collection.selector(), rows, |list, row| {
                record::write(list, options, collection, parent, first + row);
            });
        });
        json.into_bytes()
    }
}

/// The body of a refusal, in the API's own words.
pub(crate) fn refusal(code: u32, description: &str) -> Vec<u8> {
    let mut json = Json::default();
    json.object(|body| {
        body.field_object("status", |status| {
            status.field("code", code).field("description", description);
        });
    });
    json.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_query() {
        assert_eq!(Page::from_query(""), Some(Page { number: 1, per_page: 20 }));
        assert_eq!(Page::from_query("per_page=100&x=y&page=3"), Some(Page { number: 3, per_page: 100 }));
        for wrong in ["page=0", "page=-1", "page=x", "per_page=0", "per_page=1001"] {
            assert_eq!(Page::from_query(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn pages_follow_each_other_and_end() {
        let options = Options { apps: 45, ..Options::default() };
        let ids = |query: &str| -> Vec<String> {
            let body = Page::from_query(query).unwrap().body(&options, Collection::Applications, Parent::User);
            let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
            value["apps"].as_array().unwrap().iter().map(|app| app["id"].as_str().unwrap().to_owned()).collect()
        };
        let pages: Vec<_> = ["page=1", "page=2", "page=3", "page=4", "page=18446744073709551615"].map(ids).into();
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [20, 20, 5, 0, 0]);
        assert_eq!(pages.concat(), ids("per_page=1000"));
    }
}
