//! What was asked, so that a test can say how many requests were made.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What was asked since the start, or since the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests, whatever the answer was.
    pub total: u64,
    /// Requests by path and query, as they stood on the wire.
    pub by_target: BTreeMap<String, u64>,
    /// Answers by status; an answer that breaks off counts with its 200.
    pub by_status: BTreeMap<u16, u64>,
    /// Answers that broke off.
    pub truncated: u64,
    /// The most requests that were waiting for their answer at one moment.
    pub in_flight_peak: u64,
    /// Connections that were opened.
    pub connections: u64,
}

impl Stats {
    /// As the program shows it: the fields under their names.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "total": self.total,
            "by_target": self.by_target,
            "by_status": self.by_status.iter().map(|(status, n)| (status.to_string(), *n)).collect::<BTreeMap<_, _>>(),
            "truncated": self.truncated,
            "in_flight_peak": self.in_flight_peak,
            "connections": self.connections,
        })
    }
}

/// The counters of a running server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters(Arc<Mutex<Counted>>);

#[derive(Debug, Default)]
struct Counted {
    stats: Stats,
    in_flight: u64,
}

impl Counters {
    /// The counts of this moment.
    pub(crate) fn stats(&self) -> Stats {
        self.lock().stats.clone()
    }

    /// Starts over; requests that wait for their answer still count as in flight.
    pub(crate) fn reset(&self) {
        let mut counted = self.lock();
        counted.stats = Stats { in_flight_peak: counted.in_flight, ..Stats::default() };
    }

    /// A connection was opened.
    pub(crate) fn connected(&self) {
        self.lock().stats.connections += 1;
    }

    /// A request came; it is in flight until the guard is dropped.
    pub(crate) fn asked(&self, target: &str) -> InFlight {
        let mut counted = self.lock();
        counted.in_flight += 1;
        counted.stats.in_flight_peak = counted.stats.in_flight_peak.max(counted.in_flight);
        counted.stats.total += 1;
        *counted.stats.by_target.entry(target.to_owned()).or_default() += 1;
        drop(counted);
        InFlight(self.clone())
    }

    /// A request is answered.
    pub(crate) fn answered(&self, status: u16, truncated: bool) {
        let mut counted = self.lock();
        *counted.stats.by_status.entry(status).or_default() += 1;
        counted.stats.truncated += u64::from(truncated);
    }

    /// Counters have no half-written state, so a panic elsewhere does not spoil them.
    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that waits for its answer. The client may give it up: so the count falls with the guard.
pub(crate) struct InFlight(Counters);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.lock().in_flight -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_of_one_moment() {
        let counters = Counters::default();
        let first = counters.asked("/a");
        let second = counters.asked("/b");
        drop(first);
        let third = counters.asked("/a");
        assert_eq!(counters.stats().in_flight_peak, 2);
        assert_eq!(counters.stats().by_target["/a"], 2);
        drop((second, third));
        counters.reset();
        assert_eq!(counters.stats(), Stats::default());
    }
}
