//! Incremental loading: reads only what is new since the run before (reference, section 6).
//!
//! | file | what |
//! |---|---|
//! | `value` | which of two cursors is further |
//! | `time` | moving cursors, and writing them as APIs want them |
//! | `range` | from where to where a chain reads, and in which windows |
//! | `filter` | which records of a page are new |
//!
//! The cursors themselves, which the state holds, are kept by the engine.

mod filter;
mod range;
mod time;
mod value;

pub use filter::New;
pub use range::{Asked, Bound, Range};
pub use value::compare;

use crate::config::model::{self, End, LastValue, Missing, Order, RangeEnd, TooManyParents};
use crate::error::{Error, Result};
use crate::select::Selector;
use serde_json::Value;
use std::cmp::Ordering;
use time::{Convert, Shift};
use value::is_cursor;

/// For how many parents a cursor is kept where the configuration does not say.
const MOST_PARENTS: usize = 5_000;

/// The rules of an endpoint's `incremental`.
pub struct Incremental {
    /// The path of the cursor, as it is written.
    pub path: String,
    /// Its place in the configuration.
    pub pointer: String,
    /// For how many parents a cursor is kept.
    pub maximum_parents: usize,
    /// What happens where there are more.
    pub on_too_many_parents: TooManyParents,
    /// Whether records at the end of one run are told from those of the next.
    pub deduplicates: bool,
    selector: Selector,
    initial: Option<Value>,
    end: Option<Value>,
    /// Whether a run ends at the instant at which it began.
    ends_now: bool,
    last_value: LastValue,
    row_order: Option<Order>,
    start_is_open: bool,
    end_is_closed: bool,
    on_missing: Missing,
    lag: Option<Shift>,
    convert: Option<Convert>,
    step: Option<Shift>,
    granularity: Option<Shift>,
}

impl Incremental {
    /// Reads the rules. `pointer` is their place in the configuration.
    pub fn new(config: &model::Incremental, pointer: &str) -> Result<Self> {
        let at = |key: &str| format!("{pointer}/{key}");
        for (key, value) in [("initial_value", &config.initial_value), ("end_value", &config.end_value)] {
            if value.as_ref().is_some_and(|value| !is_cursor(value)) {
                return Err(Error::config(at(key), format!("`{key}` is neither a number nor a text")));
            }
        }
        let shift = |key: &str, length: &Option<model::Length>| {
            length.as_ref().map(|length| Shift::parse(length, &at(key))).transpose()
        };
        let lag = config.lag.filter(|lag| *lag > 0.0);
        let rules = Self {
            path: config.cursor_path.clone(),
            pointer: pointer.to_owned(),
            maximum_parents: config.maximum_parents.unwrap_or(MOST_PARENTS),
            on_too_many_parents: config.on_too_many_parents.unwrap_or_default(),
            deduplicates: config.primary_key.as_ref().is_none_or(|key| !key.as_slice().is_empty())
                && config.range_start != Some(RangeEnd::Open)
                && lag.is_none()
                && config.end_value.is_none(),
            selector: Selector::parse(&config.cursor_path, &at("cursor_path"))?,
            initial: config.initial_value.clone(),
            end: config.end_value.clone(),
            ends_now: matches!(config.end, Some(End::Now)),
            last_value: config.last_value_func.unwrap_or_default(),
            row_order: config.row_order,
            start_is_open: config.range_start == Some(RangeEnd::Open),
            end_is_closed: config.range_end == Some(RangeEnd::Closed),
            on_missing: config.on_cursor_value_missing.unwrap_or_default(),
            lag: lag.map(Shift::Number),
            convert: config.convert.as_ref().map(|format| Convert::parse(format, &at("convert"))).transpose()?,
            step: shift("step", &config.step)?,
            granularity: shift("granularity", &config.granularity)?,
        };
        rules.check(at)?;
        Ok(rules)
    }

    /// Rules that stand between several keys.
    fn check(&self, at: impl Fn(&str) -> String) -> Result<()> {
        if let Some(end) = &self.end {
            let Some(initial) = &self.initial else {
                return Err(Error::config(at("end_value"), "`end_value` is given without `initial_value`")
                    .advice("say where the range begins, or write `end: now`"));
            };
            match self.compare(initial, end) {
                None => {
                    let message = format!(
                        "{} and `initial_value`, {}, cannot be compared",
                        time::shown(end),
                        time::shown(initial)
                    );
                    return Err(
                        Error::config(at("end_value"), message).advice("write both as numbers, or both as texts")
                    );
                }
                Some(Ordering::Greater) => {
                    let message = format!("{} is before `initial_value`, {}", time::shown(end), time::shown(initial));
                    return Err(Error::config(at("end_value"), message));
                }
                Some(_) => {}
            }
            if self.ends_now {
                return Err(Error::config(at("end"), "`end` and `end_value` are given, and a range has one end")
                    .advice("leave one of them out"));
            }
        }
        let is_backwards = self.last_value == LastValue::Min;
        for (key, given) in [("end", self.ends_now), ("step", self.step.is_some())] {
            if given && is_backwards {
                return Err(Error::config(at(key), format!("`{key}` does not go with `last_value_func: min`"))
                    .advice("a range is read from the smaller value to the larger one"));
            }
        }
        let (Some(step), initial) = (&self.step, &self.initial) else {
            return match self.granularity {
                Some(_) => Err(Error::config(at("granularity"), "`granularity` is given without `step`")
                    .advice("give the length of the windows as `step`")),
                None => Ok(()),
            };
        };
        let Some(initial) = initial.as_ref().filter(|_| self.ends_now || self.end.is_some()) else {
            return Err(Error::config(at("step"), "windows need a beginning and an end")
                .advice("give `initial_value`, and `end: now` or `end_value`"));
        };
        for (key, shift) in [("step", Some(step)), ("granularity", self.granularity.as_ref())] {
            if shift.is_some_and(|shift| shift.apply(initial, false).is_none()) {
                let message = format!("the length does not go with `initial_value`, {}", time::shown(initial));
                return Err(Error::config(at(key), message)
                    .advice("a date moves by whole days, a number by a number, a date-time by seconds or a duration"));
            }
        }
        Ok(())
    }

    /// The cursor of a record; null where it has none.
    fn cursor(&self, record: &str) -> Result<Value> {
        self.selector.first_of_text(record).map(Option::unwrap_or_default)
    }

    /// Whether a run leaves no cursor behind.
    pub fn is_stateless(&self) -> bool {
        self.end.is_some()
    }

    /// Which of two values is further. None where they cannot be compared.
    pub fn compare(&self, left: &Value, right: &Value) -> Option<Ordering> {
        let order = compare(left, right)?;
        Some(if self.last_value == LastValue::Min { order.reverse() } else { order })
    }

    /// The error of a record's cursor that does not go with another value.
    pub fn mismatch(&self, cursor: &Value, other: &Value) -> Error {
        let message = format!(
            "the cursor `{}` is {}, and the value that it is compared with is {}",
            self.path,
            time::shown(cursor),
            time::shown(other)
        );
        Error {
            pointer: Some(format!("{}/cursor_path", self.pointer)),
            ..Error::new(crate::error::Kind::Schema, message)
        }
        .advice(
            "write `initial_value` in the type that the API gives; after a change of types run with `--full-refresh`",
        )
    }
}
