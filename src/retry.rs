//! Which failures are tried again, how often, and after how long (reference, section 7.2; `error_handler`).

use crate::config::model::ErrorHandler;
use crate::request::Response;
use jiff::fmt::rfc2822;

/// The longest that an exponential wait becomes, in milliseconds.
const LONGEST_BACKOFF: f64 = 300_000.0;

/// The longest `Retry-After` that is worth waiting for, in milliseconds. A server that asks for more ends the run instead: by
/// then it is better to come back with a new one.
const LONGEST_RETRY_AFTER: u64 = 3_600_000;

/// The retry rules of an endpoint.
#[derive(Clone, Debug)]
pub struct Retry {
    /// None for 429 and all of 500 to 599.
    statuses: Option<Vec<u16>>,
    max_retries: u32,
    backoff_factor: f64,
}

/// What to do after a failed attempt.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// Try again after so many milliseconds.
    After(u64),
    /// Give up. Holds the milliseconds that the API asked to wait, if it did.
    GiveUp(Option<u64>),
}

impl Retry {
    /// The rules of an `error_handler`, or dlt's where there is none: five attempts, factor 1.
    pub fn new(config: Option<&ErrorHandler>) -> Self {
        Self {
            statuses: config.and_then(|config| config.retry_on_status_codes.clone()),
            max_retries: config.and_then(|config| config.max_retries).unwrap_or(4),
            backoff_factor: config.and_then(|config| config.backoff_factor).unwrap_or(1.0),
        }
    }

    /// Whether a response with this status is tried again.
    pub fn covers(&self, status: u16) -> bool {
        match &self.statuses {
            Some(statuses) => statuses.contains(&status),
            None => status == 429 || (500..600).contains(&status),
        }
    }

    /// What follows the failed attempt number `attempt` (from 1). `response` is absent where the network failed. `now` is in
    /// milliseconds since 1970.
    pub fn after(&self, attempt: u32, response: Option<&Response>, now: u64) -> Verdict {
        let asked =
            response.and_then(|response| response.header("retry-after")).and_then(|text| retry_after(text, now));
        if attempt > self.max_retries || asked.is_some_and(|asked| asked > LONGEST_RETRY_AFTER) {
            return Verdict::GiveUp(asked);
        }
        let exponential = self.backoff_factor * 1000.0 * 2f64.powi(i32::try_from(attempt).unwrap_or(i32::MAX) - 1);
        Verdict::After(asked.unwrap_or(exponential.clamp(0.0, LONGEST_BACKOFF) as u64))
    }
}

/// Milliseconds from now that a `Retry-After` value asks to wait: seconds, or an HTTP date (RFC 9110, section 10.2.3).
fn retry_after(text: &str, now: u64) -> Option<u64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(seconds.saturating_mul(1000));
    }
    let date = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    let date = u64::try_from(date.as_millisecond()).ok()?;
    Some(date.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handler(json: &str) -> Retry {
        Retry::new(Some(&serde_json::from_str(json).unwrap()))
    }

    fn limited(retry_after: &str) -> Response {
        let headers = vec![("retry-after".to_owned(), retry_after.to_owned())];
        Response { status: 429, headers, body: Vec::new() }
    }

    #[test]
    fn waits_double_and_end_after_the_last_retry() {
        let retry = handler(r#"{"retry_on_status_codes": [429], "max_retries": 3, "backoff_factor": 2}"#);
        let waits: Vec<Verdict> = (1..=4).map(|attempt| retry.after(attempt, None, 0)).collect();
        let expected = [Verdict::After(2000), Verdict::After(4000), Verdict::After(8000), Verdict::GiveUp(None)];
        assert_eq!(waits, expected);
        assert!(retry.covers(429) && !retry.covers(500));
    }

    #[test]
    fn without_a_handler_the_rules_are_those_of_dlt() {
        let retry = Retry::new(None);
        assert!(retry.covers(429) && retry.covers(503) && !retry.covers(404));
        assert_eq!(retry.after(4, None, 0), Verdict::After(8000));
        assert_eq!(retry.after(5, None, 0), Verdict::GiveUp(None));
    }

    #[test]
    fn the_response_says_when() {
        let retry = Retry::new(None);
        assert_eq!(retry.after(1, Some(&limited("7")), 0), Verdict::After(7000));
        assert_eq!(retry.after(1, Some(&limited("0")), 0), Verdict::After(0));
        // 784111777 seconds after 1970.
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(retry.after(1, Some(&limited(date)), 784_111_770_000), Verdict::After(7000));
        assert_eq!(retry.after(1, Some(&limited(date)), 784_111_790_000), Verdict::After(0));
        assert_eq!(retry.after(1, Some(&limited("soon")), 0), Verdict::After(1000));
        assert_eq!(retry.after(1, Some(&limited("3601")), 0), Verdict::GiveUp(Some(3_601_000)));
    }

    #[test]
    fn an_absurd_factor_is_capped() {
        let retry = handler(r#"{"max_retries": 100, "backoff_factor": 1e300}"#);
        assert_eq!(retry.after(100, None, 0), Verdict::After(300_000));
    }
}
