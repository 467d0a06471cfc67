//! What a response says of the API's limit on the rate of requests: `Retry-After` (RFC 9110, section 10.2.3), the fields `RateLimit` and
//! `RateLimit-*` of the drafts of the IETF's HTTPAPI group, and the older `X-RateLimit-*`.

use crate::request::Response;
use jiff::fmt::rfc2822;

/// What is left of a quota.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Told {
    /// How many requests may still be made.
    pub remaining: u64,
    /// In how many milliseconds there are more, if that is said.
    pub reset: Option<u64>,
}

/// From here on a number of seconds is an instant (1e9 is in 2001), and in milliseconds from the second on.
const INSTANT: f64 = 1e9;
const INSTANT_IN_MILLISECONDS: f64 = 1e12;

/// The fields of one number each, those that are drafts of a standard first.
const FIELDS: [(&str, &str); 3] = [
    ("ratelimit-remaining", "ratelimit-reset"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    ("x-rate-limit-remaining", "x-rate-limit-reset"),
];

/// What is left of the quota; of several the one of which least is left. `now` is in milliseconds since 1970.
pub fn told(response: &Response, now: u64) -> Option<Told> {
    let field = |(remaining, reset): (&str, &str)| {
        let remaining = count(response.header(remaining)?)?;
        Some(Told { remaining, reset: response.header(reset).and_then(|text| until(text, response, now)) })
    };
    let lines = response.headers.iter().filter(|(name, _)| name == "ratelimit").map(|(_, value)| value.as_str());
    let line = lines.collect::<Vec<_>>().join(",");
    structured(&line, response, now).or_else(|| FIELDS.into_iter().find_map(field))
}

/// How many milliseconds the API asks to wait before the next request, if it does: by `Retry-After`, or because nothing is
/// left of a quota until it is reset.
pub fn asked(response: &Response, now: u64) -> Option<u64> {
    let retry_after = response.header("retry-after").and_then(|text| retry_after(text, clock(response, now)));
    let reset = || told(response, now).filter(|told| response.status == 429 && told.remaining == 0)?.reset;
    retry_after.or_else(reset)
}

/// `limit=100, remaining=50, reset=30` (drafts 3 to 7), or `"name";r=50;t=30, "other";r=…` (from draft 8 on).
fn structured(line: &str, response: &Response, now: u64) -> Option<Told> {
    let mut found: Option<Told> = None;
    let mut keep = |remaining: Option<&str>, reset: Option<&str>| {
        let Some(remaining) = remaining.and_then(count) else { return };
        let told = Told { remaining, reset: reset.and_then(|text| until(text, response, now)) };
        let is_tighter = |other: &Told| (told.remaining, other.reset) < (other.remaining, told.reset);
        if found.as_ref().is_none_or(is_tighter) {
            found = Some(told);
        }
    };
    let value = |parts: &[&str], name: &str| -> Option<usize> {
        parts.iter().position(|part| part.trim().strip_prefix(name).is_some_and(|rest| rest.trim().starts_with('=')))
    };
    let text = |part: &str| part.split_once('=').map(|(_, value)| value.trim().to_owned());
    let of = |parts: &[&str], name: &str| value(parts, name).and_then(|at| parts.get(at)).and_then(|part| text(part));
    let members = split(line, ',');
    if value(&members, "remaining").is_some() {
        keep(of(&members, "remaining").as_deref(), of(&members, "reset").as_deref());
    }
    for member in members {
        let parts = split(member, ';');
        keep(of(&parts, "r").as_deref(), of(&parts, "t").as_deref());
    }
    found
}

/// Splits a structured field, but not within quotes.
fn split(text: &str, at: char) -> Vec<&str> {
    let mut is_quoted = false;
    text.split(|c| {
        is_quoted ^= c == '"';
        c == at && !is_quoted
    })
    .collect()
}

fn count(text: &str) -> Option<u64> {
    let number: f64 = text.trim().parse().ok()?;
    (number.is_finite()).then_some(number.max(0.0) as u64)
}

/// Milliseconds until a reset: seconds from now, or an instant on the API's clock, told apart by their size.
fn until(text: &str, response: &Response, now: u64) -> Option<u64> {
    let number: f64 = text.trim().parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)?;
    let clock = clock(response, now);
    Some(match number {
        INSTANT_IN_MILLISECONDS.. => (number as u64).saturating_sub(clock),
        INSTANT.. => ((number * 1000.0) as u64).saturating_sub(clock),
        _ => (number * 1000.0).ceil() as u64,
    })
}

/// Milliseconds from now that a `Retry-After` value asks to wait: seconds, or an HTTP date.
fn retry_after(text: &str, clock: u64) -> Option<u64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(seconds.saturating_mul(1000));
    }
    Some(date(text)?.saturating_sub(clock))
}

