//! Databases that rows are written to.
//!
//! A destination is an [ADBC](https://arrow.apache.org/adbc/) driver plus a dialect. Rows go in as Arrow batches, everything
//! else is SQL. [`Target`] names a database, [`driver`] finds the shared library that speaks to it, [`Session`] is one
//! connection, and [`dialect::Dialect`] says what differs between databases: one file each: [`duckdb`], [`postgres`], [`sqlite`].
//! A directory of Parquet files needs neither.
//!
//! Identifiers are always quoted and values are always bound: nothing from outside is part of the text of a statement.

pub mod dialect;
pub mod driver;
pub mod duckdb;
mod file;
mod lock;
pub(crate) mod parquet;
pub mod postgres;
mod session;
pub mod sqlite;

use std::{fmt, path::PathBuf};

use arrow_array::RecordBatch;

use crate::error::{Class, Error, Result};

pub use dialect::{DataType, Tables};
pub(crate) use lock::Lock;
pub use session::{Catalog, Columns, Session, StoredColumn, Value};
pub(crate) use session::{bigint, text};

/// A database, as a person names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A DuckDB file: `duckdb:PATH`. It is created where it does not exist.
    DuckDb {
        /// The file, relative to the working directory or absolute.
        path: PathBuf,
    },
    /// A database of a PostgreSQL server: `postgresql://USER@HOST:PORT/DATABASE`.
    Postgres {
        /// Where it is.
        address: postgres::Address,
    },
    /// A SQLite file: `sqlite:PATH`. It is created where it does not exist.
    Sqlite {
        /// The file, relative to the working directory or absolute.
        path: PathBuf,
    },
    /// Parquet files: `parquet:DIR`. The directory is created where it does not exist.
    Parquet {
        /// The directory, relative to the working directory or absolute.
        directory: PathBuf,
    },
}

/// The forms of a target, for messages.
const FORMS: &str = "duckdb:PATH, postgresql://USER@HOST/DATABASE, sqlite:PATH, parquet:DIR";

impl Target {
    /// Reads `duckdb:PATH`, `sqlite:PATH`, `parquet:DIR` or a URI as libpq has it, `postgresql://…`.
    ///
    /// # Errors
    /// [`Class::Config`] for an unknown scheme, a missing path, and a database in memory (`:memory:`), whose rows would be lost.
    ///
    /// ```
    /// # use spile_host::destination::Target;
    /// assert_eq!(Target::parse("duckdb:out.duckdb")?, Target::DuckDb { path: "out.duckdb".into() });
    /// assert_eq!(Target::parse("postgresql://me:secret@db/x")?.to_string(), "postgresql://me:***@db/x");
    /// assert!(Target::parse("mysql:x").is_err());
    /// # Ok::<(), spile_host::Error>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |message: String| Error::new(Class::Config, message).advice(format!("write one of {FORMS}"));
        let (scheme, rest) =
            text.split_once(':').ok_or_else(|| wrong(format!("`{text}` is not a destination; there is: {FORMS}")))?;
        match (scheme, rest) {
            ("postgresql" | "postgres", _) => match postgres::Address::new(text) {
                Some(address) => Ok(Self::Postgres { address }),
                None => Err(wrong(format!("after `{scheme}:` comes `//`, then the server and the database"))),
            },
            ("duckdb" | "sqlite", ":memory:") => {
                Err(wrong("a database in memory is gone at the end of the run: name a file".to_owned()))
            }
            ("duckdb" | "sqlite", path) if path.trim().is_empty() || path.contains('\0') => {
                Err(wrong(format!("the destination `{scheme}:` names no file")))
            }
            ("parquet", path) if path.trim().is_empty() || path.contains('\0') => {
                Err(wrong("the destination `parquet:` names no directory".to_owned()))
            }
            ("duckdb", path) => Ok(Self::DuckDb { path: path.into() }),
            ("sqlite", path) => Ok(Self::Sqlite { path: path.into() }),
            ("parquet", path) => Ok(Self::Parquet { directory: path.into() }),
            _ => Err(wrong(format!("there is no destination `{scheme}:`; there is: {FORMS}"))),
        }
    }

    /// Whether it would come into being by being written to: then nothing is in it yet. False where only the database knows.
    ///
    /// # Errors
    /// [`Class::Config`] where it cannot be right, such as a file in a directory that does not exist.
    pub(crate) fn is_new(&self) -> Result<bool> {
        match self {
            Self::DuckDb { path } | Self::Sqlite { path } => Ok(!file::locate(path, Access::Write)?.exists()),
            Self::Postgres { .. } | Self::Parquet { .. } => Ok(false),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuckDb { path } => write!(f, "duckdb:{}", path.display()),
            Self::Postgres { address } => write!(f, "{address}"),
            Self::Sqlite { path } => write!(f, "sqlite:{}", path.display()),
            Self::Parquet { directory } => write!(f, "parquet:{}", directory.display()),
        }
    }
}

