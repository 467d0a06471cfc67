//! Loading into real databases: DuckDB, a PostgreSQL server, SQLite; and into Parquet files.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod ahead;
mod by_hand;
mod changes;
mod crash;
mod dispositions;
mod in_place;
mod names;
mod opening;
mod parquet;
mod resuming;
mod rows;
#[path = "../../../tests/end_to_end/server.rs"]
mod server;
mod strategies;
mod tables;
mod widening;
