//! The keys of pipeline files, as Markdown, from their JSON Schema.
//!
//! An object has a section under the key that it is the value of, which is the name that people know it by. Words and texts that
//! may stand in the place of an object are told in the row of their key.

use super::on_one_line;
use serde_json::Value;
use std::fmt::Write as _;

/// Sections whose name is not the key that leads to them.
const NAMES: [(&str, &str); 2] = [("Slot", "secret"), ("TextForm", "raw_string")];

/// Texts and lists of texts, which need no more words in the rows that have them.
const PLAIN: [&str; 2] = ["SecretText", "OneOrMany"];

/// How many keys another object may have more, where it is referred to in the place of a table.
const MORE: usize = 3;

/// The pages that say more.
const PAGES: [(&str, &str); 17] = [
    ("pipeline", "start.md"),
    ("endpoint", "requests.md"),
    ("auth", "authentication.md"),
    ("secret", "secrets.md"),
    ("response_actions", "errors-and-pace.md"),
    ("error_handler", "errors-and-pace.md"),
    ("rate_limit", "errors-and-pace.md"),
    ("timeouts", "errors-and-pace.md"),
    ("resources", "parents.md"),
    ("response_format", "responses.md"),
    ("incremental", "incremental.md"),
    ("processing_steps", "shaping.md"),
    ("columns", "tables.md"),
    ("schema_contract", "tables.md"),
    ("write_disposition", "loading.md"),
    ("policy", "policy.md"),
    ("limits", "limits.md"),
];

/// An object with keys, or several kinds of one.
struct Section<'s> {
    name: String,
    object: &'s Value,
    /// How many sections it is inside of, on the way on which it is found first.
    depth: usize,
    /// The sections that have it as a value.
    within: Vec<String>,
}

/// All sections, in the order in which a reader of a file meets them, and the outline of them.
struct Reference<'s> {
    schema: &'s Value,
    sections: Vec<Section<'s>>,
}

/// The whole reference.
pub fn of(schema: &Value) -> String {
    let mut reference = Reference { schema, sections: Vec::new() };
    reference.find("pipeline", schema, 0, None);
    let outline: String = reference.sections.iter().map(|section| reference.line(section)).collect();
    let sections: String = reference.sections.iter().map(|section| reference.section(section)).collect();
    format!("{outline}{sections}")
}

impl<'s> Reference<'s> {
    /// Finds the sections under a key, each once.
    fn find(&mut self, key: &str, schema: &'s Value, depth: usize, within: Option<&str>) {
        let (definition, schema) = self.resolved(schema);
        let Some(kinds) = kinds(schema) else {
            let parts = parts(schema).iter().chain(schema.get("items")).chain(schema.get("additionalProperties"));
            return parts.for_each(|part| self.find(key, part, depth, within));
        };
        let known = self.sections.iter_mut().find(|section| std::ptr::eq(section.object, schema));
        if let (Some(section), Some(within)) = (known, within) {
            if !section.within.iter().any(|name| name == within) {
                section.within.push(within.to_owned());
            }
            return;
        }
        let name = NAMES.iter().find(|(of, _)| definition == Some(*of)).map_or(key, |(_, name)| name);
        let within = within.map(str::to_owned).into_iter().collect();
        self.sections.push(Section { name: name.to_owned(), object: schema, depth, within });
        for (key, value) in kinds.iter().filter_map(|kind| kind["properties"].as_object()).flatten() {
            self.find(key, value, depth + 1, Some(name));
        }
    }

