//! What an endpoint says of responses (reference, section 7.1).
//! Only the schema of these types is used: `later` says what becomes of their values.
#![allow(dead_code)]

use schemars::JsonSchema;

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
