//! Which requests go wrong.

use crate::options::Options;
use std::collections::HashSet;

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// 429.
    TooMany,
    /// 500.
    Error,
    /// The body ends in the middle.
    Truncate,
}

/// Counts requests and hands out faults.
#[derive(Debug, Default)]
pub(crate) struct FaultClock {
    turn: u64,
    /// Faults that are due, and wait for a request that was not refused before.
    owed: [u64; 3],
    /// What was refused and has not come again, as path and query.
    refused: HashSet<String>,
}

impl FaultClock {
    /// The fault of the next request, which asks for this path and query.
    ///
    /// Who is hit depends on the order of arrival, how many are hit does not; and no request is hit twice running, so
    /// that a client that retries once always gets through, however its requests overlap.
    pub(crate) fn next(&mut self, options: &Options, target: &str) -> Option<Fault> {
        self.turn += 1;
        let kinds = [
            (options.too_many_every, Fault::TooMany),
            (options.error_every, Fault::Error),
            (options.truncate_every, Fault::Truncate),
        ];
        for ((every, _), owed) in kinds.iter().zip(&mut self.owed) {
            *owed += u64::from(*every > 0 && self.turn.is_multiple_of(*every));
        }
        if self.refused.remove(target) {
            return None;
        }
        let (owed, (_, fault)) = self.owed.iter_mut().zip(kinds).find(|(owed, _)| **owed > 0)?;
        *owed -= 1;
        self.refused.insert(target.to_owned());
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_third_request_is_refused() {
        let options = Options { too_many_every: 3, ..Options::default() };
        let mut clock = FaultClock::default();
        let hit: Vec<u32> = (1..=9).filter(|n| clock.next(&options, &n.to_string()).is_some()).collect();
        assert_eq!(hit, [3, 6, 9]);
    }

    #[test]
    fn a_retry_is_answered_and_its_fault_goes_to_the_next() {
        let options = Options { error_every: 1, ..Options::default() };
        let mut clock = FaultClock::default();
        assert_eq!(clock.next(&options, "a"), Some(Fault::Error));
        assert_eq!(clock.next(&options, "a"), None);
        assert_eq!(clock.next(&options, "b"), Some(Fault::Error));
        assert_eq!(clock.next(&options, "a"), Some(Fault::Error));
    }

    #[test]
    fn kinds_do_not_displace_each_other() {
        let options = Options { too_many_every: 4, error_every: 6, truncate_every: 12, ..Options::default() };
        let mut clock = FaultClock::default();
        let hit: Vec<Fault> = (0..35).filter_map(|n| clock.next(&options, &n.to_string())).collect();
        let count = |fault| hit.iter().filter(|f| **f == fault).count();
        // The twelfth request owes one fault of each kind: two of them go to the requests after it.
        assert_eq!((count(Fault::TooMany), count(Fault::Error), count(Fault::Truncate)), (8, 5, 2));
    }
}
