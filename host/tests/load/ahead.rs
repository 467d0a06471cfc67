//! Rows that come in such numbers that a database may take them before they are committed.

use std::{ops::Range, sync::Arc};

use arrow_array::{ArrayRef, Float64Array, Int64Array};
use spile_host::{
    Class, Error,
    destination::DataType,
    load::{Batch, Options, WriteDisposition},
};

use crate::rows::{Database, Kind, batch, column, options, plan, table, text, texts};

/// More than a row group of DuckDB, and in all more than is buffered.
const MANY: Range<i64> = 0..130_000;

fn things() -> Options {
    options(vec![plan("things", WriteDisposition::Append, &[])])
}

fn ids(rows: &Range<i64>) -> ArrayRef {
    texts(rows.clone().map(|row| format!("{row:0>48}")))
}

/// Whole numbers.
fn whole(state: &str, rows: Range<i64>) -> Batch {
    let n: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.clone()));
    let mut rows = table("things", None, vec![("n", n), ("_dlt_id", ids(&rows))]);
    rows.new_columns = vec![column("n", DataType::Bigint, true), column("_dlt_id", DataType::Text, false)];
    batch(state, vec![rows])
}

/// Numbers with a half, and a column that was not there before.
fn halves(state: &str, rows: Range<i64>) -> Batch {
    let n: ArrayRef = Arc::new(Float64Array::from_iter_values(rows.clone().map(|row| row as f64 + 0.5)));
    let more = texts(rows.clone().map(|_| "more".to_owned()));
    let mut rows = table("things", None, vec![("n", n), ("more", more), ("_dlt_id", ids(&rows))]);
    rows.widened_columns = vec![column("n", DataType::Double, true)];
    rows.new_columns = vec![column("more", DataType::Text, true)];
    batch(state, vec![rows])
}

/// A row without the id that every row of its table has.
fn nameless(state: &str) -> Batch {
    let n: ArrayRef = Arc::new(Int64Array::from(vec![0]));
    batch(state, vec![table("things", None, vec![("n", n), ("_dlt_id", text(&[None]))])])
}

fn they_are_there_once_and_in_order(kind: Kind) {
    let database = Database::new(kind);
    let (mut loader, _) = database.begin(things());
    loader.stage(whole("s1", MANY)).unwrap();
    loader.stage(whole("s2", MANY.end..MANY.end + 10)).unwrap();
    // Nobody sees them before.
    assert_eq!(database.rows("SELECT staged_state FROM data._spile_state"), ["-"]);
    loader.commit().unwrap();
    assert_eq!(database.rows("SELECT staged_state FROM data._spile_state"), ["s2"]);
    loader.stage(whole("s3", MANY.end + 10..MANY.end + 20)).unwrap();
    loader.publish("end").unwrap();
    assert_eq!(database.rows("SELECT count(*), count(DISTINCT n), max(n) FROM data.things"), ["130020|130020|130019"]);
}

fn later_ones_may_widen_columns_and_bring_some(kind: Kind) {
    let database = Database::new(kind);
    let (mut loader, _) = database.begin(things());
    loader.stage(whole("s1", MANY)).unwrap();
    // The same column once more changes nothing.
    assert!(!loader.stage(whole("s2", 0..10)).unwrap());
    loader.stage(halves("s3", MANY)).unwrap();
    loader.stage(halves("s4", 0..10)).unwrap();
    loader.publish("end").unwrap();
    assert_eq!(
        database.rows("SELECT more, count(*), min(n), max(n) FROM data.things GROUP BY more ORDER BY more IS NOT NULL"),
        ["-|130010|0.0|129999.0", "more|130010|0.5|129999.5"]
    );
}

fn of_a_run_that_was_cut_off_nothing_is_left(kind: Kind) {
    let database = Database::new(kind);
    let (mut loader, _) = database.begin(things());
    loader.stage(whole("s1", 0..10)).unwrap();
    loader.commit().unwrap();
    loader.stage(whole("lost", MANY)).unwrap();
    drop(loader);
    let (mut loader, resumed) = database.begin(things());
    assert_eq!(resumed.state.as_deref(), Some("s1"));
    loader.stage(whole("s2", 10..20)).unwrap();
    loader.publish("end").unwrap();
    assert_eq!(database.rows("SELECT count(*), max(n) FROM data.things"), ["20|19"]);
}

fn rows_that_are_refused_take_those_before_them_along(kind: Kind) {
    let database = Database::new(kind);
    let (mut loader, _) = database.begin(things());
    loader.stage(whole("s1", 0..10)).unwrap();
    loader.commit().unwrap();
    loader.stage(whole("lost", MANY)).unwrap();
    loader.stage(nameless("lost")).unwrap();
    let error = loader.commit().unwrap_err();
    assert_eq!(error.class, Class::Destination, "{error}");
    // No state may be noted that covers them.
    let again: [Error; 2] = [loader.commit().unwrap_err(), loader.stage(whole("s2", 10..20)).unwrap_err()];
    assert!(again.iter().all(|again| again.message == error.message), "{again:?}");
    assert!(loader.publish("end").is_err());
    let (_, resumed) = database.begin(things());
    assert_eq!(resumed.state.as_deref(), Some("s1"));
}

fn what_is_refused_as_a_whole_is_discarded(kind: Kind) {
    let database = Database::new(kind);
    let (mut loader, _) = database.begin(things());
    loader.stage(whole("lost", MANY)).unwrap();
    let suspicious = Error::new(Class::Source, "looks wrong");
    assert!(loader.refuse(vec![suspicious]).is_err());
    let (loader, resumed) = database.begin(things());
    assert_eq!((resumed.state, resumed.interrupted), (None, None));
    loader.publish("end").unwrap();
    assert!(!database.tables("data").contains(&"things".to_owned()));
}

#[test]
fn a_run_that_was_overtaken_meanwhile_writes_none_of_them() {
    let database = Database::new(Kind::DuckDb);
    let (mut late, _) = database.begin(things());
    late.stage(whole("late", MANY)).unwrap();
    let (mut next, resumed) = database.begin(things());
    assert_eq!((resumed.run, resumed.state), (2, None));
    let error = late.commit().unwrap_err();
    assert!(error.message.contains("another run took over"), "{error}");
    next.stage(whole("s1", 0..10)).unwrap();
    next.publish("end").unwrap();
    assert_eq!(database.rows("SELECT count(*) FROM data.things"), ["10"]);
}

crate::on_every_database!(
    they_are_there_once_and_in_order,
    later_ones_may_widen_columns_and_bring_some,
    of_a_run_that_was_cut_off_nothing_is_left,
    rows_that_are_refused_take_those_before_them_along,
    what_is_refused_as_a_whole_is_discarded,
);
