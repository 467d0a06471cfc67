//! Builds the parsers as a library.

use crate::library::{Guest, Library, Native, engine};
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};
use wasmtime::{Error, Result};

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
    pub fn start(&self) -> Result<Box<dyn Library>> {
        let file = self.file()?;
        Ok(match self.target {
            For::Native => Box::new(Native::new(&file)?),
            target => Box::new(Guest::new(&engine(target != For::Uninterrupted)?, &fs::read(file)?)?),
        })
    }
}
