//! Checks a document against the schema of the model, and says every defect with its place and, where there is one, the
//! nearest valid spelling.
//!
//! A JSON Schema validator from the field reports which keyword failed; a person wants to know what to write. The subset of
//! the language is the one that `schemars` writes for our own model.

use crate::error::Error;
use serde_json::{Map, Value};

/// Keys of the dialect that this version does not carry out yet. They get their own message, since "unknown" would be wrong.
const NOT_YET: [&str; 15] = [
    "columns",
    "data",
    "file_format",
    "include_from_parent",
    "incremental",
    "merge_key",
    "nested_hints",
    "parallelized",
    "parent_table_name",
    "processing_steps",
    "references",
    "response_actions",
    "schema_contract",
    "session",
    "table_format",
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
                self.defect(pointer, format!("{} is not valid here; expected {expected}", shown(value, pointer)), None);
            }
            return;
        }
        if let Some(Value::Array(words)) = schema.get("enum") {
            return self.word(words.iter(), value, pointer);
        }
        if !self.has_type(schema, value) {
            let message = format!("expected {}, found {}", self.expectation(schema), shown(value, pointer));
            return self.defect(pointer, message, None);
        }
        match value {
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
                (None, Some(Value::Bool(false))) => self.unknown_key(key, known, &place),
                (None, Some(schema)) => self.value(schema, value, &place),
                (None, None) => {}
            }
        }
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        for key in required.filter_map(Value::as_str).filter(|key| !fields.contains_key(*key)) {
            self.defect(pointer, format!("the key `{key}` is missing"), None);
        }
    }

    fn unknown_key(&mut self, key: &str, known: Option<&Map<String, Value>>, place: &str) {
        let keys: Vec<&str> = known.into_iter().flat_map(Map::keys).map(String::as_str).collect();
        if NOT_YET.contains(&key) {
            let message = format!("the key `{key}` belongs to the dialect, but this version does not carry it out yet");
            return self.defect(place, message, None);
        }
        let advice = match nearest(key, keys.iter().copied()) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("the keys here are {}", quoted(keys)),
        };
        self.defect(place, format!("unknown key `{key}`"), Some(advice));
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
            let kinds: Vec<&str> = alternatives.iter().filter_map(|schema| tag(schema)).collect();
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
                let expected: Vec<String> = alternatives.iter().map(|schema| self.expectation(schema)).collect();
                let message = format!("expected {}, found {}", expected.join(" or "), shown(value, pointer));
                self.defect(pointer, message, None);
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
        let near = value.as_str().and_then(|value| nearest(value, words.iter().copied()));
        let advice = near.map(|near| format!("did you mean `{near}`?"));
        self.defect(pointer, format!("expected one of {}, found {}", quoted(words), shown(value, pointer)), advice);
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
            _ => "something else".to_owned(),
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

/// The value as a message shows it: scalars as they are (long texts cut), the rest by its kind. What stands in `auth` may be a
/// credential at the wrong place, so it is shown by its kind alone.
fn shown(value: &Value, pointer: &str) -> String {
    let is_hidden = pointer.split('/').any(|step| step == "auth");
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(_) if is_hidden => "a text".to_owned(),
        Value::Number(_) if is_hidden => "a number".to_owned(),
        Value::String(text) if text.chars().count() > 40 => {
            format!("the text \"{}…\"", text.chars().take(40).collect::<String>())
        }
        Value::String(text) => format!("the text \"{text}\""),
        scalar => scalar.to_string(),
    }
}

fn quoted<S: AsRef<str>>(words: Vec<S>) -> String {
    words.iter().map(|word| format!("`{}`", word.as_ref())).collect::<Vec<_>>().join(", ")
}

/// The word that a person most likely meant, if one is near enough: at most a third of its letters differ.
pub fn nearest<'w>(text: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let distance = |word: &str| strsim::damerau_levenshtein(&text.to_lowercase(), &word.to_lowercase());
    let (word, distance) = words.map(|word| (word, distance(word))).min_by_key(|(_, distance)| *distance)?;
    (distance * 3 <= word.chars().count().max(3)).then_some(word)
}

/// A key as a step of a JSON pointer (RFC 6901, section 3).
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
