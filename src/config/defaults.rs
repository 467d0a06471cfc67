//! Merging of `resource_defaults` into a resource, by the rules of the dialect (reference, section 1.4).

use serde_json::{Map, Value};

/// Keys of an endpoint that are merged one level deep, key by key; every other key is replaced whole.
const MERGED_BY_KEY: [&str; 2] = ["params", "json"];

/// Keys of an endpoint in whose place the client's count where they are absent, and nothing where they are null.
const OVER_THE_CLIENT: [&str; 6] =
    ["auth", "response_actions", "error_handler", "rate_limit", "concurrency", "timeouts"];

/// A resource item in its object form, with the defaults in the places that it leaves open. An explicit null wins.
pub fn merge(defaults: Option<&Value>, item: Value) -> Value {
    let mut resource = match item {
        Value::String(name) => Map::from_iter([("name".to_owned(), Value::String(name))]),
        Value::Object(fields) => fields,
        other => return other,
    };
    // A list of values asks no one, so nothing that is said of endpoints is for it.
    let asks = resource.get("values").is_none_or(Value::is_null);
    let mut endpoint = object_form(resource.remove("endpoint"));
    // The name is a path too, so that a path of the defaults never has an effect.
    if let Some(name) = resource.get("name").filter(|_| asks) {
        endpoint.entry("path").or_insert_with(|| name.clone());
    }
    if let Some(Value::Object(defaults)) = defaults {
        for (key, value) in defaults {
            if key == "endpoint" {
                if asks {
                    merge_endpoint(&mut endpoint, value);
                }
            } else if key == "columns" {
                merge_columns(&mut resource, value);
            } else if !resource.contains_key(key) {
                resource.insert(key.clone(), value.clone());
            }
        }
    }
    // The types tell an absent key from a value; an explicit null has done its work by winning over the default, but where the
    // client's value would count for an absent key.
    resource.retain(|_, value| !value.is_null());
    endpoint.retain(|key, value| OVER_THE_CLIENT.contains(&key.as_str()) || !value.is_null());
    for hints in resource.get_mut("columns").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        if let Value::Object(hints) = hints {
            hints.retain(|_, value| !value.is_null());
        }
    }
    resource.insert("endpoint".to_owned(), Value::Object(endpoint));
    Value::Object(resource)
}

fn object_form(endpoint: Option<Value>) -> Map<String, Value> {
    match endpoint {
        Some(Value::String(path)) => Map::from_iter([("path".to_owned(), Value::String(path))]),
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// Column by column, and hint by hint.
fn merge_columns(resource: &mut Map<String, Value>, defaults: &Value) {
    let (Value::Object(defaults), Value::Object(own)) =
        (defaults, resource.entry("columns").or_insert_with(|| defaults.clone()))
    else {
        return;
    };
    for (name, default) in defaults {
        let (Value::Object(hints), Value::Object(default)) =
            (own.entry(name).or_insert_with(|| default.clone()), default)
        else {
            continue;
        };
        for (hint, value) in default {
            hints.entry(hint).or_insert_with(|| value.clone());
        }
    }
}

fn merge_endpoint(endpoint: &mut Map<String, Value>, defaults: &Value) {
    let Value::Object(defaults) = defaults else { return };
    for (key, default) in defaults {
        match endpoint.get_mut(key) {
            None => {
                endpoint.insert(key.clone(), default.clone());
            }
            Some(Value::Object(own)) if MERGED_BY_KEY.contains(&key.as_str()) => {
                let Value::Object(default) = default else { continue };
                for (name, value) in default {
                    if !own.contains_key(name) {
                        own.insert(name.clone(), value.clone());
                    }
                }
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_resource_wins_over_the_defaults_key_by_key() {
        let defaults = json!({"primary_key": "id", "write_disposition": "merge",
            "endpoint": {"params": {"a": 1, "b": 2}, "headers": {"x": "1"}, "data_selector": "d"}});
        let item = json!({"name": "n", "primary_key": null,
            "endpoint": {"path": "p", "params": {"b": 3, "c": null}, "headers": {"y": "2"}, "auth": null}});
        assert_eq!(
            merge(Some(&defaults), item),
            json!({"name": "n", "write_disposition": "merge", "endpoint": {"path": "p",
                "params": {"b": 3, "c": null, "a": 1}, "headers": {"y": "2"}, "auth": null, "data_selector": "d"}})
        );
    }

    #[test]
    fn columns_are_merged_by_column_and_by_hint() {
        let defaults =
            json!({"columns": {"a": {"data_type": "text", "nullable": false}, "b": {"data_type": "bigint"}}});
        let item = json!({"name": "n", "columns": {"a": {"nullable": null, "primary_key": true}, "c": {}}});
        let columns = |item| merge(Some(&defaults), item).get("columns").cloned();
        assert_eq!(
            columns(item),
            Some(json!({"a": {"primary_key": true, "data_type": "text"}, "c": {}, "b": {"data_type": "bigint"}}))
        );
        // What one resource says reaches no other one.
        assert_eq!(columns(json!("m")), defaults.get("columns").cloned());
        assert_eq!(columns(json!({"name": "m", "columns": null})), None);
    }

    #[test]
    fn a_path_is_no_default() {
        let defaults = json!({"endpoint": {"path": "p"}});
        let expected = json!({"name": "n", "endpoint": {"path": "n"}});
        assert_eq!(merge(Some(&defaults), json!({"name": "n"})), expected);
    }

    #[test]
    fn what_is_said_of_endpoints_is_not_for_values() {
        let defaults = json!({"primary_key": "value", "endpoint": {"params": {"a": 1}}});
        let item = json!({"name": "n", "values": [1]});
        let expected = json!({"name": "n", "values": [1], "primary_key": "value", "endpoint": {}});
        assert_eq!(merge(Some(&defaults), item), expected);
    }

    #[test]
    fn text_forms_become_objects() {
        assert_eq!(merge(None, json!("n")), json!({"name": "n", "endpoint": {"path": "n"}}));
        // A path of the defaults has no effect.
        let defaults = json!({"endpoint": {"path": "p"}});
        assert_eq!(merge(Some(&defaults), json!("n")), json!({"name": "n", "endpoint": {"path": "n"}}));
        let item = json!({"name": "n", "endpoint": "p"});
        assert_eq!(merge(None, item), json!({"name": "n", "endpoint": {"path": "p"}}));
    }
}
