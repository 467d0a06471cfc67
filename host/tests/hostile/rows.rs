//! Rows that are not what they should be: an error that says so, and nothing of them in the destination.

use crate::scripted::{Case, KINDS, Kind, Place, alive, batch, columns, hex, ids, ipc, table};
use arrow_array::builder::{ListBuilder, StringDictionaryBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array, LargeStringArray, NullArray,
    RecordBatch, RecordBatchOptions, StringArray, StructArray, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema};
use serde_json::{Value, json};
use spile_host::Class;
use std::sync::Arc;

#[tokio::test]
async fn what_is_too_large_ends_by_its_limit() {
    let size = |size: u64| json!({"batch": {"tables": [{"size": size}]}});
    for (step, limit) in [
        (size(100 << 20), "batch_size"),
        (size(65 << 20), "batch_size"),
        (json!({"batch": {"tables": [{"many": 5, "size": 13 << 20}]}}), "batch_size"),
        (json!({"batch": {"state": {"times": 1_100_000, "of": "s"}}}), "state_size"),
        (json!({"batch": {"schema": {"times": 1_100_000, "of": "s"}}}), "state_size"),
        (json!({"wait": {"state": {"times": 1_100_000, "of": "s"}}}), "state_size"),
        (json!({"done": {"state": {"times": 1_100_000, "of": "s"}}}), "state_size"),
    ] {
        Case::steps(&[step]).reaches(limit).await;
    }
}

#[tokio::test]
async fn a_million_tables_are_refused_at_once_and_one_by_one() {
    let empty = hex(&ipc(&ids(0)));
    let of_batch = |many: u64, name: &str| {
        let child = json!({"table": name, "many": many, "parent": "r", "rows": 0, "arrow": empty});
        json!({"batch": {"tables": [table("r", &ids(1)), child]}})
    };
    Case::steps(&[of_batch(100_000, "t")]).reaches("tables").await;
    let limited = |case: Case| case.limit("tables", json!(100));
    assert!(limited(Case::steps(&[of_batch(99, "t")])).load(&Place::new(Kind::DuckDb)).await.is_ok());
    limited(Case::steps(&[of_batch(100, "t")])).reaches("tables").await;
    // The same table very often is no way round it: each is compared with the others.
    let again = json!({"batch": {"tables": vec![table("r", &ids(0)); 10_001]}});
    limited(Case::steps(&[again])).reaches("tables").await;

    let place = Place::new(Kind::DuckDb);
    let error = limited(Case::again(&[of_batch(1, "t{call}_")])).load(&place).await.err().unwrap();
    assert_eq!((error.class, error.limit), (Class::Policy, Some("tables")), "{error}");
    alive(&place).await;
}

#[tokio::test]
async fn resources_and_origins_without_number_are_refused() {
    for describe in [
        json!({"resources": [{"name": "r{call}", "many": 30_000}]}),
        json!({"resources": [{"name": "r"}], "origins": [{"origin": "http://a{call}.example", "many": 30_000}]}),
    ] {
        let case = Case::new(json!({"describe": describe, "steps": []}));
        let place = Place::new(Kind::DuckDb);
        let error = case.prepared(&place).await.err().unwrap();
        assert_eq!((error.class, error.limit), (Class::Policy, Some("tables")), "{error}");
    }
}

#[tokio::test]
async fn columns_without_number_are_refused_at_once_and_one_by_one() {
    let declared = |many: u64, name: &str| {
        let mut rows = table("r", &ids(1));
        rows["new_columns"] = json!([{"name": name, "many": many}]);
        json!({"batch": {"tables": [rows]}})
    };
    let error = Case::steps(&[declared(300_000, "c{number}")]).contained().await;
    assert_eq!(
        (error.class, error.message.as_str()),
        (Class::Policy, "the connector delivered more columns than a table may have")
    );
    let place = Place::new(Kind::DuckDb);
    let error = Case::again(&[declared(4_000, "c{call}_{number}")]).load(&place).await.err().unwrap();
    assert_eq!(error.message, "the connector delivered more columns than a table may have");
    // Few columns with names of a megabyte each.
    let long = "{call}".to_owned() + &"n".repeat(1 << 20);
    let error = Case::again(&[declared(8, &(long + "{number}"))]).load(&place).await.err().unwrap();
    assert_eq!(error.class, Class::Policy, "{}", error.message);
    assert!(error.message.starts_with("the connector delivered more columns, or longer names"), "{}", error.message);
    alive(&place).await;
}

/// A batch whose payload is this.
fn payload(rows: usize, bytes: &[u8]) -> Value {
    json!({"batch": {"tables": [{"table": "r", "rows": rows, "arrow": hex(bytes)}]}})
}

