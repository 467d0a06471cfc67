//! A tap for REST APIs, as one WASI component.
//!
//! Data flows one way through the modules:
//!
//! ```text
//! config ─► plan ─► requests ─► pages ─► records ─► tables ─► batches
//! ```
//!
//! All but `edge` is plain Rust that compiles and is tested natively; `edge`, present in the WebAssembly build only, exports
//! the contract of `wit/` and carries the engine's requests over `wasi:http`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod action;
pub mod auth;
pub mod config;
pub mod disposition;
pub mod engine;
pub mod error;
pub mod expression;
pub mod incremental;
pub mod paginate;
pub mod plan;
pub mod quota;
pub mod records;
pub mod request;
pub mod response;
pub mod retry;
pub mod select;
pub mod shape;
pub mod slot;
pub mod statuses;
pub mod steps;

#[cfg(target_family = "wasm")]
mod edge;
