//! Every example of the documents is run: put into a whole pipeline where it is a part of one, against an API on this machine, to a
//! good end with at least one row.
//!
//! A comment before a block says what is special:
//!
//! ```text
//! <!-- not run: why -->
//! <!-- api: {auth: {bearer: sesame}} -->
//! <!--
//! api: {routes: […]}        # see `mock_api::scripted`; without routes, each resource has two plausible records
//! params: {customer_id: 7}  # values of path variables
//! secrets: {key: sesame}    # or `file:PATH`; a secret has its own name as value for want of another
//! arguments: [--since, "2025-01-01"]
//! fails: did you mean       # a part of the error that it ends with
//! -->
//! ```
//!
//! A block with the same key several times at its margin has as many examples; then `api` may be a list. The lines of a `sh` block
//! that call `spile` are run with an example before them as their file: the last one that has its name, or the last one.
//!
//! | file | what |
//! |---|---|
//! | `blocks` | the blocks of a page, and what comments say |
//! | `whole` | a whole pipeline around an example |
//! | `plain` | the API of an example that says nothing of it |

mod blocks;
mod plain;
mod whole;

use crate::program::{Call, Outcome};
use blocks::{Block, Said};
use mock_api::scripted::ScriptedApi;
use serde_json::{Value, json};
use spile_host::pipeline::document::Document;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Blocks in these languages are configurations.
const CONFIGURATIONS: [&str; 3] = ["yaml", "json", "toml"];

/// `PAGE=NAME` in the environment runs that page alone.
#[test]
fn every_example_of_the_documents_runs() {
    let only = std::env::var("PAGE").ok();
    let pages = pages().into_iter().filter(|(name, _)| only.as_ref().is_none_or(|only| name.contains(only.as_str())));
    let jobs: Vec<Vec<Block>> =
        pages.map(|(name, path)| Block::of(&path, &name)).filter(|page| !page.is_empty()).collect();
    let (waiting, failures) = (Mutex::new(jobs.iter().flat_map(|page| tasks(page))), Mutex::new(Vec::new()));
    let (ran, left_out) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((block, task)) = { waiting.lock().unwrap().next() } {
                    match task.run() {
                        Ok(true) => drop(ran.fetch_add(1, Ordering::Relaxed)),
                        Ok(false) => drop(left_out.fetch_add(1, Ordering::Relaxed)),
                        Err(why) => failures.lock().unwrap().push(format!("\n=== {}: {why}", block.place)),
                    }
                }
            });
        }
    });
    let (ran, left_out) = (ran.into_inner(), left_out.into_inner());
    println!("{ran} examples ran, {left_out} blocks say why they do not");
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    assert!(failures.is_empty(), "{} of {} fail:\n{}", failures.len(), ran + failures.len(), failures.join("\n"));
    assert!(ran > left_out);
}

/// `tests/portability` follows it word by word, files and all.
const START: &str = "docs/start.md";

/// The pages that have examples, by the names that places have.
fn pages() -> Vec<(String, PathBuf)> {
    let mut pages = vec![("README.md".to_owned(), Path::new(ROOT).join("README.md"))];
    for folder in ["docs", "docs/decisions"] {
        for entry in fs::read_dir(Path::new(ROOT).join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "md") {
                pages.push((format!("{folder}/{}", path.file_name().unwrap().to_str().unwrap()), path));
            }
        }
    }
    pages.retain(|(name, _)| name != START);
    pages.sort();
    pages
}

/// Something to run.
enum Task<'b> {
    /// An example, and which one of its block.
    Example(&'b Block, String, usize),
    /// Calls of the program, and the block that is their file.
    Calls(Vec<String>, Option<&'b Block>),
    LeftOut,
}

/// The tasks of a page.
fn tasks(page: &[Block]) -> Vec<(&Block, Task<'_>)> {
    let mut tasks = Vec::new();
    let mut before: Vec<&Block> = Vec::new();
    for block in page {
        let calls = calls(block);
        let is_configuration = CONFIGURATIONS.contains(&block.language.as_str());
        match &block.said.not_run {
            Some(_) if is_configuration || !calls.is_empty() => tasks.push((block, Task::LeftOut)),
            None if is_configuration => {
                let examples = block.examples().into_iter().enumerate();
                tasks.extend(examples.map(|(nth, example)| (block, Task::Example(block, example, nth))));
                before.push(block);
            }
            None if !calls.is_empty() => {
                let file = calls[0].split_whitespace().nth(2).and_then(|file| file.split('.').next());
                let name = format!("name: {}\n", file.unwrap_or_default());
                let named = before.iter().rev().find(|block| block.text.contains(&name));
                tasks.push((block, Task::Calls(calls, named.or(before.last()).copied())));
            }
            _ => {}
        }
    }
    tasks
}

/// The lines that call the program, without comments.
fn calls(block: &Block) -> Vec<String> {
    let text = block.text.replace("\\\n", " ");
    let lines = text.lines().filter(|_| ["sh", "bash", "console"].contains(&block.language.as_str()));
    let calls = lines.map(|line| line.trim_start_matches("$ ")).filter(|line| line.starts_with("spile "));
    calls.map(|line| line.split(" #").next().unwrap_or_default().to_owned()).collect()
}

impl Task<'_> {
    /// Runs it; false where it says why it is not run.
    fn run(&self) -> Result<bool, String> {
        match self {
            Self::LeftOut => Ok(false),
            Self::Example(block, example, nth) => {
                let setting = Setting::new(block, example, *nth)?;
                let outcome = setting.call("run").with(["--to", "duckdb:out.duckdb", "--summary", "json"]).outcome();
                match &block.said.fails {
                    Some(text) if outcome.code != 0 && outcome.stderr.contains(text) => Ok(true),
                    Some(text) => Err(format!("does not fail with {text:?}: {}", outcome.stderr)),
                    None => {
                        setting.is_good(&outcome)?;
                        match outcome.summary().of_all("rows") {
                            0 => Err(format!("gives no rows; it asked for {}", setting.asked())),
                            _ => Ok(true),
                        }
                    }
                }
            }
            Self::Calls(calls, block) => {
                let block = block.ok_or("there is no example before these calls")?;
                let setting = Setting::new(block, &block.examples()[0], 0)?;
                for call in calls {
                    setting.is_good(&setting.as_written(call)?.outcome()).map_err(|why| format!("{call}: {why}"))?;
                }
                Ok(true)
            }
        }
    }
}

