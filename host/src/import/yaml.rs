//! Writing YAML with comments: what a serializer of values cannot do.
//!
//! The reader is our own [`Document`](crate::pipeline::document::Document): what is written here must be read there as the
//! same value. A text stands plain only where no reader of YAML could take it for something else.

use serde_json::Value;

/// How wide a line of flow style (`{ a: 1, b: [2] }`) may get.
const WIDTH: usize = 100;

/// How deep flow style may be nested.
const FLOW_DEPTH: usize = 2;

/// A value, and a word on it.
pub struct Node {
    pub yaml: Yaml,
    /// Stands as a comment behind a single value, and above others.
    pub note: Option<String>,
}

/// A value with comments between its parts.
pub enum Yaml {
    /// A single value: neither a list nor an object.
    Scalar(Value),
    List(Vec<Line<Node>>),
    Map(Vec<Line<(String, Node)>>),
}

/// A part of a list or an object, or a comment in its place.
pub enum Line<T> {
    Part(T),
    Comment(Comment),
}

/// A comment in the place of what is left out.
pub struct Comment {
    /// The keys to it from where the comment stands, with dots.
    keys: String,
    note: String,
}

impl Comment {
    pub fn new(note: impl Into<String>) -> Self {
        Self { keys: String::new(), note: note.into() }
    }

    /// The comment, where what it stands for is left out with what is around it.
    #[must_use]
    pub fn under(self, key: &str) -> Self {
        let keys = if self.keys.is_empty() { key.to_owned() } else { format!("{key}.{}", self.keys) };
        Self { keys, ..self }
    }
}

impl Node {
    /// A single value.
    pub fn scalar(value: impl Into<Value>) -> Self {
        Self { yaml: Yaml::Scalar(value.into()), note: None }
    }

    /// An object.
    pub fn map(entries: Vec<Line<(String, Node)>>) -> Self {
        Self { yaml: Yaml::Map(entries), note: None }
    }
}

/// Writes an object as a document. Its parts are set apart by empty lines.
pub fn document(comments: &[Comment], entries: &[Line<(String, Node)>]) -> String {
    let mut text = String::new();
    for line in comments {
        comment(&mut text, 0, line);
    }
    for (index, entry) in entries.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        write_entry(&mut text, 0, entry, true);
    }
    if entries.is_empty() {
        text.push_str("{}\n");
    }
    text
}

fn write_entry(text: &mut String, indent: usize, line: &Line<(String, Node)>, indented: bool) {
    match line {
        Line::Comment(note) => comment(text, indent, note),
        Line::Part((key, node)) => {
            if let (Some(note), false) = (&node.note, matches!(node.yaml, Yaml::Scalar(_))) {
                comment(text, indent, &Comment::new(note));
            }
            if indented || node.note.is_some() && !matches!(node.yaml, Yaml::Scalar(_)) {
                text.push_str(&" ".repeat(indent));
            }
            text.push_str(&scalar(&Value::String(key.clone()), false));
            text.push(':');
            write_value(text, indent + 2, node);
        }
    }
}

/// Writes what stands behind `key:`, with the line's end.
fn write_value(text: &mut String, indent: usize, node: &Node) {
    // The keys of a document, and the lists of its resources, are easier to read one by one.
    let short = if indent <= 4 { None } else { flow(&node.yaml, FLOW_DEPTH) };
    let room = WIDTH.saturating_sub(indent);
    match (&node.yaml, short) {
        (Yaml::Scalar(value), _) => {
            text.push(' ');
            text.push_str(&scalar(value, false));
            if let Some(note) = &node.note {
                text.push_str("  # ");
                text.push_str(&one_line(note));
            }
            text.push('\n');
        }
        (_, Some(short)) if short.len() <= room => {
            text.push(' ');
            text.push_str(&short);
            text.push('\n');
        }
        (Yaml::List(lines), _) => {
            let empty = !lines.iter().any(|line| matches!(line, Line::Part(_)));
            text.push_str(if empty { " []\n" } else { "\n" });
            for line in lines {
                match line {
                    Line::Comment(note) => comment(text, indent, note),
                    Line::Part(item) => write_item(text, indent, item),
                }
            }
        }
        (Yaml::Map(lines), _) => {
            let empty = !lines.iter().any(|line| matches!(line, Line::Part(_)));
            text.push_str(if empty { " {}\n" } else { "\n" });
            for line in lines {
                write_entry(text, indent, line, true);
            }
        }
    }
}

