//! PostgreSQL: a database server, version 15 or newer.

use std::process;

use adbc_core::{
    Database, Driver,
    options::{OptionDatabase, OptionValue},
};
use url::Url;

use super::{
    Access, DataType, Session, Value, bigint,
    dialect::{Dialect, Place},
    driver::{self, DriverName},
    text,
};
use crate::error::{Class, Error, Result};

/// PostgreSQL's dialect.
pub struct Postgres;

impl Dialect for Postgres {
    fn database(&self) -> &'static str {
        "PostgreSQL"
    }

    /// dlt writes `character varying` for text, and names the digits of a second's fraction.
    fn words(&self) -> &'static [(DataType, &'static str)] {
        &[
            (DataType::Text, "text"),
            (DataType::Text, "character varying"),
            (DataType::Bigint, "bigint"),
            (DataType::Double, "double precision"),
            (DataType::Boolean, "boolean"),
            (DataType::Timestamp, "timestamp with time zone"),
            (DataType::Timestamp, "timestamp(6) with time zone"),
            (DataType::LocalTimestamp, "timestamp without time zone"),
            (DataType::LocalTimestamp, "timestamp(6) without time zone"),
            (DataType::Date, "date"),
            (DataType::Time, "time without time zone"),
            (DataType::Time, "time(6) without time zone"),
            (DataType::Binary, "bytea"),
            (DataType::Json, "jsonb"),
            (DataType::Json, "json"),
        ]
    }

    fn decimal_word(&self) -> &'static str {
        "numeric"
    }

    /// The driver writes JSON as text, which `json` takes and `jsonb` does not.
    fn staging_type(&self, data_type: DataType) -> String {
        if data_type == DataType::Json { "json".to_owned() } else { self.column_type(data_type) }
    }

    fn place(&self, _catalog: &str, schema: &str, table: &str) -> Place {
        Place { catalog: None, schema: Some(schema.to_owned()), table: table.to_owned() }
    }

    fn create_schema(&self, _catalog: &str, schema: &str) -> Option<String> {
        Some(format!("CREATE SCHEMA IF NOT EXISTS {}", self.quote(schema)))
    }

    fn columns_query(&self) -> &'static str {
        "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull \
         FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_attribute AS a ON a.attrelid = c.oid \
         WHERE n.nspname = $1::name AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped \
         ORDER BY c.relname, a.attnum"
    }

    /// `NAMEDATALEN`, less one.
    fn longest_identifier(&self) -> Option<usize> {
        Some(63)
    }

    fn refuses_character(&self, character: char) -> bool {
        character == '\0'
    }

    /// A lock of the session: the server gives it back when the connection ends, however it does.
    fn hold(&self, session: &mut Session, dataset: &str, pipeline: &str) -> Result<()> {
        let name = format!("spile {dataset}.{pipeline}");
        let values = [Value::Text(Some(&name))];
        let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "this host".to_owned());
        let who = format!("spile, process {} on {host}", process::id());
        session.query("SELECT set_config('application_name', $1, false)", &[Value::Text(Some(&who))])?;
        // The server may need a moment to notice that a killed run is gone.
        session.run("SET lock_timeout = '5s'", &[])?;
        let held = session.query("SELECT pg_advisory_lock(hashtextextended($1, 0))::text", &values);
        session.run("RESET lock_timeout", &[])?;
        let Err(error) = held else { return Ok(()) };
        let holder = session.query(
            "SELECT a.application_name, coalesce(host(a.client_addr), 'the same machine'), a.pid::bigint \
             FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid \
             WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
             AND (l.classid::bigint << 32) | l.objid::bigint = hashtextextended($1, 0)",
            &values,
        )?;
        let Some(rows) = holder.iter().find(|rows| rows.num_rows() > 0) else { return Err(error) };
        Err(Error::new(Class::Destination, "another run of the pipeline is going on")
            .fact("pipeline", pipeline)
            .fact("held by", text(rows, 0, 0).unwrap_or_default())
            .fact("from", text(rows, 1, 0).unwrap_or_default())
            .fact("server process", bigint(rows, 2, 0).unwrap_or_default())
            .advice("wait for it to end, or end it: a pipeline has one run at a time"))
    }

    /// Two transactions that create one schema or table where it is missing would disturb each other.
    fn hold_dataset(&self, session: &mut Session, dataset: &str) -> Result<()> {
        let name = format!("spile dataset {dataset}");
        let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))::text";
        session.query(sql, &[Value::Text(Some(&name))]).map(drop)
    }
}

