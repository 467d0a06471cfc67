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
#[path = "../end_to_end/server.rs"]
mod server;
mod tables;

use case::Case;
use engines::Dlt;
use spile_host::destination::Target;
use std::{collections::BTreeSet, env, sync::Mutex, thread};

/// dlt computes most of the time and Spile waits: more would not be faster on two cores.
const WORKERS: usize = 2;

/// Those whose names begin with `CASE` in the environment; all, where it is not set.
fn cases() -> Vec<Case> {
    let start = env::var("CASE").unwrap_or_default();
    let cases: Vec<_> = Case::all().into_iter().filter(|case| case.name.starts_with(&start)).collect();
    assert!(!cases.is_empty(), "there is no case {start}");
    cases
}

/// Checks each case, on several threads of which each has what it works with; fails with all that are not as they should be.
fn check_each<T>(cases: &[Case], tools: fn() -> T, check: fn(&Case, &mut T) -> Result<(), String>) {
    let waiting = Mutex::new(cases.iter());
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..WORKERS.min(cases.len()) {
            scope.spawn(|| {
                let mut tools = tools();
                while let Some(case) = { waiting.lock().unwrap().next() } {
                    if let Err(why) = check(case, &mut tools) {
                        failures.lock().unwrap().push(format!("\n=== {}\n{why}", case.name));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    assert!(failures.is_empty(), "{} of {} cases failed:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[test]
fn every_case_gives_what_dlt_gives() {
    check_each(&cases(), Dlt::start, compare::both_ways);
}

/// DuckDB is compared with dlt, and the others with DuckDB: each database has the same tables after every run. What is read does not
/// depend on the database, so these are the cases of types and dispositions.
#[test]
fn every_database_has_the_same_tables() {
    let mut cases = cases();
    let kinds = ["load_", "shape_types_", "shape_coercion_", "shape_unicode_", "shape_nesting_"];
    cases.retain(|case| kinds.iter().any(|kind| case.name.starts_with(kind)));
    check_each(
        &cases,
        || Target::parse(&server::new_database()).unwrap(),
        |case, postgres| compare::databases(case, postgres),
    );
}

/// The differences of the cases are those that the list for people names.
#[test]
fn every_difference_is_listed() {
    const LIST: &str = include_str!("../../docs/differences-from-dlt.md");
    let listed: BTreeSet<&str> = LIST.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()).collect();
    for case in Case::all() {
        if let Some(why) = &case.why {
            assert!(listed.contains(why.as_str()), "{}: {why:?} is not listed", case.name);
        }
    }
}

/// `ONLY=dlt CASE=NAME cargo test --release -p spile-host --test conformance -- --ignored --nocapture`
#[test]
#[ignore = "compares nothing: prints what one of the two, `ONLY=dlt` or `ONLY=spile`, does"]
fn what_one_of_them_does() {
    let only = env::var("ONLY").expect("ONLY is dlt or spile");
    let mut dlt = (only == "dlt").then(Dlt::start);
    for case in cases() {
        let outcomes = match &mut dlt {
            Some(dlt) => dlt.run(&case),
            None => engines::spile(&case, 1),
        };
        for (number, outcome) in outcomes.iter().enumerate() {
            println!("\n=== {}, run {}\n{}", case.name, number + 1, compare::shown(outcome));
        }
    }
}
