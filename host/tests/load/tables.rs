//! Columns, types and names.

use std::sync::Arc;

use arrow_array::{Int32Array, Int64Array};
use spile_host::{
    Class,
    destination::DataType,
    load::{Loader, Options, WriteDisposition},
};

use crate::rows::{
    Database, Kind, batch, bigint, column, every_type, merge, merge_users, options, plan, table, text, texts,
    things_of_every_type, users,
};

fn every_type_arrives_and_comes_back(kind: Kind) {
    let database = Database::new(kind);
    let options = || options(vec![plan("things", WriteDisposition::Append, &[])]);
    database.run(options(), vec![batch("s1", vec![things_of_every_type()])]);
    let expected = || {
        let (_, columns) = every_type();
        let typed = columns.into_iter().map(|column| (column.name, Some(column.data_type), column.nullable));
        typed.chain([("_dlt_id".to_owned(), Some(DataType::Text), false)]).collect::<Vec<_>>()
    };
    assert_eq!(database.types("things"), expected());
    // The second run declares nothing: the types are those of the final table.
    let mut again = things_of_every_type();
    again.new_columns.clear();
    database.run(options(), vec![batch("s2", vec![again])]);
    assert_eq!(database.types("things"), expected());
    // SQLite has neither booleans nor zones.
    let (yes, zone) = if kind == Kind::Sqlite { ("1", "") } else { ("true", "Z") };
    let row = format!(
        "a|naïve 'quoted' \"日本\"|9223372036854775807|-0.5|{yes}|2023-11-14T22:13:20.123456{zone}|1.500000001|{{\"a\": [1, null]}}\
         |2023-11-14T22:13:20.123456|1969-12-31|23:59:59.999999|00ff27"
    );
    let (row, nothing) = (row.as_str(), "b|-|-|-|-|-|-|-|-|-|-|-");
    let columns: Vec<_> = every_type().1.into_iter().map(|column| format!("\"{}\"", column.name)).collect();
    let columns = columns.join(", ");
    assert_eq!(
        database.rows(&format!("SELECT _dlt_id, {columns} FROM data.things ORDER BY _dlt_id")),
        [row, row, nothing, nothing]
    );
    let element = match kind {
        Kind::Postgres => "json->'a'->>0",
        Kind::DuckDb | Kind::Sqlite => "json->>'$.a[0]'",
    };
    assert_eq!(database.rows(&format!("SELECT {element} FROM data.things WHERE json IS NOT NULL")), ["1", "1"]);
}

fn later_batches_and_runs_may_bring_columns_and_leave_columns_out(kind: Kind) {
    let database = Database::new(kind);
    let options = || options(vec![plan("things", merge(), &["id"])]);
    let (mut loader, _) = database.begin(options());
    let mut first = table("things", None, vec![("id", bigint(&[1])), ("_dlt_id", text(&[Some("a")]))]);
    // Declared, but not filled yet; and not in the order of the rows.
    first.new_columns = vec![
        column("_dlt_id", DataType::Text, false),
        column("id", DataType::Bigint, false),
        column("later", DataType::Double, true),
    ];
    loader.stage(batch("s1", vec![first])).unwrap();
    let mut second =
        table("things", None, vec![("x", text(&[Some("x2")])), ("_dlt_id", text(&[Some("b")])), ("id", bigint(&[2]))]);
    second.new_columns = vec![column("x", DataType::Text, false)];
    loader.stage(batch("s2", vec![second])).unwrap();
    loader.commit().unwrap();
    // A column that is added after a commit.
    let mut third =
        table("things", None, vec![("id", bigint(&[3])), ("y", text(&[Some("[3]")])), ("_dlt_id", text(&[Some("c")]))]);
    third.new_columns = vec![column("y", DataType::Json, false)];
    loader.stage(batch("s3", vec![third])).unwrap();
    loader.publish("done").unwrap();
    let named = |name: &str, data_type, nullable| (name.to_owned(), Some(data_type), nullable);
    assert_eq!(
        database.types("things"),
        [
            named("_dlt_id", DataType::Text, false),
            named("id", DataType::Bigint, false),
            named("later", DataType::Double, true),
            named("x", DataType::Text, true),
            named("y", DataType::Json, true),
        ]
    );
    let rows = "SELECT id, later, x, y FROM data.things ORDER BY id";
    assert_eq!(database.rows(rows), ["1|-|-|-", "2|-|x2|-", "3|-|-|[3]"]);

    let mut fourth =
        table("things", None, vec![("z", bigint(&[9])), ("id", bigint(&[3])), ("_dlt_id", text(&[Some("d")]))]);
    fourth.new_columns = vec![column("z", DataType::Bigint, false)];
    database.run(options(), vec![batch("s4", vec![fourth])]);
    // A row is replaced as a whole.
    assert_eq!(
        database.rows("SELECT id, later, x, y, z FROM data.things ORDER BY id"),
        ["1|-|-|-|-", "2|-|x2|-|-", "3|-|-|-|9"]
    );
}

