//! What one run may use up: every cap, its default, and its name.
//!
//! A cap has one name everywhere: the field of [`Limits`], `--limit NAME=VALUE`, `limits: {NAME: VALUE}` in a policy, and
//! [`Error::limit`] of the error that a breach ends in. [`LIMITS`] lists them all.

use crate::{Class, Error, Result};
use bytesize::ByteSize;
use jiff::SignedDuration;
use std::time::Duration;

/// How a cap is counted, and how its value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes: `64MiB`, `1GB`, or a number of bytes.
    Bytes,
    /// A number of things.
    Count,
    /// A time: `30s`, `1h 30m`, `500ms`.
    Time,
}

impl Unit {
    /// How its values are written, for a person.
    pub fn written(self) -> &'static str {
        match self {
            Self::Bytes => "a size, such as 64MiB",
            Self::Count => "a number, 1 or more",
            Self::Time => "a time, such as 30s or 1h 30m",
        }
    }
}

/// A cap, as it is named and shown.
#[derive(Clone, Copy)]
pub struct Limit {
    /// Its name: the field of [`Limits`].
    pub name: &'static str,
    /// How it is counted.
    pub unit: Unit,
    /// What it is a limit on: reads after "the limit on".
    pub on: &'static str,
    /// Bytes, a number, or milliseconds.
    get: fn(&Limits) -> u64,
    set: fn(&mut Limits, u64),
}

/// A number that a cap is kept as.
trait Number: Copy {
    fn of(value: u64) -> Self;
    fn number(self) -> u64;
}

impl Number for u64 {
    fn of(value: u64) -> Self {
        value
    }

    fn number(self) -> u64 {
        self
    }
}

impl Number for usize {
    fn of(value: u64) -> Self {
        Self::try_from(value).unwrap_or(Self::MAX)
    }

    fn number(self) -> u64 {
        self as u64
    }
}

impl Number for Duration {
    fn of(value: u64) -> Self {
        Self::from_millis(value)
    }

    fn number(self) -> u64 {
        u64::try_from(self.as_millis()).unwrap_or(u64::MAX)
    }
}

