//! A table under construction: rows go in value by value, an Arrow record batch comes out.

use super::cell::{Fit, Scalar};
use super::changes::{ChangeKind, Entry};
use super::column::Column;
use super::hints::Hint;
use super::schema::{self, DataType, Table};
use super::system::{ROW_ID, System};
use crate::error::{Error, Kind, Result};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{Field, Schema};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The most columns of a table.
const MOST_COLUMNS: usize = 10_000;

/// Builds the rows of one table.
pub struct TableBuilder {
    /// Its name.
    pub name: String,
    /// The resource that its rows belong to.
    pub resource: String,
    /// The table that it is a child of.
    pub parent: Option<String>,
    /// The load that made it.
    pub load: String,
    /// The place of the key that it belongs to alone, where each spelling has its own table.
    pub key: Option<String>,
    /// The row whose list was put into it last, by the number of its turn.
    pub list_of: u64,
    /// Whether a row is under construction.
    pub is_open: bool,
    columns: Vec<Column>,
    index: BTreeMap<String, usize>,
    /// The columns in their order in the database.
    order: Vec<usize>,
    /// Columns that the row under construction has made, with their places in it.
    fresh: Vec<(Rank, usize)>,
    /// Where our own columns are, by [`System`].
    system: [Option<usize>; System::ALL.len()],
    /// Finished rows.
    rows: usize,
    /// Of rows of a child table the root rows that they stem from, by place.
    roots: Vec<u32>,
    /// How many columns the host has been told of.
    announced: usize,
    /// Whether columns belong to keys that they did not belong to.
    has_claims: bool,
    /// Columns with a wider type than the host has been told of.
    widened: Vec<usize>,
    /// Resources whose hints it has.
    declared: Vec<String>,
    /// Columns that every row must have.
    required: Vec<String>,
}

/// What became of a value.
pub enum Put {
    /// It is there, and takes about so many bytes.
    Done(Fit, usize),
    /// The row has a value in the column already.
    Taken,
    /// It does not fit the column's type.
    Misfit,
}

/// Where a column belongs among those that one row has made: the values of an object in their order, then the objects in it, the last
/// one first (reference, section 9.2). Each number is the turn of an object, or of the value.
pub type Rank = Vec<(bool, i64)>;

/// How far a table has come.
#[derive(Clone, Copy)]
pub struct Mark {
    rows: usize,
    columns: usize,
}

/// Rows of one table, ready to be handed over.
pub struct TableRows {
    /// The table.
    pub table: String,
    /// The resource that the rows belong to.
    pub resource: String,
    /// The table that it is a child of.
    pub parent: Option<String>,
    /// The rows; columns without a value in them are absent.
    pub rows: RecordBatch,
    /// Of rows of a child table the root rows that they stem from, by place in the root table's rows.
    pub roots: Vec<u32>,
    /// Columns that the table did not have before.
    pub new_columns: Vec<schema::Column>,
    /// Columns whose type is a wider one than before.
    pub widened_columns: Vec<schema::Column>,
}

impl TableBuilder {
    /// Begins with what is known of the table.
    pub fn new(name: String, table: Table) -> Self {
        let Table { resource, parent, load, key, columns: known } = table;
        let mut columns = Vec::new();
        let mut index = BTreeMap::new();
        for (at, known) in known.into_iter().enumerate() {
            let mut column = Column::new(known.name.clone(), known.data_type, known.nullable);
            column.key = known.key;
            columns.push(column);
            index.insert(known.name, at);
        }
        Self {
            name,
            resource,
            parent,
            load,
            key,
            list_of: 0,
            is_open: false,
            order: (0..columns.len()).collect(),
            announced: columns.len(),
            columns,
            system: system_columns(&index),
            index,
            fresh: Vec::new(),
            rows: 0,
            roots: Vec::new(),
            has_claims: false,
            widened: Vec::new(),
            declared: Vec::new(),
            required: Vec::new(),
        }
    }

    /// What is known of it now.
    pub fn known(&self) -> Table {
        Table {
            resource: self.resource.clone(),
            parent: self.parent.clone(),
            load: self.load.clone(),
            key: self.key.clone(),
            columns: self.told(&self.order),
        }
    }

    fn told(&self, columns: &[usize]) -> Vec<schema::Column> {
        let columns = columns.iter().filter_map(|at| self.columns.get(*at));
        let tell = |column: &Column| schema::Column {
            name: column.name.clone(),
            data_type: column.data_type,
            nullable: column.nullable,
            key: column.key.clone(),
        };
        columns.map(tell).collect()
    }

    /// How many rows are finished.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Whether there is something that the host was not told of.
    pub fn has_news(&self) -> bool {
        self.announced < self.order.len() || self.has_claims || !self.widened.is_empty()
    }

