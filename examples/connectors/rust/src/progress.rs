//! How far runs have come, for a source whose entries have numbers that grow. Change this file too where yours is read in
//! another way.

use crate::bindings::exports::spile::connector::source::Extent;
use crate::contract::failure;
use crate::{Error, ErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Where a run is. All up to `read` was read by the runs before; this one began after `from`, has handed over all up to
/// `after`, and ends before `until`; so many `attempts` to get what comes next have failed.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Progress {
    pub read: i64,
    pub from: i64,
    pub after: i64,
    pub until: Option<i64>,
    pub attempts: u32,
}

/// A state: of a run that is not at its end, or of the runs before.
#[derive(Default, Deserialize)]
struct Kept {
    run: Option<Progress>,
    #[serde(default)]
    read: i64,
}

impl Progress {
    pub fn new(state: Option<&str>, extent: &Extent) -> Result<Self, Error> {
        let kept: Kept = state.map_or_else(|| Ok(Kept::default()), serde_json::from_str).map_err(foreign)?;
        // A run that was cut off goes on as it began, whatever the flags say now.
        if let Some(run) = kept.run {
            return Ok(run);
        }
        let read = if extent.full_refresh { 0 } else { kept.read };
        let from = extent.since.as_deref().map(number).transpose()?.map_or(read, |since| since - 1);
        let until = extent.until.as_deref().map(number).transpose()?;
        Ok(Self { read, from, after: from, until, attempts: 0 })
    }

    /// The state with which a reader goes on with this run.
    pub fn state(&self) -> String {
        json!({ "run": self }).to_string()
    }

    /// The state for the next run, once this one has read all. If it began further on, what is between stays unread.
    pub fn final_state(&self) -> String {
        let read = if self.from <= self.read { self.read.max(self.after) } else { self.read };
        json!({ "read": read }).to_string()
    }
}

/// What is wrong with a state or a schema that this connector did not write.
pub fn foreign(error: serde_json::Error) -> Error {
    let advice = Some("begin anew, without a state".to_owned());
    Error { advice, ..failure(ErrorKind::Config, format!("the state is not of this connector: {error}")) }
}

fn number(text: &str) -> Result<i64, Error> {
    text.parse().ok().filter(|number| *number >= 0).ok_or_else(|| {
        let advice = Some("`--since` and `--until` take one".to_owned());
        Error { advice, ..failure(ErrorKind::Config, format!("\"{text}\" is no sequence number")) }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn extent(since: Option<&str>, until: Option<&str>, full_refresh: bool) -> Extent {
        Extent { since: since.map(str::to_owned), until: until.map(str::to_owned), full_refresh }
    }

    #[test]
    fn a_state_leads_on() {
        let all = extent(None, None, false);
        let mut first = Progress::new(None, &all).unwrap();
        first.after = 7;
        // Cut off: the run stays what it was.
        let cut_off = Progress::new(Some(&first.state()), &extent(Some("3"), None, true)).unwrap();
        assert_eq!((cut_off.from, cut_off.after), (0, 7));
        let next = Progress::new(Some(&first.final_state()), &all).unwrap();
        assert_eq!((next.read, next.after), (7, 7));
        assert_eq!(Progress::new(Some(r#"{"read":7}"#), &extent(None, None, true)).unwrap().after, 0);
    }

    #[test]
    fn what_a_run_leaves_out_stays_unread() {
        let mut further_on = Progress::new(Some(r#"{"read":7}"#), &extent(Some("20"), Some("30"), false)).unwrap();
        assert_eq!((further_on.after, further_on.until), (19, Some(30)));
        further_on.after = 29;
        assert_eq!(further_on.final_state(), r#"{"read":7}"#);
    }

    #[test]
    fn what_is_no_state_or_no_number_is_told() {
        let all = extent(None, None, false);
        for (state, extent) in [
            (Some("chains"), all.clone()),
            (Some(r#"{"read":"x"}"#), all),
            (None, extent(Some("2026-01-01"), None, false)),
            (None, extent(None, Some("-1"), false)),
        ] {
            assert_eq!(Progress::new(state, &extent).err().unwrap().kind, ErrorKind::Config);
        }
    }
}
