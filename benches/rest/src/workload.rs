//! What is read.

use crate::place::Destination;
use crate::records::{Random, flat, nested};
use bytes::Bytes;
use mock_api::BulkApi;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The names that a person chooses by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Name {
    Flat,
    Nested,
    /// The flat records over themselves
    Merge,
    /// One record, for the time of a start
    One,
    /// How much memory ten times the records take; Spile only
    Memory,
    /// Ten times the flat records; Spile only
    Long,
}

impl Name {
    /// What is measured unless something else is asked for.
    pub const USUAL: [Self; 5] = [Self::Flat, Self::Nested, Self::Merge, Self::One, Self::Memory];

    /// What is to be read under this name, a hundredth of it in a smoke test.
    pub fn workloads(self, is_smoke: bool) -> Vec<Workload> {
        let usual = Workload {
            name: self,
            records: 200_000,
            per_page: 1_000,
            record: flat,
            merges: self == Self::Merge,
            only_spile: matches!(self, Self::Memory | Self::Long),
        };
        let mut workloads = match self {
            Self::Flat | Self::Merge => vec![usual],
            Self::Nested => vec![Workload { records: 50_000, per_page: 500, record: nested, ..usual }],
            Self::One => return vec![Workload { records: 1, ..usual }],
            Self::Memory => [100_000, 1_000_000].map(|records| Workload { records, ..usual.clone() }).into(),
            Self::Long => vec![Workload { records: 2_000_000, ..usual }],
        };
        if is_smoke {
            workloads.iter_mut().for_each(|workload| workload.records /= 100);
        }
        workloads
    }
}

/// Records, and how they are to be written.
#[derive(Clone)]
pub struct Workload {
    pub name: Name,
    pub records: u64,
    pub per_page: u64,
    pub record: fn(&mut String, u64, &mut Random),
    /// Over rows of the same ids, which are there already; into a new place otherwise.
    pub merges: bool,
    pub only_spile: bool,
}

impl Workload {
    pub fn title(&self) -> String {
        format!("{:?}", self.name).to_lowercase()
    }

    pub fn description(&self) -> String {
        let how = if self.merges { "merge on `id`" } else { "replace" };
        format!("{} records in {} pages, {how}", self.records, self.pages())
    }

    pub fn pages(&self) -> u64 {
        self.records.div_ceil(self.per_page)
    }

    /// Where it is written.
    pub fn destinations(&self) -> Vec<Destination> {
        match self.name {
            Name::Memory => vec![Destination::DuckDb, Destination::Parquet],
            // Rows in a file do not change.
            Name::Merge => vec![Destination::DuckDb, Destination::Postgres, Destination::Sqlite],
            _ => vec![Destination::DuckDb, Destination::Postgres, Destination::Sqlite, Destination::Parquet],
        }
    }

    /// The source, in the words that both tools have.
    pub fn source(&self, base_url: &str) -> Value {
        let mut resource = json!({
            "name": "records",
            "write_disposition": if self.merges { "merge" } else { "replace" },
            "endpoint": {
                "path": "/records",
                "data_selector": "data",
                "paginator": {"type": "page_number", "base_page": 1, "total_path": "pages"},
            },
        });
        if self.merges {
            resource["primary_key"] = json!("id");
        }
        json!({"client": {"base_url": base_url}, "resources": [resource]})
    }

    /// A server of these records. It holds at most as many pages as fit into the memory of any machine; they come again where there are
    /// more, which a table without a key does not mind.
    pub fn serve(&self) -> BulkApi {
        const MOST: u64 = 200_000;
        let pages = self.pages();
        let mut random = Random::default();
        let starts = (0..self.records.min(MOST)).step_by(self.per_page as usize);
        let bodies = starts.map(|start| {
            let mut text = "{\"data\":[".to_owned();
            for id in start..self.records.min(start + self.per_page) {
                if id > start {
                    text.push(',');
                }
                (self.record)(&mut text, id, &mut random);
            }
            let _ = write!(text, "],\"pages\":{pages}}}");
            Bytes::from(text)
        });
        BulkApi::start(bodies.collect(), pages as usize).unwrap()
    }
}
