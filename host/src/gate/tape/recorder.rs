//! Writes a tape while the run goes on.

use super::answer::Answer;
use super::beginning::{Beginning, Written};
use super::exchange::{Answered, Asked};
use super::har::Entry;
use super::one_run;
use crate::gate::redactor::Redactor;
use crate::{Class, Error, Result};
use bytes::Bytes;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::NamedTempFile;

/// Bytes of answers other than responses. A connector that asks for the time all the time must not fill the disk.
const MOST_ANSWERS: u64 = 1 << 30;

/// About how many bytes of them stand in one text.
const LINE: usize = 4 << 10;

/// A tape in the making.
///
/// The file gets its name at the end, so a tape is whole or not there. Answers go to a second file that has no name, and are
/// brought over at the end: entries come to their end at any time between them.
pub(super) struct Recorder {
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    redactor: Redactor,
    has_begun: bool,
    /// None after the end.
    entries: Option<BufWriter<NamedTempFile>>,
    answers: BufWriter<File>,
    /// Bytes of answers so far, and in this line.
    size: (u64, usize),
    /// How many entries were written.
    written: u64,
    /// The place of the next request.
    next: u64,
    /// The requests that are under way.
    open: BTreeMap<u64, Asked>,
    /// How many responses something was taken out of.
    redacted: u64,
    failed: Option<Error>,
}