    /// The definition that is referred to, and its name.
    fn resolved(&self, schema: &'s Value) -> (Option<&'s str>, &'s Value) {
        match schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/")) {
            Some(name) => (Some(name), &self.schema["$defs"][name]),
            None => (None, schema),
        }
    }

    fn named(&self, schema: &Value) -> Option<&Section<'s>> {
        self.sections.iter().find(|section| std::ptr::eq(section.object, schema))
    }

    /// A line of the outline.
    fn line(&self, section: &Section) -> String {
        let kinds = kinds(section.object).unwrap_or_default();
        let kinds: Vec<_> = kinds.iter().filter_map(|kind| kind_link(&section.name, kind)).collect();
        let kinds = if kinds.is_empty() { String::new() } else { format!(": {}", kinds.join(", ")) };
        format!("{}- {}{kinds}\n", "  ".repeat(section.depth), link(&section.name))
    }

    fn section(&self, section: &Section) -> String {
        let name = &section.name;
        let mut text = format!("\n## {name}\n\n{}", sentence(section.object));
        if !section.within.is_empty() {
            let within: Vec<_> = section.within.iter().map(|name| link(name)).collect();
            write!(text, " Stands in {}.", listed(&within, "and")).unwrap();
        }
        if let Some((_, page)) = PAGES.iter().find(|(of, _)| of == name) {
            write!(text, " More: [{}]({page}).", page.trim_end_matches(".md").replace('-', " ")).unwrap();
        }
        text.push('\n');
        for kind in kinds(section.object).unwrap_or_default() {
            match kind["properties"]["type"]["const"].as_str() {
                Some(word) => write!(text, "\n### {name}: {word}\n\n{}\n{}", sentence(kind), self.table(kind)).unwrap(),
                None => match self.wider(kind) {
                    Some(said) => write!(text, "\n{said}\n").unwrap(),
                    None => text += &self.table(kind),
                },
            }
        }
        text
    }

    /// For an object with the keys of another one, but for some: that it has them.
    fn wider(&self, object: &Value) -> Option<String> {
        let keys = object["properties"].as_object().filter(|keys| keys.len() > MORE)?;
        let (section, more) = self.sections.iter().find_map(|section| {
            let others = section.object["properties"].as_object()?;
            let more = others.len().wrapping_sub(keys.len());
            let has_all = (1..=MORE).contains(&more) && keys.keys().all(|key| others.contains_key(key));
            has_all.then(|| (section, others.keys().filter(|key| !keys.contains_key(*key))))
        })?;
        let more: Vec<_> = more.map(|key| format!("`{key}`")).collect();
        Some(format!("It has the keys of {}, but for {}.", link(&section.name), listed(&more, "and")))
    }

    /// The keys of an object.
    fn table(&self, object: &Value) -> String {
        let rows = object["properties"].as_object().into_iter().flatten();
        let rows = rows.filter(|(_, value)| value.get("const").is_none()).map(|(key, value)| {
            let required = object["required"].as_array().is_some_and(|keys| keys.contains(&Value::from(key.as_str())));
            let default = if required { "required".to_owned() } else { default(value) };
            let mut what = sentence(value);
            for word in self.words(value) {
                write!(what, "<br>{word}").unwrap();
            }
            let values = self.values(value);
            [format!("`{key}`"), values, default, what].map(|cell| cell.replace('|', "\\|")).join(" | ")
        });
        let rows: String = rows.map(|row| format!("| {row} |\n")).collect();
        if rows.is_empty() { rows } else { format!("\n| key | values | default | what |\n|---|---|---|---|\n{rows}") }
    }

    /// What may be the value, in a few words.
    fn values(&self, schema: &'s Value) -> String {
        let (_, schema) = self.resolved(schema);
        if let Some(section) = self.named(schema) {
            return link(&section.name);
        }
        let own = constants(schema);
        if !own.is_empty() {
            return listed(&own, "or");
        }
        let several: Vec<_> = parts(schema).iter().filter(|part| !is_null(part)).collect();
        if !several.is_empty() {
            let is_word = |part: &Value| several.len() > 1 && !constants(self.resolved(part).1).is_empty();
            let several = several.iter().map(|part| if is_word(part) { "word".to_owned() } else { self.values(part) });
            return listed(&several.collect::<Vec<_>>(), "or");
        }
        let kinds: Vec<_> = kinds_of(schema).map(|kind| self.of_kind(kind, schema)).collect();
        if kinds.is_empty() { "any".to_owned() } else { listed(&kinds, "or") }
    }

    fn of_kind(&self, kind: &str, schema: &'s Value) -> String {
        match kind {
            "string" => "text".to_owned(),
            "boolean" => "`true` or `false`".to_owned(),
            "integer" => range("whole number", schema),
            "number" => range("number", schema),
            "array" => match schema.get("items").map(|items| self.values(items)) {
                Some(items) if items != "any" => format!("list of {}", several_of(&items)),
                _ => "list".to_owned(),
            },
            "object" => match schema.get("additionalProperties").filter(|value| value.is_object()) {
                Some(value) => format!("{}, by name", several_of(&self.values(value))),
                None => "object".to_owned(),
            },
            kind => kind.to_owned(),
        }
    }

    /// What is to be said of each value: of words, and of forms.
    fn words(&self, schema: &'s Value) -> Vec<String> {
        let (definition, schema) = self.resolved(schema);
        if definition.is_some_and(|name| PLAIN.contains(&name)) || self.named(schema).is_some() {
            return Vec::new();
        }
        let is_list = kinds_of(schema).any(|kind| kind == "array");
        let mut words = Vec::new();
        for part in parts(schema).iter().chain(schema.get("items").filter(|_| is_list)).filter(|part| !is_null(part)) {
            let (_, target) = self.resolved(part);
            if let Some(word) = target["const"].as_str() {
                if parts(schema).len() == 1 {
                    break;
                }
                words.push(format!("`{word}`: {}", sentence(target)));
            } else if parts(target).is_empty() || self.named(target).is_some() {
                let is_news = |said: &&str| !is_list && said.split_whitespace().count() > 3;
                if let Some(said) = part["description"].as_str().filter(is_news) {
                    words.push(format!("{}: {}", self.values(part), on_one_line(said)));
                }
            } else {
                words.extend(self.words(part));
            }
        }
        words
    }
}

