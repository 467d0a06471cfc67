//! What can end a run, sorted by what a person has to do about it.

use crate::pipeline::document::{Document, Place};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Whose move it is. Decides the exit code of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The file, a flag or an argument is wrong: exit code 2.
    Config,
    /// The API refuses the credentials, or they are missing: exit code 3.
    Auth,
    /// The API failed or answered something unexpected: exit code 4.
    Source,
    /// The database failed: exit code 5.
    Destination,
    /// A limit was reached, or the policy denied something: exit code 6.
    Policy,
    /// The user interrupted the run: exit code 130.
    Interrupted,
    /// A defect of Spile or of the connector: exit code 1.
    Internal,
}

impl Class {
    /// The exit code of the program.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Config => 2,
            Self::Auth => 3,
            Self::Source => 4,
            Self::Destination => 5,
            Self::Policy => 6,
            Self::Interrupted => 130,
        }
    }
}

/// A failure, with all that a person needs to act on it. Never contains a credential.
#[derive(Clone, Debug)]
pub struct Error {
    /// Whose move it is.
    pub class: Class,
    /// The kind that a connector gave it, as the contract names it, where it is a connector's.
    pub kind: Option<&'static str>,
    /// What happened: a lower-case fragment.
    pub message: String,
    /// Where and in which circumstances, as label and text: `("resource", "datasets")`, `("url", "https://…")`.
    pub facts: Vec<(&'static str, String)>,
    /// What to do about it.
    pub advice: Option<String>,
    /// JSON pointer into the source's configuration, where the failure has a place in it.
    pub pointer: Option<String>,
    /// The limit that was reached, by its name in [`crate::limits::LIMITS`], where that is the failure.
    pub limit: Option<&'static str>,
    /// Where in a file of the person's.
    pub places: Vec<FilePlace>,
    /// Further failures of the same kind: all defects of a file are told at once.
    pub more: Vec<Error>,
}

/// A place in a file. Shown as `FILE:LINE:COLUMN`.
#[derive(Clone, Debug)]
pub struct FilePlace {
    /// The file's name, as the person gave it.
    pub file: String,
    /// Its text.
    pub text: Arc<str>,
    /// Bytes of the text.
    pub span: Range<usize>,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// JSON pointer to what stands there, or is missing there; empty for a place that is none of the document's values.
    pub pointer: String,
}

impl fmt::Display for FilePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// The result of all that can end a run.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure of this class.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            class,
            kind: None,
            message,
            facts: Vec::new(),
            advice: None,
            pointer: None,
            limit: None,
            places: Vec::new(),
            more: Vec::new(),
        }
    }

    /// Adds a fact, such as `("resource", "datasets")`.
    #[must_use]
    pub fn fact(mut self, label: &'static str, text: impl fmt::Display) -> Self {
        self.facts.push((label, text.to_string()));
        self
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Adds the place in the source's configuration.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// Adds the place in a file.
    #[must_use]
    pub fn in_file(mut self, document: &Document, place: &Place) -> Self {
        self.places.push(FilePlace {
            file: document.name.clone(),
            text: Arc::clone(&document.shown),
            span: place.span.clone(),
            line: place.line,
            column: place.column,
            pointer: place.pointer.clone(),
        });
        self
    }

    /// One failure of several, in the order of their places in the file; the first speaks for all. None where there are none.
    pub fn all(errors: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut errors: Vec<Self> = errors.into_iter().collect();
        errors.sort_by_key(|error| error.places.first().map(|place| place.span.start));
        let mut errors = errors.into_iter();
        let mut first = errors.next()?;
        first.more.extend(errors);
        Some(first)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for (label, text) in &self.facts {
            write!(f, "; {label}: {text}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
