//! The staging tables of a package: where rows wait, durably, for the end of the run.

use std::collections::{BTreeMap, HashMap};

use arrow_array::Array;

use super::{
    Batch, Column, Options, ResourcePlan, TableRows,
    package::{KnownTable, Package},
    staging_table::{StagingTable, bytes},
};
use crate::{
    changes::Changes,
    destination::{Catalog, Session, StoredColumn, Tables, dialect::Dialect},
    error::{Class, Error, Result},
};

/// Why a table cannot be written to, if so: it goes on after "the table of …".
pub(super) fn unusable_table(table: &str) -> Option<String> {
    let lower = table.to_lowercase();
    match table {
        "" => Some("has no name".to_owned()),
        _ if table.contains('\0') => Some("has a NUL character in its name".to_owned()),
        // A connector must not reach the tables by which loads and states are kept.
        _ if lower.starts_with("_dlt_") || lower.starts_with("_spile_") => {
            Some(format!("is called `{table}`; names that begin with `_dlt_` or `_spile_` are reserved"))
        }
        _ => None,
    }
}

/// Bytes of what is kept of the columns of all tables. What a connector makes up stands in memory, and is compared with what comes.
const MOST_NAMES: usize = 64 << 20;

/// Bytes that count for a column besides its name.
pub(super) const OF_COLUMN: usize = 32;

/// State and schema that cover what is not committed.
pub(super) struct Pending {
    pub state: String,
    pub schema: Option<String>,
}

/// The staging tables of a package, and the rows that are on their way there.
pub(super) struct Staging {
    tables: Vec<StagingTable>,
    /// Columns of the final tables: they tell a type where the connector no longer declares it.
    stored: HashMap<String, Vec<Column>>,
    pending: Option<Pending>,
    /// What became of values of the package's rows, those of an interrupted run included.
    changes: Changes,
    /// Rows that are not committed, and their bytes.
    rows: usize,
    bytes: usize,
    /// Bytes of those that are not even written.
    buffered: usize,
}

impl Staging {
    /// Staging tables, the columns of the final tables, and what became of values of the rows that are staged.
    pub fn of(tables: Vec<StagingTable>, stored: HashMap<String, Vec<Column>>, changes: Changes) -> Self {
        Self { tables, stored, pending: None, changes, rows: 0, bytes: 0, buffered: 0 }
    }

    /// The staging tables as an interrupted run left them, or none.
    pub fn new(package: &Package, catalog: Catalog, dialect: &dyn Dialect) -> Result<Self> {
        let tables = package.tables.iter().map(|known| match catalog.staged.get(&known.table) {
            Some(columns) if known.staged > 0 => StagingTable::resumed(known.clone(), columns, dialect),
            _ => Ok(StagingTable::new(known.clone())),
        });
        let tables = tables.collect::<Result<_>>()?;
        let stored = catalog.last.into_iter().map(|(table, columns)| (table, typed(&columns, dialect)));
        Ok(Self::of(tables, stored.collect(), package.changes.clone()))
    }

    /// Rows that are not committed, and their bytes.
    pub fn uncommitted(&self) -> (usize, usize) {
        (self.rows, self.bytes)
    }

    /// Bytes of the rows that are not written.
    pub fn buffered(&self) -> usize {
        self.buffered
    }

    /// The staging tables, with what is buffered.
    pub fn staging_tables(&self) -> &[StagingTable] {
        &self.tables
    }

    /// What is to be committed, if anything.
    pub fn pending(&self) -> Option<&Pending> {
        self.pending.as_ref()
    }

    /// What became of values of the package's rows, those that are only buffered included.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// The tables with the number of their rows, those that are only buffered included.
    pub fn tables(&self) -> Vec<KnownTable> {
        let counted = |table: &StagingTable| KnownTable {
            staged: table.known.staged + table.buffered_rows(),
            ..table.known.clone()
        };
        self.tables.iter().map(counted).collect()
    }

    /// Whether what was written ahead is to be committed before a batch is taken.
    pub fn is_changed_ahead(&self, batch: &Batch) -> bool {
        let table_of = |rows: &TableRows| self.tables.iter().find(|table| table.known.table == rows.table);
        batch.tables.iter().any(|rows| table_of(rows).is_some_and(|table| table.is_changed_ahead(rows)))
    }

