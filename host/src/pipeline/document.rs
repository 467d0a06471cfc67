//! A file in YAML, JSON or TOML, as one JSON value, and where in the file each part of it stands.

use crate::{Class, Error, Result};
use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use serde_json::{Map, Number, Value};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use toml_edit::{Item, TableLike};

/// How deep a document may be nested; a person's files are not, and the parts of the program that walk it recurse.
const DEEPEST: usize = 100;

/// A file that was read.
pub struct Document {
    /// Its name, as the person gave it.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The text without the credentials that stand in it, for errors.
    pub shown: Arc<str>,
    /// What it says.
    pub value: Value,
    /// Byte ranges of the values, by JSON pointer.
    spans: BTreeMap<String, Range<usize>>,
}

/// A place in a file.
pub struct Place {
    /// Bytes of the text.
    pub span: Range<usize>,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// The JSON pointer that was asked for.
    pub pointer: String,
}

/// A syntax error: what, and where.
struct Syntax {
    message: String,
    at: usize,
}

impl Document {
    /// Reads a file. Its ending tells the format: `.json`, `.toml`, and YAML for all others.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::new(Class::Config, format!("failed to read {name}: {error}"))
                .advice("give the path of a YAML, JSON or TOML file")
        })?;
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        Self::parse(&name, ending, text)
    }

    /// Reads a text in the format of this ending.
    pub fn parse(name: &str, ending: &str, text: String) -> Result<Self> {
        let mut spans = BTreeMap::new();
        let parsed = match ending {
            "toml" => toml(&text, &mut spans),
            // YAML gives the places of JSON values too, but takes more than JSON.
            "json" => json_syntax(&text).and_then(|()| yaml(&text, &mut spans)),
            _ => yaml(&text, &mut spans),
        };
        match parsed {
            Ok(value) => {
                let shown = without_credentials(&text, &value, &spans).into();
                Ok(Self { name: name.to_owned(), text, shown, value, spans })
            }
            Err(Syntax { message, at }) => {
                let shown = text.as_str().into();
                let document = Self { name: name.to_owned(), text, shown, value: Value::Null, spans };
                let place = document.place_at(at..at, "");
                let message = format!("{name} is not valid {}: {message}", format_name(ending));
                Err(Error::new(Class::Config, message).in_file(&document, &place))
            }
        }
    }

    /// Where the value at a JSON pointer stands; where there is none, its nearest parent that has a place.
    pub fn place(&self, pointer: &str) -> Place {
        let mut near = pointer;
        loop {
            if let Some(span) = self.spans.get(near) {
                return self.place_at(span.clone(), pointer);
            }
            match near.rfind('/') {
                Some(at) => near = near.get(..at).unwrap_or_default(),
                None => return self.place_at(0..0, pointer),
            }
        }
    }

    fn place_at(&self, span: Range<usize>, pointer: &str) -> Place {
        let before = self.text.get(..span.start.min(self.text.len())).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Place { span, line, column, pointer: pointer.to_owned() }
    }
}

/// The text with stars in the place of the credentials that an `auth` object may hold: those of its texts that are no words
/// of the dialect.
fn without_credentials(text: &str, value: &Value, spans: &BTreeMap<String, Range<usize>>) -> String {
    let mut shown = text.as_bytes().to_vec();
    for (pointer, span) in spans.iter().filter(|(pointer, _)| pointer.split('/').any(|step| step == "auth")) {
        let key = pointer.rsplit('/').next().unwrap_or_default();
        let is_open = OPEN_IN_AUTH.contains(&key);
        if is_open || !value.pointer(pointer).is_some_and(|value| value.is_string() || value.is_number()) {
            continue;
        }
        let written = text.get(span.clone()).unwrap_or_default();
        // The span begins with the key.
        let behind_key = written.find([':', '=']).filter(|_| written.trim_matches(['"', '\'']).starts_with(key));
        let start = span.start + behind_key.map_or(0, |at| at + 1);
        for byte in shown.get_mut(start..span.end).into_iter().flatten().filter(|byte| !byte.is_ascii_whitespace()) {
            *byte = b'*';
        }
    }
    // What stands before the `@` of a URL.
    for (at, _) in text.match_indices("://") {
        let behind = text.get(at + 3..).unwrap_or_default();
        let authority = behind.split(['/', '"', '\'', '\n', ' ', '?', '#']).next().unwrap_or_default();
        if let Some(length) = authority.rfind('@') {
            shown.get_mut(at + 3..at + 3 + length).into_iter().flatten().for_each(|byte| *byte = b'*');
        }
    }
    String::from_utf8(shown).unwrap_or_default()
}

/// Keys of `auth` objects whose values are no secrets.
const OPEN_IN_AUTH: [&str; 6] = ["type", "name", "location", "secret", "access_token_url", "auth_endpoint"];

fn format_name(ending: &str) -> &'static str {
    match ending {
        "toml" => "TOML",
        "json" => "JSON",
        _ => "YAML",
    }
}

