//! The configuration: a JSON document becomes a checked, typed [`Source`], with defaults merged into each resource.
//!
//! ```text
//! text ─► document ─► validate (schema of the model) ─► merge defaults ─► model
//! ```

mod check;
mod defaults;
mod disposition;
mod hints;
mod incremental;
mod later;
pub mod model;
mod paginator;
mod parents;
mod repair;
mod shaping;
mod spelling;
mod texts;
mod traffic;
mod validate;
pub(crate) use spelling::escape;
pub use validate::{nearest, validate, validate_at};

use crate::error::{Error, Kind, Result};
use crate::slot;
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

/// The JSON Schema (2020-12) of the configuration, generated from the model's types. It stands in a file, which a test holds to
/// the types, so that the component need not carry its generator.
pub const SCHEMA: &str = include_str!("schema.json");

/// The JSON Schema of the configuration, read.
pub fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap_or_default()
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
        // All places first: taking one defect out may take the place of another one away.
        let place = |defect: &Error| {
            let pointer = defect.pointer.clone().unwrap_or_default();
            in_defaults(&document, &pointer).unwrap_or(pointer)
        };
        let places: Vec<String> = found.iter().map(place).collect();
        let taken_out: Vec<String> =
            places.iter().map(|place| repair::nearest_place(&document, place).to_owned()).collect();
        let told = defects.clone();
        let mut changed = false;
        for (mut defect, place) in found.into_iter().zip(places) {
            if !place.starts_with("/resources/") {
                defect.resource = None;
            }
            defect.pointer = Some(spelling.original(place));
            if !defects.contains(&defect) && !told.iter().any(|told| is_known(told, &defect)) {
                defects.push(defect);
            }
        }
        for place in taken_out {
            changed |= repair::repair(&mut document, &place);
        }
        if !changed || defects.len() >= MOST_DEFECTS {
            return Err(defects);
        }
    }
}

/// Whether a defect is the same as one that was told before, or comes of taking that one out.
fn is_known(told: &Error, defect: &Error) -> bool {
    let (Some(place), Some(pointer)) = (&told.pointer, &defect.pointer) else { return false };
    let is_same = told.message == defect.message && told.resource == defect.resource;
    let is_within = place.strip_prefix(pointer).is_some_and(|rest| rest.starts_with('/'));
    is_same && (place == pointer || told.resource.is_some()) || is_within
}

/// The place in the defaults of what a resource has from there.
fn in_defaults(document: &Value, pointer: &str) -> Option<String> {
    let (_, rest) = pointer.strip_prefix("/resources/")?.split_once('/')?;
    let place = format!("/resource_defaults/{rest}");
    (document.pointer(pointer).is_none() && document.pointer(&place).is_some()).then_some(place)
}

/// JSON pointers of the places, outside `auth`, where `{secret: name}` stands for a text, each with the name.
pub fn slot_places(document: &Value) -> Vec<(String, String)> {
    let mut places = Vec::new();
    let keys = ["headers", "params", "json", "data", "body"];
    let of_endpoints = endpoints(document).into_iter().flat_map(|at| keys.map(|key| format!("{at}/{key}")));
    for pointer in std::iter::once("/client/headers".to_owned()).chain(of_endpoints) {
        if let Some(value) = document.pointer(&pointer) {
            // Headers, parameters, JSON or a form as a whole are no text, so `{secret: name}` there is one of that name.
            collect_slots(value, &pointer, !pointer.ends_with("/body"), &mut places);
        }
    }
    places
}

