//! What holds for all records: no value is lost without being told, and both forms of rows say the same.

use super::tests::{add, orders, plain, shaper};
use super::*;
use arrow_ipc::reader::StreamReader;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Any JSON, of few keys, so that they meet, and with texts that look like other types.
fn value() -> impl Strategy<Value = Value> {
    let texts = prop::sample::select(vec![
        "",
        "x",
        "5",
        "-0x1f",
        "2.5",
        "true",
        "2024-01-02T03:04:05Z",
        "2024-01-02",
        "é\n\"\u{1F600}",
    ]);
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-3i64..4).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-100i32..100).prop_map(|n| Value::from(f64::from(n) / 4.0)),
        any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(Value::from),
        texts.prop_map(Value::from),
        "[a-z0-9é ]{0,6}".prop_map(Value::from),
    ];
    scalar.prop_recursive(4, 40, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec((key(), inner), 0..5).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    // Without `list`: what lists within lists make at the limit is a JSON column of that name, which keeps all that goes there.
    prop::sample::select(vec!["a", "b", "c", "d", "value", "имя"]).prop_map(str::to_owned)
}

fn record() -> impl Strategy<Value = Value> {
    vec((key(), value()), 0..6).prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

/// The values of a row that become cells, down to where they are kept as JSON.
fn cells_of_row<'v>(row: &'v Value, nesting: u32, found: &mut Vec<&'v Value>) {
    match row {
        Value::Object(fields) => fields.values().for_each(|field| cells_of_field(field, nesting, found)),
        // A list that is a row takes one more (reference, section 9.3; verified with dlt 1.31).
        list @ Value::Array(_) => cells_of_field(list, nesting.saturating_sub(1), found),
        other => cells_of_field(other, nesting, found),
    }
}

fn cells_of_field<'v>(field: &'v Value, nesting: u32, found: &mut Vec<&'v Value>) {
    match field {
        Value::Null => {}
        Value::Array(items) if nesting > 0 => items.iter().for_each(|item| cells_of_row(item, nesting - 1, found)),
        Value::Object(fields) if nesting > 0 => {
            fields.values().for_each(|field| cells_of_field(field, nesting - 1, found));
        }
        cell => found.push(cell),
    }
}

fn cells_in(records: &[Value], nesting: u32) -> Vec<&Value> {
    let mut found = Vec::new();
    records.iter().for_each(|record| cells_of_row(record, nesting, &mut found));
    found
}

/// A value without regard to its type: what a person would take for the same. Of a double beyond 2^53, whose shortest digits are not those
/// of the whole number that it is, both.
fn essences(value: &Value) -> [String; 2] {
    let digits = essence(value);
    let double = value.as_f64().filter(|double| value.is_f64() && double.abs() < 1e38 && double.fract() == 0.0);
    let whole = double.map_or_else(|| digits.clone(), |double| (double as i128).to_string());
    [digits, whole]
}

fn essence(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if let Some(instant) = timestamp::instant(&text) {
        return format!("at {instant}");
    }
    let text = text.trim().to_owned();
    match (cell::Scalar::Text(&text).coerce(schema::DataType::LARGE_INTEGER), text.parse::<f64>()) {
        (Some((cell::Cell::Decimal(number), _)), _) => number.to_string(),
        (_, Ok(number)) if number.is_finite() => number.to_string(),
        _ => text,
    }
}

/// What may have become of values otherwise than they are: the converted and the left out ones.
fn count_of(batch: &Batch, kinds: &[ChangeKind]) -> u64 {
    batch.changes.iter().filter(|change| kinds.contains(&change.kind)).map(|change| change.count).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn every_value_is_in_a_table_or_in_the_report(records in vec(record(), 1..6), max_nesting in 0u32..6) {
        let target = Target { max_nesting, ..orders() };
        let mut shaper = shaper();
        for record in &records {
            prop_assert!(add(&mut shaper, &target, record).unwrap().is_kept);
        }
        let batch = shaper.take().unwrap();
        let found = plain(&batch);
        let rows = found.values().flatten();
        let mut cells: Vec<[String; 2]> =
            rows.flat_map(|row| row.as_object().unwrap().values()).map(essences).collect();
        let wanted = cells_in(&records, max_nesting);
        prop_assert_eq!(cells.len(), wanted.len());
        let mut missing = 0;
        for essences in wanted.into_iter().map(essences) {
            match cells.iter().position(|cell| cell.iter().any(|cell| essences.contains(cell))) {
                Some(at) => drop(cells.swap_remove(at)),
                None => missing += 1,
            }
        }
        prop_assert!(missing <= count_of(&batch, &[ChangeKind::Coerced]), "{} values are nowhere: {:?}", missing, found);
    }

    #[test]
    fn what_a_contract_leaves_out_is_counted(first in record(), records in vec(record(), 1..5), mode in 0usize..3) {
        let mode = ["evolve", "discard_value", "discard_row"][mode];
        let contract = serde_json::from_value(json!(mode)).unwrap();
        let target = Target { contract: Contract::new(Some(&contract)), ..orders() };
        let mut shaper = shaper();
        add(&mut shaper, &orders(), &first).unwrap();
        let schema = Schema::parse(&shaper.take().unwrap().schema.unwrap()).unwrap();
        let mut shaper = Shaper::new("2".to_owned(), schema);
        let mut kept = 0;
        for record in &records {
            kept += u64::from(add(&mut shaper, &target, record).unwrap().is_kept);
        }
        let batch = shaper.take().unwrap();
        let roots = batch.tables.iter().find(|table| table.table == "rec").map_or(0, |table| table.rows.num_rows() as u64);
        prop_assert_eq!(roots, kept);
        let dropped: u64 = batch
            .changes
            .iter()
            .filter(|change| change.table == "rec" && change.kind == ChangeKind::DiscardedRow)
            .map(|change| change.count)
            .sum();
        prop_assert_eq!(dropped + kept, records.len() as u64);
        if mode == "discard_value" {
            let cells: usize = plain(&batch).values().flatten().map(|row| row.as_object().unwrap().len()).sum();
            let all = cells_in(&records, 1000).len();
            let left_out = count_of(&batch, &[ChangeKind::DiscardedValue]);
            // Rows of tables that are not admitted are counted as rows.
            let has_no_table = batch.changes.iter().any(|change| change.column.is_none());
            prop_assert!(has_no_table || cells as u64 + left_out == all as u64, "{cells} + {left_out} of {all}");
            prop_assert!(batch.tables.iter().all(|table| table.new_columns.is_empty()));
        }
    }

    #[test]
    fn both_forms_of_rows_say_the_same(records in vec(record(), 1..5)) {
        let mut shaper = shaper();
        for record in &records {
            add(&mut shaper, &orders(), record).unwrap();
        }
        for table in shaper.take().unwrap().tables {
            let bytes = encode::arrow(&table.rows).unwrap();
            let read: Vec<_> = StreamReader::try_new(bytes.as_slice(), None).unwrap().map(std::result::Result::unwrap).collect();
            prop_assert_eq!(read.len(), 1);
            prop_assert_eq!(&read[0], &table.rows);
            prop_assert_eq!(encode::ndjson(&read[0]).unwrap().lines().count(), table.rows.num_rows());
        }
    }

    #[test]
    fn no_text_is_too_strange(text in "[\\[\\]{}\",:0-9eE.tfn\\\\u -]{0,40}") {
        let _ = shaper().add(&orders(), &text, &[7; identity::BYTES]);
    }
}
