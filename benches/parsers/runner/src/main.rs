//! Compares the parsers, each natively and in wasm with and without vectors of 128 bits, all in one run: `./justw bench-parsers`.
//!
//! Ends with an error where two parsers see different things.

mod build;
#[path = "../../../shared/library.rs"]
mod library;
#[path = "../../../shared/pages.rs"]
mod pages;

use build::{Build, For};
use library::{Library, median};
use pages::Page;
use parsers::columns::Digest;
use parsers::{Job, Work};
use std::fs;
use std::time::{Duration, Instant};
use wasmtime::{Error, Result};

/// How often each job is measured; some more times go before, unmeasured.
const ROUNDS: usize = 25;
const WARM_UP: usize = 3;

const TARGETS: [For; 4] = [For::Native, For::Wasm, For::Simd, For::Uninterrupted];

/// One line of the table: a job, with serde_json as it comes or as the program has it.
struct Line<'j> {
    at: usize,
    job: &'j Job,
    precise: bool,
    name: String,
}

fn main() -> Result<()> {
    let jobs = parsers::jobs();
    let lines: Vec<Line<'_>> = jobs.iter().enumerate().flat_map(|(at, job)| lines_of(at, job)).collect();
    let start = |precise| -> Result<Vec<Box<dyn Library>>> {
        TARGETS.iter().map(|target| Build { target: *target, precise, only: None, beside: None }.start()).collect()
    };
    let (mut plain, mut precise) = (start(false)?, start(true)?);
    for page in pages::all() {
        println!("\n{}: {} bytes, {} records\n", page.name, page.bytes.len(), page.records);
        let times = measure(&page, &lines, &mut plain, &mut precise)?;
        print(&page, &lines, &times);
    }
    sizes(&lines)
}

fn lines_of(at: usize, job: &Job) -> Vec<Line<'_>> {
    let line = |precise| {
        let digits = if precise || job.keeps_digits { ", digits kept" } else { "" };
        let how = if precise { ", `arbitrary_precision`" } else { "" };
        Line { at, job, precise, name: format!("{}{how}{digits}", job.name) }
    };
    match job.is_serde_json && job.work == Work::Columns {
        true => vec![line(false), line(true)],
        false => vec![line(false)],
    }
}

/// The median time of each line for each target. Rounds go through all, so that what disturbs the machine disturbs all alike.
fn measure(
    page: &Page,
    lines: &[Line<'_>],
    plain: &mut [Box<dyn Library>],
    precise: &mut [Box<dyn Library>],
) -> Result<Vec<[Duration; TARGETS.len()]>> {
    let mut times = vec![[const { Vec::new() }; TARGETS.len()]; lines.len()];
    let mut seen = Vec::new();
    for round in 0..WARM_UP + ROUNDS {
        for (line, times) in lines.iter().zip(&mut times) {
            let libraries = if line.precise { &mut *precise } else { &mut *plain };
            for (library, times) in libraries.iter_mut().zip(times) {
                library.write(&page.bytes)?;
                let start = Instant::now();
                let given = library.run(line.at)?;
                let time = start.elapsed();
                if round == 0 {
                    let given = given.ok_or_else(|| Error::msg(format!("{}, {}: failed", page.name, line.name)))?;
                    let mut part = |part| library.digest(part);
                    let digest = Digest { values: part(0)?, hash: part(1)?, doubles: part(2)? };
                    seen.push((line, given, digest));
                } else if round >= WARM_UP {
                    times.push(time);
                }
            }
        }
    }
    check(page, &seen)?;
    Ok(times.into_iter().map(|times| times.map(median)).collect())
}

/// That all see the same. Doubles that differ in their last bits are told, not refused.
fn check(page: &Page, seen: &[(&Line<'_>, u64, Digest)]) -> Result<()> {
    let digits = seen.iter().find(|(line, ..)| line.job.keeps_digits);
    let expected = digits.map(|(.., digest)| *digest).ok_or_else(|| Error::msg("no job keeps digits"))?;
    let frame = format!("{{\"data\":[],\"total\":{}}}", page.records).len() as u64;
    let mut last_bits = Vec::new();
    for (line, given, digest) in seen {
        let right = match line.job.work {
            Work::Utf8 => *given == page.bytes.len() as u64,
            // All but the frame of the page and the commas.
            Work::Spans => *given == page.bytes.len() as u64 - frame - (page.records - 1),
            Work::Columns => *given == page.records && (digest.values, digest.hash) == (expected.values, expected.hash),
        };
        if !right {
            return Err(Error::msg(format!("{}, {}: sees something else: {given}, {digest:?}", page.name, line.name)));
        }
        if line.job.work == Work::Columns && digest.doubles != expected.doubles && !last_bits.contains(&&line.name) {
            last_bits.push(&line.name);
        }
    }
    println!("{} values; doubles that differ in their last bits: {last_bits:?}\n", expected.values);
    Ok(())
}

fn print(page: &Page, lines: &[Line<'_>], times: &[[Duration; TARGETS.len()]]) {
    println!(
        "| MB/s | native | wasm | of native | wasm, simd128 | of native | wasm, uninterrupted |\n|---|---:|---:|---:|---:|---:|---:|"
    );
    for (line, times) in lines.iter().zip(times) {
        let [native, wasm, simd, uninterrupted] = times.map(|time| page.bytes.len() as f64 / 1e6 / time.as_secs_f64());
        println!(
            "| {} | {native:.0} | {wasm:.0} | {:.2} | {simd:.0} | {:.2} | {uninterrupted:.0} |",
            line.name,
            wasm / native,
            simd / native
        );
    }
}

/// What each line adds to a module that has the columns only, and to one that has serde_json's tree too, as the component has.
fn sizes(lines: &[Line<'_>]) -> Result<()> {
    const NONE: &str = "none";
    const TREE: &str = "serde_json: tree";
    let size = |target, precise, only, beside| -> Result<u64> {
        Ok(fs::metadata(Build { target, precise, only: Some(only), beside: Some(beside) }.file()?)?.len())
    };
    let bases =
        [size(For::Wasm, false, NONE, NONE)?, size(For::Simd, false, NONE, NONE)?, size(For::Wasm, true, TREE, NONE)?];
    println!("\n| bytes that it adds | wasm | wasm, simd128 | wasm, beside serde_json's tree |\n|---|---:|---:|---:|");
    for line in lines.iter().filter(|line| line.job.work != Work::Spans) {
        let name = line.job.name;
        let sizes = [
            size(For::Wasm, line.precise, name, NONE)?,
            size(For::Simd, line.precise, name, NONE)?,
            size(For::Wasm, true, name, TREE)?,
        ];
        let [wasm, simd, beside] = [0, 1, 2].map(|at| {
            let (size, base) = (sizes.get(at).copied().unwrap_or(0), bases.get(at).copied().unwrap_or(0));
            size.saturating_sub(base)
        });
        println!("| {} | {wasm} | {simd} | {beside} |", line.name);
    }
    Ok(())
}
