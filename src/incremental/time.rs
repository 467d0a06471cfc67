//! Moving cursors, and writing them as APIs want them.

use super::value::is_cursor;
use crate::config::model::Length;
use crate::error::{Error, Result};
use crate::expression::times;
use crate::plan::scalar;
use crate::shape::timestamp;
use jiff::civil::{Date, DateTime};
use jiff::fmt::{strtime, temporal};
use jiff::tz::Offset;
use jiff::{SignedDuration, Span, Timestamp};
use serde_json::{Number, Value};

/// A length by which cursors are moved.
#[derive(Clone, Debug)]
pub enum Shift {
    /// Seconds of a date-time, days of a date, units of a number.
    Number(f64),
    /// A length of time.
    Span(Box<Span>),
}

impl Shift {
    /// Reads a length, which must be more than nothing. `pointer` is its place in the configuration.
    pub fn parse(length: &Length, pointer: &str) -> Result<Self> {
        let wrong = |what: String| {
            Error::config(pointer, what)
                .advice("write an ISO 8601 duration such as `P1D`, `P1M` or `PT6H`, or a number")
        };
        match length {
            Length::Number(number) if number.is_finite() && *number > 0.0 => Ok(Self::Number(*number)),
            Length::Number(number) => Err(wrong(format!("{number} is no length: it must be more than 0"))),
            Length::Duration(text) => match temporal::SpanParser::new().parse_span(text) {
                Ok(span) if span.is_positive() => Ok(Self::Span(Box::new(span))),
                Ok(_) => Err(wrong(format!("\"{text}\" is no length: it must be more than nothing"))),
                Err(error) => Err(wrong(format!("\"{text}\" is not a duration: {error}"))),
            },
        }
    }

    /// A cursor that is this far after (or, with `back`, before) another one, in the form of that one: a number, a date, or a
    /// date-time with the same offset. None where the two do not go together, or nothing can be that far.
    pub fn apply(&self, value: &Value, back: bool) -> Option<Value> {
        match value {
            Value::Number(number) => self.of_number(number, back).map(Value::Number),
            Value::String(text) => match (date_of(text), timestamp::read(text)) {
                (Some((date, form)), _) => {
                    let midnight = date.at(0, 0, 0, 0);
                    let moved = match self {
                        Self::Number(days) => shifted(midnight, *days * 86_400.0, back)?,
                        Self::Span(span) => spanned(midnight, span, back)?,
                    };
                    // A part of a day cannot be said in a date.
                    (moved.time() == midnight.time()).then(|| Value::from(moved.date().strftime(form).to_string()))
                }
                (None, Some((local, _))) => {
                    let moved = match self {
                        Self::Number(seconds) => shifted(local, *seconds, back)?,
                        Self::Span(span) => spanned(local, span, back)?,
                    };
                    Some(Value::from(like(text, moved)))
                }
                (None, None) => {
                    let number: Number = text.parse::<i64>().ok()?.into();
                    self.of_number(&number, back).map(|moved| Value::from(moved.to_string()))
                }
            },
            _ => None,
        }
    }

    /// The length for a value that has no parts, a whole number or a date: rounded up to whole units.
    pub fn rounded_for(&self, value: &Value) -> Self {
        let is_whole = match value {
            Value::Number(number) => number.is_i64(),
            Value::String(text) => text.parse::<i64>().is_ok() || date_of(text).is_some(),
            _ => false,
        };
        match self {
            Self::Number(number) if is_whole => Self::Number(number.ceil()),
            other => other.clone(),
        }
    }

