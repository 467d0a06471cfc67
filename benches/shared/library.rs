//! A library to be measured: loaded natively, or run as the host runs a component.
//!
//! It exports `bench_page(length)`, which makes room for a page and gives its place, `bench_run(job)`, which gives what a job did or the
//! largest number where it failed, and `bench_digest(part)`, which tells what the last job saw.

use libloading::Library as Loaded;
use std::path::Path;
use std::time::Duration;
use wasmtime::{Config, Engine, Error, Instance, Linker, Memory, Module, Result, Store, TypedFunc};

/// A library that has been started.
pub trait Library {
    /// Writes a page into its memory.
    fn write(&mut self, page: &[u8]) -> Result<()>;
    /// Runs a job on the page; none where it fails.
    fn run(&mut self, job: usize) -> Result<Option<u64>>;
    /// A part of what the last job saw.
    fn digest(&mut self, part: u32) -> Result<u64>;
}

/// The engine, set up as the host's (`host/src/sandbox/engine.rs`), or without the means to interrupt what computes for too long.
pub fn engine(interruption: bool) -> Result<Engine> {
    let mut config = Config::new();
    config
        .epoch_interruption(interruption)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false);
    Engine::new(&config)
}

/// The middle one.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// A library for this machine.
pub struct Native {
    page: extern "C" fn(usize) -> *mut u8,
    run: extern "C" fn(usize) -> u64,
    digest: extern "C" fn(u32) -> u64,
    /// Unloaded when nothing points into it any more.
    _library: Loaded,
}

impl Native {
    /// Loads it.
    pub fn new(file: &Path) -> Result<Self> {
        // SAFETY: the library was built from this project, where the functions have these types, and does nothing when it is loaded.
        unsafe {
            let library = Loaded::new(file).map_err(Error::new)?;
            let page = *library.get(b"bench_page\0").map_err(Error::new)?;
            let run = *library.get(b"bench_run\0").map_err(Error::new)?;
            let digest = *library.get(b"bench_digest\0").map_err(Error::new)?;
            Ok(Self { page, run, digest, _library: library })
        }
    }
}

impl Library for Native {
    fn write(&mut self, page: &[u8]) -> Result<()> {
        let at = (self.page)(page.len());
        // SAFETY: the library has just made room for as many bytes there, and nobody else has them in hand.
        unsafe { std::slice::from_raw_parts_mut(at, page.len()) }.copy_from_slice(page);
        Ok(())
    }

    fn run(&mut self, job: usize) -> Result<Option<u64>> {
        let given = (self.run)(job);
        Ok((given != u64::MAX).then_some(given))
    }

    fn digest(&mut self, part: u32) -> Result<u64> {
        Ok((self.digest)(part))
    }
}

/// A library in wasm.
pub struct Guest {
    store: Store<()>,
    memory: Memory,
    page: TypedFunc<u32, u32>,
    run: TypedFunc<u32, u64>,
    digest: TypedFunc<u32, u64>,
}

impl Guest {
    /// Instantiates it. What it imports is not there: calling it is a trap.
    pub fn new(engine: &Engine, module: &[u8]) -> Result<Self> {
        let module = Module::new(engine, module)?;
        let mut store = Store::new(engine, ());
        store.set_epoch_deadline(u64::MAX / 2);
        let mut linker = Linker::new(engine);
        linker.define_unknown_imports_as_traps(&module)?;
        let instance: Instance = linker.instantiate(&mut store, &module)?;
        let memory =
            instance.get_memory(&mut store, "memory").ok_or_else(|| Error::msg("the module exports no memory"))?;
        let page = instance.get_typed_func(&mut store, "bench_page")?;
        let run = instance.get_typed_func(&mut store, "bench_run")?;
        let digest = instance.get_typed_func(&mut store, "bench_digest")?;
        Ok(Self { store, memory, page, run, digest })
    }
}

impl Library for Guest {
    fn write(&mut self, page: &[u8]) -> Result<()> {
        let at = self.page.call(&mut self.store, u32::try_from(page.len())?)?;
        self.memory.write(&mut self.store, at as usize, page)?;
        Ok(())
    }

    fn run(&mut self, job: usize) -> Result<Option<u64>> {
        let given = self.run.call(&mut self.store, u32::try_from(job)?)?;
        Ok((given != u64::MAX).then_some(given))
    }

    fn digest(&mut self, part: u32) -> Result<u64> {
        self.digest.call(&mut self.store, part)
    }
}
