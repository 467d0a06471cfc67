//! The engine in wasm against itself natively: the same pages from their bytes to Arrow, both in one run, each with the component's profile.
//!
//! `cargo bench --package spile-host --bench shaping`. Ends with exit code 1 where wasm is less than half as fast, or where in wasm a
//! nested page is read at less than 0.4 of the bytes a second that a flat one is. With `--smoke` it measures once, and only sees that
//! both give the same.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

#[path = "shared/library.rs"]
mod library;
#[path = "shared/pages.rs"]
mod pages;
#[path = "shared/parts.rs"]
mod parts;

use parts::{PARTS, libraries, measure};
use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// How often each page is measured.
const ROUNDS: usize = 25;

/// The least speed in wasm, of the native one.
const LEAST_IN_WASM: f64 = 0.5;
/// The least speed of a nested page in wasm, of that of a flat one.
const LEAST_NESTED: f64 = 0.4;

fn main() -> ExitCode {
    let is_smoke = env::args().any(|argument| argument == "--smoke");
    let program = env::current_exe().unwrap();
    let folder = program.ancestors().nth(2).unwrap().join("bench-engine");
    let mut libraries = libraries(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), &folder);
    let pages = pages::all();
    let measured = measure(&pages, &mut libraries, if is_smoke { 1 } else { ROUNDS });
    let mut is_fast = true;
    let mut speeds = Vec::new();
    for (page, times) in pages.iter().zip(measured) {
        let megabytes = page.bytes.len() as f64 / 1e6;
        let [native, wasm, uninterrupted] = times.map(|times| megabytes / times.iter().sum::<Duration>().as_secs_f64());
        println!("\n{}: {} bytes, {} records\n", page.name, page.bytes.len(), page.records);
        println!("| MB/s | native | wasm | of native | wasm, uninterrupted |\n|---|---:|---:|---:|---:|");
        for (part, name) in PARTS.iter().enumerate() {
            let [native, wasm, uninterrupted] = times.map(|times| megabytes / times[part].as_secs_f64());
            println!("| {name} | {native:.0} | {wasm:.0} | {:.2} | {uninterrupted:.0} |", wasm / native);
        }
        println!("| all | {native:.0} | {wasm:.0} | {:.2} | {uninterrupted:.0} |", wasm / native);
        is_fast &= wasm / native >= LEAST_IN_WASM;
        speeds.push((page.name, wasm));
    }
    let speed = |name| speeds.iter().find(|(page, _)| *page == name).unwrap().1;
    let nested = speed("nested") / speed("flat");
    println!("\nnested pages at {nested:.2} of the flat ones' bytes a second in wasm");
    is_fast &= nested >= LEAST_NESTED;
    if is_fast || is_smoke {
        return ExitCode::SUCCESS;
    }
    println!("too slow: at least {LEAST_IN_WASM} of native, and {LEAST_NESTED} of flat, are wanted");
    ExitCode::FAILURE
}
