//! Runs of all tools, in turn, and what must be the same in all.

use crate::Arguments;
use crate::api::{Api, Asked};
use crate::place::{Destination, Place, Server};
use crate::tool::Tool;
use crate::tree;
use crate::usage::{Usage, median};
use crate::workload::{Reads, Whole, Workload};
use std::collections::BTreeMap;

/// One run.
#[derive(Clone, Copy)]
pub struct Run {
    pub usage: Usage,
    pub asked: Asked,
}

/// What was measured of one workload, destination and tool.
#[derive(Default)]
pub struct Measured {
    pub runs: Vec<Run>,
    /// Rows of all tables.
    pub rows: u64,
    /// Records of the source, which are the rows of its root tables.
    pub records: u64,
    /// What one request costs where they are made as many at once as the window allows, in seconds.
    pub per_request: Option<f64>,
}

/// By title, destination and tool.
pub type Results = BTreeMap<(&'static str, Destination, Tool), Measured>;

/// A number of what was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Seconds.
    Wall,
    /// Seconds.
    Cpu,
    /// Bytes.
    Peak,
    /// Rows of all tables a second.
    Rows,
    /// Records a second.
    Records,
    /// Seconds from the start of the process to its first request.
    First,
    /// Seconds that the requests alone would take with as many at once as the window allows.
    Ideal,
    /// Requests that were made.
    Requests,
}

impl Measured {
    /// The median of all runs.
    pub fn median(&self, part: Part) -> Option<f64> {
        let values: Vec<f64> = self.runs.iter().filter_map(|run| self.of(run, part)).collect();
        (!values.is_empty()).then(|| median(values.into_iter()))
    }

    /// Of one run, where it has such a number.
    pub fn of(&self, Run { usage, asked }: &Run, part: Part) -> Option<f64> {
        match part {
            Part::Wall => Some(usage.wall),
            Part::Cpu => Some(usage.cpu),
            Part::Peak => Some(usage.peak as f64),
            Part::Rows => Some(self.rows as f64 / usage.wall),
            Part::Records => Some(self.records as f64 / usage.wall),
            Part::First => asked.first.map(|first| (first - usage.started).as_secs_f64()),
            Part::Ideal => self.per_request.map(|seconds| asked.requests as f64 * seconds),
            Part::Requests => Some(asked.requests as f64),
        }
    }
}

/// The first start compiles the connector, or Python's modules, for all later ones.
pub fn warm_up(arguments: &Arguments, server: &Server) {
    let workload = Workload::least();
    let (api, _) = workload.serve(true);
    for tool in tools(arguments, &workload) {
        for destination in [Destination::DuckDb, Destination::Postgres] {
            if tool.writes_to(destination) {
                tool.run(&workload, api.base_url(), &Place::new(destination, server));
            }
        }
    }
}

/// Rounds go through all, so that what disturbs the machine disturbs all alike. Gives a description too.
pub fn measure(workload: &Workload, arguments: &Arguments, server: &Server, results: &mut Results) -> String {
    let (api, whole) = workload.serve(arguments.smoke);
    let mut pairs = Vec::new();
    for destination in workload.destinations {
        for tool in tools(arguments, workload) {
            let is_wanted = arguments.destination.is_empty() || arguments.destination.contains(destination);
            if is_wanted && tool.writes_to(*destination) {
                pairs.push((*destination, tool));
            }
        }
    }
    // Where rows meet rows, these are there already.
    let mut prepared = BTreeMap::new();
    for (destination, tool) in pairs.iter().filter(|_| workload.over_itself) {
        let place = Place::new(*destination, server);
        one(workload, &api, *tool, &place);
        prepared.insert((*destination, *tool), place);
    }
    let mut expected = whole.tables.clone();
    for _ in 0..if arguments.smoke { 1 } else { arguments.rounds } {
        for (destination, tool) in &pairs {
            let new;
            let place = match prepared.get(&(*destination, *tool)) {
                Some(place) => place,
                None => {
                    new = Place::new(*destination, server);
                    &new
                }
            };
            let run = one(workload, &api, *tool, place);
            let what = format!("{} of {tool} into {destination}", workload.title);
            check_requests(&what, *tool, &whole, &run.asked);
            let rows = place.rows();
            let expected = expected.get_or_insert_with(|| rows.clone());
            assert_eq!(rows, *expected, "{what}: not the rows of the others");
            let of_roots = rows.iter().filter(|(table, _)| !table.contains("__")).map(|(_, rows)| rows).sum::<u64>();
            assert_eq!(of_roots, whole.records, "{what}: the records");
            let measured = results.entry((workload.title, *destination, *tool)).or_default();
            measured.runs.push(run);
            measured.rows = rows.values().sum();
            measured.records = whole.records;
            if let (Reads::Tree { .. }, Some(window)) = (&workload.reads, workload.window) {
                measured.per_request = Some(tree::LATENCY_MS as f64 / 1e3 / f64::from(window));
            }
        }
    }
    workload.description(&whole)
}

/// Each page is asked for once, and once more for each time that it was refused.
fn check_requests(what: &str, tool: Tool, whole: &Whole, asked: &Asked) {
    let beyond = if tool.asks_ahead() { whole.chains } else { 0 };
    let answered = asked.requests - asked.refused;
    let wanted = whole.pages..=whole.pages + beyond;
    assert!(wanted.contains(&answered), "{what}: {answered} requests for {} pages", whole.pages);
}

/// One run.
fn one(workload: &Workload, api: &Api, tool: Tool, place: &Place) -> Run {
    let (usage, asked) = api.during(|| tool.run(workload, api.base_url(), place));
    eprintln!(
        "{} of {tool} into {}: {:.2} s, {:.2} s of CPU, {} MB, {} requests",
        workload.title,
        place.destination,
        usage.wall,
        usage.cpu,
        usage.peak / 1_000_000,
        asked.requests
    );
    Run { usage, asked }
}

/// Who reads it. A smoke test sees that all can.
fn tools(arguments: &Arguments, workload: &Workload) -> Vec<Tool> {
    let is_wanted = |tool: &Tool| arguments.tool.is_empty() || arguments.tool.contains(tool);
    let on_demand = workload.on_demand.iter().filter(|tool| arguments.smoke || arguments.tool.contains(tool));
    workload.tools.iter().chain(on_demand).copied().filter(is_wanted).collect()
}
