//! A run: from a pipeline to published rows.
//!
//! ```text
//! pipeline ─► credentials taken out ─► described ─► policy, gate ─► read ─► staged ─► published
//! ```
//!
//! [`Prepared`] is a pipeline whose credentials were taken out and that the connector has described; from it a source is
//! checked, previewed or run. Reading and writing overlap: while one batch is staged the connector fetches the next.

use crate::destination::Target;
use crate::gate::tape::{Beginning, Part, Tape};
use crate::gate::{Client, Gate, Origin, Policy, Secrets, TokenFiles, TokenStore, Withheld};
use crate::load::{self, Loader, Published, Repeats, Resumed};
use crate::pipeline::{Parted, Pipeline};
use crate::sandbox::{
    self, Connector, Description, Extent, Instance, Limits, OpenRequest, ResourceCounts, SourceConfig, Step,
};
use crate::{Class, Error, Result};
use arrow_array::RecordBatch;
use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinHandle, spawn_blocking};

/// The most root rows in one batch.
const BATCH_ROWS: u32 = 20_000;

/// About how large a batch is. It stands in the connector's memory and in ours at once; more saves no time, since the loader
/// brings batches together.
const BATCH_BYTES: u64 = 2 << 20;

/// What a run tells while it goes on.
pub enum Event<'a> {
    /// It goes on with rows that an interrupted run had staged.
    Resumed(&'a Resumed),
    /// Counts so far.
    Counts(&'a [ResourceCounts]),
    /// Nothing can be done for a while.
    Wait {
        /// The resource that waits.
        resource: &'a str,
        /// Why.
        reason: &'a str,
        /// How long.
        wait: Duration,
    },
    /// All rows but those of the last batch are staged durably: they are not read again, whatever happens.
    Staged,
    /// All rows were read, and are now made visible.
    Publishing,
}

/// How to run.
pub struct Options {
    /// Resources to read; empty for all that the source selects.
    pub resources: Vec<String>,
    /// How many requests may be in flight at once.
    pub window: u32,
    /// What DuckDB's own buffers may hold, as it writes sizes. If absent, what the columns of the tables need.
    pub memory_limit: Option<String>,
    /// Where resources with a cursor begin, whatever was read before.
    pub since: Option<String>,
    /// Where they end.
    pub until: Option<String>,
    /// Read everything anew, and put it in the place of what the tables hold.
    pub full_refresh: bool,
    /// Fail, and publish nothing, where a value did not go into its column as it is, or something looks as if rows were lost.
    pub strict: bool,
    /// Stage durably when so many rows have come together, also before the loader would for other reasons. A run that is cut off
    /// reads at most so many again, and what was being fetched.
    pub commit_rows: Option<usize>,
}

impl Options {
    /// The most root rows in one batch.
    fn batch_rows(&self) -> u32 {
        let commit_rows = self.commit_rows.and_then(|rows| u32::try_from(rows).ok()).unwrap_or(BATCH_ROWS);
        commit_rows.clamp(1, BATCH_ROWS)
    }

    fn extent(&self) -> Extent {
        Extent { since: self.since.clone(), until: self.until.clone(), full_refresh: self.full_refresh }
    }
}

/// What a run did.
pub struct Report {
    /// What each resource cost and gave.
    pub counts: Vec<ResourceCounts>,
    /// What became of the tables.
    pub published: Published,
    /// How often, and how long in all, each resource waited.
    pub waits: BTreeMap<String, (u64, Duration)>,
    /// Whether it went on with an interrupted run.
    pub resumed: bool,
    /// Things that look wrong though nothing failed.
    pub warnings: Vec<Error>,
    /// The most memory that the connector had, in bytes.
    pub peak_memory: usize,
}

/// A pipeline that is ready to be read.
pub struct Prepared<'a> {
    pipeline: &'a Pipeline,
    connector: &'a Connector,
    source: SourceConfig,
    withheld: Withheld,
    tokens: Option<Arc<dyn TokenStore>>,
    tape: Option<Tape>,
    /// What the source asks for.
    pub description: Description,
    limits: Limits,
}

