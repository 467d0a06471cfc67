//! Strategies of merge: what is counted, and that each is carried out as a whole or not at all.

use arrow_array::{ArrayRef, BooleanArray};
use spile_host::{
    Class,
    destination::Tables,
    load::{Batch, Duplicates, Loader, Merge, Options, PublishedTable, Scd2, Strategy, WriteDisposition},
};
use std::sync::Arc;

use crate::rows::{Database, Kind, batch, bigint, options, plan, table, text, texts, users};

/// Inserted, deleted, left out as duplicates, there now.
fn counts(table: &PublishedTable) -> (&str, [u64; 4]) {
    (&table.table, [table.inserted, table.deleted, table.duplicates, table.total])
}

fn by(strategy: Strategy) -> Merge {
    Merge { strategy, ..Merge::default() }
}

fn merged(merge: &Merge, key: &[&str]) -> Options {
    options(vec![plan("users", WriteDisposition::Merge(merge.clone()), key)])
}

/// Users with a version and a flag, and one tag each.
fn versions(name: &str, rows: &[(i64, i64, bool)]) -> Batch {
    let ids = || rows.iter().enumerate().map(|(nth, (id, ..))| format!("{name}-{id}-{nth}"));
    let flags: ArrayRef = Arc::new(BooleanArray::from_iter(rows.iter().map(|(.., flag)| Some(*flag))));
    let users = table(
        "users",
        None,
        vec![
            ("id", bigint(&rows.iter().map(|(id, ..)| *id).collect::<Vec<_>>())),
            ("version", bigint(&rows.iter().map(|(_, version, _)| *version).collect::<Vec<_>>())),
            ("gone", flags),
            ("_dlt_id", texts(ids())),
        ],
    );
    let tags = table(
        "users__tags",
        Some("users"),
        vec![
            ("value", texts(rows.iter().map(|(id, version, _)| format!("{id}.{version}")))),
            ("_dlt_id", texts(ids().map(|id| format!("{id}_0")))),
            ("_dlt_parent_id", texts(ids())),
            ("_dlt_root_id", texts(ids())),
        ],
    );
    batch(name, vec![users, tags])
}

const VERSIONS: &str = "SELECT id, version FROM data.users ORDER BY id";
const TAGS: &str = "SELECT value FROM data.users__tags ORDER BY value";

fn upsert_puts_rows_in_place_and_counts_what_it_left_out(kind: Kind) {
    let database = Database::new(kind);
    let merge = by(Strategy::Upsert);
    database.run(merged(&merge, &["id"]), vec![versions("a", &[(1, 1, false), (2, 1, false)])]);
    let published =
        database.run(merged(&merge, &["id"]), vec![versions("b", &[(2, 2, false), (3, 2, false), (2, 3, false)])]);
    let expected = [("users", [2, 1, 1, 3]), ("users__tags", [2, 1, 1, 3])];
    assert_eq!(published.tables.iter().map(counts).collect::<Vec<_>>(), expected);
    assert_eq!(database.rows(VERSIONS), ["1|1", "2|3", "3|2"]);
    assert_eq!(database.rows(TAGS), ["1.1", "2.3", "3.2"]);
}

fn insert_only_leaves_what_is_there(kind: Kind) {
    let database = Database::new(kind);
    let merge = by(Strategy::InsertOnly);
    database.run(merged(&merge, &["id"]), vec![versions("a", &[(1, 1, false)])]);
    let published =
        database.run(merged(&merge, &["id"]), vec![versions("b", &[(1, 2, false), (2, 1, false), (2, 2, false)])]);
    let expected = [("users", [1, 0, 1, 2]), ("users__tags", [1, 0, 1, 2])];
    assert_eq!(published.tables.iter().map(counts).collect::<Vec<_>>(), expected);
    assert_eq!(database.rows(VERSIONS), ["1|1", "2|2"]);
    assert_eq!(database.rows(TAGS), ["1.1", "2.2"]);
}

fn a_merge_key_replaces_rows_together_and_keeps_all_new_ones(kind: Kind) {
    let database = Database::new(kind);
    let merge = by(Strategy::DeleteInsert { merge_key: vec!["version".to_owned()] });
    database.run(merged(&merge, &[]), vec![versions("a", &[(1, 1, false), (2, 1, false), (3, 2, false)])]);
    let published = database.run(merged(&merge, &[]), vec![versions("b", &[(4, 1, false), (4, 1, false)])]);
    let expected = [("users", [2, 2, 0, 3]), ("users__tags", [2, 2, 0, 3])];
    assert_eq!(published.tables.iter().map(counts).collect::<Vec<_>>(), expected);
    assert_eq!(database.rows(VERSIONS), ["3|2", "4|1", "4|1"]);
    assert_eq!(published.warnings, Vec::<String>::new());
}

