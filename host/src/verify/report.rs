//! What was found.

use serde_json::{Value, json};
use std::fmt;

/// One check.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// What it found.
    pub outcome: Outcome,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The component does as the contract says.
    Passed,
    /// It does not; what it does.
    Failed(String),
    /// It was not made; why.
    Skipped(String),
}

/// All checks, in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The checks.
    pub checks: Vec<Check>,
}

impl Report {
    pub(super) fn add(&mut self, name: &'static str, found: super::Found) {
        let outcome = found.map_or_else(Outcome::Failed, |()| Outcome::Passed);
        self.checks.push(Check { name, outcome });
    }

    pub(super) fn skip(&mut self, names: &[&'static str], why: &str) {
        self.checks.extend(names.iter().map(|name| Check { name, outcome: Outcome::Skipped(why.to_owned()) }));
    }

    /// How many checks failed.
    pub fn failed(&self) -> usize {
        self.checks.iter().filter(|check| matches!(check.outcome, Outcome::Failed(_))).count()
    }

    /// For a program: `{"checks": [{"name", "outcome": "passed"|"failed"|"skipped", "reason"}], "failed": n}`.
    pub fn json(&self) -> Value {
        let checks = self.checks.iter().map(|check| match &check.outcome {
            Outcome::Passed => json!({"name": check.name, "outcome": "passed"}),
            Outcome::Failed(reason) => json!({"name": check.name, "outcome": "failed", "reason": reason}),
            Outcome::Skipped(reason) => json!({"name": check.name, "outcome": "skipped", "reason": reason}),
        });
        json!({"checks": checks.collect::<Vec<_>>(), "failed": self.failed()})
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.checks.iter().map(|check| check.name.len()).max().unwrap_or_default();
        for Check { name, outcome } in &self.checks {
            match outcome {
                Outcome::Passed => writeln!(f, "{name:width$}  ok")?,
                Outcome::Failed(reason) => writeln!(f, "{name:width$}  FAILED: {reason}")?,
                Outcome::Skipped(reason) => writeln!(f, "{name:width$}  skipped: {reason}")?,
            }
        }
        let passed = self.checks.iter().filter(|check| check.outcome == Outcome::Passed).count();
        writeln!(f, "{passed} of {} checks passed, {} failed", self.checks.len(), self.failed())
    }
}
