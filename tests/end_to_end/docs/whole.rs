//! A whole pipeline around an example, which may be a part of one.

use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The pipeline with `$api` for every host that is an example. Fails where it cannot be told what an example is a part of.
pub fn pipeline(example: &Value) -> Result<Value, String> {
    let source = spile_connector::config::schema();
    let keys = |name: &str| keys(&source, &source["$defs"][name]);
    let of = |value: &Value, known: &BTreeSet<String>| {
        value.as_object().is_some_and(|fields| fields.keys().all(|key| known.contains(key)))
    };
    let has_source = example.get("source").is_some();
    let of_list = |key: &str, at: fn(Value) -> Value| {
        let is_one = |item: &Value| of(item, &keys(key)) || (key == "Resource" && item.is_string());
        example.as_array().is_some_and(|items| items.iter().all(is_one)).then(|| at(example.clone()))
    };
    let source = if has_source {
        example["source"].clone()
    } else if of(example, &self::keys(&source, &source)) {
        example.clone()
    } else if of(example, &keys("Client")) {
        json!({"client": example})
    } else if of(example, &keys("Resource")) {
        json!({"resources": [example]})
    } else if of(example, &keys("Endpoint")) {
        json!({"resources": [{"endpoint": example}]})
    } else if let Some(source) = of_list("Resource", |items| json!({"resources": items})) {
        source
    } else if let Some(source) = of_list("ProcessingStep", |steps| json!({"resources": [{"processing_steps": steps}]}))
    {
        source
    } else if let Some(source) =
        of_list("ResponseAction", |actions| json!({"resources": [{"endpoint": {"response_actions": actions}}]}))
    {
        source
    } else {
        let fields: Vec<_> = example.as_object().into_iter().flat_map(Map::keys).collect();
        return Err(format!("of what is this a part? The keys {fields:?} do not belong together"));
    };
    let mut pipeline = if has_source { example.clone() } else { json!({"name": "example"}) };
    pipeline["source"] = completed(source);
    Ok(serde_json::from_str(&placed(&pipeline.to_string())).unwrap())
}

/// The keys that a part of the schema permits.
fn keys(schema: &Value, part: &Value) -> BTreeSet<String> {
    let own = part["properties"].as_object().into_iter().flat_map(|fields| fields.keys().cloned());
    let parts = ["anyOf", "oneOf"].into_iter().filter_map(|key| part[key].as_array()).flatten();
    let of_parts = parts.flat_map(|part| keys(schema, part));
    let referred = part["$ref"].as_str().and_then(|at| schema.pointer(at.strip_prefix('#')?));
    own.chain(of_parts).chain(referred.into_iter().flat_map(|part| keys(schema, part))).collect()
}

/// With a client, resources, names, and the parents that resources refer to.
fn completed(mut source: Value) -> Value {
    let client = source.as_object_mut().unwrap().entry("client").or_insert_with(|| json!({}));
    client.as_object_mut().unwrap().entry("base_url").or_insert_with(|| json!("$api"));
    let resources = source.as_object_mut().unwrap().entry("resources").or_insert_with(|| json!([{}]));
    for resource in resources.as_array_mut().unwrap().iter_mut().filter_map(Value::as_object_mut) {
        resource.entry("name").or_insert_with(|| json!("records"));
    }
    let there: BTreeSet<String> =
        resources.as_array().unwrap().iter().map(|resource| name(resource).to_owned()).collect();
    let parents: BTreeSet<String> = parents(&source).into_iter().map(|(parent, _)| parent).collect();
    for parent in parents.difference(&there) {
        source["resources"].as_array_mut().unwrap().insert(0, json!({"name": parent}));
    }
    source
}

/// A resource's name.
pub fn name(resource: &Value) -> &str {
    resource.as_str().or_else(|| resource["name"].as_str()).unwrap_or_default()
}

/// The fields of parents that are referred to: `{resources.parent.field}`, and the older form.
pub fn parents(value: &Value) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    match value {
        Value::String(text) => {
            for placeholder in text.split("{resources.").skip(1).filter_map(|rest| rest.split('}').next()) {
                found.extend(placeholder.split_once('.').map(|(parent, field)| (parent.to_owned(), field.to_owned())));
            }
        }
        Value::Array(items) => found.extend(items.iter().flat_map(parents)),
        Value::Object(fields) => {
            if let (Some("resolve"), Some(parent), Some(field)) =
                (value["type"].as_str(), value["resource"].as_str(), value["field"].as_str())
            {
                found.insert((parent.to_owned(), field.to_owned()));
            }
            found.extend(fields.keys().flat_map(|key| parents(&json!(key))));
            found.extend(fields.values().flat_map(parents));
        }
        _ => {}
    }
    found
}

/// With `$api` in the place of every origin whose host is one of those for examples (RFC 2606).
pub fn placed(text: &str) -> String {
    let mut placed = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let scheme = if rest[..at].ends_with("https") { "https" } else { "http" };
        let behind = &rest[at + 3..];
        let end = behind.find(|c: char| !(c.is_ascii_alphanumeric() || ".-:".contains(c))).unwrap_or(behind.len());
        let host = behind[..end].split(':').next().unwrap_or_default();
        let is_example =
            ["example.com", "example.org", "example.net", "example"].iter().any(|name| host.ends_with(name));
        match rest[..at].strip_suffix(scheme).filter(|_| is_example) {
            Some(before) => placed.push_str(&format!("{before}$api")),
            None => placed.push_str(&rest[..at + 3 + end]),
        }
        rest = &behind[end..];
    }
    placed + rest
}

#[test]
fn parts_find_their_place() {
    let resources = |example: Value| pipeline(&example).unwrap()["source"]["resources"].clone();
    let records = |key: &str, value: Value| json!([{"name": "records", key: value}]);
    for (example, expected) in [
        (json!({"auth": "bearer"}), json!([{"name": "records"}])),
        (json!({"primary_key": "id"}), records("primary_key", json!("id"))),
        (json!({"path": "x", "maximum_pages": 2}), records("endpoint", json!({"path": "x", "maximum_pages": 2}))),
        (
            json!([{"name": "b", "endpoint": "{resources.a.id}"}, "c"]),
            json!([{"name": "a"}, {"name": "b", "endpoint": "{resources.a.id}"}, "c"]),
        ),
        (
            json!([{"status_code": 404, "action": "ignore"}]),
            records("endpoint", json!({"response_actions": [{"status_code": 404, "action": "ignore"}]})),
        ),
    ] {
        assert_eq!(resources(example), expected);
    }
    assert!(pipeline(&json!({"path": "x", "primary_key": "id"})).is_err());
    let client = json!({"base_url": "https://api.example.com:8443/v2", "headers": {"a": "https://h.io/"}});
    let placed = pipeline(&json!({"client": client})).unwrap();
    assert_eq!(placed["source"]["client"], json!({"base_url": "$api/v2", "headers": {"a": "https://h.io/"}}));
}