impl<'a> Prepared<'a> {
    /// Takes the credentials out of the pipeline's source, and asks the connector what it needs. Makes no request.
    pub async fn new(pipeline: &'a Pipeline, connector: &'a Connector, limits: Limits) -> Result<Self> {
        let Parted { source, withheld, mut defects } = pipeline.part();
        let mut instance = connector.start(Gate::closed(), limits.clone()).await?;
        let description = instance.describe(&source).await;
        let description = match (description, defects.is_empty()) {
            (Ok(description), true) => description,
            (description, _) => {
                defects.extend(description.err().into_iter().flatten());
                let none = || Error::new(Class::Internal, "the connector gave no reason");
                return Err(pipeline.refused(defects).unwrap_or_else(none));
            }
        };
        let tokens = TokenFiles::of_user().map(|files| Arc::new(files) as Arc<dyn TokenStore>);
        Ok(Self { pipeline, connector, source, withheld, tokens, tape: None, description, limits })
    }

    /// Keeps refresh tokens that rotate in another place than files of the user.
    pub fn keep_tokens(&mut self, store: Arc<dyn TokenStore>) {
        self.tokens = Some(store);
    }

    /// Records the next call on a tape, or replays it from one: then no secret is read, and nothing is sent.
    pub fn use_tape(&mut self, tape: Tape) {
        self.tape = Some(tape);
    }

    /// The origins that the host itself asks for tokens, by the place of the `auth` object.
    pub fn token_origins(&self) -> Vec<(&str, Option<String>)> {
        self.withheld.token_origins()
    }

    /// The names of the secrets that the source needs.
    pub fn secrets(&self) -> Vec<String> {
        self.withheld.slots().into_iter().collect()
    }

    /// Checks what the destination can do, and makes one cheap request.
    pub async fn check(&self, secrets: &Secrets) -> Result<()> {
        self.unbound(&[])?;
        let Pipeline { name, dataset, destination, .. } = self.pipeline;
        load::Options::new(name, dataset, "", self.plans(&[])?).check(&Target::parse(destination)?)?;
        let mut instance = self.start(secrets).await?;
        self.begin_tape("check", &self.request(&[]), 0)?;
        let checked = instance.check(&self.source).await;
        self.end_tape(checked).map(drop).map_err(|error| self.pipeline.locate(error))
    }

    /// The first rows of a resource's root table, as record batches.
    pub async fn preview(&self, secrets: &Secrets, resource: &str, rows: usize) -> Result<Vec<RecordBatch>> {
        let resources = vec![resource.to_owned()];
        self.selected(&resources)?;
        self.unbound(&resources)?;
        let mut instance = self.start(secrets).await?;
        let request = self.request(&resources);
        self.begin_tape("preview", &request, rows)?;
        let found = self.first_rows(&mut instance, &request, rows).await;
        self.end_tape(found).map(|(rows, _)| rows).map_err(|error| self.pipeline.locate(error))
    }

    /// A reader that looks at the beginning only.
    fn request(&self, resources: &[String]) -> OpenRequest {
        OpenRequest {
            source: self.source.clone(),
            resources: resources.to_vec(),
            state: None,
            schema: None,
            // What is fetched ahead would mostly be thrown away.
            window: 2,
            load_id: String::new(),
            extent: Extent::default(),
        }
    }

    async fn first_rows(
        &self,
        instance: &mut Instance,
        request: &OpenRequest,
        rows: usize,
    ) -> Result<Vec<RecordBatch>> {
        instance.open(request).await?;
        let (mut found, mut missing) = (Vec::new(), rows);
        while missing > 0 {
            let most = u32::try_from(missing).unwrap_or(u32::MAX);
            match instance.next(most, BATCH_BYTES).await? {
                Step::Batch(batch) => {
                    for table in batch.tables.into_iter().filter(|table| table.parent.is_none()) {
                        let rows = table.rows.slice(0, table.rows.num_rows().min(missing));
                        missing -= rows.num_rows();
                        found.push(rows);
                    }
                }
                Step::Wait(wait) => tokio::time::sleep(pause(instance, wait.until)).await,
                Step::Done(_) => break,
            }
        }
        Ok(found)
    }

