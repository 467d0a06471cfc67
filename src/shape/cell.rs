//! From a JSON value to a typed cell: inference of a new column's type, and coercion into the type that a column has.

use super::schema::DataType;
use super::timestamp;
use serde_json::{Number, Value};
use std::borrow::Cow;

/// A JSON value that is one cell: a scalar, or a whole subtree that is kept as JSON.
#[derive(Clone, Copy)]
pub enum Scalar<'a> {
    /// A text.
    Text(&'a str),
    /// A number, with the digits it was written with.
    Number(&'a Number),
    /// A boolean.
    Boolean(bool),
    /// A subtree below the nesting limit.
    Json(&'a Value),
}

/// A typed value.
#[derive(Debug, PartialEq)]
pub enum Cell<'a> {
    /// UTF-8 text.
    Text(Cow<'a, str>),
    /// Signed 64-bit integer.
    Bigint(i64),
    /// IEEE 754 double.
    Double(f64),
    /// Boolean.
    Boolean(bool),
    /// Microseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
    /// Unscaled digits.
    Decimal(i128),
    /// JSON text.
    Json(Cow<'a, str>),
}

impl<'a> Scalar<'a> {
    /// The type of a column whose first value this is (reference, section 10.1).
    pub fn infer(self) -> DataType {
        match self {
            Self::Text(text) if timestamp::parse(text).is_some() => DataType::Timestamp,
            Self::Text(_) => DataType::Text,
            Self::Boolean(_) => DataType::Boolean,
            Self::Json(_) => DataType::Json,
            Self::Number(number) if number.as_i64().is_some() => DataType::Bigint,
            Self::Number(number) if large_integer(number).is_some() => DataType::LARGE_INTEGER,
            Self::Number(number) if finite(number).is_some() => DataType::Double,
            // Too large for any of our number types; as text, no digit is lost.
            Self::Number(_) => DataType::Text,
        }
    }

    /// This value in a column of this type, where it fits without loss (reference, section 10.3).
    pub fn coerce(self, data_type: DataType) -> Option<Cell<'a>> {
        match data_type {
            DataType::Text => Some(Cell::Text(match self {
                Self::Text(text) => Cow::Borrowed(text),
                Self::Number(number) => Cow::Owned(number.to_string()),
                Self::Boolean(boolean) => Cow::Borrowed(if boolean { "true" } else { "false" }),
                Self::Json(_) => return None,
            })),
            DataType::Bigint => self.bigint().map(Cell::Bigint),
            DataType::Double => match self {
                Self::Number(number) => finite(number).map(Cell::Double),
                Self::Text(text) => {
                    text.trim().parse::<f64>().ok().filter(|double| double.is_finite()).map(Cell::Double)
                }
                _ => None,
            },
            DataType::Boolean => match self {
                Self::Boolean(boolean) => Some(Cell::Boolean(boolean)),
                Self::Number(number) => finite(number).map(|double| Cell::Boolean(double != 0.0)),
                Self::Text(text) => boolean(text).map(Cell::Boolean),
                Self::Json(_) => None,
            },
            DataType::Timestamp => match self {
                Self::Text(text) => instant(text).map(Cell::Timestamp),
                Self::Number(number) => epoch(number).map(Cell::Timestamp),
                _ => None,
            },
            DataType::Decimal { precision, scale } => match self {
                Self::Number(number) => decimal(&number.to_string(), precision, scale).map(Cell::Decimal),
                Self::Text(text) => decimal(text.trim(), precision, scale).map(Cell::Decimal),
                _ => None,
            },
            DataType::Json => match self {
                Self::Json(value) => Some(Cell::Json(Cow::Owned(value.to_string()))),
                Self::Text(text) if serde_json::from_str::<Value>(text).is_ok() => {
                    Some(Cell::Json(Cow::Borrowed(text)))
                }
                _ => None,
            },
        }
    }

    fn bigint(self) -> Option<i64> {
        match self {
            Self::Number(number) => number.as_i64().or_else(|| {
                // Integral in value though not in writing, such as 6.0; beyond 2^53 a double no longer tells.
                let double = finite(number)?;
                (double.fract() == 0.0 && double.abs() < 9_007_199_254_740_992.0).then_some(double as i64)
            }),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }
}

fn finite(number: &Number) -> Option<f64> {
    number.as_f64().filter(|double| double.is_finite())
}

/// The value of a whole number that fits no `bigint`.
fn large_integer(number: &Number) -> Option<i128> {
    integer(&number.to_string(), 38)
}

/// A whole number of at most `precision` digits.
fn integer(text: &str, precision: u8) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text).trim_start_matches('0');
    (digits.len() <= usize::from(precision)).then(|| text.parse().ok())?
}

/// The unscaled digits of a number in a decimal column. Digits behind its last one are rounded, half away from zero; a column
/// without any behind the point takes whole numbers only.
fn decimal(text: &str, precision: u8, scale: u8) -> Option<i128> {
    if scale == 0 {
        return integer(text, precision);
    }
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    // Where the column's digits end in those of the number.
    let end = i64::try_from(whole.len()).ok()? + i64::from(exponent) + i64::from(scale);
    let is_zero = digits.bytes().all(|digit| digit == b'0');
    let Ok(end) = usize::try_from(end) else { return Some(0) };
    if is_zero {
        return Some(0);
    }
    let kept = digits.get(..end.min(digits.len()))?.trim_start_matches('0');
    let zeros = end.saturating_sub(digits.len());
    if kept.len() + zeros > usize::from(precision) {
        return None;
    }
    let mut value: i128 = if kept.is_empty() { 0 } else { kept.parse().ok()? };
    value = value.checked_mul(10_i128.checked_pow(u32::try_from(zeros).ok()?)?)?;
    if digits.as_bytes().get(end).is_some_and(|digit| *digit >= b'5') {
        value += 1;
    }
    (value.unsigned_abs() < 10_u128.checked_pow(u32::from(precision))?).then_some(sign * value)
}

fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "yes" | "true" | "t" | "y" | "1" => Some(true),
        "no" | "false" | "f" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// A date-time, or a date, which is its first instant.
fn instant(text: &str) -> Option<i64> {
    timestamp::parse(text).or_else(|| timestamp::parse(&format!("{text}T00:00:00")))
}

/// Seconds since 1970, as microseconds.
fn epoch(number: &Number) -> Option<i64> {
    match number.as_i64() {
        Some(seconds) => seconds.checked_mul(1_000_000),
        None => {
            finite(number).map(|seconds| seconds * 1e6).filter(|micros| micros.abs() < 9e18).map(|micros| micros as i64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn types_of_first_values() {
        let of = |text: &str| Scalar::Number(&number(text)).infer();
        assert_eq!(of("9223372036854775807"), DataType::Bigint);
        assert_eq!(of("9223372036854775808"), DataType::LARGE_INTEGER);
        assert_eq!(of("-170141183460469231731687303715884105"), DataType::LARGE_INTEGER);
        assert_eq!(of("2.0"), DataType::Double);
        assert_eq!(of("1e20"), DataType::Double);
        assert_eq!(of("1e999"), DataType::Text);
        assert_eq!(Scalar::Text("2024-01-05").infer(), DataType::Text);
        assert_eq!(Scalar::Text("2024-01-05T00:00:00Z").infer(), DataType::Timestamp);
    }

    #[test]
    fn decimals_keep_their_digits() {
        for (text, precision, scale, digits) in [
            ("12.5", 10, 2, Some(1250)),
            ("-0.005", 10, 2, Some(-1)),
            ("0.30000000000000004", 10, 2, Some(30)),
            ("1e3", 10, 2, Some(100_000)),
            ("125e-2", 10, 2, Some(125)),
            ("5e-1", 10, 2, Some(50)),
            ("1e-900", 10, 2, Some(0)),
            ("0e900", 10, 2, Some(0)),
            ("1e900", 10, 2, None),
            ("99999999.99", 10, 2, Some(9_999_999_999)),
            ("99999999.995", 10, 2, None),
            ("100000000", 10, 2, None),
            ("00012", 4, 2, Some(1200)),
            ("+1.", 4, 2, Some(100)),
            (".5", 4, 2, Some(50)),
            ("", 4, 2, None),
            (".", 4, 2, None),
            ("1.2.3", 4, 2, None),
            ("1e", 4, 2, None),
            ("twelve", 4, 2, None),
            (
                "12345678901234567890123456789.123456789",
                38,
                9,
                Some(12_345_678_901_234_567_890_123_456_789_123_456_789),
            ),
            ("5.5", 38, 0, None),
        ] {
            assert_eq!(decimal(text, precision, scale), digits, "{text} in decimal({precision}, {scale})");
        }
    }

    #[test]
    fn values_go_into_columns_where_they_fit() {
        // Reference, section 10.3 and worked example 9.
        for (text, data_type, cell) in [
            ("6.0", DataType::Bigint, Some(Cell::Bigint(6))),
            ("5.5", DataType::Bigint, None),
            ("5.5", DataType::Text, Some(Cell::Text("5.5".into()))),
            ("1", DataType::Timestamp, Some(Cell::Timestamp(1_000_000))),
        ] {
            assert_eq!(Scalar::Number(&number(text)).coerce(data_type), cell, "{text}");
        }
        assert_eq!(Scalar::Text(" 5 ").coerce(DataType::Bigint), Some(Cell::Bigint(5)));
        assert_eq!(Scalar::Text("five").coerce(DataType::Bigint), None);
        assert_eq!(
            Scalar::Text("2024-01-02").coerce(DataType::Timestamp),
            Some(Cell::Timestamp(1_704_153_600_000_000))
        );
        assert_eq!(Scalar::Text("").coerce(DataType::Timestamp), None);
        assert_eq!(Scalar::Boolean(true).coerce(DataType::Text), Some(Cell::Text("true".into())));
        assert_eq!(Scalar::Boolean(true).coerce(DataType::Bigint), None);
        assert_eq!(Scalar::Text("Yes").coerce(DataType::Boolean), Some(Cell::Boolean(true)));
    }
}
