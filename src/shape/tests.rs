use super::schema::DataType;
use super::*;
use crate::config::model::{ContractMode, SchemaContract};
use crate::disposition::{Duplicates, Merge, Strategy};
use serde_json::{Value, json};

pub(super) fn orders() -> Target {
    Target {
        resource: "rec".to_owned(),
        pointer: "/resources/0".to_owned(),
        table: "rec".to_owned(),
        max_nesting: 1000,
        write_disposition: WriteDisposition::Merge(Merge {
            strategy: Strategy::DeleteInsert { merge_key: Vec::new() },
            duplicates: Duplicates::KeepLast,
            hard_delete: None,
        }),
        row_id: RowId::Random,
        hints: Vec::new(),
        contract: Contract::default(),
        on_collision: OnCollision::Error,
        widen: false,
    }
}

pub(super) fn shaper() -> Shaper {
    Shaper::new("1.5".to_owned(), Schema::default())
}

pub(super) fn add(shaper: &mut Shaper, target: &Target, record: &Value) -> Result<Added> {
    shaper.add(target, &record.to_string(), &[7; identity::BYTES])
}

pub(super) type Rows = BTreeMap<String, Vec<Value>>;

/// The rows of a batch by table, without our own columns.
pub(super) fn plain(batch: &Batch) -> Rows {
    let mut found = BTreeMap::new();
    for table in &batch.tables {
        let lines = encode::ndjson(&table.rows).unwrap();
        let mut rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for row in &mut rows {
            row.as_object_mut().unwrap().retain(|name, _| !name.starts_with("_dlt"));
        }
        found.insert(table.table.clone(), rows);
    }
    found
}

fn rows(target: &Target, records: &[Value]) -> Result<Rows> {
    let mut shaper = shaper();
    for record in records {
        add(&mut shaper, target, record)?;
    }
    Ok(plain(&shaper.take()?))
}

#[test]
fn objects_become_columns_and_lists_become_tables() {
    // Reference, worked example 1.
    let record = json!({"Imo": 901, "crewSize": null, "hull": {"lengthM": 81.5, "yard": {"City": "Gdynia"}},
        "flags": ["PL", "MT"], "legs": [{"port": "Oslo", "etaUtc": "2025-02-03T04:05:06Z"}]});
    let found = rows(&orders(), &[record]).unwrap();
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
    let found = rows(&orders(), &records).unwrap();
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
    let at = |max_nesting| rows(&Target { max_nesting, ..orders() }, std::slice::from_ref(&record)).unwrap();
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
    let found = rows(&orders(), &[json!({"m": [[1, 2], [3]]})]).unwrap();
    assert_eq!(found["rec__m"], [json!({}), json!({})]);
    assert_eq!(found["rec__m__list"], [json!({"value": 1}), json!({"value": 2}), json!({"value": 3})]);
    // A record that is a list is one of a key `value`.
    let found = rows(&orders(), &[json!([1, 2])]).unwrap();
    assert_eq!(found["rec"], [json!({})]);
    assert_eq!(found["rec__value"], [json!({"value": 1}), json!({"value": 2})]);
}

