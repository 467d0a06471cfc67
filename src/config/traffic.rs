//! What the configuration says of failures, of responses that are special, and of how fast requests go out: at the client, for
//! all resources, or at an endpoint (reference, section 7).

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// Which failures are tried again, how often, and after how long.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorHandler {
    /// HTTP statuses that are tried again, or classes of them such as `5xx`; 429 and `5xx` if absent.
    pub retry_on_status_codes: Option<Vec<Status>>,
    /// How many times after the first attempt; 4 if absent.
    #[schemars(range(max = 100))]
    pub max_retries: Option<u32>,
    /// Retry n comes after `backoff_factor · 2^(n−1)` seconds, where the response does not say when; 1 if absent.
    #[schemars(range(min = 0))]
    pub backoff_factor: Option<f64>,
    /// The longest that this wait becomes, in seconds; 300 if absent.
    #[schemars(range(min = 0))]
    pub max_delay: Option<f64>,
    /// Whether a wait is a random part of that, so that many clients do not come back at once.
    #[serde(default)]
    pub jitter: bool,
}

/// An HTTP status, or a class of them.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Status {
    /// A number, such as 404.
    Code(u16),
    /// A number or a class, such as `4xx`.
    Text(String),
}

/// One status or several.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrManyStatuses {
    /// A number, such as 404.
    Code(u16),
    /// A number or a class, such as `4xx`.
    Text(String),
    /// Several of them.
    Many(Vec<Status>),
}

/// What is done about a response for which all conditions that are given hold.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResponseAction {
    /// The status or statuses that it is for: numbers, or classes such as `5xx`.
    pub status_code: Option<OneOrManyStatuses>,
    /// A part of the body's text.
    pub content: Option<String>,
    /// JSONPath to something in the body that is not null, false, 0 or empty.
    pub path: Option<String>,
    /// An expression over `status`, `body` (the JSON, or none) and `headers` (names in lower case).
    pub when: Option<String>,
    /// What is done.
    pub action: Action,
    /// What the error says, in the place of the status.
    pub message: Option<String>,
}

/// What is done about a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is left out, and the chain of pages ends.
    Ignore,
    /// Its records are taken if its status is 2xx, and the chain of pages ends.
    End,
    /// It is asked for again, as the `error_handler` has it.
    Retry,
    /// The run fails, at once.
    Fail,
    /// dlt's word for `fail`.
    Raise,
    /// It is asked for once more with a new token; else the run fails.
    RefreshAuth,
}

/// How many requests may go out in a time.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// How many requests.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub requests: u32,
    /// In which time: a number of seconds, or `second`, `minute`, `hour` or `day`.
    #[schemars(with = "Per")]
    pub per: Value,
}

/// A time.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used: as an untagged enum serde does not read every number")]
pub enum Per {
    /// So many seconds.
    Seconds(f64),
    /// A unit.
    Unit(Unit),
}

/// A unit of time.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(dead_code, reason = "only its schema is used")]
pub enum Unit {
    /// 1 second.
    Second,
    /// 60 seconds.
    Minute,
    /// 3600 seconds.
    Hour,
    /// 86,400 seconds.
    Day,
}

impl RateLimit {
    /// The time, in seconds.
    pub fn seconds(&self) -> f64 {
        match self.per.as_str() {
            Some("second") => 1.0,
            Some("minute") => 60.0,
            Some("hour") => 3600.0,
            Some(_) => 86_400.0,
            None => self.per.as_f64().unwrap_or_default(),
        }
    }
}

/// How long a request may take, in seconds. The host's own limits hold where they are shorter.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// Until there is a connection.
    #[schemars(range(min = 0.001, max = 86_400))]
    pub connect: Option<f64>,
    /// Until the response begins.
    #[schemars(range(min = 0.001, max = 86_400))]
    pub first_byte: Option<f64>,
    /// Between two parts of the response.
    #[schemars(range(min = 0.001, max = 86_400))]
    pub between_bytes: Option<f64>,
    /// For the whole request.
    #[schemars(range(min = 0.001, max = 86_400))]
    pub total: Option<f64>,
}

/// What becomes of a run when the requests for one parent's record fail for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// It fails.
    #[default]
    Fail,
    /// It leaves them out, and warns of it at its end.
    Continue,
}
