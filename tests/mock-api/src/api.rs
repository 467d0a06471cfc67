//! A running server and its handle.

use crate::collection::{self, Collection};
use crate::expected::{self, Expected};
use crate::options::Options;
use crate::server::{self, Service};
use crate::stats::Stats;
use serde_json::Value;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// A running server on 127.0.0.1, on threads of its own: it serves blocking and asynchronous tests alike, and stops
/// when it is dropped.
pub struct MockApi {
    base_url: String,
    service: Service,
    /// Taken by `drop`.
    runtime: Option<Runtime>,
}

impl MockApi {
    /// Starts it. Fails where the port is taken.
    pub fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
        listener.set_nonblocking(true)?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let service = Service::new(options);
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("mock-api").enable_all().build()?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        runtime.spawn(server::serve(listener, service.clone()));
        Ok(Self { base_url, service, runtime: Some(runtime) })
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// What was asked since the start or the last [`reset_stats`](Self::reset_stats).
    pub fn stats(&self) -> Stats {
        self.service.counters().stats()
    }

    /// Waits until what was asked is as wanted, looking at each request and each answer; `false` where it is not after
    /// `patience`. A test kills a client at a chosen request with it, without guessing a time.
    pub fn wait_until(&self, patience: Duration, wanted: impl FnMut(&Stats) -> bool) -> bool {
        self.service.counters().wait_until(patience, wanted)
    }

    /// Counts from zero again.
    pub fn reset_stats(&self) {
        self.service.counters().reset();
    }

    /// Row counts of a run that reads everything with the options of this moment.
    pub fn expected(&self) -> Expected {
        Expected::of(&self.service.options())
    }

    /// All records of a collection with the options of this moment, parent by parent in the order of the API.
    pub fn records(&self, collection: Collection) -> Vec<Value> {
        expected::records(&self.service.options(), collection)
    }

    /// The path of each of its chains of pages, one per parent, with ids percent-encoded.
    pub fn paths(&self, collection: Collection) -> Vec<String> {
        let options = self.service.options();
        let paths =
            collection.parents(&options).into_iter().map(|parent| collection::path(collection, parent, &options));
        paths.collect()
    }

    /// The options of this moment.
    pub fn options(&self) -> Options {
        Options::clone(&self.service.options())
    }

    /// Serves with other options from the next request on; faults are counted anew. The port stays.
    pub fn set_options(&self, options: Options) {
        self.service.set_options(options);
    }
}

impl Drop for MockApi {
    fn drop(&mut self) {
        // The only way that is allowed inside another runtime, too.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
