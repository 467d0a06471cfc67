//! Finding records, counts and fields in JSON, by JSONPath (RFC 9535) or by dlt's bare paths.

mod detect;
mod dialect;

use crate::error::{Error, Result};
use crate::{records, response};
pub use detect::detect;
pub use dialect::keys;
use serde_json::Value;
use serde_json_path::JsonPath;

/// A compiled path.
pub struct Selector {
    path: Path,
}

enum Path {
    /// Keys only, the common case.
    Keys(Vec<String>),
    JsonPath(JsonPath),
}

impl Selector {
    /// Compiles a path: `a.b` and `$.a.b` alike. `pointer` is its place in the configuration.
    pub fn parse(text: &str, pointer: &str) -> Result<Self> {
        let plain = text.strip_prefix("$.").unwrap_or(text);
        let is_key = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || "_-@".contains(c));
        if text == "$" || text == "@" {
            return Ok(Self { path: Path::Keys(Vec::new()) });
        }
        if plain.split('.').all(is_key) {
            return Ok(Self { path: Path::Keys(plain.split('.').map(str::to_owned).collect()) });
        }
        match dialect::parse(text) {
            Ok(path) => Ok(Self { path: Path::JsonPath(path) }),
            Err((why, advice)) => {
                Err(Error::config(pointer, format!("\"{text}\" is not a JSONPath: {why}")).advice(advice))
            }
        }
    }

    /// The path of these keys.
    pub fn of_keys(keys: Vec<String>) -> Self {
        Self { path: Path::Keys(keys) }
    }

    /// The keys of a path that has nothing else.
    pub fn keys(&self) -> Option<&[String]> {
        match &self.path {
            Path::Keys(keys) => Some(keys),
            Path::JsonPath(_) => None,
        }
    }

    /// All matches, in document order.
    pub fn all<'v>(&self, value: &'v Value) -> Vec<&'v Value> {
        match &self.path {
            Path::Keys(keys) => keys.iter().try_fold(value, |value, key| value.get(key)).into_iter().collect(),
            Path::JsonPath(path) => path.query(value).all(),
        }
    }

    /// The first match.
    pub fn first<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.all(value).into_iter().next()
    }

    /// The first match in a JSON text. Where the path is one of keys, no tree is made of what it does not lead to.
    ///
    /// # Errors
    /// `Kind::Upstream` where the text is no JSON.
    pub fn first_of_text(&self, text: &str) -> Result<Option<Value>> {
        match &self.path {
            Path::Keys(keys) => records::find(text, keys).map_err(|why| response::no_record(&why)),
            Path::JsonPath(_) => Ok(self.first(&response::parsed(text)?).cloned()),
        }
    }
}

/// The keys that an error or a warning names at most.
const NAMED: usize = 10;

impl Selector {
    /// What to write in its place, where nothing in `body` matches it.
    pub fn advice(&self, body: &Value) -> String {
        let keys = self.keys().unwrap_or_default();
        let mut at = body;
        let mut wanted = None;
        let mut place = String::new();
        for key in keys {
            let Some(value) = at.get(key) else {
                wanted = Some(key);
                break;
            };
            place = format!("{place}{}{key}", if place.is_empty() { "" } else { "." });
            at = value;
        }
        let place = if place.is_empty() { "the body".to_owned() } else { format!("`{place}`") };
        let Value::Object(fields) = at else { return format!("{place} is no object, but {}", kind(at)) };
        let near = wanted.and_then(|wanted| crate::config::nearest(wanted, fields.keys().map(String::as_str)));
        if let Some(near) = near {
            return format!("did you mean `{near}`?");
        }
        let names = fields.keys().take(NAMED).map(|key| format!("`{}`", crate::response::printable(key)));
        let more = if fields.len() > NAMED { " and others" } else { "" };
        match fields.len() {
            0 => format!("{place} has no keys"),
            _ => format!("{place} has the keys {}{more}", names.collect::<Vec<_>>().join(", ")),
        }
    }
}

/// What a value is, in words.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Response;
    use crate::response::Body;
    use serde_json::json;

    /// The records by the selector, the same whether the whole document is read or what is beside them.
    fn records(selector: &str, body: Value) -> Option<Vec<Value>> {
        let selector = Selector::parse(selector, "").unwrap();
        let response = Response { status: 200, headers: Vec::new(), body: Vec::new() };
        let [whole, beside] = [true, false].map(|is_whole| {
            let page = Body::Json(body.to_string()).page(&response, &selector, is_whole).unwrap();
            page.is_matched.then(|| page.records.values().unwrap())
        });
        assert_eq!(whole, beside);
        whole
    }

    #[test]
    fn records_by_path() {
        // Reference, section 4.1.
        assert_eq!(records("a.b", json!({"a": {"b": [1, 2]}})), Some(vec![json!(1), json!(2)]));
        assert_eq!(records("$.a", json!({"a": {"x": 1}})), Some(vec![json!({"x": 1})]));
        assert_eq!(records("a", json!({"a": null})), Some(vec![]));
        assert_eq!(records("a", json!({"b": 1})), None);
        assert_eq!(records("$", json!([1])), Some(vec![json!(1)]));
        assert_eq!(records("a[*].b[*]", json!({"a": [{"b": [1]}, {"b": [2]}]})), Some(vec![json!(1), json!(2)]));
        assert!(Selector::parse("a[", "").is_err());
    }

    #[test]
    fn a_selector_without_a_match_is_told_what_is_there() {
        let advice = |path: &str, body: Value| Selector::parse(path, "").unwrap().advice(&body);
        let body = json!({"data": {"records": [], "total": 0}, "meta": null});
        assert_eq!(advice("dta", body.clone()), "did you mean `data`?");
        assert_eq!(advice("data.recrods", body.clone()), "did you mean `records`?");
        assert_eq!(advice("data.boats", body.clone()), "`data` has the keys `records`, `total`");
        assert_eq!(advice("meta.boats", body.clone()), "`meta` is no object, but null");
        assert_eq!(advice("boats[0]", body), "the body has the keys `data`, `meta`");
        assert_eq!(advice("boats", json!([1])), "the body is no object, but a list");
        assert_eq!(advice("boats", json!({})), "the body has no keys");
    }
}