    /// Buffers a batch: all of it, or after an error nothing. In a database, texts become what that can store.
    pub fn take(&mut self, batch: Batch, options: &Options, dialect: Option<&dyn Dialect>) -> Result<()> {
        let mut checked: Vec<(KnownTable, Vec<Column>)> = Vec::new();
        let mut names: usize = self.tables.iter().map(StagingTable::size_of_names).sum();
        for rows in &batch.tables {
            let plan = self.plan(rows, &batch, options)?;
            check_key(rows, plan)?;
            check_roots(rows, plan, &batch)?;
            if dialect.is_some_and(Dialect::ignores_case) {
                self.check_case(rows, &batch)?;
            }
            let table = self.tables.iter().find(|table| table.known.table == rows.table);
            let stored = self.stored.get(&rows.table).map(Vec::as_slice).unwrap_or_default();
            let earlier = checked.iter().rfind(|(place, _)| place.table == rows.table);
            let earlier = earlier.map(|(_, columns)| columns.clone()).unwrap_or_default();
            let columns = StagingTable::changed_columns(table, earlier, rows, stored)?;
            names += columns.iter().map(|column| column.name.len() + OF_COLUMN).sum::<usize>();
            if names > MOST_NAMES {
                let message = "the connector delivered more columns, or longer names, than a run may have";
                return Err(Error::new(Class::Policy, message)
                    .fact("limit", format_args!("{MOST_NAMES} bytes, of which each column takes {OF_COLUMN}")));
            }
            let place = KnownTable {
                table: rows.table.clone(),
                root: plan.table.clone(),
                resource: rows.resource.clone(),
                parent: rows.parent.clone(),
                staged: 0,
                columns: BTreeMap::new(),
            };
            checked.push((place, columns));
        }
        let staged: HashMap<String, u64> = self.tables().into_iter().map(|table| (table.table, table.staged)).collect();
        for ((place, columns), mut rows) in checked.into_iter().zip(batch.tables) {
            let table = self.tables.iter().find(|table| table.known.table == rows.table);
            let fit = |dialect| StagingTable::fit_characters(table, &columns, &mut rows, dialect);
            dialect.map(fit).into_iter().flatten().for_each(|change| self.changes.add(change));
            self.rows += rows.rows.num_rows();
            let bytes = bytes(&rows.rows);
            self.bytes += bytes;
            self.buffered += bytes;
            // The first root row of the batch has this number.
            let first = staged.get(&place.root).copied().unwrap_or(0);
            let roots = rows.parent.is_some().then(|| rows.roots.iter().map(|root| first + u64::from(*root)).collect());
            match self.tables.iter_mut().find(|table| table.known.table == place.table) {
                Some(table) => {
                    table.known.place(place);
                    table.push(columns, rows.rows, roots);
                }
                None => {
                    let mut table = StagingTable::new(place);
                    table.push(columns, rows.rows, roots);
                    self.tables.push(table);
                }
            }
        }
        batch.changes.into_iter().for_each(|change| self.changes.add(change));
        let earlier = self.pending.take().and_then(|pending| pending.schema);
        self.pending = Some(Pending { state: batch.state, schema: batch.schema.or(earlier) });
        Ok(())
    }

    /// Brings columns and buffered rows to the database. To be called in a transaction, and [`Self::written`] or [`Self::committed`] after it.
    pub fn write(&self, session: &mut Session, tables: Tables<'_>) -> Result<()> {
        self.tables.iter().try_for_each(|table| table.write(session, tables))
    }

    /// Notes that what was buffered is written.
    pub fn written(&mut self) {
        self.tables.iter_mut().for_each(StagingTable::written);
        self.buffered = 0;
    }

    /// Notes that what was buffered or written is committed.
    pub fn committed(&mut self) {
        self.written();
        self.tables.iter_mut().for_each(StagingTable::committed);
        (self.pending, self.rows, self.bytes) = (None, 0, 0);
    }

