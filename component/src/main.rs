//! Builds the connector for hosts of WASI 0.3: `spile-component TARGET`, in the workspace's folder, leaves `release/spile-streaming.wasm`
//! in Cargo's target folder. The other components come with the program (`host/build.rs`).

use std::env;
use std::path::Path;

fn main() -> spile_component::Result<()> {
    let target = env::args_os().nth(1).ok_or("usage: spile-component TARGET")?;
    // Not where this program was built: checkouts may share a target folder.
    let file = spile_component::streaming(&env::current_dir()?, Path::new(&target))?;
    println!("{}", file.display());
    Ok(())
}
