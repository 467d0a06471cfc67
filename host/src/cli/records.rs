//! What a destination keeps of a pipeline: `spile state`, `spile runs`, `spile schema tables`. No request is made, and no secret is needed.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{
    args::{At, Runs, State, TablesForm},
    print, report,
};
use crate::{
    Class, Error, Result,
    destination::{Access, DataType, Target},
    load::{Exported, Ledger, TableRecord},
    pipeline::Pipeline,
};

pub fn state(state: State) -> Result<()> {
    match state {
        State::Show { at, json: as_json } => {
            let place = Place::of(&at)?;
            let saved = place.ledger(Access::Read)?.saved()?.ok_or_else(|| place.never())?;
            let optional = |text: &Option<String>| text.as_deref().map(parsed);
            let shown = json!({
                "pipeline": place.pipeline,
                "run": saved.run,
                "open": saved.is_open,
                "load_id": saved.load_id,
                "staged_rows": saved.staged.iter().map(|(table, rows)| (table.clone(), json!(rows))).collect::<serde_json::Map<_, _>>(),
                "state": optional(&saved.state),
                "staged_state": optional(&saved.staged_state),
            });
            if as_json {
                return print(&format!("{shown:#}\n"));
            }
            let load = saved.load_id.as_deref().unwrap_or("none");
            let condition = match (saved.is_open, saved.staged.iter().map(|(_, rows)| rows).sum::<u64>()) {
                (false, _) => format!("its load {load} is published"),
                (true, 0) => format!("its load {load} is open, without rows so far"),
                (true, rows) => {
                    format!("its load {load} is open: {rows} rows wait, and the next run goes on from them")
                }
            };
            let mut text = format!("pipeline {}, run {}: {condition}\n", place.pipeline, saved.run);
            for (title, state) in [("state", &saved.state), ("state with the rows that wait", &saved.staged_state)] {
                if let Some(state) = state {
                    text.push_str(&format!("\n{title}:\n{:#}\n", parsed(state)));
                }
            }
            print(&text)
        }
        State::Reset { at } => {
            let place = Place::of(&at)?;
            let mut ledger = place.ledger(Access::Write)?;
            ledger.saved()?.ok_or_else(|| place.never())?;
            ledger.reset()?;
            print(&format!("the next run of {} begins at the beginning; its tables are as they were\n", place.pipeline))
        }
        State::Export { at, output } => {
            let place = Place::of(&at)?;
            let exported = place.ledger(Access::Read)?.export()?.ok_or_else(|| place.never())?;
            let text = format!("{:#}\n", json!(exported));
            match output {
                None => print(&text),
                Some(path) => fs::write(&path, text)
                    .map_err(|error| Error::new(Class::Config, format!("failed to write {}: {error}", path.display()))),
            }
        }
        State::Import { at, state } => {
            let place = Place::of(&at)?;
            let exported = read(&state)?;
            if exported.pipeline != place.pipeline {
                return Err(Error::new(
                    Class::Config,
                    format!("the state is of another pipeline, `{}`", exported.pipeline),
                )
                .fact("file", state.display())
                .fact("pipeline", &place.pipeline)
                .advice("if that is what you want, write this pipeline's name into the file"));
            }
            place.ledger(Access::Write)?.import(&exported)?;
            print(&format!("the next run of {} goes on from the state in {}\n", place.pipeline, state.display()))
        }
    }
}

pub fn runs(args: &Runs) -> Result<()> {
    let place = Place::of(&args.at)?;
    let mut ledger = place.ledger(Access::Read)?;
    let saved = ledger.saved()?.ok_or_else(|| place.never())?;
    let mut runs = ledger.runs()?;
    runs.truncate(args.last);
    if args.json {
        let list = runs.iter().map(|run| {
            json!({
                "run": run.run,
                "load_id": run.load_id,
                "began_at": run.began_at,
                "published_at": run.published_at,
                "inserted_rows": run.inserted_rows,
                "tables": parsed(&run.tables),
            })
        });
        return print(&format!("{:#}\n", Value::Array(list.collect())));
    }
    let mut table = report::table(&["run", "load", "began", "published", "rows"], 1);
    for run in &runs {
        table.add_row(vec![
            run.run.to_string(),
            run.load_id.clone(),
            run.began_at.clone(),
            run.published_at.clone(),
            run.inserted_rows.to_string(),
        ]);
    }
    let last = runs.first().map_or(0, |run| run.run);
    let note = match (saved.run > last, saved.is_open) {
        (false, _) => String::new(),
        (true, true) => format!("\nrun {} has not published: the next run goes on from what it staged\n", saved.run),
        (true, false) => format!("\nafter run {last} the state was changed by hand\n"),
    };
    print(&format!("{table}\n{note}"))
}

