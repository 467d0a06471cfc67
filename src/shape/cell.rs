//! From a JSON value to a typed cell: inference of a new column's type, and coercion into the type that a column has.

use super::number;
use super::schema::DataType;
use super::timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;
use std::borrow::Cow;

/// A JSON value that is one cell: a scalar, or a whole subtree that is kept as JSON.
#[derive(Clone, Copy)]
pub enum Scalar<'a> {
    /// A text.
    Text(&'a str),
    /// A number, as it is written.
    Number(&'a str),
    /// A boolean.
    Boolean(bool),
    /// A subtree that is not unfolded, as it is written.
    Json(&'a str),
}

/// A typed value.
#[derive(Debug, PartialEq)]
pub enum Cell<'a> {
    /// UTF-8 text; of a JSON column, a document.
    Text(Cow<'a, str>),
    /// Signed 64-bit integer; of the types of times, microseconds.
    Bigint(i64),
    /// IEEE 754 double.
    Double(f64),
    /// Boolean.
    Boolean(bool),
    /// Unscaled digits.
    Decimal(i128),
    /// Days since 1970-01-01.
    Date(i32),
    /// Bytes.
    Binary(Vec<u8>),
}

/// How a value became one of its column's type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fit {
    /// It is one already.
    AsIs,
    /// It is of another type in JSON, and says the same.
    Converted,
    /// It says less than it did.
    Lossy,
}
use Fit::{AsIs, Converted, Lossy};

impl<'a> Scalar<'a> {
    /// The type of a column whose first value this is (reference, section 10.1).
    pub fn infer(self) -> DataType {
        match self {
            Self::Text(text) if timestamp::parse(text).is_some() => DataType::Timestamp,
            other => other.plain_type(),
        }
    }

    /// The type that JSON gives a value, which a variant's name tells (reference, section 10.4).
    pub fn plain_type(self) -> DataType {
        match self {
            Self::Text(_) => DataType::Text,
            Self::Boolean(_) => DataType::Boolean,
            Self::Json(_) => DataType::Json,
            Self::Number(number) if number.parse::<i64>().is_ok() => DataType::Bigint,
            Self::Number(number) if number::is_whole(number) => match number::integer(number, 38) {
                Some(_) => DataType::LARGE_INTEGER,
                // As text no digit is lost.
                None => DataType::Text,
            },
            Self::Number(number) if number::double(number).is_some() => DataType::Double,
            Self::Number(_) => DataType::Text,
        }
    }

    /// This value in a column of this type; none where it does not fit (reference, section 10.3).
    pub fn coerce(self, data_type: DataType) -> Option<(Cell<'a>, Fit)> {
        match data_type {
            DataType::Text => Some(match self {
                Self::Text(text) => (Cell::Text(Cow::Borrowed(text)), AsIs),
                Self::Number(number) => (Cell::Text(number::plain(number)), Converted),
                Self::Boolean(boolean) => {
                    (Cell::Text(Cow::Borrowed(if boolean { "true" } else { "false" })), Converted)
                }
                Self::Json(_) => return None,
            }),
            DataType::Bigint => match self {
                Self::Number(number) => number::bigint(number).map(|value| (Cell::Bigint(value), AsIs)),
                Self::Text(text) => {
                    let text = number::without_separators(text.trim());
                    let value = text.parse().ok().or_else(|| i64::try_from(number::hexadecimal(&text)?).ok());
                    value.map(|value| (Cell::Bigint(value), Converted))
                }
                _ => None,
            },
            DataType::Double => match self {
                Self::Number(number) => number::double(number).map(|value| {
                    let is_exact = !number::is_whole(number) || number::is_exact(number, value);
                    (Cell::Double(value), if is_exact { AsIs } else { Lossy })
                }),
                Self::Text(text) => {
                    let text = number::without_separators(text.trim());
                    let value = number::double(&text).or_else(|| Some(number::hexadecimal(&text)? as f64));
                    value.map(|value| (Cell::Double(value), Converted))
                }
                _ => None,
            },
            DataType::Boolean => match self {
                Self::Boolean(boolean) => Some((Cell::Boolean(boolean), AsIs)),
                Self::Number(number) => {
                    let value = number::double(number)?;
                    let fit = if value == 0.0 || value == 1.0 { Converted } else { Lossy };
                    Some((Cell::Boolean(value != 0.0), fit))
                }
                Self::Text(text) => boolean(text).map(|boolean| (Cell::Boolean(boolean), Converted)),
                Self::Json(_) => None,
            },
            // One without a zone is that of UTC.
            DataType::Timestamp | DataType::LocalTimestamp => match self {
                Self::Text(text) => match timestamp::parse(text) {
                    Some(micros) => Some((Cell::Bigint(micros), AsIs)),
                    None => timestamp::instant(text).map(|micros| (Cell::Bigint(micros), Converted)),
                },
                Self::Number(number) => epoch(number).map(|micros| (Cell::Bigint(micros), Converted)),
                _ => None,
            },
            DataType::Date => match self {
                Self::Text(text) => match timestamp::date(text) {
                    Some(days) => Some((Cell::Date(days), AsIs)),
                    None => days(timestamp::instant(text)?).map(|(days, fit)| (Cell::Date(days), fit)),
                },
                Self::Number(number) => epoch(number).and_then(days).map(|(days, fit)| (Cell::Date(days), fit)),
                _ => None,
            },
            DataType::Time => match self {
                Self::Text(text) => timestamp::time(text).map(|micros| (Cell::Bigint(micros), AsIs)),
                _ => None,
            },
            DataType::Binary => match self {
                Self::Text(text) => bytes(text).map(|bytes| (Cell::Binary(bytes), AsIs)),
                Self::Number(number) => {
                    let value = number.parse::<u128>().ok()?;
                    let mut bytes = value.to_le_bytes().to_vec();
                    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                    bytes.truncate(used);
                    Some((Cell::Binary(bytes), Converted))
                }
                _ => None,
            },
            DataType::Decimal { precision, scale } => {
                let (text, fit) = match self {
                    Self::Number(number) => (Cow::Borrowed(number), AsIs),
                    Self::Text(text) => (number::without_separators(text.trim()), Converted),
                    _ => return None,
                };
                match number::decimal(&text, precision, scale) {
                    Some((value, true)) => Some((Cell::Decimal(value), fit)),
                    // One without any digit behind the point takes whole numbers only.
                    Some((_, false)) if scale == 0 => None,
                    Some((value, false)) => Some((Cell::Decimal(value), Lossy)),
                    None => {
                        let value = number::hexadecimal(&text)?.to_string();
                        Some((Cell::Decimal(number::decimal(&value, precision, scale)?.0), fit))
                    }
                }
            }
            DataType::Json => match self {
                Self::Json(text) => Some((Cell::Text(compact(text)), AsIs)),
                Self::Text(text) if serde_json::from_str::<IgnoredAny>(text).is_ok() => {
                    Some((Cell::Text(Cow::Borrowed(text)), Converted))
                }
                _ => None,
            },
        }
    }

    /// The JSON text.
    pub fn to_json(self) -> String {
        match self {
            Self::Text(text) => serde_json::Value::from(text).to_string(),
            Self::Number(number) => number.to_owned(),
            Self::Boolean(boolean) => boolean.to_string(),
            Self::Json(text) => compact(text).into_owned(),
        }
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "t" | "y" | "1" => Some(true),
        "no" | "false" | "f" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// Seconds since 1970, as microseconds.
fn epoch(number: &str) -> Option<i64> {
    let micros = match number.parse::<i64>() {
        Ok(seconds) => seconds.checked_mul(1_000_000)?,
        Err(_) => {
            let micros = number::double(number)? * 1e6;
            (micros.abs() < 9e18).then_some(micros as i64)?
        }
    };
    timestamp::in_utc(micros).map(|_| micros)
}

/// The day of an instant, and whether it says more than a day.
fn days(micros: i64) -> Option<(i32, Fit)> {
    const DAY: i64 = 86_400_000_000;
    let fit = if micros.rem_euclid(DAY) == 0 { Converted } else { Lossy };
    Some((i32::try_from(micros.div_euclid(DAY)).ok()?, fit))
}

/// Bytes written in hexadecimal digits after `0x`, or else in base64.
fn bytes(text: &str) -> Option<Vec<u8>> {
    match text.strip_prefix("0x") {
        Some(digits) => {
            let pairs = digits.as_bytes().chunks(2);
            let read = |pair: &[u8]| {
                let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2 && !pair.starts_with('+'))?;
                u8::from_str_radix(pair, 16).ok()
            };
            pairs.map(read).collect()
        }
        None => STANDARD.decode(text).ok(),
    }
}

/// A document without the white space between its parts.
fn compact(text: &str) -> Cow<'_, str> {
    let is_blank = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
    if !text.contains(is_blank) {
        return Cow::Borrowed(text);
    }
    let (mut is_text, mut is_escaped) = (false, false);
    let kept = text.chars().filter(|c| {
        let is_kept = is_text || !is_blank(*c);
        is_text ^= *c == '"' && !is_escaped;
        is_escaped = *c == '\\' && !is_escaped;
        is_kept
    });
    Cow::Owned(kept.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_first_values() {
        let of = |text| Scalar::Number(text).infer();
        assert_eq!(of("9223372036854775807"), DataType::Bigint);
        assert_eq!(of("9223372036854775808"), DataType::LARGE_INTEGER);
        assert_eq!(of("-99999999999999999999999999999999999999"), DataType::LARGE_INTEGER);
        assert_eq!(of("100000000000000000000000000000000000000"), DataType::Text);
        assert_eq!(of("2.0"), DataType::Double);
        assert_eq!(of("1e20"), DataType::Double);
        assert_eq!(of("1e999"), DataType::Text);
        assert_eq!(Scalar::Text("2024-01-05").infer(), DataType::Text);
        assert_eq!(Scalar::Text("2024-01-05T00:00:00Z").infer(), DataType::Timestamp);
        assert_eq!(Scalar::Text("2024-01-05T00:00:00Z").plain_type(), DataType::Text);
    }

    #[test]
    fn values_go_into_columns_where_they_fit() {
        // Reference, section 10.3 and worked example 9.
        const CENTS: DataType = DataType::Decimal { precision: 10, scale: 2 };
        const DAY: i64 = 1_704_153_600_000_000;
        let text = |text: &'static str| Cell::Text(text.into());
        for (value, data_type, fits) in [
            (Scalar::Number("6.0"), DataType::Bigint, Some((Cell::Bigint(6), AsIs))),
            (Scalar::Number("5.5"), DataType::Bigint, None),
            (Scalar::Text(" 5 "), DataType::Bigint, Some((Cell::Bigint(5), Converted))),
            (Scalar::Text("0x10"), DataType::Bigint, Some((Cell::Bigint(16), Converted))),
            (Scalar::Text("five"), DataType::Bigint, None),
            (Scalar::Boolean(true), DataType::Bigint, None),
            (Scalar::Number("5.50"), DataType::Text, Some((text("5.5"), Converted))),
            (Scalar::Boolean(true), DataType::Text, Some((text("true"), Converted))),
            (Scalar::Number("5"), DataType::Double, Some((Cell::Double(5.0), AsIs))),
            (
                Scalar::Number("9007199254740993"),
                DataType::Double,
                Some((Cell::Double(9_007_199_254_740_992.0), Lossy)),
            ),
            (Scalar::Text("1e3"), DataType::Double, Some((Cell::Double(1000.0), Converted))),
            (Scalar::Text("nan"), DataType::Double, None),
            (Scalar::Text("Yes"), DataType::Boolean, Some((Cell::Boolean(true), Converted))),
            (Scalar::Number("2"), DataType::Boolean, Some((Cell::Boolean(true), Lossy))),
            (Scalar::Number("0"), DataType::Boolean, Some((Cell::Boolean(false), Converted))),
            (Scalar::Number("1"), DataType::Timestamp, Some((Cell::Bigint(1_000_000), Converted))),
            (Scalar::Text("2024-01-02"), DataType::Timestamp, Some((Cell::Bigint(DAY), Converted))),
            (Scalar::Text(""), DataType::Timestamp, None),
            (Scalar::Text("2024-01-02"), DataType::Date, Some((Cell::Date(19_724), AsIs))),
            (Scalar::Text("2024-01-02T03:04:05Z"), DataType::Date, Some((Cell::Date(19_724), Lossy))),
            (Scalar::Number("-1"), DataType::Date, Some((Cell::Date(-1), Lossy))),
            (Scalar::Text("01:02:03.5"), DataType::Time, Some((Cell::Bigint(3_723_500_000), AsIs))),
            (Scalar::Number("1"), DataType::Time, None),
            (Scalar::Text("0x00ff"), DataType::Binary, Some((Cell::Binary(vec![0, 255]), AsIs))),
            (Scalar::Text("AP8="), DataType::Binary, Some((Cell::Binary(vec![0, 255]), AsIs))),
            (Scalar::Number("256"), DataType::Binary, Some((Cell::Binary(vec![0, 1]), Converted))),
            (Scalar::Text("é"), DataType::Binary, None),
            (Scalar::Number("12.5"), CENTS, Some((Cell::Decimal(1250), AsIs))),
            (Scalar::Text("12.555"), CENTS, Some((Cell::Decimal(1256), Lossy))),
            (Scalar::Number("5.5"), DataType::LARGE_INTEGER, None),
            (Scalar::Number("1e2"), DataType::LARGE_INTEGER, Some((Cell::Decimal(100), AsIs))),
            (
                Scalar::Json("{ \"a b\" : [1, \"\\\" \"] }"),
                DataType::Json,
                Some((text("{\"a b\":[1,\"\\\" \"]}"), AsIs)),
            ),
            (Scalar::Text("[1]"), DataType::Json, Some((text("[1]"), Converted))),
            (Scalar::Text("no"), DataType::Json, None),
            (Scalar::Json("[1]"), DataType::Text, None),
        ] {
            assert_eq!(value.coerce(data_type), fits, "{} in {data_type}", value.to_json());
        }
    }
}
