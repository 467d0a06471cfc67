//! The gate over real sockets: what it lets through, what it does to a request and a response, and what it denies.
//!
//! | file | what |
//! |---|---|
//! | `requests` | which requests go out, and as what |
//! | `credentials` | secrets, and where they go |
//! | `bodies` | bodies of responses |
//! | `network` | a network that fails or takes too long, TLS |
//! | `server` | a server that sends the bytes that it is told to |
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod bodies;
mod credentials;
mod network;
mod requests;
#[path = "../server/mod.rs"]
mod server;

use server::Server;
use spile_host::gate::{Client, Credentials, Gate, Origin, Policy};
use spile_host::limits::Limits;

/// A gate that allows these origins, at private addresses too.
fn gate(origins: &[Origin]) -> Gate {
    gate_with(origins, Limits::default(), Credentials::default())
}

fn gate_with(origins: &[Origin], limits: Limits, credentials: Credentials) -> Gate {
    let policy = Policy {
        origins: origins.iter().cloned().collect(),
        private: origins.iter().cloned().collect(),
        ..Policy::default()
    };
    Gate::new(policy, credentials, Client::new(&limits).unwrap(), limits)
}

fn limited(server: &Server, change: impl FnOnce(&mut Limits)) -> Gate {
    let mut limits = Limits::default();
    change(&mut limits);
    gate_with(&[server.origin()], limits, Credentials::default())
}
