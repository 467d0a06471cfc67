//! How the caps on a connector itself are kept.

use crate::limits::{self, Limits};
use crate::{Class, Error};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;
use wasmtime::{ResourceLimiter, UpdateDeadline};
use wasmtime_wasi::ResourceTableError;

/// How often a connector that computes is looked at. Between two looks others on the same thread have their turn.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// Bytes that a call may hand over besides rows and state: counts, columns, messages.
const CALL_OVERHEAD: usize = 1 << 20;

impl Limits {
    /// Bytes that one call may hand over in all.
    pub(super) fn call_size(&self) -> usize {
        self.batch_size.saturating_add(self.state_size.saturating_mul(2)).saturating_add(CALL_OVERHEAD)
    }

    /// The error for what wasmtime says of a call, if that is a breach of a limit.
    pub(super) fn breach(&self, error: &wasmtime::Error) -> Option<Error> {
        let breach = match error.downcast_ref::<Breach>() {
            Some(breach) => *breach,
            None if error
                .downcast_ref::<ResourceTableError>()
                .is_some_and(|e| matches!(e, ResourceTableError::Full)) =>
            {
                Breach::Handles
            }
            // These have no type that can be named; a test for each notices when the words change.
            None => {
                let text = format!("{error:#}");
                if text.contains("fuel allocated for hostcalls has been exhausted") {
                    Breach::Call
                } else if text.contains("store handle limit exceeded") {
                    Breach::Handles
                } else if text.contains("total size of fields exceeds limit") {
                    Breach::Headers
                } else {
                    return None;
                }
            }
        };
        Some(self.error(breach))
    }

    /// The error for a breach.
    pub(super) fn error(&self, breach: Breach) -> Error {
        let limit = match breach {
            Breach::Memory => limits::MEMORY,
            Breach::Cpu => limits::CPU,
            Breach::Handles => limits::HANDLES,
            Breach::Headers => limits::HEADER_SIZE,
            Breach::Functions => {
                let message = "the component's tables of functions are too large";
                return Error::new(Class::Policy, message).fact("limit", MAX_TABLE_ELEMENTS);
            }
            Breach::Call => {
                let message = "the connector handed over more in one call than a batch and a state may have";
                let error =
                    Error::new(Class::Policy, message).fact("limit", format_args!("{} bytes", self.call_size()));
                // What both may have follows from it.
                return Error { limit: Some(limits::BATCH_SIZE.name), ..error };
            }
        };
        limit.reached(self)
    }
}

/// A breach of a limit; also the trap that it causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breach {
    Memory,
    Functions,
    Cpu,
    Call,
    Handles,
    Headers,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a limit was reached: {self:?}")
    }
}

impl std::error::Error for Breach {}

/// Elements of all tables. A connector's tables hold its functions.
const MAX_TABLE_ELEMENTS: usize = 1_000_000;

/// Core modules, memories and tables of a component. One that `wit-component` makes has a handful of each.
const MAX_PARTS: usize = 100;

/// Keeps the cap on memory, and knows the peak.
pub(super) struct MemoryLimiter {
    cap: usize,
    memory: usize,
    elements: usize,
    peak: Arc<AtomicUsize>,
}

impl MemoryLimiter {
    pub fn new(cap: usize, peak: Arc<AtomicUsize>) -> Self {
        Self { cap, memory: 0, elements: 0, peak }
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let memory = self.memory.saturating_sub(current).saturating_add(desired);
        if memory > self.cap {
            // A trap, where the WebAssembly way is to say no: a program that hears no ends with no word of why.
            return Err(Breach::Memory.into());
        }
        self.memory = memory;
        self.peak.fetch_max(memory, Ordering::Relaxed);
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let elements = self.elements.saturating_sub(current).saturating_add(desired);
        if elements > MAX_TABLE_ELEMENTS {
            return Err(Breach::Functions.into());
        }
        self.elements = elements;
        Ok(true)
    }

    fn instances(&self) -> usize {
        MAX_PARTS
    }

    fn tables(&self) -> usize {
        MAX_PARTS
    }

    fn memories(&self) -> usize {
        MAX_PARTS
    }
}

/// Knows how long a connector has computed without waiting for anything.
///
/// The engine's epoch goes on while a connector waits, so it alone cannot tell. But the two ways in which a call's future is
/// pending can be told apart: at a tick the connector yields by itself ([`Stopwatch::tick`]), else it waits.
#[derive(Clone, Default)]
pub(super) struct Stopwatch {
    shared: Arc<(AtomicU32, AtomicBool)>,
}

impl Stopwatch {
    /// A tick while the connector computes.
    pub fn tick(&self, cap: Duration) -> wasmtime::Result<UpdateDeadline> {
        let (ticks, yielded) = &*self.shared;
        let computed = TICK.saturating_mul(ticks.fetch_add(1, Ordering::Relaxed));
        if computed >= cap {
            return Err(Breach::Cpu.into());
        }
        yielded.store(true, Ordering::Relaxed);
        Ok(UpdateDeadline::Yield(1))
    }

    /// Drives a call, and starts anew when it waits.
    pub async fn watch<T>(&self, call: impl Future<Output = T>) -> T {
        let (ticks, yielded) = &*self.shared;
        ticks.store(0, Ordering::Relaxed);
        let mut call = std::pin::pin!(call);
        std::future::poll_fn(move |cx| {
            yielded.store(false, Ordering::Relaxed);
            let poll = call.as_mut().poll(cx);
            if poll.is_pending() && !yielded.load(Ordering::Relaxed) {
                ticks.store(0, Ordering::Relaxed);
            }
            poll
        })
        .await
    }
}

/// An instance that ended by a trap, or whose call was cancelled, is not used again.
pub(super) fn spent() -> Error {
    Error::new(Class::Internal, "the connector's instance has ended and was called again")
}
