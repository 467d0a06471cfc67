//! The same bytes in every runtime: one component reads the same APIs in our host, in Node, in Python, and behind HTTP, with the same
//! rows, states and errors.
//!
//! `./justw portability` prints the table; `BLESS=1` writes it into `docs/runtimes.md`, and `CASE=prefix` runs the cases of these names
//! only. What the runtimes need is found or fetched by `scripts/setup-portability.sh`.
//!
//! | file | what |
//! |---|---|
//! | `cases/*.yaml` | what is read, and from which API |
//! | `case` | a case, and its API |
//! | `outcome` | what came of it, as far as it must be the same everywhere |
//! | `ours` | our host |
//! | `process` | Node and Python: a process each, which is told a case a line |
//! | `served` | the connector behind HTTP |
//! | `streaming` | the component for WASI 0.3 |
//! | `tools` | where the runtimes are |
//! | `table` | what is printed and kept |
//! | `examples` | the examples' READMEs, word by word, and their own tests |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod case;
mod examples;
mod ours;
mod outcome;
mod process;
mod served;
mod streaming;
mod table;
mod tools;

use case::Reading;
use outcome::Outcome;
use std::env;
use table::{Cell, Table};

/// Where a component runs.
trait Runtime {
    /// What it is, and in which versions.
    fn name(&self) -> String;

    /// Reads from an API that was just started. `None` where this runtime cannot be asked for it.
    fn read(&mut self, reading: &Reading, base_url: &str) -> Option<Outcome>;
}

#[test]
fn every_runtime_reads_the_same() {
    let chosen = env::var("CASE").unwrap_or_default();
    let cases: Vec<_> = case::all().into_iter().filter(|case| case.name.starts_with(&chosen)).collect();
    assert!(!cases.is_empty(), "no case begins with {chosen}");
    let mut runtimes: Vec<Box<dyn Runtime>> = vec![
        Box::new(ours::Ours::new()),
        Box::new(process::Process::node()),
        Box::new(process::Process::streaming()),
        Box::new(process::Process::python()),
        Box::new(served::Served::new()),
    ];
    let mut table = Table::new(runtimes.iter().map(|runtime| runtime.name()));
    let mut differences = Vec::new();
    for case in &cases {
        let mut cells = vec![Cell::NotAsked; runtimes.len()];
        for reading in case.readings() {
            let mut expected = None;
            let mut api = case.start();
            for (runtime, cell) in runtimes.iter_mut().zip(&mut cells) {
                api = case.restart(api);
                let Some(outcome) = runtime.read(&reading, api.base_url()) else { continue };
                let outcome = outcome.without(api.base_url());
                let difference = match &expected {
                    None => case.difference(&outcome),
                    Some(expected) => outcome.difference(expected, case.words_differ),
                };
                cell.add(difference.is_none());
                differences.extend(difference.map(|what| format!("{reading} in {}: {what}", runtime.name())));
                expected.get_or_insert(outcome);
            }
            table.add(case, &expected.expect("our host reads everything"));
        }
        table.end(case, &cells);
    }
    println!("{table}");
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
    if chosen.is_empty() {
        table.compare_or_bless();
    }
}