    /// Reads the source into the pipeline's destination. `tell` hears what goes on; when `interrupt` is ready, what was read
    /// is staged, and the next run goes on from there.
    pub async fn run(
        &self,
        secrets: &Secrets,
        options: &Options,
        tell: &mut (dyn FnMut(Event<'_>) + Send),
        interrupt: impl Future<Output = ()> + Send,
    ) -> Result<Report> {
        let plans = self.plans(&options.resources)?;
        self.unbound(&options.resources)?;
        self.has_cursor(options)?;
        let target = Target::parse(&self.pipeline.destination)?;
        let mut request = OpenRequest {
            source: self.source.clone(),
            resources: options.resources.clone(),
            state: None,
            schema: None,
            window: options.window,
            load_id: String::new(),
            extent: options.extent(),
        };
        if let Some(tape) = &self.tape {
            // Before the destination is touched.
            tape.check(&self.beginning("run", &request, options.batch_rows() as usize))?;
        }
        let instance = self.start(secrets).await?;
        let digest = self.digest(options);
        let mut load_options = load::Options::new(&self.pipeline.name, &self.pipeline.dataset, &digest, plans);
        load_options.full_refresh = options.full_refresh;
        load_options.repeats = self.tape.as_ref().and_then(Tape::repeats);
        load_options.limits.memory_limit.clone_from(&options.memory_limit);
        if let Some(rows) = options.commit_rows {
            load_options.commit_rows = rows;
        }
        let (loader, resumed) = blocking(move || Loader::begin(&target, load_options)).await?;
        if resumed.interrupted.is_some() {
            tell(Event::Resumed(&resumed));
        }
        let mut reading = Reading { instance, writer: Writer::new(loader), waits: BTreeMap::new() };
        request.state.clone_from(&resumed.state);
        request.schema.clone_from(&resumed.schema);
        request.load_id.clone_from(&resumed.load_id);
        self.begin_tape("run", &request, options.batch_rows() as usize)?;
        let outcome = tokio::select! {
            biased;
            () = interrupt => Err(Error::new(Class::Interrupted, "interrupted")
                .advice("what was read is kept: the next run goes on from here")),
            outcome = reading.read(&request, options.batch_rows(), tell) => outcome,
        };
        let outcome = self.end_tape(outcome);
        let Reading { instance, mut writer, waits } = reading;
        let (summary, of_tape) = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                // What was read is not lost, whatever ended the run. Where it cannot be kept, that is the lesser news.
                let kept = writer.keep().await;
                let error = self.pipeline.locate(error);
                return Err(match kept {
                    Ok(()) if error.class == Class::Source && error.advice.is_none() => {
                        error.advice("what was read before is kept: the next run goes on from there")
                    }
                    Ok(()) => error,
                    Err(other) => error.fact("also", format!("what was read last could not be kept: {other}")),
                });
            }
        };
        tell(Event::Counts(&summary.counts));
        let mut warnings: Vec<_> = summary.warnings.into_iter().map(|warning| self.pipeline.locate(warning)).collect();
        if options.strict {
            writer.refuse(warnings.clone()).await?;
        }
        warnings.extend(of_tape);
        tell(Event::Publishing);
        let published = writer.publish(summary.state).await?;
        Ok(Report {
            counts: summary.counts,
            published,
            waits,
            resumed: resumed.interrupted.is_some(),
            warnings,
            peak_memory: instance.peak_memory(),
        })
    }

    /// An instance whose gate lets it reach what its description says, with the credentials bound to the origins that need
    /// them.
    async fn start(&self, secrets: &Secrets) -> Result<Instance> {
        let parse = |origins: &[String]| origins.iter().map(|origin| origin.parse::<Origin>()).collect::<Result<_>>();
        let policy =
            Policy { origins: parse(&self.description.origins)?, private: parse(&self.pipeline.allow_private)? };
        if let Some(tape) = self.tape.as_ref().filter(|tape| tape.is_replay()) {
            let gate = Gate::replaying(policy, self.limits.http.clone(), tape.clone());
            return self.connector.start(gate, self.limits.clone()).await;
        }
        let mut credentials = self.withheld.resolve(secrets).map_err(|error| self.pipeline.locate(error))?;
        for slot in &self.description.slots {
            let origins: Vec<Origin> = slot.origins.iter().map(|origin| origin.parse()).collect::<Result<_>>()?;
            credentials.bind(&slot.name, origins)?;
        }
        if let Some(store) = &self.tokens {
            credentials.keep_tokens(&self.pipeline.name, store);
        }
        let client = Client::new(&self.limits.http)?;
        let gate = Gate::new(policy, credentials, client, self.limits.http.clone());
        let gate = match &self.tape {
            Some(tape) => gate.recording(tape.clone()),
            None => gate,
        };
        self.connector.start(gate, self.limits.clone()).await
    }

