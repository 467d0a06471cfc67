//! The comparison.

use crate::{
    case::{Case, Run, Side},
    engines::{self, Dlt, Outcome},
    tables::{Tables, said},
};
use mock_api::scripted::Asked;
use spile_host::destination::{self, Access, Resources, Target};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::Path,
};

/// Requests in flight where the program is not told otherwise.
const DEFAULT_WINDOW: u32 = 8;

/// Runs a case through both, and says what is not as it should be.
pub fn both_ways(case: &Case, dlt: &mut Dlt) -> Result<(), String> {
    let by_dlt = dlt.run(case);
    let by_spile = engines::spile(case, 1);
    let wide = engines::spile(case, DEFAULT_WINDOW);
    let mut differ = false;
    for (number, (((run, by_dlt), by_spile), wide)) in
        case.runs.iter().zip(&by_dlt).zip(&by_spile).zip(&wide).enumerate()
    {
        let done = one_run(run, by_dlt, by_spile, wide);
        differ |= done.map_err(|why| format!("in run {} of {}: {why}", number + 1, case.runs.len()))?;
    }
    match (differ, &case.why) {
        (true, None) => Err("the two differ, and nothing says why".to_owned()),
        (false, Some(_)) => Err("both do the same: the difference is none".to_owned()),
        _ => Ok(()),
    }
}

