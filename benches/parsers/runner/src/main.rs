//! Compares the parsers, each natively and in wasm with and without vectors of 128 bits, all in one run: `./justw bench-parsers`.
//!
//! Ends with an error where two parsers see different things.

mod guest;
mod pages;

use guest::{Build, Guest};
use pages::Page;
use parsers::columns::Digest;
use parsers::{Columns, Job, Work};
use std::time::{Duration, Instant};
use wasmtime::{Error, Result};

/// How often each job is measured; some more times go before, unmeasured.
const ROUNDS: usize = 25;
const WARM_UP: usize = 3;

/// All parsers.
const ALL: &str = "default";
/// What each parser is built with alone, to see its size.
const ALONE: [(&str, &str); 8] = [
    ("serde_json: tree and visitor", "serde-json"),
    ("serde_json: tree, visitor and RawValue", "serde-json-raw"),
    ("serde_json with `arbitrary_precision`: tree and visitor", "serde-json,arbitrary-precision"),
    ("serde_json_borrow", "borrowed"),
    ("jiter: its three ways", "jiter"),
    ("hifijson", "hifijson"),
    ("sonic-rs: both ways", "sonic"),
    ("simd-json", "simd-json"),
];

/// Where jobs are run.
enum Place {
    Native { page: Vec<u8>, columns: Columns },
    Wasm(Box<Guest>),
}

impl Place {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Native { page, .. } => {
                page.clear();
                page.extend_from_slice(bytes);
                Ok(())
            }
            Self::Wasm(guest) => guest.write(bytes),
        }
    }

    fn run(&mut self, at: usize, job: &Job) -> Result<(Option<u64>, Duration)> {
        let start = Instant::now();
        let given = match self {
            Self::Native { page, columns } => {
                columns.clear();
                (job.run)(page, columns)
            }
            Self::Wasm(guest) => guest.run(at)?,
        };
        Ok((given, start.elapsed()))
    }

    fn digest(&mut self) -> Result<Digest> {
        match self {
            Self::Native { columns, .. } => Ok(columns.digest()),
            Self::Wasm(guest) => guest.digest(),
        }
    }
}

/// A place, with the marks of the jobs that are run there.
struct Engine {
    place: Place,
    only_serde_json: bool,
}

fn main() -> Result<()> {
    let mut engines = engines()?;
    let jobs = parsers::jobs();
    for page in pages::all() {
        println!("\n{}: {} bytes, {} records", page.name, page.bytes.len(), page.records);
        let times = measure(&page, &jobs, &mut engines)?;
        print(&page, &jobs, &times);
    }
    sizes()
}

/// Natively, in wasm without and with vectors, and both again with serde_json as the program has it.
fn engines() -> Result<Vec<Engine>> {
    let precise = format!("{ALL},arbitrary-precision");
    let engine = guest::engine()?;
    let wasm = |features, simd, only_serde_json| -> Result<Engine> {
        let guest = Guest::new(&engine, &Build { features, simd }.module()?)?;
        Ok(Engine { place: Place::Wasm(guest.into()), only_serde_json })
    };
    let native = Place::Native { page: Vec::new(), columns: Columns::default() };
    Ok(vec![
        Engine { place: native, only_serde_json: false },
        wasm(ALL, false, false)?,
        wasm(ALL, true, false)?,
        wasm(&precise, false, true)?,
        wasm(&precise, true, true)?,
    ])
}

/// The median time of each job in each engine. Rounds go through all, so that what disturbs the machine disturbs all alike.
fn measure(page: &Page, jobs: &[Job], engines: &mut [Engine]) -> Result<Vec<Vec<Option<Duration>>>> {
    let mut times = vec![vec![Vec::new(); engines.len()]; jobs.len()];
    let mut expected: Option<Digest> = None;
    for round in 0..WARM_UP + ROUNDS {
        for (at, (job, times)) in jobs.iter().zip(&mut times).enumerate() {
            for (number, (engine, times)) in engines.iter_mut().zip(times).enumerate() {
                if engine.only_serde_json && !job.is_serde_json {
                    continue;
                }
                engine.place.write(&page.bytes)?;
                let (given, time) = engine.place.run(at, job)?;
                if round == 0 {
                    check(page, job, given, number, engine.place.digest()?, &mut expected)?;
                } else if round >= WARM_UP {
                    times.push(time);
                }
            }
        }
    }
    Ok(times.into_iter().map(|times| times.into_iter().map(median).collect()).collect())
}

fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

/// That all see the same. Doubles that differ in their last bits are told, not refused.
fn check(
    page: &Page,
    job: &Job,
    given: Option<u64>,
    engine: usize,
    digest: Digest,
    expected: &mut Option<Digest>,
) -> Result<()> {
    let wrong = |what: &str| Error::msg(format!("{}, {}, engine {engine}: {what}", page.name, job.name));
    let given = given.ok_or_else(|| wrong("failed"))?;
    match job.work {
        Work::Utf8 => return if given == page.bytes.len() as u64 { Ok(()) } else { Err(wrong("not the whole page")) },
        Work::Spans => {
            // All but the frame of the page and the commas.
            let frame = page.bytes.len() as u64 - given;
            let named = format!("{{\"data\":[],\"total\":{}}}", page.records).len() as u64;
            return if frame == named + page.records - 1 { Ok(()) } else { Err(wrong("other spans")) };
        }
        Work::Columns if given != page.records => return Err(wrong("other records")),
        Work::Columns => {}
    }
    let expected = *expected.get_or_insert(digest);
    if (digest.values, digest.hash) != (expected.values, expected.hash) {
        return Err(wrong("other values"));
    }
    if digest.doubles != expected.doubles {
        println!("  {}: engine {engine} gives doubles that differ from those of the first parser", job.name);
    }
    Ok(())
}

fn print(page: &Page, jobs: &[Job], times: &[Vec<Option<Duration>>]) {
    println!("| MB/s | native | wasm | of native | wasm, simd128 | of native |\n|---|---:|---:|---:|---:|---:|");
    for (job, times) in jobs.iter().zip(times) {
        let [native, plain, simd, precise, precise_simd] =
            [0, 1, 2, 3, 4].map(|engine| times.get(engine).copied().flatten());
        let speed = |time: Option<Duration>| {
            time.map_or("-".to_owned(), |time| format!("{:.0}", page.bytes.len() as f64 / 1e6 / time.as_secs_f64()))
        };
        let ratio = |time: Option<Duration>| match (native, time) {
            (Some(native), Some(time)) => format!("{:.2}", native.as_secs_f64() / time.as_secs_f64()),
            _ => "-".to_owned(),
        };
        let (speeds, ratios) = ([native, plain, simd].map(speed), [plain, simd].map(ratio));
        let [native_speed, plain_speed, simd_speed] = speeds;
        let [plain_ratio, simd_ratio] = ratios;
        let digits = if job.keeps_digits { ", digits kept" } else { "" };
        println!(
            "| {}{digits} | {native_speed} | {plain_speed} | {plain_ratio} | {simd_speed} | {simd_ratio} |",
            job.name
        );
        if precise.is_some() && job.work == Work::Columns {
            println!(
                "| {}, `arbitrary_precision`, digits kept | - | {} | - | {} | - |",
                job.name,
                speed(precise),
                speed(precise_simd)
            );
        }
    }
}

fn sizes() -> Result<()> {
    let size = |features, simd| -> Result<usize> { Ok(Build { features, simd }.module()?.len()) };
    let (base, base_simd) = (size("", false)?, size("", true)?);
    println!("\n| what a parser adds to a module, bytes | wasm | wasm, simd128 |\n|---|---:|---:|");
    for (name, features) in ALONE {
        println!("| {name} | {} | {} |", size(features, false)? - base, size(features, true)? - base_simd);
    }
    Ok(())
}