fn deduplicated_rows_are_all_kept(kind: Kind) {
    let database = Database::new(kind);
    let merge = Merge { duplicates: Duplicates::KeepAll, ..Merge::default() };
    let published = database.run(merged(&merge, &["id"]), vec![versions("a", &[(1, 1, false), (1, 2, false)])]);
    assert_eq!(
        published.tables.iter().map(counts).collect::<Vec<_>>(),
        [("users", [2, 0, 0, 2]), ("users__tags", [2, 0, 0, 2])]
    );
}

/// Of equal ones the last one staged, over commits and a resumed run.
fn of_several_rows_the_first_in_the_order_counts_and_of_equal_ones_the_last(kind: Kind) {
    for (duplicates, expected) in [
        (Duplicates::KeepLargest("version".to_owned()), ["1|9", "2|5"]),
        (Duplicates::KeepSmallest("version".to_owned()), ["1|3", "2|5"]),
    ] {
        let database = Database::new(kind);
        let merge = Merge { duplicates, ..Merge::default() };
        let (mut loader, _) = database.begin(merged(&merge, &["id"]));
        loader.stage(versions("a", &[(1, 9, false), (1, 3, false), (2, 5, false)])).unwrap();
        loader.commit().unwrap();
        drop(loader);
        let (mut loader, _) = database.begin(merged(&merge, &["id"]));
        loader.stage(versions("b", &[(1, 4, false), (2, 5, false), (1, 9, false), (1, 3, false)])).unwrap();
        let published = loader.publish("end").unwrap();
        assert_eq!(published.tables.iter().map(counts).next(), Some(("users", [2, 0, 5, 2])));
        assert_eq!(database.rows(VERSIONS), expected);
        assert_eq!(database.rows("SELECT DISTINCT substr(_dlt_id, 1, 1) FROM data.users"), ["b"]);
    }
}

fn a_row_that_comes_before_the_stored_one_is_left_out(kind: Kind) {
    for strategy in [Strategy::DeleteInsert { merge_key: Vec::new() }, Strategy::Upsert] {
        let database = Database::new(kind);
        let duplicates = Duplicates::KeepLargest("version".to_owned());
        let merge = Merge { strategy, duplicates, hard_delete: Some("gone".to_owned()) };
        database.run(merged(&merge, &["id"]), vec![versions("a", &[(1, 5, false), (2, 5, false), (3, 5, false)])]);
        // An older deletion deletes nothing; an equal one does.
        let published = database.run(
            merged(&merge, &["id"]),
            vec![versions("b", &[(1, 4, true), (2, 5, true), (3, 4, false), (3, 6, false)])],
        );
        let expected = [("users", [1, 2, 2, 2]), ("users__tags", [1, 2, 2, 2])];
        assert_eq!(published.tables.iter().map(counts).collect::<Vec<_>>(), expected);
        assert_eq!(database.rows(VERSIONS), ["1|5", "3|6"]);
        assert_eq!(database.rows(TAGS), ["1.5", "3.6"]);
    }
}

fn rows_that_are_marked_delete_and_stay_away(kind: Kind) {
    for strategy in [Strategy::DeleteInsert { merge_key: Vec::new() }, Strategy::Upsert] {
        let database = Database::new(kind);
        let merge = Merge { strategy, hard_delete: Some("gone".to_owned()), ..Merge::default() };
        database.run(merged(&merge, &["id"]), vec![versions("a", &[(1, 1, false), (2, 1, false), (3, 1, true)])]);
        let published =
            database.run(merged(&merge, &["id"]), vec![versions("b", &[(1, 2, true), (4, 2, true), (5, 2, false)])]);
        let expected = [("users", [1, 1, 0, 2]), ("users__tags", [1, 1, 0, 2])];
        assert_eq!(published.tables.iter().map(counts).collect::<Vec<_>>(), expected);
        assert_eq!(database.rows(VERSIONS), ["2|1", "5|2"]);
        assert_eq!(database.rows(TAGS), ["2.1", "5.2"]);
    }
}

