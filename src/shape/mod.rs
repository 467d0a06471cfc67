//! Shaping: records become rows of relational tables, by dlt's rules (reference, sections 9 and 10).
//!
//! A nested object becomes columns `parent__child`, a list becomes a child table, and every row gets the columns by which
//! dlt ties tables together.

pub mod cell;
pub mod encode;
mod hints;
pub mod identity;
pub mod naming;
pub mod schema;
pub mod table;

pub(crate) mod timestamp;

use crate::config::model::WriteDisposition;
use crate::error::{Error, Kind, Result};
use cell::Scalar;
pub use hints::Hint;
use naming::SEPARATOR;
use schema::{Schema, Table};
use serde_json::{Map, Number, Value};
use std::collections::BTreeMap;
use table::{TableBuilder, TableRows};

/// Columns that are ours; a record's own fields of these names are left out.
const SYSTEM: [&str; 4] = ["_dlt_load_id", "_dlt_parent_id", "_dlt_list_idx", "_dlt_root_id"];

/// How records of a resource are shaped.
pub struct Target<'a> {
    /// The resource.
    pub resource: &'a str,
    /// Its root table.
    pub table: &'a str,
    /// How deep records are unfolded.
    pub max_nesting: u32,
    /// Rows of child tables carry `_dlt_root_id` where the root rows are merged.
    pub write_disposition: WriteDisposition,
    /// What is known of the root table's columns.
    pub hints: &'a [Hint],
}

/// Builds the tables of a run.
pub struct Shaper {
    load_id: String,
    /// What the host knows already.
    known: Schema,
    /// Tables with rows in this run, parents before their children.
    tables: Vec<TableBuilder>,
    index: BTreeMap<String, usize>,
    /// Names of keys and paths that were met, since naming costs more than a look-up.
    names: BTreeMap<String, String>,
}

/// The row that child rows belong to.
struct Parent<'a> {
    id: &'a str,
    root_id: Option<&'a str>,
    table: &'a str,
}

impl Shaper {
    /// Begins with the schema that the host knows.
    pub fn new(load_id: String, known: Schema) -> Self {
        Self { load_id, known, tables: Vec::new(), index: BTreeMap::new(), names: BTreeMap::new() }
    }

    /// The name of the load.
    pub fn load_id(&self) -> &str {
        &self.load_id
    }

    /// Adds a record: its root row, and all child rows. `random` are the bytes of the row's id. Returns about how many bytes
    /// the rows take.
    pub fn add(&mut self, target: &Target<'_>, record: &Value, random: &[u8]) -> Result<usize> {
        self.root_row(target, record, random).map_err(|error| error.of(target.resource))
    }

    fn root_row(&mut self, target: &Target<'_>, record: &Value, random: &[u8]) -> Result<usize> {
        let at = self.table(target.table, target.resource, None);
        if !target.hints.is_empty() {
            self.builder(at)?.declare(target.resource, target.hints)?;
        }
        let own_id = record.get("_dlt_id").and_then(Value::as_str);
        let id = own_id.map_or_else(|| identity::root(random), str::to_owned);
        let mut lists = Vec::new();
        let mut bytes = self.row(at, "value", record, target.max_nesting, &mut lists)?;
        let load_id = self.load_id.clone();
        let table = self.builder(at)?;
        bytes += table.set("_dlt_load_id", "_dlt_load_id", Scalar::Text(&load_id), false)?;
        bytes += table.set("_dlt_id", "_dlt_id", Scalar::Text(&id), false)?;
        table.end_row()?;
        let merges = target.write_disposition == WriteDisposition::Merge;
        let parent = Parent { id: &id, root_id: merges.then_some(id.as_str()), table: target.table };
        for list in lists {
            bytes += self.children(target, &parent, &list)?;
        }
        Ok(bytes)
    }

    /// The rows of a list, with their own child rows.
    fn children(&mut self, target: &Target<'_>, parent: &Parent<'_>, list: &List<'_>) -> Result<usize> {
        let name = format!("{}{SEPARATOR}{}", parent.table, list.path);
        let at = self.table(&name, target.resource, Some(parent.table));
        let mut bytes = 0;
        for (index, item) in list.items.iter().enumerate() {
            let index = i64::try_from(index).unwrap_or(i64::MAX);
            let own_id = item.get("_dlt_id").and_then(Value::as_str);
            let id = own_id.map_or_else(|| identity::child(parent.id, &name, index), str::to_owned);
            let mut lists = Vec::new();
            bytes += self.row(at, "list", item, list.nesting, &mut lists)?;
            let table = self.builder(at)?;
            if let Some(root_id) = parent.root_id {
                bytes += table.set("_dlt_root_id", "_dlt_root_id", Scalar::Text(root_id), false)?;
            }
            bytes += table.set("_dlt_parent_id", "_dlt_parent_id", Scalar::Text(parent.id), false)?;
            bytes += table.set("_dlt_list_idx", "_dlt_list_idx", Scalar::Number(&Number::from(index)), false)?;
            bytes += table.set("_dlt_id", "_dlt_id", Scalar::Text(&id), false)?;
            table.end_row()?;
            let parent = Parent { id: &id, root_id: parent.root_id, table: &name };
            for list in lists {
                bytes += self.children(target, &parent, &list)?;
            }
        }
        Ok(bytes)
    }

