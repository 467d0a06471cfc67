//! What an API answered is kept until its rows are: a run that was cut off does not ask for it again.

use std::{
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use mock_api::scripted::{Script, ScriptedApi};
use serde_json::{Value, json};

use crate::{
    program::{Call, Outcome, own_cache},
    tables::json_rows,
};

/// Occurs nowhere else.
const TOKEN: &str = "t0ken-5d2e81f7a3c9";

/// Three pages, each with a link to the next. The third is answered with this.
fn script(third: &Value) -> Script {
    let page = |id: u64| json!({"next": format!("$api/pages?page={}", id + 1), "items": [{"id": id, "echo": TOKEN}]});
    let answers = json!([
        {"query": {"page": "2"}, "body": page(2)},
        {"query": {"page": "3"}, "status": third["status"], "headers": third["headers"], "body": third["body"]},
        {"body": page(1)},
    ]);
    serde_json::from_value(json!({"routes": [{"path": "/pages", "answers": answers}]})).unwrap()
}

/// For longer than a test lasts there is no third page.
fn later() -> Value {
    json!({"status": 429, "headers": {"retry-after": "600"}, "body": {}})
}

fn last() -> Value {
    json!({"status": 200, "headers": {}, "body": {"next": null, "items": [{"id": 3, "echo": "none"}]}})
}

struct Stage {
    api: ScriptedApi,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new(third: &Value) -> Self {
        let stage = Self { api: ScriptedApi::start(script(third)).unwrap(), folder: tempfile::tempdir().unwrap() };
        let paginator = json!({"type": "json_link", "next_url_path": "next"});
        let endpoint = json!({"path": "pages", "data_selector": "items", "paginator": paginator});
        let client = json!({"base_url": stage.api.base_url(), "auth": {"token": {"secret": "key"}}});
        let resources = json!([{"name": "pages", "write_disposition": "append", "endpoint": endpoint}]);
        let pipeline = json!({"name": "case", "source": {"client": client, "resources": resources}});
        fs::write(stage.path("case.json"), pipeline.to_string()).unwrap();
        own_cache(stage.folder.path());
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn call(&self) -> Call {
        let arguments = [
            "run",
            "case.json",
            "--to",
            "duckdb:out.duckdb",
            "--dataset",
            "data",
            "--secret",
            "key=env:SPILE_TEST_TOKEN",
        ];
        Call::new(self.folder.path(), &arguments)
            .with(["--allow-private", self.api.base_url(), "--summary", "json"])
            .env("SPILE_TEST_TOKEN", TOKEN)
            .env("XDG_CACHE_HOME", self.path("cache").to_str().unwrap())
    }

    /// A run that is killed once it has asked for the third page.
    fn killed(&self, call: Call) -> Outcome {
        let running = call.start();
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.asked().contains(&3) {
            assert!(Instant::now() < deadline, "the third page was not asked for");
            thread::sleep(Duration::from_millis(1));
        }
        running.signal(libc::SIGKILL);
        running.end().ended_with(-libc::SIGKILL)
    }

    /// The pages that were asked for since the script was replaced.
    fn asked(&self) -> Vec<u64> {
        let page = |asked: String| asked.split_once("page=").map_or(1, |(_, rest)| rest[..1].parse().unwrap());
        self.api.asked().iter().map(|asked| page(asked.to_string())).collect()
    }

    /// The files with answers.
    fn kept(&self) -> Vec<PathBuf> {
        let folders = fs::read_dir(self.path("cache/spile/answers")).into_iter().flatten().flatten();
        let files = folders.flat_map(|folder| fs::read_dir(folder.path()).unwrap().flatten());
        files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|end| end == "answers")).collect()
    }

    fn ids(&self) -> Vec<Value> {
        let rows = json_rows(self.folder.path(), "SELECT id FROM data.pages ORDER BY id");
        rows.iter().map(|row| serde_json::from_str::<Value>(row).unwrap()["id"].clone()).collect()
    }
}

#[test]
fn a_run_that_is_killed_before_its_first_commit_asks_only_for_what_did_not_come() {
    let stage = Stage::new(&later());
    stage.killed(stage.call());
    // That no secret is in them is looked for after every call.
    let text: String = stage.kept().iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    assert_eq!(text.matches(r#""echo":"#).count(), 2, "{text}");

    stage.api.replace(script(&last()));
    let outcome = stage.call().with(["--bill", "json"]).succeeds();
    assert_eq!(stage.asked(), [3]);
    assert!(outcome.stdout.contains(r#""kept_answers":2,"#), "{outcome:?}");
    outcome.says(&["going on with an interrupted run, of which 0 rows and 2 answers are kept"]);
    assert_eq!(stage.ids(), [1, 2, 3]);
    assert_eq!(fs::read_dir(stage.path("cache/spile/answers")).unwrap().count(), 0);
}

#[test]
fn where_none_are_to_be_kept_all_is_asked_for_again() {
    let stage = Stage::new(&later());
    stage.killed(stage.call().with(["--forget-answers"]));
    assert_eq!(stage.kept().len(), 0);
    stage.api.replace(script(&last()));
    stage.call().succeeds();
    assert_eq!((stage.asked(), stage.ids()), (vec![1, 2, 3], vec![json!(1), json!(2), json!(3)]));
}

#[test]
fn an_answer_that_ended_a_run_does_not_end_the_next_one() {
    let stage = Stage::new(&json!({"status": 200, "headers": {}, "body": {"next": 7, "items": "none"}}));
    stage.call().outcome().ended_with(4);
    assert_eq!(stage.kept().len(), 0);
    stage.api.replace(script(&last()));
    stage.call().succeeds();
    assert_eq!((stage.asked(), stage.ids()), (vec![3], vec![json!(1), json!(2), json!(3)]));
}

#[test]
fn a_run_of_other_rows_gets_no_answers_of_one_that_was_cut_off() {
    let stage = Stage::new(&later());
    stage.killed(stage.call());
    stage.api.replace(script(&last()));
    stage.call().with(["--full-refresh"]).succeeds();
    assert_eq!((stage.asked(), stage.ids()), (vec![1, 2, 3], vec![json!(1), json!(2), json!(3)]));
}
