//! Spile and dlt side by side: both read the same records from a server on this machine into the same databases, in turn, in one run.
//!
//! `./justw bench-rest`. Prints Markdown on standard output, and what it is doing on standard error. Fails where the tables of two
//! runs do not have the same numbers of rows, and where a run makes more or fewer requests than there are pages.
//!
//! | file | what |
//! |---|---|
//! | `workload` | what is read |
//! | `place` | where it is written, and what is there afterwards |
//! | `tool` | what is compared |
//! | `usage` | what a process and those that it starts have used |
//! | `dlt_runner.py` | dlt's side |
//! | `requirements.txt` | what it needs beyond what the conformance tests need, which `./justw setup-bench` fetches |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod place;
#[path = "../../shared/records.rs"]
mod records;
mod tool;
mod usage;
mod workload;

use clap::Parser;
use mock_api::BulkApi;
use place::{Destination, Place, Server};
use std::collections::BTreeMap;
use tool::Tool;
use usage::Usage;
use workload::{Name, Workload};

/// Spile and dlt side by side, over HTTP on this machine.
#[derive(Parser)]
struct Arguments {
    /// What is read; all but `long` if absent
    #[arg(long, value_enum, value_delimiter = ',')]
    workload: Vec<Name>,
    /// Where it is written; everywhere if absent
    #[arg(long, value_enum, value_delimiter = ',')]
    destination: Vec<Destination>,
    /// Who reads; all if absent
    #[arg(long, value_enum, value_delimiter = ',')]
    tool: Vec<Tool>,
    /// How often each is measured; the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Few records and one round: sees that all works
    #[arg(long)]
    smoke: bool,
}

/// What was measured of one tool and destination.
#[derive(Default)]
struct Measured {
    usages: Vec<Usage>,
    rows: u64,
}

fn main() {
    let arguments = Arguments::parse();
    let names = if arguments.workload.is_empty() { Name::USUAL.to_vec() } else { arguments.workload.clone() };
    let server = Server::start();
    warm_up(&arguments, &server);
    let mut peaks = BTreeMap::new();
    for workload in names.into_iter().flat_map(|name| name.workloads(arguments.smoke)) {
        let measured = measure(&workload, &arguments, &server);
        print(&workload, &measured);
        for ((destination, tool), measured) in &measured {
            if workload.name == Name::Memory {
                let peak = usage::median(measured.usages.iter().map(|usage| usage.peak));
                peaks.entry((*destination, *tool)).or_insert_with(Vec::new).push(peak);
            }
        }
    }
    for ((destination, _), peaks) in peaks {
        if let [less, more] = peaks[..] {
            println!("{destination}: {:.2} times the memory for ten times the records", more as f64 / less as f64);
        }
    }
}

/// The first start compiles the connector, or Python's modules, for all later ones.
fn warm_up(arguments: &Arguments, server: &Server) {
    let workload = &Name::One.workloads(true)[0];
    let api = workload.serve();
    for tool in tools(arguments, workload) {
        for destination in [Destination::DuckDb, Destination::Postgres] {
            tool.run(workload, api.base_url(), &Place::new(destination, server));
        }
    }
}

/// Rounds go through all, so that what disturbs the machine disturbs all alike.
fn measure(workload: &Workload, arguments: &Arguments, server: &Server) -> BTreeMap<(Destination, Tool), Measured> {
    let api = workload.serve();
    let mut pairs = Vec::new();
    for destination in workload.destinations() {
        for tool in tools(arguments, workload) {
            let is_wanted = arguments.destination.is_empty() || arguments.destination.contains(&destination);
            if is_wanted && tool.writes_to(destination) {
                pairs.push((destination, tool));
            }
        }
    }
    // Where rows meet rows, these are there already.
    let mut prepared = BTreeMap::new();
    if workload.merges {
        for (destination, tool) in &pairs {
            let place = Place::new(*destination, server);
            one(workload, &api, *tool, &place);
            prepared.insert((*destination, *tool), place);
        }
    }
    let mut measured: BTreeMap<_, Measured> = BTreeMap::new();
    let mut expected: Option<BTreeMap<String, u64>> = None;
    for _ in 0..if arguments.smoke { 1 } else { arguments.rounds } {
        for pair in &pairs {
            let new;
            let place = match prepared.get(pair) {
                Some(place) => place,
                None => {
                    new = Place::new(pair.0, server);
                    &new
                }
            };
            let (usage, requests) = one(workload, &api, pair.1, place);
            assert_eq!(requests, workload.pages(), "{} of {}: the requests", workload.title(), pair.1);
            let rows = place.rows();
            assert_eq!(
                rows.get("records"),
                Some(&workload.records),
                "{} of {} in {}",
                workload.title(),
                pair.1,
                pair.0
            );
            let expected = expected.get_or_insert_with(|| rows.clone());
            assert_eq!(rows, *expected, "{} of {} in {}: not the rows of the others", workload.title(), pair.1, pair.0);
            let measured = measured.entry(*pair).or_default();
            measured.usages.push(usage);
            measured.rows = rows.values().sum();
        }
    }
    measured
}

/// One run, and how many requests it made.
fn one(workload: &Workload, api: &BulkApi, tool: Tool, place: &Place) -> (Usage, u64) {
    let before = api.requests();
    let usage = tool.run(workload, api.base_url(), place);
    eprintln!(
        "{} of {tool} into {}: {:.2} s, {:.2} s of CPU, {} MB",
        workload.title(),
        place.destination,
        usage.wall,
        usage.cpu,
        usage.peak / 1_000_000
    );
    (usage, api.requests() - before)
}

fn tools(arguments: &Arguments, workload: &Workload) -> Vec<Tool> {
    let mut tools = if workload.only_spile { vec![Tool::Spile] } else { Tool::ALL.to_vec() };
    tools.retain(|tool| arguments.tool.is_empty() || arguments.tool.contains(tool));
    tools
}

/// A table: medians, and in brackets how many times that of Spile it is.
fn print(workload: &Workload, measured: &BTreeMap<(Destination, Tool), Measured>) {
    println!("\n{}: {}\n", workload.title(), workload.description());
    println!("| into | by | wall, s | CPU, s | memory, MB | rows/s |");
    println!("|---|---|---:|---:|---:|---:|");
    let medians = |measured: &Measured| {
        let of = |part: fn(&Usage) -> f64| usage::median(measured.usages.iter().map(part));
        [of(|usage| usage.wall), of(|usage| usage.cpu), of(|usage| usage.peak as f64 / 1e6)]
    };
    for ((destination, tool), of_tool) in measured {
        let own = medians(of_tool);
        let of_spile = measured.get(&(*destination, Tool::Spile)).map(medians);
        let cells = [(0, 2), (1, 2), (2, 0)].map(|(at, digits)| match of_spile {
            Some(of_spile) if *tool != Tool::Spile => format!("{:.digits$} ({:.1})", own[at], own[at] / of_spile[at]),
            _ => format!("{:.digits$}", own[at]),
        });
        let speed = of_tool.rows as f64 / own[0];
        println!("| {destination} | {tool} | {} | {speed:.0} |", cells.join(" | "));
    }
}
