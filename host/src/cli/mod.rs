//! The `spile` program: arguments in, tables and errors out.

mod args;
pub mod diagnostic;
mod progress;
mod records;
mod report;

use crate::gate::{Secrets, Tape};
use crate::pipeline::{self, Pipeline};
use crate::run::{Options, Prepared};
use crate::sandbox::{CodeCache, Connector, Host, HostOptions, Limits};
use crate::{COMPONENT, Class, Error, Result, import};
use args::{Cli, Command, Form, SourceArgs, TapeArgs};
use clap::Parser;
use progress::Progress;
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

/// Runs the program. The exit code says whose move it is: see [`Class`].
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            diagnostic::print(&Error::new(Class::Internal, format!("failed to start: {error}")));
            return ExitCode::from(Class::Internal.exit_code());
        }
    };
    match runtime.block_on(command(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            diagnostic::print(&error);
            ExitCode::from(error.class.exit_code())
        }
    }
}

async fn command(command: Command) -> Result<()> {
    match command {
        Command::Run(args) => run(args).await,
        Command::Check(args) => {
            let (pipeline, secrets) = read(&args.source)?;
            let connector = connector(&args.source)?;
            let mut prepared = prepare(&pipeline, &connector).await?;
            use_tape(&mut prepared, &args.tape)?;
            prepared.check(&secrets).await?;
            let resources = prepared.description.resources.len();
            let origins = prepared.description.origins.join(", ");
            print(&format!("{}: {resources} resources are in order; {origins} answers\n", pipeline.document.name))
        }
        Command::Describe(args) => {
            let (pipeline, _) = read(&args.source)?;
            let connector = connector(&args.source)?;
            let prepared = prepare(&pipeline, &connector).await?;
            print(&match args.json {
                true => report::description_json(&prepared),
                false => report::description(&prepared),
            })
        }
        Command::Preview(args) => {
            let (pipeline, secrets) = read(&args.source)?;
            let connector = connector(&args.source)?;
            let mut prepared = prepare(&pipeline, &connector).await?;
            use_tape(&mut prepared, &args.tape)?;
            let rows = prepared.preview(&secrets, &args.resource, args.rows).await?;
            print(&report::rows(&rows)?)
        }
        Command::Import(args) => {
            let imported = import::read(&args.file, args.source.as_deref())?;
            diagnostic::warn_in_file(&imported.warnings);
            match &args.output {
                None => print(&imported.yaml),
                Some(path) => std::fs::write(path, &imported.yaml)
                    .map_err(|error| Error::new(Class::Config, format!("failed to write {}: {error}", path.display()))),
            }
        }
        Command::State(state) => records::state(state),
        Command::Runs(runs) => records::runs(&runs),
        Command::Schema(args::Schema::Config) => print(&format!("{:#}\n", pipeline::schema())),
        Command::Schema(args::Schema::Tables { at, format }) => records::tables(&at, format),
    }
}

async fn run(args: args::Run) -> Result<()> {
    let started = Instant::now();
    let (mut pipeline, secrets) = read(&args.source)?;
    pipeline.destination = args.to.unwrap_or(pipeline.destination);
    pipeline.dataset = args.dataset.unwrap_or(pipeline.dataset);
    let connector = connector(&args.source)?;
    let mut prepared = prepare(&pipeline, &connector).await?;
    use_tape(&mut prepared, &args.tape)?;
    let options = Options {
        resources: args.resources,
        window: args.window,
        memory_limit: args.memory_limit,
        since: args.since,
        until: args.until,
        full_refresh: args.full_refresh,
        strict: args.strict || pipeline.strict,
        commit_rows: args.commit_rows,
    };
    let mut progress = Progress::new();
    let outcome = prepared.run(&secrets, &options, &mut |event| progress.tell(&event), interrupted()).await;
    progress.end();
    let report = outcome?;
    diagnostic::warn(&report.warnings, &pipeline);
    print(&match args.summary {
        Form::Json => report::run_json(&report),
        Form::Table => report::run(&report, &pipeline, started.elapsed()),
    })
}

/// Has the pipeline described, and prints the warnings. They are the first to be read where something is wrong as well.
async fn prepare<'a>(pipeline: &'a Pipeline, connector: &'a Connector) -> Result<Prepared<'a>> {
    let prepared = Prepared::new(pipeline, connector, Limits::default()).await;
    match &prepared {
        Ok(prepared) => diagnostic::warn(&prepared.description.warnings, pipeline),
        Err(_) => diagnostic::warn(&pipeline.warnings(), pipeline),
    }
    prepared
}

fn use_tape(prepared: &mut Prepared<'_>, args: &TapeArgs) -> Result<()> {
    match (&args.record, &args.replay) {
        (Some(path), _) => prepared.use_tape(Tape::record(path)?),
        (None, Some(path)) => prepared.use_tape(Tape::replay(path)?),
        (None, None) => {}
    }
    Ok(())
}

/// Reads the file, and puts what the flags say over what it says.
fn read(args: &SourceArgs) -> Result<(Pipeline, Secrets)> {
    let mut pipeline = Pipeline::read(&args.file)?;
    pipeline.params.extend(args.params.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))));
    pipeline.bindings.extend(args.bindings.iter().cloned());
    pipeline.allow_private.extend(args.allow_private.iter().cloned());
    if let Some(url) = &args.base_url
        && let Some(client) = pipeline.source.get_mut("client").and_then(Value::as_object_mut)
    {
        client.insert("base_url".to_owned(), Value::String(url.clone()));
    }
    let mut secrets = Secrets::default();
    for (slot, place) in &pipeline.secrets {
        secrets.give(slot, place)?;
    }
    for flag in &args.secrets {
        secrets.take_flag(flag)?;
    }
    for file in args.secrets_file.iter().chain(&pipeline.secrets_file) {
        secrets.give_file(file);
    }
    secrets.look_as_dlt(&pipeline.name, &[Path::new(""), &pipeline.folder]);
    Ok((pipeline, secrets))
}

fn connector(args: &SourceArgs) -> Result<Connector> {
    let host = Host::new(HostOptions { code_cache: CodeCache::of_user(), memory_images: false })?;
    match &args.component {
        None => host.load(COMPONENT),
        Some(path) => {
            let wasm = std::fs::read(path)
                .map_err(|error| Error::new(Class::Config, format!("failed to read {}: {error}", path.display())))?;
            host.load(&wasm)
        }
    }
}

/// Ready when a person presses Ctrl-C, or the machine asks the program to end.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let ctrl_c = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = ctrl_c => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = ctrl_c.await;
        }
    }
}

/// Prints to standard output. That its reader has gone (`spile describe … | head`) is no failure.
fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new(Class::Internal, format!("failed to print: {error}")))
        }
        _ => Ok(()),
    }
}