#[tokio::test]
async fn row_counts_that_lie_are_refused() {
    let whole = ipc(&ids(3));
    for rows in [0, 2, 4, 4_294_967_295_usize] {
        let error = Case::steps(&[payload(rows, &whole)]).contained().await;
        assert_eq!(error.message, "the connector handed over rows that cannot be read");
    }
    // Rows that take no room: four thousand million of them in a few hundred bytes.
    let many = 4_000_000_000_usize;
    let options = RecordBatchOptions::new().with_row_count(Some(many));
    let none = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap();
    let nulls = columns(vec![("n", Arc::new(NullArray::new(many)))]);
    for rows in [none, nulls] {
        assert!(ipc(&rows).len() < 1000);
        let error = Case::steps(&[payload(many, &ipc(&rows))]).contained().await;
        assert!(error.to_string().contains("4000000000 rows in"), "{error}");
    }
}

#[tokio::test]
async fn types_that_no_column_has_are_refused() {
    let mut dictionary = StringDictionaryBuilder::<Int32Type>::new();
    ["a", "b", "a"].into_iter().for_each(|text| dictionary.append_value(text));
    let mut list = ListBuilder::new(arrow_array::builder::Int64Builder::new());
    (0..3).for_each(|number| list.append_value([Some(number)]));
    let nested = StructArray::from(vec![(
        Arc::new(Field::new("a", DataType::Int64, false)),
        Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef,
    )]);
    let odd: [ArrayRef; 7] = [
        Arc::new(dictionary.finish()),
        Arc::new(list.finish()),
        Arc::new(nested),
        Arc::new(Int32Array::from(vec![1, 2, 3])),
        Arc::new(UInt64Array::from(vec![1, 2, 3])),
        Arc::new(LargeStringArray::from(vec!["a", "b", "c"])),
        Arc::new(NullArray::new(3)),
    ];
    for values in odd {
        let data_type = values.data_type().clone();
        let error = Case::steps(&[batch(&columns(vec![("x", values)]))]).contained().await;
        assert!(
            error.message.contains("of the unknown type") || error.message.contains("cannot be read"),
            "{data_type}: {error}"
        );
    }
}

#[tokio::test]
async fn a_column_that_is_declared_as_one_type_and_sent_as_another_is_refused() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["1; DROP TABLE keep"]));
    let numbers: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN]));
    let flags: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
    let wide: ArrayRef = Arc::new(Decimal128Array::from(vec![1]).with_precision_and_scale(38, 30).unwrap());
    for (declared, values) in [
        ("bigint", texts.clone()),
        ("bigint", numbers),
        ("boolean", texts.clone()),
        ("timestamp", texts),
        ("text", flags),
        ("decimal", wide),
    ] {
        let mut rows = table("r", &columns(vec![("x", values)]));
        rows["new_columns"] = json!([{"name": "x", "type": declared}]);
        let error = Case::steps(&[json!({"batch": {"tables": [rows]}})]).contained().await;
        assert!(error.message.contains("for a column of type"), "{declared}: {error}");
    }
}

#[tokio::test]
async fn declarations_that_no_database_has_are_an_error() {
    for kind in KINDS {
        let place = Place::new(kind);
        for (precision, scale) in [(0, 0), (255, 0), (38, 39), (5, 255), (39, 3)] {
            let mut rows = table("r", &ids(1));
            rows["new_columns"] = json!([{"name": "d", "type": "decimal", "precision": precision, "scale": scale}]);
            let error = Case::steps(&[json!({"batch": {"tables": [rows]}})]).refused_at(&place).await;
            assert!(error.message.contains("decimal type that there is not"), "{kind:?} {precision} {scale}: {error}");
        }
    }
}

#[tokio::test]
async fn batches_that_contradict_those_before_are_refused() {
    let text = columns(vec![("id", Arc::new(StringArray::from(vec!["x"])))]);
    let place = Place::new(Kind::DuckDb);
    let error = Case::steps(&[batch(&ids(2)), batch(&text)]).load(&place).await.err().unwrap();
    assert!(error.message.contains("for a column of type"), "{error}");
    let narrower = json!({"batch": {"tables": [{"table": "r", "rows": 1, "arrow": hex(&ipc(&ids(1))),
        "widened_columns": [{"name": "id", "type": "boolean"}]}]}});
    let error = Case::steps(&[batch(&ids(2)), narrower]).load(&place).await.err().unwrap();
    assert!(error.message.contains("widened to"), "{error}");
    let twice = Schema::new(vec![Field::new("id", DataType::Int64, true), Field::new("id", DataType::Int64, true)]);
    let values: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let twice = RecordBatch::try_new(Arc::new(twice), vec![values.clone(), values]).unwrap();
    let error = Case::steps(&[batch(&twice)]).load(&place).await.err().unwrap();
    assert!(error.message.contains("a column twice"), "{error}");
    alive(&place).await;
}

