//! Names and characters that one database takes and another does not.

use spile_host::{
    Class,
    changes::ChangeKind,
    destination::DataType,
    load::{Duplicates, Loader, Merge, Options, WriteDisposition},
};

use crate::rows::{Database, Kind, batch, bigint, column, merge_users, options, plan, table, text, texts, users};

/// A table, a key and an order with names of 70 and more bytes, and a child table.
fn long_names_are_shortened_where_they_must_be_and_stay_apart(kind: Kind) {
    let long = |end: &str| format!("{}_{end}", "long".repeat(17));
    let (root, key, version, other) = (long("things"), long("key"), long("version"), long("yek"));
    let child = format!("{root}__tags");
    let database = Database::new(kind);
    let duplicates = Duplicates::KeepLargest(version.clone());
    let merge = WriteDisposition::Merge(Merge { duplicates, ..Merge::default() });
    let options = || {
        let mut plan = plan(&root, merge.clone(), &[&key]);
        plan.resource = "things".to_owned();
        options(vec![plan])
    };
    let delivery = |rows: &[(i64, i64)], name: &str| {
        let ids = || texts(rows.iter().map(|(id, version)| format!("{name}-{id}-{version}")));
        let columns = vec![
            (key.as_str(), bigint(&rows.iter().map(|(id, _)| *id).collect::<Vec<_>>())),
            (version.as_str(), bigint(&rows.iter().map(|(_, version)| *version).collect::<Vec<_>>())),
            (other.as_str(), texts(rows.iter().map(|_| name.to_owned()))),
            ("_dlt_id", ids()),
        ];
        let mut things = table(&root, None, columns);
        things.new_columns = vec![column(&key, DataType::Bigint, false)];
        let tags =
            vec![(other.as_str(), ids()), ("_dlt_id", ids()), ("_dlt_parent_id", ids()), ("_dlt_root_id", ids())];
        let mut tags = table(&child, Some(&root), tags);
        things.resource = "things".to_owned();
        tags.resource = "things".to_owned();
        batch("s", vec![things, tags])
    };
    database.run(options(), vec![delivery(&[(1, 1), (2, 1), (2, 3)], "a")]);
    let published = database.run(options(), vec![delivery(&[(2, 2), (1, 5)], "b")]);
    let counts = |nth: usize| {
        let table = &published.tables[nth];
        [table.inserted, table.deleted, table.duplicates, table.total]
    };
    assert_eq!((counts(0), counts(1)), ([1, 1, 1, 2], [1, 1, 1, 2]));

    let tables = database.tables("data");
    let tables: Vec<_> = tables.iter().filter(|name| !name.starts_with('_')).collect();
    let columns: Vec<_> = database.types(&published.tables[0].table).into_iter().map(|(name, ..)| name).collect();
    assert_eq!((tables.len(), columns.len()), (2, 4));
    let is_whole = kind != Kind::Postgres;
    assert_eq!(tables.contains(&&root) && columns.contains(&key), is_whole, "{tables:?} {columns:?}");
    if !is_whole {
        assert!(columns.iter().filter(|name| name.starts_with("longlong")).all(|name| name.len() == 63), "{columns:?}");
    }
    let name = database.qualified("data", &published.tables[0].table);
    let rows = database.rows(&format!("SELECT * FROM {name} ORDER BY 1"));
    assert_eq!(rows, ["1|5|b|b-1-5", "2|3|a|a-2-3"]);
}

fn a_dataset_with_a_name_that_is_too_long_is_refused(kind: Kind) {
    let database = Database::new(kind);
    let options = Options { dataset: "d".repeat(60), ..merge_users() };
    if kind == Kind::Postgres {
        let error = Loader::begin(&database.target(), options).err().unwrap();
        assert_eq!(
            (error.class, error.message.as_str()),
            (Class::Config, "the name of the dataset is too long for PostgreSQL")
        );
        assert!(error.advice.unwrap().contains("at most 55 bytes"));
    } else {
        let published = database.run(options, vec![users("s", &[1], "a")]);
        assert_eq!(published.tables[0].total, 1);
    }
}

fn characters_that_cannot_be_stored_are_replaced_and_told(kind: Kind) {
    let database = Database::new(kind);
    let mut rows = table(
        "things",
        None,
        vec![
            ("name", text(&[Some("a\0b"), Some("c")])),
            ("extra", text(&[Some(r#"{"x": "\u0000", "y": "\ud800", "z": "\\u0000"}"#), None])),
            ("_dlt_id", text(&[Some("1"), Some("2")])),
        ],
    );
    rows.new_columns = vec![column("extra", DataType::Json, true)];
    let published =
        database.run(options(vec![plan("things", WriteDisposition::Append, &[])]), vec![batch("s", vec![rows])]);
    let told: Vec<_> = published
        .changes
        .list()
        .iter()
        .map(|change| (change.column.clone().unwrap(), change.kind, change.count))
        .collect();
    let names = database.rows("SELECT name FROM data.things ORDER BY _dlt_id");
    if kind == Kind::Postgres {
        let of = |column: &str| (column.to_owned(), ChangeKind::Coerced, 1);
        assert_eq!(told, [of("extra"), of("name")]);
        assert_eq!(names, ["a\u{fffd}b", "c"]);
        let parts =
            database.rows("SELECT extra->>'x', extra->>'y', extra->>'z' FROM data.things WHERE extra IS NOT NULL");
        assert_eq!(parts, ["\u{fffd}|\u{fffd}|\\u0000"]);
    } else {
        assert_eq!(told, Vec::new());
        assert_eq!(names, ["a\0b", "c"]);
    }
}

crate::on_every_database!(
    long_names_are_shortened_where_they_must_be_and_stay_apart,
    a_dataset_with_a_name_that_is_too_long_is_refused,
    characters_that_cannot_be_stored_are_replaced_and_told,
);
