//! Shaping: records become rows of relational tables, by dlt's rules (reference, sections 9 and 10).
//!
//! A nested object becomes columns `parent__child`, a list becomes a child table, and every row gets the columns by which
//! dlt ties tables together. A record is read once, from its text into the columns of Arrow; no tree is made of it.
//!
//! | file | what |
//! |---|---|
//! | `walk` | reads a record, and puts its values where they belong |
//! | `layout` | where keys lead |
//! | `naming` | names of tables and columns |
//! | `table`, `column` | rows under construction |
//! | `cell`, `number`, `timestamp` | types of values, and their conversion |
//! | `hints`, `contract` | what a configuration says of columns, and of what is new |
//! | `changes` | the report of what did not simply go into its column |
//! | `system` | our own columns |
//! | `lineage`, `identity`, `keccak` | which row is a child of which, and their ids |
//! | `schema` | tables and columns as they are known |
//! | `encode` | the two forms in which rows leave |

mod cell;
mod changes;
mod column;
mod contract;
mod cursor;
pub mod encode;
mod hints;
pub mod identity;
mod keccak;
mod layout;
mod lineage;
pub mod naming;
mod number;
pub mod schema;
mod system;
pub mod table;
mod walk;

pub(crate) mod timestamp;

use crate::config::model::OnCollision;
use crate::disposition::{RowId, WriteDisposition};
use crate::error::{Error, Kind, Result};
use crate::response::parsed;
use changes::Changes;
pub use changes::{Change, ChangeKind};
pub use contract::Contract;
pub use hints::Hint;
use identity::Id;
use layout::Layout;
use lineage::Lineage;
use schema::{Schema, Table};
use std::collections::BTreeMap;
pub use system::ROW_ID;
use table::{Mark, TableBuilder, TableRows};
use walk::{Stop, Walk};

/// How records of a resource are shaped.
#[derive(Clone)]
pub struct Target {
    /// The resource.
    pub resource: String,
    /// Its place in the configuration.
    pub pointer: String,
    /// Its root table.
    pub table: String,
    /// How deep records are unfolded.
    pub max_nesting: u32,
    /// How the rows meet those that are there.
    pub write_disposition: WriteDisposition,
    /// What the id of a root row is.
    pub row_id: RowId,
    /// What is known of the root table's columns.
    pub hints: Vec<Hint>,
    /// What becomes of what is new.
    pub contract: Contract,
    /// What becomes of two keys of one record that have one column.
    pub on_collision: OnCollision,
    /// Whether a column of whole numbers becomes one of doubles where a fraction comes.
    pub widen: bool,
}

/// Builds the tables of a run.
pub struct Shaper {
    load_id: String,
    /// What the host knows already.
    known: Schema,
    /// Tables with rows in this run, parents before their children.
    tables: Vec<TableBuilder>,
    index: BTreeMap<String, usize>,
    layout: Layout,
    /// The row of each resource's root table.
    roots: BTreeMap<String, usize>,
    lineage: Lineage,
    changes: Changes,
    /// Counts the objects that were met.
    turn: u64,
    marks: Vec<Mark>,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Added {
    /// Whether its root row is there; else the contract has left it out.
    pub is_kept: bool,
    /// About how many bytes its rows take.
    pub bytes: usize,
}

impl Shaper {
    /// Begins with the schema that the host knows.
    pub fn new(load_id: String, known: Schema) -> Self {
        Self {
            load_id,
            known,
            tables: Vec::new(),
            index: BTreeMap::new(),
            layout: Layout::default(),
            roots: BTreeMap::new(),
            lineage: Lineage::default(),
            changes: Changes::default(),
            turn: 0,
            marks: Vec::new(),
        }
    }

    /// The name of the load.
    pub fn load_id(&self) -> &str {
        &self.load_id
    }

    /// Adds a record, given as JSON text: its root row, and all child rows. `random` are the bytes of the row's id.
    ///
    /// # Errors
    /// `Kind::Schema` where the record does not fit the schema or its contract, `Kind::Upstream` where it is no JSON. The rows that
    /// were added before are not to be used then.
    pub fn add(&mut self, target: &Target, record: &str, random: &[u8; identity::BYTES]) -> Result<Added> {
        self.shape(target, record, random).map_err(|error| error.of(&target.resource))
    }

