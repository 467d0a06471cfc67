//! The contract of WASI 0.2: functions that block.

mod http;

#[allow(missing_docs, clippy::all, clippy::restriction)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "connector",
        generate_all,
    });
}

use super::convert;
use crate::config;
use crate::engine;
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
        super::describe(&source)
    }

    fn check(source: wit::SourceConfig) -> Result<(), wit::Error> {
        let reader = engine::Reader::open(super::to_check(&source), Wasi::new());
        reader.and_then(engine::Reader::check).map_err(convert::error)
    }
}

struct OpenReader {
    reader: RefCell<engine::Reader<Wasi>>,
    encoding: wit::Encoding,
}

impl GuestReader for OpenReader {
    fn open(request: wit::OpenRequest) -> Result<Reader, wit::Error> {
        let reader = engine::Reader::open(super::to_read(&request), Wasi::new()).map_err(convert::error)?;
        Ok(Reader::new(Self { reader: RefCell::new(reader), encoding: request.encoding }))
    }

    fn next(&self, max_rows: u32, max_bytes: u64) -> Result<wit::Step, wit::Error> {
        let step = self.reader.borrow_mut().next(max_rows, max_bytes);
        step.and_then(|step| convert::step(step, self.encoding)).map_err(convert::error)
    }
}

bindings::export!(Connector with_types_in bindings);
