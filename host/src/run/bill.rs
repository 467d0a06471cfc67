//! What a run took.

use serde::Serialize;

/// What a run took, for whoever pays for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bill {
    /// Instructions of the connector, as the engine counts them; only where [`crate::sandbox::HostOptions::count_instructions`]
    /// asks for it. They depend on nothing but what the connector was answered.
    pub instructions: Option<u64>,
    /// The most memory that the connector had, in bytes.
    pub peak_memory: u64,
    /// Requests, also those that failed, and the host's own for tokens.
    pub requests: u64,
    /// Answers that an interrupted run had kept, and that were not asked for again ([`crate::run::Options::keep_answers`]).
    pub kept_answers: u64,
    /// Bytes of request bodies.
    pub bytes_out: u64,
    /// Bytes of response bodies, after decompression; those of kept answers too.
    pub bytes_in: u64,
    /// How often the run waited.
    pub waits: u64,
    /// How long in all, in milliseconds.
    pub waited_ms: u64,
    /// Rows that the connector handed over, those of child tables included.
    pub rows: u64,
    /// How often the connector was started: once, and once more after each wait for which it was dropped.
    pub starts: u64,
}
