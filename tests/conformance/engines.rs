//! The two that are compared.

use crate::{case::Case, tables::Tables};
use mock_api::scripted::{Asked, Script, ScriptedApi};
use serde_json::{Value, json};
use spile_host::destination::Target;
use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// What came of one run.
pub struct Outcome {
    pub requests: Vec<Asked>,
    /// The tables, or what went wrong.
    pub tables: Result<Tables, String>,
}

/// A shorter secret could be found in the connector's memory by chance.
const SHORTEST_SECRET: usize = 8;

/// Runs the case through `spile` with so many requests at once.
pub fn spile(case: &Case, window: u32) -> Vec<Outcome> {
    let target = |folder: &Path| Target::DuckDb { path: folder.join("spile.duckdb") };
    spile_into(case, window, target, Tables::read)
}

/// Likewise into some database, read in some way.
pub fn spile_into(
    case: &Case,
    window: u32,
    target: impl Fn(&Path) -> Target,
    read: fn(&Target, &BTreeSet<String>, bool) -> Result<Tables, String>,
) -> Vec<Outcome> {
    runs(case, |base_url, folder| {
        let target = target(folder);
        let mut source = placed(&case.source, base_url);
        if let (Some(attempts), Value::Object(client)) = (case.attempts, &mut source["client"]) {
            // What dlt is given by its environment.
            client.insert("error_handler".to_owned(), json!({"max_retries": attempts - 1, "backoff_factor": 0}));
        }
        let file = folder.join("case.json");
        fs::write(&file, json!({"name": "case", "source": source, "params": case.params}).to_string()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_spile"));
        command.arg("run").arg(&file).current_dir(folder).stdin(Stdio::null());
        command.args(["--to", &target.to_string(), "--dataset", "data", "--window", &window.to_string()]);
        for origin in [base_url, &other_origin(base_url)] {
            command.args(["--allow-private", origin]);
        }
        for (name, value) in &case.secrets {
            let variable = format!("SPILE_CASE_{}", name.to_uppercase());
            command.args(["--secret", &format!("{name}=env:{variable}")]).env(variable, value);
        }
        let image = folder.join("memory");
        let output = command.env("SPILE_MEMORY_IMAGE", &image).output().expect("the program starts");
        // One that failed may have none.
        let memory = fs::read(&image).unwrap_or_default();
        assert!(!output.status.success() || memory.len() > 1 << 20, "{}: there is no memory to look into", case.name);
        for secret in case.secrets.values().filter(|secret| secret.len() >= SHORTEST_SECRET) {
            let is_there = memchr::memmem::find(&memory, secret.as_bytes()).is_some();
            assert!(!is_there, "{}: {secret} is in the memory of the connector", case.name);
        }
        match output.status.success() {
            true => read(&target, &case.ids, case.has_versions()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    })
}

/// A process that runs dlt.
pub struct Dlt {
    process: Child,
    tasks: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Its home, so that no configuration of this machine plays a part.
    home: tempfile::TempDir,
}

impl Dlt {
    pub fn start() -> Self {
        let python = python();
        assert!(python.exists(), "dlt is not there: run `./justw setup-test` ({} is missing)", python.display());
        let home = tempfile::tempdir().unwrap();
        let mut process = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/conformance/dlt_runner.py"))
            .current_dir(&home)
            .env("HOME", home.path())
            .env("DLT_DATA_DIR", home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(home.path().join("stderr")).unwrap())
            .spawn()
            .expect("Python starts");
        let (tasks, answers) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Self { process, tasks, answers: BufReader::new(answers), home }
    }

    /// Runs the case through dlt.
    pub fn run(&mut self, case: &Case) -> Vec<Outcome> {
        runs(case, |base_url, folder| {
            let source = revealed(&placed(&case.source, base_url), &case.secrets);
            let task = json!({"source": source, "folder": folder, "attempts": case.attempts.unwrap_or(1)});
            writeln!(self.tasks, "{task}").unwrap();
            let mut line = String::new();
            self.answers.read_line(&mut line).unwrap();
            let answer: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
                panic!(
                    "{}: dlt's process ended:\n{}",
                    case.name,
                    fs::read_to_string(self.home.path().join("stderr")).unwrap()
                )
            });
            match answer["error"].as_str() {
                None => {
                    Tables::read(&Target::DuckDb { path: folder.join("dlt.duckdb") }, &case.ids, case.has_versions())
                }
                Some(error) => Err(error.to_owned()),
            }
        })
    }
}

impl Drop for Dlt {
    fn drop(&mut self) {
        // Both are without effect on a process that has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where `./justw setup-test` puts it.
fn python() -> PathBuf {
    let version = include_str!("requirements.txt").lines().find_map(|line| line.strip_prefix("dlt[duckdb]==")).unwrap();
    let cache = env::var_os("XDG_CACHE_HOME")
        .map_or_else(|| Path::new(&env::var_os("HOME").unwrap()).join(".cache"), PathBuf::from);
    cache.join("spile/dlt").join(version).join("bin/python")
}

/// Runs a pipeline as often as the case says, against one server and in one folder.
fn runs(case: &Case, mut run: impl FnMut(&str, &Path) -> Result<Tables, String>) -> Vec<Outcome> {
    let (api, folder) = (ScriptedApi::start(Script::default()).unwrap(), tempfile::tempdir().unwrap());
    let mut outcome = |api_now: &Value| {
        api.replace(serde_json::from_value(api_now.clone()).unwrap_or_else(|error| panic!("{}: {error}", case.name)));
        let tables = run(api.base_url(), folder.path());
        Outcome { requests: api.asked(), tables }
    };
    case.runs.iter().map(|run| outcome(&run.api)).collect()
}

/// With the API's origins where `$api` and `$other` stand.
fn placed(value: &Value, base_url: &str) -> Value {
    let text = value.to_string().replace("$api", base_url).replace("$other", &other_origin(base_url));
    serde_json::from_str(&text).unwrap()
}

fn other_origin(base_url: &str) -> String {
    base_url.replace("127.0.0.1", "localhost")
}

/// With the texts of the secrets where they are named.
fn revealed(value: &Value, secrets: &BTreeMap<String, String>) -> Value {
    match value {
        Value::Object(fields) => match fields.get("secret").and_then(Value::as_str) {
            Some(name) if fields.len() == 1 => json!(secrets[name]),
            _ => Value::Object(fields.iter().map(|(key, value)| (key.clone(), revealed(value, secrets))).collect()),
        },
        Value::Array(items) => items.iter().map(|item| revealed(item, secrets)).collect(),
        scalar => scalar.clone(),
    }
}