    fn of_number(&self, number: &Number, back: bool) -> Option<Number> {
        let by = match self {
            Self::Number(by) => *by,
            // Days have 24 hours here; months and years are no number of seconds.
            Self::Span(span) => {
                let seconds = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?.as_secs_f64();
                if is_milliseconds(number) { seconds * 1000.0 } else { seconds }
            }
        };
        let by = if back { -by } else { by };
        #[allow(clippy::cast_possible_truncation, reason = "it is a whole number of less than 2^53")]
        if let Some(whole) = number.as_i64()
            && by.fract() == 0.0
            && by.abs() < 9e15
        {
            return whole.checked_add(by as i64).map(Number::from);
        }
        Number::from_f64(number.as_f64()? + by)
    }
}

/// A date, and the pattern that it is written by: with dashes or without.
fn date_of(text: &str) -> Option<(Date, &'static str)> {
    let without_dashes = || {
        let is_date = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_date.then(|| Date::strptime("%Y%m%d", text).ok()).flatten()
    };
    let with_dashes = timestamp::date_of(text).map(|date| (date, "%Y-%m-%d"));
    with_dashes.or_else(|| without_dashes().map(|date| (date, "%Y%m%d")))
}

fn shifted(local: DateTime, seconds: f64, back: bool) -> Option<DateTime> {
    let by = SignedDuration::try_from_secs_f64(if back { -seconds } else { seconds }).ok()?;
    local.checked_add(by).ok()
}

fn spanned(local: DateTime, span: &Span, back: bool) -> Option<DateTime> {
    if back { local.checked_sub(*span).ok() } else { local.checked_add(*span).ok() }
}

/// A date-time as another one is written: the same character between date and time, as many digits behind the seconds, the
/// same offset.
fn like(text: &str, moved: DateTime) -> String {
    let between = text.get(10..11).unwrap_or("T");
    let rest = text.get(11..).unwrap_or_default();
    let zone = rest.find(['Z', '+', '-']).and_then(|at| rest.get(at..)).unwrap_or_default();
    let clock = rest.strip_suffix(zone).unwrap_or(rest);
    let places = clock.split_once(['.', ',']).map_or(0, |(_, fraction)| fraction.len());
    let micros = format!("{:06}", moved.subsec_nanosecond() / 1000);
    let fraction = match micros.get(..places.min(6)) {
        Some(digits) if !digits.is_empty() => format!(".{digits:0<places$}"),
        _ => String::new(),
    };
    let time = format!("{:02}:{:02}:{:02}", moved.hour(), moved.minute(), moved.second());
    format!("{}{between}{time}{fraction}{zone}", moved.date())
}

/// The instant in the form of a cursor: the end of the second, of the millisecond, or of the day that it is in, so that nothing
/// that is there by now is after it. `now` is in milliseconds since 1970. None for a text that is no time.
pub fn now_like(form: Option<&Value>, now: u64) -> Option<Value> {
    let seconds = i64::try_from(now.div_ceil(1000)).ok()?;
    let local = Offset::UTC.to_datetime(Timestamp::from_second(seconds).ok()?);
    Some(match form {
        Some(Value::Number(number)) if is_milliseconds(number) => Value::from(now),
        Some(Value::Number(_)) => Value::from(seconds),
        Some(Value::String(text)) => match date_of(text) {
            Some((_, form)) => {
                let is_midnight = local.time() == DateTime::default().time();
                let date = if is_midnight { local.date() } else { local.date().tomorrow().ok()? };
                Value::from(date.strftime(form).to_string())
            }
            None => {
                let (_, offset) = timestamp::read(text)?;
                let there = offset.to_datetime(Timestamp::from_second(seconds).ok()?);
                Value::from(like(text, there))
            }
        },
        _ => Value::from(format!("{local}Z")),
    })
}

fn is_milliseconds(number: &Number) -> bool {
    number.as_f64().is_some_and(|number| number.abs() >= times::MILLISECONDS)
}

/// How a cursor is written in requests.
#[derive(Clone, Debug, PartialEq)]
pub enum Convert {
    /// As an ISO 8601 date-time in UTC.
    Iso,
    /// As an ISO 8601 date in UTC.
    Date,
    /// As seconds since 1970.
    Epoch,
    /// As milliseconds since 1970.
    EpochMs,
    /// By a pattern of `strftime`.
    Pattern(String),
}

