//! The configuration: a JSON document becomes a checked, typed [`Source`], with defaults merged into each resource.
//!
//! ```text
//! text ─► document ─► validate (schema of the model) ─► merge defaults ─► model
//! ```

mod defaults;
pub mod model;
mod paginator;
mod validate;
pub use validate::{nearest, validate, validate_at};

use crate::error::{Error, Kind, Result};
use model::{Client, Resource, Source};
use serde_json::Value;

/// A configuration that fits the dialect.
pub struct Config {
    /// Connection settings shared by all resources.
    pub client: Client,
    /// The resources, defaults merged in, in the order of the document.
    pub resources: Vec<Resource>,
    /// Spellings that work but are the older ones.
    pub warnings: Vec<Error>,
}

/// The JSON Schema (2020-12) of the configuration.
pub fn schema() -> Value {
    schemars::schema_for!(Source).to_value()
}

/// JSON pointers of the places where the dialect has an `auth` object. One without `type` is a bearer token.
pub fn auth_places(document: &Value) -> Vec<String> {
    let of_endpoints = endpoints(document).into_iter().map(|pointer| format!("{pointer}/auth"));
    std::iter::once("/client/auth".to_owned()).chain(of_endpoints).collect()
}

impl Config {
    /// Reads a configuration from JSON text. The error holds every defect of the document.
    pub fn parse(text: &str) -> Result<Self, Vec<Error>> {
        let mut document: Value = serde_json::from_str(text)
            .map_err(|error| vec![Error::config("", format!("the configuration is not valid JSON: {error}"))])?;
        let warnings = spell_out(&mut document);
        let defects = validate(&schema(), &document);
        if !defects.is_empty() {
            return Err(defects);
        }
        let source: Source = typed(document, "")?;
        let mut resources = Vec::with_capacity(source.resources.len());
        for (index, item) in source.resources.into_iter().enumerate() {
            let merged = defaults::merge(source.resource_defaults.as_ref(), item);
            resources.push(typed::<Resource>(merged, &format!("/resources/{index}"))?);
        }
        let mut config = Self { client: source.client, resources, warnings };
        config.repeated_names()?;
        config.normalise();
        Ok(config)
    }

    fn repeated_names(&self) -> Result<(), Vec<Error>> {
        let repeated: Vec<Error> = (self.resources.iter().enumerate())
            .filter(|(index, resource)| self.resources.iter().take(*index).any(|other| other.name == resource.name))
            .map(|(index, resource)| {
                let message = format!("the name `{}` is taken by an earlier resource", resource.name);
                Error::config(format!("/resources/{index}/name"), message)
            })
            .collect();
        if repeated.is_empty() { Ok(()) } else { Err(repeated) }
    }

    /// Fills what the dialect leaves to other fields: the path is the name where it is not given.
    fn normalise(&mut self) {
        for resource in &mut self.resources {
            resource.endpoint.path.get_or_insert_with(|| resource.name.clone());
        }
    }
}

/// Brings the short and the older forms of a document into those of the model. Tells which are the older ones.
fn spell_out(document: &mut Value) -> Vec<Error> {
    let mut warnings = Vec::new();
    for pointer in auth_places(document) {
        if let Some(Value::Object(auth)) = document.pointer_mut(&pointer) {
            auth.entry("type").or_insert_with(|| Value::String("bearer".to_owned()));
        }
    }
    for pointer in endpoints(document) {
        if let Some(Value::String(method)) = document.pointer_mut(&format!("{pointer}/method"))
            && matches!(method.as_str(), "get" | "post")
        {
            method.make_ascii_uppercase();
        }
        older_paginator(document, &format!("{pointer}/paginator"), &mut warnings);
    }
    older_paginator(document, "/client/paginator", &mut warnings);
    warnings
}

fn older_paginator(document: &mut Value, pointer: &str, warnings: &mut Vec<Error>) {
    let Some(paginator) = document.pointer_mut(pointer) else { return };
    if let Value::String(kind) = paginator {
        *paginator = Value::Object([("type".to_owned(), Value::String(std::mem::take(kind)))].into_iter().collect());
    }
    if let Some(kind) = paginator.get_mut("type").filter(|kind| *kind == "json_response") {
        *kind = Value::String("json_link".to_owned());
        let warning = Error::config(pointer, "the paginator `json_response` is called `json_link` now");
        warnings.push(warning.advice("write `json_link`"));
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
