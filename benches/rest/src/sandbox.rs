//! What the sandbox costs: the engine's work on the flat pages, in wasm and natively, without network and database.

use crate::tool::target_folder;
use crate::{pages, parts};
use std::path::Path;
use std::time::Duration;

/// How often a page is measured.
const ROUNDS: usize = 25;

/// The time in wasm, divided by the time outside. Builds both, which takes some minutes the first time.
pub fn ratio(is_smoke: bool) -> f64 {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut libraries = parts::libraries(&workspace, &target_folder().join("release/bench-engine"));
    let mut pages = pages::all();
    pages.retain(|page| page.name == "flat");
    let measured = parts::measure(&pages, &mut libraries, if is_smoke { 1 } else { ROUNDS });
    let all = |target: usize| measured[0][target].iter().sum::<Duration>().as_secs_f64();
    let [native, wasm] = [0, 1].map(all);
    println!("\nsandbox: the engine on a flat page of {} records, to Arrow\n", pages[0].records);
    println!("| native, ms | wasm, ms | ratio |\n|---:|---:|---:|");
    println!("| {:.2} | {:.2} | {:.2} |", native * 1e3, wasm * 1e3, wasm / native);
    wasm / native
}
