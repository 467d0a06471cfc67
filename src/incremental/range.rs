//! From where to where a chain reads, and in which windows.

use super::time::{now_like, shown};
use super::{Incremental, compare};
use crate::error::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// The most windows that a range may have.
const MOST_WINDOWS: usize = 10_000;

/// A value of a range that requests can name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// Where it begins: `start_value`.
    Start,
    /// The furthest cursor that earlier runs have read: `last_value`.
    Last,
    /// Where the first run begins: `initial_value`.
    Initial,
    /// Where it ends: `end_value`.
    End,
}

impl Bound {
    /// By the name that placeholders have for it.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "start_value" => Self::Start,
            "last_value" => Self::Last,
            "initial_value" => Self::Initial,
            "end_value" => Self::End,
            _ => return None,
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start_value",
            Self::Last => "last_value",
            Self::Initial => "initial_value",
            Self::End => "end_value",
        }
    }
}

/// From where to where a chain reads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Range {
    /// Records before this are not new.
    pub start: Option<Value>,
    /// Records from this on belong to a later run.
    pub end: Option<Value>,
    /// Records exactly here are those of the window beside this one.
    pub edge: Option<Value>,
    /// Digests of records at the start that were read before.
    pub seen: BTreeSet<String>,
    /// What requests are given: start, last, initial and end value.
    asked: [Option<Value>; 4],
}

/// What a run says of the ranges of all resources.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// When the run began, in milliseconds since 1970.
    pub now: u64,
    /// Begin here, whatever the state says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// End here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

impl Range {
    /// The value of a bound as requests have it; none where there is none.
    pub fn value(&self, bound: Bound) -> Option<&Value> {
        let [start, last, initial, end] = &self.asked;
        match bound {
            Bound::Start => start,
            Bound::Last => last,
            Bound::Initial => initial,
            Bound::End => end,
        }
        .as_ref()
    }
}

impl Incremental {
    /// The range after a last value with the digests of the records there, in windows where the configuration has some: each
    /// is a chain of its own.
    pub fn ranges(&self, asked: &Asked, last: Option<(&Value, &BTreeSet<String>)>) -> Result<Vec<Range>> {
        let (last, seen) = last.filter(|_| !self.is_stateless()).unzip();
        let form = last.or(self.initial.as_ref());
        let since = asked.since.as_ref().map(|text| typed(text, form));
        let start = match (&since, last) {
            (Some(since), _) => Some(since.clone()),
            (None, Some(last)) => Some(self.lagging(last)?),
            (None, None) => self.initial.clone(),
        };
        let end = match (&asked.until, &self.end) {
            (Some(until), _) => Some(typed(until, form)),
            (None, Some(end)) => Some(end.clone()),
            (None, None) if self.ends_now => {
                Some(now_like(start.as_ref(), asked.now).ok_or_else(|| self.timeless(&start))?)
            }
            (None, None) => None,
        };
        let known = seen.filter(|_| since.is_none() && self.deduplicates);
        let whole = Range {
            seen: known.cloned().unwrap_or_default(),
            asked: [
                self.written(start.as_ref())?,
                self.written(last.or(self.initial.as_ref()))?,
                self.written(self.initial.as_ref())?,
                self.written(end.as_ref())?,
            ],
            edge: None,
            start,
            end,
        };
        match (&self.step, &whole.start, &whole.end) {
            (Some(_), Some(start), Some(end)) => self.windows(&whole, start, end),
            _ => Ok(vec![whole]),
        }
    }

    /// The windows of a range, which cover it once and in order.
    fn windows(&self, whole: &Range, start: &Value, end: &Value) -> Result<Vec<Range>> {
        let mut windows: Vec<Range> = Vec::new();
        let mut from = start.clone();
        while compare(&from, end).ok_or_else(|| self.mismatch(&from, end))? == Ordering::Less {
            if windows.len() >= MOST_WINDOWS {
                let message = format!("the range has more than {MOST_WINDOWS} windows");
                return Err(Error { kind: Kind::Limit, ..Error::config(format!("{}/step", self.pointer), message) }
                    .advice("make `step` longer"));
            }
            let moved = self.step.as_ref().and_then(|step| step.apply(&from, false));
            let moved = moved.ok_or_else(|| self.unmoved("step", &from))?;
            // A step that gets lost in the digits of a number would never end.
            if compare(&moved, &from) != Some(Ordering::Greater) {
                return Err(self.unmoved("step", &from));
            }
            let is_last = compare(&moved, end) != Some(Ordering::Less);
            let to = if is_last { end.clone() } else { moved };
            let asked_to = match &self.granularity {
                Some(granularity) => {
                    let back = granularity.apply(&to, true).ok_or_else(|| self.unmoved("granularity", &to))?;
                    // A window may be shorter than the granularity; it ends no earlier than it begins.
                    if compare(&back, &from) == Some(Ordering::Less) { from.clone() } else { back }
                }
                None => to.clone(),
            };
            let [_, last, initial, _] = whole.asked.clone();
            // Where the end counts, it is the beginning of the next window that does not.
            let edge = match self.start_is_open && self.end_is_closed {
                true => (!windows.is_empty()).then(|| from.clone()),
                false => (!is_last).then(|| to.clone()),
            };
            windows.push(Range {
                asked: [self.written(Some(&from))?, last, initial, self.written(Some(&asked_to))?],
                edge,
                ..whole.clone()
            });
            from = to;
        }
        Ok(windows)
    }

    /// The last value less the lag, but not before the initial value.
    fn lagging(&self, last: &Value) -> Result<Value> {
        let Some(lag) = &self.lag else { return Ok(last.clone()) };
        let is_min = self.last_value == crate::config::model::LastValue::Min;
        let start = lag.rounded_for(last).apply(last, !is_min).ok_or_else(|| self.unmoved("lag", last))?;
        Ok(match &self.initial {
            Some(initial) if self.compare(&start, initial) == Some(Ordering::Less) => initial.clone(),
            _ => start,
        })
    }

    fn written(&self, value: Option<&Value>) -> Result<Option<Value>> {
        let (Some(value), Some(convert)) = (value, &self.convert) else { return Ok(value.cloned()) };
        match convert.apply(value) {
            Some(written) => Ok(Some(written)),
            None => {
                let message = format!("{} is no time, so it cannot be converted", shown(value));
                Err(Error::config(format!("{}/convert", self.pointer), message))
            }
        }
    }

    fn unmoved(&self, key: &str, value: &Value) -> Error {
        Error::config(
            format!("{}/{key}", self.pointer),
            format!("`{key}` does not go with the cursor, {}", shown(value)),
        )
        .advice("a date moves by whole days, a number by a number, a date-time by seconds or a duration")
    }

    fn timeless(&self, start: &Option<Value>) -> Error {
        let start = start.as_ref().map_or_else(String::new, shown);
        Error::config(
            format!("{}/end", self.pointer),
            format!("the range begins with {start}, which is no time, so it cannot end now"),
        )
    }
}

/// What a person has typed, in the type of the cursor.
fn typed(text: &str, form: Option<&Value>) -> Value {
    match form {
        Some(Value::Number(_)) => match serde_json::from_str::<serde_json::Number>(text) {
            Ok(number) => Value::Number(number),
            Err(_) => Value::from(text),
        },
        _ => Value::from(text),
    }
}
