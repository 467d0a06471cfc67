//! What is printed, and kept in `docs/runtimes.md`.

use crate::case::Case;
use crate::outcome::Outcome;
use std::{env, fmt, fs};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/runtimes.md");

/// The lines between which the table stands.
const MARKS: [&str; 2] = ["<!-- made by the test of portability -->\n", "<!-- end -->\n"];

/// How many digits of a digest are shown.
const DIGITS: usize = 16;

/// What a runtime made of a case.
#[derive(Clone, Copy, PartialEq)]
pub enum Cell {
    Same,
    Different,
    /// It cannot be asked.
    NotAsked,
}

impl Cell {
    /// The case in one more reading.
    pub fn add(&mut self, is_same: bool) {
        *self = if is_same && *self != Self::Different { Self::Same } else { Self::Different };
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Same => "same",
            Self::Different => "DIFFERENT",
            Self::NotAsked => "–",
        })
    }
}

/// A row for each case.
pub struct Table {
    runtimes: Vec<String>,
    rows: Vec<String>,
    /// Of the case that is being read: what the first of its readings gave.
    first: Option<(usize, String, String)>,
}

impl Table {
    pub fn new(runtimes: impl IntoIterator<Item = String>) -> Self {
        Self { runtimes: runtimes.into_iter().collect(), rows: Vec::new(), first: None }
    }

    /// What a reading of the case gave.
    pub fn add(&mut self, case: &Case, outcome: &Outcome) {
        let end = case.fails.as_deref().map_or_else(String::new, |kind| format!("; `{kind}`"));
        self.first.get_or_insert_with(|| (outcome.rows(), outcome.digest(), end));
    }

    /// All readings of the case were made.
    pub fn end(&mut self, case: &Case, cells: &[Cell]) {
        let (rows, digest, end) = self.first.take().expect("a reading");
        let cells: Vec<_> = cells.iter().map(Cell::to_string).collect();
        let name = &case.name;
        self.rows.push(format!("| {name} | {rows}{end} | `{}` | {} |", &digest[..DIGITS], cells.join(" | ")));
    }

    /// Fails where the document says something else. The versions of the machine's own programs may be others.
    pub fn compare_or_bless(&self) {
        let document = fs::read_to_string(DOCUMENT).unwrap();
        let (before, rest) = document.split_once(MARKS[0]).expect("the mark before the table");
        let (kept, after) = rest.split_once(MARKS[1]).expect("the mark after the table");
        let made = format!("\n{self}\n");
        if env::var_os("BLESS").is_some() {
            fs::write(DOCUMENT, [before, MARKS[0], &made, MARKS[1], after].concat()).unwrap();
        } else {
            assert_eq!(general(kept), general(&made), "docs/runtimes.md: run with BLESS=1 and look at what changed");
        }
    }
}

/// Without the versions of Node and Python.
fn general(table: &str) -> String {
    let mut words = Vec::new();
    for word in table.split(' ') {
        let is_version = matches!(words.last(), Some(&"Node" | &"Python"));
        words.push(if is_version { "x" } else { word });
    }
    words.join(" ")
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| case | rows | SHA-256 of the rows | {} |", self.runtimes.join(" | "))?;
        writeln!(f, "|---|---|---|{}", "---|".repeat(self.runtimes.len()))?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}