    fn shape(&mut self, target: &Target, record: &str, random: &[u8; identity::BYTES]) -> Result<Added> {
        let root = self.root(target)?;
        let id = match &target.row_id {
            RowId::Random => identity::root(random),
            RowId::Key(key) => identity::of_key(&parsed(record)?, key),
            RowId::Record => identity::of_row(parsed(record)?),
        };
        self.marks.clear();
        self.marks.extend(self.tables.iter().map(TableBuilder::mark));
        let begin = self.lineage.len();
        let added = match self.walk(target, root, record, id.clone()) {
            Err(Stop::Again) => {
                // Rare: a key stands twice in an object.
                self.tables.iter_mut().for_each(|table| table.is_open = false);
                self.rewind(0, 0, begin);
                self.walk(target, root, &parsed(record)?.to_string(), id)
            }
            other => other,
        };
        self.changes.settle();
        added.map_err(|stop| match stop {
            Stop::Failed(error) => *error,
            Stop::Again => Error::new(Kind::Internal, "a record has no order in which it can be shaped"),
        })
    }

    fn walk(&mut self, target: &Target, root: usize, record: &str, id: Id) -> Result<Added, Stop> {
        Walk::new(self, target, record).record(root, id)
    }

    /// Takes out the rows, columns and report that came after `self.marks` from its place `first` on, but for rows that are
    /// under construction, and the lineage from a place on.
    fn rewind(&mut self, first: usize, counted: usize, place: usize) {
        let mut has_lost = false;
        for (at, table) in self.tables.iter_mut().enumerate() {
            // A table without a mark was not met before.
            let mark = self.marks.get(first + at).copied();
            has_lost |= !table.is_open && table.rewind(mark);
        }
        if has_lost {
            self.layout.forget_columns();
        }
        self.changes.rewind(counted);
        self.lineage.truncate(place);
    }

    /// The row of a resource's root table, whose columns are declared with the first record.
    fn root(&mut self, target: &Target) -> Result<usize> {
        if let Some(root) = self.roots.get(&target.resource) {
            return Ok(*root);
        }
        let at = self.table(&target.table, &target.resource, None);
        if let Some(table) = self.tables.get_mut(at) {
            table.declare(&target.resource, &target.hints)?;
        }
        let root = self.layout.row(at, target.max_nesting);
        self.roots.insert(target.resource.clone(), root);
        Ok(root)
    }

    /// The number of a table, which is made where there is none of this name.
    fn table(&mut self, name: &str, resource: &str, parent: Option<&str>) -> usize {
        if let Some(at) = self.index.get(name) {
            return *at;
        }
        let known = self.known.tables.get(name).cloned();
        let table = known.unwrap_or_else(|| Table {
            resource: resource.to_owned(),
            parent: parent.map(str::to_owned),
            load: self.load_id.clone(),
            key: None,
            columns: Vec::new(),
        });
        let at = self.tables.len();
        self.tables.push(TableBuilder::new(name.to_owned(), table));
        self.index.insert(name.to_owned(), at);
        at
    }

    /// The key that a table belongs to alone, if any; none where there is no such table.
    fn owner_of(&self, name: &str) -> Option<Option<String>> {
        match self.index.get(name).and_then(|at| self.tables.get(*at)) {
            Some(table) => Some(table.key.clone()),
            None => self.known.tables.get(name).map(|table| table.key.clone()),
        }
    }

    /// Takes what was added.
    pub fn take(&mut self) -> Result<Batch> {
        let mut tables = Vec::new();
        let mut is_changed = false;
        self.lineage.settle(&mut self.tables)?;
        for builder in self.tables.iter_mut().filter(|builder| builder.rows() > 0) {
            if builder.has_news() {
                self.known.tables.insert(builder.name.clone(), builder.known());
                is_changed = true;
            }
            tables.push(builder.take()?);
        }
        self.tables.iter_mut().for_each(TableBuilder::forget_entries);
        let schema = if is_changed { Some(self.known.to_text()?) } else { None };
        Ok(Batch { tables, schema, changes: self.changes.take() })
    }
}

/// Rows that were added.
pub struct Batch {
    /// By table, parents before their children.
    pub tables: Vec<TableRows>,
    /// The schema's text where they changed it.
    pub schema: Option<String>,
    /// What became of values that did not simply go into their columns.
    pub changes: Vec<Change>,
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
