//! Checks a document against the schema of the model, and says every defect with its place and, where there is one, the
//! nearest valid spelling.
//!
//! A JSON Schema validator from the field reports which keyword failed; a person wants to know what to write. The subset of
//! the language is the one that `schemars` writes for our own model.

use super::model::DEFAULTS;
use super::spelling::escape;
use crate::error::Error;
use serde_json::{Map, Value};

/// The levels of the dialect, by the names of their schemas, from the inner ones to the top: how a message calls each, and how a
/// key gets there. A key that stands at the wrong level is looked for in this order, and from the top in the opposite one.
const LEVELS: [(&str, &str, &str); 7] = [
    ("Endpoint", "`endpoint`", "move it into the resource's `endpoint`"),
    ("Paginator", "`paginator`", "move it into the `paginator`"),
    ("Incremental", "`incremental`", "move it into the endpoint's `incremental`"),
    ("ErrorHandler", "`error_handler`", "move it into the endpoint's `error_handler`"),
    ("Resource", "the resource", "move it out of here, beside the `name` of the resource"),
    ("Client", "`client`", "move it to `client`"),
    ("", "the top of the source", "move it out of here, beside `client`"),
];

/// Other words for those of the dialect.
const SYNONYMS: [(&str, &str); 10] = [
    ("integer", "bigint"),
    ("int", "bigint"),
    ("string", "text"),
    ("str", "text"),
    ("float", "double"),
    ("number", "double"),
    ("datetime", "timestamp"),
    ("object", "json"),
    ("overwrite", "replace"),
    ("upsert", "merge"),
];

/// Keys that a person may know from dlt's documentation, and that have no place in a configuration: the name of the schema (none
/// for the top), the key, and what to do.
const NO_KEYS: [(&str, &str, &str); 15] = [
    (DEFAULTS, "name", "leave it out: each resource has a name of its own"),
    ("Client", "url", "write `base_url`"),
    ("Endpoint", "url", "write `path`: it may be a whole URL"),
    ("Endpoint", "query", "write `params`"),
    ("Client", "session", "it is an object of Python: leave it out; limits of time and size are the host's"),
    ("Incremental", "transform", "write `convert`"),
    ("Incremental", "type", "leave it out: only a parameter has it"),
    ("Resource", "write_strategy", "write `write_disposition: {disposition: merge, strategy: …}`"),
    ("", "name", "a pipeline has a name: write the source under the key `source`, and `name` beside it"),
    ("", "section", "it is an argument of dlt's function; leave it out"),
    ("", "schema", "it is an argument of dlt's function; leave it out"),
    ("", "root_key", "it is an argument of dlt's function; leave it out"),
    ("", "schema_contract", "write it into `resource_defaults`"),
    ("", "max_table_nesting", "write it into `resource_defaults`"),
    ("", "parallelized", "leave it out: resources are always read at the same time"),
];

/// Every defect of `document`, in document order.
pub fn validate(schema: &Value, document: &Value) -> Vec<Error> {
    validate_at(schema, document, "")
}

/// Every defect of a part of a document, which stands at `pointer` in it.
pub fn validate_at(schema: &Value, part: &Value, pointer: &str) -> Vec<Error> {
    let mut check = Check { root: schema, defects: Vec::new() };
    check.value(schema, part, pointer);
    check.defects
}

/// Every defect of an `auth` value, which stands at `pointer`.
pub(super) fn validate_auth(schema: &Value, auth: &Value, pointer: &str) -> Vec<Error> {
    let Some(of_auth) = schema.pointer("/$defs/Auth") else { return Vec::new() };
    let mut check = Check { root: schema, defects: Vec::new() };
    check.value(of_auth, auth, pointer);
    if auth.get("type").is_some_and(|kind| kind == "brokered") {
        check.defect(&format!("{pointer}/type"), "`brokered` is the host's".to_owned(), None);
    }
    check.defects
}

struct Check<'a> {
    root: &'a Value,
    defects: Vec<Error>,
}

