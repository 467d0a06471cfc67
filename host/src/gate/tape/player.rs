//! Answers a connector from a tape.

use super::answer::Answer;
use super::beginning::{Beginning, Part, Written};
use super::exchange::{Answered, Asked, DROPPED};
use super::har::Entry;
use super::one_run;
use crate::gate::redactor::MASK;
use crate::load::Repeats;
use crate::{Class, Error, Result};
use bytes::Bytes;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use strsim::levenshtein;

/// A tape that is played. It stands in memory as a whole.
pub(super) struct Player {
    written: Written,
    /// By the place of the request.
    entries: BTreeMap<u64, Entry>,
    answers: String,
    end: End,
    position: Mutex<Position>,
}

#[derive(Default)]
struct Position {
    has_begun: bool,
    /// Of the next answer.
    answer: usize,
    /// Of the next request.
    request: u64,
    /// Where the run went another way than the recorded one. It does not go on from there.
    failed: Option<Error>,
}

/// How a tape stands in its file.
#[derive(Deserialize)]
struct Tape {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    #[serde(rename = "_spile")]
    written: Option<Written>,
    entries: Vec<Entry>,
    #[serde(rename = "_answers", default)]
    answers: Vec<String>,
    #[serde(rename = "_end")]
    end: Option<End>,
}

#[derive(Deserialize)]
struct End {
    requests: u64,
    redacted: u64,
    error: Option<String>,
}

