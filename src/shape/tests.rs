use super::*;
use serde_json::json;

const ORDERS: Target<'static> =
    Target { resource: "rec", table: "rec", max_nesting: 1000, write_disposition: WriteDisposition::Merge, hints: &[] };

fn rows(target: &Target<'_>, records: &[Value]) -> Result<BTreeMap<String, Vec<Value>>> {
    let mut shaper = Shaper::new("1.5".to_owned(), Schema::default());
    for record in records {
        shaper.add(target, record, &[7; identity::BYTES])?;
    }
    let (tables, _) = shaper.take()?;
    let mut found = BTreeMap::new();
    for table in tables {
        let lines = encode::ndjson(&table.rows)?;
        let mut rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for row in &mut rows {
            row.as_object_mut().unwrap().retain(|name, _| !name.starts_with("_dlt"));
        }
        found.insert(table.table, rows);
    }
    Ok(found)
}

#[test]
fn objects_become_columns_and_lists_become_tables() {
    // Reference, worked example 1.
    let record = json!({"Imo": 901, "crewSize": null, "hull": {"lengthM": 81.5, "yard": {"City": "Gdynia"}},
        "flags": ["PL", "MT"], "legs": [{"port": "Oslo", "etaUtc": "2025-02-03T04:05:06Z"}]});
    let found = rows(&ORDERS, &[record]).unwrap();
    assert_eq!(found["rec"], [json!({"imo": 901, "hull__length_m": 81.5, "hull__yard__city": "Gdynia"})]);
    assert_eq!(found["rec__flags"], [json!({"value": "PL"}), json!({"value": "MT"})]);
    assert_eq!(found["rec__legs"], [json!({"port": "Oslo", "eta_utc": "2025-02-03T04:05:06Z"})]);
}

#[test]
fn values_that_do_not_fit_go_to_variants() {
    // Reference, worked example 9.
    let values =
        [json!(5), json!("5"), json!("five"), json!(5.5), json!(6.0), json!(true), json!(null), json!({"k": 1})];
    let records: Vec<Value> = values.into_iter().map(|value| json!({"q": value})).collect();
    let found = rows(&ORDERS, &records).unwrap();
    let expected = [
        json!({"q": 5}),
        json!({"q": 5}),
        json!({"q__v_text": "five"}),
        json!({"q__v_double": 5.5}),
        json!({"q": 6}),
        json!({"q__v_bool": true}),
        json!({}),
        json!({"q__k": 1}),
    ];
    assert_eq!(found["rec"], expected);
}

