//! The one part that knows WASI: exports the contract, and carries the engine's requests over `wasi:http`.

#[allow(missing_docs, clippy::all, clippy::restriction)]
mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "connector",
        generate_all,
    });
}

use bindings::exports::spile::connector::source::{Guest, GuestReader, Reader};
use bindings::spile::connector::types as wit;

struct Component;
struct ReaderImpl;

impl Guest for Component {
    type Reader = ReaderImpl;
    fn spec() -> String {
        "{}".to_owned()
    }
    fn describe(_source: wit::SourceConfig) -> Result<wit::Description, Vec<wit::Error>> {
        Err(Vec::new())
    }
    fn check(_source: wit::SourceConfig) -> Result<(), wit::Error> {
        Ok(())
    }
}

impl GuestReader for ReaderImpl {
    fn open(_request: wit::OpenRequest) -> Result<Reader, wit::Error> {
        Ok(Reader::new(ReaderImpl))
    }
    fn next(&self, _max_rows: u32, _max_bytes: u64) -> Result<wit::Step, wit::Error> {
        Ok(wit::Step::Done(wit::Summary { state: String::new(), counts: Vec::new() }))
    }
}

bindings::export!(Component with_types_in bindings);
