//! The engine, shared by all connectors of a program, and what it lets them import.

use super::bindings::ExportsPre;
use super::clock::{Chance, Clock};
use super::code_cache::{CodeCache, CodeSource};
use super::limits::TICK;
use super::poll::Poll;
use super::store::StoreData;
use crate::{Class, Error, Result};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine};
use wasmtime_wasi::p2::bindings::{clocks, io, random};
use wasmtime_wasi_http::p2::bindings::http;
use wasmtime_wasi_http::{WasiHttp, WasiHttpView};

/// All that a connector may import, each in any version that is compatible with WASI 0.2. It is the list of what a connector
/// can do.
pub const IMPORTS: [&str; 8] = [
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:http/outgoing-handler",
    "wasi:http/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/random",
];

/// How a host is set up.
#[derive(Clone, Debug, Default)]
pub struct HostOptions {
    /// Where compiled components are kept; `None` to compile each time.
    pub code_cache: Option<CodeCache>,
    /// Whether the memory of an instance can be looked at after a run ([`super::Instance::into_memory_image`]). For tests and
    /// for the search for defects: each trap then costs a copy of the memory.
    pub memory_images: bool,
}

/// Loads connectors. One for a program; clones share the engine.
#[derive(Clone)]
pub struct Host {
    linker: Linker<StoreData>,
    code_cache: Option<CodeCache>,
    ticker: Arc<Ticker>,
}

impl Host {
    /// Starts the engine and its clock.
    pub fn new(options: HostOptions) -> Result<Self> {
        let engine = Engine::new(&config(&options)).map_err(|error| setup(&error))?;
        let linker = linker(&engine).map_err(|error| setup(&error))?;
        let ticker = Ticker::start(engine).map_err(|error| setup(&error.into()))?;
        Ok(Self { linker, code_cache: options.code_cache, ticker: ticker.into() })
    }

    /// Makes a connector of a component's bytes. Compiling takes up to seconds of computing: call it where that does not
    /// keep others waiting. Fails with `Class::Policy` if the component imports more than [`IMPORTS`], and with
    /// `Class::Config` if it is not a connector.
    pub fn load(&self, wasm: &[u8]) -> Result<Connector> {
        let engine = self.linker.engine();
        let not_a_connector = |message: &str, error: &wasmtime::Error| {
            Error::new(Class::Config, message).fact("reason", format_args!("{error:#}"))
        };
        let loaded = match &self.code_cache {
            Some(cache) => cache.load(engine, wasm),
            None => Component::from_binary(engine, wasm).map(|component| (component, CodeSource::Compiled)),
        };
        let (component, code_source) =
            loaded.map_err(|error| not_a_connector("not a WebAssembly component", &error))?;
        check_imports(engine, &component)?;
        let pre = self
            .linker
            .instantiate_pre(&component)
            .and_then(ExportsPre::new)
            .map_err(|error| not_a_connector("the component is not a connector of this version", &error))?;
        let digest = Sha256::digest(wasm).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Connector { pre, digest, code_source, ticker: self.ticker.clone() })
    }
}

fn setup(error: &wasmtime::Error) -> Error {
    Error::new(Class::Internal, format!("failed to set up the sandbox: {error:#}"))
}

/// A connector, ready to be started any number of times.
#[derive(Clone)]
pub struct Connector {
    pub(super) pre: ExportsPre<StoreData>,
    digest: String,
    code_source: CodeSource,
    /// Without ticks there is no limit on computing.
    pub(super) ticker: Arc<Ticker>,
}

impl Connector {
    /// The SHA-256 of the component's bytes, in hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Where its code came from.
    pub fn code_source(&self) -> CodeSource {
        self.code_source
    }
}

fn config(options: &HostOptions) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .coredump_on_trap(options.memory_images)
        // What connectors do not need is not there to be attacked.
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false);
    config
}

/// Everything in [`IMPORTS`], and nothing else.
fn linker(engine: &Engine) -> wasmtime::Result<Linker<StoreData>> {
    let mut linker = Linker::new(engine);
    let l = &mut linker;
    io::error::add_to_linker::<StoreData, Io>(l, |data| &mut data.table)?;
    io::poll::add_to_linker::<StoreData, Poll>(l, StoreData::polls)?;
    io::streams::add_to_linker::<StoreData, Io>(l, |data| &mut data.table)?;
    clocks::monotonic_clock::add_to_linker::<StoreData, Clock>(l, StoreData::clocks)?;
    clocks::wall_clock::add_to_linker::<StoreData, Clock>(l, StoreData::clocks)?;
    random::random::add_to_linker::<StoreData, Chance>(l, StoreData::dice)?;
    http::types::add_to_linker::<StoreData, WasiHttp>(l, &Default::default(), StoreData::http)?;
    http::outgoing_handler::add_to_linker::<StoreData, WasiHttp>(l, StoreData::http)?;
    Ok(linker)
}

/// Says that `wasi:io` works on the table of resources.
struct Io;

impl wasmtime::component::HasData for Io {
    type Data<'a> = &'a mut ResourceTable;
}

fn check_imports(engine: &Engine, component: &Component) -> Result<()> {
    let kind = component.component_type();
    match kind.imports(engine).map(|(name, _)| name).find(|name| !is_allowed(name)) {
        Some(name) => Err(Error::new(Class::Policy, "the component asks for more than a connector may have")
            .fact("import", name)
            .advice("a connector imports HTTP, I/O, clocks and randomness only")),
        None => Ok(()),
    }
}

fn is_allowed(import: &str) -> bool {
    let (name, version) = import.split_once('@').unwrap_or((import, ""));
    IMPORTS.contains(&name) && version.starts_with("0.2.")
}

/// Counts the engine's epochs on a thread of its own, as long as a host, a connector or an instance is there.
pub(super) struct Ticker {
    /// Its end tells the thread to end.
    _running: mpsc::Sender<()>,
}

impl Ticker {
    fn start(engine: Engine) -> std::io::Result<Self> {
        let (running, ended) = mpsc::channel::<()>();
        thread::Builder::new().name("spile-ticker".to_owned()).spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(TICK) {
                engine.increment_epoch();
            }
        })?;
        Ok(Self { _running: running })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_compatible_versions_of_listed_imports_are_allowed() {
        for import in ["wasi:io/poll@0.2.0", "wasi:http/types@0.2.4", "wasi:random/random@0.2.12"] {
            assert!(is_allowed(import), "{import}");
        }
        for import in
            ["wasi:io/poll", "wasi:io/poll@0.3.0", "wasi:io/poll@0.20.0", "wasi:filesystem/types@0.2.4", "env"]
        {
            assert!(!is_allowed(import), "{import}");
        }
    }
}
