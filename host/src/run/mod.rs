//! A run: from a pipeline to published rows.
//!
//! ```text
//! pipeline ─► credentials taken out ─► described ─► policy, gate ─► read ─► staged ─► published
//! ```
//!
//! [`Run`] is a pipeline of a tenant whose credentials were taken out and that the connector has described; from it a source
//! is checked, previewed or loaded. Reading and writing overlap: while batches are staged the connector fetches the next ones.

mod bill;
mod convert;
mod keeping;
mod reading;
mod taping;
mod writer;

use crate::destination::Target;
use crate::digest::sha256_of;
use crate::gate::tape::Tape;
use crate::gate::{Gate, KeptAnswers, OfLoad, Origin, Rehearsal, Secrets, Withheld};
use crate::load::{self, Published};
use crate::pipeline::{Parted, Pipeline};
use crate::policy::Grant;
use crate::sandbox::{self, Connector, Description, Extent, Instance, OpenRequest, ResourceCounts, SourceConfig, Step};
use crate::tenant::Tenant;
use crate::{COMPONENT_DIGEST, Class, Error, Result};
use arrow_array::RecordBatch;
use convert::write_disposition;
use reading::{Reader, read};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;
use writer::{Begun, Writer};

pub use bill::Bill;
pub use keeping::forget_answers;

/// The most root rows in one batch.
const BATCH_ROWS: u32 = 20_000;

/// About how large a batch is. It stands in the connector's memory and in ours at once; more saves no time, since the loader
/// brings batches together.
const BATCH_BYTES: u64 = 2 << 20;

/// What a run tells while it goes on.
pub enum Event<'a> {
    /// It goes on with an interrupted run.
    Resumed {
        /// The rows that were staged.
        rows: u64,
        /// The answers that were kept, of which those that the rows lack are not asked for again.
        answers: usize,
    },
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
    /// More rows are staged durably: they are not read again, whatever happens. All but those that still wait for the loader are.
    Staged,
    /// All rows were read, and are now made visible.
    Publishing,
    /// What the run took, once it has ended, well or not.
    Bill(&'a Bill),
}

/// How to run.
#[derive(Clone, Debug)]
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
    /// A folder for answers of APIs, kept in files that only the user can read until the rows made of them are staged durably, and gone
    /// when the run ends otherwise than by a failure of the destination or an interruption. A run that goes on with one that was cut off less than five
    /// minutes ago asks again for what was in flight. Runs of all tenants may share it. None are kept, if absent, nor in a run on a tape, nor
    /// of another component than Spile's own: it may ask the same twice and mean something else.
    pub keep_answers: Option<PathBuf>,
    /// Drop the connector while it waits for longer than this, and begin again from its state. What it had fetched ahead is then
    /// fetched again. Never, if absent.
    pub park_after: Option<Duration>,
    /// Where to write the connector's memory after the run; needs [`crate::sandbox::HostOptions::memory_images`].
    pub memory_image: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            resources: Vec::new(),
            window: 8,
            memory_limit: None,
            since: None,
            until: None,
            full_refresh: false,
            strict: false,
            commit_rows: None,
            keep_answers: None,
            park_after: None,
            memory_image: None,
        }
    }
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
    pub waits: Waits,
    /// Whether it went on with an interrupted run.
    pub resumed: bool,
    /// Things that look wrong though nothing failed.
    pub warnings: Vec<Error>,
    /// What it took.
    pub bill: Bill,
}

/// How often, and how long in all, each resource waited.
pub type Waits = BTreeMap<String, (u64, Duration)>;

/// A pipeline that is ready to be read.
pub struct Run {
    tenant: Tenant,
    pipeline: Pipeline,
    connector: Connector,
    source: SourceConfig,
    withheld: Withheld,
    tape: Option<Tape>,
    rehearsal: Option<Rehearsal>,
    /// What the source asks for.
    pub description: Description,
    /// What it gets.
    pub grant: Grant,
}

impl Run {
    /// Takes the credentials out of the pipeline's source, and asks the connector what it needs. Makes no request. Fails where
    /// the policy pins another component, or says that something else was approved.
    pub async fn new(tenant: &Tenant, connector: &Connector, pipeline: Pipeline) -> Result<Self> {
        let operator = tenant.permits(pipeline.operator.clone());
        operator.check_component(connector.digest())?;
        let Parted { source, withheld, mut defects } = pipeline.part();
        let mut instance = connector.start(Gate::closed(), operator.limits.clone()).await?;
        let description = instance.describe(&source).await;
        let description = match (description, defects.is_empty()) {
            (Ok(description), true) => description,
            (description, _) => {
                defects.extend(description.err().into_iter().flatten());
                let none = || Error::new(Class::Internal, "the connector gave no reason");
                return Err(pipeline.refused(defects).unwrap_or_else(none));
            }
        };
        let grant = Grant::new(&description, &withheld.token_origins(), &operator)?;
        grant.check_approved()?;
        let (tenant, connector) = (tenant.clone(), connector.clone());
        Ok(Self { tenant, pipeline, connector, source, withheld, tape: None, rehearsal: None, description, grant })
    }

