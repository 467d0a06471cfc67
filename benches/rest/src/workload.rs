//! What is read.

use crate::api::Api;
use crate::place::Destination;
use crate::records::{Random, flat, nested};
use crate::tool::Tool;
use crate::tree;
use bytes::Bytes;
use mock_api::{BulkApi, Options};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The names that a person chooses by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Name {
    Flat,
    Nested,
    /// Eight resources of an AI platform, children of children among them, with windows of 8, 16 and 32
    Tree,
    /// The same where every 50th request is answered with 429
    #[value(name = "tree-429")]
    TreeRefused,
    /// The flat records over themselves
    Merge,
    /// One record, for the time of a start, with the compiled code in the cache and without
    One,
    /// Ten times the flat records, for the memory that they take
    Long,
}

/// Records, and how they are to be written.
#[derive(Clone)]
pub struct Workload {
    pub name: Name,
    pub title: &'static str,
    pub reads: Reads,
    /// Over rows of the same ids, which are there already; into a new place otherwise.
    pub over_itself: bool,
    /// How many requests Spile has in flight.
    pub window: Option<u32>,
    /// Without compiled code in the cache.
    pub is_cold: bool,
    pub tools: &'static [Tool],
    /// Who reads it where that is asked for.
    pub on_demand: &'static [Tool],
    pub destinations: &'static [Destination],
}

/// What the server has.
#[derive(Clone)]
pub enum Reads {
    /// One collection, all pages ready in memory.
    Pages { records: u64, per_page: u64, record: fn(&mut String, u64, &mut Random) },
    /// Eight collections; every so many requests are answered with 429, none where this is 0.
    Tree { too_many_every: u64 },
}

use Destination::{DuckDb, Parquet, Postgres, Sqlite};
use Tool::{Dlt, DltTuned, Native, Spile, Unboxed};

const FLAT: Workload = Workload {
    name: Name::Flat,
    title: "flat",
    reads: Reads::Pages { records: 200_000, per_page: 1_000, record: flat },
    over_itself: false,
    window: None,
    is_cold: false,
    tools: &[Spile, Native, Unboxed, Dlt, DltTuned],
    on_demand: &[],
    destinations: &[DuckDb, Postgres, Sqlite, Parquet],
};

const TREE: Workload = Workload {
    name: Name::Tree,
    title: "tree-16",
    reads: Reads::Tree { too_many_every: 0 },
    window: Some(16),
    tools: &[Spile, DltTuned],
    on_demand: &[Dlt],
    destinations: &[DuckDb],
    ..FLAT
};

const ONE: Workload = Workload {
    name: Name::One,
    title: "one",
    reads: Reads::Pages { records: 1, per_page: 1_000, record: flat },
    ..FLAT
};

const WORKLOADS: [Workload; 10] = [
    FLAT,
    Workload {
        name: Name::Nested,
        title: "nested",
        reads: Reads::Pages { records: 50_000, per_page: 500, record: nested },
        ..FLAT
    },
    Workload { title: "tree-8", window: Some(8), tools: &[Spile], on_demand: &[], ..TREE },
    TREE,
    Workload { title: "tree-32", window: Some(32), tools: &[Spile], on_demand: &[], ..TREE },
    Workload { name: Name::TreeRefused, title: "tree-429", reads: Reads::Tree { too_many_every: 50 }, ..TREE },
    Workload {
        name: Name::Merge,
        title: "merge",
        over_itself: true,
        tools: &[Spile, Dlt, DltTuned],
        // Rows in a file do not change.
        destinations: &[DuckDb, Postgres, Sqlite],
        ..FLAT
    },
    ONE,
    Workload { title: "one-cold", is_cold: true, tools: &[Spile], destinations: &[DuckDb], ..ONE },
    Workload {
        name: Name::Long,
        title: "long",
        reads: Reads::Pages { records: 2_000_000, per_page: 1_000, record: flat },
        tools: &[Spile],
        destinations: &[DuckDb, Parquet],
        ..FLAT
    },
];

/// A hundredth, in a smoke test.
const SMALLER: u64 = 100;