impl<'a> Check<'a> {
    fn value(&mut self, schema: &'a Value, value: &Value, pointer: &str) {
        let schema = self.resolve(schema);
        if let Some(alternatives) = alternatives(schema) {
            return self.one_of(alternatives, value, pointer);
        }
        if let Some(expected) = schema.get("const") {
            if expected != value {
                self.mismatch(&expected.to_string(), value, pointer);
            }
            return;
        }
        if let Some(Value::Array(words)) = schema.get("enum") {
            return self.word(words.iter(), value, pointer);
        }
        if !self.has_type(schema, value) {
            return self.mismatch(&self.expectation(schema), value, pointer);
        }
        match value {
            Value::String(text) if text.is_empty() && schema.get("minLength").is_some() => {
                self.defect(pointer, "expected a name, found an empty text".to_owned(), None);
            }
            Value::Object(fields) => self.object(schema, fields, pointer),
            Value::Array(items) => {
                let Some(item) = schema.get("items") else { return };
                for (index, value) in items.iter().enumerate() {
                    self.value(item, value, &format!("{pointer}/{index}"));
                }
            }
            Value::Number(number) => {
                let bound = |keyword| schema.get(keyword).and_then(Value::as_f64);
                let number = number.as_f64().unwrap_or(f64::NAN);
                if let Some(least) = bound("minimum").filter(|least| number < *least) {
                    self.defect(pointer, format!("expected at least {least}, found {}", shown(value, pointer)), None);
                } else if let Some(most) = bound("maximum").filter(|most| number > *most) {
                    self.defect(pointer, format!("expected at most {most}, found {}", shown(value, pointer)), None);
                }
            }
            _ => {}
        }
    }

    fn object(&mut self, schema: &'a Value, fields: &Map<String, Value>, pointer: &str) {
        let known = schema.get("properties").and_then(Value::as_object);
        for (key, value) in fields {
            let place = format!("{pointer}/{}", escape(key));
            match (known.and_then(|known| known.get(key)), schema.get("additionalProperties")) {
                (Some(schema), _) => self.value(schema, value, &place),
                // The one pattern of the model.
                (None, _) if schema.get("patternProperties").is_some() && key.starts_with("x-") => {}
                (None, Some(Value::Bool(false))) => self.unknown_key(schema, key, known, &place),
                (None, Some(schema)) => self.value(schema, value, &place),
                (None, None) => {}
            }
        }
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        for key in required.filter_map(Value::as_str).filter(|key| !fields.contains_key(*key)) {
            // Told already, as the right spelling of another one.
            let is_meant = |other: &String| {
                let keys = || known.into_iter().flat_map(Map::keys).map(String::as_str);
                !keys().any(|known| known == other) && nearest(other, keys()) == Some(key)
            };
            if fields.keys().any(is_meant) {
                continue;
            }
            let says = known.and_then(|known| known.get(key)?.get("description")?.as_str());
            let advice = says.map(|says| format!("`{key}`: {}", says.split("\n\n").next().unwrap_or_default()));
            self.defect(pointer, format!("the key `{key}` is missing"), advice);
        }
    }

