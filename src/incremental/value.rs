//! What a cursor is, and which of two is further.

use crate::shape::timestamp::instant;
use serde_json::{Number, Value};
use std::cmp::Ordering;

/// The most digits of a text that is compared as a number.
const MOST_DIGITS: usize = 38;

/// Which of two cursors is larger: numbers, and texts that are numbers, as numbers; texts that are dates or date-times as
/// instants, one without an offset being in UTC; other texts by their characters. None where one is no cursor, or a number
/// meets a text that is none.
pub fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (kind(left)?, kind(right)?) {
        (Kind::Number(left), Kind::Number(right)) => Some(left.compare(&right)),
        (Kind::Instant(left), Kind::Instant(right)) => Some(left.cmp(&right)),
        _ => Some(left.as_str()?.cmp(right.as_str()?)),
    }
}

/// Whether a value can be a cursor: a number or a text.
pub fn is_cursor(value: &Value) -> bool {
    matches!(value, Value::Number(_) | Value::String(_))
}

enum Kind {
    Number(Numeric),
    Instant(i64),
    Text,
}

fn kind(value: &Value) -> Option<Kind> {
    Some(match value {
        Value::Number(number) => Kind::Number(Numeric::of(number)),
        Value::String(text) => match (numeric(text), instant(text)) {
            (Some(number), _) => Kind::Number(number),
            (None, Some(instant)) => Kind::Instant(instant),
            (None, None) => Kind::Text,
        },
        _ => return None,
    })
}

/// A text that is a plain decimal number.
fn numeric(text: &str) -> Option<Numeric> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, rest)| (whole, Some(rest)));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits.len() > MOST_DIGITS || !all_digits(whole) || fraction.is_some_and(|rest| !all_digits(rest)) {
        return None;
    }
    match text.parse() {
        Ok(whole) => Some(Numeric::Whole(whole)),
        Err(_) => text.parse().ok().map(Numeric::Double),
    }
}

/// A number, whole where it can be.
enum Numeric {
    Whole(i128),
    Double(f64),
}

impl Numeric {
    fn of(number: &Number) -> Self {
        match number.to_string().parse() {
            Ok(whole) => Self::Whole(whole),
            Err(_) => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Whole(left), Self::Whole(right)) => left.cmp(right),
            _ => self.double().total_cmp(&other.double()),
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "a fraction is on the other side")]
    fn double(&self) -> f64 {
        match self {
            Self::Whole(whole) => *whole as f64,
            // Else it would not be equal to the other zero.
            Self::Double(double) => *double + 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn order(left: Value, right: Value) -> Option<Ordering> {
        let found = compare(&left, &right);
        assert_eq!(compare(&right, &left), found.map(Ordering::reverse), "{left} {right}");
        found
    }

    #[test]
    fn cursors_are_compared_as_what_they_are() {
        for (smaller, larger) in [
            (json!(9), json!(10)),
            (json!("9"), json!("10")),
            (json!("9"), json!(10)),
            (json!(9.5), json!(10)),
            (json!(9_007_199_254_740_992_i64), json!(9_007_199_254_740_993_i64)),
            (json!("2025-01-02T00:00:00+02:00"), json!("2025-01-01T23:00:00Z")),
            (json!("2025-01-01T00:00:00Z"), json!("2025-01-01T00:00:00.5Z")),
            (json!("2025-01-01"), json!("2025-01-01T00:00:01Z")),
            (json!("2024-12-31T23:59:59Z"), json!("2025-01-01")),
            (json!("b10"), json!("b9")),
            (json!(""), json!("a")),
        ] {
            assert_eq!(order(smaller, larger), Some(Ordering::Less));
        }
        for (left, right) in [
            (json!("2025-01-01T12:00:00+02:00"), json!("2025-01-01 10:00:00")),
            (json!("2025-01-01T10:00:00.000Z"), json!("2025-01-01T10:00Z")),
            (json!(0.0), json!(-0.0)),
            (json!(1.0), json!(1)),
        ] {
            assert_eq!(order(left, right), Some(Ordering::Equal));
        }
        for other in [json!("a"), json!("2025-01-01"), json!(true), json!([1]), json!(null)] {
            assert_eq!(order(json!(1), other), None);
        }
    }

    proptest! {
        #[test]
        fn whatever_stands_there_is_compared_one_way(left in ".{0,30}", right in "[0-9T:+.Z-]{0,30}", number in any::<f64>()) {
            let values = [json!(left), json!(right), json!(number), json!(number.to_string())];
            for left in &values {
                prop_assert!(compare(left, left).is_none_or(Ordering::is_eq));
                for right in &values {
                    prop_assert_eq!(compare(left, right), compare(right, left).map(Ordering::reverse));
                }
            }
        }
    }
}
