//! Times in expressions and steps.

use super::json::invalid;
use crate::shape::timestamp;
use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use minijinja::value::ValueKind;
use minijinja::{Error, Value};

/// Numbers from here on count milliseconds: as seconds they would be later than the year 5138.
pub const MILLISECONDS: f64 = 1e11;

/// The longest text of a format.
const LONGEST: usize = 100;

/// The instant of an ISO text; a date is its midnight, and what names no zone is UTC.
pub fn of_text(text: &str) -> Option<Timestamp> {
    Timestamp::from_microsecond(timestamp::instant(text.trim())?).ok()
}

/// The instant of a number of seconds or milliseconds since 1970.
pub fn of_number(number: f64) -> Option<Timestamp> {
    let seconds = if number.abs() < MILLISECONDS { number } else { number / 1000.0 };
    let micros = (seconds * 1e6).round();
    // 2^53: beyond it, a float is not exact; such years are beyond 2250.
    (micros.abs() < 253_402_300_800e6).then(|| Timestamp::from_microsecond(micros as i64).ok())?
}

/// The instant of a value.
pub fn of(value: &Value) -> Result<Timestamp, Error> {
    let found = match (value.as_str(), value.kind()) {
        (Some(text), _) => of_text(text),
        (None, ValueKind::Number) => f64::try_from(value.clone()).ok().and_then(of_number),
        _ => None,
    };
    found.ok_or_else(|| invalid(format!("{} is no time", value.kind())))
}

/// An instant in UTC, in a format of strftime.
pub fn format(instant: Timestamp, format: &str) -> Result<String, Error> {
    if format.len() > LONGEST {
        return Err(invalid("the format of a time is too long"));
    }
    strtime::format(format, &instant.to_zoned(TimeZone::UTC)).map_err(|error| invalid(error.to_string()))
}

#[cfg(test)]
mod checks {
    use super::*;

    #[test]
    fn instants_are_read_from_texts_and_numbers() {
        let of = |value: Value| of(&value).map(|instant| instant.to_string()).ok();
        for (value, expected) in [
            (Value::from("2025-03-01T10:00:00+02:00"), "2025-03-01T08:00:00Z"),
            (Value::from(" 2025-03-01 "), "2025-03-01T00:00:00Z"),
            (Value::from(1_740_823_200), "2025-03-01T10:00:00Z"),
            (Value::from(1_740_823_200_500_u64), "2025-03-01T10:00:00.5Z"),
            (Value::from(-1.5), "1969-12-31T23:59:58.5Z"),
        ] {
            assert_eq!(of(value).as_deref(), Some(expected));
        }
        for value in [
            Value::from("x"),
            Value::from(""),
            Value::from(f64::NAN),
            Value::from(1e300),
            Value::from(true),
            Value::UNDEFINED,
        ] {
            assert_eq!(of(value), None);
        }
    }

    #[test]
    fn times_are_written_in_a_format() {
        let instant = of_text("2025-03-01T10:00:00Z").unwrap();
        assert_eq!(format(instant, "%d.%m.%Y %H:%M").unwrap(), "01.03.2025 10:00");
        assert!(format(instant, "%").is_err());
        assert!(format(instant, &"%Y".repeat(100)).is_err());
    }
}
