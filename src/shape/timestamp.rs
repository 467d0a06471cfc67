//! Which texts are timestamps (reference, section 10.2).

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime, ISOWeekDate, Time, Weekday};
use jiff::tz::Offset;

/// Microseconds since 1970-01-01T00:00:00Z of an ISO date-time, a naive one taken as UTC; None for every other text.
pub fn parse(text: &str) -> Option<i64> {
    common(text).or_else(|| {
        let (datetime, offset) = read(text)?;
        micros(datetime, offset)
    })
}

/// The same of the form that most are in, `YYYY-MM-DDTHH:MM:SS[.fraction][Z]`, which needs no search for its parts.
fn common(text: &str) -> Option<i64> {
    const SECOND: i64 = 1_000_000;
    let two = |tens: u8, ones: u8| {
        (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| i16::from(tens - b'0') * 10 + i16::from(ones - b'0'))
    };
    let (start, rest) = text.as_bytes().split_first_chunk::<19>()?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T' | b' ', h1, h2, b':', n1, n2, b':', s1, s2] = *start else {
        return None;
    };
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    let date = Date::new(year, two(m1, m2)?.try_into().ok()?, two(d1, d2)?.try_into().ok()?).ok()?;
    let (hour, minute, second) = (two(h1, h2)?, two(n1, n2)?, two(s1, s2)?);
    if year == 0 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let rest = rest.strip_suffix(b"Z").unwrap_or(rest);
    let mut micros = 0;
    if let Some(digits) = rest.strip_prefix(b".") {
        let mut weight = SECOND;
        for digit in digits {
            weight /= 10;
            micros += weight * i64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
        }
        if digits.is_empty() {
            return None;
        }
    } else if !rest.is_empty() {
        return None;
    }
    let midnight = date.duration_since(Date::constant(1970, 1, 1)).as_secs();
    let clock = (i64::from(hour) * 60 + i64::from(minute)) * 60 + i64::from(second);
    Some((midnight + clock) * SECOND + micros)
}

/// Microseconds since 1970-01-01T00:00:00Z; none where no year of four digits is left in UTC.
fn micros(datetime: DateTime, offset: Offset) -> Option<i64> {
    let in_utc = datetime.checked_sub(SignedDuration::from_secs(offset.seconds().into())).ok()?;
    let since = in_utc.duration_since(DateTime::constant(1970, 1, 1, 0, 0, 0, 0));
    (in_utc.year() > 0).then(|| i64::try_from(since.as_micros()).ok())?
}

/// The date and time in UTC of an instant.
pub fn in_utc(micros: i64) -> Option<DateTime> {
    DateTime::constant(1970, 1, 1, 0, 0, 0, 0).checked_add(SignedDuration::from_micros(micros)).ok()
}

/// Microseconds since 1970-01-01T00:00:00Z of an ISO date-time or date; a date is its midnight.
pub fn instant(text: &str) -> Option<i64> {
    parse(text).or_else(|| micros(date_of(text)?.at(0, 0, 0, 0), Offset::UTC))
}

/// Days since 1970-01-01 of an ISO date, `YYYY-MM-DD` or `YYYYMMDD`.
pub fn date(text: &str) -> Option<i32> {
    let date = date_of(text).or_else(|| compact_date(text))?;
    let micros = micros(date.at(0, 0, 0, 0), Offset::UTC)?;
    i32::try_from(micros.div_euclid(86_400_000_000)).ok()
}

/// `YYYYMMDD`.
fn compact_date(text: &str) -> Option<Date> {
    let is_compact = text.len() == 8 && text.is_ascii();
    is_compact.then(|| date_of(&format!("{}-{}-{}", text.get(..4)?, text.get(4..6)?, text.get(6..)?)))?
}

/// Microseconds since midnight of an ISO time of day.
pub fn time(text: &str) -> Option<i64> {
    let time = time_of(text)?;
    let seconds = (i64::from(time.hour()) * 60 + i64::from(time.minute())) * 60 + i64::from(time.second());
    Some(seconds * 1_000_000 + i64::from(time.subsec_nanosecond()) / 1000)
}

/// The local date and time of an ISO date-time, to the microsecond, and its offset; UTC where it names none. Read are the forms
/// that dlt reads: `YYYY-MM-DD`, `YYYY-DDD` and `YYYY-Www-D` with a time after `T` or a space, `YYYYMMDDTHHMM[SS]`, and
/// `YYYY/MM/DD` with a time after a space.
pub fn read(text: &str) -> Option<(DateTime, Offset)> {
    // Most texts end here.
    if !text.as_bytes().get(..4)?.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let at = text.find(['T', ' '])?;
    let (date, rest) = (text.get(..at)?, text.get(at..)?);
    let is_compact = !date.contains(['-', '/']);
    let date = match date.len() {
        _ if is_compact && date.contains('W') => None,
        8 if is_compact && rest.starts_with('T') => compact_date(date),
        10 if date.contains('/') && rest.starts_with(' ') => date_of(&date.replace('/', "-")),
        10 if date.get(5..6)? == "W" => week_date(date),
        10 => date_of(date),
        8 => day_of_year(date),
        _ => None,
    }?;
    let rest = rest.get(1..)?;
    let at = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (time, zone) = (rest.get(..at)?, rest.get(at..)?);
    let offset = offset_of(zone)?;
    let time = if is_compact { compact_time(time)? } else { time_of(time)? };
    Some((date.to_datetime(time), offset))
}

/// `YYYY-Www-D`.
fn week_date(text: &str) -> Option<Date> {
    let (year, rest) = text.split_once("-W")?;
    let (week, day) = rest.split_once('-')?;
    let day = Weekday::from_monday_one_offset(number(day, 1)?).ok()?;
    Some(ISOWeekDate::new(number(year, 4)?, number(week, 2)?, day).ok()?.date())
}

