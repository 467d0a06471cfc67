//! SQLite: a database in one file, in every phone and browser. It has no schemas: a dataset is what the names of its tables begin
//! with, `data__users`.

use std::path::{Path, PathBuf};

use adbc_core::{
    Database, Driver,
    options::{OptionDatabase, OptionValue},
};
use arrow_schema::DataType as ArrowType;

use super::{
    Access, DataType, Session,
    dialect::{Dialect, Place},
    driver::{self, DriverName},
    file,
    lock::{self, Lock},
    text,
};
use crate::error::{Class, Error, Result};

/// SQLite's dialect.
pub struct Sqlite;

impl Dialect for Sqlite {
    fn database(&self) -> &'static str {
        "SQLite"
    }

    /// The word TEXT in a type keeps SQLite from making numbers of texts that look like such.
    fn words(&self) -> &'static [(DataType, &'static str)] {
        &[
            (DataType::Text, "TEXT"),
            (DataType::Bigint, "BIGINT"),
            (DataType::Double, "DOUBLE"),
            (DataType::Boolean, "BOOLEAN"),
            (DataType::Timestamp, "TIMESTAMP"),
            (DataType::LocalTimestamp, "DATETIME"),
            (DataType::Date, "DATE"),
            (DataType::Time, "TIME"),
            (DataType::Binary, "BLOB"),
            (DataType::Json, "JSON TEXT"),
        ]
    }

    fn ignores_case(&self) -> bool {
        true
    }

    fn decimal_word(&self) -> &'static str {
        "DECIMAL TEXT"
    }

    /// SQLite has no such types; the driver writes dates and timestamps as ISO 8601, the rest is done here.
    fn travels_as(&self, arrow: &ArrowType) -> ArrowType {
        match arrow {
            ArrowType::Decimal128(..) | ArrowType::Time64(_) => ArrowType::Utf8,
            other => other.clone(),
        }
    }

    /// A column cannot change its type: another one takes its place, at the end of the table.
    fn change_type(&self, table: &str, column: &str, column_type: &str) -> Vec<String> {
        let other = self.quote("_spile_changed");
        vec![
            format!("ALTER TABLE {table} ADD COLUMN {other} {column_type}"),
            format!("UPDATE {table} SET {other} = {column}"),
            format!("ALTER TABLE {table} DROP COLUMN {column}"),
            format!("ALTER TABLE {table} RENAME COLUMN {other} TO {column}"),
        ]
    }

    fn place(&self, _catalog: &str, schema: &str, table: &str) -> Place {
        Place { catalog: None, schema: None, table: format!("{schema}__{table}") }
    }

    fn create_schema(&self, _catalog: &str, _schema: &str) -> Option<String> {
        None
    }

    /// As the driver writes timestamps.
    fn now(&self) -> &'static str {
        "strftime('%Y-%m-%dT%H:%M:%f000', 'now')"
    }

    fn columns_query(&self) -> &'static str {
        "SELECT substr(t.name, length($1) + 3), c.name, c.type, c.\"notnull\" = 0 \
         FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c \
         WHERE t.type = 'table' AND substr(t.name, 1, length($1) + 2) = $1 || '__' ORDER BY t.name, c.cid"
    }

    /// A lock on a file beside the database: SQLite's own locks last as long as a transaction. The system gives it back when the
    /// process ends, however it does.
    fn hold(&self, session: &mut Session, _dataset: &str, _pipeline: &str) -> Result<()> {
        let rows = session.query("SELECT file FROM pragma_database_list WHERE name = 'main'", &[])?;
        let path = PathBuf::from(rows.first().and_then(|rows| text(rows, 0, 0)).unwrap_or_default());
        session.keep(Lock::take(&lock_of(&path))?);
        Ok(())
    }
}

pub(super) const DRIVER: DriverName = DriverName {
    database: "SQLite",
    manifest: "sqlite",
    variable: "SPILE_ADBC_SQLITE",
    recipe: "setup-destinations",
    entry_point: "AdbcDriverSqliteInit",
};

/// The file beside the database that says that a run writes.
fn lock_of(path: &Path) -> PathBuf {
    path.with_added_extension("lock")
}

/// Opens a file. Others may read it meanwhile; one run at a time writes.
pub(super) fn open(path: &Path, access: Access) -> Result<Session> {
    let path = file::locate(path, access)?;
    let name = path.to_str().ok_or_else(|| {
        Error::new(Class::Config, "the path of the database is not valid Unicode").fact("file", path.display())
    })?;
    let explain = |error: adbc_core::error::Error| {
        Error::new(Class::Destination, "the database cannot be opened")
            .fact("file", path.display())
            .fact("reason", super::session::reason(&error.message))
    };
    let uri = (OptionDatabase::Uri, OptionValue::String(name.to_owned()));
    let database = driver::load(DRIVER)?.new_database_with_opts([uri]).map_err(explain)?;
    let connection = database.new_connection().map_err(explain)?;
    let mut session = Session::new(connection, &Sqlite, None, None)?;
    // The first look at the file: it may be none of SQLite's.
    let look = |session: &mut Session| session.query("SELECT count(*) FROM sqlite_schema", &[]);
    if look(&mut session).is_err() && access == Access::Write {
        // A run that stands still while it commits lets nobody look, and is to be told.
        lock::is_free(&lock_of(&path))?;
    }
    // Readers may hold the file for a moment. A reader must be able to roll back what a killed run began, so it does not open the
    // file for reading only.
    session.query("PRAGMA busy_timeout = 30000", &[])?;
    if access == Access::Read {
        session.run("PRAGMA query_only = true", &[])?;
    }
    look(&mut session).map_err(|error| error.fact("file", path.display()))?;
    Ok(session)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_types_lead_back_to_the_data_type() {
        for data_type in DataType::EACH {
            assert_eq!(Sqlite.data_type(&Sqlite.column_type(data_type)), Some(data_type));
        }
        assert_eq!(Sqlite.data_type("INTEGER"), None);
        assert_eq!(Sqlite.data_type("DECIMAL TEXT(x,9)"), None);
    }
}