    fn unknown_key(&mut self, schema: &Value, key: &str, known: Option<&Map<String, Value>>, place: &str) {
        let level = self.level(schema);
        if let Some((.., advice)) = NO_KEYS.iter().find(|(at, no_key, _)| Some(*at) == level && *no_key == key) {
            return self.defect(place, format!("`{key}` is no key of the configuration"), Some((*advice).to_owned()));
        }
        if key == "<<" {
            let advice = "write the keys out, or into `resource_defaults`".to_owned();
            return self.defect(place, "YAML's merge key `<<` is not carried out".to_owned(), Some(advice));
        }
        let own = if level == Some(DEFAULTS) { Some("Resource") } else { level };
        let is_home = |(at, ..): &&(&str, &str, &str)| own.is_some_and(|own| own != *at) && self.has_key(at, key);
        let home = match level {
            Some("") => LEVELS.iter().rev().find(is_home),
            _ => LEVELS.iter().find(is_home),
        };
        if let Some((_, home, advice)) = home {
            let message = format!("the key `{key}` does not belong here, but to {home}");
            return self.defect(place, message, Some((*advice).to_owned()));
        }
        let keys: Vec<&str> = known.into_iter().flat_map(Map::keys).map(String::as_str).collect();
        let advice = match nearest(key, keys.iter().copied()) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None if keys.is_empty() => "no key stands here".to_owned(),
            None => format!("the keys here are {}", quoted(keys)),
        };
        self.defect(place, format!("unknown key `{key}`"), Some(advice));
    }

    /// The name of the schema of a level; empty for the top of the document.
    fn level(&self, schema: &Value) -> Option<&'a str> {
        if std::ptr::eq(schema, self.root) {
            return (schema.get("title").and_then(Value::as_str) == Some("source")).then_some("");
        }
        let (name, _) = self.root.get("$defs")?.as_object()?.iter().find(|(_, of_name)| {
            let kinds = alternatives(of_name).into_iter().flatten();
            std::ptr::eq(*of_name, schema) || kinds.into_iter().any(|kind| std::ptr::eq(kind, schema))
        })?;
        Some(name)
    }

    /// Whether the schema of this name has a key.
    fn has_key(&self, name: &str, key: &str) -> bool {
        let schema = if name.is_empty() { Some(self.root) } else { self.root.pointer(&format!("/$defs/{name}")) };
        let Some(schema) = schema else { return false };
        let has = |schema: &Value| {
            let properties = schema.get("properties");
            properties.is_some_and(|properties| key != "type" && properties.get(key).is_some())
        };
        has(schema) || alternatives(schema).into_iter().flatten().any(has)
    }

    fn one_of(&mut self, alternatives: &'a [Value], value: &Value, pointer: &str) {
        let alternatives: Vec<&Value> = alternatives.iter().map(|schema| self.resolve(schema)).collect();
        // Words, each with a description of its own.
        if alternatives.iter().all(|schema| schema.get("const").is_some() || schema.get("enum").is_some()) {
            let words = alternatives.iter().flat_map(|schema| match schema.get("enum") {
                Some(Value::Array(words)) => words.iter().collect(),
                _ => Vec::from_iter(schema.get("const")),
            });
            return self.word(words, value, pointer);
        }
        // Objects told apart by `type`.
        let tag = |schema: &'a Value| schema.pointer("/properties/type/const").and_then(Value::as_str);
        if let Value::Object(fields) = value
            && alternatives.iter().any(|schema| tag(schema).is_some())
        {
            let kind = fields.get("type").and_then(Value::as_str);
            if let Some(schema) = alternatives.iter().find(|schema| tag(schema).is_some() && tag(schema) == kind) {
                return self.object(schema, fields, pointer);
            }
            // The host writes `brokered`; a person does not.
            let kinds =
                alternatives.iter().filter_map(|schema| tag(schema)).filter(|kind| *kind != "brokered").collect();
            return match fields.get("type") {
                None => {
                    let advice = format!("the types are {}", quoted(kinds));
                    self.defect(pointer, "the key `type` is missing".to_owned(), Some(advice));
                }
                Some(value) => self.choice(kinds, value, &format!("{pointer}/type")),
            };
        }
        // Forms told apart by their JSON type.
        match alternatives.iter().find(|schema| self.admits(schema, value)) {
            Some(schema) => self.value(schema, value, pointer),
            None => {
                let mut expected: Vec<String> = Vec::new();
                for text in alternatives.iter().map(|schema| self.expectation(schema)) {
                    if !expected.contains(&text) && text != "null" {
                        expected.push(text);
                    }
                }
                self.mismatch(&expected.join(" or "), value, pointer);
            }
        }
    }

    fn word<'v>(&mut self, words: impl Iterator<Item = &'v Value>, value: &Value, pointer: &str) {
        let words: Vec<&str> = words.filter_map(Value::as_str).collect();
        if !value.as_str().is_some_and(|value| words.contains(&value)) {
            self.choice(words, value, pointer);
        }
    }

    fn choice(&mut self, words: Vec<&str>, value: &Value, pointer: &str) {
        let near = value.as_str().and_then(|value| {
            let synonym = SYNONYMS.iter().find(|(other, word)| *other == value && words.contains(word));
            synonym.map(|(_, word)| *word).or_else(|| nearest(value, words.iter().copied()))
        });
        let advice = near.map(|near| format!("did you mean `{near}`?"));
        let expected = match words.as_slice() {
            [word] => format!("`{word}`"),
            _ => format!("one of {}", quoted(words)),
        };
        self.defect(pointer, format!("expected {expected}, found {}", shown(value, pointer)), advice);
    }

    /// A value of the wrong form, with the right spelling where the value shows what was meant.
    fn mismatch(&mut self, expected: &str, value: &Value, pointer: &str) {
        let expects = |form: &str| expected.split(" or ").any(|expected| expected == form);
        let advice = match value {
            _ if is_secret(pointer) => None,
            // A number with a point was perhaps written otherwise, such as 1.10.
            Value::Number(number) if expects("a text") && !number.is_i64() => Some("put it in quotes".to_owned()),
            Value::Number(_) | Value::Bool(_) if expects("a text") => Some(format!("put it in quotes: \"{value}\"")),
            Value::String(text)
                if text.parse::<f64>().is_ok() && (expects("a whole number") || expects("a number")) =>
            {
                Some(format!("write {text} without quotes"))
            }
            Value::String(text) if expected == "true or false" => match text.to_lowercase().as_str() {
                "yes" | "on" | "y" | "true" | "1" => Some("write `true`".to_owned()),
                "no" | "off" | "n" | "false" | "0" => Some("write `false`".to_owned()),
                _ => None,
            },
            Value::String(text) if expected == "a list" => Some(format!("write a list of one: `[{text}]`")),
            Value::Array(items) if expected == "an object" && items.iter().all(Value::is_object) => {
                Some("leave out the dashes before its keys".to_owned())
            }
            Value::String(_) if expected == "an object" && pointer.ends_with("/endpoint") => {
                Some("a path is no default: write it into the resources".to_owned())
            }
            Value::Object(_) if expected == "a list" => Some("begin each of its items with a dash".to_owned()),
            Value::Null => Some("write a value behind the key".to_owned()),
            _ => None,
        };
        self.defect(pointer, format!("expected {expected}, found {}", shown(value, pointer)), advice);
    }

    fn defect(&mut self, pointer: &str, message: String, advice: Option<String>) {
        self.defects.push(Error { advice, ..Error::config(pointer, message) });
    }

    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let name = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#'));
        name.and_then(|pointer| self.root.pointer(pointer)).unwrap_or(schema)
    }

    /// Whether `value` is of a form that the schema describes, whatever is inside.
    fn admits(&self, schema: &'a Value, value: &Value) -> bool {
        match alternatives(schema) {
            Some(alternatives) => alternatives.iter().any(|schema| self.admits(self.resolve(schema), value)),
            None => self.has_type(schema, value),
        }
    }

    fn has_type(&self, schema: &Value, value: &Value) -> bool {
        let is = |name: &str| match (name, value) {
            ("integer", Value::Number(number)) => number.is_i64() || number.is_u64(),
            ("number", Value::Number(_)) => true,
            (name, value) => name == type_name(value),
        };
        match schema.get("type") {
            Some(Value::String(name)) => is(name),
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).any(is),
            _ => match schema.get("const") {
                Some(constant) => constant == value,
                None => true,
            },
        }
    }

    fn expectation(&self, schema: &'a Value) -> String {
        if let Some(alternatives) = alternatives(schema) {
            let mut texts: Vec<String> = Vec::new();
            for schema in alternatives {
                let text = self.expectation(self.resolve(schema));
                if !texts.contains(&text) {
                    texts.push(text);
                }
            }
            return texts.join(" or ");
        }
        let article = |name: &str| match name {
            "object" => "an object".to_owned(),
            "array" => "a list".to_owned(),
            "string" => "a text".to_owned(),
            "integer" => "a whole number".to_owned(),
            "number" => "a number".to_owned(),
            "boolean" => "true or false".to_owned(),
            other => other.to_owned(),
        };
        match schema.get("type") {
            Some(Value::String(name)) => article(name),
            Some(Value::Array(names)) => {
                let names = names.iter().filter_map(Value::as_str).filter(|name| *name != "null");
                names.map(article).collect::<Vec<_>>().join(" or ")
            }
            _ => match schema.get("const") {
                Some(constant) => constant.to_string(),
                None => "something else".to_owned(),
            },
        }
    }
}

