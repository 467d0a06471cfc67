//! The host of Spile: runs a connector in a sandbox, holds what is dangerous, and writes its rows.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod changes;
pub mod cli;
pub mod component;
pub mod destination;
mod digest;
pub mod error;
mod folders;
pub mod gate;
pub mod import;
pub mod limits;
pub mod load;
pub mod pipeline;
pub mod policy;
#[cfg(test)]
mod reference;
pub mod run;
pub mod sandbox;
pub mod tenant;
pub mod verify;

pub use error::{Class, Error, Result};

/// The component that travels inside the program.
pub const COMPONENT: &[u8] = include_bytes!(env!("SPILE_COMPONENT"));

/// Its SHA-256, in hexadecimal digits.
pub const COMPONENT_DIGEST: &str = env!("SPILE_COMPONENT_DIGEST");
