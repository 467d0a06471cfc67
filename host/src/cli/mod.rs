//! The `spile` program: arguments in, tables and errors out.

mod args;
pub mod diagnostic;
mod new;
mod plan;
mod progress;
mod records;
mod report;

use crate::component::{Artifact, Place, Registry, Store};
use crate::destination::{self, Target};
use crate::gate::{self, Secrets, Tape};
use crate::limits::{Limit, Limits};
use crate::pipeline::{self, Pipeline};
use crate::policy::{Approvals, Approved, PolicyFile};
use crate::run::{self, Event, Options, Run};
use crate::sandbox::{CodeCache, Host, HostOptions};
use crate::tenant::Tenant;
use crate::verify::Verification;
use crate::{Class, Error, Result, folders, import};
use args::{Beside, Cli, Command, Form, SourceArgs, TapeArgs};
use clap::Parser;
use progress::Progress;
use serde_json::Value;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
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
            let (mut run, secrets) = prepare(&args.source, |_| {}, HostOptions::default()).await?;
            approved(&args.source.file, &run, false)?;
            use_tape(&mut run, &args.tape)?;
            run.check(&secrets).await?;
            let resources = run.description.resources.len();
            let origins = run.description.origins.join(", ");
            print(&format!("{}: {resources} resources are in order; {origins} answers\n", run.pipeline().document.name))
        }
        Command::Describe(args) => {
            let (run, _) = prepare(&args.source, |_| {}, HostOptions::default()).await?;
            print(&match args.json {
                true => report::description_json(&run),
                false => report::description(&run),
            })
        }
        Command::Plan(args) => {
            let (run, _) = prepare(&args.source, |_| {}, HostOptions::default()).await?;
            let approvals = Approvals::of_user();
            let file = &args.source.file;
            if args.approve {
                let nowhere = || Error::new(Class::Config, "there is no place to keep what is approved");
                approvals.as_ref().ok_or_else(nowhere)?.approve(file, &run.grant)?;
            }
            let approved = approvals.map_or(Ok(Approved::First), |approvals| approvals.look(file, &run.grant))?;
            print(&match args.json {
                true => plan::json(&run, &approved),
                false => plan::text(&run, &approved),
            })
        }
        Command::Preview(args) => {
            let (mut run, secrets) = prepare(&args.source, |_| {}, HostOptions::default()).await?;
            approved(&args.source.file, &run, false)?;
            use_tape(&mut run, &args.tape)?;
            let rows = run.preview(&secrets, &args.resource, args.rows).await?;
            print(&report::rows(&rows)?)
        }
        Command::New(args) => print(&new::write(&args)?),
        Command::Verify(args) => verify(args).await,
        Command::Push(args) => push(&args).await,
        Command::Pull(args) => pull(&args).await,
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
        Command::Limits { json } => print(&plan::limits(&Limits::default(), json)),
        Command::Schema(args::Schema::Config) => print(&format!("{:#}\n", pipeline::schema())),
        Command::Schema(args::Schema::Tables { at, format }) => records::tables(&at, format),
    }
}

async fn run(args: args::Run) -> Result<()> {
    let started = Instant::now();
    let at_destination = |pipeline: &mut Pipeline| {
        if let Some(to) = &args.to {
            pipeline.destination.clone_from(to);
        }
        if let Some(dataset) = &args.dataset {
            pipeline.dataset.clone_from(dataset);
        }
        // What is wrong with it is said where it is opened.
        let _ = Target::parse(&pipeline.destination).inspect(destination::load_driver_early);
    };
    let (count_instructions, memory_images) = (args.bill.is_some(), args.memory_image.is_some());
    let options = HostOptions { count_instructions, memory_images, ..HostOptions::default() };
    let (mut run, secrets) = prepare(&args.source, at_destination, options).await?;
    approved(&args.source.file, &run, args.approve)?;
    use_tape(&mut run, &args.tape)?;
    let options = Options {
        resources: args.resources,
        window: args.window,
        memory_limit: args.memory_limit,
        since: args.since,
        until: args.until,
        full_refresh: args.full_refresh,
        strict: args.strict || run.pipeline().strict,
        commit_rows: args.commit_rows,
        keep_answers: answers(args.forget_answers),
        park_after: None,
        memory_image: args.memory_image,
    };
    let (mut progress, mut bill) = (Progress::new(), None);
    let mut tell = |event: Event<'_>| match event {
        Event::Bill(took) => bill = Some(*took),
        event => progress.tell(&event),
    };
    let outcome = run.load(&secrets, &options, &mut tell, interrupted()).await;
    progress.end();
    // A run that failed has its price too.
    let bill = args.bill.zip(bill).map_or_else(String::new, |(form, bill)| report::bill(&bill, form));
    let report = match outcome {
        Ok(report) => report,
        Err(error) => {
            print(&bill)?;
            return Err(error);
        }
    };
    diagnostic::warn(&report.warnings, run.pipeline());
    let summary = match args.summary {
        Form::Json => report::run_json(&report),
        Form::Table => report::run(&report, run.pipeline(), started.elapsed()),
    };
    print(&(summary + &bill))
}

/// Where answers are kept, if they are to be.
fn answers(forget: bool) -> Option<PathBuf> {
    let folder = folders::cache()?.join("answers");
    if forget {
        run::forget_answers(&folder);
        return None;
    }
    Some(folder)
}