    /// Checks that the database can tell a table from the others. Otherwise the rows of one would take the place of the other's.
    fn check_case(&self, rows: &TableRows, batch: &Batch) -> Result<()> {
        let known = self.tables.iter().map(|table| &table.known.table);
        let mut others = known.chain(batch.tables.iter().map(|other| &other.table));
        match others.find(|other| **other != rows.table && other.eq_ignore_ascii_case(&rows.table)) {
            None => Ok(()),
            Some(other) => Err(Error::new(
                Class::Source,
                "the database cannot tell two tables apart: their names differ in case alone",
            )
            .fact("resource", &rows.resource)
            .fact("tables", format_args!("{other}, {}", rows.table))),
        }
    }

    /// The plan that some rows belong to, after a check that their table can be a part of it.
    fn plan<'a>(&self, rows: &TableRows, batch: &Batch, options: &'a Options) -> Result<&'a ResourcePlan> {
        let defect = |message: String| {
            Err(Error::new(Class::Internal, format!("the connector delivered {message}"))
                .fact("resource", &rows.resource)
                .fact("table", &rows.table))
        };
        let Some(plan) = options.resources.iter().find(|plan| plan.resource == rows.resource) else {
            return defect("rows of a resource that this run does not deliver".to_owned());
        };
        if let Some(reason) = unusable_table(&rows.table) {
            return defect(format!("a table that {reason}"));
        }
        let is_root = options.resources.iter().any(|plan| plan.table == rows.table);
        match &rows.parent {
            None if rows.table == plan.table => Ok(plan),
            None => defect(format!("rows without a parent for another table than `{}`", plan.table)),
            Some(_) if is_root => defect("child rows for a root table".to_owned()),
            Some(parent) if *parent == rows.table => defect("rows of a table that is its own parent".to_owned()),
            Some(parent) => {
                let known =
                    self.tables.iter().any(|table| table.known.table == *parent && table.known.root == plan.table);
                let delivered =
                    batch.tables.iter().any(|other| other.table == *parent && other.resource == rows.resource);
                if known || delivered {
                    Ok(plan)
                } else {
                    defect(format!("child rows of the unknown table `{parent}`"))
                }
            }
        }
    }
}

/// The columns of a final table, as far as their types are ours.
fn typed(columns: &[StoredColumn], dialect: &dyn Dialect) -> Vec<Column> {
    let typed = |column: &StoredColumn| {
        let data_type = dialect.data_type(&column.declared)?;
        Some(Column { name: column.name.clone(), data_type, nullable: column.nullable })
    };
    columns.iter().filter_map(typed).collect()
}

/// Child rows must say which root row of the batch they stem from.
fn check_roots(rows: &TableRows, plan: &ResourcePlan, batch: &Batch) -> Result<()> {
    let of_root = batch.tables.iter().filter(|other| other.table == plan.table);
    let count: usize = of_root.map(|other| other.rows.num_rows()).sum();
    let is_right = match rows.parent {
        None => rows.roots.is_empty(),
        Some(_) => rows.roots.len() == rows.rows.num_rows() && rows.roots.iter().all(|root| (*root as usize) < count),
    };
    if is_right {
        return Ok(());
    }
    let message = "the connector delivered rows that do not say which root rows they stem from";
    Err(Error::new(Class::Internal, message).fact("resource", &rows.resource).fact("table", &rows.table))
}

/// Merge needs a key in each row: without one a row could never be found again.
fn check_key(rows: &TableRows, plan: &ResourcePlan) -> Result<()> {
    if rows.parent.is_some() {
        return Ok(());
    }
    let without = |column: &&String| match rows.rows.column_by_name(column) {
        Some(values) => values.null_count() > 0,
        None => rows.rows.num_rows() > 0,
    };
    match plan.keys().find(without) {
        None => Ok(()),
        Some(column) => Err(Error::new(
            Class::Source,
            format!("a row of the table `{}` has no value in its key column `{column}`", rows.table),
        )
        .fact("resource", &rows.resource)
        .fact("table", &rows.table)
        .fact("column", column)
        .advice("choose a key that every record has, or filter such records out")),
    }
}
