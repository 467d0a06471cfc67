//! A tap for REST APIs, as one WASI component.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod auth;
#[cfg(target_family = "wasm")]
mod edge;
