//! What was asked, so that a test can say how many requests were made.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
pub(crate) struct Counters(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    counted: Mutex<Counted>,
    /// Told of each request and of each answer.
    changed: Condvar,
}

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

    /// Waits until the counts are as wanted; `false` where they are not after `patience`.
    pub(crate) fn wait_until(&self, patience: Duration, mut wanted: impl FnMut(&Stats) -> bool) -> bool {
        let pending = |counted: &mut Counted| !wanted(&counted.stats);
        let waited = self.0.changed.wait_timeout_while(self.lock(), patience, pending);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
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
        self.0.changed.notify_all();
        InFlight(self.clone())
    }

    /// A request is answered.
    pub(crate) fn answered(&self, status: u16, truncated: bool) {
        let mut counted = self.lock();
        *counted.stats.by_status.entry(status).or_default() += 1;
        counted.stats.truncated += u64::from(truncated);
        drop(counted);
        self.0.changed.notify_all();
    }

    /// Counters have no half-written state, so a panic elsewhere does not spoil them.
    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.counted.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn waiting_ends_with_the_request_that_was_waited_for() {
        let counters = Counters::default();
        let asking = counters.clone();
        let asker = std::thread::spawn(move || (0..3).for_each(|_| drop(asking.asked("/a"))));
        assert!(counters.wait_until(Duration::from_secs(60), |stats| stats.total == 3));
        assert!(!counters.wait_until(Duration::ZERO, |stats| stats.total == 4));
        asker.join().unwrap();
    }
}
