//! The whole way: the program `spile` reads the mock API over real sockets into real databases.
//!
//! | file | what |
//! |---|---|
//! | `program` | calls the program, and what came of it |
//! | `setting` | an API, a folder, and the calls that bring them together |
//! | `tables` | rows as a database holds them, and as the API would have them |
//! | `kill` | runs that are killed after every commit and at any instant, into each database |
//! | `instructions` | how much the connector computes for fixed pages, beside what is kept |
//! | `golden` | tables as a file of expected ones has them |
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod answers;
mod auth;
mod changes;
mod component;
mod connectors;
mod contract;
mod crash;
mod demo;
mod destinations;
mod dice;
mod docs;
mod egress;
mod errors;
mod faults;
mod golden;
mod instructions;
mod kill;
mod memory;
mod pace;
mod parquet;
mod policy;
mod program;
mod records;
mod registry;
mod server;
mod setting;
mod shaping;
mod tables;
mod tape;
mod tenants;
mod verify;
