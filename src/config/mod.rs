//! The configuration: a JSON document becomes a checked, typed [`Source`], with defaults merged into each resource.
//!
//! ```text
//! text ─► document ─► validate (schema of the model) ─► merge defaults ─► model
//! ```

mod check;
mod defaults;
mod extract;
mod hints;
mod later;
pub mod model;
mod paginator;
mod repair;
mod spelling;
mod validate;
pub use validate::{nearest, validate};

use crate::error::{Error, Kind, Result};
use model::{Client, Resource, Source};
use serde_json::Value;
use spelling::Spelling;

/// How many defects of a document are told at most.
const MOST_DEFECTS: usize = 100;

/// A configuration that fits the dialect.
pub struct Config {
    /// Connection settings shared by all resources.
    pub client: Client,
    /// The resources, defaults merged in, in the order of the document.
    pub resources: Vec<Resource>,
    /// Spellings that work but are the older ones, and keys that have no effect.
    pub warnings: Vec<Error>,
}

/// The JSON Schema (2020-12) of the configuration.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Source).to_value();
    if let Some(Value::Object(definitions)) = schema.get_mut("$defs")
        && let Some(mut defaults) = definitions.get("Resource").cloned()
    {
        let remove = |place: Option<&mut Value>| match place {
            Some(Value::Object(keys)) => drop(keys.remove("name")),
            Some(Value::Array(keys)) => keys.retain(|key| key != "name"),
            _ => {}
        };
        remove(defaults.get_mut("properties"));
        remove(defaults.get_mut("required"));
        if let Some(endpoint) = defaults.pointer_mut("/properties/endpoint") {
            *endpoint = serde_json::json!({"anyOf": [{"$ref": "#/$defs/Endpoint"}, {"type": "null"}],
                "description": "Fields merged into every endpoint that does not have them."});
        }
        definitions.insert(model::DEFAULTS.to_owned(), defaults);
    }
    schema
}

/// JSON pointers of the places where the dialect has an `auth` object.
pub fn auth_places(document: &Value) -> Vec<String> {
    let of_endpoints = endpoints(document).into_iter().map(|pointer| format!("{pointer}/auth"));
    std::iter::once("/client/auth".to_owned()).chain(of_endpoints).collect()
}

/// Spells out an `auth` value: a text is its type, an object without `type` is a bearer token, and what is missing of a
/// credential is the slot of that name.
pub fn spell_out_auth(auth: &mut Value) {
    spelling::spell_out_auth(auth, &schema());
}

/// Takes every `auth` value that does not fit the dialect out of a document. The defects do not repeat what is in it.
pub fn take_wrong_auth(document: &mut Value) -> Vec<Error> {
    let schema = schema();
    let mut defects = Vec::new();
    for pointer in auth_places(document) {
        let Some(auth) = document.pointer_mut(&pointer).filter(|auth| !auth.is_null()) else { continue };
        spelling::spell_out_auth(auth, &schema);
        let found = validate::validate_auth(&schema, auth, &pointer);
        if !found.is_empty() {
            *auth = Value::Null;
        }
        defects.extend(found);
    }
    defects
}

/// Spellings of a configuration that are the older ones, and keys that have no effect.
pub fn warnings(document: &Value) -> Vec<Error> {
    let mut document = document.clone();
    let spelling = spelling::spell_out(&mut document, &schema());
    let (_, idle) = later::find(&document);
    spelling.located(spelling.warnings.iter().cloned().chain(idle))
}

/// Reads a configuration from JSON text, and makes something of it. The error holds every defect: what is wrong is taken out,
/// and the rest is tried again.
pub fn read<T>(text: &str, make: &mut dyn FnMut(Config) -> Result<T, Vec<Error>>) -> Result<T, Vec<Error>> {
    let mut document: Value = serde_json::from_str(text)
        .map_err(|error| vec![Error::config("", format!("the configuration is not valid JSON: {error}"))])?;
    let schema = schema();
    let spelling = spelling::spell_out(&mut document, &schema);
    let mut defects = spelling.defects.clone();
    loop {
        let found = match Config::of(&document, &schema, &spelling).and_then(&mut *make) {
            Ok(made) if defects.is_empty() => return Ok(made),
            Ok(_) => return Err(defects),
            Err(found) => found,
        };
        let mut changed = false;
        let told = defects.clone();
        for mut defect in found {
            let pointer = defect.pointer.take().unwrap_or_default();
            let pointer = in_defaults(&document, &pointer).unwrap_or(pointer);
            if !pointer.starts_with("/resources/") {
                defect.resource = None;
            }
            changed |= repair::repair(&mut document, &pointer);
            let pointer = spelling.original(pointer);
            if !told.iter().any(|told| is_known(told, &defect, &pointer)) {
                defects.push(Error { pointer: Some(pointer), ..defect });
            }
        }
        if !changed || defects.len() >= MOST_DEFECTS {
            return Err(defects);
        }
    }
}

/// Whether a defect is the same as one that was told, or comes of taking that one out.
fn is_known(told: &Error, defect: &Error, pointer: &str) -> bool {
    let place = told.pointer.as_deref().unwrap_or_default();
    let same = told.message == defect.message && (place == pointer || told.resource.is_some());
    let is_within = place.strip_prefix(pointer).is_some_and(|rest| rest.starts_with('/'));
    (same && told.resource == defect.resource) || is_within
}

