//! The parsers as a core module: built, and run as the host runs a component.

use parsers::columns::Digest;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};
use wasmtime::{Config, Engine, Error, Instance, Memory, Module, Result, Store, TypedFunc};

/// What a module is built with.
#[derive(Clone, Copy)]
pub struct Build<'b> {
    /// Features of the parsers.
    pub features: &'b str,
    /// Whether it may use vectors of 128 bits.
    pub simd: bool,
}

impl Build<'_> {
    /// Builds it with the component's profile: the module.
    pub fn module(&self) -> Result<Vec<u8>> {
        let parsers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
        let target = target()?;
        // sonic-rs depends on random numbers for tables that no job uses.
        let mut flags = "--cfg getrandom_backend=\"unsupported\"".to_owned();
        if self.simd {
            flags.push_str(" -C target-feature=+simd128");
        }
        let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args([
                "build",
                "--quiet",
                "--package",
                "parsers",
                "--profile",
                "guest",
                "--target",
                "wasm32-unknown-unknown",
            ])
            .args(["--no-default-features", "--features", self.features])
            .arg("--manifest-path")
            .arg(parsers)
            .env("CARGO_TARGET_DIR", &target)
            .env("RUSTFLAGS", flags)
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .status()?;
        if !status.success() {
            return Err(Error::msg(format!("failed to build the parsers with `{}`", self.features)));
        }
        Ok(fs::read(target.join("wasm32-unknown-unknown/guest/parsers.wasm"))?)
    }
}

/// Beside this program.
fn target() -> Result<PathBuf> {
    let program = env::current_exe()?;
    let folder = program.parent().ok_or_else(|| Error::msg("this program is in no folder"))?;
    Ok(folder.join("guests"))
}

/// The engine, set up as the host's (`host/src/sandbox/engine.rs`).
pub fn engine() -> Result<Engine> {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false);
    Engine::new(&config)
}

/// An instance of a module.
pub struct Guest {
    store: Store<()>,
    memory: Memory,
    page: TypedFunc<u32, u32>,
    run: TypedFunc<u32, u64>,
    digest: TypedFunc<u32, u64>,
}

impl Guest {
    /// Starts a module.
    pub fn new(engine: &Engine, module: &[u8]) -> Result<Self> {
        let module = Module::new(engine, module)?;
        let mut store = Store::new(engine, ());
        store.set_epoch_deadline(u64::MAX / 2);
        let instance = Instance::new(&mut store, &module, &[])?;
        let memory =
            instance.get_memory(&mut store, "memory").ok_or_else(|| Error::msg("the module exports no memory"))?;
        let page = instance.get_typed_func(&mut store, "page")?;
        let run = instance.get_typed_func(&mut store, "run")?;
        let digest = instance.get_typed_func(&mut store, "digest")?;
        Ok(Self { store, memory, page, run, digest })
    }

    /// Writes a page into its memory.
    pub fn write(&mut self, page: &[u8]) -> Result<()> {
        let at = self.page.call(&mut self.store, u32::try_from(page.len())?)?;
        self.memory.write(&mut self.store, at as usize, page)?;
        Ok(())
    }

    /// Runs a job on the page.
    pub fn run(&mut self, job: usize) -> Result<Option<u64>> {
        let given = self.run.call(&mut self.store, u32::try_from(job)?)?;
        Ok((given != u64::MAX).then_some(given))
    }

    /// What the last job saw.
    pub fn digest(&mut self) -> Result<Digest> {
        let [values, hash, doubles] = [0, 1, 2].map(|part| self.digest.call(&mut self.store, part));
        Ok(Digest { values: values?, hash: hash?, doubles: doubles? })
    }
}
