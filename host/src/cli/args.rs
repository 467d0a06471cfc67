//! What the program is told.

use crate::Error;
use crate::component::{Place, Reference};
use crate::gate::OriginPattern;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// A tap for REST APIs that runs in a sandbox.
#[derive(Parser)]
#[command(name = "spile", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Read a source into a database
    Run(Run),
    /// Check a file, and with one request whether the API accepts the credentials
    Check(Check),
    /// Say what a file asks for: resources, origins, secrets; makes no request
    Describe(Describe),
    /// Show what a run may do: origins, secrets and where they go, first requests, limits; makes no request
    Plan(Plan),
    /// Show the first rows of a resource; writes nothing
    Preview(Preview),
    /// Write a connector of your own to begin with, into a new folder
    New(New),
    /// See whether a component keeps to the contract, whatever it reads
    Verify(Verify),
    /// Send a component to a registry, where `run` and others find it by its digest
    Push(Push),
    /// Fetch a component from a registry, keep it, and say its digest
    Pull(Pull),
    /// Turn a Python file that uses dlt's `rest_api_source` into a pipeline file; runs no Python
    Import(Import),
    /// Show, forget, save or put back where a pipeline goes on
    #[command(subcommand)]
    State(State),
    /// List the runs of a pipeline that were published, the last one first
    Runs(Runs),
    /// List the limits of a run, their defaults, and what they are limits on
    Limits {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the schema of pipeline files, or of the tables that a pipeline has written
    #[command(subcommand)]
    Schema(Schema),
}

#[derive(Subcommand)]
pub enum State {
    /// Print what is saved: the last run, rows that wait for the next one, and the connector's state
    Show {
        #[command(flatten)]
        at: At,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Forget the state: the next run begins at the beginning; tables stay as they are
    Reset {
        #[command(flatten)]
        at: At,
    },
    /// Write the state into a file
    Export {
        #[command(flatten)]
        at: At,
        /// The file; standard output if absent
        #[arg(long, short, value_name = "FILE.json")]
        output: Option<PathBuf>,
    },
    /// Put a state that `export` has written in the place of the one that is saved
    Import {
        #[command(flatten)]
        at: At,
        /// The file with the state
        state: PathBuf,
    },
}

#[derive(Args)]
pub struct Runs {
    #[command(flatten)]
    pub at: At,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub last: usize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Subcommand)]
pub enum Schema {
    /// The JSON Schema of a pipeline file, for editors
    Config,
    /// The tables that a pipeline has written, as they are at the destination
    Tables {
        #[command(flatten)]
        at: At,
        /// How to print them
        #[arg(long, value_enum, default_value_t = TablesForm::Table)]
        format: TablesForm,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub enum TablesForm {
    /// For a person
    Table,
    /// JSON
    Json,
    /// Statements that would create them
    Sql,
    /// An entity relationship diagram for Mermaid
    Mermaid,
}

/// A pipeline at its destination.
#[derive(Args)]
pub struct At {
    /// The pipeline's file
    pub file: PathBuf,
    /// Where the rows are; as for `spile run`
    #[arg(long, value_name = "DESTINATION")]
    pub to: Option<String>,
    /// The schema of the tables; as for `spile run`
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
}

/// The file, and what is said beside it.
#[derive(Args)]
pub struct SourceArgs {
    /// A pipeline, or a bare source as dlt has it, in YAML, JSON or TOML
    pub file: PathBuf,
    #[command(flatten)]
    pub beside: Beside,
    /// Another component than the file's, or than the one that travels inside the program: a path, or oci://HOST/NAME@sha256:…
    #[arg(long, value_name = "COMPONENT", value_parser = component)]
    pub component: Option<Place>,
}

/// What is said beside a file.
#[derive(Args)]
pub struct Beside {
    /// A value for a path variable
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = pair)]
    pub params: Vec<(String, String)>,
    /// The parent's field that fills a path variable
    #[arg(long = "bind", value_name = "NAME=PARENT.FIELD", value_parser = pair)]
    pub bindings: Vec<(String, String)>,
    /// Where the value of a secret is
    #[arg(long = "secret", value_name = "NAME=env:VAR|file:PATH")]
    pub secrets: Vec<String>,
    /// A file of secrets in TOML, as dlt's `secrets.toml`
    #[arg(long, value_name = "FILE.toml")]
    pub secrets_file: Option<PathBuf>,
    /// Another base URL than the file's
    #[arg(long, value_name = "URL")]
    pub base_url: Option<String>,
    /// An origin that may have an address on this machine or in its network
    #[arg(long = "allow-private", value_name = "ORIGIN")]
    pub allow_private: Vec<OriginPattern>,
    /// A limit of the run: `spile limits` lists them; may be repeated
    #[arg(long = "limit", value_name = "NAME=VALUE", value_parser = pair)]
    pub limits: Vec<(String, String)>,
    /// A policy that neither the file nor a flag can widen
    #[arg(long, value_name = "FILE", env = "SPILE_POLICY")]
    pub policy: Option<PathBuf>,
    /// The proxy that requests go through; those that the environment names are not used
    #[arg(long, value_name = "URL")]
    pub proxy: Option<String>,
}

/// A recorded run.
#[derive(Args)]
pub struct TapeArgs {
    /// Record all that the connector is answered, for `--replay`: a HAR file without secrets
    #[arg(long, value_name = "FILE.har", conflicts_with = "replay")]
    pub record: Option<PathBuf>,
    /// Do what was recorded again, without the network and without secrets
    #[arg(long, value_name = "FILE.har")]
    pub replay: Option<PathBuf>,
}

