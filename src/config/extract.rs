//! What an endpoint says of its body, of what is new and of records (reference, sections 1.3, 6.1 and 8).
//! Only the schema of these types is used: `later` says what becomes of their values.
#![allow(dead_code)]

use super::hints::Order;
use super::model::OneOrMany;
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

/// Reads only what is new since the run before.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Incremental {
    /// JSONPath to the cursor in each record.
    pub cursor_path: String,
    /// Where the first run begins.
    pub initial_value: Option<Value>,
    /// Where a run ends; such a run leaves no state.
    pub end_value: Option<Value>,
    /// Which of two values is further; `max` if absent.
    pub last_value_func: Option<LastValue>,
    /// The field or fields that tell records of the same cursor apart; an empty list for none.
    pub primary_key: Option<OneOrMany>,
    /// The order in which the API gives records.
    pub row_order: Option<Order>,
    /// Whether records at the start belong to a run; `closed` if absent.
    pub range_start: Option<RangeEnd>,
    /// Whether records at the end belong to a run; `open` if absent.
    pub range_end: Option<RangeEnd>,
    /// What becomes of a record without a cursor; `raise` if absent.
    pub on_cursor_value_missing: Option<Missing>,
    /// How far before the last value a run begins: seconds, days or a number, as the cursor is.
    pub lag: Option<f64>,
    /// Whether a scheduler says from where to where a run reads.
    pub allow_external_schedulers: Option<bool>,
    /// How a value is written in requests.
    pub convert: Option<String>,
}

/// Which of two values is further.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LastValue {
    /// The larger one.
    Max,
    /// The smaller one.
    Min,
}

/// Whether the end of a range belongs to it.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RangeEnd {
    /// It does.
    Closed,
    /// It does not.
    Open,
}

/// What becomes of a record without a cursor.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// The run fails.
    Raise,
    /// It is kept.
    Include,
    /// It is left out.
    Exclude,
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