pub(super) const DRIVER: DriverName = DriverName {
    database: "PostgreSQL",
    manifest: "postgresql",
    variable: "SPILE_ADBC_POSTGRESQL",
    recipe: "setup-destinations",
    entry_point: "AdbcDriverPostgresqlInit",
};

/// Connects to a server.
pub(super) fn open(address: &Address, access: Access) -> Result<Session> {
    let explain = |error: adbc_core::error::Error| {
        Error::new(Class::Destination, "the database cannot be reached")
            .fact("database", address)
            .fact("reason", address.without_password(super::session::reason(&error.message)))
    };
    let uri = (OptionDatabase::Uri, OptionValue::String(address.uri.clone()));
    let database = driver::load(DRIVER)?.new_database_with_opts([uri]).map_err(explain)?;
    let connection = database.new_connection().map_err(explain)?;
    let mut session = Session::new(connection, &Postgres, None, None)?;
    // A run that is cut off from the server must end, on both sides.
    for (setting, value) in [
        ("TimeZone", "UTC"),
        ("client_min_messages", "warning"),
        ("tcp_keepalives_idle", "30"),
        ("tcp_keepalives_interval", "10"),
        ("tcp_keepalives_count", "3"),
    ] {
        session.run(&format!("SET {setting} = '{value}'"), &[])?;
    }
    if access == Access::Read {
        session.run("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", &[])?;
    }
    Ok(session)
}

/// Where a server is: a URI of libpq. It is shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    uri: String,
}

impl Address {
    /// Takes `postgresql://USER@HOST:PORT/DATABASE`, with all parts and parameters that libpq knows.
    pub(super) fn new(uri: &str) -> Option<Self> {
        let is_one = uri.starts_with("postgresql://") || uri.starts_with("postgres://");
        (is_one && !uri.contains('\0')).then(|| Self { uri: uri.to_owned() })
    }

    /// A text in which the password does not stand.
    fn without_password(&self, text: &str) -> String {
        self.passwords().into_iter().fold(text.to_owned(), |text, password| text.replace(&password, "***"))
    }

    /// The password as it stands in the URI, and as it is.
    fn passwords(&self) -> Vec<String> {
        let after_user = self.uri.split_once("://").and_then(|(_, rest)| rest.split_once('@')).map(|(user, _)| user);
        let written = after_user.and_then(|user| user.split_once(':')).map(|(_, password)| password.to_owned());
        let parameters = Url::parse(&self.uri).ok();
        let parameters = parameters.iter().flat_map(|url| url.query_pairs());
        let parameter = parameters.filter(|(name, _)| name.contains("password")).map(|(_, value)| value.into_owned());
        let plain = |password: &String| percent_encoding::percent_decode_str(password).decode_utf8_lossy().into_owned();
        let written: Vec<_> = written.into_iter().chain(parameter).filter(|password| !password.is_empty()).collect();
        let plain: Vec<_> = written.iter().map(plain).collect();
        written.into_iter().chain(plain).collect()
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.without_password(&self.uri))
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_types_lead_back_to_the_data_type() {
        for data_type in DataType::EACH {
            assert_eq!(Postgres.data_type(&Postgres.column_type(data_type)), Some(data_type));
            assert_eq!(Postgres.data_type(&Postgres.staging_type(data_type)), Some(data_type));
        }
        assert_eq!(Postgres.data_type("timestamp(6) with time zone"), Some(DataType::Timestamp));
        assert_eq!(Postgres.data_type("integer"), None);
        assert_eq!(Postgres.data_type("numeric(x,9)"), None);
    }

    #[test]
    fn a_password_is_not_shown() {
        for (uri, shown) in [
            ("postgresql://me:s3cr%40t@db/x", "postgresql://me:***@db/x"),
            ("postgres://me@db/x?password=s3cret&sslmode=require", "postgres://me@db/x?password=***&sslmode=require"),
            ("postgresql://db/x", "postgresql://db/x"),
        ] {
            let address = Address::new(uri).unwrap();
            assert_eq!(address.to_string(), shown);
            assert!(!format!("{address:?}").contains("s3cr"));
        }
        let address = Address::new("postgresql://me:s3cr%40t@db/x").unwrap();
        assert_eq!(address.without_password("failed for s3cr@t and s3cr%40t"), "failed for *** and ***");
    }
}