    /// What decides what the connector does, apart from where it begins and what it is answered.
    fn beginning(&self, command: &str, request: &OpenRequest, rows: usize) -> Beginning {
        let OpenRequest { source, resources, window, load_id, extent, .. } = request;
        let Extent { since, until, full_refresh } = extent;
        let parts = vec![
            (Part::Command, command.to_owned()),
            (Part::Component, self.connector.digest().to_owned()),
            (Part::Config, source.config.clone()),
            (Part::Params, source.params.clone()),
            (Part::Bindings, source.bindings.clone()),
            (Part::Resources, json!(resources).to_string()),
            (Part::Extent, json!({"since": since, "until": until, "full_refresh": full_refresh}).to_string()),
            (Part::Window, window.to_string()),
            (Part::Batches, json!({"rows": rows, "bytes": BATCH_BYTES}).to_string()),
        ];
        Beginning { load_id: load_id.clone(), parts }
    }

    /// Puts on the tape what the connector begins with; a replay must begin with the same.
    fn begin_tape(&self, command: &str, request: &OpenRequest, rows: usize) -> Result<()> {
        let Some(tape) = &self.tape else { return Ok(()) };
        let mut beginning = self.beginning(command, request, rows);
        beginning.parts.push((Part::State, Repeats::named(request.state.as_deref())));
        beginning.parts.push((Part::Schema, Repeats::named(request.schema.as_deref())));
        tape.begin(&beginning)
    }

    /// Ends the tape after the connector's last call, with what came of it. Gives what there is to say of the tape.
    fn end_tape<T>(&self, outcome: Result<T>) -> Result<(T, Option<Error>)> {
        let Some(tape) = &self.tape else { return outcome.map(|value| (value, None)) };
        let ended = tape.end(outcome.as_ref().err());
        match (outcome, ended) {
            (Ok(value), ended) => ended.map(|warning| (value, warning)),
            // What sent a replay astray comes before what followed from it.
            (Err(_), Err(error)) if tape.is_replay() => Err(error),
            (Err(error), Err(other)) => Err(error.fact("also", other)),
            (Err(error), Ok(_)) => Err(error),
        }
    }

    /// Checks that the resources that were asked for exist.
    fn selected(&self, resources: &[String]) -> Result<()> {
        let names = || self.description.resources.iter().map(|resource| resource.name.as_str());
        let Some(unknown) = resources.iter().find(|resource| names().all(|name| name != *resource)) else {
            return Ok(());
        };
        let advice = match spile_connector::config::nearest(unknown, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the resources are {}", names().collect::<Vec<_>>().join(", ")),
        };
        Err(Error::new(Class::Config, format!("there is no resource `{unknown}`")).advice(advice))
    }

    /// Checks that a range that was asked for has something to be a range of.
    fn has_cursor(&self, options: &Options) -> Result<()> {
        let flag = match (&options.since, &options.until) {
            (Some(_), _) => "--since",
            (None, Some(_)) => "--until",
            (None, None) => return Ok(()),
        };
        let is_read = |name: &String| options.resources.is_empty() || options.resources.contains(name);
        let mut resources = self.description.resources.iter().filter(|resource| is_read(&resource.name));
        if resources.any(|resource| resource.cursor.is_some()) {
            return Ok(());
        }
        Err(Error::new(Class::Config, format!("`{flag}` has no effect: no resource that is read has a cursor"))
            .advice("write `incremental: {cursor_path: ...}` into an endpoint, or leave the flag out"))
    }

    /// Checks that every path variable of the resources, and of those that they depend on, is bound, before anything is
    /// opened. The reader would say so too, but only after the database was touched.
    fn unbound(&self, resources: &[String]) -> Result<()> {
        let named = |name: &str| self.description.resources.iter().find(|resource| resource.name == name);
        let selected = self.description.resources.iter().filter(|resource| match resources {
            [] => resource.selected,
            names => names.contains(&resource.name),
        });
        let position = |name: &str| self.description.resources.iter().position(|resource| resource.name == name);
        let mut unbound = BTreeSet::new();
        for resource in selected {
            let mut at = Some(resource);
            while let Some(resource) = at {
                let index = position(&resource.name).unwrap_or_default();
                unbound.extend(resource.unbound.iter().map(|name| (index, name.as_str())));
                at = resource.parent.as_deref().and_then(named);
            }
        }
        self.pipeline.unbound(unbound).map_or(Ok(()), Err)
    }

