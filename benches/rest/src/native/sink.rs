//! The thread that writes.

use crate::columns::Rows;
use crate::duckdb;
use crate::files;
use spile_host::destination::Target;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// How many batches wait to be written at the most.
const WAITING: usize = 3;

/// A way to the thread.
pub struct Sink {
    sender: SyncSender<Rows>,
    thread: JoinHandle<()>,
}

impl Sink {
    pub fn start(destination: &str, dataset: &str) -> Self {
        let (target, dataset) = (Target::parse(destination).unwrap(), dataset.to_owned());
        let (sender, receiver): (_, Receiver<Rows>) = sync_channel(WAITING);
        let thread = thread::spawn(move || match &target {
            Target::DuckDb { .. } => duckdb::write(&target, &dataset, receiver),
            Target::Parquet { directory } => files::write(&directory.join(&dataset), receiver),
            other => panic!("nothing is written to {other}"),
        });
        Self { sender, thread }
    }

    /// Hands rows on; waits where too many wait already.
    pub fn write(&self, rows: Rows) {
        self.sender.send(rows).expect("the thread tells why it has ended");
    }

    /// Waits until all is durable.
    pub fn finish(self) {
        drop(self.sender);
        self.thread.join().expect("the thread tells why it has ended");
    }
}