/// How much a database that runs in this process may take of the machine.
#[derive(Clone, Debug)]
pub struct Resources {
    /// What its own buffers may hold, as DuckDB writes sizes: `1GB`, `512MiB`. If absent, as much as the columns of the tables need that
    /// are written ([`dialect::Dialect::make_room`]).
    pub memory_limit: Option<String>,
    /// Threads for its own work.
    pub threads: u32,
}

impl Default for Resources {
    /// One thread: the connector has a processor to itself, further threads of DuckDB look for work while they wait, and each
    /// needs as much memory again.
    fn default() -> Self {
        Self { memory_limit: None, threads: 1 }
    }
}

/// Whether a session may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads and writes; a missing database is created.
    Write,
    /// Reads only; a missing database is an error.
    Read,
}

/// Begins to load what speaks to a database, for one who will open it soon.
pub(crate) fn load_driver_early(target: &Target) {
    match target {
        Target::DuckDb { .. } => driver::load_early(duckdb::DRIVER),
        Target::Postgres { .. } => driver::load_early(postgres::DRIVER),
        Target::Sqlite { .. } => driver::load_early(sqlite::DRIVER),
        Target::Parquet { .. } => {}
    }
}

/// Opens a connection to a database.
///
/// # Errors
/// [`Class::Config`] where the target cannot be right (its directory does not exist), [`Class::Destination`] where there is
/// no driver or the database refuses.
pub fn open(target: &Target, access: Access, resources: &Resources) -> Result<Session> {
    match target {
        Target::DuckDb { path } => duckdb::open(path, access, resources),
        Target::Postgres { address } => postgres::open(address, access),
        Target::Sqlite { path } => sqlite::open(path, access),
        Target::Parquet { directory } => {
            Err(Error::new(Class::Config, "a directory of Parquet files answers no queries")
                .fact("directory", directory.display())
                .advice("read the files with a program that does, such as DuckDB with `read_parquet`; what is kept of a pipeline is in its manifest"))
        }
    }
}

/// Runs one query and gives its result, for printing rows and for tests. Nothing is written, unless this process holds the
/// database open for writing at the same time: then the query goes through that.
///
/// # Errors
/// As [`open`], and [`Class::Destination`] for all that the database says about the query.
pub fn query(target: &Target, sql: &str) -> Result<Vec<RecordBatch>> {
    open(target, Access::Read, &Resources::default())?.query(sql, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_scheme_and_a_path() {
        let target = Target::parse("duckdb:/tmp/a:b.duckdb").unwrap();
        assert_eq!(target, Target::DuckDb { path: "/tmp/a:b.duckdb".into() });
        assert_eq!(target.to_string(), "duckdb:/tmp/a:b.duckdb");
        for (text, part) in [
            ("mysql://host/db", "no destination `mysql:`; there is: duckdb:PATH, postgresql://"),
            ("postgres:db", "after `postgres:` comes `//`"),
            ("sqlite:", "names no file"),
            ("out.duckdb", "`out.duckdb` is not a destination"),
            ("duckdb:", "names no file"),
            ("parquet: ", "names no directory"),
            ("duckdb::memory:", "in memory"),
        ] {
            let error = Target::parse(text).unwrap_err();
            assert_eq!(error.class, Class::Config);
            assert!(error.message.contains(part), "{text}: {error}");
        }
    }
}
