//! The smallest host of Spile's component: reads a source, and prints its rows as newline-delimited JSON.
//!
//! `spile-rust spile.wasm source.json NAME=VALUE…` takes values of path variables as arguments, and the value of a secret `api_key`
//! from the environment variable `API_KEY`.

use exports::spile::connector::source::{Encoding, Error, Extent, OpenRequest, Payload, SourceConfig, Step};
use serde_json::{Map, Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{env, fs, io, io::Write, thread};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Result, Store, bail, error::Context};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

// What is exported, from the host's side. The imports are wasmtime's own.
wasmtime::component::bindgen!({
    path: "wit",
    inline: "package example:host; world exports { export spile:connector/source@0.1.0; }",
});

/// Requests in flight at once.
const WINDOW: u32 = 8;
/// The most records of a batch, and about how many bytes.
const BATCH: (u32, u64) = (1000, 1 << 20);

/// What an instance of the component has: clocks, randomness and HTTP, and nothing else.
#[derive(Default)]
struct Granted {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
}

impl WasiView for Granted {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Granted {
    /// Every request passes these hooks: here a host looks at it, signs it, or refuses it. The default ones send it.
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: Default::default() }
    }
}

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let (Some(component), Some(source)) = (arguments.next(), arguments.next()) else {
        bail!("usage: spile-rust spile.wasm source.json NAME=VALUE…");
    };
    let text = fs::read_to_string(&source).with_context(|| format!("failed to read {source}"))?;
    let mut config = serde_json::from_str(&text).with_context(|| format!("{source} is not JSON"))?;
    fill(&mut config)?;
    let params: Map<String, Value> = arguments
        .map(|argument| match argument.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.into())),
            None => bail!("`{argument}` is no NAME=VALUE"),
        })
        .collect::<Result<_>>()?;

    let engine = Engine::default();
    let component = Component::from_file(&engine, &component)?;
    let mut linker = Linker::new(&engine);
    wasmtime_wasi_http::p2::add_to_linker_sync(&mut linker)?;
    let mut store = Store::new(&engine, Granted::default());
    let instance = Exports::instantiate(&mut store, &component, &linker)?;
    let connector = instance.spile_connector_source();
    let reader = connector.reader();

    let request = OpenRequest {
        source: SourceConfig {
            config: config.to_string(),
            params: json!(params).to_string(),
            bindings: "{}".to_owned(),
        },
        resources: Vec::new(),
        // A state and a schema of an earlier batch go here: then the reader goes on after that batch.
        state: None,
        schema: None,
        encoding: Encoding::Ndjson,
        window: WINDOW,
        load_id: UNIX_EPOCH.elapsed()?.as_secs_f64().to_string(),
        extent: Extent { since: None, until: None, full_refresh: false },
    };
    let opened = reader.call_open(&mut store, &request)?.map_err(told)?;
    let mut out = io::stdout().lock();
    loop {
        match reader.call_next(&mut store, opened, BATCH.0, BATCH.1)?.map_err(told)? {
            Step::Batch(batch) => {
                for table in batch.tables {
                    let Payload::Ndjson(rows) = table.payload else { bail!("rows came in another form") };
                    let name = json!(table.table);
                    rows.lines().try_for_each(|row| writeln!(out, "{{\"table\":{name},\"row\":{row}}}"))?;
                }
                // `batch.state` covers exactly the rows so far: keep it with them, in one transaction.
            }
            Step::Wait(wait) => {
                eprintln!("{} waits: {}", wait.resource, wait.reason);
                let until = UNIX_EPOCH + Duration::from_millis(wait.until);
                thread::sleep(until.duration_since(SystemTime::now()).unwrap_or_default());
            }
            Step::Done(summary) => {
                summary.warnings.into_iter().for_each(|warning| eprintln!("{:#}", told(warning)));
                for counts in summary.counts {
                    eprintln!("{}: {} rows in {} requests", counts.resource, counts.rows, counts.requests);
                }
                return Ok(());
            }
        }
    }
}

/// Puts the values of secrets, which are environment variables, in the places of `{"secret": name}` in `auth`.
fn fill(value: &mut Value) -> Result<()> {
    match value {
        Value::Object(fields) if fields.len() == 1 && fields.get("secret").is_some_and(Value::is_string) => {
            let variable = fields["secret"].as_str().unwrap_or_default().to_uppercase();
            *value = env::var(&variable).with_context(|| format!("set the environment variable {variable}"))?.into();
            Ok(())
        }
        Value::Object(fields) => fields.values_mut().try_for_each(fill),
        Value::Array(items) => items.iter_mut().try_for_each(fill),
        _ => Ok(()),
    }
}

/// An error of the component: it says whose move it is (`kind`), where in the source (`pointer`), and what to do.
fn told(error: Error) -> wasmtime::Error {
    let place = error.resource.into_iter().chain(error.pointer).chain(error.url).collect::<Vec<_>>().join(", ");
    let advice = error.advice.map(|advice| format!("\n  {advice}")).unwrap_or_default();
    wasmtime::format_err!("{:?}: {} ({place}){advice}", error.kind, error.message)
}