/// Two records with the same id, of which the first has children and the second has none.
fn children_go_with_their_own_record_where_two_have_one_id(kind: Kind) {
    let database = Database::new(kind);
    let root = table("users", None, vec![("id", bigint(&[1, 1])), ("_dlt_id", text(&[Some("same"), Some("same")]))]);
    let child = |name: &str, roots: Vec<u32>| {
        let ids = roots.iter().enumerate().map(|(nth, root)| format!("{name}{root}{nth}"));
        let mut child = table(
            "users__tags",
            Some("users"),
            vec![
                ("_dlt_id", texts(ids)),
                ("_dlt_parent_id", texts(roots.iter().map(|_| "same".to_owned()))),
                ("_dlt_root_id", texts(roots.iter().map(|_| "same".to_owned()))),
            ],
        );
        child.roots = roots;
        child
    };
    let run = |name, roots| {
        let tables = vec![root.clone(), child(name, roots)];
        let delivery = Batch { tables, state: "s".to_owned(), schema: None, changes: Vec::new() };
        database.run(merged(&by(Strategy::Upsert), &["id"]), vec![delivery])
    };
    let ids = "SELECT _dlt_id FROM data.users__tags ORDER BY 1";
    run("a", vec![0, 0]);
    assert_eq!(database.rows(ids), Vec::<String>::new());
    let published = run("b", vec![0, 1, 1]);
    assert_eq!(published.tables.iter().map(counts).next_back(), Some(("users__tags", [2, 0, 1, 2])));
    assert_eq!(database.rows(ids), ["b11", "b12"]);
}

fn child_rows_must_name_a_root_row(kind: Kind) {
    for wrong in [vec![], vec![0], vec![0, 0, 0, 2]] {
        let database = Database::new(kind);
        let (mut loader, _) = database.begin(merged(&Merge::default(), &["id"]));
        let mut delivery = users("s", &[1, 2], "a");
        delivery.tables[1].roots = wrong;
        let error = loader.stage(delivery).unwrap_err();
        assert_eq!(error.class, Class::Internal);
        assert!(error.message.contains("which root rows they stem from"), "{error}");
    }
}

fn scd2(scd2: Scd2) -> Merge {
    by(Strategy::Scd2(scd2))
}

fn versions_end_and_begin_with_the_load_and_their_children_are_there_once(kind: Kind) {
    let database = Database::new(kind);
    let merge = scd2(Scd2::of_records());
    let run = |deliveries: Vec<Batch>| {
        let (mut loader, resumed) = database.begin(merged(&merge, &[]));
        for delivery in deliveries {
            loader.stage(delivery).unwrap();
        }
        (loader.publish("done").unwrap(), resumed.load_id)
    };
    let mut loads = Vec::new();
    for (ids, expected) in [
        // One record comes twice.
        (&[&[1, 2][..], &[1]][..], [2, 0, 1, 2]),
        (&[&[1]], [0, 0, 0, 2]),
        (&[&[1, 2]], [1, 0, 0, 3]),
    ] {
        let (published, load) = run(ids.iter().map(|ids| users("s", ids, "a")).collect());
        assert_eq!(published.tables.iter().map(counts).next(), Some(("users", expected)));
        loads.push(load);
    }
    // Nothing is delivered: nothing ends.
    run(Vec::new());
    let found = database.rows(&format!(
        "SELECT _dlt_id, {}, {} FROM data.users ORDER BY id, _dlt_valid_from",
        kind.micros("_dlt_valid_from"),
        kind.micros("_dlt_valid_to")
    ));
    let micros: Vec<_> = loads.iter().map(|load| load.replace('.', "")[..16].to_owned()).collect();
    assert_eq!(
        found,
        [format!("a-1|{}|-", micros[0]), format!("a-2|{}|{}", micros[0], micros[1]), format!("a-2|{}|-", micros[2]),]
    );
    assert_eq!(database.rows("SELECT count(*), count(DISTINCT _dlt_id) FROM data.users__tags"), ["4|4"]);
}

fn versions_may_have_instants_of_their_own(kind: Kind) {
    let database = Database::new(kind);
    let of = |boundary| Scd2 {
        valid_from: "since".to_owned(),
        valid_to: "until".to_owned(),
        active: Some(253_402_214_400_000_000),
        boundary: Some(boundary),
        ..Scd2::of_records()
    };
    database.run(merged(&scd2(of(1_000_000)), &[]), vec![users("s", &[1, 2], "a")]);
    database.run(merged(&scd2(of(2_000_000)), &[]), vec![users("s", &[1], "b"), users("s", &[2], "a")]);
    assert_eq!(
        database.rows(&format!(
            "SELECT _dlt_id, {}, {} FROM data.users ORDER BY id, since",
            kind.micros("since"),
            kind.micros("until")
        )),
        ["a-1|1000000|2000000", "b-1|2000000|253402214400000000", "a-2|1000000|253402214400000000"]
    );
}

