//! Finding the list of records in a response (reference, section 4.2, without its pitfalls).

use super::{Path, Selector};
use serde_json::{Map, Value};

/// Keys that commonly hold the list of records, as dlt knows them.
const RECORDS: [&str; 11] =
    ["data", "items", "results", "entries", "records", "rows", "entities", "payload", "content", "objects", "values"];

/// Keys of what stands beside the records.
const ASIDE: [&str; 19] = [
    "errors",
    "error",
    "warnings",
    "messages",
    "notices",
    "links",
    "_links",
    "included",
    "meta",
    "_meta",
    "metadata",
    "pagination",
    "paging",
    "facets",
    "filters",
    "aggregations",
    "extensions",
    "debug",
    "params",
];

/// Keys that a record has, and what wraps records has not.
const IDENTITY: [&str; 4] = ["id", "_id", "uuid", "guid"];

/// How many keys deep a list of records is looked for.
const DEEPEST: usize = 3;

/// The path to the records of a response, where the configuration has no selector: the first list, in document order, whose last
/// key commonly holds records; else the list with the fewest keys before it, the first of several; else the whole body. A
/// list that stands beside the records counts where there is no other. Case makes no difference.
///
/// An object with an `id` is one record: its lists are fields of it, unless their key commonly holds records and they do.
pub fn detect(body: &Value) -> Selector {
    let mut lists = Vec::new();
    collect(body, &mut Vec::new(), &mut lists);
    let is_record = body.as_object().is_some_and(is_record);
    let known = lists.iter().position(|list| {
        let holds_records = list.items.is_empty() || list.items.iter().any(|item| item.is_object() || item.is_array());
        list.keys.last().is_some_and(|key| is_one_of(key, &RECORDS)) && (holds_records || !is_record)
    });
    let beside = |list: &List<'_>| list.keys.iter().any(|key| is_one_of(key, &ASIDE));
    let shallowest = || {
        let candidates = lists.iter().enumerate().filter(|_| !is_record);
        candidates.min_by_key(|(_, list)| (beside(list), list.keys.len())).map(|(index, _)| index)
    };
    let keys = match known.or_else(shallowest) {
        Some(found) => lists.swap_remove(found).keys,
        None => Vec::new(),
    };
    Selector { path: Path::Keys(keys) }
}

/// A list, and the keys that lead to it.
struct List<'v> {
    keys: Vec<String>,
    items: &'v [Value],
}

fn collect<'v>(value: &'v Value, path: &mut Vec<String>, lists: &mut Vec<List<'v>>) {
    let Value::Object(fields) = value else { return };
    if path.len() == DEEPEST {
        return;
    }
    for (key, value) in fields {
        path.push(key.clone());
        if let Value::Array(items) = value {
            lists.push(List { keys: path.clone(), items });
        }
        collect(value, path, lists);
        path.pop();
    }
}

fn is_record(fields: &Map<String, Value>) -> bool {
    fields.iter().any(|(key, value)| is_one_of(key, &IDENTITY) && (value.is_string() || value.is_number()))
}

fn is_one_of(key: &str, names: &[&str]) -> bool {
    names.iter().any(|name| key.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(body: Value) -> String {
        detect(&body).keys().unwrap().join("/")
    }

    #[test]
    fn as_in_dlt() {
        assert_eq!(at(json!({"errors": [], "results": [1]})), "results");
        assert_eq!(at(json!({"a": {"b": [1]}})), "a/b");
        assert_eq!(at(json!([1, 2])), "");
        assert_eq!(at(json!({"id": 1})), "");
        assert_eq!(at(json!({"vessels": [{"id": 1}], "meta": {"total": 1}})), "vessels");
        assert_eq!(at(json!({"meta": {"total": 0}, "vessels": []})), "vessels");
        assert_eq!(at(json!({"values": [1, 2]})), "values");
        assert_eq!(at(json!({"content": {"data": [1]}, "data": [2]})), "content/data");
        assert_eq!(at(json!({"a": {"b": {"c": {"data": [1]}}}})), "");
        assert_eq!(at(json!({"errors": [], "meta": {"results": [1]}, "items": [2]})), "meta/results");
        // The number of a request, and the records beside it.
        assert_eq!(at(json!({"id": "request-7", "results": [{"n": 1}]})), "results");
        assert_eq!(at(json!({"id": "request-7", "results": []})), "results");
    }

    #[test]
    fn case_makes_no_difference() {
        assert_eq!(at(json!({"tags": [1], "Data": [2]})), "Data");
        assert_eq!(at(json!({"Errors": [1], "Boats": [2]})), "Boats");
    }

    #[test]
    fn what_stands_beside_the_records_is_not_taken_for_them() {
        for aside in ["errors", "warnings", "messages", "links", "included", "meta"] {
            assert_eq!(at(json!({aside: [{"e": 1}], "boats": [{"id": 1}]})), "boats", "{aside}");
            assert_eq!(
                at(json!({aside: {"list": [{"e": 1}]}, "response": {"boats": []}})),
                "response/boats",
                "{aside}"
            );
            assert_eq!(at(json!({aside: [{"e": 1}]})), aside);
        }
        assert_eq!(at(json!({"errors": [], "data": {"boats": [{"id": 1}]}})), "data/boats");
    }

    #[test]
    fn one_record_stays_one_record() {
        assert_eq!(at(json!({"id": 7, "tags": ["a"]})), "");
        assert_eq!(at(json!({"Id": 7, "values": [1, 2], "hull": {"plates": [{"n": 1}]}})), "");
        assert_eq!(at(json!({"name": "x", "uuid": "u", "errors": []})), "");
        assert_eq!(at(json!({"id": null, "boats": [1]})), "boats");
    }

    #[test]
    fn the_shallowest_list_wins() {
        assert_eq!(at(json!({"a": {"b": {"c": [1]}}, "d": {"e": [2]}, "f": [3]})), "f");
        assert_eq!(at(json!({"a": {"b": [1]}, "d": {"e": [2]}})), "a/b");
    }

    #[test]
    fn keys_are_taken_as_they_are() {
        for key in ["k k", "a.b", "$", "*", "'"] {
            let body = json!({key: [1, 2]});
            assert_eq!(detect(&body).all(&body), [&json!([1, 2])], "{key}");
        }
    }
}