/// Of an object with keys: itself, or the kinds that there are of it.
fn kinds(schema: &Value) -> Option<&[Value]> {
    let has_keys = |schema: &Value| schema["properties"].as_object().is_some();
    let several = schema["oneOf"].as_array().filter(|kinds| kinds.iter().all(has_keys));
    several.map(Vec::as_slice).or_else(|| has_keys(schema).then(|| std::slice::from_ref(schema)))
}

/// The alternatives that a value has.
fn parts(schema: &Value) -> &[Value] {
    let parts = ["anyOf", "oneOf"].iter().find_map(|key| schema[*key].as_array());
    parts.map(Vec::as_slice).unwrap_or_default()
}

/// The words that a value may be, where it may be nothing else.
fn constants(schema: &Value) -> Vec<String> {
    let words = schema["enum"].as_array().into_iter().flatten();
    let words = words.chain(schema.get("const")).chain(parts(schema).iter().map(|part| &part["const"]));
    words.filter(|word| !word.is_null()).map(|word| format!("`{}`", text(word))).collect()
}

/// `string`, `integer` and so on, but for `null`.
fn kinds_of(schema: &Value) -> impl Iterator<Item = &str> {
    let kind = &schema["type"];
    let several = kind.as_array().map_or(std::slice::from_ref(kind), Vec::as_slice);
    several.iter().filter_map(Value::as_str).filter(|kind| *kind != "null")
}

fn is_null(schema: &Value) -> bool {
    schema["type"] == "null"
}

fn range(kind: &str, schema: &Value) -> String {
    match (schema["minimum"].as_number(), schema["maximum"].as_number()) {
        // A limit of what holds the number, and not of the number.
        (_, Some(to)) if to.as_u64() == Some(u16::MAX.into()) => kind.to_owned(),
        (Some(from), Some(to)) => format!("{kind} from {from} to {to}"),
        (Some(from), None) if from.as_f64() != Some(0.0) => format!("{kind}, {from} or more"),
        _ => kind.to_owned(),
    }
}

fn default(schema: &Value) -> String {
    match &schema["default"] {
        Value::Null => String::new(),
        Value::Object(fields) if fields.is_empty() => String::new(),
        Value::Array(items) if items.is_empty() => String::new(),
        value => format!("`{}`", text(value)),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn sentence(schema: &Value) -> String {
    on_one_line(schema["description"].as_str().unwrap_or_default())
}

/// Several of what `values` says one of.
fn several_of(one: &str) -> String {
    let several = one.split(" or ").map(|one| match one {
        "text" | "list" | "number" | "whole number" => format!("{one}s"),
        one => one.to_owned(),
    });
    several.collect::<Vec<_>>().join(" or ")
}

/// `a, b or c`
fn listed(items: &[String], last: &str) -> String {
    match items {
        [some @ .., one] if !some.is_empty() => format!("{} {last} {one}", some.join(", ")),
        items => items.concat(),
    }
}

fn link(name: &str) -> String {
    format!("[{name}](#{name})")
}

fn kind_link(name: &str, kind: &Value) -> Option<String> {
    let word = kind["properties"]["type"]["const"].as_str()?;
    Some(format!("[{word}](#{name}-{word})"))
}