impl Convert {
    /// Reads a format. `pointer` is its place in the configuration.
    pub fn parse(text: &str, pointer: &str) -> Result<Self> {
        let known = ["iso", "date", "epoch", "epoch_ms"];
        match text {
            "iso" => Ok(Self::Iso),
            "date" => Ok(Self::Date),
            "epoch" => Ok(Self::Epoch),
            "epoch_ms" => Ok(Self::EpochMs),
            _ if text.contains('%') => match strtime::format(text, Timestamp::UNIX_EPOCH) {
                Ok(_) => Ok(Self::Pattern(text.to_owned())),
                Err(error) => Err(Error::config(pointer, format!("\"{text}\" is not a pattern: {error}"))
                    .advice("write one as `strftime` has it, such as `%Y-%m-%d`")),
            },
            _ => {
                let advice = match crate::config::nearest(text, known.into_iter()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "write `iso`, `date`, `epoch`, `epoch_ms`, or a pattern such as `%Y-%m-%d`".to_owned(),
                };
                Err(Error::config(pointer, format!("there is no format \"{text}\"")).advice(advice))
            }
        }
    }

    /// The value as requests have it: a date, a date-time, or a number of seconds or (from 1e11 on) milliseconds since 1970. None
    /// where it is no time.
    pub fn apply(&self, value: &Value) -> Option<Value> {
        let time = match value {
            Value::String(text) => Timestamp::from_microsecond(timestamp::instant(text)?).ok()?,
            Value::Number(number) => times::of_number(number.as_f64()?)?,
            _ => return None,
        };
        let utc = Offset::UTC.to_datetime(time);
        Some(match self {
            Self::Iso => Value::from(format!("{utc}Z")),
            Self::Date => Value::from(utc.date().to_string()),
            Self::Epoch => Value::from(time.as_second()),
            Self::EpochMs => Value::from(time.as_millisecond()),
            Self::Pattern(pattern) => Value::from(strtime::format(pattern, time).ok()?),
        })
    }
}

