//! How a connector's failures become the host's errors.

use super::bindings::exports::spile::connector::source::{Error as GuestError, ErrorKind};
use super::limits::Limits;
use crate::gate::Gate;
use crate::{Class, Error};
use wasmtime::WasmBacktrace;

/// What a connector reports. Its texts pass the redactor. Where the gate denied a request, that is the cause, and it is what
/// the person sees.
pub(super) fn reported(error: GuestError, gate: &Gate) -> Error {
    let redact = |text: String| gate.redactor().redact(&text);
    let mut result = match gate.denial() {
        Some(denial) => denial,
        None => {
            let mut own = Error::new(class(error.kind), redact(error.message));
            own.advice = error.advice.map(redact);
            own.pointer = error.pointer.map(redact);
            own
        }
    };
    let numbers = [("status", error.status.map(u64::from)), ("attempts", error.attempts.map(u64::from))];
    let texts = [("resource", error.resource), ("url", error.url)];
    for (label, text) in texts {
        if let Some(text) = text {
            result = result.fact(label, redact(text));
        }
    }
    for (label, number) in numbers {
        if let Some(number) = number {
            result = result.fact(label, number);
        }
    }
    result
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

/// A call that ended in a trap: a limit that was reached, or a defect of the connector.
pub(super) fn trapped(error: &wasmtime::Error, limits: &Limits, gate: &Gate) -> Error {
    if let Some(breach) = limits.breach(error) {
        return breach;
    }
    let redact = |text: String| gate.redactor().redact(&text);
    let trap =
        Error::new(Class::Internal, "the connector crashed").fact("reason", redact(error.root_cause().to_string()));
    match error.downcast_ref::<WasmBacktrace>() {
        Some(backtrace) => trap.fact("backtrace", redact(backtrace.to_string())),
        None => trap,
    }
}
