//! Names of loads.

use std::time::{SystemTime, UNIX_EPOCH};

/// Tenths of a microsecond in a second: the digits after the point.
const TICKS: u128 = 10_000_000;

/// The name of a load that begins now: the Unix time with its fraction, as dlt writes it (`1795422121.3157506`). Always seven
/// digits after the point, so that names sort as text; greater than `previous` even where the clock was put back.
pub(super) fn next(previous: Option<&str>) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() / 100);
    after(previous, now)
}

fn after(previous: Option<&str>, now: u128) -> String {
    let ticks = previous.and_then(ticks).map_or(now, |previous| now.max(previous.saturating_add(1)));
    format!("{}.{:07}", ticks / TICKS, ticks % TICKS)
}

/// When a load began, in microseconds since 1970; 0 for a name that is none of ours.
pub(super) fn began(load_id: &str) -> i64 {
    ticks(load_id).and_then(|ticks| i64::try_from(ticks / 10).ok()).unwrap_or(0)
}

fn ticks(load_id: &str) -> Option<u128> {
    let (seconds, fraction) = load_id.split_once('.').unwrap_or((load_id, "0"));
    let fraction = format!("{fraction:0<7}").get(..7)?.parse::<u128>().ok()?;
    seconds.parse::<u128>().ok()?.checked_mul(TICKS)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_ids_increase_though_the_clock_stands_still_or_goes_back() {
        assert_eq!(after(None, 17_954_221_213_157_506), "1795422121.3157506");
        assert_eq!(after(Some("1795422121.3157506"), 17_954_221_213_157_506), "1795422121.3157507");
        assert_eq!(after(Some("1795422121.9999999"), 5), "1795422122.0000000");
        assert_eq!(after(Some("1795422121.5"), 17_954_221_210_000_000), "1795422121.5000001");
        // Not one of ours: the clock decides.
        assert_eq!(after(Some("first"), 10_000_001), "1.0000001");
        assert_eq!((began("1795422121.3157506"), began("first")), (1_795_422_121_315_750, 0));
        assert!(next(None).as_str() > "1700000000.0000000");
    }
}
