//! The engine, shared by all connectors of a program, and what it lets them import.

use super::bindings::ExportsPre;
use super::clock::{Chance, Clock};
use super::code_cache::{CodeCache, CodeSource};
use super::contract;
use super::handler;
use super::limits::TICK;
use super::poll::Poll;
use super::store::StoreData;
use crate::digest::sha256;
use crate::{COMPONENT, COMPONENT_DIGEST, Class, Error, Result};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, PoolingAllocationConfig};
use wasmtime_wasi::WasiCtxBuilder;
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

/// Core instances, and tables, of a component in a pool: one that `wit-component` makes has three.
const PARTS: u32 = 8;

/// Bytes that a pool keeps for what the engine knows of an instance, its memory aside.
const INSTANCE_SIZE: usize = 1 << 20;

/// Elements of a table in a pool: a connector's functions.
const TABLE_ELEMENTS: usize = 20_000;

/// How a host is set up.
#[derive(Clone, Debug, Default)]
pub struct HostOptions {
    /// Where compiled components are kept; `None` to compile each time.
    pub code_cache: Option<CodeCache>,
    /// Whether the memory of an instance can be looked at after a run ([`super::Instance::into_memory_image`]). For tests and
    /// for the search for defects: each trap then costs a copy of the memory.
    pub memory_images: bool,
    /// Whether instructions of connectors are counted ([`super::Usage`]). It costs some of their speed.
    pub count_instructions: bool,
    /// How many instances may run at once, in memory that is set aside for them: they start quicker then, and what they had is
    /// given back to the system when they end. Without it, memory is asked for at each start, and there is no such limit. On a
    /// system that does not have the addresses (6 GiB for each), it is as if this were absent.
    pub pool: Option<u32>,
}

/// Loads connectors. One for a program; clones share the engine.
#[derive(Clone)]
pub struct Host {
    linker: Linker<StoreData>,
    code_cache: Option<CodeCache>,
    counts_instructions: bool,
    ticker: Arc<Ticker>,
}

impl Host {
    /// Starts the engine and its clock.
    pub fn new(options: HostOptions) -> Result<Self> {
        let plain = || Engine::new(&config(&options));
        let engine = match options.pool {
            Some(instances) => Engine::new(config(&options).allocation_strategy(pool(instances))).or_else(|_| plain()),
            None => plain(),
        };
        let engine = engine.map_err(|error| setup(&error))?;
        // What a thread has of its own for its first instance; later it may wait for a library that is being loaded.
        Engine::tls_eager_initialize();
        drop(WasiCtxBuilder::new());
        let linker = linker(&engine).map_err(|error| setup(&error))?;
        let ticker = Ticker::start(engine).map_err(|error| setup(&error.into()))?;
        let counts_instructions = options.count_instructions;
        Ok(Self { linker, code_cache: options.code_cache, counts_instructions, ticker: ticker.into() })
    }

    /// Makes a connector of a component's bytes. Compiling takes up to seconds of computing: call it where that does not
    /// keep others waiting. Fails with `Class::Policy` if the component imports more than [`IMPORTS`], and with
    /// `Class::Config` if it is not a connector.
    pub fn load(&self, wasm: &[u8]) -> Result<Connector> {
        self.load_known(wasm, &sha256(wasm))
    }

    /// The connector that travels inside the program, whose digest is known.
    pub fn load_built_in(&self) -> Result<Connector> {
        self.load_known(COMPONENT, COMPONENT_DIGEST)
    }

    fn load_known(&self, wasm: &[u8], digest: &str) -> Result<Connector> {
        let engine = self.linker.engine();
        let loaded = match &self.code_cache {
            Some(cache) => cache.load(engine, wasm, digest),
            None => Component::from_binary(engine, wasm).map(|component| (component, CodeSource::Compiled)),
        };
        let (component, code_source) = loaded.map_err(|error| contract::not_loaded(wasm, &error))?;
        check_imports(engine, &component)?;
        contract::check(engine, &component)?;
        let pre = self.linker.instantiate_pre(&component).and_then(ExportsPre::new).map_err(|error| {
            Error::new(Class::Config, "the component does not have the shape of a connector")
                .fact("reason", format_args!("{error:#}"))
        })?;
        let digest = digest.into();
        let counts_instructions = self.counts_instructions;
        Ok(Connector { pre, digest, code_source, counts_instructions, ticker: self.ticker.clone() })
    }
}

fn setup(error: &wasmtime::Error) -> Error {
    Error::new(Class::Internal, format!("failed to set up the sandbox: {error:#}"))
}

/// A connector, ready to be started any number of times.
#[derive(Clone)]
pub struct Connector {
    pub(super) pre: ExportsPre<StoreData>,
    digest: Arc<str>,
    code_source: CodeSource,
    pub(super) counts_instructions: bool,
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
    // Several memories are what a component of components has: the engine itself makes code that copies from one to another. All of
    // them together are within the limit.
    config
        .epoch_interruption(true)
        .consume_fuel(options.count_instructions)
        .coredump_on_trap(options.memory_images)
        // What connectors do not need is not there to be attacked.
        .wasm_memory64(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false);
    config
}

/// Room for so many instances.
fn pool(instances: u32) -> PoolingAllocationConfig {
    let parts = instances.saturating_mul(PARTS);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(parts)
        .total_memories(instances)
        .total_tables(parts)
        .total_stacks(instances)
        .max_core_instances_per_component(PARTS)
        .max_memories_per_component(1)
        .max_tables_per_component(PARTS)
        .max_core_instance_size(INSTANCE_SIZE)
        .max_component_instance_size(INSTANCE_SIZE)
        .table_elements(TABLE_ELEMENTS);
    pool
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
    handler::add_to_linker(l)?;
    l.allow_shadowing(true);
    handler::add_error_code(l)?;
    l.allow_shadowing(false);
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
