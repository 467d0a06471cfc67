//! Runs that do not reach their end, and runs that meet.

use std::time::Duration;

use spile_host::{
    Class,
    load::{Interrupted, Loader},
};

use crate::rows::{Database, Kind, merge, merge_users, options, plan, users};

fn the_next_run_goes_on_with_what_was_committed(kind: Kind) {
    let database = Database::new(kind);
    database.run(merge_users(), vec![users("s0", &[1], "old")]);

    let (mut loader, first) = database.begin(merge_users());
    assert_eq!((first.run, first.state.as_deref(), &first.interrupted), (2, Some("done"), &None));
    let mut delivery = users("s1", &[1, 2], "new");
    delivery.schema = Some("schema-1".to_owned());
    loader.stage(delivery).unwrap();
    loader.commit().unwrap();
    // Buffered, but never committed.
    loader.stage(users("s2", &[3], "lost")).unwrap();
    drop(loader);
    assert_eq!(database.rows("SELECT id, name FROM data.users"), ["1|old"]);

    let (mut loader, second) = database.begin(merge_users());
    assert_eq!(second.load_id, first.load_id);
    assert_eq!((second.run, second.state.as_deref(), second.schema.as_deref()), (3, Some("s1"), Some("schema-1")));
    assert_eq!(second.interrupted, Some(Interrupted { rows: vec![("users".to_owned(), 2)] }));
    loader.stage(users("s2", &[2, 3], "newer")).unwrap();
    assert_eq!(database.rows("SELECT id, name FROM data.users"), ["1|old"]);
    let published = loader.publish("end").unwrap();

    assert_eq!(published.load_id, first.load_id);
    assert_eq!(database.rows("SELECT id, name FROM data.users ORDER BY id"), ["1|new", "2|newer", "3|newer"]);
    assert_eq!(database.rows("SELECT count(*) FROM data.users__tags"), ["6"]);
    let (_, third) = database.begin(merge_users());
    assert_eq!(
        (third.state.as_deref(), third.schema.as_deref(), third.interrupted),
        (Some("end"), Some("schema-1"), None)
    );
    assert!(third.load_id > first.load_id);
}

fn a_package_of_another_digest_is_discarded(kind: Kind) {
    let database = Database::new(kind);
    database.run(merge_users(), vec![users("s0", &[1], "old")]);
    let (mut loader, first) = database.begin(merge_users());
    let mut delivery = users("s1", &[2], "discarded");
    delivery.schema = Some("schema-1".to_owned());
    loader.stage(delivery).unwrap();
    loader.commit().unwrap();
    drop(loader);

    let mut options = merge_users();
    options.digest = "digest-2".to_owned();
    let (mut loader, second) = database.begin(options);
    assert!(second.load_id > first.load_id);
    assert_eq!((second.state.as_deref(), second.schema, second.interrupted), (Some("done"), None, None));
    loader.stage(users("s1", &[3], "kept")).unwrap();
    loader.publish("end").unwrap();
    assert_eq!(database.rows("SELECT id, name FROM data.users ORDER BY id"), ["1|old", "3|kept"]);
}

fn a_package_whose_staging_table_was_dropped_is_begun_anew(kind: Kind) {
    let database = Database::new(kind);
    let (mut loader, first) = database.begin(merge_users());
    loader.stage(users("s1", &[1], "a")).unwrap();
    loader.commit().unwrap();
    drop(loader);
    database.execute("DROP TABLE data_staging.users__tags");
    let (_, second) = database.begin(merge_users());
    assert!(second.load_id > first.load_id);
    assert_eq!((second.state, second.interrupted), (None, None));
}

fn a_package_with_rows_of_a_resource_that_is_not_delivered_is_begun_anew(kind: Kind) {
    let database = Database::new(kind);
    let (mut loader, first) = database.begin(merge_users());
    loader.stage(users("s1", &[1], "a")).unwrap();
    loader.commit().unwrap();
    drop(loader);
    let (_, second) = database.begin(options(vec![plan("others", merge(), &["id"])]));
    assert!(second.load_id > first.load_id);
    assert_eq!((second.state, second.interrupted), (None, None));
}

