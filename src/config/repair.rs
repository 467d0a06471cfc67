//! Takes a defect out of a document, so that what is wrong with the rest of it can be found too.

use serde_json::{Value, json};

/// The base URL of a document that has none.
const STUB: &str = "https://host.invalid";

/// Takes out what is wrong at a place, or puts something harmless there. False where nothing changed.
pub fn repair(document: &mut Value, place: &str) -> bool {
    if document.pointer(place).is_none() {
        return false;
    }
    // Without `incremental` its placeholders would be wrong as well; any other name is a variable.
    match place.strip_suffix("/incremental") {
        Some(endpoint) if endpoint.starts_with("/resources/") => {
            document.pointer_mut(endpoint).into_iter().for_each(rename_placeholders);
        }
        Some(_) => rename_placeholders(document),
        None => {}
    }
    match place.split('/').collect::<Vec<_>>().as_slice() {
        [""] | ["", "client"] | ["", "client", "base_url"] => whole(document),
        ["", "resources"] => put(document, place, json!([])),
        // A resource keeps its place, for the pointers of those behind it, and its name, for those that depend on it.
        ["", "resources", index] => {
            let stub = Value::String(format!("resource {index}"));
            match document.pointer_mut(place) {
                Some(Value::Object(fields)) if !fields.contains_key("name") => {
                    fields.insert("name".to_owned(), stub);
                    true
                }
                Some(Value::String(_)) | None => false,
                Some(item) => {
                    *item = item.get("name").filter(|name| name.is_string()).cloned().unwrap_or(stub);
                    true
                }
            }
        }
        ["", "resources", index, "name"] => put(document, place, Value::String(format!("resource {index}"))),
        _ => remove(document, place),
    }
}

/// The pointer, or the longest part of it that leads to a value.
pub fn nearest_place<'p>(document: &Value, mut pointer: &'p str) -> &'p str {
    while document.pointer(pointer).is_none() {
        let Some(at) = pointer.rfind('/') else { break };
        pointer = pointer.get(..at).unwrap_or_default();
    }
    pointer
}

/// Gives the source what it lacks.
fn whole(document: &mut Value) -> bool {
    let Value::Object(source) = document else { return false };
    let is_whole = source.contains_key("resources")
        && source.get("client").is_some_and(|client| client.get("base_url").is_some_and(|url| url == STUB));
    source.entry("resources").or_insert_with(|| json!([]));
    let client = source.entry("client").or_insert(Value::Null);
    match client {
        Value::Object(client) => drop(client.insert("base_url".to_owned(), Value::from(STUB))),
        other => *other = json!({"base_url": STUB}),
    }
    !is_whole
}

fn put(document: &mut Value, pointer: &str, value: Value) -> bool {
    match document.pointer_mut(pointer) {
        Some(place) if *place != value => {
            *place = value;
            true
        }
        _ => false,
    }
}

fn remove(document: &mut Value, pointer: &str) -> bool {
    let Some((parent, step)) = pointer.rsplit_once('/') else { return false };
    match document.pointer_mut(parent) {
        Some(Value::Object(fields)) => fields.remove(&step.replace("~1", "/").replace("~0", "~")).is_some(),
        // What is left of a list without an item may mean something else.
        Some(Value::Array(_)) => remove(document, parent),
        _ => false,
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
