//! What an endpoint says of its body, of responses and of records (reference, sections 1.3, 7.1 and 8).
//! Only the schema of these types is used: `later` says what becomes of their values.
#![allow(dead_code)]

use schemars::JsonSchema;
use serde_json::{Map, Value};

/// A body that is not JSON.
#[derive(JsonSchema)]
#[serde(untagged)]
pub enum Form {
    /// The fields of a form.
    Fields(Map<String, Value>),
    /// A text.
    Text(String),
    /// The fields of a form, as pairs of name and value.
    Pairs(Vec<Vec<Value>>),
}

/// What is done about a response.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResponseAction {
    /// The status that it is for.
    pub status_code: Option<u16>,
    /// A part of the body that it is for.
    pub content: Option<String>,
    /// What is done.
    pub action: Action,
}

/// What is done about a response.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is left out, and the chain of pages ends.
    Ignore,
    /// The run fails.
    Raise,
}

/// What is done to a record: one of these.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessingStep {
    /// Whether it is kept.
    pub filter: Option<String>,
    /// What it becomes.
    pub map: Option<String>,
    /// The records that it becomes.
    pub yield_map: Option<String>,
}