fn write_item(text: &mut String, indent: usize, item: &Node) {
    if let (Some(note), false) = (&item.note, matches!(item.yaml, Yaml::Scalar(_))) {
        comment(text, indent, &Comment::new(note));
    }
    text.push_str(&" ".repeat(indent));
    text.push('-');
    let short = flow(&item.yaml, FLOW_DEPTH).filter(|short| short.len() <= WIDTH.saturating_sub(indent));
    match (&item.yaml, short) {
        (Yaml::Map(lines), None) => {
            // The first key stands behind the dash, where neither it nor its value has a comment above it.
            let bare = |node: &Node| node.note.is_none() || matches!(node.yaml, Yaml::Scalar(_));
            let behind = matches!(lines.first(), Some(Line::Part((_, node))) if bare(node));
            let empty = !lines.iter().any(|line| matches!(line, Line::Part(_)));
            text.push_str(match (empty, behind) {
                (true, _) => " {}\n",
                (false, true) => " ",
                (false, false) => "\n",
            });
            for (index, line) in lines.iter().enumerate() {
                write_entry(text, indent + 2, line, index > 0 || !behind);
            }
        }
        (_, Some(short)) if !matches!(item.yaml, Yaml::Scalar(_)) => {
            text.push(' ');
            text.push_str(&short);
            text.push('\n');
        }
        _ => write_value(text, indent + 2, item),
    }
}

/// The value in one line, where it has no comments in it and is not nested deeper than `depth`.
fn flow(yaml: &Yaml, depth: usize) -> Option<String> {
    let part = |node: &Node| match node.note {
        Some(_) => None,
        None => flow(&node.yaml, depth.checked_sub(1)?),
    };
    match yaml {
        Yaml::Scalar(value) => Some(scalar(value, true)),
        Yaml::List(lines) => {
            let mut items = Vec::with_capacity(lines.len());
            for line in lines {
                let Line::Part(item) = line else { return None };
                if matches!(item.yaml, Yaml::Map(_)) {
                    return None;
                }
                items.push(part(item)?);
            }
            Some(format!("[{}]", items.join(", ")))
        }
        Yaml::Map(lines) => {
            let mut entries = Vec::with_capacity(lines.len());
            for line in lines {
                let Line::Part((key, node)) = line else { return None };
                entries.push(format!("{}: {}", scalar(&Value::String(key.clone()), true), part(node)?));
            }
            Some(if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) })
        }
    }
}

fn comment(text: &mut String, indent: usize, comment: &Comment) {
    text.push_str(&" ".repeat(indent));
    if !comment.keys.is_empty() {
        text.push_str(&format!("# {}:  ", one_line(&comment.keys)));
    }
    text.push_str("# ");
    text.push_str(&one_line(&comment.note));
    text.push('\n');
}

/// A comment ends with its line, so nothing in it may end the line, nor be a character that YAML forbids.
fn one_line(note: &str) -> String {
    let words: Vec<&str> = note.split_whitespace().collect();
    words.join(" ").chars().map(|char| if printable(char) { char } else { '\u{fffd}' }).collect()
}