impl Workload {
    /// All of these names; of all names if there are none.
    pub fn all(names: &[Name], is_smoke: bool) -> Vec<Self> {
        let mut workloads = WORKLOADS.to_vec();
        workloads.retain(|workload| names.is_empty() || names.contains(&workload.name));
        for workload in workloads.iter_mut().filter(|_| is_smoke) {
            match &mut workload.reads {
                Reads::Pages { records, .. } => *records = records.div_ceil(SMALLER),
                // Few requests, of which some are refused all the same.
                Reads::Tree { too_many_every } => *too_many_every = too_many_every.div_ceil(5),
            }
        }
        workloads
    }

    /// The least that can be read.
    pub fn least() -> Self {
        ONE
    }

    /// The source, in the words that both tools have.
    pub fn source(&self, base_url: &str, token: &Value) -> Value {
        if let Reads::Tree { .. } = self.reads {
            return tree::source(base_url, token);
        }
        let mut resource = json!({
            "name": "records",
            "write_disposition": if self.over_itself { "merge" } else { "replace" },
            "endpoint": {
                "path": "/records",
                "data_selector": "data",
                "paginator": {"type": "page_number", "base_page": 1, "total_path": "pages"},
            },
        });
        if self.over_itself {
            resource["primary_key"] = json!("id");
        }
        json!({"client": {"base_url": base_url}, "resources": [resource]})
    }

    /// The records' name, for the native reference.
    pub fn shape(&self) -> &'static str {
        if self.name == Name::Nested { "nested" } else { "flat" }
    }

    /// A server of these records, and what a run reads from it.
    pub fn serve(&self, is_smoke: bool) -> (Api, Whole) {
        match self.reads {
            Reads::Pages { records, per_page, record } => {
                let pages = records.div_ceil(per_page);
                let api = BulkApi::start(bodies(records, per_page, record), pages as usize).unwrap();
                (Api::Bulk(api), Whole { records, pages, ..Whole::default() })
            }
            Reads::Tree { too_many_every } => {
                let options: Options = tree::options(too_many_every, is_smoke);
                let whole = tree::whole(&options);
                (Api::from(options), whole)
            }
        }
    }

    pub fn description(&self, whole: &Whole) -> String {
        let how = match (&self.reads, self.over_itself) {
            (Reads::Tree { .. }, _) | (_, true) => "merge on `id`",
            _ => "replace",
        };
        let mut text = format!("{} records in {} pages, {how}", whole.records, whole.pages);
        if let Reads::Tree { too_many_every } = self.reads {
            let rows = whole.tables.iter().flat_map(|tables| tables.values()).sum::<u64>();
            let _ = write!(text, ", {} rows of child tables", rows - whole.records);
            let _ = write!(text, ", {} ms before each answer", tree::LATENCY_MS);
            if too_many_every > 0 {
                let _ = write!(text, ", every {too_many_every}th request answered with 429");
            }
        }
        if let Some(window) = self.window {
            let _ = write!(text, ", a window of {window}");
        }
        if self.is_cold {
            text.push_str(", without compiled code in the cache");
        }
        text
    }
}

/// What a run has loaded that read everything, and what it has asked for.
#[derive(Default)]
pub struct Whole {
    /// Records of all resources.
    pub records: u64,
    pub pages: u64,
    /// Pages beyond the end of a chain that a tool may ask for which asks before it knows that the chain has ended.
    pub chains: u64,
    /// Rows of each table, where they are known beforehand.
    pub tables: Option<std::collections::BTreeMap<String, u64>>,
}

/// The pages, at most as many as fit into the memory of any machine; they come again where there are more, which a table without a key
/// does not mind.
fn bodies(records: u64, per_page: u64, record: fn(&mut String, u64, &mut Random)) -> Vec<Bytes> {
    const MOST: u64 = 200_000;
    let pages = records.div_ceil(per_page);
    let mut random = Random::default();
    let starts = (0..records.min(MOST)).step_by(per_page as usize);
    let bodies = starts.map(|start| {
        let mut text = "{\"data\":[".to_owned();
        for id in start..records.min(start + per_page) {
            if id > start {
                text.push(',');
            }
            record(&mut text, id, &mut random);
        }
        let _ = write!(text, "],\"pages\":{pages}}}");
        Bytes::from(text)
    });
    bodies.collect()
}