#[derive(Args)]
pub struct Run {
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub tape: TapeArgs,
    /// Where the rows go: duckdb:PATH, postgresql://USER@HOST/DATABASE, sqlite:PATH or parquet:DIR; `duckdb:<name>.duckdb` where neither this nor the file says it
    #[arg(long, value_name = "DESTINATION")]
    pub to: Option<String>,
    /// Only this resource; may be repeated
    #[arg(long = "resource", value_name = "NAME")]
    pub resources: Vec<String>,
    /// The schema of the tables; `<name>_dataset` where neither this nor the file says it
    #[arg(long, value_name = "NAME")]
    pub dataset: Option<String>,
    /// Where resources with a cursor begin, whatever was read before: a date, a date-time or a number, as the cursor is
    #[arg(long, value_name = "VALUE")]
    pub since: Option<String>,
    /// Where they end; records from there on are left out
    #[arg(long, value_name = "VALUE")]
    pub until: Option<String>,
    /// Read everything anew, and put it in the place of what the tables hold
    #[arg(long, conflicts_with = "since")]
    pub full_refresh: bool,
    /// Fail, and publish nothing, where a value did not go into its column as it is, or something looks as if rows were lost
    #[arg(long)]
    pub strict: bool,
    /// How many requests may be in flight at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub window: u32,
    /// What DuckDB's own buffers may hold, such as 512MB; if absent, what the columns of the tables need: 32MB and 2MB for each
    #[arg(long, value_name = "SIZE")]
    pub memory_limit: Option<String>,
    /// Save what was read whenever so many rows have come together; 40,000 if absent (DuckDB: 1,000,000), and every 5 seconds or 64 MiB (256) in any case
    #[arg(long, value_name = "N", value_parser = rows)]
    pub commit_rows: Option<usize>,
    /// Keep no answers of the API in the user's cache folder, and remove those that are there; a run that is cut off then asks again for what was not saved yet
    #[arg(long)]
    pub forget_answers: bool,
    /// Approve of origins that the source asks for beyond those that were approved before
    #[arg(long)]
    pub approve: bool,
    /// Write the connector's memory, as it is after the run, into a file: for the search for defects. It holds what the API sent,
    /// and no secret
    #[arg(long, value_name = "FILE", env = "SPILE_MEMORY_IMAGE", hide = true)]
    pub memory_image: Option<PathBuf>,
    /// How to print what was done
    #[arg(long, value_enum, default_value_t = Form::Table)]
    pub summary: Form,
    /// Print what the run took, its instructions included, which are counted only then
    #[arg(long, value_enum, value_name = "FORM")]
    pub bill: Option<Form>,
}

#[derive(Args)]
pub struct Plan {
    #[command(flatten)]
    pub source: SourceArgs,
    /// Approve of what the source asks for, as a first run does
    #[arg(long)]
    pub approve: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Check {
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub tape: TapeArgs,
}

#[derive(Args)]
pub struct Describe {
    #[command(flatten)]
    pub source: SourceArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct Preview {
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub tape: TapeArgs,
    /// The resource
    pub resource: String,
    /// How many rows
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub rows: usize,
}

#[derive(Args)]
pub struct New {
    /// Its name, and that of the folder
    pub name: String,
    /// The language that it is written in
    #[arg(long, value_enum)]
    pub lang: Language,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Language {
    /// Rust
    Rust,
    /// JavaScript
    Javascript,
}

/// Reads the source once from its API, and then again and again from what was learned: in small batches, from each state, with an
/// API that only fails. Without `--config` it looks at what needs no source.
#[derive(Args)]
pub struct Verify {
    /// The component: a path, or oci://HOST/NAME@sha256:…
    #[arg(value_parser = component)]
    pub component: Place,
    /// A pipeline for it, or a bare source
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub beside: Beside,
    /// Approve of what the component asks for
    #[arg(long)]
    pub approve: bool,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t = Form::Table)]
    pub report: Form,
}

/// The registry is asked as the user whom `docker login` or `podman login` has made known to it. One on this machine needs no TLS.
#[derive(Args)]
pub struct Push {
    /// The component's file
    pub component: PathBuf,
    /// What it is called there
    #[arg(value_name = "oci://HOST/NAME:TAG", value_parser = reference)]
    pub reference: Reference,
}

/// The registry is asked as the user whom `docker login` or `podman login` has made known to it. One on this machine needs no TLS.
#[derive(Args)]
pub struct Pull {
    /// What it is called there: by a tag, or by its digest
    #[arg(value_name = "oci://HOST/NAME[:TAG][@sha256:…]", value_parser = reference)]
    pub reference: Reference,
    /// Write it into a file too
    #[arg(long, short, value_name = "FILE.wasm")]
    pub output: Option<PathBuf>,
}

/// Looks for a call of `rest_api_source` or `rest_api_resources` with a dict, and where there is none, for a dict annotated as
/// `RESTAPIConfig` or with the keys `client` and `resources`. What is code stands in the YAML as a comment, and is warned of.
#[derive(Args)]
pub struct Import {
    /// The Python file
    pub file: PathBuf,
    /// Which source, where the file makes several: its name, variable, function or line
    #[arg(long, value_name = "NAME|LINE")]
    pub source: Option<String>,
    /// The pipeline file to write; standard output if absent
    #[arg(long, short, value_name = "FILE.yaml")]
    pub output: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Form {
    /// Tables for a person
    Table,
    /// One JSON object
    Json,
}

fn component(text: &str) -> Result<Place, String> {
    text.parse().map_err(|error| in_one_line(&error))
}

fn reference(text: &str) -> Result<Reference, String> {
    text.parse().map_err(|error| in_one_line(&error))
}

fn in_one_line(error: &Error) -> String {
    [&error.message, error.advice.as_deref().unwrap_or_default()].join("; ")
}

fn rows(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|rows| *rows > 0).ok_or_else(|| "write a number of rows, 1 or more".to_owned())
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}