impl Player {
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display();
        let bytes = fs::read(path)
            .map_err(|error| Error::new(Class::Config, format!("failed to read the tape {name}: {error}")))?;
        let damaged = |reason: String| {
            Error::new(Class::Config, format!("the tape {name} is damaged"))
                .fact("reason", reason)
                .advice("record anew: a tape cannot be mended, and one that was changed is of no run")
        };
        let log = serde_json::from_slice::<Tape>(&bytes).map_err(|error| damaged(error.to_string()))?.log;
        let (Some(written), Some(end)) = (log.written, log.end) else {
            return Err(Error::new(Class::Config, format!("{name} is no tape of a run"))
                .advice("only what `spile run --record FILE.har` has written can be replayed"));
        };
        let entries: BTreeMap<_, _> = log.entries.into_iter().map(|entry| (entry.order, entry)).collect();
        let is_whole = entries.keys().copied().eq(0..end.requests);
        if !is_whole {
            return Err(damaged(format!("{} of {} requests are there", entries.len(), end.requests)));
        }
        let answers = log.answers.join(" ");
        Ok(Self { written, entries, answers, end, position: Mutex::default() })
    }

    /// How the loading of rows must begin.
    pub fn repeats(&self) -> Repeats {
        let digest = |part| self.written.text_of(part).unwrap_or_default().to_owned();
        let load_id = self.written.load_id.clone();
        Repeats { load_id, state: digest(Part::State), schema: digest(Part::Schema) }
    }

    /// Fails where the run differs from the recorded one.
    pub fn check(&self, beginning: &Beginning) -> Result<()> {
        self.written.check(beginning)
    }

    /// Likewise, for the run that is about to begin.
    pub fn begin(&self, beginning: &Beginning) -> Result<()> {
        if std::mem::replace(&mut self.position().has_begun, true) {
            return Err(one_run());
        }
        self.check(beginning)
    }

    fn position(&self) -> MutexGuard<'_, Position> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next answer.
    pub fn answer<A: Answer>(&self) -> Result<A> {
        let mut position = self.position();
        if let Some(failed) = &position.failed {
            return Err(failed.clone());
        }
        let rest = self.answers.get(position.answer..).unwrap_or_default();
        let word = rest.split(' ').next().unwrap_or_default();
        match word.strip_prefix(A::KIND).and_then(A::read) {
            Some(answer) => {
                position.answer += word.len() + 1;
                Ok(answer)
            }
            None if rest.is_empty() => Err(self.fail(&mut position, self.ended())),
            None => {
                let error = diverged().fact("asked", format!("the connector asked for {}", A::NAME));
                Err(self.fail(&mut position, error))
            }
        }
    }

    /// What a call gave, against what it gave when it was recorded.
    pub fn given(&self, recorded: &str, now: &str) -> Result<()> {
        // What the connector was told is not quite what it was told then.
        if self.end.redacted > 0 || recorded == now {
            return Ok(());
        }
        let error = diverged().fact("rows", "what the connector handed over is not what it handed over then");
        Err(self.fail(&mut self.position(), error))
    }

    /// An answer on the tape does not fit what was asked.
    pub fn astray(&self) -> Error {
        self.fail(&mut self.position(), diverged())
    }

    /// How many responses something was taken out of.
    pub fn redacted(&self) -> u64 {
        self.end.redacted
    }

    /// The tape has no more.
    fn ended(&self) -> Error {
        let error = Error::new(Class::Source, "the tape ends here, and the connector goes on");
        match &self.end.error {
            Some(reason) => error.fact("recorded", format!("the recorded run ended early: {reason}")),
            None => error.advice(RECORD_ANEW),
        }
    }

    /// Ends the replay.
    fn fail(&self, position: &mut Position, error: Error) -> Error {
        let before = position.request.checked_sub(1).and_then(|order| self.entries.get(&order));
        let error = match before {
            Some(entry) => error.fact("after", shown(entry)),
            None => error.fact("after", "no request"),
        };
        position.failed.get_or_insert(error).clone()
    }

    /// What ended the replay, or is still on the tape at the end of a run that ended well.
    pub fn end(&self, is_well: bool) -> Result<()> {
        let mut position = self.position();
        if let Some(failed) = &position.failed {
            return Err(failed.clone());
        }
        if is_well && position.answer < self.answers.len() {
            let error = diverged().fact("rows", "the connector is through, and the tape goes on");
            return Err(self.fail(&mut position, error));
        }
        Ok(())
    }

    /// The next request; gives its place.
    pub fn asked(&self, asked: &Asked) -> Result<u64> {
        let mut position = self.position();
        if let Some(failed) = &position.failed {
            return Err(failed.clone());
        }
        match self.entries.get(&position.request) {
            Some(entry) if asked.method == entry.request.method && is_same(&entry.request.url, &asked.url) => {
                position.request += 1;
                Ok(entry.order)
            }
            entry => {
                let mut error = self.not_recorded(asked);
                if let Some(entry) = entry {
                    error = error.fact("next", shown(entry));
                }
                Err(self.fail(&mut position, error))
            }
        }
    }

    /// Fails where the body is not the one that was recorded.
    pub fn sent(&self, order: u64, asked: &Asked, body: &Bytes) -> Result<()> {
        let Some(entry) = self.entries.get(&order) else { return Ok(()) };
        let was_dropped = entry.response.error.as_deref() == Some(DROPPED);
        let is_same = match (entry.sent(), std::str::from_utf8(body)) {
            (Some(recorded), Ok(text)) => std::str::from_utf8(&recorded).is_ok_and(|recorded| is_same(recorded, text)),
            (Some(recorded), Err(_)) => recorded == body,
            (None, _) => false,
        };
        if is_same || was_dropped {
            return Ok(());
        }
        let error = self.not_recorded(asked).fact("body", "it has another body than on the tape");
        Err(self.fail(&mut self.position(), error))
    }

    /// What the connector gets. Fails where the entry is damaged.
    pub fn answered(&self, order: u64) -> Result<Answered> {
        self.entries.get(&order).and_then(Entry::answered).ok_or_else(|| {
            let error = Error::new(Class::Config, "the tape is damaged").fact("request", order + 1);
            self.fail(&mut self.position(), error.advice(RECORD_ANEW))
        })
    }

    fn not_recorded(&self, asked: &Asked) -> Error {
        let error = Error::new(Class::Source, "the connector sent a request that is not on the tape")
            .fact("request", format_args!("{} {}", asked.method, asked.url))
            .advice(RECORD_ANEW);
        match self.nearest(asked) {
            Some(entry) => error.fact("nearest", shown(entry)),
            None => error.fact("nearest", "the tape has no requests"),
        }
    }

    /// The request on the tape that is most like this one: one with the same path, if there is one.
    fn nearest(&self, asked: &Asked) -> Option<&Entry> {
        let path = |url: &str| url.split('?').next().unwrap_or_default().to_owned();
        let wanted = path(&asked.url);
        let is_other_path = |entry: &Entry| entry.request.method != asked.method || path(&entry.request.url) != wanted;
        let entries = self.entries.values();
        let distance = |entry: &&Entry| (is_other_path(entry), levenshtein(&entry.request.url, &asked.url));
        match self.entries.values().any(|entry| !is_other_path(entry)) {
            true => entries.filter(|entry| !is_other_path(entry)).min_by_key(distance),
            false => entries.min_by_key(distance),
        }
    }
}

const RECORD_ANEW: &str = "record anew, with the same file and the same program";

fn diverged() -> Error {
    Error::new(Class::Source, "the connector goes another way than on the tape").advice(RECORD_ANEW)
}

fn shown(entry: &Entry) -> String {
    format!("{} {} (number {})", entry.request.method, entry.request.url, entry.order + 1)
}

/// Whether a text is the one that was recorded, whatever stood where a secret was taken out.
fn is_same(recorded: &str, text: &str) -> bool {
    let mut pieces = recorded.split(MASK);
    let Some(mut rest) = text.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let mut last = None;
    for piece in pieces {
        last = Some(piece);
        match rest.find(piece) {
            Some(at) => rest = rest.get(at + piece.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    match last {
        None => rest.is_empty(),
        Some(last) => last.is_empty() || text.ends_with(last),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_text_is_the_same_whatever_the_secret_was() {
        assert!(is_same("a/b?c=d", "a/b?c=d") && is_same("", ""));
        assert!(is_same("a/***?c=***", "a/x?c=y") && is_same("***&b", "a&b&b") && is_same("a***", "a***"));
        assert!(!is_same("a/b", "a/b/c") && !is_same("a/***/c", "a/b/d") && !is_same("a***b", "a-c"));
    }
}
