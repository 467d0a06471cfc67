//! What is told: a table for each workload, the verdict, and a file with all of it.

use crate::measure::{Measured, Part, Results};
use crate::targets::{Bound, TARGETS, Value};
use crate::tool::Tool;
use serde_json::{Value as Json, json};
use std::path::Path;
use std::{env, fs};

/// A column: its title, the number, what to multiply it with, digits, and whether it is compared with Spile's.
type Column = (&'static str, Part, f64, usize, bool);

const COLUMNS: [Column; 8] = [
    ("wall, s", Part::Wall, 1.0, 2, true),
    ("CPU, s", Part::Cpu, 1.0, 2, true),
    ("memory, MB", Part::Peak, 1e-6, 0, true),
    ("rows/s", Part::Rows, 1.0, 0, false),
    ("records/s", Part::Records, 1.0, 0, false),
    ("requests", Part::Requests, 1.0, 0, false),
    ("to the first request, ms", Part::First, 1e3, 1, false),
    ("requests × latency / window, s", Part::Ideal, 1.0, 2, false),
];

/// A table: medians, and in brackets how many times that of Spile it is.
pub fn workload(title: &str, description: &str, results: &Results) {
    println!("\n{title}: {description}\n");
    let rows: Vec<_> = results.iter().filter(|((of, ..), _)| *of == title).collect();
    let mut columns = COLUMNS.to_vec();
    columns.retain(|(_, part, ..)| rows.iter().any(|(_, measured)| measured.median(*part).is_some()));
    let titles: Vec<_> = columns.iter().map(|(title, ..)| *title).collect();
    println!("| into | by | {} |", titles.join(" | "));
    println!("|---|---|{}", "---:|".repeat(titles.len()));
    for ((of, destination, tool), measured) in rows {
        let of_spile = results.get(&(*of, *destination, Tool::Spile)).filter(|_| *tool != Tool::Spile);
        let cell = |(_, part, times, digits, is_compared): &Column| {
            let Some(own) = measured.median(*part) else { return String::new() };
            let of_spile = of_spile.and_then(|of_spile| of_spile.median(*part)).filter(|_| *is_compared);
            let ratio = of_spile.map(|of_spile| format!(" ({:.1})", own / of_spile)).unwrap_or_default();
            format!("{:.digits$}{ratio}", own * times)
        };
        println!("| {destination} | {tool} | {} |", columns.iter().map(cell).collect::<Vec<_>>().join(" | "));
    }
}

/// A row for each target.
pub fn verdict(results: &Results, is_smoke: bool) {
    println!(
        "\nverdict:{}\n",
        if is_smoke { " a hundredth of the records and one round, so no time means anything" } else { "" }
    );
    println!("| what | against | wanted | measured | verdict |\n|---|---|---:|---:|---|");
    for target in &TARGETS {
        let value = target.value.of(results);
        let shown = value.map(|value| format!("{value:.2}")).unwrap_or_default();
        let verdict = judge(target.bound, value, is_smoke);
        println!(
            "| {} | {} | {} | {shown} | {verdict} |",
            target.what,
            target.against,
            wanted(target.bound, &target.value)
        );
    }
}

fn wanted(bound: Bound, value: &Value) -> String {
    let unit = if let Value::Milliseconds(_) = value { " ms" } else { "" };
    match bound {
        Bound::AtLeast(least) => format!("at least {least}{unit}"),
        Bound::AtMost(most) => format!("at most {most}{unit}"),
    }
}

fn judge(bound: Bound, value: Option<f64>, is_smoke: bool) -> &'static str {
    match value {
        None => "not measured",
        Some(_) if is_smoke => "not meaningful",
        Some(value) if bound.holds(value) => "holds",
        Some(_) => "does not hold",
    }
}

/// Writes all that was measured to a file.
pub fn store(file: &Path, results: &Results, is_smoke: bool) {
    let targets = TARGETS.iter().map(|target| {
        let value = target.value.of(results);
        json!({
            "what": target.what,
            "against": target.against,
            "wanted": wanted(target.bound, &target.value),
            "measured": value,
            "verdict": judge(target.bound, value, is_smoke),
        })
    });
    let measured = results.iter().map(|((workload, destination, tool), measured)| {
        let of_spile = results.get(&(*workload, *destination, Tool::Spile));
        json!({
            "workload": workload,
            "into": destination.to_string(),
            "by": tool.to_string(),
            "rows": measured.rows,
            "records": measured.records,
            "medians": numbers(|part| measured.median(part)),
            "times_of_spile": numbers(|part| Some(measured.median(part)? / of_spile?.median(part)?)),
            "runs": runs(measured),
        })
    });
    let machine = json!({"os": env::consts::OS, "arch": env::consts::ARCH, "processors": processors()});
    let all = json!({
        "smoke": is_smoke,
        "machine": machine,
        "measured": measured.collect::<Vec<_>>(),
        "targets": targets.collect::<Vec<_>>(),
    });
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).unwrap();
    }
    fs::write(file, format!("{all:#}\n")).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    eprintln!("all figures are in {}", file.display());
}

fn processors() -> usize {
    std::thread::available_parallelism().map(usize::from).unwrap_or_default()
}

fn runs(measured: &Measured) -> Vec<Json> {
    measured.runs.iter().map(|run| numbers(|part| measured.of(run, part))).collect()
}

/// By names that say the unit.
fn numbers(of: impl Fn(Part) -> Option<f64>) -> Json {
    const NAMES: [(&str, Part); 8] = [
        ("wall_s", Part::Wall),
        ("cpu_s", Part::Cpu),
        ("peak_bytes", Part::Peak),
        ("rows_per_s", Part::Rows),
        ("records_per_s", Part::Records),
        ("requests", Part::Requests),
        ("first_request_s", Part::First),
        ("requests_latency_window_s", Part::Ideal),
    ];
    let numbers = NAMES.iter().filter_map(|(name, part)| Some(((*name).to_owned(), json!(of(*part)?))));
    Json::Object(numbers.collect())
}
