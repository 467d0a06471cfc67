//! Names of tables and columns that are more than names: each stays one name, or is refused, and other tables are untouched.

use crate::scripted::{Case, KINDS, Kind, Place, alive, batch, columns, ids, table};
use arrow_array::{Int64Array, RecordBatch};
use serde_json::json;
use spile_host::Class;
use std::sync::Arc;

/// Names that would do something if they were not quoted, or not looked at.
const NAMES: [&str; 16] = [
    "\"; DROP TABLE keep; --",
    "keep\" (x); DELETE FROM keep; --",
    "'; DROP TABLE keep; --",
    "keep; DROP TABLE keep",
    "main.keep",
    "\"main\".\"keep\"",
    "a\nb",
    "a\tb\u{1b}[2J",
    "../../keep",
    "..",
    "/etc/passwd",
    "a\\..\\b",
    "日本 \u{202e}x",
    "$1",
    "%s{}",
    "SELECT",
];

/// Names of the program's own.
const OWN: [&str; 8] = [
    "_spile_state",
    "_spile_runs",
    "_dlt_loads",
    "_DLT_LOADS",
    "_Spile_State",
    "_dlt_version",
    "_spile_",
    "_dlt_x\"; DROP TABLE keep; --",
];

/// A case whose resource has a table of this name.
fn root(name: &str) -> Case {
    let describe = json!({"resources": [{"name": "r", "table": name}]});
    let step = json!({"batch": {"tables": [table(name, &ids(2))]}});
    Case::new(json!({"describe": describe, "steps": [step, {"done": {"state": "{}"}}]}))
}

/// A case with a child table of this name.
fn child(name: &str) -> Case {
    let mut child = table(name, &ids(2));
    (child["parent"], child["roots"]) = (json!("r"), json!([0, 1]));
    Case::steps(&[json!({"batch": {"tables": [table("r", &ids(2)), child]}}), json!({"done": {"state": "{}"}})])
}

fn column(name: &str) -> Case {
    let mut rows = table("r", &columns(vec![(name, Arc::new(Int64Array::from(vec![1, 2])))]));
    rows["new_columns"] = json!([{"name": name}, {"name": format!("{name} 2")}]);
    Case::steps(&[json!({"batch": {"tables": [rows]}}), json!({"done": {"state": "{}"}})])
}

#[tokio::test]
async fn names_of_tables_stay_names_or_are_refused() {
    let mut written = [0; 3];
    for (at, kind) in KINDS.into_iter().enumerate() {
        for name in NAMES {
            for case in [root(name), child(name)] {
                let place = Place::new(kind);
                match case.load(&place).await {
                    Ok((report, _)) => {
                        let table = report.published.tables.iter().find(|table| table.table == name);
                        assert_eq!(table.expect("a table of this name").total, 2, "{kind:?} {name:?}");
                        written[at] += 1;
                    }
                    Err(error) => {
                        assert!(matches!(error.class, Class::Config | Class::Internal), "{kind:?} {name:?}: {error}");
                        place.has_nothing_of("hostile");
                    }
                }
                place.others_are_untouched();
            }
        }
    }
    // Databases take all; of folders' names some are none.
    assert_eq!((written[0], written[1]), (32, 32));
    assert!(written[2] >= 16 && written[2] < 32, "{written:?}");
}

#[tokio::test]
async fn the_program_s_own_tables_are_no_connector_s() {
    for kind in KINDS {
        // Refused again and again, at one place.
        let place = Place::new(kind);
        for name in OWN.into_iter().chain(["", "a\0b", "\0"]) {
            for case in [root(name), child(name)] {
                let error = case.refused_at(&place).await;
                assert!(matches!(error.class, Class::Config | Class::Internal), "{kind:?} {name:?}: {error}");
            }
        }
        alive(&place).await;
    }
    let folder = root("_spile").contained_at(Kind::Parquet).await;
    assert!(folder.message.contains("reserved"), "{folder}");
}

