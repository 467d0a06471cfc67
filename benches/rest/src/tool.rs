//! What is compared.

use crate::place::{DATASET, Destination, Place};
use crate::usage::{self, Usage};
use crate::workload::Workload;
use mock_api::Options;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fmt, fs};

/// A program, with its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Tool {
    Spile,
    /// Fetches, parses and writes, written by hand, without a sandbox
    Native,
    /// Spile's own engine, gate and loader, without the sandbox
    Unboxed,
    /// With its default settings
    Dlt,
    /// With the fastest settings that `dlt_runner.py` knows
    DltTuned,
}

impl Tool {
    /// dlt writes to neither SQLite nor files of this kind without further packages, and is not compared there.
    pub fn writes_to(self, destination: Destination) -> bool {
        match self {
            Self::Spile => true,
            Self::Native | Self::Unboxed => matches!(destination, Destination::DuckDb | Destination::Parquet),
            Self::Dlt | Self::DltTuned => matches!(destination, Destination::DuckDb | Destination::Postgres),
        }
    }

    /// Whether it may ask for a page beyond the end of a chain, because it asks for several pages at once.
    pub fn asks_ahead(self) -> bool {
        self == Self::Spile
    }

    /// Reads everything once, as a process of its own: what that used. Panics where it fails.
    pub fn run(self, workload: &Workload, base_url: &str, place: &Place) -> Usage {
        let mut command = match self {
            Self::Spile => spile(workload, base_url, place),
            Self::Native => {
                let mut command = Command::new(beside_this("bench-native"));
                command.args([workload.shape(), base_url, &place.target.to_string(), DATASET]);
                command
            }
            Self::Unboxed => {
                let source = workload.source(base_url, &json!(null));
                let mut command = Command::new(beside_this("bench-unboxed"));
                command.args([source.to_string(), place.target.to_string(), DATASET.to_owned()]);
                command
            }
            Self::Dlt | Self::DltTuned => dlt(workload, base_url, place, self == Self::DltTuned),
        };
        let messages = place.folder().join("messages");
        let output = fs::File::create(&messages).unwrap();
        let used =
            usage::of(command.current_dir(place.folder()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(output));
        used.unwrap_or_else(|status| panic!("{self} ended with {status}:\n{}", fs::read_to_string(messages).unwrap()))
    }
}

fn spile(workload: &Workload, base_url: &str, place: &Place) -> Command {
    const TOKEN: &str = "SPILE_BENCH_TOKEN";
    let file = place.folder().join("records.json");
    let source = workload.source(base_url, &json!({"secret": "api_key"}));
    fs::write(&file, json!({"name": "records", "source": source}).to_string()).unwrap();
    let mut command = Command::new(beside_this("spile"));
    command.arg("run").arg(file).args(["--dataset", DATASET, "--allow-private", base_url]);
    command.args(["--to", &place.target.to_string(), "--summary", "json"]);
    if source.pointer("/client/auth").is_some() {
        command.arg("--secret").arg(format!("api_key=env:{TOKEN}")).env(TOKEN, Options::default().token);
    }
    if let Some(window) = workload.window {
        command.args(["--window", &window.to_string()]);
    }
    if workload.is_cold {
        command.env("XDG_CACHE_HOME", place.folder().join("cache"));
    }
    command
}

fn dlt(workload: &Workload, base_url: &str, place: &Place, is_tuned: bool) -> Command {
    let task = json!({
        "source": workload.source(base_url, &json!(Options::default().token)),
        "folder": place.folder(),
        "dataset": DATASET,
        "destination": place.target.to_string(),
        "is_tuned": is_tuned,
    });
    let mut command = Command::new(python());
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/dlt_runner.py")).arg(task.to_string());
    // So that no configuration of this machine plays a part.
    command.env("HOME", place.folder()).env("DLT_DATA_DIR", place.folder());
    command
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spile => "Spile",
            Self::Native => "native reference",
            Self::Unboxed => "Spile without sandbox",
            Self::Dlt => "dlt",
            Self::DltTuned => "dlt, tuned",
        })
    }
}

/// Where Cargo puts what it builds.
pub fn target_folder() -> PathBuf {
    env::current_exe().unwrap().ancestors().nth(2).map(Path::to_owned).unwrap()
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
