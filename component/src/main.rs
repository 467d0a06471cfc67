//! Builds the connector for hosts of WASI 0.3: `spile-component TARGET` leaves `release/spile-streaming.wasm` in Cargo's target folder.
//! The other components come with the program (`host/build.rs`).

use spile_component::{Result, compile, describe, encode, leave};
use std::path::{Path, PathBuf};
use std::{env, fs};

const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn main() -> Result<()> {
    let target = env::args_os().nth(1).map(PathBuf::from).ok_or("usage: spile-component TARGET")?;
    fs::create_dir_all(target.join("release"))?;
    let target = fs::canonicalize(target)?;
    let module = compile(Path::new(WORKSPACE), "spile-connector", "streaming", &target.join("streaming"))?;
    let description = "A tap for REST APIs: rows of a declarative source, as a stream of WASI 0.3";
    let component = describe("spile-streaming", description, &encode(&module)?)?;
    leave(&target.join("release"), "spile-streaming.wasm", &component)
}