#[test]
fn a_run_that_was_overtaken_writes_nothing_more() {
    let database = Database::new(Kind::DuckDb);
    let (mut late, _) = database.begin(merge_users());
    late.stage(users("s1", &[1], "late")).unwrap();
    late.commit().unwrap();
    late.stage(users("s2", &[2], "late")).unwrap();

    // Within one process the sessions share the database.
    let (mut next, resumed) = database.begin(merge_users());
    assert_eq!((resumed.run, resumed.state.as_deref()), (2, Some("s1")));
    let error = late.commit().unwrap_err();
    assert_eq!(error.class, Class::Destination);
    assert!(error.message.contains("another run took over"), "{error}");
    let error = late.publish("late").unwrap_err();
    assert!(error.message.contains("another run took over"), "{error}");

    next.stage(users("s2", &[2], "next")).unwrap();
    next.publish("end").unwrap();
    assert_eq!(database.rows("SELECT id, name FROM data.users ORDER BY id"), ["1|late", "2|next"]);
    assert_eq!(database.rows("SELECT status, state, run FROM data._spile_state"), ["done|end|2"]);
}

fn a_second_run_of_a_pipeline_is_told_who_holds_it(kind: Kind) {
    // In DuckDB it is another process that is kept out, see `opening`.
    if kind == Kind::DuckDb {
        return;
    }
    let database = Database::new(kind);
    let (first, _) = database.begin(merge_users());
    let error = Loader::begin(&database.target(), merge_users()).err().unwrap();
    assert_eq!(error.class, Class::Destination);
    let holder = &error.facts.iter().find(|(label, _)| *label == "held by").expect("the holder").1;
    assert!(holder.contains(&format!("process {}", std::process::id())), "{holder}");
    drop(first);
    database.run(merge_users(), vec![users("s", &[1], "a")]);
}

fn buffers_are_committed_by_rows_bytes_and_time(kind: Kind) {
    let by_rows = |options: &mut spile_host::load::Options| options.commit_rows = Some(4);
    let by_bytes = |options: &mut spile_host::load::Options| options.commit_bytes = Some(200);
    let by_time = |options: &mut spile_host::load::Options| options.commit_interval = Duration::ZERO;
    // One user with two tags is three rows, and 124 bytes.
    for (limit, states) in
        [(&by_rows as &dyn Fn(&mut _), ["-", "s2"]), (&by_bytes, ["-", "s2"]), (&by_time, ["s1", "s2"])]
    {
        let database = Database::new(kind);
        let mut options = merge_users();
        limit(&mut options);
        let (mut loader, _) = database.begin(options);
        for (id, expected) in [1, 2].into_iter().zip(states) {
            loader.stage(users(&format!("s{id}"), &[id], "a")).unwrap();
            assert_eq!(database.rows("SELECT staged_state FROM data._spile_state"), [expected]);
        }
        assert_eq!(database.rows("SELECT count(*) FROM data_staging.users"), ["2"]);
    }
}

fn pipelines_share_a_dataset_but_not_staged_rows(kind: Kind) {
    let database = Database::new(kind);
    let mut other = options(vec![plan("users", merge(), &["id"])]);
    other.pipeline = "other".to_owned();
    let (mut loader, _) = database.begin(other.clone());
    loader.stage(users("s1", &[1], "theirs")).unwrap();
    loader.commit().unwrap();
    drop(loader);

    let error = Loader::begin(&database.target(), merge_users()).err().unwrap();
    assert_eq!(error.class, Class::Destination);
    assert!(error.message.contains("another pipeline's interrupted run"), "{error}");
    database.run(other, Vec::new());
    database.run(merge_users(), vec![users("s1", &[2], "ours")]);
    assert_eq!(database.rows("SELECT id, name FROM data.users ORDER BY id"), ["1|theirs", "2|ours"]);
    assert_eq!(database.rows("SELECT pipeline_name FROM data._spile_state ORDER BY 1"), ["other", "people"]);
}

crate::on_every_database!(
    a_second_run_of_a_pipeline_is_told_who_holds_it,
    the_next_run_goes_on_with_what_was_committed,
    a_package_of_another_digest_is_discarded,
    a_package_whose_staging_table_was_dropped_is_begun_anew,
    a_package_with_rows_of_a_resource_that_is_not_delivered_is_begun_anew,
    buffers_are_committed_by_rows_bytes_and_time,
    pipelines_share_a_dataset_but_not_staged_rows,
);
