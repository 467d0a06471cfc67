//! One staging table: its columns, and the rows that are on their way to it.

use std::{collections::HashSet, sync::Arc};

use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, new_null_array};
use arrow_cast::cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DECIMAL128_MAX_PRECISION, DataType as ArrowType, Field, Schema, SchemaRef};

use super::{
    Column, TableRows, characters,
    package::{KnownTable, drop_table},
    staging::OF_COLUMN,
};
use crate::{
    changes::Change,
    destination::{
        DataType, Session, StoredColumn, Tables,
        dialect::{Dialect, Ids},
    },
    error::{Class, Error, Result},
};

/// The first column of every staging table. It counts the table's rows over commits and interrupted runs: of two rows with one
/// key, the later is the one to keep.
pub(super) const SEQUENCE: &str = "_spile_seq";

/// The second column of the staging table of a child table: the number of the root row that a row stems from.
pub(super) const ROOT: &str = "_spile_root";

/// The most columns of a table: our own connector gives none more than half as many.
const MOST_COLUMNS: usize = 20_000;

/// The id of a row.
pub(super) const ROW_ID: &str = "_dlt_id";

pub(super) struct StagingTable {
    pub known: KnownTable,
    columns: Vec<Column>,
    /// The types that the database has for the first columns; none where the table does not exist.
    stored: Vec<DataType>,
    /// Whether rows were written that are not committed.
    is_ahead: bool,
    /// Rows with the types that the columns had when they came, and in a child table the numbers of their root rows.
    buffered: Vec<(RecordBatch, Option<Int64Array>)>,
}

impl StagingTable {
    /// A table that does not exist yet.
    pub fn new(known: KnownTable) -> Self {
        Self::with_columns(known, Vec::new())
    }

    /// A table that an interrupted run left, with the columns that it had.
    pub fn with_columns(known: KnownTable, columns: Vec<Column>) -> Self {
        let stored = columns.iter().map(|column| column.data_type).collect();
        Self { known, columns, stored, is_ahead: false, buffered: Vec::new() }
    }

