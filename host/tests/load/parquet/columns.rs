//! Types and columns, and those that come later or become wider.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array};
use spile_host::{
    destination::DataType,
    load::{Batch, Options, WriteDisposition},
};

use super::{Directory, counts};
use crate::rows::{batch, bigint, column, options, plan, table, text, things_of_every_type};

#[test]
fn every_type_arrives_and_comes_back() {
    let directory = Directory::new();
    let options = || options(vec![plan("things", WriteDisposition::Append, &[])]);
    directory.run(options(), vec![batch("s1", vec![things_of_every_type()])]);
    // The second run declares nothing: the types are those of the first.
    let mut again = things_of_every_type();
    again.new_columns.clear();
    directory.run(options(), vec![batch("s2", vec![again])]);
    assert_eq!(
        directory.rows("SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM {things})"),
        [
            "text|VARCHAR",
            "bigint|BIGINT",
            "double|DOUBLE",
            "boolean|BOOLEAN",
            "timestamp|TIMESTAMP WITH TIME ZONE",
            "decimal|DECIMAL(38,9)",
            "json|JSON",
            "local|TIMESTAMP",
            "date|DATE",
            "time|TIME",
            "binary|BLOB",
            "_dlt_id|VARCHAR",
        ]
    );
    let row = "a|naïve 'quoted' \"日本\"|9223372036854775807|-0.5|true|2023-11-14T22:13:20.123456Z|1.500000001|{\"a\": [1, null]}\
         |2023-11-14T22:13:20.123456|1969-12-31|23:59:59.999999|00ff27";
    assert_eq!(
        directory.rows("SELECT _dlt_id, * EXCLUDE (_dlt_id) FROM {things} ORDER BY _dlt_id"),
        [row, row, "b|-|-|-|-|-|-|-|-|-|-|-", "b|-|-|-|-|-|-|-|-|-|-|-"]
    );
}

fn things() -> Options {
    options(vec![plan("things", WriteDisposition::Append, &[])])
}

#[test]
fn later_batches_and_runs_may_bring_columns_and_leave_columns_out() {
    let directory = Directory::new();
    let (mut loader, _) = directory.begin(things());
    let mut first = table("things", None, vec![("id", bigint(&[1])), ("_dlt_id", text(&[Some("a")]))]);
    // Declared, but not filled yet.
    first.new_columns = vec![
        column("_dlt_id", DataType::Text, false),
        column("id", DataType::Bigint, false),
        column("later", DataType::Double, true),
    ];
    loader.stage(batch("s1", vec![first])).unwrap();
    loader.commit().unwrap();
    let mut second = table("things", None, vec![("x", text(&[Some("[2]")])), ("id", bigint(&[2]))]);
    second.new_columns = vec![column("x", DataType::Json, false)];
    loader.stage(batch("s2", vec![second])).unwrap();
    loader.publish("done").unwrap();
    let third = table("things", None, vec![("id", bigint(&[3]))]);
    let published = directory.run(things(), vec![batch("s3", vec![third])]);
    assert_eq!(counts(&published), [("things", 1, 0, 3)]);
    assert_eq!(
        directory.rows("SELECT _dlt_id, id, later, x, typeof(x) FROM {things} ORDER BY id"),
        ["a|1|-|-|JSON", "-|2|-|[2]|JSON", "-|3|-|-|JSON"]
    );
    // The last file has all columns, so that readers that look at one file only may look at that.
    let last = format!("data/things/{}-1.parquet", published.load_id);
    let columns = format!("SELECT column_name FROM (DESCRIBE SELECT * FROM '{}')", directory.path.join(last).display());
    assert_eq!(directory.rows(&columns), ["_dlt_id", "id", "later", "x"]);
}

#[test]
fn a_table_that_is_declared_and_gets_no_rows_has_its_columns() {
    let directory = Directory::new();
    let mut empty = table("things", None, vec![("id", bigint(&[]))]);
    empty.new_columns = vec![column("id", DataType::Bigint, true), column("name", DataType::Text, true)];
    let published = directory.run(things(), vec![batch("s1", vec![empty])]);
    assert_eq!(counts(&published), [("things", 0, 0, 0)]);
    assert_eq!(directory.rows("SELECT count(id), count(name) FROM {things}"), ["0|0"]);
}

/// Two whole numbers.
fn whole_numbers(state: &str) -> Batch {
    let mut rows = table("things", None, vec![("n", bigint(&[1, 2])), ("_dlt_id", text(&[Some("a"), Some("b")]))]);
    rows.new_columns = vec![column("n", DataType::Bigint, true), column("_dlt_id", DataType::Text, false)];
    batch(state, vec![rows])
}

/// A number of another type, to which the column is widened.
fn wider(state: &str, value: ArrayRef, data_type: DataType) -> Batch {
    let mut rows = table("things", None, vec![("n", value), ("_dlt_id", text(&[Some("c")]))]);
    rows.widened_columns = vec![column("n", data_type, true)];
    batch(state, vec![rows])
}

#[test]
fn a_column_becomes_wider_within_a_run_after_an_interruption_and_in_a_later_run() {
    let half = || wider("s2", Arc::new(Float64Array::from(vec![2.5])), DataType::Double);
    let doubles = ["1.0|DOUBLE", "2.0|DOUBLE", "2.5|DOUBLE"];
    for (commits, ends) in [(false, false), (true, false), (true, true)] {
        let directory = Directory::new();
        let (mut loader, _) = directory.begin(things());
        loader.stage(whole_numbers("s1")).unwrap();
        if commits {
            loader.commit().unwrap();
        }
        if ends {
            drop(loader);
            (loader, _) = directory.begin(things());
        }
        loader.stage(half()).unwrap();
        loader.publish("done").unwrap();
        assert_eq!(directory.rows("SELECT n, typeof(n) FROM {things} ORDER BY _dlt_id"), doubles);
    }
    let directory = Directory::new();
    directory.run(things(), vec![whole_numbers("s1")]);
    directory.run(things(), vec![half()]);
    assert_eq!(directory.rows("SELECT n, typeof(n) FROM {things} ORDER BY _dlt_id"), doubles);
    // Whole numbers that nobody declares go into a column of doubles as doubles.
    let mut again = whole_numbers("s3");
    again.tables[0].new_columns.clear();
    let published = directory.run(things(), vec![again]);
    let last = directory.path.join(format!("data/things/{}-1.parquet", published.load_id));
    assert_eq!(directory.rows(&format!("SELECT DISTINCT typeof(n) FROM '{}'", last.display())), ["DOUBLE"]);
}
