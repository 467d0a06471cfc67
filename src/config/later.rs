//! What the dialect has and this version does not carry out. Nothing is ignored silently: what a person would miss is refused,
//! and what changes nothing here is warned of.

use super::disposition;
use super::spelling::escape;
use crate::error::Error;
use serde_json::Value;

/// What becomes of a key.
enum Fate {
    /// The configuration is refused, with this advice if it is not empty.
    Refused(&'static str),
    /// It has no effect, for this reason.
    Idle(&'static str),
}
use Fate::{Idle, Refused};

/// Keys of a resource, with `*` for any step. A null, false or empty value asks for nothing. Where words stand in the second
/// place, the others are carried out.
const LATER: &[(&str, &[&str], Fate)] = &[
    ("nested_hints", &[], Refused("")),
    ("references", &[], Idle("no references between tables are written")),
    ("table_format", &["iceberg", "delta", "hive"], Refused("the tables are those of the database")),
    ("file_format", &[], Idle("rows are not loaded from files")),
    ("parent_table_name", &[], Refused("")),
    (
        "processing_steps/*/yield_map",
        &[],
        Refused("it is a function in dlt; `explode: path` makes several records of one"),
    ),
    ("write_disposition", &["skip"], Refused("write `selected: false`, or leave the resource out")),
    ("write_disposition/disposition", &["skip"], Refused("write `selected: false`, or leave the resource out")),
    ("write_disposition/strategy", &["cdc"], Refused(CDC)),
    ("write_disposition/skip_unchanged_rows", &[], Refused("leave it out: every row that is delivered is written")),
    (
        "write_disposition/source_filter",
        &[],
        Refused("write a `filter` into `processing_steps`, which leaves records out"),
    ),
    (
        "write_disposition/destination_scope",
        &[],
        Refused(
            "write a `merge_key`: rows that are there are replaced where the run delivers rows with the same values in it",
        ),
    ),
    ("columns/*/unique", &[], Refused("")),
    ("columns/*/sort", &[], Refused("")),
    ("columns/*/partition", &[], Refused("")),
    ("columns/*/cluster", &[], Refused("")),
    (
        "endpoint/incremental/allow_external_schedulers",
        &[],
        Idle("no scheduler is asked; `--since` and `--until` say it"),
    ),
];

const CDC: &str = "what the source marks is deleted with `upsert` and `hard_delete: true` on a column; what it no longer delivers, with \
                   `disposition: replace`";

/// What is refused, and what is warned of, in a document that fits the schema.
pub fn find(document: &Value) -> (Vec<Error>, Vec<Error>) {
    let (mut refused, mut idle) = (Vec::new(), Vec::new());
    let count = document.get("resources").and_then(Value::as_array).map_or(0, Vec::len);
    let resources = (0..count).map(|index| format!("/resources/{index}"));
    for place in std::iter::once("/resource_defaults".to_owned()).chain(resources) {
        let Some(resource) = document.pointer(&place).filter(|resource| resource.is_object()) else { continue };
        for (path, words, fate) in LATER {
            let mut found = Vec::new();
            collect(resource, path.split('/'), &place, &mut found);
            for (pointer, value) in found {
                let Some(what) = named(&pointer, value, words) else { continue };
                match fate {
                    Refused(advice) => {
                        let message =
                            format!("{what} belongs to the dialect, but this version does not carry it out yet");
                        let advice = (!advice.is_empty()).then(|| (*advice).to_owned());
                        refused.push(Error { advice, ..Error::config(pointer, message) });
                    }
                    Idle(reason) => idle.push(
                        Error::config(pointer, format!("{what} has no effect: {reason}")).advice("it can be left out"),
                    ),
                }
            }
        }
    }
    idle.extend(disposition::idle(document));
    let place = "/resource_defaults/endpoint/path";
    if document.pointer(place).is_some_and(|path| !path.is_null()) {
        idle.push(
            Error::config(place, "the key `path` has no effect here: a resource's path is its name if it gives none")
                .advice("write `path` into the resources"),
        );
    }
    (refused, idle)
}

/// The value, or the key, that is not carried out; none where it asks for nothing.
fn named(pointer: &str, value: &Value, words: &[&str]) -> Option<String> {
    let key = pointer.rsplit('/').next().unwrap_or_default();
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::Array(items) if items.is_empty() => None,
        Value::Object(fields) if fields.is_empty() => None,
        Value::String(word) if !words.is_empty() => words.contains(&word.as_str()).then(|| format!("`{key}: {word}`")),
        _ if !words.is_empty() => None,
        _ => Some(format!("the key `{key}`")),
    }
}

fn collect<'v>(
    value: &'v Value,
    mut steps: std::str::Split<'_, char>,
    pointer: &str,
    found: &mut Vec<(String, &'v Value)>,
) {
    match (steps.next(), value) {
        (None, value) => found.push((pointer.to_owned(), value)),
        (Some("*"), Value::Object(fields)) => {
            for (key, value) in fields {
                collect(value, steps.clone(), &format!("{pointer}/{}", escape(key)), found);
            }
        }
        (Some("*"), Value::Array(items)) => {
            for (index, value) in items.iter().enumerate() {
                collect(value, steps.clone(), &format!("{pointer}/{index}"), found);
            }
        }
        (Some(step), value) => {
            if let Some(value) = value.get(step) {
                collect(value, steps, &format!("{pointer}/{step}"), found);
            }
        }
    }
}