    /// A table that an interrupted run left, with the columns that the database says it has.
    pub fn resumed(known: KnownTable, stored: &[StoredColumn], dialect: &dyn Dialect) -> Result<Self> {
        let columns = stored.iter().filter(|column| ![SEQUENCE, ROOT].contains(&column.name.as_str())).map(|column| {
            let data_type = dialect.data_type(&column.declared).ok_or_else(|| {
                Error::new(Class::Destination, "a column of a staging table has a type that Spile did not give it")
                    .fact("table", &known.table)
                    .fact("column", &column.name)
                    .fact("type", &column.declared)
                    .advice("drop the staging table: the run then begins anew")
            })?;
            Ok(Column { name: column.name.clone(), data_type, nullable: column.nullable })
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        Ok(Self::with_columns(known, columns))
    }

    /// Bytes of the names of its columns, and of what else is kept of them.
    pub fn size_of_names(&self) -> usize {
        self.columns.iter().map(|column| column.name.len() + OF_COLUMN).sum()
    }

    /// The columns that it has with what is buffered.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    pub fn buffered_rows(&self) -> u64 {
        self.buffered.iter().map(|(rows, _)| rows.num_rows() as u64).sum()
    }

    /// The columns that some rows add to a table or widen, declared ones first, and a check that the others have their column's
    /// type. `table` is `None` where there is none yet; `earlier` are the columns that rows before them in the same batch bring,
    /// and come back with the others; `stored` are the final table's columns.
    pub fn changed_columns(
        table: Option<&Self>,
        earlier: Vec<Column>,
        rows: &TableRows,
        stored: &[Column],
    ) -> Result<Vec<Column>> {
        let defect = |message: &str, column: &str| {
            Error::new(Class::Internal, format!("the connector delivered {message}"))
                .fact("resource", &rows.resource)
                .fact("table", &rows.table)
                .fact("column", column)
        };
        let schema = rows.rows.schema();
        let known = table.map_or(0, |table| table.columns.len()) + earlier.len();
        let most = known.max(schema.fields().len()).max(rows.new_columns.len()).max(rows.widened_columns.len());
        if most > MOST_COLUMNS {
            // Each is compared with the others.
            return Err(Error::new(Class::Policy, "the connector delivered more columns than a table may have")
                .fact("resource", &rows.resource)
                .fact("table", &rows.table)
                .fact("limit", format_args!("{MOST_COLUMNS} columns")));
        }
        let mut names = HashSet::new();
        for field in schema.fields() {
            if !names.insert(field.name()) {
                return Err(defect("a column twice", field.name()));
            }
        }
        let is_empty = table.is_none_or(|table| table.known.staged == 0 && table.buffered.is_empty());
        let mut added = earlier;
        // Rows that are there already have no value in it.
        let staged = |column: &Column| Column { nullable: column.nullable || !is_empty, ..column.clone() };
        for column in &rows.new_columns {
            if has(table, &added, &column.name).is_none() {
                added.push(staged(column));
            }
        }
        for column in &rows.widened_columns {
            match has(table, &added, &column.name) {
                Some(data_type) if data_type == column.data_type => {}
                Some(data_type) if !data_type.widens_to(column.data_type) => {
                    let (from, to) = (data_type.arrow(), column.data_type.arrow());
                    return Err(defect(&format!("a column of type {from} widened to {to}"), &column.name));
                }
                _ => added.push(staged(column)),
            }
        }
        for field in schema.fields() {
            let arrow = field.data_type();
            match has(table, &added, field.name()) {
                Some(data_type) if data_type.arrow() == *arrow => {}
                Some(data_type) => {
                    let message = format!("values of type {arrow} for a column of type {}", data_type.arrow());
                    return Err(defect(&message, field.name()));
                }
                None => {
                    let data_type = undeclared_type(field.name(), arrow, stored)
                        .ok_or_else(|| defect(&format!("values of the unknown type {arrow}"), field.name()))?;
                    added.push(Column { name: field.name().clone(), data_type, nullable: true });
                }
            }
        }
        let reserved =
            |name: &str| name.is_empty() || name.contains('\0') || name.to_lowercase().starts_with("_spile_");
        if let Some(column) = added.iter().find(|column| reserved(&column.name)) {
            return Err(defect("a column with an unusable name", &column.name));
        }
        let is_odd = |column: &&Column| match column.data_type {
            DataType::Decimal(precision, scale) => {
                !(1..=DECIMAL128_MAX_PRECISION).contains(&precision) || scale > precision
            }
            _ => false,
        };
        if let Some(column) = added.iter().find(is_odd) {
            return Err(defect("a column of a decimal type that there is not", &column.name));
        }
        if rows.rows.num_columns() == 0 && rows.rows.num_rows() > 0 {
            return Err(defect("rows without columns", ""));
        }
        Ok(added)
    }

    /// Puts characters that the database cannot store out of some rows, whose columns [`Self::changed_columns`] gave. Gives the changes.
    pub fn fit_characters(
        table: Option<&Self>,
        columns: &[Column],
        rows: &mut TableRows,
        dialect: &dyn Dialect,
    ) -> Vec<Change> {
        let schema = rows.rows.schema();
        let (mut fitted, mut changes) = (rows.rows.columns().to_vec(), Vec::new());
        for (values, field) in fitted.iter_mut().zip(schema.fields()) {
            let Some(data_type) = has(table, columns, field.name()) else { continue };
            let Some((fit, count, first)) = characters::fit(values, data_type, dialect) else { continue };
            *values = fit;
            changes.push(characters::change(&rows.resource, &rows.table, field.name(), count, &first));
        }
        if let Ok(batch) = RecordBatch::try_new(schema, fitted)
            && !changes.is_empty()
        {
            rows.rows = batch;
        }
        changes
    }

    /// Takes columns as [`Self::changed_columns`] gave them, and the rows; of rows of a child table with the numbers of their
    /// root rows.
    pub fn push(&mut self, columns: Vec<Column>, rows: RecordBatch, roots: Option<Vec<u64>>) {
        for column in columns {
            match self.columns.iter_mut().find(|known| known.name == column.name) {
                None => self.columns.push(column),
                Some(known) if known.data_type.widens_to(column.data_type) => known.data_type = column.data_type,
                // The same table may stand in a batch twice.
                Some(_) => {}
            }
        }
        if rows.num_rows() > 0 {
            let number = |root: u64| i64::try_from(root).unwrap_or(i64::MAX);
            let roots = roots.map(|roots| Int64Array::from_iter_values(roots.into_iter().map(number)));
            self.buffered.push((rows, roots));
        }
    }

    /// Brings columns and buffered rows to the database. To be called in a transaction, and [`Self::written`] after it.
    pub fn write(&self, session: &mut Session, tables: Tables<'_>) -> Result<()> {
        self.migrate(session, tables)?;
        if self.buffered.is_empty() {
            return Ok(());
        }
        let columns = self.columns.iter().map(|column| Field::new(&column.name, column.data_type.arrow(), true));
        let rows = self.aligned(&Arc::new(Schema::new(columns.collect::<Vec<_>>())))?;
        let columns = self.arrow_schema();
        let rows = self.numbered(rows, &columns).map_err(|error| self.unfit(&error))?;
        session.ingest(tables, &self.known.table, columns, rows).map(drop)
    }

    /// Notes that what was buffered is now in the database.
    pub fn written(&mut self) {
        self.is_ahead |= !self.buffered.is_empty();
        self.known.staged += self.buffered_rows();
        self.stored = self.columns.iter().map(|column| column.data_type).collect();
        self.buffered.clear();
    }

    /// Notes that what was written is committed.
    pub fn committed(&mut self) {
        self.is_ahead = false;
    }

    /// Whether some rows bring columns to rows that are written and not committed, or widen theirs. In DuckDB one transaction cannot do both.
    pub fn is_changed_ahead(&self, rows: &TableRows) -> bool {
        self.is_ahead
            && !Self::changed_columns(Some(self), Vec::new(), rows, &[]).is_ok_and(|columns| columns.is_empty())
    }

    fn migrate(&self, session: &mut Session, tables: Tables<'_>) -> Result<()> {
        let name = session.qualified(tables, &self.known.table);
        let dialect = session.dialect();
        let mut added = self.columns.iter().skip(self.stored.len()).map(|column| {
            (
                dialect.quote(&column.name),
                dialect.staging_type(column.data_type),
                traits(column.name.as_str(), column.nullable, dialect),
            )
        });
        for (column, stored) in self.columns.iter().zip(&self.stored) {
            if column.data_type != *stored {
                let column_type = dialect.staging_type(column.data_type);
                for statement in dialect.change_type(&name, &dialect.quote(&column.name), &column_type) {
                    session.run(&statement, &[])?;
                }
            }
        }
        if !self.stored.is_empty() {
            return added.try_for_each(|(column, column_type, _)| {
                session.run(&format!("ALTER TABLE {name} ADD COLUMN {column} {column_type}"), &[]).map(drop)
            });
        }
        if self.columns.is_empty() {
            return Ok(());
        }
        let columns: String =
            added.map(|(column, column_type, traits)| format!(", {column} {column_type}{traits}")).collect();
        let bigint = dialect.column_type(DataType::Bigint);
        let ours: Vec<_> = self.ours().map(|name| format!("{} {bigint} NOT NULL", dialect.quote(name))).collect();
        // An empty one may have been left by another pipeline.
        session.run(&drop_table(session, tables, &self.known.table), &[])?;
        session.run(&format!("CREATE TABLE {name} ({}{columns})", ours.join(", ")), &[]).map(drop)
    }

    /// The columns that only a staging table has.
    fn ours(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(SEQUENCE).chain(self.known.parent.is_some().then_some(ROOT))
    }

    fn arrow_schema(&self) -> SchemaRef {
        let ours = self.ours().map(|name| Field::new(name, ArrowType::Int64, false));
        let columns = self.columns.iter().map(|column| Field::new(&column.name, column.data_type.arrow(), true));
        Arc::new(Schema::new(ours.chain(columns).collect::<Vec<_>>()))
    }

    /// The buffered rows with the columns of a schema, in its order and of its types.
    pub fn aligned(&self, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
        let exact = CastOptions { safe: false, ..CastOptions::default() };
        let align = |(rows, _): &(RecordBatch, _)| {
            let columns = schema.fields().iter().map(|field| match rows.column_by_name(field.name()) {
                Some(values) if values.data_type() == field.data_type() => Ok(Arc::clone(values)),
                // They came before the column was widened.
                Some(values) => cast_with_options(values, field.data_type(), &exact),
                None => Ok(new_null_array(field.data_type(), rows.num_rows())),
            });
            RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_, _>>()?)
        };
        self.buffered.iter().map(align).collect::<Result<_, _>>().map_err(|error| self.unfit(&error))
    }

