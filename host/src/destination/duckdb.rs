//! DuckDB: a database in one file next to you.

use std::{
    collections::HashMap,
    fs::{self, File, Metadata},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, atomic::AtomicUsize},
    thread,
    time::Duration,
};

use adbc_core::{
    Database, Driver,
    options::{OptionDatabase, OptionValue},
};
use adbc_driver_manager::ManagedDatabase;
use rustix::fs::FlockOperation;

use super::{
    Access, DataType, Resources, Session,
    dialect::{Dialect, Ids, Place},
    driver::{self, DriverName},
    file,
};
use crate::error::{Class, Error, Result};

/// DuckDB's dialect.
pub struct DuckDb;

impl Dialect for DuckDb {
    fn database(&self) -> &'static str {
        "DuckDB"
    }

    fn words(&self) -> &'static [(DataType, &'static str)] {
        &[
            (DataType::Text, "VARCHAR"),
            (DataType::Bigint, "BIGINT"),
            (DataType::Double, "DOUBLE"),
            (DataType::Boolean, "BOOLEAN"),
            (DataType::Timestamp, "TIMESTAMP WITH TIME ZONE"),
            (DataType::LocalTimestamp, "TIMESTAMP"),
            (DataType::Date, "DATE"),
            (DataType::Time, "TIME"),
            (DataType::Binary, "BLOB"),
            (DataType::Json, "JSON"),
        ]
    }

    fn ignores_case(&self) -> bool {
        true
    }

    fn decimal_word(&self) -> &'static str {
        "DECIMAL"
    }

    /// It names the catalog: DuckDB calls a file's catalog by the file's stem, and takes `x.t` for ambiguous when both the file and
    /// a schema are called `x`.
    fn place(&self, catalog: &str, schema: &str, table: &str) -> Place {
        Place { catalog: Some(catalog.to_owned()), schema: Some(schema.to_owned()), table: table.to_owned() }
    }

    fn create_schema(&self, catalog: &str, schema: &str) -> Option<String> {
        Some(format!("CREATE SCHEMA IF NOT EXISTS {}.{}", self.quote(catalog), self.quote(schema)))
    }

    /// DuckDB writes the rows of a column in blocks of 256 KiB, some of which it must have in memory at once: with one thread, 1.65 MB a
    /// column were enough for 100 columns and for 500, where 1.2 MB were not. What it may have beyond that, it takes, and is no faster.
    fn make_room(&self, columns: usize) -> Option<String> {
        Some(format!("SET memory_limit = '{}MB'", 32 + 2 * columns))
    }

    /// Of rows in one transaction it writes each full row group into its file, compressed, as it comes. Rows of smaller transactions go into its
    /// log, and are compressed when that is full, some of them more than once. Transactions do not wait for each other, and the file is this process's.
    fn writes_ahead(&self) -> bool {
        true
    }

    /// It comes to the same by itself, after it has tried each way, a table of symbols for each among them: a sixth of what it takes to write a child
    /// table, and half a millisecond and more for each column of a small one.
    fn storage(&self, ids: Ids) -> &'static str {
        match ids {
            Ids::Once => " USING COMPRESSION uncompressed",
            Ids::Often => " USING COMPRESSION dictionary",
        }
    }

    fn is_conflict(&self, message: &str) -> bool {
        message.contains("Conflict on ")
    }

    /// A table cannot move from one schema to another.
    fn staging_prefix(&self) -> Option<&'static str> {
        Some("_spile_staged_")
    }

    /// Of constraints a plain table has those alone that say which columns are never null.
    fn plain_tables_query(&self) -> Option<&'static str> {
        Some(
            "SELECT t.table_name FROM duckdb_tables() AS t WHERE t.database_name = current_database() AND t.schema_name = $1 \
             AND t.index_count = 0 AND t.comment IS NULL AND cardinality(t.tags) = 0 \
             AND NOT EXISTS (SELECT 1 FROM duckdb_constraints() AS c \
             WHERE c.table_oid = t.table_oid AND c.database_oid = t.database_oid AND c.constraint_type <> 'NOT NULL') \
             AND NOT EXISTS (SELECT 1 FROM duckdb_columns() AS c \
             WHERE c.table_oid = t.table_oid AND c.database_oid = t.database_oid AND (c.column_default IS NOT NULL OR c.comment IS NOT NULL))",
        )
    }

    fn columns_query(&self) -> &'static str {
        "SELECT table_name, column_name, data_type, is_nullable FROM duckdb_columns() \
         WHERE database_name = current_database() AND schema_name = $1 ORDER BY table_name, column_index"
    }
}

