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

use library::{Guest, Library, Native, engine, median};
use pages::Page;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};
use std::{env, fs};

/// How often each page is measured.
const ROUNDS: usize = 25;

/// Native, wasm, and wasm that cannot be interrupted, to see what that costs.
const TARGETS: usize = 3;
const PARTS: [&str; 3] = ["find the records", "shape them", "encode as Arrow"];
/// Parts beside `RESET`, which is not measured.
const RESET: usize = 0;

/// The least speed in wasm, of the native one.
const LEAST_IN_WASM: f64 = 0.5;
/// The least speed of a nested page in wasm, of that of a flat one.
const LEAST_NESTED: f64 = 0.4;

/// Times of the parts.
type Times = [Duration; PARTS.len()];

fn main() -> ExitCode {
    let is_smoke = env::args().any(|argument| argument == "--smoke");
    let module = fs::read(build(Some("wasm32-unknown-unknown"))).unwrap();
    let mut libraries: [Box<dyn Library>; TARGETS] = [
        Box::new(Native::new(&build(None)).unwrap()),
        Box::new(Guest::new(&engine(true).unwrap(), &module).unwrap()),
        Box::new(Guest::new(&engine(false).unwrap(), &module).unwrap()),
    ];
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

/// The median times of each page's parts for each library. Rounds go through all, so that what disturbs the machine disturbs all alike.
fn measure(pages: &[Page], libraries: &mut [Box<dyn Library>; TARGETS], rounds: usize) -> Vec<[Times; TARGETS]> {
    let mut times = vec![[const { [const { Vec::new() }; PARTS.len()] }; TARGETS]; pages.len()];
    for _ in 0..rounds {
        for (page, times) in pages.iter().zip(&mut times) {
            let mut seen = Vec::new();
            for (library, times) in libraries.iter_mut().zip(times) {
                assert_eq!(library.run(RESET).unwrap(), Some(0));
                // The first pages of a run make the columns.
                for is_measured in [false, false, true] {
                    library.write(&page.bytes).unwrap();
                    for (part, times) in times.iter_mut().enumerate() {
                        let start = Instant::now();
                        let given = library.run(part + 1).unwrap();
                        let time = start.elapsed();
                        assert!(given.is_some(), "{}: failed to {}", page.name, PARTS[part]);
                        if is_measured {
                            times.push(time);
                        }
                    }
                }
                seen.push([0, 1, 2].map(|part| library.digest(part).unwrap()));
            }
            assert!(seen.iter().all(|digest| *digest == seen[0]), "{}: not the same in all: {seen:?}", page.name);
            assert!(seen[0][1] >= page.records, "{}: rows are missing", page.name);
        }
    }
    times.into_iter().map(|times| times.map(|times| times.map(median))).collect()
}

/// Builds the engine with the component's profile: the file. Its target folder is its own, as in `component/`.
fn build(target: Option<&str>) -> PathBuf {
    let program = env::current_exe().unwrap();
    let folder = program.ancestors().nth(2).unwrap().join("bench-engine");
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["build", "--quiet", "--package", "bench-engine", "--profile", "component", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml"))
        .env("CARGO_TARGET_DIR", &folder)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS");
    let file = match target {
        Some(target) => {
            command.args(["--target", target]);
            folder.join(target).join("component/bench_engine.wasm")
        }
        None => folder.join("component").join(format!("{DLL_PREFIX}bench_engine{DLL_SUFFIX}")),
    };
    assert!(command.status().unwrap().success(), "failed to build the engine");
    file
}
