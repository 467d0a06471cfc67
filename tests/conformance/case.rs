//! How a case is written: one file of YAML.
//!
//! ```yaml
//! source: {…}           # as both engines get it; `$api` stands for the base URL of the API, `$other` for its other origin
//! api: {…}              # see `mock_api::scripted`
//! params: {name: …}      # what only Spile is given, as a pipeline file gives it
//! attempts: 3           # how often a request is made at most that fails in a way that may pass; both engines wait for nothing
//! secrets: {key: text}  # values of `{secret: key}`; dlt is given the text in its place
//! difference:           # absent where the two must do the same
//!   why: …              # the first column of the list of differences
//!   dlt: {…}            # what it does: `requests`, `rows` and `columns` by table, `fails` with this text; what is left out is the same
//!   spile: {…}          # likewise; `extra: N` are requests that are made in vain with several in flight
//! ```

use serde::Deserialize;
use serde_json::{Map, Value};
use spile_host::pipeline::document::Document;
use std::{collections::BTreeMap, fs, path::Path};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/conformance/cases");

pub struct Case {
    /// The file's name without its ending.
    pub name: String,
    pub source: Value,
    /// Read anew for each server.
    pub api: Value,
    pub params: Map<String, Value>,
    pub attempts: Option<u32>,
    pub secrets: BTreeMap<String, String>,
    pub difference: Option<Difference>,
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
    difference: Option<Difference>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    pub why: String,
    pub dlt: Side,
    pub spile: Side,
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

    fn read(path: &Path) -> Self {
        let document = Document::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file: File =
            serde_json::from_value(document.value).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let File { source, api, params, attempts, secrets, difference } = file;
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        Self { name, source, api, params, attempts, secrets, difference }
    }
}
