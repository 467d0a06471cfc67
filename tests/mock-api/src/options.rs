//! What is served, and what goes wrong.

use crate::collection::Collection;
use std::fmt;
use std::str::FromStr;

/// What is served, and what goes wrong. The fields are the flags of the program; every count is per parent.
///
/// Of the faults, each `*_every` is a number of requests, 0 for never. A request that was refused is answered when it
/// comes again, and the fault that would have hit it goes to the next one: so a client that retries always ends.
/// A fault changes nothing else: the retry gets the same page. Requests with a wrong token count but meet no fault.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Applications of the user.
    #[arg(long, default_value_t = Self::default().apps, value_name = "COUNT")]
    pub apps: u64,
    /// Datasets of each application.
    #[arg(long, default_value_t = Self::default().datasets, value_name = "COUNT")]
    pub datasets: u64,
    /// Models of each application.
    #[arg(long, default_value_t = Self::default().models, value_name = "COUNT")]
    pub models: u64,
    /// Versions of each model.
    #[arg(long, default_value_t = Self::default().versions, value_name = "COUNT")]
    pub versions: u64,
    /// Workflows of each application.
    #[arg(long, default_value_t = Self::default().workflows, value_name = "COUNT")]
    pub workflows: u64,
    /// Inputs of each application.
    #[arg(long, default_value_t = Self::default().inputs, value_name = "COUNT")]
    pub inputs: u64,
    /// Jobs that add inputs, of each application.
    #[arg(long, default_value_t = Self::default().jobs, value_name = "COUNT")]
    pub jobs: u64,
    /// Concepts of each application.
    #[arg(long, default_value_t = Self::default().concepts, value_name = "COUNT")]
    pub concepts: u64,
    /// Other records for another seed.
    #[arg(long, default_value_t = Self::default().seed)]
    pub seed: u64,
    /// Every third record (the first of each parent among them) has other fields and another number of children in each
    /// revision; ids and the number of records stay.
    #[arg(long, default_value_t = Self::default().revision, value_name = "N")]
    pub revision: u64,
    /// Milliseconds before each answer.
    #[arg(long, default_value_t = Self::default().latency_ms, value_name = "MS")]
    pub latency_ms: u64,
    /// Answers every K-th request with 429.
    #[arg(long, default_value_t = Self::default().too_many_every, value_name = "K")]
    pub too_many_every: u64,
    /// Adds `Retry-After` to each 429: seconds (`2`), or seconds from now as an HTTP date (`date+2`).
    #[arg(long, value_name = "SECONDS|date+SECONDS")]
    pub retry_after: Option<RetryAfter>,
    /// Answers every request to this collection with 429.
    #[arg(long, value_name = "COLLECTION")]
    pub too_many_forever: Option<Collection>,
    /// Answers every K-th request with 500.
    #[arg(long, default_value_t = Self::default().error_every, value_name = "K")]
    pub error_every: u64,
    /// Breaks off every K-th answer in the middle of its body, and closes the connection.
    #[arg(long, default_value_t = Self::default().truncate_every, value_name = "K")]
    pub truncate_every: u64,
    /// The bearer token that every request must carry.
    #[arg(long, default_value_t = Self::default().token)]
    pub token: String,
    /// The one user whose collections there are.
    #[arg(long, default_value_t = Self::default().user)]
    pub user: String,
    /// Gives ids that stand in a path as they are, for clients that do not percent-encode them.
    #[arg(long)]
    pub plain_ids: bool,
    /// The port on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = Self::default().port)]
    pub port: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            apps: 3,
            datasets: 4,
            models: 3,
            versions: 4,
            workflows: 3,
            inputs: 50,
            jobs: 7,
            concepts: 23,
            seed: 1,
            revision: 0,
            latency_ms: 0,
            too_many_every: 0,
            retry_after: None,
            too_many_forever: None,
            error_every: 0,
            truncate_every: 0,
            token: "mock-token".to_owned(),
            user: "acme".to_owned(),
            plain_ids: false,
            port: 0,
        }
    }
}

/// The two forms of the `Retry-After` header (RFC 9110, section 10.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// As a number of seconds.
    Seconds(u64),
    /// As the date which is so many seconds after the answer.
    Date(u64),
}

impl RetryAfter {
    /// The text of the header, for an answer that is given now.
    pub(crate) fn header(self) -> String {
        match self {
            Self::Seconds(seconds) => seconds.to_string(),
            Self::Date(seconds) => {
                let date = std::time::SystemTime::now() + std::time::Duration::from_secs(seconds);
                httpdate::fmt_http_date(date)
            }
        }
    }
}

impl FromStr for RetryAfter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (form, number): (fn(u64) -> Self, &str) = match text.strip_prefix("date+") {
            Some(rest) => (Self::Date, rest),
            None => (Self::Seconds, text),
        };
        // An HTTP date ends with the year 9999; a day is more than any test waits.
        match number.parse() {
            Ok(seconds) if seconds <= 86_400 => Ok(form(seconds)),
            _ => Err("write seconds, such as 2 or date+2, at most 86400".to_owned()),
        }
    }
}

impl fmt::Display for RetryAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(seconds) => write!(f, "{seconds}"),
            Self::Date(seconds) => write!(f, "date+{seconds}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_forms_of_retry_after() {
        assert_eq!("2".parse(), Ok(RetryAfter::Seconds(2)));
        assert_eq!("date+3".parse(), Ok(RetryAfter::Date(3)));
        for wrong in ["", "date", "date+", "-1", "99999999999", "soon"] {
            assert!(wrong.parse::<RetryAfter>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn writes_an_http_date() {
        let text = RetryAfter::Date(2).header();
        let ahead = httpdate::parse_http_date(&text).unwrap().duration_since(std::time::SystemTime::now()).unwrap();
        assert!(ahead <= std::time::Duration::from_secs(2));
    }
}
