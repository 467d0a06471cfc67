//! A running server and its handle.

use crate::collection::{self, Collection};
use crate::expected::{self, Expected};
use crate::options::Options;
use crate::server::Service;
use crate::sockets::Listening;
use crate::stats::Stats;
use serde_json::Value;
use std::io;
use std::time::Duration;

/// A running server on 127.0.0.1, on threads of its own: it serves blocking and asynchronous tests alike, and stops
/// when it is dropped.
pub struct MockApi {
    service: Service,
    listening: Listening,
}

impl MockApi {
    /// Starts it. Fails where the port is taken.
    pub fn start(options: Options) -> io::Result<Self> {
        let port = options.port;
        let service = Service::new(options);
        Ok(Self { listening: Listening::start(port, service.clone())?, service })
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> &str {
        self.listening.base_url()
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
