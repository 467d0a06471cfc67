//! What is wanted of Spile.

use crate::measure::{Part, Results};
use crate::place::Destination::{self, DuckDb, Parquet};
use crate::tool::Tool;

/// What is wanted, and how it is measured.
pub struct Target {
    pub what: &'static str,
    pub against: &'static str,
    pub bound: Bound,
    pub value: Value,
}

/// The number that is wanted.
#[derive(Clone, Copy)]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// The number that is measured.
pub enum Value {
    /// The first divided by the second.
    Ratio(Figure, Figure),
    Milliseconds(Figure),
}

/// A number of a workload.
pub struct Figure {
    pub workload: &'static str,
    pub into: Destination,
    pub by: By,
    pub part: Part,
}

/// Whose number.
#[derive(Clone, Copy)]
pub enum By {
    Spile,
    Native,
    Unboxed,
    Dlt,
    /// The best of what was measured of dlt.
    DltBest,
}

use Bound::{AtLeast, AtMost};
use Value::{Milliseconds, Ratio};

const fn duckdb(workload: &'static str, by: By, part: Part) -> Figure {
    Figure { workload, into: DuckDb, by, part }
}

const fn parquet(workload: &'static str, by: By, part: Part) -> Figure {
    Figure { workload, into: Parquet, by, part }
}

const NATIVE: &str = "native reference";
const UNBOXED: &str = "the same engine and transport, native";
const DLT: &str = "dlt, best";
const IDEAL: &str = "requests × latency / window";

/// All that is wanted. Into DuckDB where nothing else is said.
#[rustfmt::skip]
pub const TARGETS: [Target; 19] = [
    Target { what: "flat, rows/s", against: NATIVE, bound: AtLeast(0.75),
        value: Ratio(duckdb("flat", By::Spile, Part::Rows), duckdb("flat", By::Native, Part::Rows)) },
    Target { what: "flat, rows/s", against: DLT, bound: AtLeast(12.0),
        value: Ratio(duckdb("flat", By::Spile, Part::Rows), duckdb("flat", By::DltBest, Part::Rows)) },
    Target { what: "flat, rows/s", against: "dlt, defaults", bound: AtLeast(90.0),
        value: Ratio(duckdb("flat", By::Spile, Part::Rows), duckdb("flat", By::Dlt, Part::Rows)) },
    Target { what: "nested, root records/s", against: NATIVE, bound: AtLeast(0.65),
        value: Ratio(duckdb("nested", By::Spile, Part::Records), duckdb("nested", By::Native, Part::Records)) },
    Target { what: "nested, root records/s", against: DLT, bound: AtLeast(12.0),
        value: Ratio(duckdb("nested", By::Spile, Part::Records), duckdb("nested", By::DltBest, Part::Records)) },
    Target { what: "tree, wall time, window 8", against: IDEAL, bound: AtMost(1.2),
        value: Ratio(duckdb("tree-8", By::Spile, Part::Wall), duckdb("tree-8", By::Spile, Part::Ideal)) },
    Target { what: "tree, wall time, window 16", against: IDEAL, bound: AtMost(1.2),
        value: Ratio(duckdb("tree-16", By::Spile, Part::Wall), duckdb("tree-16", By::Spile, Part::Ideal)) },
    Target { what: "tree, wall time, window 32", against: IDEAL, bound: AtMost(1.2),
        value: Ratio(duckdb("tree-32", By::Spile, Part::Wall), duckdb("tree-32", By::Spile, Part::Ideal)) },
    Target { what: "tree, times faster, window 16", against: DLT, bound: AtLeast(3.0),
        value: Ratio(duckdb("tree-16", By::DltBest, Part::Wall), duckdb("tree-16", By::Spile, Part::Wall)) },
    Target { what: "tree, CPU time, window 16", against: DLT, bound: AtMost(0.1),
        value: Ratio(duckdb("tree-16", By::Spile, Part::Cpu), duckdb("tree-16", By::DltBest, Part::Cpu)) },
    Target { what: "merge, times faster", against: DLT, bound: AtLeast(10.0),
        value: Ratio(duckdb("merge", By::DltBest, Part::Wall), duckdb("merge", By::Spile, Part::Wall)) },
    Target { what: "one, warm cache, times faster", against: DLT, bound: AtLeast(14.0),
        value: Ratio(duckdb("one", By::DltBest, Part::Wall), duckdb("one", By::Spile, Part::Wall)) },
    Target { what: "one, warm cache, ms to the first request", against: "", bound: AtMost(15.0),
        value: Milliseconds(duckdb("one", By::Spile, Part::First)) },
    Target { what: "one into Parquet, warm cache, ms to the first request", against: "", bound: AtMost(15.0),
        value: Milliseconds(parquet("one", By::Spile, Part::First)) },
    Target { what: "flat, peak memory", against: NATIVE, bound: AtMost(1.3),
        value: Ratio(duckdb("flat", By::Spile, Part::Peak), duckdb("flat", By::Native, Part::Peak)) },
    Target { what: "long, peak memory", against: "flat", bound: AtMost(1.2),
        value: Ratio(duckdb("long", By::Spile, Part::Peak), duckdb("flat", By::Spile, Part::Peak)) },
    Target { what: "long into Parquet, peak memory", against: "flat into Parquet", bound: AtMost(1.2),
        value: Ratio(parquet("long", By::Spile, Part::Peak), parquet("flat", By::Spile, Part::Peak)) },
    Target { what: "flat into Parquet, rows/s", against: NATIVE, bound: AtLeast(0.5),
        value: Ratio(parquet("flat", By::Spile, Part::Rows), parquet("flat", By::Native, Part::Rows)) },
    Target { what: "flat into Parquet, CPU time", against: UNBOXED, bound: AtMost(1.5),
        value: Ratio(parquet("flat", By::Spile, Part::Cpu), parquet("flat", By::Unboxed, Part::Cpu)) },
];

