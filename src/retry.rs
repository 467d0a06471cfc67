//! Which failures are tried again, how often, and after how long (reference, section 7.2; `error_handler`).

use crate::config::model::ErrorHandler;
use crate::error::Result;
use crate::quota;
use crate::request::Response;
use crate::statuses::Statuses;

/// The longest that an exponential wait becomes where the configuration does not say, in seconds.
const LONGEST_BACKOFF: f64 = 300.0;

/// The longest `Retry-After` that is worth waiting for, in milliseconds. A server that asks for more ends the run instead: by
/// then it is better to come back with a new one.
pub const LONGEST_RETRY_AFTER: u64 = 3_600_000;

/// The retry rules of an endpoint.
#[derive(Clone, Debug)]
pub struct Retry {
    statuses: Statuses,
    max_retries: u32,
    backoff_factor: f64,
    /// In seconds.
    max_delay: f64,
    /// Whether a wait is a random part of what it would be.
    pub jitter: bool,
}

/// What to do after a failed attempt.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    /// Try again after so many milliseconds.
    After(u64),
    /// Give up. Holds the milliseconds that the API asked to wait, if it did.
    GiveUp(Option<u64>),
}

/// What dlt does: five attempts, factor 1.
impl Default for Retry {
    fn default() -> Self {
        let statuses = Statuses::tried_again();
        Self { statuses, max_retries: 4, backoff_factor: 1.0, max_delay: LONGEST_BACKOFF, jitter: false }
    }
}

impl Retry {
    /// The rules of an `error_handler`, whose place is `pointer`.
    pub fn new(config: &ErrorHandler, pointer: &str) -> Result<Self> {
        let usual = Self::default();
        let statuses = config.retry_on_status_codes.as_ref();
        let statuses = statuses
            .map(|statuses| Statuses::many(statuses, &format!("{pointer}/retry_on_status_codes")))
            .transpose()?;
        Ok(Self {
            statuses: statuses.unwrap_or(usual.statuses),
            max_retries: config.max_retries.unwrap_or(usual.max_retries),
            backoff_factor: config.backoff_factor.unwrap_or(usual.backoff_factor),
            max_delay: config.max_delay.unwrap_or(usual.max_delay),
            jitter: config.jitter,
        })
    }

    /// Whether a response with this status is tried again.
    pub fn covers(&self, status: u16) -> bool {
        self.statuses.contain(status)
    }

    /// What follows the failed attempt number `attempt` (from 1). `response` is absent where the network failed. `now` is in
    /// milliseconds since 1970. `chance` is the part of the exponential wait that is waited: 1 without jitter.
    pub fn after(&self, attempt: u32, response: Option<&Response>, now: u64, chance: f64) -> Verdict {
        let asked = response.and_then(|response| quota::asked(response, now));
        if attempt > self.max_retries || asked.is_some_and(|asked| asked > LONGEST_RETRY_AFTER) {
            return Verdict::GiveUp(asked);
        }
        let exponential = self.backoff_factor * 2f64.powi(i32::try_from(attempt).unwrap_or(i32::MAX) - 1);
        Verdict::After(asked.unwrap_or((exponential.clamp(0.0, self.max_delay) * 1000.0 * chance) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handler(json: &str) -> Retry {
        Retry::new(&serde_json::from_str(json).unwrap(), "/p").unwrap()
    }

    fn limited(retry_after: &str) -> Response {
        let headers = vec![("retry-after".to_owned(), retry_after.to_owned())];
        Response { status: 429, headers, body: Vec::new() }
    }

    #[test]
    fn waits_double_and_end_after_the_last_retry() {
        let retry = handler(r#"{"retry_on_status_codes": [429, "4xx"], "max_retries": 3, "backoff_factor": 2}"#);
        let waits: Vec<Verdict> = (1..=4).map(|attempt| retry.after(attempt, None, 0, 1.0)).collect();
        let expected = [Verdict::After(2000), Verdict::After(4000), Verdict::After(8000), Verdict::GiveUp(None)];
        assert_eq!(waits, expected);
        assert!(retry.covers(429) && retry.covers(404) && !retry.covers(500));
    }

    #[test]
    fn without_a_handler_the_rules_are_those_of_dlt() {
        let retry = Retry::default();
        assert!(retry.covers(429) && retry.covers(503) && !retry.covers(404) && !retry.jitter);
        assert_eq!(retry.after(4, None, 0, 1.0), Verdict::After(8000));
        assert_eq!(retry.after(5, None, 0, 1.0), Verdict::GiveUp(None));
    }

    #[test]
    fn the_response_says_when() {
        let retry = Retry::default();
        let after = |text: &str| retry.after(1, Some(&limited(text)), 0, 0.5);
        assert_eq!(after("7"), Verdict::After(7000));
        assert_eq!(after("0"), Verdict::After(0));
        assert_eq!(after("soon"), Verdict::After(500));
        assert_eq!(after("3601"), Verdict::GiveUp(Some(3_601_000)));
    }

    #[test]
    fn waits_are_capped() {
        let retry = handler(r#"{"max_retries": 100, "backoff_factor": 1e300}"#);
        assert_eq!(retry.after(100, None, 0, 1.0), Verdict::After(300_000));
        let retry = handler(r#"{"max_delay": 1.5, "jitter": true}"#);
        let waits: Vec<Verdict> = (1..=3).map(|attempt| retry.after(attempt, None, 0, 1.0)).collect();
        assert_eq!(waits, [Verdict::After(1000), Verdict::After(1500), Verdict::After(1500)]);
        assert_eq!(retry.after(3, None, 0, 0.25), Verdict::After(375));
    }
}
