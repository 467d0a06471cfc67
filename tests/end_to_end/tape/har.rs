//! Tapes as documents: whether they are HAR, and what stands in them.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

pub fn read(tape: &Path) -> Value {
    serde_json::from_slice(&fs::read(tape).unwrap()).unwrap()
}

/// Panics where a document is not HAR 1.2: every field that the format demands, with its type, and no field of its own that does not
/// begin with `_`.
#[track_caller]
pub fn assert_har(document: &Value) {
    type Fields<'f> = &'f [(&'f str, &'f str)];
    fn check(place: &str, value: &Value, demanded: Fields<'_>, optional: &[&str]) {
        let object = value.as_object().unwrap_or_else(|| panic!("{place} is no object"));
        for (name, kind) in demanded {
            let is_right = match (*kind, object.get(*name)) {
                (_, None) => panic!("{place} has no {name}"),
                ("text", Some(value)) => value.is_string(),
                ("count", Some(value)) => value.as_i64().is_some_and(|count| count >= -1),
                ("time", Some(value)) => value.as_f64().is_some_and(|time| time >= 0.0),
                ("list", Some(value)) => value.is_array(),
                ("object", Some(value)) => value.is_object(),
                ("instant", Some(value)) => value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()),
                (other, _) => panic!("{other}"),
            };
            assert!(is_right, "{place}/{name} is {}", object[*name]);
        }
        for name in object.keys() {
            let is_known = demanded.iter().any(|(known, _)| known == name) || optional.contains(&name.as_str());
            assert!(is_known || name.starts_with('_'), "{place}/{name}");
        }
    }
    const FIELD: Fields<'_> = &[("name", "text"), ("value", "text")];
    check("", document, &[("log", "object")], &[]);
    let log = &document["log"];
    check(
        "log",
        log,
        &[("version", "text"), ("creator", "object"), ("entries", "list")],
        &["pages", "browser", "comment"],
    );
    assert_eq!(log["version"], "1.2");
    check("creator", &log["creator"], &[("name", "text"), ("version", "text")], &[]);
    let mut orders = BTreeSet::new();
    for entry in log["entries"].as_array().unwrap() {
        let demanded: Fields<'_> = &[
            ("startedDateTime", "instant"),
            ("time", "time"),
            ("request", "object"),
            ("response", "object"),
            ("cache", "object"),
            ("timings", "object"),
        ];
        check("entry", entry, demanded, &["pageref", "serverIPAddress", "connection", "comment"]);
        check("timings", &entry["timings"], &[("send", "time"), ("wait", "time"), ("receive", "time")], &[]);
        let both: Fields<'_> = &[
            ("httpVersion", "text"),
            ("cookies", "list"),
            ("headers", "list"),
            ("headersSize", "count"),
            ("bodySize", "count"),
        ];
        let request = &entry["request"];
        let of_request: Fields<'_> = &[("method", "text"), ("url", "text"), ("queryString", "list")];
        check("request", request, &[of_request, both].concat(), &["postData"]);
        for field in ["headers", "queryString"].iter().flat_map(|list| request[list].as_array().unwrap()) {
            check("field", field, FIELD, &[]);
        }
        if let Some(post) = request.get("postData") {
            check("postData", post, &[("mimeType", "text"), ("text", "text")], &["params"]);
        }
        let response = &entry["response"];
        let of_response: Fields<'_> =
            &[("status", "count"), ("statusText", "text"), ("content", "object"), ("redirectURL", "text")];
        check("response", response, &[of_response, both].concat(), &[]);
        response["headers"].as_array().unwrap().iter().for_each(|field| check("field", field, FIELD, &[]));
        check("content", &response["content"], &[("size", "count"), ("mimeType", "text")], &["text", "encoding"]);
        assert_eq!(response["status"] == 0, response["content"]["size"] == 0 && response.get("_error").is_some());
        orders.insert(entry["_order"].as_u64().unwrap());
    }
    assert!(orders.iter().copied().eq(0..log["entries"].as_array().unwrap().len() as u64), "{orders:?}");
}

pub fn entries(har: &Value) -> &[Value] {
    har["log"]["entries"].as_array().unwrap()
}

/// How many entries have this value at a JSON pointer.
pub fn having(har: &Value, pointer: &str, value: &Value) -> usize {
    entries(har).iter().filter(|entry| entry.pointer(pointer) == Some(value)).count()
}
