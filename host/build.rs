//! Builds the connector's component, which travels inside the program.
//!
//! The root package is compiled for `wasm32-unknown-unknown`, the target with the fewest imports, and `wit-component` makes a
//! component of the module. The build has a target folder of its own, so it never waits for the lock of the one around it.
//! `SPILE_COMPONENT_FILE` names a ready component to take instead.

use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, error, fs};

type Result<T> = std::result::Result<T, Box<dyn error::Error>>;

fn main() -> Result<()> {
    println!("cargo::rerun-if-env-changed=SPILE_COMPONENT_FILE");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let workspace = fs::canonicalize("..")?;
    for input in ["src", "wit", "Cargo.toml", "Cargo.lock"] {
        // Relative, since checkouts that share a target folder share this script's output.
        println!("cargo::rerun-if-changed=../{input}");
    }

    let component = match env::var_os("SPILE_COMPONENT_FILE") {
        Some(file) => fs::read(file)?,
        None => encode(&fs::read(compile(&workspace, &out)?)?)?,
    };
    let file = out.join("spile.wasm");
    fs::write(&file, &component)?;
    println!("cargo::rustc-env=SPILE_COMPONENT={}", file.display());
    let digest: String = Sha256::digest(&component).iter().map(|byte| format!("{byte:02x}")).collect();
    println!("cargo::rustc-env=SPILE_COMPONENT_DIGEST={digest}");
    leave_beside_the_program(&out, &component)?;
    Ok(())
}

/// Compiles the root package to a core module.
fn compile(workspace: &Path, out: &Path) -> Result<PathBuf> {
    let target = out.join("component");
    let status = Command::new(env::var("CARGO")?)
        .args(["build", "--package", "spile-connector", "--lib", "--profile", "component"])
        .args(["--target", "wasm32-unknown-unknown"])
        .current_dir(workspace)
        .env("CARGO_TARGET_DIR", &target)
        // What cargo set for this build script is about the host, not about the component.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .status()?;
    if !status.success() {
        return Err(
            "failed to compile the component for wasm32-unknown-unknown (`./justw setup` installs the target)".into()
        );
    }
    Ok(target.join("wasm32-unknown-unknown/component/spile_connector.wasm"))
}

/// Makes a component of a core module; the world is in the module's custom section, written by wit-bindgen.
fn encode(module: &[u8]) -> Result<Vec<u8>> {
    let component = wit_component::ComponentEncoder::default().validate(true).module(module)?.encode()?;
    Ok(component)
}

/// Leaves `spile.wasm` in the profile's folder, where the program will be.
fn leave_beside_the_program(out: &Path, component: &[u8]) -> Result<()> {
    // OUT_DIR is <profile folder>/build/<package>-<hash>/out.
    let profile = out.ancestors().nth(3).ok_or("OUT_DIR is not where cargo puts it")?;
    let temporary = profile.join(format!(".spile.wasm.{}", std::process::id()));
    fs::write(&temporary, component)?;
    fs::rename(&temporary, profile.join("spile.wasm"))?;
    Ok(())
}