impl Recorder {
    /// For a tape at this path. What is there stays until the tape is whole.
    pub fn new(path: &Path) -> Result<Self> {
        let fail = |error: io::Error| failure(path, &error);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // A name that is given at the end takes the place of what is there, were it a device.
        if path.metadata().is_ok_and(|there| !there.is_file()) {
            return Err(fail(io::Error::other("it is not a file")));
        }
        // Readable for the user alone.
        let entries = NamedTempFile::new_in(folder).map_err(fail)?;
        let answers = tempfile::tempfile_in(folder).map_err(fail)?;
        let state = State {
            redactor: Redactor::default(),
            has_begun: false,
            entries: Some(BufWriter::new(entries)),
            answers: BufWriter::new(answers),
            size: (0, 0),
            written: 0,
            next: 0,
            open: BTreeMap::new(),
            redacted: 0,
            failed: None,
        };
        Ok(Self { path: path.to_owned(), state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what this redactor takes out of all that is written from now on.
    pub fn redact(&self, redactor: &Redactor) {
        self.state().redactor = redactor.clone();
    }

    /// Writes what comes before the entries.
    pub fn begin(&self, beginning: &Beginning) -> Result<()> {
        let mut state = self.state();
        if std::mem::replace(&mut state.has_begun, true) {
            return Err(one_run());
        }
        let written = Written::new(beginning, &state.redactor);
        state.attempt(&self.path, |state| {
            let creator = json!({"name": "spile", "version": env!("CARGO_PKG_VERSION")});
            state.write(r#"{"log":{"version":"1.2","creator":"#)?;
            state.write_json(&creator)?;
            state.write(",\"_spile\":")?;
            state.write_json(&written)?;
            state.write(",\"pages\":[],\"entries\":[")
        });
        state.fine()
    }

    /// Notes an answer.
    pub fn note(&self, answer: &impl Answer) -> Result<()> {
        let mut state = self.state();
        state.attempt(&self.path, |state| state.write_answer(answer));
        if state.size.0 > MOST_ANSWERS && state.failed.is_none() {
            let message = "a tape cannot hold so much of clocks and waits";
            let error = Error::new(Class::Policy, message).fact("limit", format_args!("{MOST_ANSWERS} bytes"));
            state.failed = Some(error);
        }
        state.fine()
    }

    /// A request sets out; gives its place.
    pub fn asked(&self, asked: Asked) -> u64 {
        let mut state = self.state();
        let order = state.next;
        state.next += 1;
        state.open.insert(order, asked);
        order
    }

    /// The body of a request is known.
    pub fn sent(&self, order: u64, body: Bytes) {
        if let Some(asked) = self.state().open.get_mut(&order) {
            asked.body = Some(body);
        }
    }

    /// A request has come to its end. Without effect where it did before.
    pub fn answered(&self, order: u64, answered: &Answered) {
        let mut state = self.state();
        state.attempt(&self.path, |state| state.write_entry(order, answered));
    }

    /// Writes what comes after the entries, and gives the file its name. `end` is why the run ended before its end. Gives the number of
    /// responses that something was taken out of.
    pub fn end(&self, end: Option<&Error>) -> Result<u64> {
        let mut state = self.state();
        let open: Vec<u64> = state.open.keys().copied().collect();
        for order in open {
            state.attempt(&self.path, |state| state.write_entry(order, &Answered::dropped()));
        }
        state.attempt(&self.path, |state| {
            state.write("\n],\"_answers\":[")?;
            state.write_answers()?;
            let end = end.map(|error| state.redactor.redact(&error.to_string()));
            state.write("\n],\"_end\":")?;
            state.write_json(&json!({"requests": state.next, "redacted": state.redacted, "error": end}))?;
            state.write("}}\n")
        });
        state.fine()?;
        let Some(entries) = state.entries.take() else { return Ok(0) };
        let fail = |error: io::Error| failure(&self.path, &error);
        let file = entries.into_inner().map_err(|error| fail(error.into_error()))?;
        file.persist(&self.path).map_err(|error| fail(error.error))?;
        Ok(state.redacted)
    }
}

impl State {
    /// Writes something, and keeps the first failure: the run ends with it.
    fn attempt(&mut self, path: &Path, write: impl FnOnce(&mut Self) -> io::Result<()>) {
        if self.failed.is_none()
            && let Err(error) = write(self)
        {
            self.failed = Some(failure(path, &error));
        }
    }

    fn fine(&self) -> Result<()> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.entries.as_mut().map_or(Ok(()), |entries| entries.write_all(text.as_bytes()))
    }

    fn write_json(&mut self, value: &impl Serialize) -> io::Result<()> {
        self.entries.as_mut().map_or(Ok(()), |entries| serde_json::to_writer(entries, value).map_err(io::Error::from))
    }

    fn write_entry(&mut self, order: u64, answered: &Answered) -> io::Result<()> {
        let Some(asked) = self.open.remove(&order) else { return Ok(()) };
        let (entry, is_redacted) = Entry::new(order, &asked, answered, &self.redactor);
        self.redacted += u64::from(is_redacted);
        self.write(if self.written == 0 { "\n" } else { ",\n" })?;
        self.written += 1;
        self.write_json(&entry)
    }

    fn write_answer<A: Answer>(&mut self, answer: &A) -> io::Result<()> {
        let word = format!("{}{}", A::KIND, answer.write());
        let (all, line) = self.size;
        let (separator, before) = match line {
            0 => ("", 0),
            full if full > LINE => ("\n", 0),
            begun => (" ", begun),
        };
        let added = separator.len() + word.len();
        self.size = (all + added as u64, before + added);
        write!(self.answers, "{separator}{word}")
    }

    /// Brings the answers over.
    fn write_answers(&mut self) -> io::Result<()> {
        self.answers.flush()?;
        self.answers.get_mut().rewind()?;
        let lines = BufReader::new(self.answers.get_ref().try_clone()?).lines();
        for (number, line) in lines.enumerate() {
            self.write(if number == 0 { "\n" } else { ",\n" })?;
            self.write_json(&line?)?;
        }
        Ok(())
    }
}

/// A request that is under way. One that the connector no longer waits for is dropped, and its entry says so.
pub(super) struct Open<'a> {
    pub recorder: &'a Recorder,
    pub order: u64,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.recorder.answered(self.order, &Answered::dropped());
    }
}

fn failure(path: &Path, error: &io::Error) -> Error {
    Error::new(Class::Config, format!("failed to write the tape {}: {error}", path.display()))
}
