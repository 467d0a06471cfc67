//! An API, a folder with a database, and the calls that bring them together.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use mock_api::{MockApi, Options, Stats};
use spile_host::{
    destination::{Access, Target},
    load::Ledger,
};
use tempfile::TempDir;

use crate::{
    program::{Call, Running},
    tables::Tables,
};

/// The connector as it ships.
pub const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../connectors/ai-platform.yaml");

/// The connector as it was first written: its path variables are bound by nothing in it.
pub const AS_GIVEN: &str = include_str!("ai-platform.json");

/// The dataset of all runs.
pub const DATASET: &str = "platform";

/// Longer than any request of these tests takes. Where it is used up, the test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until a run of the AI platform's pipeline that was started holds the database: it may ask the API before.
#[track_caller]
pub fn wait_until_held(target: &Target) {
    let is_held = || match target {
        // It is locked before anything is written into it.
        Target::DuckDb { path } => fs::metadata(path).is_ok_and(|file| file.len() > 0),
        Target::Sqlite { .. } => Ledger::open(target, Access::Read, DATASET, "ai_platform")
            .is_ok_and(|mut ledger| ledger.saved().is_ok_and(|saved| saved.is_some())),
        // Asked before the API.
        Target::Postgres { .. } | Target::Parquet { .. } => true,
    };
    let deadline = Instant::now() + PATIENCE;
    while !is_held() {
        assert!(Instant::now() < deadline, "{target} was not made");
        thread::sleep(Duration::from_millis(1));
    }
}

pub struct Setting {
    pub api: MockApi,
    folder: TempDir,
}

impl Setting {
    pub fn new(options: Options) -> Self {
        Self { api: MockApi::start(options).unwrap(), folder: tempfile::tempdir().unwrap() }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into the folder.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// The connector as it was given, with waits that a test has time for, and retries after server errors.
    pub fn impatient(&self) -> PathBuf {
        let text = AS_GIVEN.replace("\"backoff_factor\": 2", "\"backoff_factor\": 0.01");
        let text = text.replace("429\n", "429, 500\n");
        assert!(text.contains("429, 500") && text.contains("0.01"));
        self.file("ai-platform.json", &text)
    }

    /// `spile COMMAND FILE` for the API at this URL, with a user and a secret, and without leave to reach this machine.
    pub fn call_at(&self, url: &str, command: &str, file: impl AsRef<Path>) -> Call {
        let Options { user, token, .. } = self.api.options();
        Call::new(self.folder(), &[command])
            .with([file.as_ref()])
            .with([
                "--base-url",
                url,
                "--param",
                &format!("user_id={user}"),
                "--secret",
                "api_key=env:SPILE_TEST_TOKEN",
            ])
            .env("SPILE_TEST_TOKEN", &token)
    }

    /// `spile COMMAND FILE` with all that the connector needs to reach the API.
    pub fn call(&self, command: &str, file: impl AsRef<Path>) -> Call {
        self.call_at(self.api.base_url(), command, file).with(["--allow-private", self.api.base_url()])
    }

    /// `spile run FILE` into the database, with a summary in JSON.
    pub fn run(&self, file: impl AsRef<Path>) -> Call {
        self.run_into("duckdb:out.duckdb", file)
    }

    /// Likewise into another database.
    pub fn run_into(&self, target: &str, file: impl AsRef<Path>) -> Call {
        self.call("run", file).with(["--to", target, "--dataset", DATASET, "--summary", "json"])
    }

    /// `spile run FILE` for a file that does not bind the path variables itself.
    pub fn run_bound(&self, file: impl AsRef<Path>) -> Call {
        self.run(file).with(["--bind", "app_id=applications.id", "--bind", "model_id=models.id"])
    }

    pub fn target(&self) -> Target {
        Target::DuckDb { path: self.folder.path().join("out.duckdb") }
    }

    /// What the database holds.
    pub fn tables(&self) -> Tables {
        Tables::of_database(&self.target(), DATASET)
    }

    /// Waits until the API was asked as is wanted, while the program runs.
    #[track_caller]
    pub fn wait_until(&self, running: Running, wanted: impl FnMut(&Stats) -> bool) -> Running {
        if self.api.wait_until(PATIENCE, wanted) {
            return running;
        }
        running.signal(libc::SIGKILL);
        panic!("the API was not asked so far: {:?}\n{:?}", self.api.stats(), running.end());
    }
}