pub(super) const DRIVER: DriverName = DriverName {
    database: "DuckDB",
    manifest: "duckdb",
    variable: "SPILE_ADBC_DUCKDB",
    recipe: "setup",
    entry_point: "duckdb_adbc_init",
};

/// The files that this process has open, and by how many sessions.
///
/// DuckDB keeps other processes out of a file by a lock, but locks of one process do not meet each other: a second instance on
/// the same file would be let in, and closing it would drop the first one's lock. So all sessions of a process share one.
static OPEN: LazyLock<Mutex<HashMap<PathBuf, Shared>>> = LazyLock::new(Mutex::default);

struct Shared {
    database: ManagedDatabase,
    access: Access,
    sessions: usize,
    /// For how many columns its buffers have room.
    room: Arc<AtomicUsize>,
}

fn open_files() -> MutexGuard<'static, HashMap<PathBuf, Shared>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A session's part of an open file. Must be dropped after its connection: the last one closes the file.
struct Lease {
    path: PathBuf,
}

impl Drop for Lease {
    fn drop(&mut self) {
        // The file is closed while the table is locked: nobody can open it anew in between.
        let mut open = open_files();
        if let Some(shared) = open.get_mut(&self.path) {
            shared.sessions = shared.sessions.saturating_sub(1);
            if shared.sessions == 0 {
                open.remove(&self.path);
            }
        }
    }
}

/// Opens a file, or joins the sessions of this process that have it open (then `resources` are those of the first).
pub(super) fn open(path: &Path, access: Access, resources: &Resources) -> Result<Session> {
    let path = file::locate(path, access)?;
    // In this order, so that a failure below drops the database before the lease.
    let (lease, database, room) = {
        let mut open = open_files();
        match open.get_mut(&path) {
            Some(shared) if access == Access::Write && shared.access == Access::Read => {
                return Err(Error::new(Class::Destination, "this process has the database open for reading only")
                    .fact("file", path.display()));
            }
            Some(shared) => {
                shared.sessions += 1;
                (Lease { path: path.clone() }, shared.database.clone(), Arc::clone(&shared.room))
            }
            None => {
                let database = open_file(&path, access, resources)?;
                let room = Arc::default();
                let shared = Shared { database: database.clone(), access, sessions: 1, room: Arc::clone(&room) };
                open.insert(path.clone(), shared);
                (Lease { path: path.clone() }, database, room)
            }
        }
    };
    let connection = database.new_connection().map_err(|error| explain(&error, &path))?;
    // From here on the connection keeps the database alive, and the lease outlives the connection.
    drop(database);
    let mut session = Session::new(connection, &DuckDb, Some(Box::new(lease)), Some("SELECT current_database()"))?;
    session.share_room(room);
    Ok(session)
}

fn open_file(path: &Path, access: Access, resources: &Resources) -> Result<ManagedDatabase> {
    let file = path.to_str().ok_or_else(|| {
        Error::new(Class::Config, "the path of the database is not valid Unicode").fact("file", path.display())
    })?;
    let threads = resources.threads.to_string();
    let mut settings = vec![
        ("path", file),
        ("memory_limit", resources.memory_limit.as_deref().unwrap_or("256MB")),
        ("threads", &threads),
        // Rows have no order in a table; keeping one would make large inserts buffer.
        ("preserve_insertion_order", "false"),
        // Nothing is fetched behind the user's back.
        ("autoinstall_known_extensions", "false"),
        ("autoload_known_extensions", "false"),
    ];
    if access == Access::Read {
        settings.push(("access_mode", "READ_ONLY"));
    } else {
        // Where that fails, DuckDB says what is wrong.
        let _ = remove_rest(path);
    }
    let options = settings
        .into_iter()
        .map(|(name, value)| (OptionDatabase::Other(name.to_owned()), OptionValue::String(value.to_owned())));
    driver::load(DRIVER)?.new_database_with_opts(options).map_err(|error| explain(&error, path))
}