pub fn tables(at: &At, form: TablesForm) -> Result<()> {
    let place = Place::of(at)?;
    let mut ledger = place.ledger(Access::Read)?;
    ledger.saved()?.ok_or_else(|| place.never())?;
    let tables = ledger.tables()?;
    print(&match form {
        TablesForm::Table => as_table(&tables),
        TablesForm::Json => format!("{:#}\n", Value::Array(tables.iter().map(as_json).collect())),
        TablesForm::Sql => tables.iter().map(|table| table.create.as_str()).collect::<Vec<_>>().join("\n"),
        TablesForm::Mermaid => as_mermaid(&tables),
    })
}

/// A pipeline and where its rows are.
struct Place {
    pipeline: String,
    dataset: String,
    target: Target,
}

impl Place {
    fn of(at: &At) -> Result<Self> {
        let pipeline = Pipeline::read(&at.file)?;
        let target = Target::parse(at.to.as_deref().unwrap_or(&pipeline.destination))?;
        let dataset = at.dataset.clone().unwrap_or(pipeline.dataset);
        Ok(Self { pipeline: pipeline.name, dataset, target })
    }

    fn ledger(&self, access: Access) -> Result<Ledger> {
        Ledger::open(&self.target, access, &self.dataset, &self.pipeline)
    }

    fn never(&self) -> Error {
        Error::new(Class::Config, "the pipeline has never run into this dataset")
            .fact("pipeline", &self.pipeline)
            .fact("destination", &self.target)
            .fact("dataset", &self.dataset)
            .advice("run it first, or say where with --to and --dataset")
    }
}

fn read(path: &Path) -> Result<Exported> {
    let wrong = |reason: &dyn std::fmt::Display| {
        Error::new(Class::Config, "the file holds no state of a pipeline")
            .fact("file", path.display())
            .fact("reason", reason)
    };
    let text = fs::read_to_string(path).map_err(|error| wrong(&error))?;
    let exported: Exported = serde_json::from_str(&text)
        .map_err(|error| wrong(&error).advice("take a file that `spile state export` has written"))?;
    if exported.version != 1 {
        return Err(wrong(&format!("its version is {}, and this program reads version 1", exported.version)));
    }
    Ok(exported)
}

/// JSON as it is, or as a text where it is none.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// The contract's name of a type; the database's own, where the contract has none.
fn type_name(data_type: Option<DataType>, declared: &str) -> String {
    match data_type {
        Some(DataType::Text) => "text".to_owned(),
        Some(DataType::Bigint) => "bigint".to_owned(),
        Some(DataType::Double) => "double".to_owned(),
        Some(DataType::Boolean) => "bool".to_owned(),
        Some(DataType::Timestamp) => "timestamp".to_owned(),
        Some(DataType::LocalTimestamp) => "timestamp without zone".to_owned(),
        Some(DataType::Date) => "date".to_owned(),
        Some(DataType::Time) => "time".to_owned(),
        Some(DataType::Binary) => "binary".to_owned(),
        Some(DataType::Decimal(precision, scale)) => format!("decimal({precision}, {scale})"),
        Some(DataType::Json) => "json".to_owned(),
        None => declared.to_owned(),
    }
}

fn as_table(tables: &[TableRecord]) -> String {
    let mut listed = report::table(&["table", "column", "type", "null"], 4);
    for table in tables {
        for (nth, (name, declared, data_type, nullable)) in table.columns.iter().enumerate() {
            let first = if nth == 0 { table.table.as_str() } else { "" };
            let null = if *nullable { "" } else { "not null" };
            listed.add_row(vec![first, name, &type_name(*data_type, declared), null]);
        }
    }
    format!("{listed}\n")
}

fn as_json(table: &TableRecord) -> Value {
    let columns = table.columns.iter().map(|(name, declared, data_type, nullable)| {
        json!({"name": name, "type": type_name(*data_type, declared), "nullable": nullable})
    });
    json!({
        "table": table.table,
        "resource": table.resource,
        "parent": table.parent,
        "columns": columns.collect::<Vec<_>>(),
    })
}

/// <https://mermaid.js.org/syntax/entityRelationshipDiagram.html>: names of entities may be quoted, those of types and attributes
/// are one word.
fn as_mermaid(tables: &[TableRecord]) -> String {
    let entity = |name: &str| format!("\"{}\"", name.replace('"', "'"));
    let word = |text: &str| {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
        let word = text.chars().map(plain).collect::<String>();
        if word.starts_with(|c: char| c.is_ascii_digit()) { format!("_{word}") } else { word }
    };
    let mut text = String::from("erDiagram\n");
    for table in tables {
        text.push_str(&format!("    {} {{\n", entity(&table.table)));
        for (name, declared, data_type, _) in &table.columns {
            let key = match name.as_str() {
                "_dlt_id" => " PK",
                "_dlt_parent_id" => " FK",
                _ => "",
            };
            text.push_str(&format!("        {} {}{key}\n", word(&type_name(*data_type, declared)), word(name)));
        }
        text.push_str("    }\n");
    }
    for table in tables {
        if let Some(parent) = &table.parent {
            text.push_str(&format!("    {} ||--o{{ {} : _dlt_parent_id\n", entity(parent), entity(&table.table)));
        }
    }
    text
}