/// DuckDB gets by itself what so many columns need.
#[test]
fn a_table_may_have_many_columns() {
    const ROWS: i64 = 30_000;
    let database = Database::new(Kind::DuckDb);
    let options = || options(vec![plan("things", merge(), &["id"])]);
    let names: Vec<_> = (0..200).map(|nth| format!("c{nth}")).collect();
    let delivery = |first: i64| {
        let ids: Vec<_> = (first..first + ROWS).collect();
        let values = texts(ids.iter().map(|id| format!("a text of some length {}", id * 7919 % 9973)));
        let mut columns = vec![("id", bigint(&ids)), ("_dlt_id", texts(ids.iter().map(i64::to_string)))];
        columns.extend(names.iter().map(|name| (name.as_str(), Arc::clone(&values))));
        batch("s", vec![table("things", None, columns)])
    };
    for (first, total) in [(0, ROWS), (ROWS / 2, ROWS + ROWS / 2)] {
        let (mut loader, _) = database.begin(options());
        loader.stage(delivery(first)).unwrap();
        loader.commit().unwrap();
        assert_eq!(loader.publish("done").unwrap().tables[0].total, u64::try_from(total).unwrap());
    }
}

fn any_text_can_be_a_name(kind: Kind) {
    let database = Database::new(kind);
    let odd = r#"o"dd'; DROP SCHEMA data; -- 日本 . "x""#;
    let mut options = options(vec![plan(odd, merge(), &["id", odd])]);
    options.pipeline = "it's".to_owned();
    options.dataset = r#"da"ta"#.to_owned();
    let delivery = || {
        let mut rows = users(odd, &[1], odd);
        let root = vec![("id", bigint(&[1])), (odd, text(&[Some(odd)])), ("_dlt_id", text(&[Some(odd)]))];
        rows.tables[0].rows = table("users", None, root).rows;
        rows.tables[0].table = odd.to_owned();
        rows.tables[1].table = format!("{odd}__tags");
        rows.tables[1].parent = Some(odd.to_owned());
        rows.tables.iter_mut().for_each(|rows| rows.resource = odd.to_owned());
        rows
    };
    database.run(options.clone(), vec![delivery()]);
    let published = database.run(options, vec![delivery()]);
    assert_eq!((published.tables[0].total, published.tables[0].deleted), (1, 1));
    let state = database.qualified(r#"da"ta"#, "_spile_state");
    assert_eq!(database.rows(&format!("SELECT pipeline_name, run FROM {state}")), ["it's|2"]);
    let (column, table) = (odd.replace('"', "\"\""), database.qualified(r#"da"ta"#, odd));
    assert_eq!(database.rows(&format!(r#"SELECT "{column}" FROM {table}"#)), [odd]);
}

#[test]
fn the_file_and_the_dataset_may_have_one_name() {
    let mut database = Database::new(Kind::DuckDb);
    database.path = database.directory.path().join("data.duckdb");
    database.run(merge_users(), vec![users("s", &[1, 2], "a")]);
    let published = database.run(merge_users(), vec![users("s", &[2], "b")]);
    assert_eq!((published.tables[0].total, published.tables[1].total), (2, 4));
    assert_eq!(database.rows("SELECT name FROM data.data.users ORDER BY id"), ["a", "b"]);
}

fn a_row_without_its_key_is_refused_with_its_batch(kind: Kind) {
    let database = Database::new(kind);
    let (mut loader, _) = database.begin(merge_users());
    loader.stage(users("s1", &[1], "a")).unwrap();
    let null = table(
        "users",
        None,
        vec![("id", Arc::new(Int64Array::from(vec![Some(2), None])) as _), ("_dlt_id", text(&[Some("x"), Some("y")]))],
    );
    let absent = table("users", None, vec![("_dlt_id", text(&[Some("x")]))]);
    for rows in [null, absent] {
        let error = loader.stage(batch("s2", vec![rows])).unwrap_err();
        assert_eq!(error.class, Class::Source);
        assert_eq!(error.message, "a row of the table `users` has no value in its key column `id`");
    }
    loader.commit().unwrap();
    assert_eq!(database.rows("SELECT staged_state FROM data._spile_state"), ["s1"]);
    assert_eq!(database.rows("SELECT id FROM data_staging.users"), ["1"]);
}

fn a_batch_that_contradicts_itself_is_refused(kind: Kind) {
    let database = Database::new(kind);
    let (mut loader, _) = database.begin(merge_users());
    loader.stage(users("s1", &[1], "a")).unwrap();
    let id = || ("id", bigint(&[2]));
    let reserved = |name: &str| {
        let mut rows = table("users", None, vec![id()]);
        (rows.table, rows.parent) = (name.to_owned(), Some("users".to_owned()));
        rows
    };
    let mut undeclared = table("users", None, vec![id(), ("n", bigint(&[1]))]);
    undeclared.new_columns = vec![column("n", DataType::Text, true)];
    let mut stray = table("users", None, vec![id()]);
    stray.resource = "others".to_owned();
    for (rows, part) in [
        (table("users", None, vec![id(), ("name", bigint(&[1]))]), "values of type Int64 for a column of type Utf8"),
        (table("users", None, vec![id(), ("n", Arc::new(Int32Array::from(vec![1])))]), "the unknown type Int32"),
        (undeclared, "values of type Int64 for a column of type Utf8"),
        (table("users", None, vec![id(), ("_spile_seq", bigint(&[1]))]), "a column with an unusable name"),
        (table("users", None, vec![id(), id()]), "a column twice"),
        (stray, "a resource that this run does not deliver"),
        (table("users__x", None, vec![id()]), "rows without a parent for another table than `users`"),
        (table("users__x__y", Some("users__x"), vec![id()]), "the unknown table `users__x`"),
        (table("users", Some("users"), vec![id()]), "child rows for a root table"),
        (reserved("_spile_state"), "names that begin with `_dlt_` or `_spile_` are reserved"),
        (reserved("_DLT_loads"), "names that begin with `_dlt_` or `_spile_` are reserved"),
    ] {
        let error = loader.stage(batch("s2", vec![rows])).unwrap_err();
        assert_eq!(error.class, Class::Internal, "{error}");
        assert!(error.message.contains(part), "{error}");
    }
    let published = loader.publish("done").unwrap();
    assert_eq!(published.tables[0].total, 1);
}

fn options_that_cannot_be_right_are_refused(kind: Kind) {
    let database = Database::new(kind);
    let two = options(vec![plan("t", merge(), &["id"]), plan("t", WriteDisposition::Append, &["id"])]);
    let reserved = options(vec![plan("_dlt_loads", WriteDisposition::Append, &[])]);
    let nameless = Options { dataset: String::new(), ..merge_users() };
    for (options, part) in [(two, "in different ways"), (reserved, "reserved"), (nameless, "name of a dataset")] {
        let error = Loader::begin(&database.target(), options).err().unwrap();
        assert_eq!(error.class, Class::Config);
        assert!(error.message.contains(part), "{error}");
    }
    assert!(!database.path.exists());
}

crate::on_every_database!(
    every_type_arrives_and_comes_back,
    later_batches_and_runs_may_bring_columns_and_leave_columns_out,
    any_text_can_be_a_name,
    a_row_without_its_key_is_refused_with_its_batch,
    a_batch_that_contradicts_itself_is_refused,
    options_that_cannot_be_right_are_refused,
);