#[test]
fn large_integers_keep_their_digits() {
    let record: Value = serde_json::from_str(r#"{"a": 9223372036854775807, "b": 18446744073709551616}"#).unwrap();
    let found = rows(&orders(), std::slice::from_ref(&record)).unwrap();
    assert_eq!(found["rec"], [record]);
}

#[test]
fn two_keys_in_one_column_are_an_error_that_names_both() {
    let error = rows(&orders(), &[json!({"userId": 1, "user_id": 2})]).unwrap_err();
    assert_eq!(error.kind, Kind::Schema);
    assert_eq!(
        error.message,
        "the keys `userId` and `user_id` of one record both become the column `user_id` of `rec`"
    );
}

#[test]
fn rows_are_tied_together() {
    let mut shaper = shaper();
    shaper.add(&orders(), &json!({"id": 1, "kids": [{"toys": ["a"]}]}).to_string(), &[0; identity::BYTES]).unwrap();
    let Batch { tables, schema, .. } = shaper.take().unwrap();
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
    shaper.add(&orders(), &json!({"id": "x", "kids": [{"toys": [1]}]}).to_string(), &[0; identity::BYTES]).unwrap();
    let Batch { tables, schema, .. } = shaper.take().unwrap();
    let new: Vec<&str> =
        tables.iter().flat_map(|table| &table.new_columns).map(|column| column.name.as_str()).collect();
    assert_eq!(new, ["id__v_text"]);
    assert!(schema.is_some());
}

/// Whatever their ids are, and what a contract leaves out.
#[test]
fn child_rows_name_the_root_rows_that_they_stem_from() {
    let contract = SchemaContract::Word(ContractMode::DiscardRow);
    let known = {
        let mut shaper = shaper();
        add(&mut shaper, &orders(), &json!({"id": 1, "kids": [{"n": 1, "toys": ["a"]}]})).unwrap();
        Schema::parse(&shaper.take().unwrap().schema.unwrap()).unwrap()
    };
    let target = Target { contract: Contract::new(Some(&contract)), ..orders() };
    let mut shaper = Shaper::new("2".to_owned(), known);
    for record in [
        json!({"id": 1}),
        json!({"id": 2, "kids": [{"n": 1, "toys": ["a", "b"]}, {"n": 2, "new": 1, "toys": ["c"]}]}),
        json!({"id": 3, "kids": [{"n": 1}], "new": 1}),
        json!({"id": 4, "kids": [{"n": 1}, {"toys": ["d"], "n": 2}]}),
    ] {
        add(&mut shaper, &target, &record).unwrap();
    }
    let Batch { tables, .. } = shaper.take().unwrap();
    let roots: Vec<_> = tables.iter().map(|table| (table.table.as_str(), table.roots.as_slice())).collect();
    assert_eq!(roots, [("rec", &[][..]), ("rec__kids", &[1, 2, 2]), ("rec__kids__toys", &[1, 1, 2])]);
    add(&mut shaper, &target, &json!({"id": 5, "kids": [{"n": 1}]})).unwrap();
    assert_eq!(shaper.take().unwrap().tables[1].roots, [0]);
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
    let target = Target { hints: hints.to_vec(), ..orders() };
    let records = [
        json!({"id": 1, "price": 12.5, "code": 7, "raw": {"a": [1]}}),
        json!({"id": 2, "price": "x", "code": "8", "raw": [{"b": 2}]}),
    ];
    let found = rows(&target, &records).unwrap();
    assert_eq!(found.len(), 1);
    let price: Value = serde_json::from_str("12.50").unwrap();
    assert_eq!(found["rec"][0], json!({"id": 1, "price": price, "code": "7", "raw": "{\"a\":[1]}"}));
    assert_eq!(found["rec"][1], json!({"id": 2, "price__v_text": "x", "code": "8", "raw": "[{\"b\":2}]"}));

    let mut shaper = shaper();
    add(&mut shaper, &target, &records[0]).unwrap();
    let Batch { tables, schema, .. } = shaper.take().unwrap();
    let new: Vec<&str> = tables[0].new_columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(new, ["price", "code", "raw", "never", "id", "_dlt_load_id", "_dlt_id"]);

    // The type that a table has stays.
    let known = Schema::parse(&schema.unwrap()).unwrap();
    let hints = [hinted("code", Some(schema::DataType::Bigint), true)];
    let target = Target { hints: hints.to_vec(), ..orders() };
    let error = add(&mut Shaper::new("2".to_owned(), known), &target, &records[0]).unwrap_err();
    assert_eq!(error.message, "the column `code` of `rec` is text, and `columns` says bigint");
}

#[test]
fn a_column_that_is_not_nullable_has_a_value_in_each_row() {
    let hints = [hinted("a", None, false)];
    let target = Target { hints: hints.to_vec(), ..orders() };
    let mut shaper = self::shaper();
    add(&mut shaper, &target, &json!({"a": 1, "b": 1})).unwrap();
    let Batch { tables, .. } = shaper.take().unwrap();
    let nullable: Vec<(&str, bool)> =
        tables[0].new_columns.iter().map(|column| (column.name.as_str(), column.nullable)).collect();
    assert_eq!(nullable, [("a", false), ("b", true), ("_dlt_load_id", false), ("_dlt_id", false)]);
    for record in [json!({"b": 1}), json!({"a": null}), json!({"a": {"b": 1}})] {
        let mut shaper = self::shaper();
        let error = add(&mut shaper, &target, &record).unwrap_err();
        assert_eq!(error.message, "a record has no value for `a` of `rec`, which is not nullable");
    }
}

/// A line of a report: column, what became of its values, how many, and the first of them.
type Line = (String, ChangeKind, u64, String);

/// The report of a batch.
fn told(batch: &Batch) -> Vec<Line> {
    let column = |change: &Change| {
        let column = change.column.as_ref().map(|column| format!(".{column}")).unwrap_or_default();
        format!("{}{column}", change.table)
    };
    let mut told: Vec<_> =
        batch.changes.iter().map(|change| (column(change), change.kind, change.count, change.sample.clone())).collect();
    told.sort();
    told
}

fn line(column: &str, kind: ChangeKind, count: u64, sample: &str) -> Line {
    (column.to_owned(), kind, count, sample.to_owned())
}

#[test]
fn what_became_of_values_is_told() {
    use ChangeKind::{Coerced, DiscardedValue, Variant};
    let mut shaper = shaper();
    for record in [
        json!({"id": 1, "n": 1, "t": "x", "l": [{"d": 1.5}]}),
        json!({"id": 2, "n": "2", "t": 5, "l": [{"d": "2.5"}, {"d": "no"}]}),
        json!({"id": 3, "n": 3.5, "t": true, "l": [{"d": 3}]}),
        json!({"id": 4, "n": "4", "t": "y", "_dlt_load_id": "mine"}),
    ] {
        add(&mut shaper, &orders(), &record).unwrap();
    }
    let batch = shaper.take().unwrap();
    let expected = [
        line("rec._dlt_load_id", DiscardedValue, 1, "\"mine\""),
        line("rec.n", Coerced, 2, "\"2\""),
        line("rec.n__v_double", Variant, 1, "3.5"),
        line("rec.t", Coerced, 2, "5"),
        line("rec__l.d", Coerced, 1, "\"2.5\""),
        line("rec__l.d__v_text", Variant, 1, "\"no\""),
    ];
    assert_eq!(told(&batch), expected);

    // The next batch tells of its own values only.
    add(&mut shaper, &orders(), &json!({"n": "5"})).unwrap();
    assert_eq!(told(&shaper.take().unwrap()), [line("rec.n", Coerced, 1, "\"5\"")]);
    add(&mut shaper, &orders(), &json!({"n": 5})).unwrap();
    assert_eq!(told(&shaper.take().unwrap()), []);
}

#[test]
fn a_conversion_that_is_asked_for_is_told_only_where_something_is_lost() {
    let hints = vec![
        hinted("at", Some(DataType::Timestamp), true),
        hinted("price", Some(DataType::Decimal { precision: 10, scale: 2 }), true),
    ];
    let target = Target { hints, ..orders() };
    let mut shaper = shaper();
    add(&mut shaper, &target, &json!({"at": 1_700_000_000, "price": "1.50"})).unwrap();
    add(&mut shaper, &target, &json!({"at": "2024-01-02", "price": "1.555"})).unwrap();
    assert_eq!(told(&shaper.take().unwrap()), [line("rec.price", ChangeKind::Coerced, 1, "\"1.555\"")]);
}

#[test]
fn a_key_that_stands_twice_counts_once() {
    let mut shaper = shaper();
    let mut add = |record: &str| shaper.add(&orders(), record, &[7; identity::BYTES]).unwrap();
    add(r#"{"a": 1, "b": {"x": 1}, "l": [1], "a": "two", "b": {"y": 2}, "l": [3, 4]}"#);
    add(r#"{"a": "three"}"#);
    let batch = shaper.take().unwrap();
    assert_eq!(plain(&batch)["rec"], [json!({"a": "two", "b__y": 2}), json!({"a": "three"})]);
    assert_eq!(plain(&batch)["rec__l"], [json!({"value": 3}), json!({"value": 4})]);
    let names: Vec<&str> = batch.tables[0].new_columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["a", "b__y", "_dlt_load_id", "_dlt_id"]);
    assert_eq!(told(&batch), []);
}

#[test]
fn a_row_brings_its_id_wherever_it_stands() {
    let mut shaper = shaper();
    let record = json!({"l": [{"m": [1], "_dlt_id": "inner"}], "_dlt_id": "outer"});
    add(&mut shaper, &orders(), &record).unwrap();
    let Batch { tables, .. } = shaper.take().unwrap();
    let row = |at: usize| -> Value { serde_json::from_str(&encode::ndjson(&tables[at].rows).unwrap()).unwrap() };
    assert_eq!(row(0)["_dlt_id"], "outer");
    assert_eq!((&row(1)["_dlt_id"], &row(1)["_dlt_parent_id"]), (&json!("inner"), &json!("outer")));
    assert_eq!(row(2)["_dlt_parent_id"], "inner");
    assert_eq!(row(2)["_dlt_id"], identity::child("inner", "rec__l__m", 0));
    assert_eq!(row(2)["_dlt_root_id"], "outer");
}

#[test]
fn rows_that_are_known_by_their_key_have_its_hash_as_id() {
    // Reference, section 9.4.
    let target = Target { row_id: RowId::Key(vec!["id".to_owned()]), ..orders() };
    let mut shaper = shaper();
    add(&mut shaper, &target, &json!({"x": 5, "id": 1, "kids": [{}]})).unwrap();
    let Batch { tables, .. } = shaper.take().unwrap();
    let row = |at: usize| -> Value { serde_json::from_str(&encode::ndjson(&tables[at].rows).unwrap()).unwrap() };
    assert_eq!(row(0)["_dlt_id"], "z5jIxXIbUnmbKw");
    assert_eq!(row(1)["_dlt_id"], "7z0TEErrak8PJQ");
}

#[test]
fn columns_stand_in_the_order_of_dlt() {
    // Reference, section 9.2.
    let mut shaper = shaper();
    add(
        &mut shaper,
        &orders(),
        &json!({"a": {"x": 1, "p": {"z": 1}, "y": 2}, "b": 1, "c": {"v": 1, "q": {"w": 2}}, "d": 2}),
    )
    .unwrap();
    add(&mut shaper, &orders(), &json!({"d": "x", "n": null, "e": 1, "a": {"t": 1}, "f": 2})).unwrap();
    add(&mut shaper, &orders(), &json!({"g": 2, "n": 1})).unwrap();
    let Batch { tables, .. } = shaper.take().unwrap();
    let names: Vec<&str> = tables[0].new_columns.iter().map(|column| column.name.as_str()).collect();
    let expected = [
        "b",
        "d",
        "c__v",
        "c__q__w",
        "a__x",
        "a__y",
        "a__p__z",
        "_dlt_load_id",
        "_dlt_id",
        "d__v_text",
        "e",
        "f",
        "a__t",
        "g",
        "n",
    ];
    assert_eq!(names, expected);
}

#[test]
fn keys_that_meet_are_an_error_that_names_both() {
    for (record, message) in [
        (
            json!({"a": {"b": 1}, "a__b": 2}),
            "the keys `a/b` and `a__b` of one record both become the column `a__b` of `rec`",
        ),
        (
            json!({"userId": [1], "user_id": [2]}),
            "the keys `userId` and `user_id` of one record both become the table `rec__user_id`",
        ),
        (json!({"l": [{"é": 1, "ü": 2}]}), "the keys `é` and `ü` of one record both become the column `x` of `rec__l`"),
    ] {
        assert_eq!(rows(&orders(), &[record]).unwrap_err().message, message);
    }
    // No value is lost here.
    let records =
        [json!({"userId": 1, "user_id": null}), json!({"user_id": 2}), json!({"a": 1, "a__x": 2, "A": {"y": 3}})];
    let found = rows(&orders(), &records).unwrap();
    assert_eq!(found["rec"], [json!({"user_id": 1}), json!({"user_id": 2}), json!({"a": 1, "a__x": 2, "a__y": 3})]);
}

#[test]
fn with_suffixes_each_spelling_has_its_own() {
    let target = Target { on_collision: OnCollision::Suffix, ..orders() };
    let mut shaper = shaper();
    add(&mut shaper, &target, &json!({"user_id": 1, "l": [1]})).unwrap();
    add(&mut shaper, &target, &json!({"userId": 2, "user_id": 3, "USER_ID": 4, "L": [2], "l": [3]})).unwrap();
    let batch = shaper.take().unwrap();
    let found = plain(&batch);
    assert_eq!(found["rec"], [json!({"user_id": 1}), json!({"user_id_2": 2, "user_id": 3, "user_id_3": 4})]);
    assert_eq!(found["rec__l"], [json!({"value": 1}), json!({"value": 3})]);
    assert_eq!(found["rec__l_2"], [json!({"value": 2})]);

    // A later run knows which is whose.
    let known = Schema::parse(&batch.schema.unwrap()).unwrap();
    let mut shaper = Shaper::new("2".to_owned(), known);
    add(&mut shaper, &target, &json!({"USER_ID": 7, "userId": 8, "L": [9]})).unwrap();
    let found = plain(&shaper.take().unwrap());
    assert_eq!(found["rec"], [json!({"user_id_3": 7, "user_id_2": 8})]);
    assert_eq!(found["rec__l_2"], [json!({"value": 9})]);
}

#[test]
fn whole_numbers_become_doubles_where_that_is_wanted() {
    let target = Target { widen: true, ..orders() };
    let mut shaper = shaper();
    add(&mut shaper, &target, &json!({"n": 1})).unwrap();
    add(&mut shaper, &target, &json!({"n": 2.5})).unwrap();
    let batch = shaper.take().unwrap();
    assert_eq!(plain(&batch)["rec"], [json!({"n": 1.0}), json!({"n": 2.5})]);
    assert_eq!(batch.tables[0].new_columns[0].data_type, DataType::Double);
    assert!(batch.tables[0].widened_columns.is_empty() && batch.changes.is_empty());

    let mut shaper = self::shaper();
    add(&mut shaper, &target, &json!({"n": 1, "m": 1})).unwrap();
    let known = shaper.take().unwrap().schema.unwrap();
    let mut shaper = Shaper::new("2".to_owned(), Schema::parse(&known).unwrap());
    for record in [json!({"n": 2}), json!({"n": 2.5}), json!({"m": "x", "n": 9_223_372_036_854_775_807_i64})] {
        add(&mut shaper, &target, &record).unwrap();
    }
    let batch = shaper.take().unwrap();
    let widened: Vec<_> =
        batch.tables[0].widened_columns.iter().map(|column| (&*column.name, column.data_type)).collect();
    assert_eq!(widened, [("n", DataType::Double)]);
    assert_eq!(plain(&batch)["rec"][1], json!({"n": 2.5}));
    assert!(batch.schema.as_ref().unwrap().contains("double"));
    assert_eq!(
        told(&batch),
        [
            line("rec.m__v_text", ChangeKind::Variant, 1, "\"x\""),
            line("rec.n", ChangeKind::Coerced, 1, "9223372036854775807")
        ]
    );
}

/// A shaper of a later load, of what `records` made, and what the next records give.
fn under(contract: Value, records: &[Value], next: &[Value]) -> Result<(Rows, Vec<Line>)> {
    let contract: SchemaContract = serde_json::from_value(contract).unwrap();
    let target = Target { contract: Contract::new(Some(&contract)), ..orders() };
    let mut shaper = shaper();
    for record in records {
        add(&mut shaper, &target, record)?;
    }
    let known = Schema::parse(&shaper.take()?.schema.unwrap()).unwrap();
    let mut shaper = Shaper::new("2".to_owned(), known);
    for record in next {
        add(&mut shaper, &target, record)?;
    }
    let batch = shaper.take()?;
    Ok((plain(&batch), told(&batch)))
}

#[test]
fn contracts_are_kept() {
    use ChangeKind::{DiscardedRow, DiscardedValue, Variant};
    // Reference, section 10.5 and worked example 10. The first load makes the tables, whatever the contract says.
    let first = [json!({"id": 1, "a": 1, "l": [{"x": 1}]})];
    let next = [
        json!({"id": 2, "a": 2, "b": 9, "o": {"p": 1}}),
        json!({"id": 3, "a": "x", "b": null, "m": [1, {"y": 2}]}),
        json!({"id": 4, "a": 4, "l": [{"x": 5}, {"x": 6, "z": 7}, {"x": 8}]}),
    ];
    let (found, told) = under(json!("discard_row"), &first, &next).unwrap();
    assert_eq!(found["rec"], [json!({"id": 4, "a": 4})]);
    assert_eq!(found["rec__l"], [json!({"x": 5}), json!({"x": 8})]);
    assert_eq!(found.len(), 2);
    assert_eq!(
        told,
        [
            line("rec.a", DiscardedRow, 1, "\"x\""),
            line("rec.b", DiscardedRow, 1, "9"),
            line("rec__l.z", DiscardedRow, 1, "7"),
        ]
    );

    let (found, told) = under(json!("discard_value"), &first, &next).unwrap();
    assert_eq!(found["rec"], [json!({"id": 2, "a": 2}), json!({"id": 3}), json!({"id": 4, "a": 4})]);
    assert_eq!(found["rec__l"], [json!({"x": 5}), json!({"x": 6}), json!({"x": 8})]);
    assert_eq!(
        told,
        [
            line("rec.a", DiscardedValue, 1, "\"x\""),
            line("rec.b", DiscardedValue, 1, "9"),
            line("rec.o__p", DiscardedValue, 1, "1"),
            line("rec__l.z", DiscardedValue, 1, "7"),
            line("rec__m", DiscardedRow, 2, "1"),
        ]
    );

    for (record, message) in [
        (&next[0], "the column `b` of `rec` is new, and `schema_contract` freezes `columns`; the value is 9"),
        (
            &next[1],
            "a value does not fit the column `a` of `rec`, which is bigint, and `schema_contract` freezes `data_type`; the value is \
             \"x\"",
        ),
        (
            &json!({"m": [{"y": 2}]}),
            "the table `rec__m` is new, and `schema_contract` freezes `tables`; the value is {\"y\":2}",
        ),
    ] {
        let error = under(json!("freeze"), &first, std::slice::from_ref(record)).unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (Kind::Schema, message));
        assert_eq!(error.pointer.as_deref(), Some("/resources/0/schema_contract"));
    }

    // Each by itself.
    let (found, told) = under(json!({"columns": "freeze"}), &first, &[json!({"a": "x", "m": [1]})]).unwrap();
    assert_eq!(
        (found["rec"].clone(), found["rec__m"].clone()),
        (vec![json!({"a__v_text": "x"})], vec![json!({"value": 1})])
    );
    assert_eq!(told, [line("rec.a__v_text", Variant, 1, "\"x\"")]);
    // What is known of a table stays, though its first rows of this load are left out.
    let records = [json!({"a": "x", "l": [{"x": 1}]}), json!({"a": 2, "l": [{"x": 2}]})];
    let (found, _) = under(json!({"data_type": "discard_row"}), &first, &records).unwrap();
    assert_eq!((found["rec"].clone(), found["rec__l"].clone()), (vec![json!({"a": 2})], vec![json!({"x": 2})]));
    let (found, _) = under(json!({"tables": "discard_row"}), &first, &[json!({"id": 5, "b": 1, "m": [1]})]).unwrap();
    assert_eq!(found["rec"], [json!({"id": 5, "b": 1})]);
    assert!(!found.contains_key("rec__m"));
    // A variant that is there already is none that is new.
    let (found, told) =
        under(json!({"data_type": "freeze"}), &[json!({"a": 1, "a__v_text": "x"})], &[json!({"a": "y"})]).unwrap();
    assert_eq!(found["rec"], [json!({"a__v_text": "y"})]);
    assert_eq!(told.len(), 1);
}

#[test]
fn a_row_that_is_left_out_leaves_nothing_behind() {
    let contract = Contract { data_type: ContractMode::DiscardRow, ..Contract::default() };
    let target = Target { contract, ..orders() };
    let mut shaper = shaper();
    assert!(add(&mut shaper, &target, &json!({"a": 1})).unwrap().is_kept);
    let record = json!({"new": 1, "l": [{"m": [1, 2]}], "n": "5", "a": "x", "after": {"b": 2}});
    assert!(!add(&mut shaper, &target, &record).unwrap().is_kept);
    add(&mut shaper, &target, &json!({"after": {"b": "text"}, "a": 2})).unwrap();
    let batch = shaper.take().unwrap();
    assert_eq!(plain(&batch)["rec"], [json!({"a": 1}), json!({"after__b": "text", "a": 2})]);
    assert_eq!(batch.tables.len(), 1);
    let names: Vec<&str> = batch.tables[0].new_columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["a", "_dlt_load_id", "_dlt_id", "after__b"]);
    assert_eq!(told(&batch), [line("rec.a", ChangeKind::DiscardedRow, 1, "\"x\"")]);
}

#[test]
fn a_variant_may_have_a_variant() {
    let found = rows(&orders(), &[json!({"q": 1, "q__v_text": 5}), json!({"q": "x"})]).unwrap();
    assert_eq!(found["rec"], [json!({"q": 1, "q__v_text": 5}), json!({"q__v_text__v_text": "x"})]);
    // A text of a variant is no time (reference, section 10.4).
    let found = rows(&orders(), &[json!({"q": 1}), json!({"q": "2024-01-01T00:00:00Z"}), json!({"q": "x"})]).unwrap();
    assert_eq!(found["rec"][1..], [json!({"q__v_text": "2024-01-01T00:00:00Z"}), json!({"q__v_text": "x"})]);
}

#[test]
fn a_table_has_no_end_of_columns() {
    let record: serde_json::Map<String, Value> = (0..10_001).map(|nth| (format!("k{nth}"), json!(1))).collect();
    let error = rows(&orders(), &[record.into()]).unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (Kind::Limit, "the table `rec` has more than 10000 columns"));
}
