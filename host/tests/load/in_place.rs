//! A staging table that becomes the final one, and final tables whose place it must not take.

use spile_host::load::{Column, DataType, Options, PublishedTable, WriteDisposition};

use crate::rows::{Database, Kind, merge_users, options, plan, users};

fn counts(table: &PublishedTable) -> (&str, u64, u64, u64) {
    (&table.table, table.inserted, table.deleted, table.total)
}

fn replace_users() -> Options {
    options(vec![plan("users", WriteDisposition::Replace, &["id"])])
}

/// What tells one table of a DuckDB file from another while it is open.
fn number(database: &Database) -> Vec<String> {
    database.rows("SELECT table_oid FROM duckdb_tables() WHERE table_name = 'users'")
}

#[test]
fn the_staging_table_takes_the_place_of_an_empty_plain_table_in_duckdb() {
    for (options, first, second) in [
        (replace_users as fn() -> Options, [1, 2], [3, 4]),
        // Every row that is there is deleted.
        (merge_users, [1, 2], [1, 2]),
    ] {
        let database = Database::new(Kind::DuckDb);
        let _open = database.hold_open();
        let mut delivery = users("s1", &first, "a");
        delivery.tables[0].new_columns =
            vec![Column { name: "id".to_owned(), data_type: DataType::Bigint, nullable: false }];
        database.run(options(), vec![delivery]);
        let (types, before) = (database.types("users"), number(&database));
        assert!(types.iter().any(|(_, _, nullable)| !nullable), "{types:?}");
        // The connector declares a column once.
        let published = database.run(options(), vec![users("s2", &second, "b")]);
        assert_eq!(
            published.tables.iter().map(counts).collect::<Vec<_>>(),
            [("users", 2, 2, 2), ("users__tags", 4, 4, 4)]
        );
        assert_ne!(number(&database), before);
        assert_eq!(database.types("users"), types);
        assert_eq!(database.rows("SELECT DISTINCT name FROM data.users"), ["b"]);
        assert_eq!(database.rows("SELECT count(*) FROM data.users__tags"), ["4"]);
    }
}

#[test]
fn rows_that_were_left_out_do_not_come_back_in_duckdb() {
    let database = Database::new(Kind::DuckDb);
    let published = database.run(merge_users(), vec![users("s1", &[1, 2], "a"), users("s2", &[2, 3], "b")]);
    assert_eq!(published.tables.iter().map(counts).collect::<Vec<_>>(), [("users", 3, 0, 3), ("users__tags", 6, 0, 6)]);
    assert_eq!(database.rows("SELECT id, name FROM data.users ORDER BY id"), ["1|a", "2|b", "3|b"]);
}

#[test]
fn rows_that_stay_keep_their_table_in_duckdb() {
    let database = Database::new(Kind::DuckDb);
    let _open = database.hold_open();
    database.run(merge_users(), vec![users("s1", &[1, 2], "a")]);
    let before = number(&database);
    database.run(merge_users(), vec![users("s2", &[2, 3], "b")]);
    assert_eq!(number(&database), before);
    assert_eq!(database.rows("SELECT id, name FROM data.users ORDER BY id"), ["1|a", "2|b", "3|b"]);
}

fn what_a_person_gave_a_table_stays(kind: Kind) {
    let by_hand: &[&str] = match kind {
        Kind::Sqlite => &["CREATE INDEX of_names ON data__users (name)"],
        Kind::DuckDb | Kind::Postgres => &[
            "CREATE INDEX of_names ON data.users (name)",
            "COMMENT ON TABLE data.users IS 'people'",
            "ALTER TABLE data.users ALTER COLUMN name SET DEFAULT 'nobody'",
        ],
    };
    let told = match kind {
        Kind::DuckDb => {
            "SELECT (SELECT count(*) FROM duckdb_indexes() WHERE table_name = 'users'), \
             (SELECT comment FROM duckdb_tables() WHERE table_name = 'users'), \
             (SELECT column_default FROM duckdb_columns() WHERE table_name = 'users' AND column_name = 'name')"
        }
        Kind::Postgres => {
            "SELECT (SELECT count(*) FROM pg_indexes WHERE tablename = 'users'), obj_description('data.users'::regclass), \
             (SELECT column_default FROM information_schema.columns WHERE table_name = 'users' AND column_name = 'name')"
        }
        Kind::Sqlite => "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND name = 'of_names'",
    };
    for (index, statement) in by_hand.iter().enumerate() {
        let database = Database::new(kind);
        database.run(replace_users(), vec![users("s1", &[1, 2], "a")]);
        database.execute(statement);
        database.execute("CREATE VIEW data.names AS SELECT name FROM data.users");
        let before = database.rows(told);
        database.run(replace_users(), vec![users("s2", &[3], "b")]);
        assert_eq!(database.rows(told), before, "{index}");
        assert_eq!(database.rows("SELECT name FROM data.names"), ["b"]);
    }

    let database = Database::new(kind);
    database.run(replace_users(), vec![users("s1", &[1, 2], "a")]);
    database.execute("ALTER TABLE data.users ADD COLUMN remark TEXT");
    let types = database.types("users");
    database.run(replace_users(), vec![users("s2", &[3], "b")]);
    assert_eq!(database.types("users"), types);
    assert_eq!(database.rows("SELECT name, remark FROM data.users"), ["b|-"]);
}

crate::on_every_database!(what_a_person_gave_a_table_stays);