fn alternatives(schema: &Value) -> Option<&[Value]> {
    let list = schema.get("oneOf").or_else(|| schema.get("anyOf"))?;
    list.as_array().map(Vec::as_slice)
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The value as a message shows it: scalars as they are (long texts cut), the rest by its kind, and nothing of a credential.
fn shown(value: &Value, pointer: &str) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(_) if is_secret(pointer) => "another text".to_owned(),
        Value::Number(_) if is_secret(pointer) => "a number".to_owned(),
        Value::String(text) if text.chars().count() > 40 => {
            format!("the text \"{}…\"", text.chars().take(40).collect::<String>())
        }
        Value::String(text) => format!("the text \"{text}\""),
        scalar => scalar.to_string(),
    }
}

/// Whether a value at this place may be a credential.
fn is_secret(pointer: &str) -> bool {
    pointer.split('/').any(|step| step == "auth")
}

fn quoted<S: AsRef<str>>(words: Vec<S>) -> String {
    words.iter().map(|word| format!("`{}`", word.as_ref())).collect::<Vec<_>>().join(", ")
}

/// The word that a person most likely meant, if one is near enough: at most a third of its letters differ, or one of the two is
/// the beginning or the end of the other.
pub fn nearest<'w>(text: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let text = text.to_lowercase();
    let words: Vec<&str> = words.collect();
    let distance = |word: &str| strsim::damerau_levenshtein(&text, &word.to_lowercase());
    let (word, distance) = words.iter().map(|word| (*word, distance(word))).min_by_key(|(_, distance)| *distance)?;
    if distance * 3 <= word.chars().count().max(3) {
        return Some(word);
    }
    let is_part = |word: &&&str| {
        let (short, long) = if word.len() < text.len() { (**word, text.as_str()) } else { (text.as_str(), **word) };
        short.len() >= 4 && (long.starts_with(short) || long.ends_with(short))
    };
    words.iter().filter(is_part).min_by_key(|word| word.len()).copied()
}
