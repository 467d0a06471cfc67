//! Builds the components: the connector, which travels inside the program, and the connector behind HTTP.
//!
//! Each is compiled for `wasm32-unknown-unknown`, the target with the fewest imports, and `wit-component` makes a component of the
//! module. The build has a target folder of its own, so it never waits for the lock of the one around it.
//! `SPILE_COMPONENT_FILE` names a ready connector to take instead. `SPILE_SOURCE` and `SPILE_REVISION`, where they are set, are
//! written into the components: a build without them has the same bytes wherever it is made from.

use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, error, fs};
use wac_graph::{CompositionGraph, EncodeOptions, types::Package};
use wasm_metadata::{AddMetadata, AddMetadataField, Description, Licenses, Revision, Source, Version};

type Result<T> = std::result::Result<T, Box<dyn error::Error>>;

fn main() -> Result<()> {
    for variable in ["SPILE_COMPONENT_FILE", "SPILE_SOURCE", "SPILE_REVISION"] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let workspace = fs::canonicalize("..")?;
    for input in [".cargo", "src", "edge", "wit", "Cargo.toml", "Cargo.lock"] {
        // Relative, since checkouts that share a target folder share this script's output.
        println!("cargo::rerun-if-changed=../{input}");
    }

    let component = match env::var_os("SPILE_COMPONENT_FILE") {
        Some(file) => fs::read(file)?,
        None => {
            let component = encode(&fs::read(compile(&workspace, &out, "spile-connector")?)?)?;
            describe("spile", "A tap for REST APIs: rows of a declarative source", &component)?
        }
    };
    let edge = encode(&fs::read(compile(&workspace, &out, "spile-edge")?)?)?;
    let edge = describe("spile-edge", "A tap for REST APIs behind HTTP", &compose(&component, edge)?)?;

    let file = out.join("spile.wasm");
    fs::write(&file, &component)?;
    println!("cargo::rustc-env=SPILE_COMPONENT={}", file.display());
    let digest: String = Sha256::digest(&component).iter().map(|byte| format!("{byte:02x}")).collect();
    println!("cargo::rustc-env=SPILE_COMPONENT_DIGEST={digest}");
    leave_beside_the_program(&out, "spile.wasm", &component)?;
    leave_beside_the_program(&out, "spile-edge.wasm", &edge)?;
    Ok(())
}

/// Compiles a package of the workspace to a core module.
fn compile(workspace: &Path, out: &Path, package: &str) -> Result<PathBuf> {
    let target = out.join("component");
    let status = Command::new(env::var("CARGO")?)
        .args(["build", "--package", package, "--lib", "--profile", "component"])
        .args(["--target", "wasm32-unknown-unknown"])
        .current_dir(workspace)
        .env("CARGO_TARGET_DIR", &target)
        // What cargo set for this build script is about the host, not about the component.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .status()?;
    if !status.success() {
        return Err(format!(
            "failed to compile {package} for wasm32-unknown-unknown (`./justw setup` installs the target)"
        )
        .into());
    }
    let module = format!("wasm32-unknown-unknown/component/{}.wasm", package.replace('-', "_"));
    Ok(target.join(module))
}

/// Makes a component of a core module; the world is in the module's custom section, written by wit-bindgen.
fn encode(module: &[u8]) -> Result<Vec<u8>> {
    let component = wit_component::ComponentEncoder::default().validate(true).module(module)?.encode()?;
    Ok(component)
}

/// Gives the edge adapter the connector that it imports; the imports from WASI, which both have, become one.
fn compose(connector: &[u8], edge: Vec<u8>) -> Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let connector = Package::from_bytes("spile:built-in", None, connector.to_vec(), graph.types_mut())?;
    let edge = Package::from_bytes("spile:edge", None, edge, graph.types_mut())?;
    let connector = graph.register_package(connector)?;
    let edge = graph.register_package(edge)?;
    wac_graph::plug(&mut graph, vec![connector], edge)?;
    Ok(graph.encode(EncodeOptions::default())?)
}

/// Writes into a component what it is and where it is from.
fn describe(name: &str, description: &str, component: &[u8]) -> Result<Vec<u8>> {
    let mut metadata = AddMetadata::default();
    metadata.name = AddMetadataField::Set(name.to_owned());
    metadata.description = AddMetadataField::Set(Description::new(description.to_owned()));
    metadata.version = AddMetadataField::Set(Version::new(env::var("CARGO_PKG_VERSION")?));
    metadata.licenses = AddMetadataField::Set(Licenses::new(&env::var("CARGO_PKG_LICENSE")?)?);
    if let Ok(source) = env::var("SPILE_SOURCE") {
        metadata.source = AddMetadataField::Set(Source::new(&source)?);
    }
    if let Ok(revision) = env::var("SPILE_REVISION") {
        metadata.revision = AddMetadataField::Set(Revision::new(revision));
    }
    Ok(metadata.to_wasm(component)?)
}

/// Leaves a component in the profile's folder, where the program will be.
fn leave_beside_the_program(out: &Path, name: &str, component: &[u8]) -> Result<()> {
    // OUT_DIR is <profile folder>/build/<package>-<hash>/out.
    let profile = out.ancestors().nth(3).ok_or("OUT_DIR is not where cargo puts it")?;
    let temporary = profile.join(format!(".{name}.{}", std::process::id()));
    fs::write(&temporary, component)?;
    fs::rename(&temporary, profile.join(name))?;
    Ok(())
}
