//! The whole way: the program `spile` reads the mock API over real sockets into a real DuckDB file.
//!
//! | file | what |
//! |---|---|
//! | `program` | calls the program, and what came of it |
//! | `setting` | an API, a folder, and the calls that bring them together |
//! | `tables` | rows as a database holds them, and as the API would have them |
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod auth;
mod component;
mod crash;
mod demo;
mod errors;
mod faults;
mod memory;
mod pace;
mod program;
mod setting;
mod shaping;
mod tables;
