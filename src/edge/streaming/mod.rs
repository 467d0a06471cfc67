//! The contract of WASI 0.3: functions that are tasks, and rows as a stream.

mod http;

#[allow(missing_docs, clippy::all, clippy::restriction)]
pub mod bindings {
    wit_bindgen::generate!({
        path: [
            "wit/deps/wasi-io@0.2.4",
            "wit/deps/wasi-clocks@0.2.4",
            "wit/deps/wasi-random@0.2.4",
            "wit/deps/wasi-http@0.2.4",
            "wit/connector.wit",
            "wit/streaming/deps/wasi-clocks@0.3.0",
            "wit/streaming/deps/wasi-random@0.3.0",
            "wit/streaming/deps/wasi-http@0.3.0",
            "wit/streaming/streaming.wit",
        ],
        world: "spile:streaming/connector",
        generate_all,
    });
}

use super::{convert, wit};
use crate::config;
use crate::engine::{Pull, Reader, Turn};
use crate::error::{Error, Kind, Result};
use bindings::exports::spile::streaming::source::Guest;
use bindings::{wit_future, wit_stream};
use http::Wasi;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll};
use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter, spawn_local};

struct Connector;

type Summary = std::result::Result<wit::Summary, wit::Error>;

impl Guest for Connector {
    fn spec() -> String {
        config::SCHEMA.to_owned()
    }

    fn describe(source: wit::SourceConfig) -> std::result::Result<wit::Description, Vec<wit::Error>> {
        super::describe(&source)
    }

    async fn check(source: wit::SourceConfig) -> std::result::Result<(), wit::Error> {
        check(&source).await.map_err(convert::error)
    }

    async fn read(
        request: wit::OpenRequest,
        max_rows: u32,
        max_bytes: u64,
    ) -> std::result::Result<(StreamReader<wit::Batch>, FutureReader<Summary>), wit::Error> {
        let wasi = Wasi::new();
        let reader = Reader::open(super::to_read(&request), wasi.clone()).map_err(convert::error)?;
        let encoding = request.encoding;
        let mut reading = Reading { reader, wasi, encoding, max_rows, max_bytes };
        let (mut rows, batches) = wit_stream::new();
        let (end, summary) = wit_future::new(|| Err(convert::error(let_go())));
        spawn_local(async move {
            let outcome = reading.deliver(&mut rows).await.map_err(convert::error);
            drop(rows);
            // Nobody may be interested any more.
            let _ = end.write(outcome).await;
            // What is still in flight ends here, when all is said: not every runtime keeps its answer from being written down.
            drop(reading);
        });
        Ok((batches, summary))
    }
}

/// What a reading ends with that nobody waits for.
fn let_go() -> Error {
    Error::new(Kind::Internal, "the rows were let go of before their end")
}

async fn check(source: &wit::SourceConfig) -> Result<()> {
    let wasi = Wasi::new();
    let mut checking = Reader::open(super::to_check(source), wasi.clone())?.checking()?;
    loop {
        match checking.turn()? {
            Turn::Said(()) => return Ok(()),
            Turn::Blocked(until) => checking.accept(wasi.outcomes(until).await),
        }
    }
}

struct Reading {
    reader: Reader<Wasi>,
    wasi: Wasi,
    encoding: wit::Encoding,
    max_rows: u32,
    max_bytes: u64,
}

impl Reading {
    /// Hands over all rows.
    async fn deliver(&mut self, rows: &mut StreamWriter<wit::Batch>) -> Result<wit::Summary> {
        loop {
            match self.step(rows).await? {
                wit::Step::Batch(batch) => {
                    if self.wasi.beside(rows.write_one(batch)).await.is_some() {
                        return Err(let_go());
                    }
                }
                wit::Step::Wait(wait) => {
                    while !self.wasi.sleep(wait.until).await {
                        is_wanted(rows).await?;
                    }
                }
                wit::Step::Done(summary) => return Ok(summary),
            }
        }
    }

    async fn step(&mut self, rows: &mut StreamWriter<wit::Batch>) -> Result<wit::Step> {
        let mut pull = Pull::new(self.max_rows, self.max_bytes);
        loop {
            match self.reader.turn(&mut pull)? {
                Turn::Said(step) => return convert::step(step, self.encoding),
                Turn::Blocked(until) => {
                    let outcomes = self.wasi.outcomes(until).await;
                    if outcomes.is_empty() {
                        is_wanted(rows).await?;
                    }
                    self.reader.accept(outcomes);
                }
            }
        }
    }
}

/// Fails where the host has let go of the rows: writing nothing tells it.
async fn is_wanted(rows: &mut StreamWriter<wit::Batch>) -> Result<()> {
    let mut nothing = pin!(rows.write(Vec::new()));
    let is_let_go = |context: &mut Context<'_>| match nothing.as_mut().poll(context) {
        Poll::Ready((StreamResult::Dropped, _)) => Poll::Ready(true),
        _ => Poll::Ready(false),
    };
    if poll_fn(is_let_go).await { Err(let_go()) } else { Ok(()) }
}

bindings::export!(Connector with_types_in bindings);
