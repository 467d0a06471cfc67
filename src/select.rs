//! Finding records, counts and fields in JSON, by JSONPath (RFC 9535) or by dlt's bare paths.

use crate::error::{Error, Result};
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
        let whole = match text.chars().next() {
            Some('$') => text.to_owned(),
            Some('[') => format!("${text}"),
            _ => format!("$.{text}"),
        };
        match JsonPath::parse(&whole) {
            Ok(path) => Ok(Self { path: Path::JsonPath(path) }),
            Err(error) => Err(Error::config(pointer, format!("\"{text}\" is not a JSONPath: {error}"))
                .advice("write a path such as `data`, `data.items`, `data[0].id` or `data[*].items[*]`")),
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

    /// How many records `take_records` would take, and the last of them.
    pub fn count_records<'v>(&self, body: &'v Value) -> (u64, Option<&'v Value>) {
        let found = self.all(body);
        let (count, last) = match found.as_slice() {
            [Value::Null] => (0, None),
            [Value::Array(records)] => (records.len(), records.last()),
            many => (many.len(), many.last().copied()),
        };
        (count as u64, last)
    }

    /// Takes the records out of a response's body, by the rules of the reference, section 4.1: the one match, or the list of
    /// matches; null is no record; what is no list is one record. None where nothing matches.
    pub fn take_records(&self, body: &mut Value) -> Option<Vec<Value>> {
        let found = match &self.path {
            Path::Keys(keys) => keys.iter().try_fold(body, |value, key| value.get_mut(key))?.take(),
            Path::JsonPath(path) => match path.query(body).all().as_slice() {
                [] => return None,
                [one] => (*one).clone(),
                many => Value::Array(many.iter().map(|value| (*value).clone()).collect()),
            },
        };
        Some(match found {
            Value::Null => Vec::new(),
            Value::Array(records) => records,
            record => vec![record],
        })
    }
}

/// Keys that commonly hold the list of records, as dlt knows them.
const RECORD_KEYS: [&str; 11] =
    ["data", "items", "results", "entries", "records", "rows", "entities", "payload", "content", "objects", "values"];

/// How many keys deep a list of records is looked for.
const DEEPEST: usize = 3;

/// The path to the records of a response, where the configuration has no selector (reference, section 4.2): the first list,
/// in document order, whose last key commonly holds records; else the first list; else the whole body.
pub fn detect(body: &Value) -> Selector {
    let mut lists = Vec::new();
    collect(body, &mut Vec::new(), &mut lists);
    let known = lists.iter().position(|keys| keys.last().is_some_and(|key| RECORD_KEYS.contains(&key.as_str())));
    let keys = if lists.is_empty() { Vec::new() } else { lists.swap_remove(known.unwrap_or(0)) };
    Selector { path: Path::Keys(keys) }
}

fn collect(value: &Value, path: &mut Vec<String>, lists: &mut Vec<Vec<String>>) {
    let Value::Object(fields) = value else { return };
    if path.len() == DEEPEST {
        return;
    }
    for (key, value) in fields {
        path.push(key.clone());
        if value.is_array() {
            lists.push(path.clone());
        }
        collect(value, path, lists);
        path.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn records(selector: &str, mut body: Value) -> Option<Vec<Value>> {
        Selector::parse(selector, "").unwrap().take_records(&mut body)
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
    fn records_by_detection() {
        let found = |mut body: Value| detect(&body).take_records(&mut body);
        assert_eq!(found(json!({"errors": [], "results": [1]})), Some(vec![json!(1)]));
        assert_eq!(found(json!({"a": {"b": [1]}})), Some(vec![json!(1)]));
        assert_eq!(found(json!([1, 2])), Some(vec![json!(1), json!(2)]));
        assert_eq!(found(json!({"id": 1})), Some(vec![json!({"id": 1})]));
    }
}
