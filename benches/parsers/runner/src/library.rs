//! The parsers, built as a library: loaded natively, or run as the host runs a component.

use libloading::Library;
use parsers::columns::Digest;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};
use wasmtime::{Config, Engine, Error, Instance, Memory, Module, Result, Store, TypedFunc};

/// What a library is built for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// This machine.
    Native,
    /// Wasm as the component is compiled.
    Wasm,
    /// Wasm with vectors of 128 bits.
    Simd,
    /// Wasm that cannot be interrupted, to see what that costs.
    Uninterrupted,
}

/// How a library is built.
#[derive(Clone, Copy)]
pub struct Build<'b> {
    /// For what.
    pub target: For,
    /// Whether with serde_json as the program has it.
    pub precise: bool,
    /// With one job alone.
    pub only: Option<&'b str>,
    /// With one more then.
    pub beside: Option<&'b str>,
}

impl Build<'_> {
    /// Builds it with the profile that stands for the component's: the file.
    pub fn file(&self) -> Result<PathBuf> {
        let program = env::current_exe()?;
        let beside = program.parent().ok_or_else(|| Error::msg("this program is in no folder"))?;
        let precise = if self.precise { "precise" } else { "plain" };
        // A folder each, since all have one name.
        let target = beside.join("libraries").join(precise);
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command
            .args(["build", "--quiet", "--package", "parsers", "--profile", "library", "--manifest-path"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml"))
            .env("CARGO_TARGET_DIR", &target)
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env_remove("PARSERS_ONLY")
            .env_remove("PARSERS_BESIDE");
        if self.precise {
            command.args(["--features", "arbitrary-precision"]);
        }
        if let Some(only) = self.only {
            command.env("PARSERS_ONLY", only);
        }
        if let Some(beside) = self.beside {
            command.env("PARSERS_BESIDE", beside);
        }
        // sonic-rs depends on random numbers for tables that no job uses.
        let no_random = "--cfg getrandom_backend=\"unsupported\"";
        let file = match self.target {
            For::Native => {
                command.env("RUSTFLAGS", "");
                target.join("library").join(format!("{DLL_PREFIX}parsers{DLL_SUFFIX}"))
            }
            For::Wasm | For::Simd | For::Uninterrupted => {
                let vectors = if self.target == For::Simd { " -C target-feature=+simd128" } else { "" };
                command.args(["--target", "wasm32-unknown-unknown"]).env("RUSTFLAGS", format!("{no_random}{vectors}"));
                target.join("wasm32-unknown-unknown/library/parsers.wasm")
            }
        };
        if command.status()?.success() { Ok(file) } else { Err(Error::msg("failed to build the parsers")) }
    }

    /// Builds it and starts it.
    pub fn start(&self) -> Result<Box<dyn Parsers>> {
        let file = self.file()?;
        Ok(match self.target {
            For::Native => Box::new(Native::new(&file)?),
            target => Box::new(Guest::new(&engine(target != For::Uninterrupted)?, &fs::read(file)?)?),
        })
    }
}

/// A library that has been started.
pub trait Parsers {
    /// Writes a page into its memory.
    fn write(&mut self, page: &[u8]) -> Result<()>;
    /// Runs a job on the page.
    fn run(&mut self, job: usize) -> Result<Option<u64>>;
    /// What the last job saw.
    fn digest(&mut self) -> Result<Digest>;
}

/// The engine, set up as the host's (`host/src/sandbox/engine.rs`), or without the means to interrupt what computes for too long.
fn engine(interruption: bool) -> Result<Engine> {
    let mut config = Config::new();
    config
        .epoch_interruption(interruption)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false);
    Engine::new(&config)
}

struct Native {
    page: extern "C" fn(usize) -> *mut u8,
    run: extern "C" fn(usize) -> u64,
    digest: extern "C" fn(u32) -> u64,
    /// Unloaded when nothing points into it any more.
    _library: Library,
}

impl Native {
    fn new(file: &Path) -> Result<Self> {
        // SAFETY: the library was built from `src/library.rs`, where the functions have these types, and does nothing when it is loaded.
        unsafe {
            let library = Library::new(file).map_err(Error::new)?;
            let page = *library.get(b"parsers_page\0").map_err(Error::new)?;
            let run = *library.get(b"parsers_run\0").map_err(Error::new)?;
            let digest = *library.get(b"parsers_digest\0").map_err(Error::new)?;
            Ok(Self { page, run, digest, _library: library })
        }
    }
}

impl Parsers for Native {
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

    fn digest(&mut self) -> Result<Digest> {
        let [values, hash, doubles] = [0, 1, 2].map(|part| (self.digest)(part));
        Ok(Digest { values, hash, doubles })
    }
}

struct Guest {
    store: Store<()>,
    memory: Memory,
    page: TypedFunc<u32, u32>,
    run: TypedFunc<u32, u64>,
    digest: TypedFunc<u32, u64>,
}

impl Guest {
    fn new(engine: &Engine, module: &[u8]) -> Result<Self> {
        let module = Module::new(engine, module)?;
        let mut store = Store::new(engine, ());
        store.set_epoch_deadline(u64::MAX / 2);
        let instance = Instance::new(&mut store, &module, &[])?;
        let memory =
            instance.get_memory(&mut store, "memory").ok_or_else(|| Error::msg("the module exports no memory"))?;
        let page = instance.get_typed_func(&mut store, "parsers_page")?;
        let run = instance.get_typed_func(&mut store, "parsers_run")?;
        let digest = instance.get_typed_func(&mut store, "parsers_digest")?;
        Ok(Self { store, memory, page, run, digest })
    }
}

impl Parsers for Guest {
    fn write(&mut self, page: &[u8]) -> Result<()> {
        let at = self.page.call(&mut self.store, u32::try_from(page.len())?)?;
        self.memory.write(&mut self.store, at as usize, page)?;
        Ok(())
    }

    fn run(&mut self, job: usize) -> Result<Option<u64>> {
        let given = self.run.call(&mut self.store, u32::try_from(job)?)?;
        Ok((given != u64::MAX).then_some(given))
    }

    fn digest(&mut self) -> Result<Digest> {
        let [values, hash, doubles] = [0, 1, 2].map(|part| self.digest.call(&mut self.store, part));
        Ok(Digest { values: values?, hash: hash?, doubles: doubles? })
    }
}
