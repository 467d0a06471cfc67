//! The guard against chains that never end: those that lead back to where they were, and those that are absurdly long.

use crate::error::{Error, Kind};
use crate::paginate::Position;

/// Finds the cycles of a chain with one position in memory: the chain is compared with a checkpoint that moves on in steps
/// of doubling length (R. P. Brent, "An improved Monte Carlo factorization algorithm", 1980, section 2).
#[derive(Default)]
pub struct Guard {
    checkpoint: Option<Position>,
    /// Steps since the checkpoint.
    steps: u64,
    /// After how many steps it moves on.
    distance: u64,
}

impl Guard {
    /// The error of a chain that goes from a position to one where it has been before. Numbers and offsets only grow.
    pub fn step(&mut self, from: &Position, to: &Position) -> Result<(), Box<Error>> {
        let again = match to {
            Position::Cursor(cursor) => format!("the cursor {cursor}"),
            Position::Link(_) => "the link to the next page".to_owned(),
            Position::First | Position::Page(_) | Position::Offset(_) => return Ok(()),
        };
        if from == to || self.checkpoint.as_ref() == Some(to) {
            let message = format!("the chain of pages does not advance: {again} leads to a page that was read before");
            return Err(Box::new(Error::new(Kind::Upstream, message).advice(
                "check the paginator: the API may expect the position of the page elsewhere, or say otherwise that this page is \
                 the last one",
            )));
        }
        self.steps += 1;
        if self.steps > self.distance {
            self.checkpoint = Some(to.clone());
            self.distance = self.steps.saturating_mul(2);
            self.steps = 0;
        }
        Ok(())
    }
}

/// The error of a page with the same records as the page before it.
pub fn repeated(records: usize) -> Error {
    let what = if records == 1 { "the same record" } else { "the same records" };
    let message = format!("the chain of pages does not advance: this page has {what} as the page before it");
    Error::new(Kind::Upstream, message)
        .advice("check the paginator: the API may ignore what asks for the page, or give its last page again")
}

/// The error of a chain with more pages than permitted.
pub fn too_long(maximum: u64) -> Error {
    Error::new(Kind::Limit, format!("the chain has more than {maximum} pages"))
        .advice("ask for larger pages, let the paginator end the chain earlier, or permit more with `maximum_pages`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_cycle_is_found_soon(before in 0u64..60, cycle in 1u64..60) {
            let at = |step: u64| {
                let step = if step < before { step } else { before + (step - before) % cycle };
                Position::Link(format!("http://h.example/{step}"))
            };
            let mut guard = Guard::default();
            let mut from = Position::First;
            let found = (0..).find(|step| {
                let (to, from) = (at(*step), std::mem::replace(&mut from, at(*step)));
                guard.step(&from, &to).is_err()
            });
            let found = found.unwrap();
            prop_assert!(found >= before + cycle, "{found} is the first time");
            prop_assert!(found <= 5 * (before + cycle), "{found} is late");
        }
    }

    #[test]
    fn a_chain_that_advances_is_let_through() {
        let mut guard = Guard::default();
        let mut from = Position::First;
        for cursor in 0..10_000 {
            let to = Position::Cursor(cursor.into());
            guard.step(&from, &to).unwrap();
            from = to;
        }
        assert_eq!(guard.step(&from, &from).unwrap_err().kind, Kind::Upstream);
    }
}
