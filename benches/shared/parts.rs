//! The engine's way from the bytes of a page to Arrow, part by part: natively, in wasm, and in wasm that cannot be interrupted, each with
//! the component's profile.

use crate::library::{Guest, Library, Native, engine, median};
use crate::pages::Page;
use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Native, wasm, and wasm that cannot be interrupted, to see what that costs.
pub const TARGETS: usize = 3;
pub const PARTS: [&str; 3] = ["find the records", "shape them", "encode as Arrow"];
/// Parts beside `RESET`, which is not measured.
const RESET: usize = 0;

/// Times of the parts.
pub type Times = [Duration; PARTS.len()];

/// The engine for each target, built from a workspace into a target folder of its own, as in `host/build.rs`.
pub fn libraries(workspace: &Path, folder: &Path) -> [Box<dyn Library>; TARGETS] {
    let module = fs::read(build(workspace, folder, Some("wasm32-unknown-unknown"))).unwrap();
    [
        Box::new(Native::new(&build(workspace, folder, None)).unwrap()),
        Box::new(Guest::new(&engine(true).unwrap(), &module).unwrap()),
        Box::new(Guest::new(&engine(false).unwrap(), &module).unwrap()),
    ]
}

/// The median times of each page's parts for each library. Rounds go through all, so that what disturbs the machine disturbs all alike.
pub fn measure(pages: &[Page], libraries: &mut [Box<dyn Library>; TARGETS], rounds: usize) -> Vec<[Times; TARGETS]> {
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

/// Builds the engine with the component's profile: the file.
fn build(workspace: &Path, folder: &Path, target: Option<&str>) -> PathBuf {
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["build", "--quiet", "--package", "bench-engine", "--profile", "component", "--manifest-path"])
        .arg(workspace.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", folder)
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    // A program that Cargo did not start must say it: else each crate could ask rustup for a toolchain of its own.
    if let Some(toolchain) = option_env!("RUSTUP_TOOLCHAIN") {
        command.env("RUSTUP_TOOLCHAIN", toolchain);
    }
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
