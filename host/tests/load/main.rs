//! Loading into a real DuckDB.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod changes;
mod crash;
mod dispositions;
mod opening;
mod resuming;
mod rows;
mod strategies;
mod tables;
mod widening;
