//! A link to the next page in the body (reference, section 2.4).

use super::{Page, Position, link};
use crate::config::model;
use crate::error::{Error, Kind, Result};
use crate::select::Selector;
use serde_json::Value;

/// A link in the body.
pub struct JsonLink {
    /// Where it stands.
    pub path: Selector,
}

impl JsonLink {
    pub fn new(config: &model::JsonLink, pointer: &str) -> Result<Self> {
        Ok(Self { path: Selector::parse(&config.next_url_path, &format!("{pointer}/next_url_path"))? })
    }

    /// The link at a path.
    pub fn at(path: Selector) -> Self {
        Self { path }
    }

    pub fn next(&self, page: &Page<'_>) -> Result<Option<Position>> {
        match self.path.first(page.body) {
            None | Some(Value::Null | Value::Bool(false)) => Ok(None),
            Some(Value::String(text)) => link::resolve(page.url, text),
            Some(other) => Err(Error::new(Kind::Upstream, format!("the link to the next page is {other}, not a text"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::chain;
    use super::*;
    use serde_json::json;

    #[test]
    fn a_link_is_followed_until_there_is_none() {
        let link = |url: &str| Position::Link(url.to_owned());
        for last in [json!({"next": null}), json!({"next": ""}), json!({"next": false}), json!({})] {
            let pages = [(json!({"next": "?p=2"}), &[][..], 1), (json!({"next": "/y"}), &[], 0), (last, &[], 1)];
            let asked = chain(json!({"type": "json_link"}), &pages).unwrap();
            assert_eq!(asked, [Position::First, link("http://h.example/v1/x?p=2"), link("http://h.example/y")]);
        }
        let config = json!({"type": "json_link", "next_url_path": "['@odata.nextLink']"});
        let asked = chain(config, &[(json!({"@odata.nextLink": "?$skip=2"}), &[], 1)]).unwrap();
        assert_eq!(asked[1], link("http://h.example/v1/x?$skip=2"));
        let error = chain(json!({"type": "json_link"}), &[(json!({"next": 2}), &[], 1)]).unwrap_err();
        assert_eq!((error.kind, &*error.message), (Kind::Upstream, "the link to the next page is 2, not a text"));
    }
}
