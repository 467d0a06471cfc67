//! The manifest of a pipeline: which files its tables consist of, and how far its last run came.
//!
//! It says what `_spile_state` says in a database, in the same words, and for each table which files it has.

use std::collections::BTreeMap;

use arrow_schema::SchemaRef;
use serde::{Deserialize, Serialize};

use crate::{
    changes::Changes,
    destination::parquet::{Folder, schema},
    error::{Class, Error, Result},
    load::{
        Column, RunRecord,
        package::{KnownTable, Row},
        publish::LOADS_TABLE,
    },
};

/// The version of what is written here.
const VERSION: u32 = 1;

/// How far the last run came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    /// Its rows are staged, or not yet read.
    Open,
    /// It is decided that they are published; files are on their way.
    Publishing,
    /// All files are in their places.
    Done,
}

/// A pipeline at a destination of files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    version: u32,
    pub pipeline: String,
    /// The fence: the number of the last run that began.
    pub run: i64,
    pub status: Status,
    pub digest: Option<String>,
    pub load_id: Option<String>,
    pub state: Option<String>,
    pub schema: Option<String>,
    pub staged_state: Option<String>,
    pub staged_schema: Option<String>,
    pub staged_changes: Option<Changes>,
    pub tables: Vec<TableFiles>,
    /// `_dlt_loads`.
    pub loads: TableFiles,
    /// The runs that were published, the last one last.
    #[serde(default)]
    pub runs: Vec<RunRecord>,
}

/// The files of a table.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct TableFiles {
    pub table: String,
    /// The root of its chain of tables; itself for a root table.
    pub root: String,
    pub resource: String,
    pub parent: Option<String>,
    /// The columns that it has, some of which the older files lack.
    pub columns: Vec<Column>,
    /// The files that it consists of.
    pub files: Vec<DataFile>,
    /// The columns that the staged rows have.
    pub staged_columns: Vec<Column>,
    /// Files that are staged; while the status is `publishing`, those of its files that may still be on their way.
    pub staged_files: Vec<DataFile>,
    /// Files that are to be removed.
    pub old_files: Vec<DataFile>,
}

/// A file of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DataFile {
    /// Its name in the table's folder.
    pub name: String,
    pub rows: u64,
}

impl Manifest {
    /// The manifest that is there, or that of a pipeline that never ran.
    pub fn read(folder: &Folder, pipeline: &str) -> Result<Self> {
        let unusable =
            |message: &str| Error::new(Class::Destination, message).fact("path", folder.manifest_path().display());
        let broken = |error: serde_json::Error| {
            unusable("the manifest is not one").fact("reason", error).advice("put back a copy of it that is whole")
        };
        let Some(text) = folder.manifest()? else { return Ok(Self::new(pipeline)) };
        let version: Version = serde_json::from_slice(&text).map_err(broken)?;
        if version.version != VERSION {
            return Err(unusable("the manifest is of another version of Spile")
                .fact("version", version.version)
                .advice("run the version that wrote it, or one that is newer"));
        }
        let manifest: Self = serde_json::from_slice(&text).map_err(broken)?;
        if manifest.pipeline != pipeline {
            // Some file systems take names for the same that differ in case.
            return Err(unusable("the manifest is that of another pipeline")
                .fact("pipeline", &manifest.pipeline)
                .advice("give the pipelines names that differ in more than case"));
        }
        Ok(manifest)
    }

    fn new(pipeline: &str) -> Self {
        Self {
            version: VERSION,
            pipeline: pipeline.to_owned(),
            run: 0,
            status: Status::Done,
            digest: None,
            load_id: None,
            state: None,
            schema: None,
            staged_state: None,
            staged_schema: None,
            staged_changes: None,
            tables: Vec::new(),
            loads: TableFiles { table: LOADS_TABLE.to_owned(), root: LOADS_TABLE.to_owned(), ..TableFiles::default() },
            runs: Vec::new(),
        }
    }