    /// Takes what a resource says of the columns. A type that is not the one that a column has fails.
    pub fn declare(&mut self, resource: &str, hints: &[Hint]) -> Result<()> {
        if self.declared.iter().any(|declared| declared == resource) {
            return Ok(());
        }
        self.declared.push(resource.to_owned());
        for hint in hints {
            if !hint.nullable && !self.required.contains(&hint.column) {
                self.required.push(hint.column.clone());
            }
            let Some(hinted) = hint.data_type else { continue };
            let at = match self.find(&hint.column) {
                None => {
                    let at = self.add(hint.column.clone(), hinted, hint.nullable)?;
                    self.order.push(at);
                    at
                }
                Some(at) => at,
            };
            let Some(column) = self.columns.get_mut(at) else { continue };
            column.is_hinted = true;
            if column.data_type != hinted {
                let message = format!(
                    "the column `{}` of `{}` is {}, and `columns` says {hinted}",
                    column.name, self.name, column.data_type
                );
                return Err(Error::new(Kind::Schema, message)
                    .advice("the type of a column does not change: give the table another name, or load it anew"));
            }
        }
        Ok(())
    }

    /// The number of a column.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// A column.
    pub fn column(&self, at: usize) -> Option<&Column> {
        self.columns.get(at)
    }

    /// A column, to be filled.
    pub fn column_mut(&mut self, at: usize) -> Result<&mut Column> {
        self.columns.get_mut(at).ok_or_else(|| Error::new(Kind::Internal, "a column has no builder"))
    }

    /// Whether the row under construction has a value in a column.
    fn is_set(&self, at: usize) -> bool {
        self.columns.get(at).is_some_and(|column| column.len() > self.rows)
    }

    /// Puts a value of the row under construction into a column.
    #[inline(always)]
    pub fn put(&mut self, at: usize, value: Scalar<'_>) -> Put {
        let Some(column) = self.columns.get_mut(at) else { return Put::Misfit };
        if column.len() > self.rows {
            return Put::Taken;
        }
        match column.put(self.rows, value) {
            Some((fit, bytes)) => Put::Done(fit, bytes),
            None => Put::Misfit,
        }
    }

    /// Adds a column that a value of the row under construction makes. `turns` are those of the objects that lead to it.
    pub fn add_fresh(&mut self, name: String, data_type: DataType, turns: &[u64]) -> Result<usize> {
        let nullable = !self.required.contains(&name);
        let at = self.add(name, data_type, nullable)?;
        let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let mut rank: Rank = turns.iter().map(|turn| (true, -signed(*turn))).collect();
        rank.push((false, signed(at as u64)));
        self.fresh.push((rank, at));
        Ok(at)
    }

    /// Notes the key to which a column belongs alone.
    pub fn claim(&mut self, at: usize, place: String) -> Result<()> {
        let column = self.column_mut(at)?;
        if column.key.is_none() {
            column.key = Some(place);
            self.has_claims = true;
        }
        Ok(())
    }

    /// Where the report counts the values of a column of which something became.
    pub fn entry(&mut self, at: usize, kind: ChangeKind, make: impl FnOnce(&str, &str) -> Entry) -> Result<Entry> {
        let table = self.name.clone();
        let column = self.column_mut(at)?;
        let slot = match kind {
            ChangeKind::Coerced => column.entries.first_mut(),
            _ => column.entries.last_mut(),
        };
        Ok(match slot {
            Some(slot) => *slot.get_or_insert_with(|| make(&table, &column.name)),
            None => make(&table, &column.name),
        })
    }

    fn add(&mut self, name: String, data_type: DataType, nullable: bool) -> Result<usize> {
        let at = self.columns.len();
        if at >= MOST_COLUMNS {
            let message = format!("the table `{}` has more than {MOST_COLUMNS} columns", self.name);
            return Err(Error::new(Kind::Limit, message).advice(
                "an object whose keys are values is better kept as JSON: give its key `data_type: json` in `columns`, or lower \
                 `max_table_nesting`",
            ));
        }
        self.index.insert(name.clone(), at);
        self.system = system_columns(&self.index);
        self.columns.push(Column::new(name, data_type, nullable));
        Ok(at)
    }

    /// Makes doubles of a column's whole numbers.
    pub fn widen(&mut self, at: usize) -> Result<()> {
        self.column_mut(at)?.widen();
        let is_announced = self.order.iter().take(self.announced).any(|announced| *announced == at);
        if is_announced && !self.widened.contains(&at) {
            self.widened.push(at);
        }
        Ok(())
    }

    /// Puts the load into its column. Our own columns come last among those of their row.
    pub fn put_load_id(&mut self, load_id: &str) -> Result<usize> {
        let at = self.system(System::LoadId, DataType::Text)?;
        let row = self.rows;
        Ok(self.column_mut(at)?.put(row, Scalar::Text(load_id)).map_or(0, |(_, bytes)| bytes))
    }

    /// Sees that one of our own columns is there, which [`Self::put_id`] fills later.
    pub fn expect_id(&mut self, system: System) -> Result<()> {
        self.system(system, DataType::Text).map(drop)
    }

