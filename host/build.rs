//! Builds the components: the connector, which travels inside the program, and the connector behind HTTP.
//!
//! `SPILE_COMPONENT_FILE` names a ready connector to take instead.

use sha2::{Digest, Sha256};
use spile_component::{INPUTS, Result, compile, compose, describe, encode, leave};
use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<()> {
    for variable in ["SPILE_COMPONENT_FILE", "SPILE_SOURCE", "SPILE_REVISION"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let workspace = fs::canonicalize("..")?;
    for input in INPUTS {
        // Relative, since checkouts that share a target folder share this script's output.
        println!("cargo::rerun-if-changed=../{input}");
    }

    let module = |package| compile(&workspace, package, "", &out.join("component"));
    let component = match env::var_os("SPILE_COMPONENT_FILE") {
        Some(file) => fs::read(file)?,
        None => {
            let component = encode(&module("spile-connector")?)?;
            describe("spile", "A tap for REST APIs: rows of a declarative source", &component)?
        }
    };
    let edge = encode(&module("spile-edge")?)?;
    let edge = describe("spile-edge", "A tap for REST APIs behind HTTP", &compose(&component, edge)?)?;

    let file = out.join("spile.wasm");
    fs::write(&file, &component)?;
    println!("cargo::rustc-env=SPILE_COMPONENT={}", file.display());
    let digest: String = Sha256::digest(&component).iter().map(|byte| format!("{byte:02x}")).collect();
    println!("cargo::rustc-env=SPILE_COMPONENT_DIGEST={digest}");
    // Beside the program: OUT_DIR is <profile folder>/build/<package>-<hash>/out.
    let profile = out.ancestors().nth(3).ok_or("OUT_DIR is not where cargo puts it")?;
    leave(profile, "spile.wasm", &component)?;
    leave(profile, "spile-edge.wasm", &edge)
}
