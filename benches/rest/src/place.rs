//! Where rows are written, and what is there afterwards.

use arrow_array::{cast::AsArray as _, types::Int64Type};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use serde_json::Value;
use spile_host::destination::{self, Access, Resources, Session, Target};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The dataset of all places. DuckDB wants another name than its file has.
pub const DATASET: &str = "data";

/// A kind of destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Destination {
    #[value(name = "duckdb")]
    DuckDb,
    #[value(name = "postgresql")]
    Postgres,
    Sqlite,
    Parquet,
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DuckDb => "DuckDB",
            Self::Postgres => "PostgreSQL",
            Self::Sqlite => "SQLite",
            Self::Parquet => "Parquet",
        })
    }
}

/// A PostgreSQL server of this run's own. It ends when this process does: the script waits for the end of its standard input.
pub struct Server {
    port: u16,
    databases: Cell<u32>,
    _process: Child,
}

impl Server {
    pub fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/postgres-server.sh");
        let mut process = Command::new(script)
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{script}: {error}"));
        let said = BufReader::new(process.stdout.take().unwrap()).lines().next();
        assert!(said.is_some_and(|line| line.unwrap() == "ready"), "no PostgreSQL server: its script says above why");
        Self { port, databases: Cell::new(0), _process: process }
    }

    fn target(&self, database: &str) -> Target {
        Target::parse(&format!("postgresql://spile@127.0.0.1:{}/{database}", self.port)).unwrap()
    }

    fn run(&self, sql: &str) {
        open(&self.target("spile"), Access::Write).run(sql, &[]).unwrap();
    }
}

/// An empty database or folder, which goes when it is dropped, with a folder for whatever else a tool writes.
pub struct Place<'s> {
    pub destination: Destination,
    pub target: Target,
    folder: tempfile::TempDir,
    database: Option<(&'s Server, String)>,
}

impl<'s> Place<'s> {
    pub fn new(destination: Destination, server: &'s Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut database = None;
        let target = match destination {
            Destination::DuckDb => Target::DuckDb { path: folder.path().join("bench.duckdb") },
            Destination::Sqlite => Target::Sqlite { path: folder.path().join("bench.sqlite") },
            Destination::Parquet => Target::Parquet { directory: folder.path().join("files") },
            Destination::Postgres => {
                let name = format!("bench_{}", server.databases.replace(server.databases.get() + 1));
                server.run(&format!("CREATE DATABASE {name}"));
                let target = server.target(&name);
                database = Some((server, name));
                target
            }
        };
        Self { destination, target, folder, database }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// How many rows each table of the source has that has any.
    pub fn rows(&self) -> BTreeMap<String, u64> {
        let mut rows = self.rows_of_all();
        rows.retain(|_, rows| *rows > 0);
        rows
    }

    fn rows_of_all(&self) -> BTreeMap<String, u64> {
        if let Target::Parquet { directory } = &self.target {
            return rows_of_files(&directory.join(DATASET));
        }
        let mut session = open(&self.target, Access::Read);
        let mut tables: Vec<String> = session.columns(DATASET).unwrap().into_keys().collect();
        tables.retain(|table| !table.starts_with('_'));
        let count = |table: String| {
            let sql = format!("SELECT count(*) FROM {}", session.qualified(DATASET, &table));
            let batches = session.query(&sql, &[]).unwrap();
            (table, batches[0].column(0).as_primitive::<Int64Type>().value(0) as u64)
        };
        tables.into_iter().map(count).collect()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some((server, name)) = &self.database {
            server.run(&format!("DROP DATABASE {name} WITH (FORCE)"));
        }
    }
}

fn open(target: &Target, access: Access) -> Session {
    destination::open(target, access, &Resources::default()).unwrap()
}

/// As the manifest of the one pipeline has them; without one, all that is in the folder of each table.
fn rows_of_files(dataset: &Path) -> BTreeMap<String, u64> {
    let Ok(manifest) = fs::read(dataset.join("_spile/records/manifest.json")) else {
        let files =
            |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
        let rows = |file: &Path| {
            let reader = SerializedFileReader::new(fs::File::open(file).unwrap()).unwrap();
            reader.metadata().file_metadata().num_rows() as u64
        };
        let table = |folder: &Path| folder.file_name().unwrap().to_str().unwrap().to_owned();
        let tables = files(dataset).into_iter();
        return tables.map(|folder| (table(&folder), files(&folder).iter().map(|file| rows(file)).sum())).collect();
    };
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let tables = manifest["tables"].as_array().unwrap().iter();
    let tables = tables.map(|table| {
        let files = table["files"].as_array().unwrap().iter();
        (table["table"].as_str().unwrap().to_owned(), files.map(|file| file["rows"].as_u64().unwrap()).sum())
    });
    tables.filter(|(table, _)| !table.starts_with('_')).collect()
}
