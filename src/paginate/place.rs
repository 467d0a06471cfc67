//! Where in a request a paginator writes: a query parameter, or a path in the JSON body (reference, section 2.10).

use crate::error::{Error, Result};
use serde_json::Value;

/// Something that a paginator writes into a request.
#[derive(Debug, PartialEq)]
pub struct Setting<'p> {
    /// Where.
    pub place: &'p Place,
    /// What.
    pub value: Value,
}

/// A place in a request.
#[derive(Debug, PartialEq)]
pub enum Place {
    /// A query parameter.
    Query(String),
    /// The keys that lead to a value of the body.
    Body(Vec<String>),
}

impl Place {
    /// Reads the keys `<what>_param` and `<what>_body_path`, of which one may be given. None where neither is.
    pub fn new(param: Option<&str>, body_path: Option<&str>, what: &str, pointer: &str) -> Result<Option<Self>> {
        let empty =
            |key: &str| Error::config(format!("{pointer}/{what}_{key}"), "expected a name, found an empty text");
        match (param, body_path) {
            (Some(_), Some(_)) => {
                let message = format!("`{what}_param` and `{what}_body_path` are given, and only one of them can hold");
                Err(Error::config(pointer, message).advice("leave one of them out"))
            }
            (Some(""), None) => Err(empty("param")),
            (Some(name), None) => Ok(Some(Self::Query(name.to_owned()))),
            (None, Some(path)) if path.split('.').any(str::is_empty) => Err(match path {
                "" => empty("body_path"),
                _ => Error::config(
                    format!("{pointer}/{what}_body_path"),
                    format!("\"{path}\" is not a list of keys joined by dots"),
                ),
            }),
            (None, Some(path)) => Ok(Some(Self::Body(path.split('.').map(str::to_owned).collect()))),
            (None, None) => Ok(None),
        }
    }

    /// The place, or else the query parameter of this name.
    pub fn or_query(place: Option<Self>, name: &str) -> Self {
        place.unwrap_or_else(|| Self::Query(name.to_owned()))
    }

    /// Writes a value here.
    pub fn set(&self, value: Value) -> Setting<'_> {
        Setting { place: self, value }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::paginator;
    use serde_json::json;

    #[test]
    fn one_place_at_most() {
        let error = |config| paginator(config).err().unwrap();
        let both = json!({"type": "cursor", "cursor_param": "c", "cursor_body_path": "c"});
        let message = "`cursor_param` and `cursor_body_path` are given, and only one of them can hold";
        assert_eq!(error(both), ("/p".to_owned(), message.to_owned()));
        let (pointer, message) = error(json!({"type": "page_number", "page_param": ""}));
        assert_eq!((&*pointer, &*message), ("/p/page_param", "expected a name, found an empty text"));
        let (pointer, message) = error(json!({"type": "offset", "limit": 1, "limit_body_path": "a..b"}));
        assert_eq!((&*pointer, &*message), ("/p/limit_body_path", "\"a..b\" is not a list of keys joined by dots"));
    }
}
