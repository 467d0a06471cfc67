//! What a person changed in the final tables.

use spile_host::{
    Class,
    load::{Options, Published, WriteDisposition},
};

use crate::rows::{Database, Kind, batch, bigint, options, plan, table, texts};

fn things() -> Options {
    options(vec![plan("things", WriteDisposition::Append, &[])])
}

fn run(database: &Database, name: &str, size: i64) -> Published {
    let rows = vec![
        ("name", texts([name.to_owned()])),
        ("size", bigint(&[size])),
        ("_dlt_id", texts([format!("{name}-{size}")])),
    ];
    database.run(things(), vec![batch("s", vec![table("things", None, rows)])])
}

fn nothing_is_told_of_tables_that_nobody_touched_or_added_to(kind: Kind) {
    let database = Database::new(kind);
    run(&database, "a", 1);
    database.execute("ALTER TABLE data.things ADD COLUMN note VARCHAR(9)");
    database.execute("CREATE TABLE data.others (x INTEGER)");
    for size in [2, 3] {
        assert_eq!(run(&database, "b", size).warnings, Vec::<String>::new());
    }
    assert_eq!(database.rows("SELECT name, size FROM data.things ORDER BY size"), ["a|1", "b|2", "b|3"]);
}

fn a_renamed_column_is_told_and_left_alone(kind: Kind) {
    let database = Database::new(kind);
    run(&database, "a", 1);
    database.execute("ALTER TABLE data.things RENAME COLUMN name TO title");
    let told = run(&database, "b", 2).warnings;
    assert_eq!(
        told,
        ["the column `name` of the table `things` was there and is gone (is it `title` now?): it is created again, \
          without a value in the rows that are there"]
    );
    assert_eq!(database.rows("SELECT title, name FROM data.things ORDER BY size"), ["a|-", "-|b"]);
    // It is told once.
    assert_eq!(run(&database, "c", 3).warnings, Vec::<String>::new());
}

fn a_table_that_is_gone_is_told(kind: Kind) {
    let database = Database::new(kind);
    run(&database, "a", 1);
    database.execute("DROP TABLE data.things");
    let told = run(&database, "b", 2).warnings;
    assert_eq!(told, ["the table `things` was there and is gone: it begins anew with the rows of this run"]);
    assert_eq!(database.rows("SELECT name FROM data.things"), ["b"]);
}

/// SQLite has no statement for it.
fn give_type(database: &Database, data_type: &str) {
    if database.kind == Kind::Sqlite {
        database.execute(&format!("ALTER TABLE data.things ADD COLUMN other {data_type}"));
        database.execute("UPDATE data.things SET other = size");
        database.execute("ALTER TABLE data.things DROP COLUMN size");
        database.execute("ALTER TABLE data.things RENAME COLUMN other TO size");
    } else {
        database.execute(&format!("ALTER TABLE data.things ALTER COLUMN size TYPE {data_type}"));
    }
}

fn a_type_that_holds_all_values_is_told_and_kept(kind: Kind) {
    let database = Database::new(kind);
    run(&database, "a", 1);
    give_type(&database, if kind == Kind::Sqlite { "DOUBLE" } else { "DOUBLE PRECISION" });
    let told = run(&database, "b", 2).warnings;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("the column `size` of the table `things` was "), "{told:?}");
    assert_eq!(database.rows("SELECT size FROM data.things ORDER BY size"), ["1.0", "2.0"]);
}

fn a_type_that_loses_values_stops_the_run_and_the_next_one_goes_on(kind: Kind) {
    let database = Database::new(kind);
    run(&database, "a", 1);
    give_type(&database, "SMALLINT");
    let (mut loader, _) = database.begin(things());
    let rows = vec![("name", texts(["b".to_owned()])), ("size", bigint(&[2])), ("_dlt_id", texts(["b".to_owned()]))];
    loader.stage(batch("s2", vec![table("things", None, rows)])).unwrap();
    let error = loader.publish("done").unwrap_err();
    assert_eq!(error.class, Class::Destination);
    assert!(error.message.contains("`things` was given a type that does not hold all values"), "{error}");
    assert!(error.facts.iter().any(|(_, fact)| fact.to_lowercase() == "smallint"), "{error}");
    assert_eq!(database.rows("SELECT name FROM data.things"), ["a"]);

    give_type(&database, "BIGINT");
    let (loader, resumed) = database.begin(things());
    assert_eq!(resumed.state.as_deref(), Some("s2"));
    loader.publish("done").unwrap();
    assert_eq!(database.rows("SELECT name, size FROM data.things ORDER BY size"), ["a|1", "b|2"]);
}

crate::on_every_database!(
    nothing_is_told_of_tables_that_nobody_touched_or_added_to,
    a_renamed_column_is_told_and_left_alone,
    a_table_that_is_gone_is_told,
    a_type_that_holds_all_values_is_told_and_kept,
    a_type_that_loses_values_stops_the_run_and_the_next_one_goes_on,
);
