//! The sandbox: runs a connector with nothing but what it needs.
//!
//! [`Host`] holds the engine and loads a component as a [`Connector`], if it imports no more than [`IMPORTS`]. Each start of it
//! is an [`Instance`] with memory of its own, whose requests pass the [gate](crate::gate), and whose memory, computing time and
//! everything else it can use up is bounded by [`Limits`](crate::limits::Limits). Compiled code is kept in a [`CodeCache`].
//!
//! An instance is used by one run, and never again after a trap.

mod bindings;
mod clock;
mod code_cache;
mod contract;
mod engine;
mod failure;
mod given;
mod handler;
mod instance;
mod limits;
mod poll;
mod rows;
mod store;

pub use code_cache::{CodeCache, CodeSource};
pub use engine::{Connector, Host, HostOptions, IMPORTS};
pub(crate) use instance::deadline;
pub use instance::{Description, Extent, Instance, OpenRequest, SourceConfig, Usage};
pub use rows::{
    Batch, Column, DataType, Duplicates, Merge, MergeStrategy, ResourceCounts, ResourceDescription, Slot, Step,
    Summary, TableRows, Wait, WriteDisposition,
};