    /// Puts an id into one of our own columns, if the table has it.
    pub fn put_id(&mut self, system: System, row: usize, id: &[u8]) -> Result<()> {
        match self.system.get(system as usize).copied().flatten() {
            Some(at) => self.column_mut(at).map(|column| column.put_bytes(row, id)),
            None => Ok(()),
        }
    }

    /// Puts the place of the row in its list.
    pub fn put_index(&mut self, index: i64) -> Result<usize> {
        let at = self.system(System::ListIdx, DataType::Bigint)?;
        let row = self.rows;
        self.column_mut(at)?.put_bigint(row, index);
        Ok(size_of::<i64>())
    }

    /// Whether its rows say which root rows they stem from.
    pub fn has_root_ids(&self) -> bool {
        self.system.get(System::RootId as usize).is_some_and(Option::is_some)
    }

    /// The number of one of our own columns.
    fn system(&mut self, system: System, data_type: DataType) -> Result<usize> {
        let name = system.name();
        let at = match self.system.get(system as usize) {
            Some(Some(at)) => *at,
            _ => {
                self.settle_order();
                let at = self.add(name.to_owned(), data_type, false)?;
                self.order.push(at);
                at
            }
        };
        let column = self.column_mut(at)?;
        if column.data_type != data_type {
            let message = format!("the column `{name}` is {}", column.data_type);
            return Err(Error::new(Kind::Schema, message).advice("the name is taken by the loader: rename the column"));
        }
        Ok(at)
    }

    /// Puts the columns that the row has made in their order.
    fn settle_order(&mut self) {
        if !self.fresh.is_empty() {
            self.fresh.sort();
            self.order.extend(self.fresh.drain(..).map(|(_, at)| at));
        }
    }

    /// Ends the row.
    pub fn end_row(&mut self) -> Result<()> {
        self.settle_order();
        // The row's id comes later, and always.
        let is_missing = |column: &&String| *column != ROW_ID && !self.find(column).is_some_and(|at| self.is_set(at));
        if let Some(column) = self.required.iter().find(is_missing) {
            let message = format!("a record has no value for `{column}` of `{}`, which is not nullable", self.name);
            return Err(Error::new(Kind::Schema, message)
                .advice("take `nullable: false` out of `columns`, or look at what the API gives"));
        }
        self.rows += 1;
        Ok(())
    }

    /// Notes the root row that the next row stems from, by place.
    pub fn stems_from(&mut self, root: usize) {
        self.roots.push(u32::try_from(root).unwrap_or(u32::MAX));
    }

    /// How far it has come.
    pub fn mark(&self) -> Mark {
        Mark { rows: self.rows, columns: self.columns.len() }
    }

    /// Takes out all that came after a mark, or all that is not known since before. Tells whether columns went with it.
    pub fn rewind(&mut self, mark: Option<Mark>) -> bool {
        let mark = mark.unwrap_or(Mark { rows: 0, columns: self.announced });
        self.rows = mark.rows;
        self.fresh.clear();
        let has_lost = mark.columns < self.columns.len();
        for column in self.columns.drain(mark.columns.min(self.columns.len())..) {
            self.index.remove(&column.name);
        }
        if has_lost {
            self.system = system_columns(&self.index);
        }
        self.order.retain(|at| *at < mark.columns);
        self.columns.iter_mut().for_each(|column| column.truncate(mark.rows));
        has_lost
    }

    /// Takes the finished rows.
    pub fn take(&mut self) -> Result<TableRows> {
        let mut fields = Vec::new();
        let mut arrays: Vec<ArrayRef> = Vec::new();
        for at in &self.order {
            let Some(column) = self.columns.get_mut(*at) else { continue };
            column.entries = [None; 2];
            if column.is_empty() {
                continue;
            }
            let array = column.finish(self.rows);
            fields.push(Field::new(&column.name, array.data_type().clone(), column.nullable));
            arrays.push(array);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let rows = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
            .map_err(|error| Error::new(Kind::Internal, format!("failed to build rows of `{}`: {error}", self.name)))?;
        self.rows = 0;
        let new_columns = self.told(self.order.get(self.announced..).unwrap_or_default());
        self.announced = self.order.len();
        let widened = std::mem::take(&mut self.widened);
        self.has_claims = false;
        Ok(TableRows {
            table: self.name.clone(),
            resource: self.resource.clone(),
            parent: self.parent.clone(),
            rows,
            roots: std::mem::take(&mut self.roots),
            new_columns,
            widened_columns: self.told(&widened),
        })
    }

    /// The entries of the last report are no longer good.
    pub fn forget_entries(&mut self) {
        self.columns.iter_mut().for_each(|column| column.entries = [None; 2]);
    }
}

fn system_columns(index: &BTreeMap<String, usize>) -> [Option<usize>; System::ALL.len()] {
    System::ALL.map(|system| index.get(system.name()).copied())
}
