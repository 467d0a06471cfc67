//! Brings the short and the older spellings of a document into those of the model (reference, sections 1.5 and 3).

use super::{auth_places, endpoints};
use crate::error::Error;
use serde_json::{Map, Value, json};

/// What was found on the way.
#[derive(Default)]
pub struct Spelling {
    /// Older spellings, each with the new one.
    pub warnings: Vec<Error>,
    /// Older spellings that are wrong.
    pub defects: Vec<Error>,
    /// Where a value stands now, and where in the person's document it stood.
    moved: Vec<(String, String)>,
}

impl Spelling {
    /// The place in the person's document of a place in the spelt out one.
    pub fn original(&self, pointer: String) -> String {
        let moved = self.moved.iter().find_map(|(now, before)| {
            let rest = pointer.strip_prefix(now.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then(|| format!("{before}{rest}"))
        });
        moved.unwrap_or(pointer)
    }

    /// Errors at their places in the person's document.
    pub fn located(&self, errors: impl Iterator<Item = Error>) -> Vec<Error> {
        errors.map(|error| Error { pointer: error.pointer.map(|pointer| self.original(pointer)), ..error }).collect()
    }

    fn older(&mut self, pointer: &str, message: String, advice: String) {
        self.warnings.push(Error::config(pointer, message).advice(advice));
    }

    fn defect(&mut self, pointer: &str, message: String, advice: &str) {
        self.defects.push(Error::config(pointer, message).advice(advice));
    }
}

/// Spells out a document.
pub fn spell_out(document: &mut Value, schema: &Value) -> Spelling {
    let mut spelling = Spelling::default();
    for pointer in auth_places(document) {
        if let Some(auth) = document.pointer_mut(&pointer) {
            spell_out_auth(auth, schema);
        }
    }
    older_paginator(document, "/client/paginator", &mut spelling);
    for pointer in endpoints(document) {
        let columns = format!("{}/columns", pointer.trim_end_matches("/endpoint"));
        if let Some(list) = document.pointer_mut(&columns) {
            columns_by_name(list, &columns, &mut spelling);
        }
        older_paginator(document, &format!("{pointer}/paginator"), &mut spelling);
        let path = path(document, &pointer);
        if let Some(Value::Object(endpoint)) = document.pointer_mut(&pointer) {
            if let Some(Value::String(method)) = endpoint.get_mut("method")
                && ["get", "post", "put", "patch"].iter().any(|known| method.eq_ignore_ascii_case(known))
            {
                method.make_ascii_uppercase();
            }
            // YAML's `null` without quotes is the word here: this key has no other use for a null.
            if let Some(policy @ Value::Null) = endpoint.get_mut("on_missing") {
                *policy = Value::from("null");
            }
            older_params(endpoint, &pointer, path.as_deref(), &mut spelling);
            older_incremental(endpoint, &pointer, &mut spelling);
        }
    }
    spelling
}

/// Spells out an `auth` value: a text is its type, an object without `type` is a bearer token, and what is missing of a
/// credential is the slot of that name.
pub fn spell_out_auth(auth: &mut Value, schema: &Value) {
    if let Value::String(kind) = auth {
        *auth = json!({"type": std::mem::take(kind)});
    }
    let Value::Object(fields) = auth else { return };
    fields.entry("type").or_insert_with(|| Value::from("bearer"));
    let types = schema.pointer("/$defs/Auth/oneOf").and_then(Value::as_array).into_iter().flatten();
    let Some(kind) = types.into_iter().find(|kind| kind.pointer("/properties/type/const") == fields.get("type")) else {
        return;
    };
    let required = kind.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    for key in required {
        let is_secret =
            kind.pointer(&format!("/properties/{key}/$ref")).is_some_and(|name| name == "#/$defs/SecretText");
        if is_secret && !fields.contains_key(key) {
            fields.insert(key.to_owned(), json!({"secret": key}));
        }
    }
}

fn older_paginator(document: &mut Value, pointer: &str, spelling: &mut Spelling) {
    let Some(paginator) = document.pointer_mut(pointer) else { return };
    if let Value::String(kind) = paginator {
        *paginator = json!({"type": std::mem::take(kind)});
    }
    if let Some(kind) = paginator.get_mut("type").filter(|kind| *kind == "json_response") {
        *kind = Value::from("json_link");
        let message = "the paginator `json_response` is called `json_link` now".to_owned();
        spelling.older(pointer, message, "write `json_link`".to_owned());
    }
}

/// Hints of columns in the form of a list, by name.
fn columns_by_name(columns: &mut Value, pointer: &str, spelling: &mut Spelling) {
    let Value::Array(items) = columns else { return };
    // The form of what is no object is told when the document is checked.
    if !items.iter().all(Value::is_object) {
        return;
    }
    let mut by_name = Map::new();
    for (index, item) in std::mem::take(items).into_iter().enumerate() {
        let place = format!("{pointer}/{index}");
        match item.get("name").and_then(Value::as_str) {
            None => {
                let message = "the key `name` is missing".to_owned();
                spelling.defect(&place, message, "in a list of hints each has the `name` of its column");
            }
            Some(name) if by_name.contains_key(name) => {
                let message = format!("the column `{name}` stands here twice");
                spelling.defect(&format!("{place}/name"), message, "write its hints together");
            }
            Some(name) => {
                spelling.moved.push((format!("{pointer}/{}", escape(name)), place));
                by_name.insert(name.to_owned(), item);
            }
        }
    }
    *columns = Value::Object(by_name);
}

/// The path of a resource's endpoint; none for that of the defaults.
fn path(document: &Value, endpoint: &str) -> Option<String> {
    let resource =
        document.pointer(endpoint.strip_suffix("/endpoint")?).filter(|_| endpoint.starts_with("/resources"))?;
    let endpoint = resource.get("endpoint");
    let path = endpoint.and_then(|endpoint| endpoint.get("path").or(Some(endpoint).filter(|text| text.is_string())));
    path.or_else(|| resource.get("name"))?.as_str().map(str::to_owned)
}

/// Parameters in the form of objects: a parent's field, or the cursor of `incremental`.
fn older_params(endpoint: &mut Map<String, Value>, pointer: &str, path: Option<&str>, spelling: &mut Spelling) {
    let mut incremental = None;
    let taken = endpoint.contains_key("incremental");
    let Some(Value::Object(params)) = endpoint.get_mut("params") else { return };
    for (name, value) in params.iter_mut() {
        let place = format!("{pointer}/params/{}", escape(name));
        let Value::Object(fields) = value else { continue };
        match fields.get("type").and_then(Value::as_str) {
            Some("resolve") => {
                let text = |key| fields.get(key).and_then(Value::as_str);
                let (Some(resource), Some(field)) = (text("resource"), text("field")) else {
                    let message = format!("`{name}` does not say whose field it is");
                    spelling.defect(&place, message, "write `{resources.parent.field}` in the path");
                    *value = Value::Null;
                    continue;
                };
                let placeholder = format!("{{resources.{resource}.{field}}}");
                if path.is_some_and(|path| !path.contains(&format!("{{{name}}}"))) {
                    let message =
                        format!("`{name}` is a parent's field for the path, and the path has no `{{{name}}}`");
                    let advice = format!("write `{placeholder}` into the path, or as the value of `{name}`");
                    spelling.defect(&place, message, &advice);
                    *value = Value::Null;
                    continue;
                }
                let message = format!("the `resolve` form of `{name}` is the older one");
                spelling.older(&place, message, format!("write `{placeholder}` in the path"));
                *value = Value::String(placeholder);
            }
            Some("incremental") => {
                let mut fields = std::mem::take(fields);
                *value = Value::from("{incremental.start_value}");
                fields.remove("type");
                if let Some(convert) = fields.remove("transform") {
                    fields.insert("convert".to_owned(), convert);
                }
                if taken || incremental.is_some() {
                    let message = format!("`{name}` is a second cursor, and an endpoint has one `incremental`");
                    spelling.defect(&place, message, "leave one of them out");
                    continue;
                }
                if let Some(key) = ["end_value", "end_param"].into_iter().find(|key| fields.contains_key(*key)) {
                    let message = format!("`{key}` has no effect in the form of a parameter");
                    let advice = format!(
                        "move the keys into `incremental`, and write `{name}: \"{{incremental.start_value}}\"`"
                    );
                    spelling.defect(&format!("{place}/{key}"), message, &advice);
                    fields.remove(key);
                }
                let advice = format!(
                    "write its keys into `incremental` of the endpoint, and `{name}: \"{{incremental.start_value}}\"` here"
                );
                spelling.older(&place, format!("the `incremental` form of `{name}` is the older one"), advice);
                spelling.moved.push((format!("{pointer}/incremental"), place));
                incremental = Some(fields);
            }
            _ => {}
        }
    }
    if let Some(fields) = incremental {
        endpoint.insert("incremental".to_owned(), Value::Object(fields));
    }
}

/// `start_param` and `end_param`, which are placeholders now.
fn older_incremental(endpoint: &mut Map<String, Value>, pointer: &str, spelling: &mut Spelling) {
    let Some(Value::Object(incremental)) = endpoint.get_mut("incremental") else { return };
    let mut added = Vec::new();
    for (key, value) in [("start_param", "{incremental.start_value}"), ("end_param", "{incremental.end_value}")] {
        let Some(Value::String(name)) = incremental.get(key) else { continue };
        let name = name.clone();
        incremental.remove(key);
        let place = spelling.original(format!("{pointer}/incremental/{key}"));
        spelling.older(
            &place,
            format!("`{key}` is the older spelling"),
            format!("write `{name}: \"{value}\"` into `params`"),
        );
        spelling.moved.push((format!("{pointer}/params/{}", escape(&name)), place));
        added.push((name, Value::from(value)));
    }
    if added.is_empty() {
        return;
    }
    if let Value::Object(params) = endpoint.entry("params").or_insert_with(|| json!({})) {
        params.extend(added);
    }
}

/// A key as a step of a JSON pointer (RFC 6901, section 3).
pub fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
