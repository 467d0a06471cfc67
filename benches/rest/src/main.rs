//! Spile, a native reference and dlt side by side: all read the same records from a server on this machine into the same databases, in
//! turn, in one run; and what is wanted of Spile beside what was measured.
//!
//! `./justw bench`. Prints Markdown on standard output, and what it is doing on standard error. Fails where the tables of two runs do not
//! have the same numbers of rows, and where a run makes more or fewer requests than there are pages. Does not fail where a target does
//! not hold: the last table says so.
//!
//! | file | what |
//! |---|---|
//! | `workload`, `tree` | what is read |
//! | `api` | from where |
//! | `place` | where it is written, and what is there afterwards |
//! | `tool` | what is compared |
//! | `native` | the native reference, a program of its own |
//! | `unboxed` | Spile without its sandbox, likewise |
//! | `dlt_runner.py` | dlt's side |
//! | `requirements.txt` | what it needs beyond what the conformance tests need, which `./justw setup-bench` fetches |
//! | `usage` | what a process and those that it starts have used |
//! | `measure` | runs of all tools, and what must be the same in all |
//! | `targets` | what is wanted |
//! | `report` | what is told |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod api;
mod measure;
mod place;
#[path = "../../shared/records.rs"]
mod records;
mod report;
mod targets;
mod tool;
mod tree;
mod usage;
mod workload;

use clap::Parser;
use measure::Results;
use place::{Destination, Server};
use std::panic;
use std::path::PathBuf;
use std::process::ExitCode;
use tool::Tool;
use workload::{Name, Workload};

/// Spile, a native reference and dlt side by side, over HTTP on this machine.
#[derive(Parser)]
struct Arguments {
    /// What is read; all if absent
    #[arg(long, value_enum, value_delimiter = ',')]
    workload: Vec<Name>,
    /// Where it is written; everywhere if absent
    #[arg(long, value_enum, value_delimiter = ',')]
    destination: Vec<Destination>,
    /// Who reads; all if absent, but dlt with its defaults, where that takes very long, only if it is named
    #[arg(long, value_enum, value_delimiter = ',')]
    tool: Vec<Tool>,
    /// How often each is measured; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// A hundredth of the records and one round: sees that all works
    #[arg(long)]
    smoke: bool,
    /// Where all figures are written to, as JSON; `bench/rest.json` in Cargo's target folder if absent
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match panic::catch_unwind(|| run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        // The panic has told why.
        Err(_) => ExitCode::FAILURE,
    }
}

fn run(arguments: Arguments) {
    let server = Server::start();
    if !arguments.smoke {
        measure::warm_up(&arguments, &server);
    }
    let mut results = Results::new();
    for workload in Workload::all(&arguments.workload, arguments.smoke) {
        let description = measure::measure(&workload, &arguments, &server, &mut results);
        report::workload(workload.title, &description, &results);
    }
    report::verdict(&results, arguments.smoke);
    let file = arguments.store.unwrap_or_else(|| tool::target_folder().join("bench/rest.json"));
    report::store(&file, &results, arguments.smoke);
}
