//! A limit on the rate of requests, counted in windows of time, and told in every answer.

use super::script::Place;
use serde::Deserialize;
use std::time::{Duration, Instant};

/// So many requests in each window; the others are refused with 429.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Quota {
    pub(super) requests: usize,
    /// How long a window is, in seconds. The first begins with the first request.
    pub(super) per: f64,
    /// What tells those apart who have windows of their own: `header.authorization`. One window for all where absent.
    pub(super) by: Option<Place>,
}

/// The window that is counted.
#[derive(Default)]
pub(super) struct Window {
    start: Option<Instant>,
    used: usize,
}

impl Window {
    /// Counts a request. Tells whether it is admitted, and the headers of its answer.
    pub(super) fn count(&mut self, quota: &Quota, now: Instant) -> (bool, Vec<(String, String)>) {
        let length = Duration::from_secs_f64(quota.per);
        let mut start = *self.start.get_or_insert(now);
        while now >= start + length {
            start += length;
            self.used = 0;
        }
        self.start = Some(start);
        let is_admitted = self.used < quota.requests;
        self.used += usize::from(is_admitted);
        let reset = (start + length - now).as_secs_f64();
        let mut headers = vec![
            ("x-ratelimit-remaining".to_owned(), (quota.requests - self.used).to_string()),
            ("x-ratelimit-reset".to_owned(), format!("{reset:.3}")),
        ];
        if !is_admitted {
            headers.push(("retry-after".to_owned(), reset.ceil().to_string()));
        }
        (is_admitted, headers)
    }
}