/// Each strategy with the rows that it has after two runs.
fn strategies() -> Vec<(WriteDisposition, &'static [&'static str])> {
    let merge = |strategy| WriteDisposition::Merge(by(strategy));
    let together = Strategy::DeleteInsert { merge_key: vec!["name".to_owned()] };
    vec![
        (WriteDisposition::Append, &["1|old", "2|new", "2|old", "3|new"]),
        (WriteDisposition::Replace, &["2|new", "3|new"]),
        (WriteDisposition::Merge(Merge::default()), &["1|old", "2|new", "3|new"]),
        (merge(together), &["1|old", "2|new", "3|new"]),
        (merge(Strategy::Upsert), &["1|old", "2|new", "3|new"]),
        (merge(Strategy::InsertOnly), &["1|old", "2|old", "3|new"]),
        (merge(Strategy::Scd2(Scd2::of_records())), &["1|old", "2|new", "2|old", "3|new"]),
    ]
}

const NAMES: &str = "SELECT id, name FROM data.users ORDER BY id, name";

fn each_strategy_goes_on_after_an_interruption_between_staging_and_publishing(kind: Kind) {
    for (disposition, expected) in strategies() {
        let database = Database::new(kind);
        let options = || options(vec![plan("users", disposition.clone(), &["id"])]);
        database.run(options(), vec![users("s0", &[1, 2], "old")]);
        let (mut loader, first) = database.begin(options());
        loader.stage(users("s1", &[2, 3], "new")).unwrap();
        loader.commit().unwrap();
        drop(loader);
        assert_eq!(database.rows(NAMES), ["1|old", "2|old"], "{disposition:?}");

        let (loader, second) = database.begin(options());
        assert_eq!((&second.load_id, second.state.as_deref()), (&first.load_id, Some("s1")));
        loader.publish("end").unwrap();
        assert_eq!(database.rows(NAMES), expected, "{disposition:?}");
        let tags = (2 * expected.len()).to_string();
        assert_eq!(database.rows("SELECT count(*) FROM data.users__tags"), [tags], "{disposition:?}");
        assert_eq!(database.tables(Tables::Staged("data")), Vec::<String>::new());
    }
}

/// The rows of the child table, which are inserted last, are refused.
fn each_strategy_is_carried_out_as_a_whole_or_not_at_all(kind: Kind) {
    let everything = || {
        [
            "SELECT id, name, _dlt_id FROM data.users ORDER BY id, name",
            "SELECT value, _dlt_id, _dlt_parent_id, _dlt_root_id FROM data.users__tags ORDER BY value",
            "SELECT * FROM data._dlt_loads",
            "SELECT state FROM data._spile_state",
        ]
    };
    for (disposition, expected) in strategies() {
        let database = Database::new(kind);
        let options = || options(vec![plan("users", disposition.clone(), &["id"])]);
        database.run(options(), vec![users("s0", &[1, 2], "old")]);
        let (mut loader, _) = database.begin(options());
        database.refuse_tags();
        let before = everything().map(|sql| database.rows(sql));
        loader.stage(users("s1", &[2, 3], "new")).unwrap();
        let error = loader.publish("end").unwrap_err();
        assert_eq!(error.class, Class::Destination);
        assert_eq!(everything().map(|sql| database.rows(sql)), before, "{disposition:?}");
        assert_eq!(database.rows("SELECT count(*) FROM data_staging.users"), ["2"], "{disposition:?}");

        let (loader, _) = Loader::begin(&database.target(), options()).unwrap();
        database.accept_tags();
        loader.publish("end").unwrap();
        assert_eq!(database.rows(NAMES), expected, "{disposition:?}");
    }
}

crate::on_every_database!(
    upsert_puts_rows_in_place_and_counts_what_it_left_out,
    insert_only_leaves_what_is_there,
    a_merge_key_replaces_rows_together_and_keeps_all_new_ones,
    deduplicated_rows_are_all_kept,
    of_several_rows_the_first_in_the_order_counts_and_of_equal_ones_the_last,
    a_row_that_comes_before_the_stored_one_is_left_out,
    rows_that_are_marked_delete_and_stay_away,
    children_go_with_their_own_record_where_two_have_one_id,
    child_rows_must_name_a_root_row,
    versions_end_and_begin_with_the_load_and_their_children_are_there_once,
    versions_may_have_instants_of_their_own,
    each_strategy_goes_on_after_an_interruption_between_staging_and_publishing,
    each_strategy_is_carried_out_as_a_whole_or_not_at_all,
);