/// Declares the caps: a field with its default, and a row of [`LIMITS`] for each.
macro_rules! limits {
    ($($(#[$doc:meta])* $constant:ident $field:ident: $type:ty = $default:expr, $unit:ident, $on:literal;)*) => {
        /// Caps on one run. A breach ends in an error that names the cap; none can be switched off.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Limits {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        $(
            pub(crate) const $constant: Limit = Limit {
                name: stringify!($field),
                unit: Unit::$unit,
                on: $on,
                get: |limits| limits.$field.number(),
                set: |limits, value| limits.$field = Number::of(value),
            };
        )*

        /// Every cap, in the order in which they are told.
        pub const LIMITS: &[Limit] = &[$($constant),*];
    };
}

limits! {
    /// Bytes of memory of the connector.
    MEMORY memory: usize = 512 << 20, Bytes, "the connector's memory";
    /// Time that a call of the connector may compute without waiting for anything.
    CPU cpu: Duration = Duration::from_secs(30), Time, "the connector's computing time";
    /// Time from the start of a run to the last call of the connector.
    WALL wall: Duration = Duration::from_secs(6 * 3600), Time, "the time of a run";
    /// Bytes of rows that one call may hand over.
    BATCH_SIZE batch_size: usize = 64 << 20, Bytes, "the size of a batch";
    /// Tables that a run hands over rows of.
    TABLES tables: usize = 10_000, Count, "the tables of a run";
    /// Bytes of a state or a schema.
    STATE_SIZE state_size: usize = 1 << 20, Bytes, "the size of a state";
    /// Requests, responses, streams and waits that may be open at once. The host keeps headers and parts of bodies for each, outside the
    /// connector's memory: 160 MiB for so many at the most, and 64 MiB of bodies where answers are kept. A reader with the largest window needs a few hundred.
    HANDLES handles: usize = 2_000, Count, "what a connector may hold open";
    /// Requests in a run, also those that fail.
    REQUESTS requests: u64 = 1_000_000, Count, "requests in a run";
    /// Requests in flight, until their response is read or dropped. Twice the largest window of a reader.
    IN_FLIGHT in_flight: usize = 128, Count, "requests in flight";
    /// Bytes of all responses of a run, after decompression.
    RECEIVED received: u64 = 1 << 40, Bytes, "the bytes received in a run";
    /// Bytes of all request bodies of a run.
    SENT sent: u64 = 16 << 30, Bytes, "the bytes sent in a run";
    /// Bytes of the path and query of a URL.
    URL_SIZE url_size: usize = 32 << 10, Bytes, "the size of a URL";
    /// Bytes of the body of a request, which is held in memory.
    REQUEST_SIZE request_size: usize = 16 << 20, Bytes, "the size of a request";
    /// Bytes of the headers of a request or response, counted as HTTP/2 does.
    HEADER_SIZE header_size: usize = 64 << 10, Bytes, "the size of headers";
    /// Bytes of the body of a response, after decompression.
    RESPONSE_SIZE response_size: u64 = 64 << 20, Bytes, "the size of a response";
    /// Time for name resolution, connection and TLS handshake.
    CONNECT_TIMEOUT connect_timeout: Duration = Duration::from_secs(10), Time, "the time to connect";
    /// Time from a request to its response's headers.
    FIRST_BYTE_TIMEOUT first_byte_timeout: Duration = Duration::from_secs(60), Time, "the time to the first byte of a response";
    /// Time between two pieces of a response's body, while the connector waits for one.
    BETWEEN_BYTES_TIMEOUT between_bytes_timeout: Duration = Duration::from_secs(30), Time, "the time between two parts of a response";
    /// Time from a request to the end of its response, while the connector waits for it.
    TOTAL_TIMEOUT total_timeout: Duration = Duration::from_secs(300), Time, "the time of a response";
}

impl Limit {
    /// The cap of this name. Fails with the nearest name where there is none.
    pub fn named(name: &str) -> Result<&'static Self> {
        LIMITS.iter().find(|limit| limit.name == name).ok_or_else(|| {
            let near = spile_connector::config::nearest(name, LIMITS.iter().map(|limit| limit.name));
            let advice = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`spile limits` lists them".to_owned(),
            };
            Error::new(Class::Config, format!("there is no limit `{name}`")).advice(advice)
        })
    }

    /// Its value, as a person writes it.
    pub fn show(&self, limits: &Limits) -> String {
        self.written((self.get)(limits))
    }

    fn written(&self, value: u64) -> String {
        match self.unit {
            Unit::Bytes => {
                let (unit, name) = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")]
                    .into_iter()
                    .find(|(shift, _)| value >> shift > 0 && value.is_multiple_of(1 << shift))
                    .unwrap_or((0, "bytes"));
                format!("{} {name}", value >> unit)
            }
            Unit::Count => value.to_string(),
            Unit::Time => format!("{:#}", SignedDuration::from_millis(i64::try_from(value).unwrap_or(i64::MAX))),
        }
    }

    /// Sets it to what a person writes: see [`Unit`].
    pub fn set(&self, limits: &mut Limits, text: &str) -> Result<()> {
        let text = text.trim();
        let value = match self.unit {
            Unit::Bytes => text.parse::<ByteSize>().ok().map(|size| size.as_u64()),
            Unit::Count => text.replace([',', '_'], "").parse().ok(),
            Unit::Time => text.parse::<SignedDuration>().ok().and_then(|time| u64::try_from(time.as_millis()).ok()),
        };
        let Some(value) = value.filter(|value| *value > 0) else {
            return Err(Error::new(Class::Config, format!("`{text}` is not a value of the limit `{}`", self.name))
                .advice(format!("write {}; no limit can be switched off", self.unit.written())));
        };
        (self.set)(limits, value);
        Ok(())
    }

    /// The error of a breach.
    pub(crate) fn reached(&self, limits: &Limits) -> Error {
        let value = (self.get)(limits);
        let more = self.written(value.saturating_mul(2)).replace(' ', "");
        let mut error = Error::new(Class::Policy, format!("the limit on {} was reached", self.on))
            .fact("limit", format_args!("{}, {}", self.name, self.written(value)))
            .advice(format!(
                "if the source needs more, raise it with `--limit {}={more}`, or in the policy",
                self.name
            ));
        error.limit = Some(self.name);
        error
    }
}