    /// The aligned rows with the columns that only a staging table has.
    fn numbered(&self, rows: Vec<RecordBatch>, schema: &SchemaRef) -> Result<Vec<RecordBatch>, ArrowError> {
        let mut next = i64::try_from(self.known.staged).unwrap_or(i64::MAX);
        let number = |(rows, (_, roots)): (RecordBatch, &(_, Option<Int64Array>))| {
            let first = next;
            next = next.saturating_add(i64::try_from(rows.num_rows()).unwrap_or(i64::MAX));
            let sequence: ArrayRef = Arc::new(Int64Array::from_iter_values(first..next));
            let roots = roots.iter().map(|roots| Arc::new(roots.clone()) as ArrayRef);
            let columns = std::iter::once(sequence).chain(roots).chain(rows.columns().iter().cloned());
            RecordBatch::try_new(Arc::clone(schema), columns.collect())
        };
        rows.into_iter().zip(&self.buffered).map(number).collect()
    }

    fn unfit(&self, error: &ArrowError) -> Error {
        Error::new(Class::Internal, format!("the rows do not fit their table: {error}"))
            .fact("table", &self.known.table)
    }
}

/// What follows the type of a column where its table is created.
pub(super) fn traits(name: &str, nullable: bool, dialect: &dyn Dialect) -> String {
    let storage = match name {
        ROW_ID => dialect.storage(Ids::Once),
        "_dlt_load_id" | "_dlt_parent_id" | "_dlt_root_id" => dialect.storage(Ids::Often),
        _ => "",
    };
    format!("{storage}{}", if nullable { "" } else { " NOT NULL" })
}

/// The bytes that the rows take: of each column only its part of a buffer that it may share with others.
pub(super) fn bytes(rows: &RecordBatch) -> usize {
    rows.columns().iter().map(|column| column.to_data().get_slice_memory_size().unwrap_or(0)).sum()
}

fn has(table: Option<&StagingTable>, added: &[Column], name: &str) -> Option<DataType> {
    let columns = table.map(|table| table.columns.as_slice()).unwrap_or_default();
    // The last one counts: it may widen the one before.
    columns.iter().chain(added).rfind(|column| column.name == name).map(|column| column.data_type)
}

/// The type of a column that the connector no longer declares, as the final table has it. Where that one does not fit the
/// values, the values decide, and the database converts them at the end.
fn undeclared_type(name: &str, arrow: &ArrowType, stored: &[Column]) -> Option<DataType> {
    let stored = stored.iter().find(|column| column.name == name).map(|column| column.data_type);
    stored.filter(|data_type| data_type.arrow() == *arrow).or_else(|| DataType::of_arrow(arrow))
}