/// Reads the file, has it described, and prints the warnings. They are the first to be read where something is wrong as well.
async fn prepare(
    args: &SourceArgs,
    change: impl FnOnce(&mut Pipeline),
    options: HostOptions,
) -> Result<(Run, Secrets)> {
    gate::read_roots();
    // Before a driver is loaded, which it would wait for.
    let host = Host::new(HostOptions { code_cache: CodeCache::of_user(), ..options })?;
    let (mut pipeline, secrets) = read(&args.file, &args.beside)?;
    change(&mut pipeline);
    let tenant = tenant(&args.beside)?;
    if let (None, Some(place)) = (&args.component, &pipeline.component) {
        tenant.check_component(place).map_err(|error| pipeline.locate_component(error))?;
    }
    let connector = match args.component.as_ref().or(pipeline.component.as_ref()) {
        None => host.load_built_in()?,
        Some(place) => host.load(&component(place).await?)?,
    };
    let warnings: Vec<Error> = pipeline.warnings().into_iter().map(|warning| pipeline.locate(warning)).collect();
    match Run::new(&tenant, &connector, pipeline).await {
        Ok(run) => {
            diagnostic::warn(&run.description.warnings, run.pipeline());
            Ok((run, secrets))
        }
        Err(error) => {
            diagnostic::warn_in_file(&warnings);
            Err(error)
        }
    }
}

/// Fails where the source asks for more than what was approved of its file.
fn approved(file: &Path, run: &Run, approve: bool) -> Result<()> {
    let approvals = Approvals::of_user();
    approvals.map_or(Ok(()), |approvals| approvals.require(file, &run.grant, run.is_known(), approve))
}

fn use_tape(run: &mut Run, args: &TapeArgs) -> Result<()> {
    match (&args.record, &args.replay) {
        (Some(path), _) => run.use_tape(Tape::record(path)?),
        (None, Some(path)) => run.use_tape(Tape::replay(path)?),
        (None, None) => {}
    }
    Ok(())
}

/// Reads the file, and puts what the flags say over what it says.
fn read(file: &Path, args: &Beside) -> Result<(Pipeline, Secrets)> {
    let mut pipeline = Pipeline::read(file)?;
    pipeline.params.extend(args.params.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))));
    pipeline.bindings.extend(args.bindings.iter().cloned());
    let operator = &mut pipeline.operator;
    args.allow_private.iter().for_each(|origin| operator.allow_private(origin.clone()));
    for (name, value) in &args.limits {
        Limit::named(name).and_then(|limit| limit.set(&mut operator.limits, value))?;
    }
    if let Some(proxy) = &args.proxy {
        operator.set_proxy(proxy)?;
    }
    if let Some(url) = &args.base_url
        && let Some(client) = pipeline.source.get_mut("client").and_then(Value::as_object_mut)
    {
        client.insert("base_url".to_owned(), Value::String(url.clone()));
        operator.name_url(url);
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

/// The only tenant of the program, under the policy that it is given.
fn tenant(args: &Beside) -> Result<Tenant> {
    Ok(Tenant::new("", args.policy.as_deref().map(PolicyFile::read).transpose()?))
}

/// The bytes of a component.
async fn component(place: &Place) -> Result<Vec<u8>> {
    place.read(|warning| diagnostic::warn_in_file(&[warning])).await
}

async fn push(args: &args::Push) -> Result<()> {
    let component = Artifact::new(component(&Place::File(args.component.clone())).await?)?;
    let title = component.title();
    let pinned = Registry::of(&args.reference, None).push(component).await?;
    print(&format!("pushed {title} to {}\npinned: {pinned}\n", args.reference))
}

async fn pull(args: &args::Pull) -> Result<()> {
    let pulled = Registry::of(&args.reference, Store::of_user()).pull().await?;
    diagnostic::warn_in_file(pulled.warning().as_slice());
    if let Some(path) = &args.output {
        std::fs::write(path, &pulled.wasm)
            .map_err(|error| Error::new(Class::Config, format!("failed to write {}: {error}", path.display())))?;
    }
    print(&report::pulled(&pulled.pinned, &Artifact::new(pulled.wasm)?))
}

/// Has a component verified, and fails where a check does.
async fn verify(args: args::Verify) -> Result<()> {
    gate::read_roots();
    let host = Host::new(HostOptions { code_cache: CodeCache::of_user(), ..HostOptions::default() })?;
    let wasm = component(&args.component).await?;
    let tenant = tenant(&args.beside)?;
    let source = args.config.as_deref().map(|file| read(file, &args.beside)).transpose()?;
    let file = args.config.as_deref().unwrap_or(Path::new(""));
    let is_approved = |run: &Run| approved(file, run, args.approve);
    let report = Verification::new(&host, &tenant, source, &is_approved).verify(&wasm).await;
    print(&match args.report {
        Form::Table => report.to_string(),
        Form::Json => format!("{:#}\n", report.json()),
    })?;
    match report.failed() {
        0 => Ok(()),
        1 => Err(Error::new(Class::Config, "a check failed")),
        failed => Err(Error::new(Class::Config, format!("{failed} checks failed"))),
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
    let mut out = std::io::stdout();
    // Names and values are those of connectors and APIs. A program gets them as they are.
    let text = if out.is_terminal() { diagnostic::printable(text) } else { text.into() };
    match out.write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new(Class::Internal, format!("failed to print: {error}")))
        }
        _ => Ok(()),
    }
}