fn collect_slots(value: &Value, pointer: &str, is_whole: bool, places: &mut Vec<(String, String)>) {
    if let Some(name) = slot::name_of(value).filter(|_| !is_whole) {
        return places.push((pointer.to_owned(), name.to_owned()));
    }
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                collect_slots(value, &format!("{pointer}/{}", spelling::escape(key)), false, places);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                collect_slots(value, &format!("{pointer}/{index}"), false, places);
            }
        }
        _ => {}
    }
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
            match typed(merged, &pointer) {
                Ok(resource) => resources.push(resource),
                // A value that was refused already is none that can be read.
                Err(_) if !defects.is_empty() => return Err(defects),
                Err(error) => return Err(error),
            }
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

    #[test]
    fn slots_are_found_wherever_a_text_may_stand() {
        let slot = |name: &str| json!({"secret": name});
        let document = json!({
            "client": {"base_url": "b", "auth": slot("auth"), "headers": {"secret": "a header", "x~/y": slot("a")}},
            "resource_defaults": {"endpoint": {"params": {"p": slot("b"), "l": [1, slot("c")]}}},
            "resources": ["r", {"name": "s", "endpoint": {"json": {"secret": "a body", "d": [{"e": slot("d")}]}}},
                {"name": "t", "endpoint": {"json": slot("a whole body"), "data": {"f": slot("e")}, "body": slot("g")}}],
        });
        let expected = [
            ("/client/headers/x~0~1y", "a"),
            ("/resource_defaults/endpoint/params/p", "b"),
            ("/resource_defaults/endpoint/params/l/1", "c"),
            ("/resources/1/endpoint/json/d/0/e", "d"),
            ("/resources/2/endpoint/data/f", "e"),
            ("/resources/2/endpoint/body", "g"),
        ];
        assert_eq!(slot_places(&document), expected.map(|(place, name)| (place.to_owned(), name.to_owned())));
    }

    /// The schema of the types. That of the defaults is the one of a resource, without what each has of its own.
    fn generated() -> Value {
        let mut schema = schemars::schema_for!(Source).to_value();
        if let Some(Value::Object(definitions)) = schema.get_mut("$defs")
            && let Some(mut defaults) = definitions.get("Resource").cloned()
        {
            let remove = |place: Option<&mut Value>| match place {
                Some(Value::Object(keys)) => keys.retain(|key, _| key != "name" && key != "values"),
                Some(Value::Array(keys)) => keys.retain(|key| key != "name"),
                _ => {}
            };
            remove(defaults.get_mut("properties"));
            remove(defaults.get_mut("required"));
            if let Some(endpoint) = defaults.pointer_mut("/properties/endpoint") {
                *endpoint = json!({"anyOf": [{"$ref": "#/$defs/Endpoint"}, {"type": "null"}],
                    "description": "Fields merged into every endpoint that does not have them."});
            }
            definitions.insert(model::DEFAULTS.to_owned(), defaults);
        }
        schema
    }

    /// One definition a line: the component carries the text, and a person compares it.
    fn lines(mut schema: Value) -> String {
        let definitions = schema.as_object_mut().and_then(|schema| schema.remove("$defs")).unwrap();
        let line = |(name, definition): (&String, &Value)| format!("{}:{definition}", json!(name));
        let lines: Vec<String> = definitions.as_object().unwrap().iter().map(line).collect();
        let head = schema.to_string();
        format!("{},\"$defs\":{{\n{}\n}}}}\n", head.strip_suffix('}').unwrap(), lines.join(",\n"))
    }

    #[test]
    fn the_schema_in_the_file_is_the_one_of_the_types() {
        let generated = generated();
        if std::env::var_os("BLESS").is_some() {
            let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/schema.json");
            std::fs::write(file, lines(generated)).unwrap();
        } else {
            assert!(generated == schema(), "run the tests of `config` with BLESS=1 to write the schema anew");
        }
    }

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

    /// Message and pointer of every defect, and of every warning.
    fn told(config: &Value) -> Vec<(String, String)> {
        let errors = match Config::parse(&config.to_string()) {
            Ok(config) => config.warnings,
            Err(errors) => errors,
        };
        errors.into_iter().map(|error| (error.message, error.pointer.unwrap_or_default())).collect()
    }

    #[test]
    fn what_a_credential_lacks_is_a_slot() {
        let spelt = |mut auth: Value| {
            spell_out_auth(&mut auth);
            auth
        };
        let bearer = json!({"type": "bearer", "token": {"secret": "token"}});
        assert_eq!(spelt(json!("bearer")), bearer);
        assert_eq!(spelt(json!({})), bearer);
        assert_eq!(spelt(json!({"token": "t"})), json!({"type": "bearer", "token": "t"}));
        assert_eq!(
            spelt(json!({"type": "http_basic", "username": "u"})),
            json!({"type": "http_basic", "username": "u", "password": {"secret": "password"}})
        );
        assert_eq!(
            spelt(json!({"type": "api_key", "name": "X"})),
            json!({"type": "api_key", "name": "X", "api_key": {"secret": "api_key"}})
        );
        assert_eq!(spelt(json!("brokered")), json!({"type": "brokered"}));
        assert_eq!(spelt(json!(["x"])), json!(["x"]));
    }

    #[test]
    fn older_spellings_are_those_of_today_with_a_warning() {
        let config = json!({"client": {"base_url": "b"}, "resources": ["a", {"name": "b", "endpoint": {
            "path": "a/{id}/b", "params": {"id": {"type": "resolve", "resource": "a", "field": "x.y"}}}}]});
        let read = Config::parse(&config.to_string()).unwrap_or_else(|errors| panic!("{errors:?}"));
        assert_eq!(read.resources[1].endpoint.params["id"], "{resources.a.x.y}");
        let warning = &read.warnings[0];
        assert_eq!(warning.pointer.as_deref(), Some("/resources/1/endpoint/params/id"));
        assert_eq!(warning.advice.as_deref(), Some("write `{resources.a.x.y}` in the path"));

        let mut document = json!({"resources": [{"name": "a", "endpoint": {"params": {"since":
            {"type": "incremental", "cursor_path": "at", "transform": "f", "end_param": "until"}}}}]});
        let spelling = spelling::spell_out(&mut document, &schema());
        // `end_param` has no place in this form.
        assert_eq!(spelling.defects.len(), 1);
        assert_eq!(
            document.pointer("/resources/0/endpoint"),
            Some(&json!({"params": {"since": "{incremental.start_value}"},
                "incremental": {"cursor_path": "at", "convert": "f"}}))
        );
        let place = "/resources/0/endpoint/incremental/convert".to_owned();
        assert_eq!(spelling.original(place), "/resources/0/endpoint/params/since/convert");

        let mut document = json!({"resource_defaults": {"endpoint": {"incremental":
            {"cursor_path": "at", "start_param": "since", "end_param": "until"}}}, "resources": []});
        let spelling = spelling::spell_out(&mut document, &schema());
        assert_eq!(spelling.warnings.len(), 2);
        let params = json!({"since": "{incremental.start_value}", "until": "{incremental.end_value}"});
        assert_eq!(document.pointer("/resource_defaults/endpoint/params"), Some(&params));
    }

    #[test]
    fn what_asks_for_nothing_is_neither_refused_nor_warned_of() {
        let config = json!({
            "client": {"base_url": "b", "headers": null, "auth": null, "paginator": null},
            "resource_defaults": {"schema_contract": "evolve", "parallelized": true, "table_format": "native",
                "columns": [{"name": "a", "unique": false, "description": "d", "x-mine": [1]}]},
            "resources": [{"name": "r", "merge_key": null, "processing_steps": [], "include_from_parent": [],
                "write_disposition": {"disposition": "merge", "strategy": "delete-insert"}, "selected": null,
                "endpoint": {"method": "pOsT", "params": null, "headers": null, "incremental": null, "data": {}}}]
        });
        assert_eq!(told(&config), []);
        let read = Config::parse(&config.to_string()).unwrap_or_else(|errors| panic!("{errors:?}"));
        assert!(read.resources[0].columns.contains_key("a") && read.resources[0].selected);
    }

    #[test]
    fn no_message_shows_a_credential() {
        for auth in
            [json!("hunter2"), json!({"type": "hunter2"}), json!({"token": ["hunter2"]}), json!({"token": 12_345})]
        {
            let config = json!({"client": {"base_url": "b", "auth": auth}, "resources": []});
            let errors = Config::parse(&config.to_string()).err().unwrap();
            assert!(
                !format!("{errors:?}").contains("hunter2") && !format!("{errors:?}").contains("12345"),
                "{errors:?}"
            );
            let mut document = config.clone();
            assert_eq!(take_wrong_auth(&mut document).len(), errors.len());
            assert_eq!(document.pointer("/client/auth"), Some(&Value::Null));
        }
    }

    #[test]
    fn a_document_full_of_defects_is_read_in_no_time() {
        let resources: Vec<Value> = (0..5000).map(|index| json!({"name": "r", "x": index, "endpoint": "{"})).collect();
        let errors = told(&json!({"client": {"base_url": "b"}, "resources": resources}));
        assert!(errors.len() >= MOST_DEFECTS, "{}", errors.len());
        assert!(Config::parse("7").is_err() && Config::parse("[]").is_err() && Config::parse("{}").is_err());
    }
}
