//! The host of Spile: runs a connector in a sandbox, holds what is dangerous, and writes its rows.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod destination;
pub mod error;
pub mod load;

pub use error::{Class, Error, Result};