/// Regression: DuckDB said nothing, and the run published nothing and was told as a success.
#[tokio::test]
async fn a_null_where_none_may_be_is_an_error() {
    for kind in [Kind::DuckDb, Kind::Sqlite] {
        let nulls = columns(vec![("id", Arc::new(Int64Array::from(vec![None, Some(1)])))]);
        let mut rows = table("r", &nulls);
        rows["new_columns"] = json!([{"name": "id", "nullable": false}]);
        let error = Case::steps(&[json!({"batch": {"tables": [rows]}})]).contained_at(kind).await;
        assert_eq!(error.class, Class::Destination, "{error}");
    }
}

#[tokio::test]
async fn roots_and_parents_that_do_not_fit_are_refused() {
    let child = |parent: Value, roots: Value| {
        let mut child = table("r__c", &ids(2));
        (child["parent"], child["roots"]) = (parent, roots);
        child
    };
    let places = KINDS.map(Place::new);
    let mut stray = table("r", &ids(1));
    stray["roots"] = json!([0]);
    let mut foreign = table("r", &ids(1));
    foreign["resource"] = json!("another");
    for tables in [
        json!([table("r", &ids(2)), child(json!("r"), json!([]))]),
        json!([table("r", &ids(2)), child(json!("r"), json!([0]))]),
        json!([table("r", &ids(2)), child(json!("r"), json!([0, 2]))]),
        json!([table("r", &ids(2)), child(json!("r"), json!([0, 4_294_967_295_u32]))]),
        json!([child(json!("r"), json!([0, 0]))]),
        json!([table("r", &ids(2)), child(json!("nobody"), json!([0, 1]))]),
        json!([table("r", &ids(2)), child(Value::Null, json!([]))]),
        json!([table("another", &ids(2))]),
        json!([stray]),
        json!([foreign]),
    ] {
        for place in &places {
            let error = Case::steps(&[json!({"batch": {"tables": tables}})]).refused_at(place).await;
            assert_eq!(error.class, Class::Internal, "{error}");
            assert!(error.message.starts_with("the connector delivered"), "{error}");
        }
    }
    // Its own parent.
    let own = json!([table("r", &ids(2)), {"table": "r__c", "parent": "r__c", "rows": 0, "arrow": hex(&ipc(&ids(0)))}]);
    let error = Case::steps(&[json!({"batch": {"tables": own}})]).contained().await;
    assert!(error.message.contains("its own parent"), "{error}");
}

/// Bytes that someone changed, by a rule that finds the same again. An error, or other rows: never a panic, and never a host that hangs.
#[tokio::test]
async fn changed_bytes_are_an_error_or_other_rows() {
    use crate::obedient::CONNECTOR;
    use spile_host::gate::Gate;
    use spile_host::limits::Limits;
    use spile_host::sandbox::{OpenRequest, SourceConfig};
    let mut dictionary = StringDictionaryBuilder::<Int32Type>::new();
    ["a", "b", "a"].into_iter().for_each(|text| dictionary.append_value(text));
    let rows = columns(vec![
        ("id", Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]))),
        ("name", Arc::new(StringArray::from(vec![Some("one"), None, Some("three")]))),
        ("kind", Arc::new(dictionary.finish())),
        ("flag", Arc::new(BooleanArray::from(vec![true, false, true]))),
    ]);
    let whole = ipc(&rows);
    let mut instance = CONNECTOR.start(Gate::closed(), Limits::default()).await.unwrap();
    let (mut seed, mut errors, mut read) = (0x2545_f491_4f6c_dd1d_u64, 0, 0);
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    for round in 0..1500 {
        let mut bytes = whole.clone();
        for _ in 0..=random(3) {
            let at = random(bytes.len() - 8);
            match round % 4 {
                0 => bytes[at] ^= 1 << random(8),
                1 => bytes[at..at + 4].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f]),
                2 => bytes[at..at + 8].copy_from_slice(&(1_u64 << random(63)).to_le_bytes()),
                _ => drop(bytes.drain(at..at + random(8))),
            }
        }
        let script = json!({"script": {"steps": [payload(3, &bytes)]}});
        let source = SourceConfig::new(script.to_string());
        let request = OpenRequest { load_id: "1".to_owned(), ..OpenRequest::new(source) };
        instance.open(&request).await.unwrap();
        match instance.next(10, 1000).await {
            Ok(_) => read += 1,
            Err(error) => {
                assert!(error.message.starts_with("the connector handed over rows"), "{error}");
                errors += 1;
            }
        }
    }
    assert!(errors > 300 && read > 50, "{errors} errors, {read} read");
}
