//! Takes a defect out of a document, so that what is wrong with the rest of it can be found too.

use super::spelling::escape;
use serde_json::{Value, json};

/// Takes out what is wrong at a place, or puts something harmless there. False where nothing changed.
pub fn repair(document: &mut Value, pointer: &str) -> bool {
    let before = document.clone();
    let place = nearest_place(document, pointer);
    // Without `incremental` its placeholders would be wrong as well; any other name is a variable.
    if place.ends_with("/incremental") {
        rename_placeholders(document);
    }
    match place.split('/').collect::<Vec<_>>().as_slice() {
        [""] | ["", "client"] | ["", "client", "base_url"] => {
            if !document.is_object() {
                return false;
            }
            if let Value::Object(source) = document {
                source.retain(|key, _| matches!(key.as_str(), "client" | "resources" | "resource_defaults"));
                source.entry("resources").or_insert_with(|| json!([]));
                let client = source.entry("client").or_insert_with(|| json!({}));
                if !client.is_object() {
                    *client = json!({});
                }
                if let Value::Object(client) = client {
                    client.insert("base_url".to_owned(), Value::from("https://host.invalid"));
                }
            }
        }
        ["", "resources"] => put(document, place, json!([])),
        // A resource keeps its place, for the pointers of those behind it, and its name, for those that depend on it.
        ["", "resources", index] => {
            let stub = Value::String(format!("resource {index}"));
            match document.pointer_mut(place) {
                Some(Value::Object(fields)) if !fields.contains_key("name") => {
                    drop(fields.insert("name".to_owned(), stub))
                }
                Some(item) => *item = item.get("name").filter(|name| name.is_string()).cloned().unwrap_or(stub),
                None => {}
            }
        }
        ["", "resources", index, "name"] => put(document, place, Value::String(format!("resource {index}"))),
        _ => remove(document, place),
    }
    *document != before
}

/// The pointer, or the longest part of it that leads to a value.
fn nearest_place<'p>(document: &Value, mut pointer: &'p str) -> &'p str {
    while document.pointer(pointer).is_none() {
        let Some(at) = pointer.rfind('/') else { break };
        pointer = pointer.get(..at).unwrap_or_default();
    }
    pointer
}

fn put(document: &mut Value, pointer: &str, value: Value) {
    if let Some(place) = document.pointer_mut(pointer) {
        *place = value;
    }
}

fn remove(document: &mut Value, pointer: &str) {
    let Some((parent, step)) = pointer.rsplit_once('/') else { return };
    match document.pointer_mut(parent) {
        Some(Value::Object(fields)) => fields.retain(|key, _| escape(key) != step),
        // What is left of a list without an item may mean something else.
        Some(Value::Array(_)) => remove(document, parent),
        _ => {}
    }
}

fn rename_placeholders(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace("{incremental.", "{incremental_"),
        Value::Array(items) => items.iter_mut().for_each(rename_placeholders),
        Value::Object(fields) => fields.values_mut().for_each(rename_placeholders),
        _ => {}
    }
}
