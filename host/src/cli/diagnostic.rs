//! Errors and warnings as a person sees them: what happened, where, what to do.

use crate::pipeline::Pipeline;
use crate::{Class, Error};
use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, Severity, SourceCode, SourceSpan,
};
use std::borrow::Cow;
use std::fmt;
use std::io::{IsTerminal, Write};

/// How many characters of one text of an error are shown.
const MOST_CHARACTERS: usize = 10_000;

/// An error in the form in which it is shown.
struct Shown<'a> {
    error: &'a Error,
    severity: Severity,
    source: Option<NamedSource<String>>,
}

impl Shown<'_> {
    fn new(error: &Error, severity: Severity) -> Shown<'_> {
        let source =
            error.places.first().map(|place| NamedSource::new(&place.file, printable(&place.text).into_owned()));
        Shown { error, severity, source }
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.error.message))?;
        for (label, text) in &self.error.facts {
            write!(f, "\n{label}: {}", shown(text))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn severity(&self) -> Option<Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.error.advice.as_ref().map(|advice| Box::new(shown(advice)) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.error.places.first()?;
        // One line is enough to find the place; a label over many lines hides the text.
        let text = place.text.get(place.span.clone()).unwrap_or_default();
        let length = text.lines().next().unwrap_or_default().len();
        let span = SourceSpan::new(place.span.start.into(), length);
        let label = Some(shown(&place.pointer).into_owned()).filter(|pointer| !pointer.is_empty());
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(label, span))))
    }
}

/// Prints an error, and those that come with it, to standard error.
pub fn print(error: &Error) {
    eprintln(all(error, &handler(std::io::stderr().is_terminal())).trim_end());
}

/// Prints warnings to standard error.
pub fn warn(warnings: &[Error], pipeline: &Pipeline) {
    for warning in warnings {
        show(&pipeline.locate(warning.clone()));
    }
}

/// Prints warnings that have their place already to standard error.
pub fn warn_in_file(warnings: &[Error]) {
    for warning in warnings {
        show(warning);
    }
}

/// An error, and those that come with it, as they stand in a log.
pub fn in_log(error: &Error) -> String {
    all(error, &handler(false))
}

/// Warnings as they stand in a log.
pub fn warnings_in_log(warnings: &[Error]) -> String {
    warnings.iter().map(|warning| rendered(warning, Severity::Warning, &handler(false)) + "\n").collect()
}

fn show(warning: &Error) {
    eprintln(&rendered(warning, Severity::Warning, &handler(std::io::stderr().is_terminal())));
}

fn handler(terminal: bool) -> GraphicalReportHandler {
    let theme = if terminal { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    // In a log a URL stays in one piece, for who searches it.
    GraphicalReportHandler::new_themed(theme).with_width(100).with_wrap_lines(terminal)
}

fn all(error: &Error, handler: &GraphicalReportHandler) -> String {
    let errors = std::iter::once(error).chain(&error.more);
    let mut text: String = errors.map(|error| rendered(error, Severity::Error, handler) + "\n").collect();
    if !error.more.is_empty() {
        text.push_str(&format!("{} errors\n", error.more.len() + 1));
    }
    text
}

fn rendered(error: &Error, severity: Severity, handler: &GraphicalReportHandler) -> String {
    let mut text = String::new();
    if handler.render_report(&mut text, &Shown::new(error, severity)).is_err() {
        text = error.to_string();
    }
    // Lines that end in blanks are no use to anyone.
    let mut text = text.trim_end().lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    if error.class == Class::Internal && severity == Severity::Error {
        text.push_str("\n  this is a defect of Spile or of the connector: please report it");
    }
    text
}

/// A text that a terminal shows and does not obey: without control characters but for line breaks and tabs, and without those that
/// turn the direction of what follows. What connectors, APIs and databases say passes here before it is printed. It stays as long, in
/// bytes, so that places in a file stay what they are.
pub fn printable(text: &str) -> Cow<'_, str> {
    let is_unfit = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t'))
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(is_unfit) {
        return text.into();
    }
    let fit = |c: char| match c.len_utf8() {
        _ if !is_unfit(c) => c,
        1 => '?',
        2 => '·',
        _ => '\u{fffd}',
    };
    text.chars().map(fit).collect::<String>().into()
}

/// Likewise, and cut where it is very long.
fn shown(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MOST_CHARACTERS).and_then(|(end, _)| text.get(..end)) {
        Some(beginning) => format!("{}…", printable(beginning)).into(),
        None => printable(text),
    }
}

/// To standard error, whose absence is no reason to fail.
pub fn eprintln(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_not_shown() {
        assert_eq!(printable("a\tb\nü 日本"), "a\tb\nü 日本");
        assert_eq!(printable("\u{1b}[2J\u{7}\r\u{9b}31m\u{7f}\u{202e}x"), "?[2J??·31m?\u{fffd}x");
        let error = Error::new(Class::Source, "\u{1b}]0;x".to_owned())
            .fact("resource", "\u{1b}[1m")
            .advice("a".repeat(50_000) + "\u{1b}");
        let text = in_log(&error);
        assert!(!text.contains('\u{1b}') && text.len() < 40_000, "{text}");
    }
}
