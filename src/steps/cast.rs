//! Making a value one of another type.

use crate::config::model::Cast;
use crate::expression::times;
use crate::select;
use serde_json::{Number, Value};

/// The value as this type; null stays null. The error says what the value is, and that it is no such thing.
pub fn cast(value: &Value, to: Cast) -> Result<Value, String> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    let made = match to {
        Cast::Int => int(value),
        Cast::Float => float(value),
        Cast::Text => return Ok(text(value)),
        Cast::Bool => boolean(value).map(Value::Bool),
        Cast::Timestamp => match value {
            Value::String(text) => times::of_text(text),
            Value::Number(number) => number.as_f64().and_then(times::of_number),
            _ => None,
        }
        .map(|instant| Value::String(instant.to_string())),
    };
    let wanted = match to {
        Cast::Int => "a whole number",
        Cast::Float => "a number",
        Cast::Text => "a text",
        Cast::Bool => "true or false",
        Cast::Timestamp => "a time",
    };
    made.ok_or_else(|| format!("{}, which is not {wanted}", select::kind(value)))
}

/// A whole number, with all its digits.
fn int(value: &Value) -> Option<Value> {
    let text = match value {
        Value::Bool(boolean) => return Some(Value::from(u8::from(*boolean))),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return None,
    };
    // A fraction of nothing is none: 5.0 is 5.
    let whole = match text.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() && fraction.bytes().all(|digit| digit == b'0') => whole,
        Some(_) => return None,
        None => &text,
    };
    let digits = whole.strip_prefix('-').unwrap_or(whole.strip_prefix('+').unwrap_or(whole));
    if !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit()) {
        let sign = if whole.starts_with('-') { "-" } else { "" };
        let digits = digits.trim_start_matches('0');
        return match digits {
            "" => Some(Value::from(0)),
            digits => number(&format!("{sign}{digits}")),
        };
    }
    // With an exponent: 2^53 is where floats stop to tell whole numbers apart.
    let float: f64 = text.parse().ok()?;
    (float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0).then(|| Value::from(float as i64))
}

fn float(value: &Value) -> Option<Value> {
    match value {
        Value::Bool(boolean) => Some(Value::from(f64::from(u8::from(*boolean)))),
        Value::Number(_) => Some(value.clone()),
        // Its digits are kept where it is written as JSON has it.
        Value::String(text) => number(text.trim()).or_else(|| {
            let float: f64 = text.trim().parse().ok()?;
            Number::from_f64(float).map(Value::Number)
        }),
        _ => None,
    }
}

/// A number with the digits of a text.
fn number(text: &str) -> Option<Value> {
    let number: Number = serde_json::from_str(text).ok()?;
    number.as_f64().filter(|float| float.is_finite()).map(|_| Value::Number(number))
}

fn text(value: &Value) -> Value {
    match value {
        Value::String(_) => value.clone(),
        other => Value::String(other.to_string()),
    }
}

fn boolean(value: &Value) -> Option<bool> {
    let text = match value {
        Value::Bool(boolean) => return Some(*boolean),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_lowercase(),
        _ => return None,
    };
    match text.as_str() {
        "true" | "yes" | "y" | "t" | "1" | "on" => Some(true),
        "false" | "no" | "n" | "f" | "0" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn all(to: Cast, cases: &[(Value, &str)]) {
        for (value, expected) in cases {
            let made = cast(value, to).map_or_else(|why| why, |made| made.to_string());
            assert_eq!(made, *expected, "{value} as {to:?}");
        }
    }

    #[test]
    fn values_become_others() {
        let big = "123456789012345678901234567890";
        all(
            Cast::Int,
            &[
                (json!(" -007 "), "-7"),
                (json!("+5"), "5"),
                (json!("000"), "0"),
                (json!("5.0"), "5"),
                (json!(1e3), "1000"),
                (json!(big), big),
                (json!(true), "1"),
                (json!(null), "null"),
                (json!("5.5"), "a text, which is not a whole number"),
                (json!("5."), "a text, which is not a whole number"),
                (json!(""), "a text, which is not a whole number"),
                (json!("nan"), "a text, which is not a whole number"),
                (json!([1]), "a list, which is not a whole number"),
            ],
        );
        all(
            Cast::Float,
            &[
                (json!("12345678901234567890.10"), "12345678901234567890.10"),
                (json!(".5"), "0.5"),
                (json!("inf"), "a text, which is not a number"),
                (json!("1e999"), "a text, which is not a number"),
                (json!({}), "an object, which is not a number"),
            ],
        );
        all(Cast::Text, &[(json!(1.50), "\"1.5\""), (json!([1, "a"]), "\"[1,\\\"a\\\"]\""), (json!("x"), "\"x\"")]);
        all(
            Cast::Bool,
            &[(json!("Yes"), "true"), (json!(0), "false"), (json!("2"), "a text, which is not true or false")],
        );
        all(
            Cast::Timestamp,
            &[
                (json!("2025-03-01T10:00:00+02:00"), "\"2025-03-01T08:00:00Z\""),
                (json!(1_740_823_200), "\"2025-03-01T10:00:00Z\""),
                (json!("soon"), "a text, which is not a time"),
            ],
        );
    }
}
