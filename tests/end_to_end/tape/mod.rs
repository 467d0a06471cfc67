//! Runs that are recorded, and the same runs again from their tapes.
//!
//! | file | what |
//! |---|---|
//! | `har` | tapes as documents |
//! | `steps` | what the connector hands over, to the byte |
//! | `unlike` | tapes that do not fit, or are damaged |
//! | `secrets` | what is not on a tape |

mod har;
mod secrets;
mod steps;
mod unlike;

use std::{
    fs,
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use har::{assert_har, entries, read};
use mock_api::{MockApi, Options, RetryAfter};
use serde_json::json;
use spile_host::destination::Target;

use crate::{
    program::{Call, Outcome},
    setting::{DATASET, SHIPPED, Setting},
    tables::Tables,
};

/// How often a tape is played.
const TIMES: usize = 10;

/// A secret that every encoding changes.
const SECRET: &str = "t0ken+with a \"blank\"";

/// A recorded run of the program, into a database.
struct Recorded {
    setting: Setting,
    tape: PathBuf,
    outcome: Outcome,
}

impl Recorded {
    fn new(options: Options, arguments: &[&str]) -> Self {
        let setting = Setting::new(options);
        let tape = setting.folder().join("run.har");
        let outcome = setting.run(SHIPPED).with(["--record", "run.har"]).with(arguments).outcome();
        Self { setting, tape, outcome }
    }

    /// The API goes.
    fn alone(&mut self) -> &mut Self {
        let url = self.setting.api.base_url().to_owned();
        let other = MockApi::start(self.setting.api.options()).unwrap();
        drop(std::mem::replace(&mut self.setting.api, other));
        let address = url.strip_prefix("http://").unwrap();
        let gone = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_ok() {
            assert!(Instant::now() < gone, "the API is still there");
        }
        self
    }

    /// The call that replays it, without a secret and without leave to reach this machine.
    fn replay(&self, url: &str, database: &str) -> Call {
        let user = format!("user_id={}", self.setting.api.options().user);
        Call::new(self.setting.folder(), &["run", SHIPPED, "--base-url", url, "--param", &user])
            .with(["--to", &format!("duckdb:{database}"), "--dataset", DATASET, "--summary", "json"])
            .with(["--replay", "run.har"])
    }
}

#[test]
fn the_program_replays_without_network_and_secrets() {
    let options = Options { apps: 5, token: SECRET.to_owned(), user: "a/b ü".to_owned(), ..Options::default() };
    let mut recorded = Recorded::new(options, &[]);
    let url = recorded.setting.api.base_url().to_owned();
    let summary =
        std::mem::replace(&mut recorded.outcome, Outcome { code: 0, stdout: String::new(), stderr: String::new() });
    let summary = summary.ended_with(0).summary();
    let tables = recorded.setting.tables();
    tables.assert_equal(&Tables::of_api(&recorded.setting.api));

    assert_eq!(fs::metadata(&recorded.tape).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&recorded.tape).unwrap();
    let percent = "t0ken%2Bwith%20a%20%22blank%22";
    for secret in [SECRET, "t0ken", percent, &STANDARD.encode(SECRET)] {
        assert!(!text.contains(secret), "{secret}");
    }
    assert!(!text.contains("authorization") && !text.contains("spile-credential"));
    let har = read(&recorded.tape);
    assert_har(&har);
    assert_eq!(entries(&har).len() as u64, summary.of_all("requests"));
    assert_eq!(entries(&har)[0]["request"]["_credential"], "/client/auth");
    assert!(entries(&har).iter().all(|entry| entry["response"]["content"]["text"].is_string()));

    recorded.alone();
    for nth in 0..TIMES {
        let database = format!("{nth}.duckdb");
        let again = recorded.replay(&url, &database).succeeds().summary();
        assert_eq!(again.0["load_id"], summary.0["load_id"]);
        assert_eq!(again.of_tables("total"), summary.of_tables("total"));
        assert_eq!(again.of_all("requests"), summary.of_all("requests"));
        let target = Target::DuckDb { path: recorded.setting.folder().join(database) };
        assert!(Tables::of_database(&target, DATASET) == tables);
    }
    assert_eq!(recorded.setting.api.stats().total, 0);
    // Where the run is already there, it is not done again.
    let twice = recorded.replay(&url, "0.duckdb").outcome().ended_with(2);
    twice.says(&["not the one that the recorded run began with", "as it was before the recorded run"]);
    // Nor does the attempt leave anything behind.
    let target = Target::DuckDb { path: recorded.setting.folder().join("0.duckdb") };
    assert!(Tables::of_database(&target, DATASET) == tables);
}

#[test]
fn a_run_that_failed_or_was_interrupted_leaves_a_whole_tape() {
    let failing = Options { too_many_forever: Some(mock_api::Collection::AppConcepts), ..Options::default() };
    let failing = Options { retry_after: Some(RetryAfter::Seconds(0)), ..failing };
    let mut recorded = Recorded::new(failing, &[]);
    let url = recorded.setting.api.base_url().to_owned();
    assert_eq!(recorded.outcome.code, 4);
    assert_har(&read(&recorded.tape));
    let said = |stderr: &str| -> Vec<String> {
        let lines =
            stderr.lines().filter(|line| ["429", "attempts", "app_concepts"].iter().any(|part| line.contains(part)));
        lines.map(str::to_owned).collect()
    };
    let again = recorded.alone().replay(&url, "again.duckdb").outcome().ended_with(4);
    assert!(!said(&again.stderr).is_empty());
    assert_eq!(said(&again.stderr), said(&recorded.outcome.stderr));

    let setting = Setting::new(Options { latency_ms: 20, ..Options::default() });
    let running = setting.run(SHIPPED).with(["--record", "run.har"]).start();
    let running = setting.wait_until(running, |stats| stats.total > 20);
    assert!(!setting.folder().join("run.har").exists(), "a tape has its name when it is whole");
    running.signal(libc::SIGINT);
    let outcome = running.end().ended_with(130);
    let tape = setting.folder().join("run.har");
    assert_har(&read(&tape));
    assert!(entries(&read(&tape)).len() > 10);
    let left = fs::read_dir(setting.folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(left.into_iter().all(|name| !name.starts_with(".tmp")), "the file in the making is gone");
    let url = setting.api.base_url().to_owned();
    let recorded = Recorded { setting, tape, outcome };
    let again = recorded.replay(&url, "again.duckdb").outcome().ended_with(4);
    again.says(&["the tape ends here", "the recorded run ended early: interrupted", "after: GET http://"]);
}

#[test]
fn a_check_and_a_preview_are_replayed_too() {
    let setting = Setting::new(Options::default());
    for (command, arguments) in [("check", &[][..]), ("preview", &["applications", "--rows", "2"])] {
        let call = |tape: &str| setting.call(command, SHIPPED).with(arguments).with([tape, "run.har"]);
        let recorded = call("--record").succeeds();
        assert_har(&read(&setting.folder().join("run.har")));
        setting.api.reset_stats();
        assert_eq!(call("--replay").succeeds().stdout, recorded.stdout);
        assert_eq!(setting.api.stats().total, 0);
    }
}

#[test]
fn a_replay_that_broke_off_is_done_anew_in_the_same_place() {
    const COMMITS: [&str; 2] = ["--commit-rows", "20"];
    let recorded = Recorded::new(Options { apps: 6, ..Options::default() }, &COMMITS);
    let url = recorded.setting.api.base_url().to_owned();
    let whole = read(&recorded.tape);
    let mut shorter = whole.clone();
    let answers: Vec<&str> =
        whole["log"]["_answers"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let answers = answers.join(" ");
    shorter["log"]["_answers"] = json!([answers[..answers.len() * 9 / 10].rsplit_once(' ').unwrap().0]);
    fs::write(&recorded.tape, shorter.to_string()).unwrap();
    for _ in 0..2 {
        let call = recorded.replay(&url, "again.duckdb").with(COMMITS);
        call.outcome().ended_with(4).says(&["the tape ends here", "after: GET http://"]);
    }
    fs::write(&recorded.tape, whole.to_string()).unwrap();
    recorded.replay(&url, "again.duckdb").with(COMMITS).succeeds();
    let target = Target::DuckDb { path: recorded.setting.folder().join("again.duckdb") };
    Tables::of_database(&target, DATASET).assert_equal(&recorded.setting.tables());
}

#[test]
fn a_run_that_began_with_a_state_is_replayed_where_that_state_is() {
    let setting = Setting::new(Options { apps: 2, ..Options::default() });
    setting.run(SHIPPED).succeeds();
    let database = |name: &str| setting.folder().join(name);
    fs::copy(database("out.duckdb"), database("before.duckdb")).unwrap();
    setting.api.set_options(Options { revision: 1, ..setting.api.options() });
    let outcome = setting.run(SHIPPED).with(["--record", "run.har"]).succeeds();
    let (tables, tape, url) = (setting.tables(), database("run.har"), setting.api.base_url().to_owned());
    let before = database("before.duckdb");
    let recorded = Recorded { setting, tape, outcome };
    recorded.replay(&url, "new.duckdb").outcome().ended_with(2).says(&["not the one that the recorded run began with"]);
    recorded.replay(&url, "before.duckdb").succeeds();
    Tables::of_database(&Target::DuckDb { path: before }, DATASET).assert_equal(&tables);
}
