//! Characters that a database cannot store: PostgreSQL has no U+0000 in text, nor its escape in `jsonb`, nor half a pair of
//! surrogates there. In their place stands U+FFFD, and the report of changes tells it.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, StringArray, cast::AsArray};

use crate::{
    changes::{Change, ChangeKind},
    destination::{DataType, dialect::Dialect},
};

/// Values of a column as the database can store them, where they are not so already; with the number of those that differ, and
/// the first of them as it was.
pub(super) fn fit(values: &ArrayRef, data_type: DataType, dialect: &dyn Dialect) -> Option<(ArrayRef, u64, String)> {
    if !dialect.refuses_character('\0') {
        return None;
    }
    let fit_one: fn(&str) -> Option<String> = match data_type {
        DataType::Text => |text| text.contains('\0').then(|| text.replace('\0', "\u{fffd}")),
        DataType::Json => fit_json,
        _ => return None,
    };
    let texts = values.as_string_opt::<i32>()?;
    let mut changed = (0..texts.len()).filter(|row| texts.is_valid(*row) && fit_one(texts.value(*row)).is_some());
    let first = changed.next()?;
    let count = 1 + changed.count() as u64;
    let fitted: StringArray =
        texts.iter().map(|text| text.map(|text| fit_one(text).unwrap_or_else(|| text.to_owned()))).collect();
    Some((Arc::new(fitted), count, texts.value(first).to_owned()))
}

/// A change of values for the report.
pub(super) fn change(resource: &str, table: &str, column: &str, count: u64, first: &str) -> Change {
    // As much as the connector's own report shows of a value.
    let sample: String = first.escape_default().take(120).collect();
    Change {
        resource: resource.to_owned(),
        table: table.to_owned(),
        column: Some(column.to_owned()),
        kind: ChangeKind::Coerced,
        count,
        sample: format!("\"{sample}\""),
    }
}

/// A JSON document without the escapes `\u0000` and halves of surrogate pairs. `None` where it has none.
fn fit_json(document: &str) -> Option<String> {
    if !document.contains("\\u") {
        return None;
    }
    let (mut fitted, mut rest, mut changed) = (String::new(), document, false);
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        fitted.push_str(before);
        let (length, is_fit) = match (unit(escape), escape.get(6..).and_then(unit)) {
            // Another escape, of two characters.
            (None, _) => (2, true),
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (12, true),
            (Some(0 | 0xd800..=0xdfff), _) => (6, false),
            (Some(_), _) => (6, true),
        };
        let (escape, after) = escape.split_at(escape.floor_char_boundary(length));
        fitted.push_str(if is_fit { escape } else { "\\ufffd" });
        changed |= !is_fit;
        rest = after;
    }
    fitted.push_str(rest);
    changed.then_some(fitted)
}

/// The code unit that an escape `\uXXXX` at the beginning of a text stands for.
fn unit(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::{duckdb::DuckDb, postgres::Postgres};

    fn fitted(texts: &[&str], data_type: DataType) -> Option<(Vec<String>, u64, String)> {
        let values: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
        assert!(fit(&values, data_type, &DuckDb).is_none());
        let (values, count, first) = fit(&values, data_type, &Postgres)?;
        let texts = values.as_string::<i32>().iter().map(|text| text.unwrap().to_owned()).collect();
        Some((texts, count, first))
    }

    #[test]
    fn what_cannot_be_stored_is_replaced_and_told() {
        assert_eq!(fitted(&["a", "\\u0000"], DataType::Text), None);
        let (texts, count, first) = fitted(&["a", "b\0c", "\0"], DataType::Text).unwrap();
        assert_eq!(
            (texts, count, first.as_str()),
            (vec!["a".into(), "b\u{fffd}c".into(), "\u{fffd}".into()], 2, "b\0c")
        );
    }

    #[test]
    fn of_a_document_only_what_is_an_escape() {
        for kept in [r#""\\u0000""#, r#"{"a": "\ud83d\ude00 é"}"#, r#""\u00e9\n\\""#, r#""\\\\u0000""#] {
            assert_eq!(fit_json(kept), None, "{kept}");
        }
        for (document, fitted) in [
            (r#"{"a\u0000": 1}"#, r#"{"a\ufffd": 1}"#),
            (r#""\\\u0000""#, r#""\\\ufffd""#),
            (r#""\ud800x\udc00\ud800""#, r#""\ufffdx\ufffd\ufffd""#),
            (r#""\ud800\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
        ] {
            assert_eq!(fit_json(document).as_deref(), Some(fitted), "{document}");
        }
    }
}