#[tokio::test]
async fn names_of_columns_stay_names_or_are_refused() {
    for kind in KINDS {
        for name in NAMES {
            let place = Place::new(kind);
            let (report, _) =
                column(name).load(&place).await.unwrap_or_else(|error| panic!("{kind:?} {name:?}: {error}"));
            assert_eq!(report.published.tables[0].total, 2, "{kind:?} {name:?}");
            // And once more, with the column that is there.
            column(name).load(&place).await.unwrap();
            place.others_are_untouched();
        }
        let place = Place::new(kind);
        for name in ["_spile_seq", "_SPILE_root", "", "a\0b"] {
            let error = column(name).refused_at(&place).await;
            assert!(error.message.contains("unusable name"), "{kind:?} {name:?}: {error}");
        }
        alive(&place).await;
    }
}

#[tokio::test]
async fn long_names_and_names_that_differ_in_case_alone_write_nothing_that_they_should_not() {
    let long = "n".repeat(10_000);
    for kind in KINDS {
        for case in [root(&long), child(&long), column(&long), child("keep"), root("KEEP")] {
            let place = Place::new(kind);
            match case.load(&place).await {
                Ok((report, _)) => assert!(report.published.tables.iter().all(|table| table.total == 2), "{kind:?}"),
                Err(error) => {
                    assert!(kind == Kind::Parquet && error.to_string().contains("more than 255 bytes"), "{kind:?}");
                    place.has_nothing_of("hostile");
                }
            }
            alive(&place).await;
        }
        // Regression: the rows of one were those of the other.
        let place = Place::new(kind);
        match child("R").load(&place).await {
            Ok((report, _)) => {
                let totals: Vec<u64> = report.published.tables.iter().map(|table| table.total).collect();
                assert_eq!((kind, totals), (Kind::Parquet, vec![2, 2]));
            }
            Err(error) => {
                assert!(kind != Kind::Parquet && error.message.contains("differ in case alone"), "{kind:?}: {error}");
                place.has_nothing_of("hostile");
            }
        }
        alive(&place).await;
        let both =
            columns(vec![("id", Arc::new(Int64Array::from(vec![1]))), ("ID", Arc::new(Int64Array::from(vec![2])))]);
        let place = Place::new(kind);
        if let Err(error) = Case::steps(&[batch(&both)]).load(&place).await {
            assert_eq!(error.class, Class::Destination, "{kind:?}: {error}");
            place.has_nothing_of("hostile");
        }
        alive(&place).await;
    }
}

/// The same names as keys, by which rows are merged.
#[tokio::test]
async fn names_of_keys_stay_names() {
    for kind in [Kind::DuckDb, Kind::Sqlite] {
        for name in NAMES {
            let rows = columns(vec![
                (name, Arc::new(Int64Array::from(vec![1, 1]))),
                ("_dlt_id", Arc::new(arrow_array::StringArray::from(vec!["a", "b"]))),
            ]);
            let describe = json!({"resources": [{"name": "r", "key": [name], "disposition": "merge"}]});
            let case = Case::new(json!({"describe": describe, "steps": [batch(&rows), {"done": {"state": "{}"}}]}));
            let place = Place::new(kind);
            for _ in 0..2 {
                let (report, _) = case.load(&place).await.unwrap_or_else(|error| panic!("{kind:?} {name:?}: {error}"));
                assert_eq!(report.published.tables[0].total, 1, "{kind:?} {name:?}");
            }
            place.others_are_untouched();
        }
    }
}

/// In SQLite a dataset is the beginning of a table's name, so a name must not lead into another dataset.
#[tokio::test]
async fn a_table_of_sqlite_is_in_no_other_dataset() {
    let place = Place::new(Kind::Sqlite);
    child("staging__r").load(&place).await.unwrap();
    let names = place.query("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name");
    let names: Vec<String> = names.iter().flat_map(names_of).collect();
    assert!(names.iter().all(|name| name == "keep" || name.starts_with("data__")), "{names:?}");
    alive(&place).await;
}

fn names_of(rows: &RecordBatch) -> Vec<String> {
    use arrow_array::cast::AsArray;
    rows.column(0).as_string::<i32>().iter().map(|name| name.unwrap().to_owned()).collect()
}
