//! Makes components of the packages that are compiled to WebAssembly.
//!
//! Each is compiled for `wasm32-unknown-unknown`, the target with the fewest imports, and `wit-component` makes a component of the
//! module. The build has a target folder of its own, so it never waits for the lock of the one around it. `SPILE_SOURCE` and
//! `SPILE_REVISION`, where they are set, are written into the components: a build without them has the same bytes wherever it is made
//! from.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, error, fs};
use wac_graph::{CompositionGraph, EncodeOptions, types::Package};
use wasm_metadata::{AddMetadata, AddMetadataField, Description, Licenses, Revision, Source, Version};

/// What may go wrong is told to whoever builds, as it is.
pub type Result<T> = std::result::Result<T, Box<dyn error::Error>>;

/// The packages that are compiled. What they are made of stands in these files and folders of the workspace.
pub const INPUTS: [&str; 6] = [".cargo", "src", "edge", "wit", "Cargo.toml", "Cargo.lock"];

/// Compiles a package of the workspace to a core module, with features (`a,b`) or none, in a target folder. Gives the module.
pub fn compile(workspace: &Path, package: &str, features: &str, target: &Path) -> Result<Vec<u8>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--package", package, "--lib", "--profile", "component", "--features", features])
        .args(["--target", "wasm32-unknown-unknown"])
        .current_dir(workspace)
        .env("CARGO_TARGET_DIR", target)
        // What cargo set for whoever calls is about the host, not about the component.
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
    Ok(fs::read(target.join(module))?)
}

/// Makes a component of a core module; the world is in the module's custom section, written by wit-bindgen.
pub fn encode(module: &[u8]) -> Result<Vec<u8>> {
    Ok(wit_component::ComponentEncoder::default().validate(true).module(module)?.encode()?)
}

/// Gives the edge adapter the connector that it imports; the imports from WASI, which both have, become one.
pub fn compose(connector: &[u8], edge: Vec<u8>) -> Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let connector = Package::from_bytes("spile:built-in", None, connector.to_vec(), graph.types_mut())?;
    let edge = Package::from_bytes("spile:edge", None, edge, graph.types_mut())?;
    let connector = graph.register_package(connector)?;
    let edge = graph.register_package(edge)?;
    wac_graph::plug(&mut graph, vec![connector], edge)?;
    Ok(graph.encode(EncodeOptions::default())?)
}

/// Writes into a component what it is and where it is from.
pub fn describe(name: &str, description: &str, component: &[u8]) -> Result<Vec<u8>> {
    let mut metadata = AddMetadata::default();
    metadata.name = AddMetadataField::Set(name.to_owned());
    metadata.description = AddMetadataField::Set(Description::new(description.to_owned()));
    metadata.version = AddMetadataField::Set(Version::new(env!("CARGO_PKG_VERSION").to_owned()));
    metadata.licenses = AddMetadataField::Set(Licenses::new(env!("CARGO_PKG_LICENSE"))?);
    if let Ok(source) = env::var("SPILE_SOURCE") {
        metadata.source = AddMetadataField::Set(Source::new(&source)?);
    }
    if let Ok(revision) = env::var("SPILE_REVISION") {
        metadata.revision = AddMetadataField::Set(Revision::new(revision));
    }
    Ok(metadata.to_wasm(component)?)
}

/// Leaves a component in a folder, whole or not at all.
pub fn leave(folder: &Path, name: &str, component: &[u8]) -> Result<()> {
    let temporary = folder.join(format!(".{name}.{}", std::process::id()));
    fs::write(&temporary, component)?;
    fs::rename(&temporary, folder.join(name))?;
    Ok(())
}

/// Builds the connector of a workspace for hosts of WASI 0.3, in Cargo's target folder. Gives the file, `release/spile-streaming.wasm`.
pub fn streaming(workspace: &Path, target: &Path) -> Result<PathBuf> {
    let beside = target.join("release");
    fs::create_dir_all(&beside)?;
    let folder = fs::canonicalize(target)?.join("streaming");
    let module = compile(workspace, "spile-connector", "streaming", &folder)?;
    let description = "A tap for REST APIs: rows of a declarative source, as a stream of WASI 0.3";
    let component = describe("spile-streaming", description, &encode(&module)?)?;
    leave(&beside, "spile-streaming.wasm", &component)?;
    Ok(beside.join("spile-streaming.wasm"))
}
