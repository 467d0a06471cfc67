//! How a case is written: one file of YAML.
//!
//! ```yaml
//! source: {…}           # as both engines get it; `$api` stands for the base URL of the API, `$other` for its other origin
//! api: {…}              # see `mock_api::scripted`
//! params: {name: …}      # what only Spile is given, as a pipeline file gives it
//! attempts: 3           # how often a request is made at most that fails in a way that may pass; both engines wait for nothing
//! secrets: {key: text}  # values of `{secret: key}`; dlt is given the text in its place
//! ids: [id, …]           # ids of rows that are no chance: these, and those of all rows under them, must be the same literally
//! difference:           # absent where the two must do the same
//!   why: …              # the first column of the list of differences
//!   dlt: {…}            # what it does: `requests`, `rows` and `columns` by table, `fails` with this text; what is left out is the same
//!   spile: {…}          # likewise; `extra: N` are requests that are made in vain with several in flight
//! ```
//!
//! What several runs of one pipeline do, one after another, while the records of the API change:
//!
//! ```yaml
//! runs:
//!   - records: { /boats: […] }  # of the route with this path, until a later run changes them again
//!   - texts: { /boats: "[…]" }  # the whole answer of the route, likewise
//!     dlt: {…}          # what this run does, where that is not the same for both; `rows` are all that are there after it
//!     spile: {…}
//!   - {}                # nothing has changed
//! difference: { why: … }
//! ```
//!
//! Where both fail, and do the same otherwise, it is no difference: the run says how each of them fails.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use spile_host::pipeline::document::Document;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/conformance/cases");

pub struct Case {
    /// The file's name without its ending.
    pub name: String,
    pub source: Value,
    pub params: Map<String, Value>,
    pub attempts: Option<u32>,
    pub secrets: BTreeMap<String, String>,
    /// Of rows that all runs load with these ids.
    pub ids: BTreeSet<String>,
    /// At least one.
    pub runs: Vec<Run>,
    /// Why the two differ.
    pub why: Option<String>,
}

pub struct Run {
    /// Read anew for each server.
    pub api: Value,
    /// What dlt and Spile do, where that is not simply the same.
    pub said: Option<(Side, Side)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    source: Value,
    api: Value,
    #[serde(default)]
    params: Map<String, Value>,
    attempts: Option<u32>,
    #[serde(default)]
    secrets: BTreeMap<String, String>,
    #[serde(default)]
    ids: BTreeSet<String>,
    difference: Option<Difference>,
    #[serde(default)]
    runs: Vec<Change>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Difference {
    why: String,
    dlt: Option<Side>,
    spile: Option<Side>,
}

/// A run of several.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Change {
    records: BTreeMap<String, Vec<Value>>,
    texts: BTreeMap<String, String>,
    dlt: Option<Side>,
    spile: Option<Side>,
}

/// What one of the two does.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Side {
    /// A part of the error's text.
    pub fails: Option<String>,
    /// In any order, as [`mock_api::scripted::Asked`] writes them.
    pub requests: Option<Vec<String>>,
    /// The rows of each table, without the loader's own columns, in any order.
    pub rows: Option<BTreeMap<String, Vec<Map<String, Value>>>>,
    /// Name, type and `NOT NULL` of each column of these tables, in their order.
    pub columns: Option<BTreeMap<String, Vec<String>>>,
    /// How many requests are made in vain where several are in flight.
    pub extra: usize,
}

impl Case {
    /// All cases, by name.
    pub fn all() -> Vec<Self> {
        let files = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
        let mut cases: Vec<_> = files.map(|path| Self::read(&path)).collect();
        cases.sort_by(|a, b| a.name.cmp(&b.name));
        cases
    }

    /// Whether rows are kept as versions of their records.
    pub fn has_versions(&self) -> bool {
        self.source.to_string().contains("scd2")
    }

    fn read(path: &Path) -> Self {
        let document = Document::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file: File =
            serde_json::from_value(document.value).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let File { source, api, params, attempts, secrets, ids, difference, runs } = file;
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let (why, single) = match difference {
            None => (None, None),
            Some(Difference { why, dlt, spile }) => (Some(why), both(dlt, spile)),
        };
        assert!(runs.is_empty() || single.is_none(), "{name}: each of several runs says itself what is different");
        let runs = match runs.is_empty() {
            true => vec![Run { api, said: single }],
            false => one_after_another(&name, api, runs),
        };
        Self { name, source, params, attempts, secrets, ids, runs, why }
    }
}

fn both(dlt: Option<Side>, spile: Option<Side>) -> Option<(Side, Side)> {
    (dlt.is_some() || spile.is_some()).then(|| (dlt.unwrap_or_default(), spile.unwrap_or_default()))
}

/// The runs, each with the API as all changes up to it have left it.
fn one_after_another(name: &str, mut api: Value, changes: Vec<Change>) -> Vec<Run> {
    let mut run = |Change { records, texts, dlt, spile }| {
        let records = records.into_iter().map(|(path, records)| (path, "records", records.into()));
        let texts = texts.into_iter().map(|(path, text)| (path, "answers", json!([{"text": text}])));
        for (path, key, answer) in records.chain(texts) {
            let mut routes = api["routes"].as_array_mut().into_iter().flatten();
            let route = routes.find(|route| route["path"] == *path);
            route.unwrap_or_else(|| panic!("{name}: there is no route {path}"))[key] = answer;
        }
        Run { api: api.clone(), said: both(dlt, spile) }
    };
    changes.into_iter().map(&mut run).collect()
}
