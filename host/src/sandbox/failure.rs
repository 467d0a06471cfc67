//! How a connector's failures become the host's errors.

use super::bindings::exports::spile::connector::source::{Error as GuestError, ErrorKind};
use crate::gate::Gate;
use crate::limits::Limits;
use crate::{Class, Error};
use wasmtime::WasmBacktrace;

/// How many characters of a text of a connector are kept. The longest that ours writes are URLs and parts of answers.
const MOST_CHARACTERS: usize = 10_000;

/// What a connector reports as the end of a call. Where the gate denied a request, that is the cause, and it is what the
/// person sees, with the place that the connector gives.
pub(super) fn reported(error: GuestError, gate: &Gate) -> Error {
    let own = stated(error, gate);
    match gate.denial() {
        Some(denial) => own.facts.into_iter().fold(denial, |denial, (label, text)| denial.fact(label, text)),
        None => own,
    }
}

/// What a connector states, such as a warning. Its texts pass the redactor.
pub(super) fn stated(error: GuestError, gate: &Gate) -> Error {
    let redact = |text: String| cut(gate.redactor().redact(&text));
    let mut own = Error::new(class(error.kind), redact(error.message));
    own.kind = Some(name(error.kind));
    own.advice = error.advice.map(redact);
    own.pointer = error.pointer.map(redact);
    let facts = [
        ("resource", error.resource.map(redact)),
        ("url", error.url.map(redact)),
        ("status", error.status.map(|status| status.to_string())),
        ("attempts", error.attempts.map(|attempts| attempts.to_string())),
    ];
    own.facts = facts.into_iter().filter_map(|(label, text)| Some((label, text?))).collect();
    own
}

/// A text that comes to an end.
pub(super) fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(MOST_CHARACTERS) {
        text.truncate(end);
        text.push('…');
    }
    text
}

fn class(kind: ErrorKind) -> Class {
    match kind {
        ErrorKind::Config => Class::Config,
        ErrorKind::Auth | ErrorKind::Permission => Class::Auth,
        ErrorKind::RateLimited | ErrorKind::Transient | ErrorKind::Schema | ErrorKind::Upstream => Class::Source,
        ErrorKind::Limit => Class::Policy,
        ErrorKind::Internal => Class::Internal,
    }
}

/// As the contract names it.
fn name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Config => "config",
        ErrorKind::Auth => "auth",
        ErrorKind::Permission => "permission",
        ErrorKind::RateLimited => "rate-limited",
        ErrorKind::Transient => "transient",
        ErrorKind::Schema => "schema",
        ErrorKind::Limit => "limit",
        ErrorKind::Upstream => "upstream",
        ErrorKind::Internal => "internal",
    }
}

/// A call that ended in a trap: a limit that was reached, or a defect of the connector.
pub(super) fn trapped(error: &wasmtime::Error, limits: &Limits, gate: &Gate) -> Error {
    if let Some(breach) = limits.breach(error) {
        return breach;
    }
    // The host's own, of what it was asked: a tape that has no answer.
    if let Some(own) = error.downcast_ref::<Error>() {
        return own.clone();
    }
    let redact = |text: String| gate.redactor().redact(&text);
    let trap =
        Error::new(Class::Internal, "the connector crashed").fact("reason", redact(error.root_cause().to_string()));
    match error.downcast_ref::<WasmBacktrace>() {
        Some(backtrace) => trap.fact("backtrace", redact(backtrace.to_string())),
        None => trap,
    }
}