/// Runs a case into each database, and says where one has other tables than DuckDB. The schemas of the server's database go.
pub fn databases(case: &Case, postgres: &Target) -> Result<(), String> {
    let into =
        |target: &dyn Fn(&Path) -> Target| engines::spile_into(case, DEFAULT_WINDOW, target, Tables::read_in_one_form);
    let mut session = destination::open(postgres, Access::Write, &Resources::default()).unwrap();
    for schema in ["data", "data_staging"] {
        session.run(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE"), &[]).unwrap();
    }
    let duckdb = into(&|folder| Target::DuckDb { path: folder.join("spile.duckdb") });
    let others = [
        ("PostgreSQL", into(&|_| postgres.clone())),
        ("SQLite", into(&|folder| Target::Sqlite { path: folder.join("spile.sqlite") })),
    ];
    for (name, outcomes) in others {
        for (number, (one, other)) in duckdb.iter().zip(&outcomes).enumerate() {
            let same = match (&one.tables, &other.tables) {
                (Ok(one), Ok(other)) => same_tables(one, other, ("DuckDB", name)),
                (Err(_), Err(_)) => Ok(()),
                (Ok(_), Err(why)) => Err(format!("{name} fails: {why}")),
                (Err(why), Ok(_)) => Err(format!("only DuckDB fails: {why}")),
            };
            same.map_err(|why| format!("in run {} of {}: {why}", number + 1, case.runs.len()))?;
        }
    }
    Ok(())
}

/// Compares one run, and says whether the two differ, as the case says.
fn one_run(run: &Run, dlt: &Outcome, spile: &Outcome, wide: &Outcome) -> Result<bool, String> {
    let (differ, extra) = match &run.said {
        None => (same(dlt, spile).map(|()| false)?, 0),
        Some((dlt_said, spile_said)) => {
            let of_dlt = as_said(dlt, dlt_said, spile).map_err(|why| format!("dlt: {why}"))?;
            let of_spile = as_said(spile, spile_said, dlt).map_err(|why| format!("spile: {why}"))?;
            (of_dlt != of_spile, spile_said.extra)
        }
    };
    at_most_one_more_in_each_chain(&spile.requests, &wide.requests, extra)?;
    match (&spile.tables, &wide.tables) {
        (Ok(narrow), Ok(wide)) => same_tables(narrow, wide, ("one at a time", "several at once"))?,
        (Err(_), Err(_)) => {}
        (Ok(_), Err(why)) | (Err(why), Ok(_)) => return Err(format!("fails with one window only: {why}")),
    }
    Ok(differ)
}

/// What a run did: requests; rows and columns by table, if it did not fail.
type Seen = (Vec<String>, Option<(Rows, Columns)>);
type Rows = BTreeMap<String, Vec<BTreeMap<String, String>>>;
type Columns = BTreeMap<String, Vec<String>>;

fn same(dlt: &Outcome, spile: &Outcome) -> Result<(), String> {
    let why = |why| format!("{why}\ndlt: {}\nspile: {}", failure(&dlt.tables), failure(&spile.tables));
    same_requests(&texts(&dlt.requests), &texts(&spile.requests), ("dlt", "spile")).map_err(why)?;
    match (&dlt.tables, &spile.tables) {
        (Ok(dlt), Ok(spile)) if dlt.0.is_empty() && spile.0.is_empty() => Err("neither made a table".to_owned()),
        (Ok(dlt), Ok(spile)) => same_tables(dlt, spile, ("dlt", "spile")),
        (dlt, spile) => Err(format!("dlt: {}\nspile: {}", failure(dlt), failure(spile))),
    }
}

fn failure(tables: &Result<Tables, String>) -> &str {
    tables.as_ref().err().map_or("does not fail", String::as_str)
}

/// Checks what a case says of one side. What it leaves out must be as on the other side.
fn as_said(outcome: &Outcome, side: &Side, other: &Outcome) -> Result<Seen, String> {
    let requests = texts(&outcome.requests);
    let mut wanted = side.requests.clone().unwrap_or_else(|| texts(&other.requests));
    wanted.sort();
    let why = |why| format!("{why}\n{}", failure(&outcome.tables));
    same_requests(&wanted, &requests, ("said", "made")).map_err(why)?;
    let tables = match (&side.fails, &outcome.tables) {
        (Some(text), Err(error)) if error.contains(text) => return Ok((requests, None)),
        (Some(_), Err(error)) => return Err(format!("fails otherwise: {error}")),
        (Some(_), Ok(_)) => return Err("does not fail".to_owned()),
        (None, Err(error)) => return Err(format!("fails: {error}")),
        (None, Ok(tables)) => tables,
    };
    let (rows, columns) = (tables.plain(), tables.columns());
    match (&side.rows, &other.tables) {
        (Some(wanted), _) if said(wanted) != rows => return Err(format!("has other rows than said: {rows:#?}")),
        (None, Err(_)) => return Err(format!("the other fails, so the case must say the rows: {rows:#?}")),
        (None, Ok(other)) if other.plain() != rows => return Err(format!("has other rows than the other: {rows:#?}")),
        _ => {}
    }
    for (name, columns) in &columns {
        let said = side.columns.as_ref().and_then(|said| said.get(name));
        let of_other = other.tables.as_ref().ok().and_then(|other| other.0.get(name)).map(|table| &table.columns);
        if said.or(of_other).is_some_and(|wanted| wanted != columns) {
            return Err(format!("{name} has other columns: {columns:#?}"));
        }
    }
    Ok((requests, Some((rows, columns))))
}

/// What a run did, as a case writes it.
pub fn shown(outcome: &Outcome) -> String {
    let (mut text, list) = (String::new(), |lines: Vec<String>| lines.join("\n  - "));
    writeln!(text, "requests:\n  - {}", list(texts(&outcome.requests))).unwrap();
    match &outcome.tables {
        Err(error) => writeln!(text, "fails: {error}").unwrap(),
        Ok(tables) => {
            for (name, rows) in tables.plain() {
                let rows = rows.iter().map(|row| serde_json::to_string(row).unwrap()).collect();
                writeln!(text, "{name}: {}\n  - {}", tables.0[&name].columns.join(", "), list(rows)).unwrap();
            }
        }
    }
    text
}

fn texts(requests: &[Asked]) -> Vec<String> {
    let mut texts: Vec<_> = requests.iter().map(Asked::to_string).collect();
    texts.sort();
    texts
}

/// Both are sorted.
fn same_requests(left: &[String], right: &[String], names: (&str, &str)) -> Result<(), String> {
    if left == right {
        return Ok(());
    }
    let mut text = String::from("requests differ:\n");
    for request in left.iter().chain(right).collect::<BTreeSet<_>>() {
        let count = |list: &[String]| list.iter().filter(|other| *other == request).count();
        let counts = (count(left), count(right));
        let mark = if counts.0 == counts.1 { ' ' } else { '!' };
        writeln!(text, "{mark} {} {}, {} {}: {request}", counts.0, names.0, counts.1, names.1).unwrap();
    }
    Err(text)
}

fn same_tables(left: &Tables, right: &Tables, names: (&str, &str)) -> Result<(), String> {
    if left == right {
        return Ok(());
    }
    for name in left.0.keys().chain(right.0.keys()) {
        let (left, right) = (left.0.get(name), right.0.get(name));
        if left != right {
            return Err(format!("table {name} differs\n{}: {left:#?}\n{}: {right:#?}", names.0, names.1));
        }
    }
    Ok(())
}

/// With several requests in flight, the page after the last one of a chain may be asked for before that is known.
fn at_most_one_more_in_each_chain(narrow: &[Asked], wide: &[Asked], extra: usize) -> Result<(), String> {
    let mut missing = texts(narrow);
    let mut more: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for request in wide {
        let text = request.to_string();
        match missing.iter().position(|other| *other == text) {
            Some(at) => drop(missing.swap_remove(at)),
            None => more.entry(request.chain()).or_default().push(text),
        }
    }
    let worst = more.values().map(Vec::len).max().unwrap_or(0);
    if missing.is_empty() && worst <= extra.max(1) {
        return Ok(());
    }
    Err(format!("several at once: not asked for: {missing:#?}; asked for beyond the others: {more:#?}"))
}