    pub fn write(&self, folder: &Folder) -> Result<()> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::new(Class::Internal, format!("what is noted of a package: {error}")))?;
        folder.replace_manifest(&text)
    }

    /// What a database would say of the pipeline.
    pub fn row(&self) -> Row {
        Row {
            run: self.run,
            open: self.status == Status::Open,
            digest: self.digest.clone(),
            load_id: self.load_id.clone(),
            state: self.state.clone(),
            schema: self.schema.clone(),
            staged_state: self.staged_state.clone(),
            staged_schema: self.staged_schema.clone(),
            tables: self.tables.iter().map(TableFiles::known).collect(),
            staged_changes: self.staged_changes.clone(),
        }
    }

    pub fn table(&self, name: &str) -> Option<&TableFiles> {
        self.tables.iter().find(|table| table.table == name)
    }

    /// Likewise, to be changed.
    pub fn table_mut(&mut self, name: &str) -> Option<&mut TableFiles> {
        self.tables.iter_mut().find(|table| table.table == name)
    }

    /// Notes the present places of tables, of new ones too.
    pub fn place(&mut self, tables: Vec<KnownTable>) {
        for KnownTable { table, root, resource, parent, .. } in tables {
            match self.table_mut(&table) {
                Some(known) => (known.root, known.resource, known.parent) = (root, resource, parent),
                None => self.tables.push(TableFiles { table, root, resource, parent, ..TableFiles::default() }),
            }
        }
    }

    /// All tables; `_dlt_loads` comes last, since what it lists is complete.
    pub fn all(&self) -> impl Iterator<Item = &TableFiles> {
        self.tables.iter().chain([&self.loads])
    }

    /// What is to be done until a publication that is decided is done; what was done already comes again.
    pub fn moves(&self) -> impl Iterator<Item = Move<'_>> {
        self.all().flat_map(|table| {
            let enter = table.staged_files.iter().map(|file| Move::In(&table.table, &file.name));
            let leave = table.old_files.iter().map(|file| Move::Out(&table.table, &file.name));
            enter.chain(leave)
        })
    }

    /// Forgets what is staged, and what was to be removed.
    pub fn settle(&mut self) {
        (self.staged_state, self.staged_schema, self.staged_changes) = (None, None, None);
        for table in self.tables.iter_mut().chain([&mut self.loads]) {
            table.staged_columns.clear();
            table.staged_files.clear();
            table.old_files.clear();
        }
    }
}

/// A file that comes to its table's folder, or leaves it: the table, and the file's name.
#[derive(Clone, Copy)]
pub(super) enum Move<'m> {
    In(&'m str, &'m str),
    Out(&'m str, &'m str),
}

/// The one part of a manifest that all versions have.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl TableFiles {
    fn known(&self) -> KnownTable {
        KnownTable {
            table: self.table.clone(),
            root: self.root.clone(),
            resource: self.resource.clone(),
            parent: self.parent.clone(),
            staged: rows(&self.staged_files),
            columns: BTreeMap::new(),
        }
    }

    /// Names the next file of staged rows.
    pub fn stage(&mut self, load_id: &str, rows: u64) -> String {
        let name = format!("{load_id}-{}.parquet", self.staged_files.len() + 1);
        self.staged_files.push(DataFile { name: name.clone(), rows });
        name
    }

    /// The columns that the table has with the staged rows. A column stays of the type that it has in its files, or becomes a wider
    /// one; where the files go, it may become any other.
    pub fn with_staged_columns(&self, files_go: bool) -> Vec<Column> {
        let mut columns = self.columns.clone();
        for staged in &self.staged_columns {
            match columns.iter_mut().find(|column| column.name == staged.name) {
                None => columns.push(staged.clone()),
                Some(column) => {
                    let (from, to) = (column.data_type, staged.data_type);
                    if from.widens_to(to) || (files_go && !to.widens_to(from)) {
                        column.data_type = to;
                    }
                }
            }
        }
        columns
    }
}

/// The columns of a file.
pub(super) fn file_schema(columns: &[Column]) -> SchemaRef {
    schema(columns.iter().map(|column| (column.name.as_str(), column.data_type)))
}

/// The rows of some files.
pub(super) fn rows(files: &[DataFile]) -> u64 {
    files.iter().map(|file| file.rows).sum()
}