    /// The columns of one row. Lists are left for child tables; a row that is a list itself is the list at `path`.
    fn row<'v>(
        &mut self,
        at: usize,
        path: &str,
        record: &'v Value,
        nesting: u32,
        lists: &mut Vec<List<'v>>,
    ) -> Result<usize> {
        match record {
            Value::Object(fields) => self.fields(at, "", fields, nesting, lists),
            Value::Array(items) if nesting > 0 => {
                lists.push(List { path: path.to_owned(), items, nesting: nesting - 1 });
                Ok(0)
            }
            value => match scalar(value) {
                Some(scalar) => self.builder(at)?.set("value", "value", scalar, true),
                None => Ok(0),
            },
        }
    }

    fn fields<'v>(
        &mut self,
        at: usize,
        prefix: &str,
        fields: &'v Map<String, Value>,
        nesting: u32,
        lists: &mut Vec<List<'v>>,
    ) -> Result<usize> {
        let mut bytes = 0;
        let mut nested = Vec::new();
        for (key, value) in fields {
            let name = self.name(prefix, key);
            if prefix.is_empty() && (name == "_dlt_id" || SYSTEM.contains(&name.as_str())) {
                continue;
            }
            match value {
                Value::Null => {}
                Value::Object(inner) if nesting > 0 && !self.keeps_json(at, &name) => nested.push((name, inner)),
                Value::Array(items) if nesting > 0 && !self.keeps_json(at, &name) => {
                    lists.push(List { path: name, items, nesting: nesting - 1 });
                }
                value => {
                    if let Some(scalar) = scalar(value) {
                        bytes += self.builder(at)?.set(&name, key, scalar, true)?;
                    }
                }
            }
        }
        for (name, inner) in nested {
            bytes += self.fields(at, &name, inner, nesting - 1, lists)?;
        }
        Ok(bytes)
    }

    /// Whether a table has a JSON column of this name: what goes there is not unfolded.
    fn keeps_json(&self, at: usize, name: &str) -> bool {
        self.tables.get(at).is_some_and(|table| table.keeps_json(name))
    }

    /// The column, or the path of the child table, of a key below a prefix.
    fn name(&mut self, prefix: &str, key: &str) -> String {
        let name = match self.names.get(key) {
            Some(name) => name.clone(),
            None => {
                let name = naming::path(key);
                self.names.insert(key.to_owned(), name.clone());
                name
            }
        };
        if prefix.is_empty() { name } else { format!("{prefix}{SEPARATOR}{name}") }
    }

    fn table(&mut self, name: &str, resource: &str, parent: Option<&str>) -> usize {
        if let Some(at) = self.index.get(name) {
            return *at;
        }
        let known = self.known.tables.get(name).cloned();
        let table = known.unwrap_or_else(|| Table {
            resource: resource.to_owned(),
            parent: parent.map(str::to_owned),
            columns: Vec::new(),
        });
        let at = self.tables.len();
        self.tables.push(TableBuilder::new(name.to_owned(), table));
        self.index.insert(name.to_owned(), at);
        at
    }

    fn builder(&mut self, at: usize) -> Result<&mut TableBuilder> {
        self.tables.get_mut(at).ok_or_else(|| Error::new(Kind::Internal, "a table has no builder"))
    }

    /// Takes the rows that were added, by table, and the schema's text where they changed it.
    pub fn take(&mut self) -> Result<(Vec<TableRows>, Option<String>)> {
        let mut rows = Vec::new();
        let mut changed = false;
        for builder in &mut self.tables {
            if builder.has_news() {
                self.known.tables.insert(builder.name.clone(), builder.table.clone());
                changed = true;
            }
            if builder.rows() > 0 {
                rows.push(builder.take()?);
            }
        }
        let schema = if changed { Some(self.known.to_text()?) } else { None };
        Ok((rows, schema))
    }
}

/// A list that becomes rows of a child table.
struct List<'v> {
    /// The path below the table.
    path: String,
    items: &'v [Value],
    nesting: u32,
}

fn scalar(value: &Value) -> Option<Scalar<'_>> {
    match value {
        Value::Null => None,
        Value::Bool(boolean) => Some(Scalar::Boolean(*boolean)),
        Value::Number(number) => Some(Scalar::Number(number)),
        Value::String(text) => Some(Scalar::Text(text)),
        Value::Object(_) | Value::Array(_) => Some(Scalar::Json(value)),
    }
}

#[cfg(test)]
mod tests;