/// The API's own clock, so that it does not matter whether ours agrees with it; ours where it does not say.
fn clock(response: &Response, now: u64) -> u64 {
    response.header("date").and_then(date).unwrap_or(now)
}

/// An HTTP date in milliseconds since 1970.
fn date(text: &str) -> Option<u64> {
    let date = rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()?;
    u64::try_from(date.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 7 seconds before the date of the tests.
    const NOW: u64 = 784_111_770_000;
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn response(headers: &[(&str, &str)]) -> Response {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Response { status: 429, headers, body: Vec::new() }
    }

    fn left(headers: &[(&str, &str)]) -> Option<(u64, Option<u64>)> {
        told(&response(headers), NOW).map(|told| (told.remaining, told.reset))
    }

    #[test]
    fn the_standard_field_in_both_forms() {
        assert_eq!(left(&[("ratelimit", "limit=100, remaining=50, reset=30")]), Some((50, Some(30_000))));
        assert_eq!(left(&[("ratelimit", "remaining=5")]), Some((5, None)));
        assert_eq!(left(&[("ratelimit", r#""default";r=50;t=30"#)]), Some((50, Some(30_000))));
        assert_eq!(left(&[("ratelimit", r#""a,b;r=0";r=50;t=30, "day";r=9;t=3600"#)]), Some((9, Some(3_600_000))));
        assert_eq!(left(&[("ratelimit", r#""a";r=0;t=1"#), ("ratelimit", r#""b";r=0;t=9"#)]), Some((0, Some(9000))));
        assert_eq!(left(&[("ratelimit", r#""a";t=30"#)]), None);
    }

    #[test]
    fn the_fields_of_one_number() {
        assert_eq!(left(&[("ratelimit-remaining", "3"), ("ratelimit-reset", "30")]), Some((3, Some(30_000))));
        assert_eq!(left(&[("x-ratelimit-remaining", "3"), ("x-ratelimit-reset", "0.25")]), Some((3, Some(250))));
        assert_eq!(left(&[("x-rate-limit-remaining", "-1")]), Some((0, None)));
        assert_eq!(left(&[("x-ratelimit-reset", "30")]), None);
        assert_eq!(left(&[("x-ratelimit-remaining", "many")]), None);
        assert_eq!(left(&[("x-ratelimit-remaining", "3"), ("x-ratelimit-reset", "soon")]), Some((3, None)));
    }

    #[test]
    fn an_instant_is_told_from_a_duration_and_is_on_the_clock_of_the_api() {
        let reset = |value: &str, date: Option<&str>| {
            let mut headers = vec![("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", value)];
            headers.extend(date.map(|date| ("date", date)));
            let mut response = response(&headers);
            response.status = 200;
            told(&response, 1_700_000_000_000).unwrap().reset
        };
        assert_eq!(reset("1700000060", None), Some(60_000));
        assert_eq!(reset("1700000060000", None), Some(60_000));
        assert_eq!(reset("1600000000", None), Some(0));
        assert_eq!(reset("86400", None), Some(86_400_000));
        // A clock that is two minutes late.
        assert_eq!(reset("1700000060", Some("Tue, 14 Nov 2023 22:11:20 GMT")), Some(180_000));
    }

    #[test]
    fn what_is_asked_for() {
        assert_eq!(asked(&response(&[("retry-after", "7")]), NOW), Some(7000));
        assert_eq!(asked(&response(&[("retry-after", "0")]), NOW), Some(0));
        assert_eq!(asked(&response(&[("retry-after", DATE)]), NOW), Some(7000));
        assert_eq!(asked(&response(&[("retry-after", DATE)]), NOW + 20_000), Some(0));
        assert_eq!(asked(&response(&[("retry-after", DATE), ("date", DATE)]), NOW), Some(0));
        assert_eq!(asked(&response(&[("retry-after", "soon")]), NOW), None);
        let used_up = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "9")];
        assert_eq!(asked(&response(&used_up), NOW), Some(9000));
        assert_eq!(asked(&Response { status: 500, ..response(&used_up) }, NOW), None);
    }

    proptest! {
        #[test]
        fn no_header_is_too_strange(text in "\\PC*", number in "[-+0-9.eE]{0,24}") {
            for value in [&text, &number] {
                let headers = [("ratelimit", value.as_str()), ("x-ratelimit-remaining", value), ("x-ratelimit-reset", value),
                    ("retry-after", value), ("date", value)];
                let _ = (told(&response(&headers), NOW), asked(&response(&headers), NOW));
            }
        }
    }
}