impl Bound {
    pub fn holds(self, value: f64) -> bool {
        match self {
            AtLeast(least) => value >= least,
            AtMost(most) => value <= most,
        }
    }
}

impl Value {
    /// The number, where all that it needs was measured.
    pub fn of(&self, results: &Results) -> Option<f64> {
        match self {
            Ratio(one, other) => Some(one.of(results)? / other.of(results)?),
            Milliseconds(figure) => Some(figure.of(results)? * 1e3),
        }
    }
}

impl Figure {
    fn of(&self, results: &Results) -> Option<f64> {
        let measured = self.by.tools().iter().filter_map(|tool| results.get(&(self.workload, self.into, *tool)));
        let best = if matches!(self.part, Part::Rows | Part::Records) { f64::max } else { f64::min };
        measured.filter_map(|measured| measured.median(self.part)).reduce(best)
    }
}

impl By {
    fn tools(self) -> &'static [Tool] {
        match self {
            Self::Spile => &[Tool::Spile],
            Self::Native => &[Tool::Native],
            Self::Unboxed => &[Tool::Unboxed],
            Self::Dlt => &[Tool::Dlt],
            Self::DltBest => &[Tool::Dlt, Tool::DltTuned],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Workload;

    #[test]
    fn every_target_is_measured_by_some_workload() {
        let workloads = Workload::all(&[], false);
        for Target { what, value, .. } in &TARGETS {
            let figures = match value {
                Ratio(one, other) => vec![one, other],
                Milliseconds(figure) => vec![figure],
            };
            for Figure { workload, into, by, .. } in figures {
                let found = workloads.iter().find(|known| known.title == *workload);
                let found = found.unwrap_or_else(|| panic!("{what}: no workload `{workload}`"));
                assert!(found.destinations.contains(into), "{what}: not into {into}");
                let is_measured = |tool: &Tool| found.tools.contains(tool) && tool.writes_to(*into);
                assert!(by.tools().iter().any(is_measured), "{what}: nobody's number");
            }
        }
    }

    #[test]
    fn a_bound_holds_at_its_number() {
        assert!(AtLeast(0.75).holds(0.75) && !AtLeast(0.75).holds(0.74));
        assert!(AtMost(1.2).holds(1.2) && !AtMost(1.2).holds(1.21));
    }
}
