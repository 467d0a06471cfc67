//! A connector behind HTTP.
//!
//! `GET /` says what the configuration's resources are; `GET /resources/{name}` sends the rows of one of them as
//! newline-delimited JSON while its pages arrive. The configuration comes from the environment ([`settings`]), so one component
//! serves on every platform that has `wasi:http` handlers, and holds a batch and the pages in flight in memory.
//!
//! This crate is the half that faces HTTP. It imports the contract `spile:connector/source`, and the build composes it with a
//! connector: into `spile-edge.wasm`.

pub mod lines;
pub mod problem;
pub mod query;
pub mod settings;

#[cfg(target_family = "wasm")]
mod handler;