fn json_syntax(text: &str) -> Result<(), Syntax> {
    serde_json::from_str::<serde::de::IgnoredAny>(text).map(|_| ()).map_err(|error| {
        let start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default().to_owned();
        Syntax { message, at: start + error.column().saturating_sub(1) }
    })
}

fn yaml(text: &str, spans: &mut BTreeMap<String, Range<usize>>) -> Result<Value, Syntax> {
    // The scanner counts characters, an editor's columns and our spans are bytes of the text.
    let bytes: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let byte = |index: usize| bytes.get(index).copied().unwrap_or(text.len());
    let documents = MarkedYaml::load_from_str(text)
        .map_err(|error| Syntax { message: yaml_message(error.info()), at: byte(error.marker().index()) })?;
    match documents.as_slice() {
        [] => Err(Syntax { message: "the file is empty".to_owned(), at: 0 }),
        [document] => yaml_value(document, "", &byte, spans, 0),
        [_, second, ..] => {
            let at = byte(second.span.start.index());
            Err(Syntax { message: "the file holds more than one document".to_owned(), at })
        }
    }
}

/// The parser's words, and better ones where it has none for a person.
fn yaml_message(parser: &str) -> String {
    match parser {
        "duplicated key in mapping" => "the same key stands twice in one object".to_owned(),
        other => other.to_owned(),
    }
}

fn yaml_value(
    node: &MarkedYaml<'_>,
    pointer: &str,
    byte: &dyn Fn(usize) -> usize,
    spans: &mut BTreeMap<String, Range<usize>>,
    depth: usize,
) -> Result<Value, Syntax> {
    let span = byte(node.span.start.index())..byte(node.span.end.index());
    let wrong = |message: &str| Err(Syntax { message: message.to_owned(), at: span.start });
    if depth > DEEPEST {
        return wrong("it is nested too deep");
    }
    spans.insert(pointer.to_owned(), span.clone());
    Ok(match &node.data {
        YamlData::Value(scalar) => match scalar {
            Scalar::Null => Value::Null,
            Scalar::Boolean(boolean) => Value::Bool(*boolean),
            Scalar::Integer(integer) => Value::Number((*integer).into()),
            Scalar::FloatingPoint(double) => match Number::from_f64(double.into_inner()) {
                Some(number) => Value::Number(number),
                None => return wrong("a number must be finite"),
            },
            Scalar::String(text) => Value::String(text.to_string()),
        },
        YamlData::Sequence(items) => {
            let mut list = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                list.push(yaml_value(item, &format!("{pointer}/{index}"), byte, spans, depth + 1)?);
            }
            Value::Array(list)
        }
        YamlData::Mapping(entries) => {
            let mut fields = Map::new();
            for (key, value) in entries {
                let at = byte(key.span.start.index());
                let no_key = || Err(Syntax { message: "a key must be a text".to_owned(), at });
                let YamlData::Value(scalar) = &key.data else { return no_key() };
                let name = match scalar {
                    Scalar::String(text) => text.to_string(),
                    Scalar::Integer(integer) => integer.to_string(),
                    Scalar::Boolean(boolean) => boolean.to_string(),
                    _ => return no_key(),
                };
                let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                let value = yaml_value(value, &pointer, byte, spans, depth + 1)?;
                // An error about a value is shown at its key, where the eye looks for it.
                if let Some(span) = spans.get_mut(&pointer) {
                    span.start = byte(key.span.start.index()).min(span.start);
                    if value.is_object() || value.is_array() {
                        span.end = byte(key.span.end.index());
                    }
                }
                fields.insert(name, value);
            }
            Value::Object(fields)
        }
        YamlData::Tagged(_, inner) => yaml_value(inner, pointer, byte, spans, depth + 1)?,
        _ => return wrong("this kind of YAML value has no place in a configuration"),
    })
}

fn toml(text: &str, spans: &mut BTreeMap<String, Range<usize>>) -> Result<Value, Syntax> {
    let document = toml_edit::Document::parse(text).map_err(|error| Syntax {
        message: error.message().to_owned(),
        at: error.span().map_or(0, |span| span.start),
    })?;
    toml_table(document.as_table(), "", spans)
}

fn toml_table(
    table: &dyn TableLike,
    pointer: &str,
    spans: &mut BTreeMap<String, Range<usize>>,
) -> Result<Value, Syntax> {
    let mut fields = Map::new();
    for (name, item) in table.iter() {
        let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
        let key = table.key(name).and_then(toml_edit::Key::span);
        let value = toml_item(item, &pointer, spans)?;
        // As in YAML: from the key to the end of a value on its line.
        let span = match (key, item.span()) {
            (Some(key), Some(of_value)) if !value.is_object() && !value.is_array() => Some(key.start..of_value.end),
            (key, of_value) => key.or(of_value),
        };
        if let Some(span) = span {
            spans.insert(pointer, span);
        }
        fields.insert(name.to_owned(), value);
    }
    Ok(Value::Object(fields))
}

fn toml_item(item: &Item, pointer: &str, spans: &mut BTreeMap<String, Range<usize>>) -> Result<Value, Syntax> {
    match item {
        Item::None => Ok(Value::Null),
        Item::Value(value) => toml_value(value, pointer, spans),
        Item::Table(table) => toml_table(table, pointer, spans),
        Item::ArrayOfTables(tables) => {
            let tables = tables.iter().enumerate();
            tables.map(|(index, table)| toml_table(table, &format!("{pointer}/{index}"), spans)).collect()
        }
    }
}

