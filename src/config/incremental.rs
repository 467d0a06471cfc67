//! What an endpoint says of reading only what is new (reference, section 6.1).

use super::hints::Order;
use super::model::OneOrMany;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

/// Reads only what is new since the run before.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Incremental {
    /// JSONPath to the cursor in each record.
    pub cursor_path: String,
    /// Where the first run begins: a number or a text. Records before it are left out.
    pub initial_value: Option<Value>,
    /// Where a run ends; such a run leaves no state.
    pub end_value: Option<Value>,
    /// `now`: a run ends at the instant at which it began, and leaves a state.
    pub end: Option<End>,
    /// Reads the range in windows of this length, side by side: an ISO 8601 duration such as `P1D` or `PT6H`, or a number of
    /// seconds, days or units, as the cursor is.
    pub step: Option<Length>,
    /// How far before the next window a window ends, for APIs that count the end in: a length as of `step`.
    pub granularity: Option<Length>,
    /// Which of two values is further; `max` if absent.
    pub last_value_func: Option<LastValue>,
    /// The field or fields that tell records of the same cursor apart; an empty list reads records at the start again.
    pub primary_key: Option<OneOrMany>,
    /// The order in which the API gives records; a chain then ends where nothing new can follow.
    pub row_order: Option<Order>,
    /// Whether records at the start belong to a run; `closed` if absent.
    pub range_start: Option<RangeEnd>,
    /// Whether records at the end belong to a run; `open` if absent.
    pub range_end: Option<RangeEnd>,
    /// What becomes of a record without a cursor; `raise` if absent.
    pub on_cursor_value_missing: Option<Missing>,
    /// How far before the last value a run begins: seconds, days or a number, as the cursor is.
    #[schemars(range(min = 0))]
    pub lag: Option<f64>,
    /// Whether a scheduler says from where to where a run reads.
    #[schemars(with = "Option<bool>")]
    pub allow_external_schedulers: Option<IgnoredAny>,
    /// How a value is written in requests: `iso`, `date`, `epoch`, `epoch_ms`, or a pattern such as `%Y/%m/%d`.
    pub convert: Option<String>,
    /// Of a child resource: for how many parents a cursor is kept; 5,000 if absent.
    #[schemars(range(min = 1))]
    pub maximum_parents: Option<usize>,
    /// Of a child resource: what happens where there are more; `fail` if absent.
    pub on_too_many_parents: Option<TooManyParents>,
}

/// Where a run ends.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// At the instant at which it began.
    Now,
}

/// A length of time, or of what the cursor counts.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Length {
    /// Seconds, days or units, as the cursor is.
    Number(f64),
    /// An ISO 8601 duration.
    Duration(String),
}

/// Which of two values is further.
#[derive(Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LastValue {
    /// The larger one.
    #[default]
    Max,
    /// The smaller one.
    Min,
}

/// Whether the end of a range belongs to it.
#[derive(Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RangeEnd {
    /// It does.
    Closed,
    /// It does not.
    Open,
}

/// What becomes of a record without a cursor.
#[derive(Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// The run fails.
    #[default]
    Raise,
    /// It is kept.
    Include,
    /// It is left out.
    Exclude,
}

/// What happens where a child resource has more parents than cursors may be kept for.
#[derive(Clone, Copy, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TooManyParents {
    /// The run fails.
    #[default]
    Fail,
    /// One cursor for all from then on, as dlt has it: records that come late under a parent which is behind are missed.
    OneCursor,
}
