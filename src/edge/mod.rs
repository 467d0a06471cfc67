//! The one part that knows WASI: exports the contract, and carries the engine's requests over `wasi:http`.

mod convert;
mod http;

#[allow(missing_docs, clippy::all, clippy::restriction)]
mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "connector",
        generate_all,
    });
}

use crate::config;
use crate::engine::{self, Extent, OpenRequest};
use crate::plan::{Plan, Source};
use bindings::exports::spile::connector::source::{self as wit, Guest, GuestReader, Reader};
use http::Wasi;
use std::cell::RefCell;

struct Connector;

impl Guest for Connector {
    type Reader = OpenReader;

    fn spec() -> String {
        config::SCHEMA.to_owned()
    }

    fn describe(source: wit::SourceConfig) -> Result<wit::Description, Vec<wit::Error>> {
        match Plan::new(&borrowed(&source)) {
            Ok(plan) => Ok(convert::description(plan.describe())),
            Err(errors) => Err(errors.into_iter().map(convert::error).collect()),
        }
    }

    fn check(source: wit::SourceConfig) -> Result<(), wit::Error> {
        let request = OpenRequest {
            source: borrowed(&source),
            resources: &[],
            state: None,
            schema: None,
            window: 1,
            load_id: String::new(),
            extent: Extent::default(),
        };
        engine::Reader::open(request, Wasi::new()).and_then(engine::Reader::check).map_err(convert::error)
    }
}

struct OpenReader {
    reader: RefCell<engine::Reader<Wasi>>,
    encoding: wit::Encoding,
}

impl GuestReader for OpenReader {
    fn open(request: wit::OpenRequest) -> Result<Reader, wit::Error> {
        let encoding = request.encoding;
        let request = OpenRequest {
            source: borrowed(&request.source),
            resources: &request.resources,
            state: request.state.as_deref(),
            schema: request.schema.as_deref(),
            window: request.window,
            load_id: request.load_id,
            extent: Extent {
                since: request.extent.since,
                until: request.extent.until,
                full_refresh: request.extent.full_refresh,
            },
        };
        let reader = engine::Reader::open(request, Wasi::new()).map_err(convert::error)?;
        Ok(Reader::new(Self { reader: RefCell::new(reader), encoding }))
    }

    fn next(&self, max_rows: u32, max_bytes: u64) -> Result<wit::Step, wit::Error> {
        let step = self.reader.borrow_mut().next(max_rows, max_bytes);
        step.and_then(|step| convert::step(step, self.encoding)).map_err(convert::error)
    }
}

fn borrowed(source: &wit::SourceConfig) -> Source<'_> {
    Source { config: &source.config, params: &source.params, bindings: &source.bindings }
}

bindings::export!(Connector with_types_in bindings);
