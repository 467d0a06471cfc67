//! Errors and warnings as a person sees them: what happened, where, what to do.

use crate::pipeline::Pipeline;
use crate::{Class, Error};
use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, Severity, SourceCode, SourceSpan,
};
use std::fmt;
use std::io::{IsTerminal, Write};

/// An error in the form in which it is shown.
struct Shown<'a> {
    error: &'a Error,
    severity: Severity,
    source: Option<NamedSource<String>>,
}

impl Shown<'_> {
    fn new(error: &Error, severity: Severity) -> Shown<'_> {
        let source = error.places.first().map(|place| NamedSource::new(&place.file, place.text.to_string()));
        Shown { error, severity, source }
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error.message)?;
        for (label, text) in &self.error.facts {
            write!(f, "\n{label}: {text}")?;
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
        self.error.advice.as_ref().map(|advice| Box::new(advice) as Box<dyn fmt::Display>)
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
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(None, span))))
    }
}

/// Prints an error, and those that come with it, to standard error.
pub fn print(error: &Error) {
    for error in std::iter::once(error).chain(&error.more) {
        show(error, Severity::Error);
    }
    if !error.more.is_empty() {
        eprintln(&format!("{} errors", error.more.len() + 1));
    }
}

/// Prints warnings to standard error.
pub fn warn(warnings: &[Error], pipeline: &Pipeline) {
    for warning in warnings {
        show(&pipeline.locate(warning.clone()), Severity::Warning);
    }
}

/// Prints warnings that have their place already to standard error.
pub fn warn_in_file(warnings: &[Error]) {
    for warning in warnings {
        show(warning, Severity::Warning);
    }
}

fn show(error: &Error, severity: Severity) {
    let terminal = std::io::stderr().is_terminal();
    let theme = if terminal { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    // In a log a URL stays in one piece, for who searches it.
    let handler = GraphicalReportHandler::new_themed(theme).with_width(100).with_wrap_lines(terminal);
    let mut text = String::new();
    match handler.render_report(&mut text, &Shown::new(error, severity)) {
        Ok(()) => eprintln(text.trim_end()),
        Err(_) => eprintln(&format!("{error}")),
    }
    if error.class == Class::Internal && severity == Severity::Error {
        eprintln("  this is a defect of Spile or of the connector: please report it");
    }
}

/// To standard error, whose absence is no reason to fail.
pub fn eprintln(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
