//! What came of a reading, as far as it must be the same everywhere.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

/// Columns that hold ids of rows. Some are made of random numbers, so each is told by the place where it first stands.
const IDS: [&str; 3] = ["_dlt_id", "_dlt_parent_id", "_dlt_root_id"];

/// The column that names the run, which the connector behind HTTP does by itself.
const LOAD: &str = "_dlt_load_id";

/// How a reading ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// With the messages of its warnings.
    Done(Vec<String>),
    /// With warnings that this runtime does not tell.
    Untold,
    /// Nothing was said of an end.
    Unended,
    /// With an error: its `kind`, `message`, `resource`, `pointer`, `advice`, `status`, `url`, `attempts`, as far as they are there.
    Failed(Map<String, Value>),
}

/// Rows, states, and the end.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// By table, in the order of delivery.
    tables: BTreeMap<String, Vec<Map<String, Value>>>,
    /// By the number of root rows before it.
    states: BTreeMap<u64, String>,
    root_rows: u64,
    pub end: End,
}

impl Outcome {
    pub fn new() -> Self {
        let (tables, states) = Default::default();
        Self { tables, states, root_rows: 0, end: End::Unended }
    }

    /// Adds the rows of a table, one JSON object a line.
    pub fn push_rows(&mut self, table: &str, is_root: bool, lines: &str) {
        let rows: Vec<_> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        self.root_rows += if is_root { rows.len() as u64 } else { 0 };
        self.tables.entry(table.to_owned()).or_default().extend(rows);
    }

    /// The state after the rows so far.
    pub fn push_state(&mut self, state: &str) {
        self.states.insert(self.root_rows, state.to_owned());
    }

    /// The end: an error of this kind, and what is known of it.
    pub fn fail(&mut self, kind: &str, facts: impl IntoIterator<Item = (&'static str, Value)>) {
        let mut known = Map::from_iter([("kind".to_owned(), kind.into())]);
        known.extend(facts.into_iter().filter(|(_, fact)| !fact.is_null()).map(|(name, fact)| (name.to_owned(), fact)));
        self.end = End::Failed(known);
    }

    pub fn rows(&self) -> usize {
        self.tables.values().map(Vec::len).sum()
    }

    /// The kind of error that it ended with; `None` where all is well.
    pub fn kind(&self) -> Option<&str> {
        match &self.end {
            End::Done(_) | End::Untold => None,
            End::Failed(error) => error["kind"].as_str(),
            End::Unended => Some("no end at all"),
        }
    }

    /// With `$api` in the place of the API's base URL, and ids by their places.
    pub fn without(self, base_url: &str) -> Self {
        let anonymous = |text: &str| text.replace(base_url, "$api");
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut made = Self { tables: BTreeMap::new(), ..self };
        for (table, rows) in self.tables {
            let rows = rows.into_iter().map(|mut row| {
                for (name, value) in &mut row {
                    let id = value.as_str().filter(|_| IDS.contains(&name.as_str()));
                    if let Some(id) = id {
                        let next = places.len();
                        *value = json!(places.entry(id.to_owned()).or_insert(next));
                    } else if name == LOAD {
                        *value = json!("$load");
                    }
                }
                serde_json::from_str(&anonymous(&json!(row).to_string())).unwrap()
            });
            made.tables.insert(table, rows.collect());
        }
        made.states.values_mut().for_each(|state| *state = anonymous(state));
        made.end = match made.end {
            End::Untold | End::Unended => made.end,
            End::Done(warnings) => End::Done(warnings.iter().map(|text| anonymous(text)).collect()),
            End::Failed(error) => End::Failed(serde_json::from_str(&anonymous(&json!(error).to_string())).unwrap()),
        };
        made
    }

    /// The SHA-256 of all rows: `TABLE` and its rows as JSON, a line each.
    pub fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for (table, rows) in &self.tables {
            digest.update(format!("{table}\n"));
            rows.iter().for_each(|row| digest.update(format!("{}\n", json!(row))));
        }
        digest.finalize().iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    }

    /// What is not the same as in another one. States are compared where both have one after as many rows.
    pub fn difference(&self, expected: &Self, words_differ: bool) -> Option<String> {
        for name in expected.tables.keys().chain(self.tables.keys()) {
            let (found, expected) = (self.tables.get(name), expected.tables.get(name));
            if found != expected {
                let [found, expected] = [found, expected].map(|rows| rows.map(Vec::as_slice).unwrap_or_default());
                let first = found.iter().zip(expected).find(|(found, expected)| found != expected);
                let (found, expected) = (found.len(), expected.len());
                let rows = first.map(|(found, expected)| format!("\n  {}\n  {}", json!(found), json!(expected)));
                let rows = rows.unwrap_or_default();
                let end = &self.end;
                return Some(format!(
                    "{name} has {found} rows, of {expected}, and ends with {end:?}; the first that differs:{rows}"
                ));
            }
        }
        if self.digest() != expected.digest() {
            return Some("rows have other keys or numbers".to_owned());
        }
        let mut common = 0;
        for (rows, state) in &self.states {
            match expected.states.get(rows) {
                Some(expected) if expected != state => {
                    return Some(format!("the state after {rows} rows is\n  {state}\n  {expected}"));
                }
                Some(_) => common += 1,
                None => {}
            }
        }
        if common == 0 && !expected.states.is_empty() {
            return Some("no state can be compared".to_owned());
        }
        let is_same = match words_differ || self.end == End::Untold {
            true => self.kind() == expected.kind(),
            false => self.end == expected.end,
        };
        (!is_same).then(|| format!("ends with\n  {:?}\n  {:?}", self.end, expected.end))
    }
}