/// An example as a file, and its API.
struct Setting {
    api: ScriptedApi,
    folder: tempfile::TempDir,
    /// Names and values.
    secrets: Vec<(String, String)>,
    said: Said,
}

const FILE: &str = "example.json";

impl Setting {
    fn new(block: &Block, example: &str, nth: usize) -> Result<Self, String> {
        let document = Document::parse(&block.place, &block.language, example.to_owned());
        let pipeline = whole::pipeline(&document.map_err(|error| format!("{error:?}"))?.value)?;
        let script = match &block.said.api {
            Value::Array(apis) => apis.get(nth).cloned().ok_or("there is no API for this example")?,
            api => api.clone(),
        };
        let script = plain::complete(script, &pipeline)?;
        let script = serde_json::from_value(script).map_err(|error| format!("the API: {error}"))?;
        let api = ScriptedApi::start(script).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), pipeline.to_string().replace("$api", api.base_url())).unwrap();
        let value = |name: String| {
            let value = block.said.secrets.get(&name).cloned().unwrap_or_else(|| name.clone());
            (name, value)
        };
        let secrets = secrets(&pipeline).into_iter().map(value).collect();
        Ok(Self { api, folder, secrets, said: block.said.clone() })
    }

    fn start(&self, arguments: &[&str]) -> Call {
        Call::new(self.folder.path(), arguments)
            .with(["--allow-private", self.api.base_url()])
            .env("XDG_STATE_HOME", self.folder.path().to_str().unwrap())
    }

    /// A call with all that the example needs.
    fn call(&self, command: &str) -> Call {
        let mut call = self.start(&[command, FILE]).with(&self.said.arguments);
        for (name, value) in &self.said.params {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            call = call.with(["--param", &format!("{name}={value}")]);
        }
        for (number, (name, value)) in self.secrets.iter().enumerate() {
            call = match value.strip_prefix("file:") {
                Some(path) => call.with(["--secret", &format!("{name}=file:{ROOT}/{path}")]),
                None => {
                    let variable = format!("SPILE_EXAMPLE_{number}");
                    call.with(["--secret", &format!("{name}=env:{variable}")]).env(&variable, value)
                }
            };
        }
        call
    }

    /// A call as a line of the document has it, whose file is the example.
    fn as_written(&self, line: &str) -> Result<Call, String> {
        let words: Vec<_> = line.split_whitespace().skip(1).collect();
        let file = words.get(1).ok_or("a call without a file")?;
        fs::copy(self.folder.path().join(FILE), self.folder.path().join(file)).map_err(|error| error.to_string())?;
        let mut call = self.start(&words);
        for (name, variable) in words.iter().filter_map(|word| word.split_once("=env:")) {
            let value = self.secrets.iter().find(|(other, _)| other == name);
            call = call.env(variable, value.map_or(name, |(_, value)| value));
        }
        Ok(call)
    }

    fn is_good(&self, outcome: &Outcome) -> Result<(), String> {
        match outcome.code {
            0 => Ok(()),
            code => Err(format!("ends with {code}: {}\nit asked for {}", outcome.stderr, self.asked())),
        }
    }

    fn asked(&self) -> String {
        let asked = self.api.asked();
        if asked.is_empty() { "nothing".to_owned() } else { asked.iter().map(|asked| format!("\n{asked}")).collect() }
    }
}

/// The secrets that a configuration names.
fn secrets(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Object(fields) => match value["secret"].as_str() {
            Some(name) if fields.len() == 1 => BTreeSet::from([name.to_owned()]),
            _ => fields.values().flat_map(secrets).collect(),
        },
        Value::Array(items) => items.iter().flat_map(secrets).collect(),
        _ => BTreeSet::new(),
    }
}

#[test]
fn the_calls_of_a_block_are_found() {
    let text =
        "# words\nspile run a.yaml \\\n  --to duckdb:a.duckdb   # more words\n./justw demo\n$ spile check a.yaml\n"
            .to_owned();
    let block = Block { place: String::new(), language: "sh".to_owned(), text, said: Said::default() };
    let found: Vec<Vec<String>> =
        calls(&block).iter().map(|call| call.split_whitespace().map(str::to_owned).collect()).collect();
    assert_eq!(
        json!(found),
        json!([["spile", "run", "a.yaml", "--to", "duckdb:a.duckdb"], ["spile", "check", "a.yaml"]])
    );
}
