//! The same sources through dlt and through Spile, against the same API: they must make the same requests and the same
//! tables. Where Spile does something else on purpose, the case says what both do, and which row of the list of differences
//! says why.
//!
//! | file | what |
//! |---|---|
//! | `cases/` | sources and their APIs |
//! | `case` | how a case is written |
//! | `engines` | dlt, which runs in a process of Python, and the program `spile` |
//! | `tables` | what a database holds, without what differs between any two loads |
//! | `compare` | the comparison |
//! | `dlt_runner.py` | the process of Python |
//! | `requirements.txt` | what it needs, which `./justw setup-test` fetches |
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod case;
mod compare;
mod engines;
mod tables;

use case::Case;
use engines::Dlt;
use std::{collections::BTreeSet, sync::Mutex, thread};

/// dlt computes most of the time and Spile waits: more would not be faster on two cores.
const WORKERS: usize = 2;

/// `CASE=NAME` in the environment runs that case alone.
#[test]
fn every_case_gives_what_dlt_gives() {
    let only = std::env::var("CASE").ok();
    let cases: Vec<Case> =
        Case::all().into_iter().filter(|case| only.as_ref().is_none_or(|name| *name == case.name)).collect();
    let waiting = Mutex::new(cases.iter());
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..WORKERS.min(cases.len()) {
            scope.spawn(|| {
                let mut dlt = Dlt::start();
                while let Some(case) = { waiting.lock().unwrap().next() } {
                    if let Err(why) = compare::both_ways(case, &mut dlt) {
                        failures.lock().unwrap().push(format!("\n=== {}\n{why}", case.name));
                    }
                }
            });
        }
    });
    assert!(!cases.is_empty(), "there is no such case");
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    assert!(failures.is_empty(), "{} of {} cases failed:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

/// The differences of the cases are those that the list for people names.
#[test]
fn every_difference_is_listed() {
    const LIST: &str = include_str!("../../docs/differences-from-dlt.md");
    let listed: BTreeSet<&str> = LIST.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()).collect();
    for case in Case::all() {
        if let Some(difference) = &case.difference {
            assert!(listed.contains(difference.why.as_str()), "{}: {:?} is not listed", case.name, difference.why);
        }
    }
}