impl Limits {
    /// Takes the smaller value of each cap.
    pub fn lower_to(&mut self, others: &Self) {
        for limit in LIMITS {
            (limit.set)(self, (limit.get)(self).min((limit.get)(others)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_that_is_shown_can_be_written() {
        for limit in LIMITS {
            let (shown, mut limits) = (limit.show(&Limits::default()), Limits::default());
            (limit.set)(&mut limits, 1);
            assert_ne!(limits, Limits::default(), "{}", limit.name);
            limit.set(&mut limits, &shown).unwrap();
            assert_eq!(limits, Limits::default(), "{} as {shown}", limit.name);
        }
    }

    /// The rows of `docs/limits.md` between its two marks. `BLESS=1` writes them.
    #[test]
    fn the_documents_list_every_limit() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/limits.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (before, rest) = text.split_once("<!-- limits -->\n").unwrap();
        let (_, after) = rest.split_once("<!-- end of limits -->").unwrap();
        let limits = Limits::default();
        let row = |limit: &Limit| format!("| `{}` | {} | {} |\n", limit.name, limit.on, limit.show(&limits));
        let rows: String = LIMITS.iter().map(row).collect();
        let table = format!("| name | a limit on | default |\n|---|---|---|\n{rows}");
        let whole = format!("{before}<!-- limits -->\n{table}<!-- end of limits -->{after}");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, &whole).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), whole, "BLESS=1 writes it");
    }

    #[test]
    fn values_are_read_as_people_write_them() {
        let mut limits = Limits::default();
        for (name, text) in [("memory", "256MiB"), ("requests", "10,000"), ("wall", "1h 30m"), ("cpu", "500ms")] {
            Limit::named(name).unwrap().set(&mut limits, text).unwrap();
        }
        let (wall, cpu) = (Duration::from_secs(5400), Duration::from_millis(500));
        assert_eq!((limits.memory, limits.requests, limits.wall, limits.cpu), (256 << 20, 10_000, wall, cpu));
        for (name, text) in
            [("memory", "much"), ("requests", "-1"), ("requests", "0"), ("cpu", "-5s"), ("wall", "0s"), ("wall", "")]
        {
            let error = Limit::named(name).unwrap().set(&mut limits, text).unwrap_err();
            assert_eq!(error.class, Class::Config, "{name}={text}");
        }
        assert_eq!(Limit::named("memry").err().unwrap().advice.unwrap(), "did you mean `memory`?");
    }

    #[test]
    fn a_breach_names_its_limit() {
        let error = RESPONSE_SIZE.reached(&Limits::default());
        assert_eq!(error.message, "the limit on the size of a response was reached");
        assert_eq!(error.limit, Some("response_size"));
        assert_eq!(error.facts, [("limit", "response_size, 64 MiB".to_owned())]);
        assert!(error.advice.unwrap().contains("--limit response_size=128MiB"));
    }

    #[test]
    fn the_smaller_value_of_each_counts() {
        let mut limits = Limits { memory: 1 << 20, ..Limits::default() };
        limits.lower_to(&Limits { requests: 5, ..Limits::default() });
        assert_eq!(limits, Limits { memory: 1 << 20, requests: 5, ..Limits::default() });
    }
}
