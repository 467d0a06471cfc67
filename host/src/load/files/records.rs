//! What the manifest says of a pipeline between its runs, for [`crate::load::Ledger`].

use std::path::Path;

use jiff::Timestamp;

use super::{
    Files,
    manifest::{Manifest, Status},
};
use crate::{
    destination::{Access, parquet::Folder},
    error::{Class, Error, Result},
    load::{Published, RunRecord, TableRecord, load_id, package::Row},
};

/// Runs that are remembered.
const MOST_RUNS: usize = 1000;

impl Files {
    /// Opens a pipeline's files for a look, or for a change; does not begin a run.
    pub fn open(directory: &Path, access: Access, dataset: &str, pipeline: &str) -> Result<Self> {
        let folder = match access {
            Access::Read => Folder::look(directory, dataset, pipeline)?,
            Access::Write => Folder::open(directory, dataset, pipeline)?,
        };
        let manifest = Manifest::read(&folder, pipeline)?;
        let mut files = Self { folder, manifest };
        if access == Access::Write && files.manifest.status == Status::Publishing {
            files.finish()?;
        }
        Ok(files)
    }

    /// What a database would say; `None` of a pipeline that never ran.
    pub fn row(&self) -> Option<Row> {
        (self.manifest.run > 0).then(|| self.manifest.row())
    }

    /// The runs that were published, the last one first.
    pub fn runs(&self) -> Vec<RunRecord> {
        self.manifest.runs.iter().rev().cloned().collect()
    }

    /// The tables as they are, by name.
    pub fn records(&self) -> Vec<TableRecord> {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let record = |table: &super::TableFiles| {
            let files = self.folder.pattern(&table.table).replace('\'', "\'\'");
            let columns = table.columns.iter().map(|column| {
                (column.name.clone(), format!("{:?}", column.data_type), Some(column.data_type), column.nullable)
            });
            TableRecord {
                table: table.table.clone(),
                resource: table.resource.clone(),
                parent: table.parent.clone(),
                columns: columns.collect(),
                create: format!(
                    "CREATE VIEW {} AS\n    SELECT * FROM read_parquet('{files}', union_by_name = true);\n",
                    quoted(&table.table)
                ),
            }
        };
        let mut records: Vec<_> =
            self.manifest.tables.iter().filter(|table| !table.columns.is_empty()).map(record).collect();
        records.sort_by(|one, other| one.table.cmp(&other.table));
        records
    }

    /// Puts a state in the place of the one that is saved. Staged rows go.
    pub fn put(&mut self, state: Option<&str>, schema: Option<&str>) -> Result<()> {
        let mut next = self.manifest.clone();
        next.run += 1;
        next.status = Status::Done;
        next.state = state.map(str::to_owned);
        next.schema = schema.map(str::to_owned);
        next.settle();
        self.replace(next)?;
        self.sweep()
    }
}

impl Manifest {
    /// Notes a run that is being published.
    pub fn note_run(&mut self, published: &Published) -> Result<()> {
        let instant = |micros: i64| {
            let instant = Timestamp::from_microsecond(micros).unwrap_or_default();
            instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
        };
        let tables = serde_json::to_string(&published.tables)
            .map_err(|error| Error::new(Class::Internal, format!("what is noted of a run: {error}")))?;
        self.runs.push(RunRecord {
            run: u64::try_from(self.run).unwrap_or(0),
            load_id: published.load_id.clone(),
            began_at: instant(load_id::began(&published.load_id)),
            published_at: instant(Timestamp::now().as_microsecond()),
            inserted_rows: published.tables.iter().map(|table| table.inserted).sum(),
            tables,
        });
        let surplus = self.runs.len().saturating_sub(MOST_RUNS);
        self.runs.drain(..surplus);
        Ok(())
    }
}