/// The place in the defaults of what a resource has from there.
fn in_defaults(document: &Value, pointer: &str) -> Option<String> {
    let (_, rest) = pointer.strip_prefix("/resources/")?.split_once('/')?;
    let place = format!("/resource_defaults/{rest}");
    (document.pointer(pointer).is_none() && document.pointer(&place).is_some()).then_some(place)
}

impl Config {
    /// Reads a configuration from JSON text. The error holds every defect of the document.
    pub fn parse(text: &str) -> Result<Self, Vec<Error>> {
        read(text, &mut Ok)
    }

    fn of(document: &Value, schema: &Value, spelling: &Spelling) -> Result<Self, Vec<Error>> {
        let mut defects = validate(schema, document);
        let (refused, idle) = later::find(document);
        let fits = defects.is_empty();
        defects.extend(refused);
        if !fits {
            return Err(defects);
        }
        let mut document = document.clone();
        if let Some(Value::Object(client)) = document.get_mut("client") {
            client.retain(|_, value| !value.is_null());
        }
        let source: Source = typed(document, "")?;
        let mut resources: Vec<Resource> = Vec::with_capacity(source.resources.len());
        for (index, item) in source.resources.into_iter().enumerate() {
            let pointer = format!("/resources/{index}");
            let merged = defaults::merge(source.resource_defaults.as_ref(), item);
            defects.extend(check::resource(&merged, &pointer));
            resources.push(typed(merged, &pointer)?);
        }
        defects.extend(check::repeated_names(resources.iter().map(|resource| resource.name.as_str())));
        if !defects.is_empty() {
            return Err(defects);
        }
        let warnings = spelling.located(spelling.warnings.iter().cloned().chain(idle));
        let mut config = Self { client: source.client, resources, warnings };
        config.normalise();
        Ok(config)
    }

    /// Fills what the dialect leaves to other fields: the path is the name where it is not given.
    fn normalise(&mut self) {
        for resource in &mut self.resources {
            resource.endpoint.path.get_or_insert_with(|| resource.name.clone());
        }
    }
}

/// JSON pointers of the places where the dialect has an endpoint.
fn endpoints(document: &Value) -> Vec<String> {
    let count = document.get("resources").and_then(Value::as_array).map_or(0, Vec::len);
    let of_resources = (0..count).map(|index| format!("/resources/{index}/endpoint"));
    std::iter::once("/resource_defaults/endpoint".to_owned()).chain(of_resources).collect()
}

/// Reads a validated value. What fails here got past the schema: a rule that a schema cannot say.
fn typed<T: serde::de::DeserializeOwned>(value: Value, pointer: &str) -> Result<T, Vec<Error>> {
    T::deserialize(value).map_err(|error| {
        vec![Error { pointer: Some(pointer.to_owned()), ..Error::new(Kind::Config, error.to_string()) }]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Pointer and message of every defect of a paginator at each of the three levels.
    fn defects(paginator: &Value) -> Vec<(String, String)> {
        let levels = [
            json!({"client": {"base_url": "b", "paginator": paginator}, "resources": []}),
            json!({"client": {"base_url": "b"}, "resource_defaults": {"endpoint": {"paginator": paginator}}, "resources": []}),
            json!({"client": {"base_url": "b"}, "resources": [{"name": "r", "endpoint": {"paginator": paginator}}]}),
        ];
        let errors = levels.iter().flat_map(|config| Config::parse(&config.to_string()).err().unwrap_or_default());
        errors.map(|error| (error.pointer.unwrap_or_default(), error.message)).collect()
    }

    #[test]
    fn paginators_are_read_at_all_levels_and_in_both_forms() {
        for kind in ["auto", "single_page", "json_link", "json_response", "header_link", "header_cursor", "cursor"] {
            assert_eq!(defects(&json!(kind)), [], "{kind}");
            assert_eq!(defects(&json!({"type": kind})), [], "{kind}");
        }
        assert_eq!(defects(&json!({"type": "offset", "limit": 1, "total_path": null, "maximum_offset": 9})), []);
    }

    #[test]
    fn a_wrong_paginator_is_named_at_its_place() {
        let places = ["/client/paginator", "/resource_defaults/endpoint/paginator", "/resources/0/endpoint/paginator"];
        let at =
            |suffix: &str, message: &str| places.map(|place| (format!("{place}{suffix}"), message.to_owned())).to_vec();
        assert_eq!(defects(&json!("offset")), at("", "the key `limit` is missing"));
        assert_eq!(
            defects(&json!({"type": "cursor", "cursor_pth": "a"})),
            at("/cursor_pth", "unknown key `cursor_pth`")
        );
        let text = json!({"type": "offset", "limit": "5"});
        assert_eq!(defects(&text), at("/limit", "expected a whole number, found the text \"5\""));
        let (pointer, message) = defects(&json!("jsonlink")).swap_remove(0);
        assert_eq!(pointer, "/client/paginator/type");
        assert!(message.starts_with("expected one of `auto`, `single_page`, `json_link`"), "{message}");
    }
}