/// `YYYY-DDD`.
fn day_of_year(text: &str) -> Option<Date> {
    let (year, day) = text.split_once('-')?;
    let first = Date::new(number(year, 4)?, 1, 1).ok()?;
    first.with().day_of_year(number(day, 3)?).build().ok()
}

/// `HHMM[SS]`.
fn compact_time(text: &str) -> Option<Time> {
    let seconds = if text.len() == 6 { text.get(4..)? } else { "00" };
    matches!(text.len(), 4 | 6).then(|| time_of(&format!("{}:{}:{seconds}", text.get(..2)?, text.get(2..4)?)))?
}

/// Digits of exactly this many places.
fn number<T: std::str::FromStr>(text: &str, places: usize) -> Option<T> {
    (text.len() == places && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// An ISO date.
pub fn date_of(text: &str) -> Option<Date> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let is_whole = parts.next().is_none();
    is_whole.then(|| Date::new(number(year, 4)?, number(month, 2)?, number(day, 2)?).ok())?
}

/// `HH[:MM[:SS[(.|,)fraction]]]`, the fraction cut to six digits.
fn time_of(text: &str) -> Option<Time> {
    let (clock, fraction) = match text.split_once(['.', ',']) {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (text, None),
    };
    let mut parts = clock.split(':');
    let hour = number(parts.next()?, 2)?;
    let minute = parts.next().map_or(Some(0), |text| number(text, 2))?;
    let second = parts.next();
    if parts.next().is_some() || (fraction.is_some() && second.is_none()) {
        return None;
    }
    let second: i8 = second.map_or(Some(0), |text| number(text, 2))?;
    let micros: i32 = match fraction {
        None => 0,
        Some(digits) if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) => return None,
        Some(digits) => format!("{:0<6}", digits.get(..digits.len().min(6))?).parse().ok()?,
    };
    // jiff takes second 60 for 59; dlt has it for no time at all.
    (second < 60).then(|| Time::new(hour, minute, second, micros * 1000).ok())?
}

/// Nothing, `Z`, `±HH`, `±HHMM` or `±HH:MM`.
fn offset_of(text: &str) -> Option<Offset> {
    if matches!(text, "" | "Z") {
        return Some(Offset::UTC);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = text.get(1..)?;
    let (hours, minutes) = match digits.len() {
        2 => (digits, "00"),
        4 => digits.split_at_checked(2)?,
        5 => digits.split_once(':')?,
        _ => return None,
    };
    let (hours, minutes): (i32, i32) = (number(hours, 2)?, number(minutes, 2)?);
    (hours < 24 && minutes < 60).then(|| Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_times_are_read_as_utc() {
        let second = 1_740_823_200_000_000;
        for text in [
            "2025-03-01T10:00:00Z",
            "2025-03-01 10:00:00",
            "2025-03-01T10",
            "2025-03-01T10:00",
            "2025-03-01T12:00:00+02:00",
            "2025-03-01T12:00:00+0200",
            "2025-03-01T07:00:00-03",
            "20250301T1000",
            "20250301T100000Z",
            "2025-W09-6T10:00:00",
            "2025-060T10:00Z",
            "2025/03/01 10:00:00",
        ] {
            assert_eq!(parse(text), Some(second), "{text}");
        }
        assert_eq!(parse("2025-03-01T10:00:00.1234567Z"), Some(second + 123_456));
        assert_eq!(parse("2025-03-01T10:00:00,5"), Some(second + 500_000));
        assert_eq!(parse("1969-12-31T23:59:59Z"), Some(-1_000_000));
        assert_eq!(parse("9999-12-31T23:59:59Z"), Some(253_402_300_799_000_000));
        assert_eq!(parse("9999-12-31T23:59:59-01:00"), None);
        assert_eq!(in_utc(253_402_300_799_000_000).unwrap().to_string(), "9999-12-31T23:59:59");
        assert_eq!((date("20250301"), date("2025-03-01"), date("20251301")), (Some(20_148), Some(20_148), None));
    }

    #[test]
    fn the_common_form_is_read_as_all_are() {
        for text in [
            "2025-03-01T10:00:00Z",
            "2024-02-29 23:59:59",
            "1582-10-15T00:00:00.5",
            "0001-01-01T00:00:00.1234567Z",
            "9999-12-31T23:59:59.999999Z",
        ] {
            let (datetime, offset) = read(text).unwrap();
            assert!(common(text).is_some(), "{text}");
            assert_eq!(common(text), micros(datetime, offset), "{text}");
        }
    }

    #[test]
    fn other_texts_are_not() {
        for text in [
            "2025-03-01",
            "10:00:00",
            "2025-03-01t10:00:00",
            "2025-03-01T10:00:00z",
            " 2025-03-01T10:00:00",
            "2025-03-01T10:00:00 ",
            "2025-03-01T10:00:00 +02:00",
            "2025-3-01T10:00:00",
            "2025-13-01T10:00:00",
            "2025-03-01T24:00:00",
            "2025-03-01T10:00:60",
            "2025-02-30T10:00:00",
            "2025-03-01T1:00",
            "2025-03-01T10:00:00 Europe/Berlin",
            "0000-00-00T00:00:00",
            "20250301100000",
            "20250301 1000",
            "20250301T10",
            "2025/03/01T10:00:00",
            "2025-W54-1T10:00",
            "2025-W09-8T10:00",
            "2025-366T10:00",
            "2025-000T10:00",
            "2025-03-01-T10:00:00",
            "2025-03-01T10:00:00.",
            "2025-03-01T10.5",
            "2025-é",
            "",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