    /// What is read.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// What reads it.
    pub fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Whether the component is the one that travels inside the program, or one that the policy pins.
    pub fn is_known(&self) -> bool {
        self.connector.digest() == COMPONENT_DIGEST || !self.grant.operator().components.is_empty()
    }

    /// Records the next call on a tape, or replays it from one: then no secret is read, and nothing is sent.
    pub fn use_tape(&mut self, tape: Tape) {
        self.tape = Some(tape);
    }

    /// Lets something else answer in the place of the APIs, or learn what they answer.
    pub(crate) fn rehearse(&mut self, rehearsal: Rehearsal) {
        self.rehearsal = Some(rehearsal);
    }

    /// What the connector reads: credentials are not in it.
    pub(crate) fn source(&self) -> &SourceConfig {
        &self.source
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
        let Pipeline { name, dataset, destination, .. } = &self.pipeline;
        load::Options::new(name, dataset, "", self.plans(&[])?).check(&Target::parse(destination)?)?;
        self.is_permitted(&[])?;
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
        self.is_permitted(&resources)?;
        let mut instance = self.start(secrets).await?;
        let request = self.request(&resources);
        self.begin_tape("preview", &request, rows)?;
        let found = self.first_rows(&mut instance, &request, rows).await;
        self.end_tape(found).map(|(rows, _)| rows).map_err(|error| self.pipeline.locate(error))
    }