/// A value as a message shows it.
pub fn shown(value: &Value) -> String {
    match (is_cursor(value), value) {
        (_, Value::String(text)) => format!("the text \"{}\"", text.chars().take(40).collect::<String>()),
        (true, value) => format!("the number {}", scalar(value).unwrap_or_default()),
        (false, Value::Bool(value)) => value.to_string(),
        (false, Value::Array(_)) => "a list".to_owned(),
        (false, Value::Object(_)) => "an object".to_owned(),
        (false, _) => "null".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shift(length: Value) -> Shift {
        Shift::parse(&serde_json::from_value(length).unwrap(), "").unwrap()
    }

    #[test]
    fn a_moved_cursor_keeps_its_form() {
        for (length, from, to) in [
            (json!(5), json!(7), json!(12)),
            (json!(0.5), json!(7), json!(7.5)),
            (json!("PT1H"), json!(1_700_000_000), json!(1_700_003_600)),
            (json!("PT1H"), json!(1_700_000_000_000_i64), json!(1_700_003_600_000_i64)),
            (json!(2), json!("41"), json!("43")),
            (json!(1), json!("2025-02-28"), json!("2025-03-01")),
            (json!("P1M"), json!("2025-01-31"), json!("2025-02-28")),
            (json!(60), json!("2025-01-01T00:00:00Z"), json!("2025-01-01T00:01:00Z")),
            (json!("P1D"), json!("2025-01-01 00:00:00.250+02:00"), json!("2025-01-02 00:00:00.250+02:00")),
            (json!(0.25), json!("2025-01-01T00:00:00.000"), json!("2025-01-01T00:00:00.250")),
            (json!("PT90M"), json!("2025-01-01T10"), json!("2025-01-01T11:30:00")),
        ] {
            assert_eq!(shift(length).apply(&from, false), Some(to.clone()), "{from}");
        }
        assert_eq!(shift(json!(1)).apply(&json!("2025-03-01"), true), Some(json!("2025-02-28")));
        assert_eq!(shift(json!("P1D")).apply(&json!("20250301"), true), Some(json!("20250228")));
        assert_eq!(shift(json!(1)).apply(&json!("20250230"), true), Some(json!("20250229")));
        for (value, to) in [
            (json!(7), json!(6)),
            (json!("7"), json!("6")),
            (json!("2025-03-01"), json!("2025-02-28")),
            (json!(7.25), json!(6.75)),
            (json!("2025-03-01T00:00:01.0"), json!("2025-03-01T00:00:00.5")),
        ] {
            assert_eq!(shift(json!(0.5)).rounded_for(&value).apply(&value, true), Some(to));
        }
        for (length, from) in [
            (json!("PT1H"), json!("2025-01-01")),
            (json!("P1M"), json!(5)),
            (json!(1), json!("x")),
            (json!(1), json!(null)),
            (json!(1e300), json!("2025-01-01")),
            (json!("P9999Y"), json!("2025-01-01T00:00:00Z")),
        ] {
            assert_eq!(shift(length).apply(&from, false), None, "{from}");
        }
    }

    #[test]
    fn what_is_no_length_is_told() {
        for length in [json!(0), json!(-1), json!("PT0S"), json!("-P1D"), json!("a day")] {
            let length: Length = serde_json::from_value(length).unwrap();
            assert_eq!(Shift::parse(&length, "/p").unwrap_err().pointer.as_deref(), Some("/p"));
        }
    }

    #[test]
    fn now_has_the_form_of_the_cursor() {
        // 2023-11-14T22:13:20.5Z
        let now = |form: Option<Value>| now_like(form.as_ref(), 1_700_000_000_500);
        assert_eq!(now(None), Some(json!("2023-11-14T22:13:21Z")));
        assert_eq!(now(Some(json!(0))), Some(json!(1_700_000_001)));
        assert_eq!(now(Some(json!(1_600_000_000_000_i64))), Some(json!(1_700_000_000_500_i64)));
        assert_eq!(now(Some(json!("2020-01-01"))), Some(json!("2023-11-15")));
        assert_eq!(now(Some(json!("20200101"))), Some(json!("20231115")));
        assert_eq!(now(Some(json!("2020-01-01 10:00:00+01:00"))), Some(json!("2023-11-14 23:13:21+01:00")));
        assert_eq!(now(Some(json!("x"))), None);
    }

    #[test]
    fn values_are_written_as_the_api_wants_them() {
        let written = |format: &str, value: Value| Convert::parse(format, "").unwrap().apply(&value);
        let second = 1_740_823_200;
        for value in [json!("2025-03-01T12:00:00+02:00"), json!(second), json!(i64::from(second) * 1000)] {
            assert_eq!(written("iso", value.clone()), Some(json!("2025-03-01T10:00:00Z")));
            assert_eq!(written("date", value.clone()), Some(json!("2025-03-01")));
            assert_eq!(written("epoch", value.clone()), Some(json!(second)));
            assert_eq!(written("epoch_ms", value.clone()), Some(json!(i64::from(second) * 1000)));
            assert_eq!(written("%d/%m/%Y %H:%M", value), Some(json!("01/03/2025 10:00")));
        }
        assert_eq!(written("epoch", json!("2025-03-01")), Some(json!(1_740_787_200)));
        assert_eq!(written("iso", json!("soon")), None);
        assert_eq!(written("iso", json!(1e300)), None);
        assert_eq!(Convert::parse("epoc", "/p").unwrap_err().advice.as_deref(), Some("did you mean `epoch`?"));
        assert!(Convert::parse("%!", "/p").is_err());
    }
}