/// What may stand in YAML as it is; all else is written as an escape.
fn printable(char: char) -> bool {
    matches!(char, ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
        || char > '\u{ffff}'
}

/// A single value. In flow style, fewer texts can stand plain.
fn scalar(value: &Value, in_flow: bool) -> String {
    let Value::String(text) = value else { return value.to_string() };
    if plain(text, in_flow) { text.clone() } else { quoted(text) }
}

/// Whether every reader takes this text, unquoted, for itself.
fn plain(text: &str, in_flow: bool) -> bool {
    // In YAML 1.1 these are truth values, too.
    const WORDS: [&str; 13] =
        ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf", "infinity", "nil"];
    let starts = text.starts_with(|char: char| char.is_ascii_alphabetic() || matches!(char, '/' | '_' | '$'));
    let safe = |char: char| {
        char.is_ascii_alphanumeric()
            || matches!(char, '_' | '-' | '.' | '/' | '$' | '*' | '@' | '(' | ')' | '+' | '=' | '?' | '&' | ';' | '~')
            || !in_flow && matches!(char, ' ' | ':' | '{' | '}' | '[' | ']' | ',')
            || in_flow && char == ' '
    };
    starts
        && text.chars().all(safe)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

/// The text in double quotes: JSON's escapes, which YAML has too, and YAML's own for what YAML forbids.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for char in text.chars() {
        match char {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            char if printable(char) => quoted.push(char),
            char => quoted.push_str(&format!("\\u{:04x}", u32::from(char))),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::document::Document;
    use proptest::prelude::*;
    use serde_json::json;

    fn node(value: &Value, comments: bool) -> Node {
        let note = || comments.then(|| "a note: with \"all\" # in\nit \u{0} - [x".to_owned());
        let yaml = match value {
            Value::Array(items) => {
                let mut lines: Vec<Line<Node>> = items.iter().map(|item| Line::Part(node(item, comments))).collect();
                lines.extend(note().map(|note| Line::Comment(Comment::new(note).under("a\nb"))));
                Yaml::List(lines)
            }
            Value::Object(fields) => {
                let mut lines: Vec<Line<(String, Node)>> =
                    note().map(|note| Line::Comment(Comment::new(note).under("a\nb"))).into_iter().collect();
                lines.extend(fields.iter().map(|(key, value)| Line::Part((key.clone(), node(value, comments)))));
                Yaml::Map(lines)
            }
            single => Yaml::Scalar(single.clone()),
        };
        Node { yaml, note: note() }
    }

    fn round_trip(value: &Value) {
        for comments in [false, true] {
            let text = document(
                &[Comment::new("a head")],
                &[
                    Line::Part(("first".to_owned(), node(value, comments))),
                    Line::Part(("last".to_owned(), node(value, comments))),
                ],
            );
            let read = Document::parse("f", "yaml", text.clone());
            let read = read.unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!(read.value, json!({"first": value, "last": value}), "{text}");
        }
    }

    #[test]
    fn nasty_texts_come_back() {
        let texts = [
            "",
            " ",
            "a ",
            " a",
            "null",
            "Null",
            "~",
            "true",
            "Yes",
            "no",
            "on",
            "y",
            "1",
            "1.5",
            "1e3",
            "0x1f",
            "0o7",
            "-1",
            "+1",
            ".5",
            ".inf",
            ".nan",
            "1_000",
            "12:30",
            "2024-01-01",
            "- a",
            "-",
            "?",
            "? a",
            ":",
            "a:",
            "a: b",
            "a :b",
            "a #b",
            "#a",
            "a#b",
            "&a",
            "*a",
            "!a",
            "!!str a",
            "|",
            ">",
            "%a",
            "@a",
            "`a",
            "'a'",
            "\"a\"",
            "{a}",
            "{a",
            "[a]",
            "a]",
            "a, b",
            "a}",
            "/x/{y}/z",
            "{resources.a.b}/c",
            "https://a.b/c?d=e&f=g#h",
            "a\nb",
            "a\r\nb",
            "\n",
            "\t",
            "a\tb",
            "\u{0}",
            "\u{7f}",
            "\u{85}",
            "\u{a0}",
            "\u{2028}",
            "\u{2029}",
            "\u{feff}",
            "\u{fffe}",
            "\u{1f600}",
            "ünï",
            "---",
            "--- a",
            "...",
            "<<",
            "=",
            "$[*].a",
            "$.a[?(@.b > 1)]",
            "a\\b",
            "a'b",
            "\\",
            "NaN",
            "Infinity",
            "0b1",
            "1.",
            "0",
            "00",
            "e",
            "1e",
            "a: ",
            "key:",
        ];
        for text in texts {
            round_trip(&json!(text));
            round_trip(&json!({ text: text, "list": [text, [text], {text: [text]}] }));
        }
        round_trip(
            &json!({"a": [], "b": {}, "c": [[], {}, [[{"d": [{}]}]]], "e": null, "f": [true, 1, -1, 1.5, 1e300, 1e-7]}),
        );
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let text = prop_oneof![any::<String>(), "[a-z:#{}\\[\\], \"'\\-?&*!|>%@~\n]{0,12}", "[0-9+.eExXo_:-]{0,8}"];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 60, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((text.clone(), inner), 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_value_comes_back(value in any_value()) {
            round_trip(&value);
        }

        #[test]
        fn doubles_come_back(double in any::<f64>().prop_filter("JSON has finite numbers", |double| double.is_finite())) {
            let text = document(&[], &[Line::Part(("a".to_owned(), Node::scalar(double)))]);
            let read = Document::parse("f", "yaml", text.clone()).unwrap_or_else(|error| panic!("{error}\n{text}"));
            prop_assert_eq!(read.value["a"].as_f64(), Some(double), "{}", text);
        }
    }
}