    /// A reader that looks at the beginning only.
    fn request(&self, resources: &[String]) -> OpenRequest {
        // What is fetched ahead would mostly be thrown away.
        OpenRequest { resources: resources.to_vec(), window: 2, ..OpenRequest::new(self.source.clone()) }
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
                Step::Wait(wait) => {
                    let length = reading::pause(instance.gate(), wait.until);
                    reading::rest(instance.gate(), &self.grant.operator().limits, length).await?;
                }
                Step::Done(_) => break,
            }
        }
        Ok(found)
    }

    /// Reads the source into the pipeline's destination. `tell` hears what goes on; when `interrupt` is ready, what was read
    /// is staged, and the next run goes on from there.
    pub async fn load(
        &self,
        secrets: &Secrets,
        options: &Options,
        tell: &mut (dyn FnMut(Event<'_>) + Send),
        interrupt: impl Future<Output = ()> + Send,
    ) -> Result<Report> {
        let mut kept = None;
        let outcome = self.read_and_publish(secrets, options, &mut kept, tell, interrupt).await;
        if let Some(kept) = kept {
            keeping::end(kept, outcome.as_ref().err()).await;
        }
        outcome
    }

    /// Leaves in `kept` what the API answered, where that is kept.
    async fn read_and_publish(
        &self,
        secrets: &Secrets,
        options: &Options,
        kept: &mut Option<KeptAnswers>,
        tell: &mut (dyn FnMut(Event<'_>) + Send),
        interrupt: impl Future<Output = ()> + Send,
    ) -> Result<Report> {
        let plans = self.plans(&options.resources)?;
        self.unbound(&options.resources)?;
        self.has_cursor(options)?;
        self.is_permitted(&options.resources)?;
        let target = Target::parse(&self.pipeline.destination)?;
        let mut request = OpenRequest {
            resources: options.resources.clone(),
            window: options.window,
            extent: options.extent(),
            ..OpenRequest::new(self.source.clone())
        };
        if let Some(tape) = &self.tape {
            // Before the destination is touched.
            tape.check(&self.beginning("run", &request, options.batch_rows() as usize))?;
        }
        let mut gate = self.gate(secrets)?;
        let digest = self.digest(options);
        let mut load_options = load::Options::new(&self.pipeline.name, &self.pipeline.dataset, &digest, plans);
        load_options.full_refresh = options.full_refresh;
        load_options.repeats = self.tape.as_ref().and_then(Tape::repeats);
        load_options.limits.memory_limit.clone_from(&options.memory_limit);
        load_options.commit_rows = options.commit_rows;
        // Where nothing is yet, reading begins while the destination is opened. A tape begins with what the destination says.
        let foreseen = if self.tape.is_none() { load_options.foresee(&target)? } else { None };
        let (mut writer, mut begun) = Writer::begin(target, load_options);
        let (resumed, begun) = match foreseen {
            Some(foreseen) => (foreseen, Some(begun)),
            None => match (&mut begun).await {
                Ok(resumed) => (resumed, None),
                Err(_) => return Err(writer.failure().await),
            },
        };
        let load = OfLoad { id: &resumed.load_id, is_begun: begun.is_none(), is_first: resumed.run == 1 };
        *kept = self.kept_answers(options, &digest, &load);
        let answers = kept.as_ref().map_or(0, KeptAnswers::found);
        let goes_on = resumed.interrupted.is_some() || answers > 0;
        if goes_on {
            let staged = resumed.interrupted.iter().flat_map(|interrupted| &interrupted.rows);
            tell(Event::Resumed { rows: staged.map(|(_, rows)| rows).sum(), answers });
        }
        if let Some(kept) = kept {
            gate = gate.keeping(kept.clone());
        }
        request.state.clone_from(&resumed.state);
        request.schema.clone_from(&resumed.schema);
        request.load_id.clone_from(&resumed.load_id);
        self.begin_tape("run", &request, options.batch_rows() as usize)?;
        let mut waits = Waits::new();
        let mut reader =
            Reader::new(&self.connector, &self.description, gate, self.grant.operator().limits.clone(), request);
        let outcome = tokio::select! {
            biased;
            () = interrupt => Some(Err(Error::new(Class::Interrupted, "interrupted")
                .advice("what was read is kept: the next run goes on from here"))),
            () = has_not_begun(begun, kept.as_ref()) => None,
            outcome = read(&mut reader, options, &mut writer, &mut waits, tell) => Some(outcome),
        };
        let outcome = match outcome {
            Some(outcome) => outcome,
            None => Err(writer.failure().await),
        };
        let bill = reader.bill(&waits);
        tell(Event::Bill(&bill));
        if let Some(path) = &options.memory_image {
            reader.write_memory_image(path).await?;
        }
        let (summary, of_tape) = match self.end_tape(outcome) {
            Ok(outcome) => outcome,
            Err(error) => {
                // What was read is not lost, whatever ended the run. Where it cannot be kept, that is the lesser news.
                let kept = writer.keep().await;
                let error = self.pipeline.locate(self.placed(reader.redacted(error), &reader));
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
            writer.refuse(warnings.clone()).await.map_err(|error| reader.redacted(error))?;
        }
        warnings.extend(of_tape);
        tell(Event::Publishing);
        let kept = kept.take();
        let staged = move || kept.iter().for_each(KeptAnswers::remove);
        let published = writer.publish(summary.state, staged).await.map_err(|error| reader.redacted(error))?;
        Ok(Report { counts: summary.counts, published, waits, resumed: goes_on, warnings, bill })
    }

    /// A gate that lets the connector reach what was granted, with the credentials bound to the origins that need them.
    fn gate(&self, secrets: &Secrets) -> Result<Gate> {
        let operator = self.grant.operator();
        if let Some(tape) = self.tape.as_ref().filter(|tape| tape.is_replay()) {
            return Ok(Gate::replaying(self.grant.policy(), operator.limits.clone(), tape.clone()));
        }
        let mut credentials = self.withheld.resolve(secrets).map_err(|error| self.pipeline.locate(error))?;
        for slot in &self.description.slots {
            let origins: Vec<Origin> = slot.origins.iter().map(|origin| origin.parse()).collect::<Result<_>>()?;
            credentials.bind(&slot.name, origins)?;
        }
        if let Some(store) = self.tenant.tokens() {
            credentials.keep_tokens(self.tenant.name(), &self.pipeline.name, store);
        }
        let client = self.tenant.client(operator)?;
        let (policy, limits) = (self.grant.policy(), operator.limits.clone());
        let gate = match self.rehearsal.clone() {
            Some(rehearsal) => Gate::rehearsing(policy, credentials, client, rehearsal, limits),
            None => Gate::new(policy, credentials, client, limits),
        };
        Ok(match &self.tape {
            Some(tape) => gate.recording(tape.clone()),
            None => gate,
        })
    }

    /// Says of a limit where it was reached, if the connector could not.
    fn placed(&self, error: Error, reader: &Reader<'_>) -> Error {
        let has = |label: &str| error.facts.iter().any(|(known, _)| *known == label);
        if error.limit.is_none() || has("resource") {
            return error;
        }
        let Some(url) = reader.last_url() else { return error };
        let own = self.description.resources.iter().find(|resource| reading::is_of(&url, &resource.url));
        let error = match own {
            Some(resource) => error.fact("resource", &resource.name),
            None => error,
        };
        error.fact("last page", url)
    }

    /// Checks that the policy permits the first request of every resource that is read.
    fn is_permitted(&self, resources: &[String]) -> Result<()> {
        let mut read = self.description.resources.iter().filter(|resource| match resources {
            [] => resource.selected,
            names => names.contains(&resource.name),
        });
        read.try_for_each(|resource| self.grant.check_url(&resource.name, &resource.url))
    }

    /// The connector, started behind a gate of its own.
    pub(crate) async fn start(&self, secrets: &Secrets) -> Result<Instance> {
        self.connector.start(self.gate(secrets)?, self.grant.operator().limits.clone()).await
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
        let SourceConfig { config, params, bindings } = &self.source;
        let (resources, extent) = (options.resources.join("\0"), format!("{:?}", options.extent()));
        sha256_of([config, params, bindings, &resources, &extent, self.connector.digest()])
    }
}

/// Waits until a loader has failed to begin, and without end for one that began.
async fn has_not_begun(begun: Option<Begun>, kept: Option<&KeptAnswers>) {
    if let Some(begun) = begun {
        if begun.await.is_err() {
            return;
        }
        kept.into_iter().for_each(KeptAnswers::begun);
    }
    std::future::pending().await
}