    fn plans(&self, resources: &[String]) -> Result<Vec<load::ResourcePlan>> {
        self.selected(resources)?;
        let wanted = self.description.resources.iter().filter(|resource| match resources {
            [] => resource.selected,
            names => names.contains(&resource.name),
        });
        let plan = |resource: &sandbox::ResourceDescription| load::ResourcePlan {
            resource: resource.name.clone(),
            table: resource.table.clone(),
            write_disposition: write_disposition(&resource.write_disposition),
            primary_key: resource.primary_key.clone(),
        };
        Ok(wanted.map(plan).collect())
    }

    /// Names everything that decides which rows are read. Credentials are not part of it: a new token reads the same rows.
    fn digest(&self, options: &Options) -> String {
        let mut hash = Sha256::new();
        let SourceConfig { config, params, bindings } = &self.source;
        let (resources, extent) = (options.resources.join("\0"), format!("{:?}", options.extent()));
        for text in [config, params, bindings, &resources, &extent, self.connector.digest()] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A connector that reads, and a loader that writes.
struct Reading {
    instance: Instance,
    writer: Writer,
    waits: BTreeMap<String, (u64, Duration)>,
}

impl Reading {
    async fn read(
        &mut self,
        request: &OpenRequest,
        batch_rows: u32,
        tell: &mut (dyn FnMut(Event<'_>) + Send),
    ) -> Result<sandbox::Summary> {
        self.instance.open(request).await?;
        loop {
            match self.instance.next(batch_rows, BATCH_BYTES).await? {
                Step::Batch(batch) => {
                    tell(Event::Counts(&batch.counts));
                    if self.writer.is_staged().await? {
                        tell(Event::Staged);
                    }
                    self.writer.stage(load_batch(batch)).await?;
                }
                Step::Wait(wait) => {
                    tell(Event::Counts(&wait.counts));
                    let length = pause(&self.instance, wait.until);
                    tell(Event::Wait { resource: &wait.resource, reason: &wait.reason, wait: length });
                    let waits = self.waits.entry(wait.resource).or_default();
                    *waits = (waits.0 + 1, waits.1 + length);
                    tokio::time::sleep(length).await;
                }
                Step::Done(summary) => return Ok(summary),
            }
        }
    }
}

/// A loader that works on a thread of its own, one batch behind the connector.
struct Writer {
    /// The loader comes back with whether it staged durably. None only while a batch is handed over.
    working: Option<JoinHandle<(Loader, Result<bool>)>>,
}

impl Writer {
    fn new(loader: Loader) -> Self {
        Self { working: Some(tokio::spawn(std::future::ready((loader, Ok(false))))) }
    }

    /// Waits until the batch before is taken. Whether it and all before it are staged durably.
    async fn is_staged(&mut self) -> Result<bool> {
        let (loader, is_staged) = self.taken().await?;
        self.working = Some(tokio::spawn(std::future::ready((loader, Ok(false)))));
        Ok(is_staged)
    }

    /// Hands over a batch, once the one before is staged.
    async fn stage(&mut self, batch: load::Batch) -> Result<()> {
        let mut loader = self.idle().await?;
        self.working = Some(spawn_blocking(move || {
            let staged = loader.stage(batch);
            (loader, staged)
        }));
        Ok(())
    }

    /// Stages durably what was handed over.
    async fn keep(&mut self) -> Result<()> {
        let mut loader = self.idle().await?;
        blocking(move || loader.commit()).await
    }

    /// Goes on only where every value went into its column as it is, and nothing else looks wrong.
    async fn refuse(&mut self, suspicious: Vec<Error>) -> Result<()> {
        let loader = self.idle().await?;
        let loader = blocking(move || loader.refuse(suspicious)).await?;
        *self = Self::new(loader);
        Ok(())
    }

    async fn publish(&mut self, state: String) -> Result<Published> {
        let loader = self.idle().await?;
        blocking(move || loader.publish(&state)).await
    }

    /// The loader, once it has done its work.
    async fn idle(&mut self) -> Result<Loader> {
        self.taken().await.map(|(loader, _)| loader)
    }

    async fn taken(&mut self) -> Result<(Loader, bool)> {
        let gone = || Error::new(Class::Internal, "the loader ended before its time");
        let working = self.working.as_mut().ok_or_else(gone)?;
        // Awaited in place, so that a caller that is dropped meanwhile leaves the loader here.
        let (loader, staged) = working.await.map_err(|error| Error::new(Class::Internal, error.to_string()))?;
        self.working = None;
        staged.map(|is_staged| (loader, is_staged))
    }
}

/// Runs what blocks on a thread of its own.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(Error::new(Class::Internal, error.to_string())))
}

/// How long it is until an instant in milliseconds since 1970. A replay does not wait: what comes then stands on the tape.
fn pause(instance: &Instance, instant: u64) -> Duration {
    if instance.gate().tape().is_some_and(Tape::is_replay) {
        return Duration::ZERO;
    }
    let now = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0);
    Duration::from_millis(instant.saturating_sub(now))
}

fn write_disposition(of: &sandbox::WriteDisposition) -> load::WriteDisposition {
    let merge = match of {
        sandbox::WriteDisposition::Append => return load::WriteDisposition::Append,
        sandbox::WriteDisposition::Replace => return load::WriteDisposition::Replace,
        sandbox::WriteDisposition::Merge(merge) => merge,
    };
    load::WriteDisposition::Merge(load::Merge {
        strategy: match &merge.strategy {
            sandbox::MergeStrategy::DeleteInsert(merge_key) => {
                load::Strategy::DeleteInsert { merge_key: merge_key.clone() }
            }
            sandbox::MergeStrategy::Upsert => load::Strategy::Upsert,
            sandbox::MergeStrategy::InsertOnly => load::Strategy::InsertOnly,
            sandbox::MergeStrategy::Scd2(scd2) => load::Strategy::Scd2(load::Scd2 {
                valid_from: scd2.valid_from.clone(),
                valid_to: scd2.valid_to.clone(),
                row_version: scd2.row_version.clone(),
                merge_key: scd2.merge_key.clone(),
                active: scd2.active,
                boundary: scd2.boundary,
            }),
        },
        duplicates: match &merge.duplicates {
            sandbox::Duplicates::KeepLast => load::Duplicates::KeepLast,
            sandbox::Duplicates::KeepSmallest(column) => load::Duplicates::KeepSmallest(column.clone()),
            sandbox::Duplicates::KeepLargest(column) => load::Duplicates::KeepLargest(column.clone()),
            sandbox::Duplicates::KeepAll => load::Duplicates::KeepAll,
        },
        hard_delete: merge.hard_delete.clone(),
    })
}

fn load_batch(batch: sandbox::Batch) -> load::Batch {
    let column = |column: sandbox::Column| load::Column {
        name: column.name,
        data_type: match column.data_type {
            sandbox::DataType::Text => load::DataType::Text,
            sandbox::DataType::Bigint => load::DataType::Bigint,
            sandbox::DataType::Double => load::DataType::Double,
            sandbox::DataType::Boolean => load::DataType::Boolean,
            sandbox::DataType::Timestamp => load::DataType::Timestamp,
            sandbox::DataType::LocalTimestamp => load::DataType::LocalTimestamp,
            sandbox::DataType::Date => load::DataType::Date,
            sandbox::DataType::Time => load::DataType::Time,
            sandbox::DataType::Binary => load::DataType::Binary,
            sandbox::DataType::Decimal((precision, scale)) => load::DataType::Decimal(precision, scale),
            sandbox::DataType::Json => load::DataType::Json,
        },
        nullable: column.nullable,
    };
    let tables = batch.tables.into_iter().map(|table| load::TableRows {
        table: table.table,
        resource: table.resource,
        parent: table.parent,
        rows: table.rows,
        roots: table.roots,
        new_columns: table.new_columns.into_iter().map(column).collect(),
        widened_columns: table.widened_columns.into_iter().map(column).collect(),
    });
    load::Batch { tables: tables.collect(), state: batch.state, schema: batch.schema, changes: batch.changes }
}
