//! Columns of whole numbers that become columns of doubles.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array};
use spile_host::{
    Class,
    destination::DataType,
    load::{Batch, Options, WriteDisposition},
};

use crate::rows::{Database, Kind, batch, bigint, column, options, plan, table, text};

fn things() -> Options {
    options(vec![plan("things", WriteDisposition::Append, &[])])
}

fn doubles(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

/// The first rows: whole numbers.
fn whole(state: &str) -> Batch {
    let mut rows = table("things", None, vec![("n", bigint(&[1, 2])), ("_dlt_id", text(&[Some("a"), Some("b")]))]);
    rows.new_columns = vec![column("n", DataType::Bigint, true), column("_dlt_id", DataType::Text, false)];
    batch(state, vec![rows])
}

/// Later rows: a fraction.
fn fraction(state: &str) -> Batch {
    let mut rows = table("things", None, vec![("n", doubles(&[2.5])), ("_dlt_id", text(&[Some("c")]))]);
    rows.widened_columns = vec![column("n", DataType::Double, true)];
    batch(state, vec![rows])
}

fn type_of_n(database: &Database) -> Option<DataType> {
    database.types("things").into_iter().find(|(name, ..)| name == "n").and_then(|(_, data_type, _)| data_type)
}

fn assert_wide(database: &Database) {
    assert_eq!(database.rows("SELECT n FROM data.things ORDER BY _dlt_id"), ["1.0", "2.0", "2.5"]);
    assert_eq!(type_of_n(database), Some(DataType::Double));
}

fn within_a_run_before_a_commit_and_after_it(kind: Kind) {
    for commits in [false, true] {
        let database = Database::new(kind);
        let (mut loader, _) = database.begin(things());
        loader.stage(whole("s1")).unwrap();
        if commits {
            loader.commit().unwrap();
        }
        loader.stage(fraction("s2")).unwrap();
        loader.publish("done").unwrap();
        assert_wide(&database);
    }
}

fn in_a_later_run(kind: Kind) {
    let database = Database::new(kind);
    database.run(things(), vec![whole("s1")]);
    assert_eq!(type_of_n(&database), Some(DataType::Bigint));
    database.run(things(), vec![fraction("s2")]);
    assert_wide(&database);
    // Whole numbers come as doubles from then on.
    let rows = table("things", None, vec![("n", doubles(&[3.0])), ("_dlt_id", text(&[Some("d")]))]);
    database.run(things(), vec![batch("s3", vec![rows])]);
    assert_eq!(database.rows("SELECT n FROM data.things WHERE _dlt_id = 'd'"), ["3.0"]);
}

fn after_an_interruption(kind: Kind) {
    let database = Database::new(kind);
    let (mut loader, _) = database.begin(things());
    loader.stage(whole("s1")).unwrap();
    loader.commit().unwrap();
    loader.stage(fraction("lost")).unwrap();
    drop(loader);
    let (mut loader, resumed) = database.begin(things());
    assert_eq!(resumed.state.as_deref(), Some("s1"));
    loader.stage(fraction("s2")).unwrap();
    loader.publish("done").unwrap();
    assert_wide(&database);
}

fn a_column_does_not_become_narrower(kind: Kind) {
    let database = Database::new(kind);
    let (mut loader, _) = database.begin(things());
    loader.stage(fraction("s1")).unwrap();
    let mut rows = table("things", None, vec![("n", bigint(&[1])), ("_dlt_id", text(&[Some("d")]))]);
    rows.widened_columns = vec![column("n", DataType::Bigint, true)];
    let error = loader.stage(batch("s2", vec![rows])).unwrap_err();
    assert_eq!(error.class, Class::Internal);
    assert_eq!(error.message, "the connector delivered a column of type Float64 widened to Int64");
    loader.publish("done").unwrap();
    assert_eq!(database.rows("SELECT n FROM data.things"), ["2.5"]);
}

crate::on_every_database!(
    within_a_run_before_a_commit_and_after_it,
    in_a_later_run,
    after_an_interruption,
    a_column_does_not_become_narrower,
);