/// Removes what is left of a file whose making was cut off: DuckDB locks it, then writes three headers, and takes a file with fewer for
/// none of its own. Nothing can be in it. A file whose maker lives is locked, however long that one stands still; only an empty one
/// may not be yet, so it has to be a second old.
///
/// # Errors
/// Where the file is not there, is locked or cannot be removed.
fn remove_rest(path: &Path) -> io::Result<()> {
    const HEADERS: u64 = 3 * 4096;
    const LOCKED: Duration = Duration::from_secs(1);
    let is_short = |file: &Metadata| file.is_file() && file.len() < HEADERS;
    // No other is opened: closing it would end what locks this process has on it.
    if !is_short(&fs::metadata(path)?) {
        return Ok(());
    }
    let mut file = File::options().read(true).write(true).open(path)?;
    let before = file.metadata()?;
    if before.len() == 0 {
        thread::sleep(LOCKED.saturating_sub(before.modified()?.elapsed().unwrap_or_default()));
    }
    // DuckDB's kind of lock, which the standard library has not.
    rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive)?;
    let mut bytes = Vec::new();
    file.by_ref().take(HEADERS).read_to_end(&mut bytes)?;
    let (held, there) = (file.metadata()?, fs::metadata(path)?);
    let is_rest = is_short(&held) && (bytes.is_empty() || bytes.get(8..12) == Some(b"DUCK"));
    // Whoever came before may have made it anew.
    if is_rest && (held.dev(), held.ino()) == (there.dev(), there.ino()) {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// Why a file could not be opened.
fn explain(error: &adbc_core::error::Error, path: &Path) -> Error {
    const HELD: &str = "Conflicting lock is held in ";
    if !error.message.contains("Could not set lock on file") {
        return Error::new(Class::Destination, "the database cannot be opened")
            .fact("file", path.display())
            .fact("reason", error.message.trim());
    }
    let busy = Error::new(Class::Destination, "another process has the database open").fact("file", path.display());
    let holder = error.message.split_once(HELD).map(|(_, rest)| rest.split(". See also").next().unwrap_or(rest).trim());
    match holder {
        Some(holder) => busy.fact("held by", holder),
        None => busy,
    }
    .advice("end that process, or wait for it: a DuckDB file has one writer at a time")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_types_lead_back_to_the_data_type() {
        for data_type in DataType::EACH {
            assert_eq!(DuckDb.data_type(&DuckDb.column_type(data_type)), Some(data_type));
        }
        assert_eq!(DuckDb.data_type("INTEGER"), None);
        assert_eq!(DuckDb.data_type("DECIMAL(x,9)"), None);
    }

    #[test]
    fn only_a_file_is_the_rest_of_one() {
        let folder = tempfile::tempdir().unwrap();
        let (file, pipe) = (folder.path().join("file"), folder.path().join("pipe"));
        fs::write(&file, "").unwrap();
        let name = std::ffi::CString::new(pipe.to_str().unwrap()).unwrap();
        // SAFETY: the name is one, and outlives the call.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        remove_rest(&file).unwrap();
        remove_rest(&pipe).unwrap();
        assert_eq!((file.exists(), pipe.exists()), (false, true));
    }

    #[test]
    fn quoting_keeps_an_identifier_one_identifier() {
        assert_eq!(DuckDb.quote(r#"a"; drop table x; --"#), r#""a""; drop table x; --""#);
    }
}