#[test]
fn nesting_ends_at_its_limit() {
    // Reference, worked example 17.
    let record = json!({"id": 1, "o": {"p": {"q": 1}}, "l": [{"m": [{"k": 1}], "w": {"z": 2}}], "s": [1, 2]});
    let at = |max_nesting| rows(&Target { max_nesting, ..ORDERS }, std::slice::from_ref(&record)).unwrap();
    let found = at(0);
    assert_eq!(found.len(), 1);
    assert_eq!(found["rec"][0]["o"], json!(r#"{"p":{"q":1}}"#));
    let found = at(1);
    assert_eq!(found["rec"], [json!({"id": 1, "o__p": r#"{"q":1}"#})]);
    assert_eq!(found["rec__l"], [json!({"m": r#"[{"k":1}]"#, "w": r#"{"z":2}"#})]);
    assert_eq!(found["rec__s"], [json!({"value": 1}), json!({"value": 2})]);
    let found = at(2);
    assert_eq!(found["rec"], [json!({"id": 1, "o__p__q": 1})]);
    assert_eq!(found["rec__l"], [json!({"w__z": 2})]);
    assert_eq!(found["rec__l__m"], [json!({"k": 1})]);
}

#[test]
fn lists_of_lists_have_a_table_between() {
    let found = rows(&ORDERS, &[json!({"m": [[1, 2], [3]]})]).unwrap();
    assert_eq!(found["rec__m"], [json!({}), json!({})]);
    assert_eq!(found["rec__m__list"], [json!({"value": 1}), json!({"value": 2}), json!({"value": 3})]);
    // A record that is a list is one of a key `value`.
    let found = rows(&ORDERS, &[json!([1, 2])]).unwrap();
    assert_eq!(found["rec"], [json!({})]);
    assert_eq!(found["rec__value"], [json!({"value": 1}), json!({"value": 2})]);
}

#[test]
fn large_integers_keep_their_digits() {
    let record: Value = serde_json::from_str(r#"{"a": 9223372036854775807, "b": 18446744073709551616}"#).unwrap();
    let found = rows(&ORDERS, std::slice::from_ref(&record)).unwrap();
    assert_eq!(found["rec"], [record]);
}

#[test]
fn two_keys_in_one_column_are_an_error_that_names_both() {
    let error = rows(&ORDERS, &[json!({"userId": 1, "user_id": 2})]).unwrap_err();
    assert_eq!(error.kind, Kind::Schema);
    assert_eq!(
        error.message,
        "the keys `userId` and `user_id` of one record both become the column `user_id` of `rec`"
    );
}

#[test]
fn rows_are_tied_together() {
    let mut shaper = Shaper::new("1.5".to_owned(), Schema::default());
    shaper.add(&ORDERS, &json!({"id": 1, "kids": [{"toys": ["a"]}]}), &[0; identity::BYTES]).unwrap();
    let (tables, schema) = shaper.take().unwrap();
    let row = |at: usize| -> Value { serde_json::from_str(&encode::ndjson(&tables[at].rows).unwrap()).unwrap() };
    let (root, kid, toy) = (row(0), row(1), row(2));
    assert_eq!(root["_dlt_id"], "AAAAAAAAAAAAAA");
    assert_eq!(root["_dlt_load_id"], "1.5");
    assert_eq!(kid["_dlt_parent_id"], root["_dlt_id"]);
    assert_eq!(kid["_dlt_id"], identity::child("AAAAAAAAAAAAAA", "rec__kids", 0));
    assert_eq!(toy["_dlt_parent_id"], kid["_dlt_id"]);
    assert_eq!((&toy["_dlt_root_id"], &toy["_dlt_list_idx"]), (&root["_dlt_id"], &json!(0)));
    assert_eq!(tables[2].parent.as_deref(), Some("rec__kids"));

    // What was learnt is given back: no column is new to a shaper that begins with the schema.
    let mut shaper = Shaper::new("2".to_owned(), Schema::parse(&schema.unwrap()).unwrap());
    shaper.add(&ORDERS, &json!({"id": "x", "kids": [{"toys": [1]}]}), &[0; identity::BYTES]).unwrap();
    let (tables, schema) = shaper.take().unwrap();
    let new: Vec<&str> =
        tables.iter().flat_map(|table| &table.new_columns).map(|column| column.name.as_str()).collect();
    assert_eq!(new, ["id__v_text"]);
    assert!(schema.is_some());
}

fn hinted(column: &str, data_type: Option<schema::DataType>, nullable: bool) -> Hint {
    Hint { column: column.to_owned(), data_type, nullable }
}

#[test]
fn a_hinted_column_has_its_type_from_the_beginning() {
    let hints = [
        hinted("price", Some(schema::DataType::Decimal { precision: 10, scale: 2 }), true),
        hinted("code", Some(schema::DataType::Text), true),
        hinted("raw", Some(schema::DataType::Json), true),
        hinted("never", Some(schema::DataType::Bigint), true),
    ];
    let target = Target { hints: &hints, ..ORDERS };
    let records = [
        json!({"id": 1, "price": 12.5, "code": 7, "raw": {"a": [1]}}),
        json!({"id": 2, "price": "x", "code": "8", "raw": [{"b": 2}]}),
    ];
    let found = rows(&target, &records).unwrap();
    assert_eq!(found.len(), 1);
    let price: Value = serde_json::from_str("12.50").unwrap();
    assert_eq!(found["rec"][0], json!({"id": 1, "price": price, "code": "7", "raw": "{\"a\":[1]}"}));
    assert_eq!(found["rec"][1], json!({"id": 2, "price__v_text": "x", "code": "8", "raw": "[{\"b\":2}]"}));

    let mut shaper = Shaper::new("1.5".to_owned(), Schema::default());
    shaper.add(&target, &records[0], &[7; identity::BYTES]).unwrap();
    let (tables, schema) = shaper.take().unwrap();
    let new: Vec<&str> = tables[0].new_columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(new, ["price", "code", "raw", "never", "id", "_dlt_load_id", "_dlt_id"]);

    // The type that a table has stays.
    let known = Schema::parse(&schema.unwrap()).unwrap();
    let hints = [hinted("code", Some(schema::DataType::Bigint), true)];
    let error = Shaper::new("2".to_owned(), known)
        .add(&Target { hints: &hints, ..ORDERS }, &records[0], &[7; identity::BYTES])
        .unwrap_err();
    assert_eq!(error.message, "the column `code` of `rec` is text, and `columns` says bigint");
}

#[test]
fn a_column_that_is_not_nullable_has_a_value_in_each_row() {
    let hints = [hinted("a", None, false)];
    let target = Target { hints: &hints, ..ORDERS };
    let mut shaper = Shaper::new("1.5".to_owned(), Schema::default());
    shaper.add(&target, &json!({"a": 1, "b": 1}), &[7; identity::BYTES]).unwrap();
    let (tables, _) = shaper.take().unwrap();
    let nullable: Vec<(&str, bool)> =
        tables[0].new_columns.iter().map(|column| (column.name.as_str(), column.nullable)).collect();
    assert_eq!(nullable, [("a", false), ("b", true), ("_dlt_load_id", false), ("_dlt_id", false)]);
    for record in [json!({"b": 1}), json!({"a": null}), json!({"a": {"b": 1}})] {
        let mut shaper = Shaper::new("1.5".to_owned(), Schema::default());
        let error = shaper.add(&target, &record, &[7; identity::BYTES]).unwrap_err();
        assert_eq!(error.message, "a record has no value for `a` of `rec`, which is not nullable");
    }
}
