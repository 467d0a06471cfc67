//! What is compared.

use crate::place::{DATASET, Destination, Place};
use crate::usage::{self, Usage};
use crate::workload::Workload;
use serde_json::json;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{env, fmt, fs};

/// A program, with its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Tool {
    Spile,
    /// With its default settings
    Dlt,
    /// With the fastest settings that `dlt_runner.py` knows
    DltTuned,
}

impl Tool {
    pub const ALL: [Self; 3] = [Self::Spile, Self::Dlt, Self::DltTuned];

    /// dlt writes to neither SQLite nor files of this kind without further packages, and is not compared there.
    pub fn writes_to(self, destination: Destination) -> bool {
        self == Self::Spile || matches!(destination, Destination::DuckDb | Destination::Postgres)
    }

    /// Reads everything once, as a process of its own: what that used. Panics where it fails.
    pub fn run(self, workload: &Workload, base_url: &str, place: &Place) -> Usage {
        let source = workload.source(base_url);
        let mut command = match self {
            Self::Spile => {
                let file = place.folder().join("records.json");
                fs::write(&file, json!({"name": "records", "source": source}).to_string()).unwrap();
                let mut command = Command::new(beside_this("spile"));
                command.arg("run").arg(file).args(["--dataset", DATASET, "--allow-private", base_url]);
                command.args(["--to", &place.target.to_string(), "--summary", "json"]);
                command
            }
            Self::Dlt | Self::DltTuned => {
                let task = json!({
                    "source": source,
                    "folder": place.folder(),
                    "dataset": DATASET,
                    "destination": place.target.to_string(),
                    "is_tuned": self == Self::DltTuned,
                });
                let mut command = Command::new(python());
                command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/dlt_runner.py")).arg(task.to_string());
                // So that no configuration of this machine plays a part.
                command.env("HOME", place.folder()).env("DLT_DATA_DIR", place.folder());
                command
            }
        };
        let messages = place.folder().join("messages");
        let output = fs::File::create(&messages).unwrap();
        let used =
            usage::of(command.current_dir(place.folder()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(output));
        used.unwrap_or_else(|status| panic!("{self} ended with {status}:\n{}", fs::read_to_string(messages).unwrap()))
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spile => "Spile",
            Self::Dlt => "dlt",
            Self::DltTuned => "dlt, tuned",
        })
    }
}

/// A program that the same build has made.
fn beside_this(name: &str) -> PathBuf {
    let program = env::current_exe().unwrap().with_file_name(name);
    assert!(program.exists(), "{} is missing: run `./justw build`", program.display());
    program
}

/// Where `./justw setup-bench` puts it.
fn python() -> PathBuf {
    let requirements = include_str!("../../../tests/conformance/requirements.txt");
    let version = requirements.lines().find_map(|line| line.strip_prefix("dlt[duckdb]==")).unwrap();
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| env::home_dir().unwrap().join(".cache"));
    let python = cache.join("spile/dlt-bench").join(version).join("bin/python");
    assert!(python.exists(), "dlt is not there: run `./justw setup-bench` ({} is missing)", python.display());
    python
}
