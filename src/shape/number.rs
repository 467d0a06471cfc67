//! Numbers as they are written, read without losing a digit.

use std::borrow::Cow;

/// Whether a JSON number is written without point and exponent.
pub fn is_whole(text: &str) -> bool {
    !text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
}

/// A number as dlt writes it in a text, which is Python's way: `1e15` is `1000000000000000.0`, `1e-7` is `1e-07`. With more digits than
/// a double holds it stays as it is written.
pub fn plain(text: &str) -> Cow<'_, str> {
    /// How many digits a double holds at least.
    const HELD: usize = 15;
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let digits = mantissa.trim_start_matches(['-', '0', '.']).bytes().filter(u8::is_ascii_digit).count();
    let Some(value) = double(text).filter(|_| digits <= HELD && !is_whole(text)) else { return Cow::Borrowed(text) };
    let written = format!("{value:?}");
    Cow::Owned(match written.split_once('e') {
        Some((mantissa, exponent)) => {
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
            format!("{mantissa}e{sign}{exponent:0>2}")
        }
        None => written,
    })
}

/// A number as dlt writes it in JSON, of which it makes ids: `1.50` is `1.5`, `1e20` is `1e+20`, `1e-7` stays.
pub fn json(text: &str) -> Cow<'_, str> {
    let Some(value) = double(text).filter(|_| !is_whole(text)) else { return Cow::Borrowed(text) };
    // Here its writer and Rust's part ways.
    if (1e-5..1e-4).contains(&value.abs()) {
        return Cow::Owned(value.to_string());
    }
    let written = format!("{value:?}");
    Cow::Owned(match written.split_once('e') {
        Some((mantissa, exponent)) if !exponent.starts_with('-') => format!("{mantissa}e+{exponent}"),
        _ => written,
    })
}

/// A number in a text, where `_` may stand between two digits: `1_000`.
pub fn without_separators(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_hexdigit);
    let mut separators = text.match_indices('_').peekable();
    if separators.peek().is_none() || !separators.all(|(at, _)| is_digit(at.checked_sub(1)) && is_digit(Some(at + 1))) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace('_', ""))
}

/// A double. None for what is no number, or beyond the largest double.
pub fn double(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|double| double.is_finite())
}

/// Whether a double has the value of a whole number.
pub fn is_exact(text: &str, double: f64) -> bool {
    // Below it each whole number is a double, and no other becomes it.
    const LIMIT: f64 = 9_007_199_254_740_992.0;
    double.abs() < LIMIT || (double.abs() < 1e38 && text.parse::<i128>().is_ok_and(|value| value == double as i128))
}

/// A whole number, though it may be written with point and exponent, such as `6.0` and `1e3`.
pub fn bigint(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| match decimal(text, 38, 0)? {
        (value, true) => i64::try_from(value).ok(),
        (_, false) => None,
    })
}

/// A whole number after `0x`, with or without a sign.
pub fn hexadecimal(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"))?;
    let is_plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_plain.then(|| i128::from_str_radix(digits, 16).ok()?.checked_mul(sign))?
}

/// A whole number of at most `precision` digits.
pub fn integer(text: &str, precision: u8) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text).trim_start_matches('0');
    (digits.len() <= usize::from(precision)).then(|| text.parse().ok())?
}

/// The unscaled digits of a number in a decimal column, and whether they are all of its digits: those behind the column's last
/// one are rounded, half away from zero. None for what is no number, or too large.
pub fn decimal(text: &str, precision: u8, scale: u8) -> Option<(i128, bool)> {
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
    if digits.bytes().all(|digit| digit == b'0') {
        return Some((0, true));
    }
    // Where the column's digits end in those of the number.
    let end = i64::try_from(whole.len()).ok()? + i64::from(exponent) + i64::from(scale);
    let Ok(end) = usize::try_from(end) else { return Some((0, false)) };
    let kept = digits.get(..end.min(digits.len()))?.trim_start_matches('0');
    let rest = digits.get(end.min(digits.len())..)?;
    let zeros = end.saturating_sub(digits.len());
    if kept.len() + if kept.is_empty() { 0 } else { zeros } > usize::from(precision) {
        return None;
    }
    let mut value: i128 = if kept.is_empty() { 0 } else { kept.parse().ok()? };
    if value != 0 {
        value = value.checked_mul(10_i128.checked_pow(u32::try_from(zeros).ok()?)?)?;
    }
    if rest.bytes().next().is_some_and(|digit| digit >= b'5') {
        value += 1;
    }
    let is_whole = rest.bytes().all(|digit| digit == b'0');
    (value.unsigned_abs() < 10_u128.checked_pow(u32::from(precision))?).then_some((sign * value, is_whole))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("5.5", 38, 0, Some(6)),
            ("0.0", 38, 0, Some(0)),
            ("1e-40", 38, 0, Some(0)),
        ] {
            assert_eq!(
                decimal(text, precision, scale).map(|(digits, _)| digits),
                digits,
                "{text} in decimal({precision}, {scale})"
            );
        }
    }

    #[test]
    fn what_is_lost_is_told() {
        for (text, scale, is_whole) in
            [("1.50", 1, true), ("1.55", 1, false), ("1e-900", 2, false), ("0e-900", 2, true)]
        {
            assert_eq!(decimal(text, 38, scale).unwrap().1, is_whole, "{text}");
        }
        assert!(is_exact("9007199254740992", 9_007_199_254_740_992.0));
        assert!(!is_exact("9007199254740993", 9_007_199_254_740_993.0));
        assert!(is_exact("18014398509481984", 18_014_398_509_481_984.0));
    }

    #[test]
    fn numbers_are_written_as_python_does() {
        for (text, written) in [
            ("1e15", "1000000000000000.0"),
            ("1e16", "1e+16"),
            ("1E+20", "1e+20"),
            ("1e-7", "1e-07"),
            ("0.0001", "0.0001"),
            ("5.50", "5.5"),
            ("-2.5e-10", "-2.5e-10"),
            ("7", "7"),
            ("0.12345678901234567890", "0.12345678901234567890"),
            ("1e999", "1e999"),
        ] {
            assert_eq!(plain(text), written, "{text}");
        }
        for (text, read) in
            [("1_000", "1000"), ("_1", "_1"), ("1__0", "1__0"), ("1_", "1_"), ("0xf_f", "0xff"), ("a", "a")]
        {
            assert_eq!(without_separators(text), read, "{text}");
        }
    }

    #[test]
    fn whole_numbers_are_read_however_they_are_written() {
        for (text, value) in [
            ("6.0", Some(6)),
            ("1e18", Some(1_000_000_000_000_000_000)),
            ("9223372036854775807.0", Some(i64::MAX)),
            ("9223372036854775808.0", None),
            ("-9223372036854775808", Some(i64::MIN)),
            ("5.5", None),
            ("1e19", None),
            ("0.0", Some(0)),
        ] {
            assert_eq!(bigint(text), value, "{text}");
        }
        for (text, value) in
            [("0x1F", Some(31)), ("-0xff", Some(-255)), ("0x", None), ("0xg", None), ("12", None), ("0x+1", None)]
        {
            assert_eq!(hexadecimal(text), value, "{text}");
        }
    }
}
