//! Runs that repeat another one.

use crate::digest::sha256;
use crate::{Class, Error, Result};

/// The run that another one repeats: that one must begin where it began, and its rows belong to the same load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeats {
    /// The load.
    pub load_id: String,
    /// The state that the run began with, as [`Repeats::named`] says it.
    pub state: String,
    /// The schema, likewise.
    pub schema: String,
}

impl Repeats {
    /// Names a state or a schema: its SHA-256 in hexadecimal digits, or `none`.
    pub fn named(text: Option<&str>) -> String {
        match text {
            Some(text) => sha256(text),
            None => "none".to_owned(),
        }
    }

    /// Whether a run that begins with these begins as this one did.
    pub(super) fn begins_with(&self, state: Option<&str>, schema: Option<&str>) -> bool {
        Self::named(state) == self.state && Self::named(schema) == self.schema
    }

    /// Checks that a new load can be this one, after the last one that the destination knows; `open` says that it was not published.
    pub(super) fn check(
        &self,
        state: Option<&str>,
        schema: Option<&str>,
        last: Option<&str>,
        open: bool,
    ) -> Result<()> {
        let differs = |message: &str| {
            Err(Error::new(Class::Config, message).advice(
                "replay into a destination that is as it was before the recorded run; for a pipeline's first run that is a new one, \
                 such as --to duckdb:replay.duckdb",
            ))
        };
        if !self.begins_with(state, schema) {
            return differs("the pipeline's state at the destination is not the one that the recorded run began with");
        }
        match last {
            Some(last) if last > self.load_id.as_str() || (last == self.load_id && !open) => {
                differs("the destination has the recorded run's load already, or a later one")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_repeated_only_where_it_began() {
        let state = Some("{}");
        let repeats = Repeats { load_id: "2.0".to_owned(), state: Repeats::named(state), schema: Repeats::named(None) };
        for (last, open) in [(None, false), (Some("1.9"), false), (Some("2.0"), true)] {
            assert!(repeats.check(state, None, last, open).is_ok());
        }
        for (state, schema, last) in
            [(None, None, None), (state, state, None), (state, None, Some("2.0")), (state, None, Some("2.1"))]
        {
            let error = repeats.check(state, schema, last, false).unwrap_err();
            assert!(error.class == Class::Config && error.advice.is_some());
        }
    }
}
