//! The report of values that did not simply go into their columns.

use spile_host::{
    Class,
    changes::{Change, ChangeKind},
    load::Batch,
};

use crate::rows::{Database, Kind, merge_users, users};

fn change(column: &str, kind: ChangeKind, count: u64, sample: &str) -> Change {
    Change {
        resource: "users".to_owned(),
        table: "users".to_owned(),
        column: Some(column.to_owned()),
        kind,
        count,
        sample: sample.to_owned(),
    }
}

fn told(state: &str, id: i64, changes: Vec<Change>) -> Batch {
    Batch { changes, ..users(state, &[id], "n") }
}

fn the_report_is_the_sum_of_the_batches_and_of_an_interrupted_run(kind: Kind) {
    use ChangeKind::{Coerced, DiscardedValue};
    let database = Database::new(kind);
    let (mut loader, _) = database.begin(merge_users());
    loader.stage(told("s1", 1, vec![change("age", Coerced, 2, "\"7\"")])).unwrap();
    loader.commit().unwrap();
    // Never committed, so its rows come again.
    loader.stage(told("lost", 2, vec![change("age", Coerced, 10, "\"8\"")])).unwrap();
    drop(loader);

    let (mut loader, _) = database.begin(merge_users());
    let again = vec![change("age", Coerced, 3, "\"9\""), change("zip", DiscardedValue, 1, "null")];
    loader.stage(told("s2", 2, again)).unwrap();
    let published = loader.publish("done").unwrap();
    let expected = [change("zip", DiscardedValue, 1, "null"), change("age", Coerced, 5, "\"7\"")];
    assert_eq!(published.changes.list(), expected);

    // The next run has a report of its own.
    assert!(database.run(merge_users(), vec![users("s3", &[3], "m")]).changes.is_empty());
}

fn a_strict_run_that_was_interrupted_refuses_what_was_staged_before(kind: Kind) {
    let database = Database::new(kind);
    database.run(merge_users(), vec![users("s0", &[1], "old")]);
    let (mut loader, _) = database.begin(merge_users());
    loader.stage(told("s1", 2, vec![change("age", ChangeKind::Variant, 1, "\"n/a\"")])).unwrap();
    loader.commit().unwrap();
    drop(loader);

    let (loader, _) = database.begin(merge_users());
    let error = loader.refuse(Vec::new()).err().unwrap();
    assert_eq!(error.class, Class::Source);
    // Nothing of it is left: the next run begins where this one began.
    assert_eq!(database.rows("SELECT id, name FROM data.users"), ["1|old"]);
    let (loader, resumed) = database.begin(merge_users());
    assert_eq!((resumed.state.as_deref(), resumed.interrupted), (Some("done"), None));
    assert!(loader.refuse(Vec::new()).is_ok());
}

crate::on_every_database!(
    the_report_is_the_sum_of_the_batches_and_of_an_interrupted_run,
    a_strict_run_that_was_interrupted_refuses_what_was_staged_before,
);
