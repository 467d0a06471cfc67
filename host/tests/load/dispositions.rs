//! How staged rows meet the rows that are there.

use spile_host::{
    destination::Tables,
    load::{PublishedTable, WriteDisposition},
};

use crate::rows::{Database, Kind, batch, bigint, merge, merge_users, options, plan, table, text, texts, users};

fn counts(table: &PublishedTable) -> (&str, u64, u64, u64) {
    (&table.table, table.inserted, table.deleted, table.total)
}

fn the_first_run_creates_the_tables(kind: Kind) {
    let database = Database::new(kind);
    let mut options = merge_users();
    options.resources.push(plan("unseen", merge(), &["id"]));
    let mut delivery = users("s1", &[1, 2], "first");
    delivery.schema = Some("{\"version\":1}".to_owned());
    let published = database.run(options, vec![delivery]);

    assert_eq!(published.tables.iter().map(counts).collect::<Vec<_>>(), [("users", 2, 0, 2), ("users__tags", 4, 0, 4)]);
    assert_eq!(published.tables[1].parent.as_deref(), Some("users"));
    assert_eq!(published.warnings, Vec::<String>::new());
    assert_eq!(
        database.rows("SELECT id, name, _dlt_id FROM data.users ORDER BY id"),
        ["1|first|first-1", "2|first|first-2"]
    );
    assert_eq!(
        database.rows("SELECT load_id, schema_name, status, schema_version_hash FROM data._dlt_loads"),
        // SHA3-256 of the schema text.
        [format!("{}|people|0|{}", published.load_id, "GwBWuclzqtnOUpM3MiH2krwThmajHzYM+HkZPd4X2/o=")]
    );
    let hour = if kind == Kind::Sqlite {
        "strftime('%Y-%m-%dT%H', 'now', '-1 hour')"
    } else {
        "CURRENT_TIMESTAMP - INTERVAL '1 hour'"
    };
    assert_eq!(database.rows(&format!("SELECT count(*) FROM data._dlt_loads WHERE inserted_at > {hour}")), ["1"]);
    assert_eq!(
        database.rows("SELECT status, state, schema, staged_state, staged_schema, run FROM data._spile_state"),
        [r#"done|done|{"version":1}|-|-|1"#]
    );
    assert_eq!(database.tables(Tables::Staged("data")), Vec::<String>::new());
}

fn merge_puts_each_row_in_the_place_of_the_row_with_its_key(kind: Kind) {
    let database = Database::new(kind);
    let first = database.run(merge_users(), vec![users("s1", &[1, 2, 3], "first")]);
    let second = database.run(merge_users(), vec![users("s2", &[2, 3, 4], "second")]);

    assert_eq!(second.tables.iter().map(counts).collect::<Vec<_>>(), [("users", 3, 2, 4), ("users__tags", 6, 4, 8)]);
    assert_eq!(
        database.rows("SELECT id, name FROM data.users ORDER BY id"),
        ["1|first", "2|second", "3|second", "4|second"]
    );
    assert_eq!(
        database.rows("SELECT value FROM data.users__tags ORDER BY value"),
        ["first-1-0", "first-1-1", "second-2-0", "second-2-1", "second-3-0", "second-3-1", "second-4-0", "second-4-1"]
    );
    assert!(second.load_id > first.load_id);
    assert_eq!(database.rows("SELECT count(*) FROM data._dlt_loads"), ["2"]);
}

fn of_two_rows_with_one_key_the_later_one_stays(kind: Kind) {
    let database = Database::new(kind);
    let (mut loader, _) = database.begin(merge_users());
    loader.stage(users("s1", &[1, 2, 1], "a")).unwrap();
    loader.stage(users("s2", &[2], "b")).unwrap();
    loader.commit().unwrap();
    loader.stage(users("s3", &[1], "c")).unwrap();
    loader.publish("done").unwrap();
    assert_eq!(database.rows("SELECT id, name FROM data.users ORDER BY id"), ["1|c", "2|b"]);
    assert_eq!(
        database.rows("SELECT value FROM data.users__tags ORDER BY value"),
        ["b-2-0", "b-2-1", "c-1-0", "c-1-1"]
    );
}

fn a_record_that_comes_twice_with_its_own_row_id_keeps_its_children_once(kind: Kind) {
    let database = Database::new(kind);
    database.run(merge_users(), vec![users("s1", &[1], "same"), users("s2", &[1], "same")]);
    assert_eq!(database.rows("SELECT value FROM data.users__tags ORDER BY value"), ["same-1-0", "same-1-1"]);
}

fn a_key_may_have_several_columns(kind: Kind) {
    let database = Database::new(kind);
    let delivery = |name: &str| {
        let columns = vec![
            ("app", text(&[Some("a"), Some("a"), Some("b")])),
            ("id", bigint(&[1, 2, 1])),
            ("name", texts((0..3).map(|_| name.to_owned()))),
            ("_dlt_id", texts((0..3).map(|row| format!("{name}-{row}")))),
        ];
        batch("s", vec![table("versions", None, columns)])
    };
    let options = || options(vec![plan("versions", merge(), &["app", "id"])]);
    database.run(options(), vec![delivery("first")]);
    let published = database.run(options(), vec![delivery("second")]);
    assert_eq!(published.tables.iter().map(counts).collect::<Vec<_>>(), [("versions", 3, 3, 3)]);
    assert_eq!(database.rows("SELECT DISTINCT name FROM data.versions"), ["second"]);
}

fn merge_without_a_key_appends_and_says_so(kind: Kind) {
    let database = Database::new(kind);
    let options = || options(vec![plan("users", merge(), &[])]);
    database.run(options(), vec![users("s", &[1], "a")]);
    let published = database.run(options(), vec![users("s", &[1], "b")]);
    assert_eq!(published.tables.iter().map(counts).collect::<Vec<_>>(), [("users", 1, 0, 2), ("users__tags", 2, 0, 4)]);
    assert!(published.warnings[0].contains("`users` merges without a key"), "{:?}", published.warnings);
}

fn append_adds_all_rows(kind: Kind) {
    let database = Database::new(kind);
    let options = || options(vec![plan("users", WriteDisposition::Append, &["id"])]);
    database.run(options(), vec![users("s", &[1, 2], "a")]);
    let published = database.run(options(), vec![users("s", &[2], "b")]);
    assert_eq!(published.tables.iter().map(counts).collect::<Vec<_>>(), [("users", 1, 0, 3), ("users__tags", 2, 0, 6)]);
}

fn replace_empties_child_tables_and_resources_without_rows_too(kind: Kind) {
    let database = Database::new(kind);
    let options = || options(vec![plan("users", WriteDisposition::Replace, &[])]);
    database.run(options(), vec![users("s", &[1, 2], "a")]);

    let mut only_root = users("s", &[3], "b");
    only_root.tables.truncate(1);
    let published = database.run(options(), vec![only_root]);
    assert_eq!(published.tables.iter().map(counts).collect::<Vec<_>>(), [("users", 1, 2, 1), ("users__tags", 0, 4, 0)]);

    let published = database.run(options(), Vec::new());
    assert_eq!(published.tables.iter().map(counts).collect::<Vec<_>>(), [("users", 0, 1, 0), ("users__tags", 0, 0, 0)]);
}

fn a_run_without_rows_leaves_merged_tables_alone_and_lists_them(kind: Kind) {
    let database = Database::new(kind);
    database.run(merge_users(), vec![users("s", &[1], "a")]);
    let published = database.run(merge_users(), Vec::new());
    assert_eq!(published.tables.iter().map(counts).collect::<Vec<_>>(), [("users", 0, 0, 1), ("users__tags", 0, 0, 2)]);
}

fn children_from_a_time_without_merge_leave_with_their_root_row(kind: Kind) {
    let database = Database::new(kind);
    let mut old = users("s", &[1, 2], "old");
    for rows in &mut old.tables {
        let keep: Vec<_> = (0..rows.rows.num_columns())
            .filter(|&index| rows.rows.schema().field(index).name() != "_dlt_root_id")
            .collect();
        rows.rows = rows.rows.project(&keep).unwrap();
    }
    // A grandchild, whose root is found through its parent.
    old.tables.push(table(
        "users__tags__marks",
        Some("users__tags"),
        vec![
            ("value", text(&[Some("x"), Some("y")])),
            ("_dlt_id", text(&[Some("m1"), Some("m2")])),
            ("_dlt_parent_id", text(&[Some("old-1_0"), Some("old-2_1")])),
            ("_dlt_list_idx", bigint(&[0, 0])),
        ],
    ));
    database.run(options(vec![plan("users", WriteDisposition::Append, &[])]), vec![batch("s", old.tables)]);

    let mut options = merge_users();
    options.digest = "digest-2".to_owned();
    let published = database.run(options, vec![users("s", &[1], "new")]);
    assert_eq!(
        published.tables.iter().map(counts).collect::<Vec<_>>(),
        [("users", 1, 1, 2), ("users__tags", 2, 2, 4), ("users__tags__marks", 0, 1, 1)]
    );
    assert_eq!(database.rows("SELECT value, _dlt_root_id FROM data.users__tags__marks"), ["y|old-2"]);
}

fn two_resources_may_share_a_table(kind: Kind) {
    let database = Database::new(kind);
    let mut other = plan("users", WriteDisposition::Replace, &[]);
    other.resource = "admins".to_owned();
    let options = || options(vec![plan("users", WriteDisposition::Replace, &[]), other.clone()]);
    let both = || {
        let mut admins = users("s", &[2], "admin");
        admins.tables.iter_mut().for_each(|rows| rows.resource = "admins".to_owned());
        vec![users("s", &[1], "user"), admins]
    };
    database.run(options(), both());
    let published = database.run(options(), both());
    assert_eq!(published.tables.iter().map(counts).collect::<Vec<_>>(), [("users", 2, 2, 2), ("users__tags", 4, 4, 4)]);
}

crate::on_every_database!(
    the_first_run_creates_the_tables,
    merge_puts_each_row_in_the_place_of_the_row_with_its_key,
    of_two_rows_with_one_key_the_later_one_stays,
    a_record_that_comes_twice_with_its_own_row_id_keeps_its_children_once,
    a_key_may_have_several_columns,
    merge_without_a_key_appends_and_says_so,
    append_adds_all_rows,
    replace_empties_child_tables_and_resources_without_rows_too,
    a_run_without_rows_leaves_merged_tables_alone_and_lists_them,
    children_from_a_time_without_merge_leave_with_their_root_row,
    two_resources_may_share_a_table,
);
