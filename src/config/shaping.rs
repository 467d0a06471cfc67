//! What an endpoint says of the form of its responses, and a resource of what is done to its records.

use super::model::yes;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The form of a response's body: a word, or an object.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ResponseFormat {
    /// The word.
    Word(FormatWord),
    /// A form about which there is more to say.
    Object(FormatObject),
}

/// The form of a response's body.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FormatWord {
    /// One JSON document.
    Json,
    /// A JSON document on each line.
    Ndjson,
    /// Another name of `ndjson`.
    Jsonl,
    /// Comma-separated values, with a line of names first.
    Csv,
}

/// A form about which there is more to say.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum FormatObject {
    /// One JSON document.
    Json {},
    /// A JSON document on each line.
    Ndjson {},
    /// Comma-separated values.
    Csv(Csv),
}

/// Comma-separated values.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Csv {
    /// The one character between values, `,` if absent.
    #[schemars(length(min = 1))]
    pub delimiter: Option<String>,
    /// Whether the first line has the names of the columns.
    #[serde(default = "yes")]
    #[schemars(with = "Option<bool>")]
    pub header: bool,
    /// The names of the columns, in the place of those in the header or where there is none.
    pub columns: Option<Vec<String>>,
}

/// What is done to a record: one of these.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessingStep {
    /// An expression; the record is kept where it holds.
    pub filter: Option<String>,
    /// What the record becomes: an expression whose value is an object, or changes.
    pub map: Option<MapStep>,
    /// The path of a list; there is one record for each of its items.
    pub explode: Option<ExplodeStep>,
    /// The records that it becomes.
    #[schemars(with = "Option<String>")]
    pub yield_map: Option<IgnoredAny>,
}

/// What a record becomes.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum MapStep {
    /// An expression whose value is the new record.
    Expression(String),
    /// What is changed of it.
    Changes(Box<Changes>),
}

/// What is changed of a record, in this order.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// What fields are set to, by path: a text is an expression, every other value stands for itself.
    #[serde(default)]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub set: Map<String, Value>,
    /// The new paths of fields, by path.
    #[serde(default)]
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub rename: BTreeMap<String, String>,
    /// The paths of fields that are left out.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub drop: Vec<String>,
    /// The types that fields are made, by path.
    #[serde(default)]
    #[schemars(with = "Option<BTreeMap<String, Cast>>")]
    pub cast: BTreeMap<String, Cast>,
}

/// The type that a field is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cast {
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// A text.
    Text,
    /// True or false.
    Bool,
    /// A time in UTC, as ISO text; numbers are seconds or milliseconds since 1970.
    Timestamp,
}

/// Where the list is that makes several records of one.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ExplodeStep {
    /// Its path.
    Path(String),
    /// Its path, with what becomes of its items.
    Object(Explode),
}

/// A list that makes several records of one.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Explode {
    /// Its path.
    pub path: String,
    /// The path at which each record has its item; the list's own if absent.
    #[serde(rename = "as")]
    pub name: Option<String>,
    /// Whether a record without an item is kept, with null in its place.
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub outer: bool,
}