fn toml_value(
    value: &toml_edit::Value,
    pointer: &str,
    spans: &mut BTreeMap<String, Range<usize>>,
) -> Result<Value, Syntax> {
    if let Some(span) = value.span() {
        spans.insert(pointer.to_owned(), span);
    }
    let at = value.span().map_or(0, |span| span.start);
    Ok(match value {
        toml_edit::Value::String(text) => Value::String(text.value().clone()),
        toml_edit::Value::Integer(integer) => Value::Number((*integer.value()).into()),
        toml_edit::Value::Boolean(boolean) => Value::Bool(*boolean.value()),
        toml_edit::Value::Datetime(datetime) => Value::String(datetime.value().to_string()),
        toml_edit::Value::Float(double) => match Number::from_f64(*double.value()) {
            Some(number) => Value::Number(number),
            None => return Err(Syntax { message: "a number must be finite".to_owned(), at }),
        },
        toml_edit::Value::Array(items) => {
            let items = items.iter().enumerate();
            items
                .map(|(index, item)| toml_value(item, &format!("{pointer}/{index}"), spans))
                .collect::<Result<_, _>>()?
        }
        toml_edit::Value::InlineTable(table) => toml_table(table, pointer, spans)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(ending: &str, text: &str) -> Document {
        Document::parse("f", ending, text.to_owned()).unwrap()
    }

    #[test]
    fn three_formats_say_the_same() {
        let expected = json!({"a": {"b": [1, "x", true, {"c": 1.5}]}});
        let yaml = parse("yaml", "# ünï\na:\n  b:\n    - 1\n    - x\n    - true\n    - c: 1.5\n");
        let json = parse("json", r#"{"a": {"b": [1, "x", true, {"c": 1.5}]}}"#);
        let toml = parse("toml", "[a]\nb = [1, \"x\", true, {c = 1.5}]\n");
        for document in [&yaml, &json, &toml] {
            assert_eq!(document.value, expected);
        }
        let place = |document: &Document, pointer: &str| {
            let place = document.place(pointer);
            (place.line, place.column)
        };
        assert_eq!(place(&yaml, "/a/b/3/c"), (7, 7));
        assert_eq!(place(&yaml, "/a/b/1"), (5, 7));
        assert_eq!(place(&json, "/a/b/1"), (1, 17));
        assert_eq!(place(&toml, "/a/b"), (2, 1));
        // What is missing has the place of what it is missing from.
        assert_eq!(place(&yaml, "/a/b/3/d/e"), (7, 7));
    }

    #[test]
    fn syntax_errors_have_a_place() {
        for (ending, text, place) in [
            ("yaml", "a: [1\nb: 2\n", "f:2:"),
            ("json", "{\"a\": 1,}", "f:1:9"),
            ("toml", "a = \n", "f:1:"),
            ("yaml", "a: 1\n---\nb: 2\n", "f:3:"),
            ("yaml", "", "f:1:1"),
        ] {
            let error = Document::parse("f", ending, text.to_owned()).err().unwrap();
            let found = error.places.first().map(|place| place.to_string()).unwrap_or_default();
            assert!(found.starts_with(place), "{ending}: {found}: {error}");
        }
    }

    #[test]
    fn credentials_are_not_shown() {
        let yaml = parse(
            "yaml",
            "client:\n  auth: {type: api_key, name: X-Key, api_key: 'hünter2 x', password: 7}\n  x: hü\n",
        );
        let json = parse("json", r#"{"client": {"auth": {"type": "bearer", "token": "hunter2"}}, "x": "hü"}"#);
        let toml = parse("toml", "[client.auth]\ntype = \"bearer\"\ntoken = \"hunter2\"\nslot = {secret = \"key\"}\n");
        let word = parse("yaml", "client: {auth: hunter2}\n");
        let block = parse("yaml", "client:\n  auth:\n    private_key: |\n      hunter2\n      hunter2\n    name: x\n");
        for document in [&yaml, &json, &toml, &word, &block] {
            assert!(!document.shown.contains("nter2") && document.text.contains("nter2"), "{}", document.shown);
            assert_eq!(document.shown.len(), document.text.len());
        }
        let url = parse("yaml", "client: {base_url: \"https://me:hunter2@h.example/a@b\"}\n");
        assert!(url.shown.contains("https://**********@h.example/a@b"), "{}", url.shown);
        assert!(yaml.shown.contains("name: X-Key, api_key: *") && yaml.shown.contains("x: hü"), "{}", yaml.shown);
        assert!(toml.shown.contains("secret = \"key\""), "{}", toml.shown);
        assert!(block.shown.contains("name: x"), "{}", block.shown);
    }

    #[test]
    fn deep_nesting_is_refused() {
        let text = "[".repeat(5000) + &"]".repeat(5000);
        assert!(Document::parse("f", "yaml", text).is_err());
    }
}
