//! A running connector.

use super::bindings::Exports;
use super::bindings::exports::spile::connector::source as wit;
use super::engine::{Connector, Ticker};
use super::failure::{reported, stated, trapped};
use super::given;
use super::limits::{Stopwatch, spent};
use super::rows::{ResourceDescription, Slot, Step, most_named};
use super::store::StoreData;
use crate::gate::Gate;
use crate::limits::{self, Limits};
use crate::{Class, Error, Result};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use wasmtime::component::ResourceAny;
use wasmtime::{Store, WasmCoreDump};

pub use super::bindings::exports::spile::connector::source::{Extent, SourceConfig};

/// How many warnings, or defects of a configuration, are taken from a connector.
pub(super) const MOST_TOLD: usize = 1000;

/// Bytes of the names of all tables of a run.
const MOST_NAMES: usize = 16 << 20;

/// When the time of a run is up.
pub(crate) fn deadline(gate: &Gate, limits: &Limits) -> Instant {
    let began = gate.began();
    // Of a time that ends after all clocks there is nothing to keep.
    began.checked_add(limits.wall).unwrap_or_else(|| began + Duration::from_secs(100 * 365 * 24 * 3600))
}

/// What a configuration asks for.
#[derive(Clone, Debug)]
pub struct Description {
    /// The resources, in the order of the configuration.
    pub resources: Vec<ResourceDescription>,
    /// Every origin (`scheme://host:port`) that the configuration can reach, sorted.
    pub origins: Vec<String>,
    /// The secrets that it names.
    pub slots: Vec<Slot>,
    /// Things that work but are better said otherwise.
    pub warnings: Vec<Error>,
}

/// All that is new.
#[allow(clippy::derivable_impls, reason = "the type is generated")]
impl Default for Extent {
    fn default() -> Self {
        Self { since: None, until: None, full_refresh: false }
    }
}

/// How to read.
#[derive(Clone, Debug)]
pub struct OpenRequest {
    /// The source.
    pub source: SourceConfig,
    /// Resources to deliver; empty for all that the configuration selects.
    pub resources: Vec<String>,
    /// JSON text: a state that an earlier reader gave.
    pub state: Option<String>,
    /// JSON text: a schema that an earlier reader gave.
    pub schema: Option<String>,
    /// How many requests may be in flight at once, 1 to 64.
    pub window: u32,
    /// Names this run.
    pub load_id: String,
    /// How much is read of resources with a cursor.
    pub extent: Extent,
}

impl OpenRequest {
    /// To read all that the configuration selects, for the first time.
    pub fn new(source: SourceConfig) -> Self {
        let (resources, load_id) = Default::default();
        Self { source, resources, state: None, schema: None, window: 8, load_id, extent: Extent::default() }
    }
}

impl SourceConfig {
    /// A configuration without parameters and bindings.
    pub fn new(config: impl Into<String>) -> Self {
        Self { config: config.into(), params: "{}".to_owned(), bindings: "{}".to_owned() }
    }
}

/// What instances took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The most memory at any time, in bytes.
    pub peak_memory: usize,
    /// Instructions, where they are counted.
    pub instructions: Option<u64>,
}

impl Usage {
    /// That of one instance after the other.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let instructions = match (self.instructions, other.instructions) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            (one, other) => one.or(other),
        };
        Self { peak_memory: self.peak_memory.max(other.peak_memory), instructions }
    }
}

/// One running connector: its memory, its handles, its reader, and the gate to the network.
///
/// Every failure that is not the connector's own report ends it: a store in which a call trapped or was cancelled is in no
/// known state. A future of a call that is dropped ends it as well.
pub struct Instance {
    running: Option<Running>,
    gate: Gate,
    limits: Limits,
    stopwatch: Stopwatch,
    deadline: Instant,
    peak: Arc<AtomicUsize>,
    /// Those that it handed over rows of.
    tables: HashSet<String>,
    /// Bytes of their names.
    names: usize,
    /// Instructions so far, where they are counted.
    instructions: Option<u64>,
    _ticker: Arc<Ticker>,
}

struct Running {
    store: Store<StoreData>,
    exports: Exports,
    reader: Option<ResourceAny>,
}

impl Connector {
    /// Starts an instance, whose requests go through this gate.
    pub async fn start(&self, gate: Gate, limits: Limits) -> Result<Instance> {
        let (peak, stopwatch) = (Arc::<AtomicUsize>::default(), Stopwatch::default());
        let data = StoreData::new(gate.clone(), &limits, peak.clone());
        let mut store = Store::new(self.pre.engine(), data);
        store.limiter(|data| &mut data.limiter);
        store.set_hostcall_fuel(limits.call_size());
        store.set_max_component_handles(limits.handles);
        store.set_epoch_deadline(1);
        let (clock, cap) = (stopwatch.clone(), limits.cpu);
        store.epoch_deadline_callback(move |_| clock.tick(cap));
        if self.counts_instructions {
            store.set_fuel(u64::MAX).map_err(|error| trapped(&error, &limits, &gate))?;
        }
        let deadline = deadline(&gate, &limits);
        // A component runs code of its own when it is started, and may wait there too.
        let starting = stopwatch.watch(self.pre.instantiate_async(&mut store));
        let exports = match timeout_at(deadline, AssertUnwindSafe(starting).catch_unwind()).await {
            Ok(Ok(started)) => started.map_err(|error| trapped(&error, &limits, &gate))?,
            Ok(Err(_panic)) => return Err(Error::new(Class::Internal, "the host failed to start the connector")),
            Err(_elapsed) => return Err(limits::WALL.reached(&limits)),
        };
        let instructions = self.counts_instructions.then_some(0);
        let running = Some(Running { store, exports, reader: None });
        Ok(Instance {
            instructions,
            running,
            gate,
            limits,
            stopwatch,
            deadline,
            peak,
            tables: HashSet::new(),
            names: 0,
            _ticker: self.ticker.clone(),
        })
    }
}

impl Instance {
    /// JSON text: the JSON Schema of the configuration.
    pub async fn spec(&mut self) -> Result<String> {
        self.call(|running| {
            async move { running.exports.spile_connector_source().call_spec(&mut running.store).await }.boxed()
        })
        .await
    }

    /// What a configuration asks for. Makes no request. On failure: every defect of the configuration.
    pub async fn describe(&mut self, source: &SourceConfig) -> Result<Description, Vec<Error>> {
        let source = source.clone();
        let description = self
            .call(move |running| {
                async move { running.exports.spile_connector_source().call_describe(&mut running.store, &source).await }
                    .boxed()
            })
            .await
            .map_err(|error| vec![error])?;
        let own = |error| stated(error, &self.gate);
        match description {
            Ok(wit::Description { resources, origins, slots, .. })
                if resources.len().max(origins.len()).max(slots.len()) > most_named(&self.limits) =>
            {
                Err(vec![limits::TABLES.reached(&self.limits)])
            }
            Ok(wit::Description { resources, origins, slots, warnings }) => {
                let warnings = warnings.into_iter().take(MOST_TOLD);
                Ok(Description { resources, origins, slots, warnings: warnings.map(own).collect() })
            }
            Err(errors) if errors.is_empty() => {
                Err(vec![Error::new(Class::Internal, "the connector refused the configuration and gave no reason")])
            }
            Err(errors) => Err(errors.into_iter().take(MOST_TOLD).map(own).collect()),
        }
    }

    /// Makes one cheap request.
    pub async fn check(&mut self, source: &SourceConfig) -> Result<()> {
        let source = source.clone();
        self.call(move |running| {
            async move { running.exports.spile_connector_source().call_check(&mut running.store, &source).await }
                .boxed()
        })
        .await?
        .map_err(|error| reported(error, &self.gate))
    }

    /// Opens a reader, in the place of one that was open. Makes no request.
    pub async fn open(&mut self, request: &OpenRequest) -> Result<()> {
        let OpenRequest { source, resources, state, schema, window, load_id, extent } = request.clone();
        let encoding = wit::Encoding::Arrow;
        let request = wit::OpenRequest { source, resources, state, schema, encoding, window, load_id, extent };
        let opened = self
            .call(move |running| {
                async move {
                    if let Some(reader) = running.reader.take() {
                        reader.resource_drop_async(&mut running.store).await?;
                    }
                    let reader = running.exports.spile_connector_source().reader();
                    let opened = reader.call_open(&mut running.store, &request).await?;
                    Ok(opened.map(|reader| running.reader = Some(reader)))
                }
                .boxed()
            })
            .await?;
        opened.map_err(|error| reported(error, &self.gate))
    }

    /// Hands over at most `max_rows` root records with the rows that stem from them, about `max_bytes` large.
    pub async fn next(&mut self, max_rows: u32, max_bytes: u64) -> Result<Step> {
        let step = self
            .call(move |running| {
                async move {
                    let Some(reader) = running.reader else { return Ok(None) };
                    let guest = running.exports.spile_connector_source().reader();
                    guest.call_next(&mut running.store, reader, max_rows, max_bytes).await.map(Some)
                }
                .boxed()
            })
            .await?
            .ok_or_else(|| Error::new(Class::Internal, "no reader is open"))?;
        if let Some(tape) = self.gate.tape() {
            tape.given(given::digest(&step))?;
        }
        let step = step.map_err(|error| reported(error, &self.gate))?;
        let step = Step::new(step, &self.limits, &self.gate)?;
        if let Step::Batch(batch) = &step {
            for table in &batch.tables {
                if !self.tables.contains(&table.table) {
                    self.names += table.table.len();
                    self.tables.insert(table.table.clone());
                }
                if self.tables.len() > self.limits.tables || self.names > MOST_NAMES {
                    return Err(limits::TABLES.reached(&self.limits));
                }
            }
        }
        Ok(step)
    }

    /// What it took so far.
    pub fn usage(&self) -> Usage {
        Usage { peak_memory: self.peak.load(Ordering::Relaxed), instructions: self.instructions }
    }

    /// The gate that its requests go through.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Ends the instance and gives the bytes of its memories. Needs [`super::HostOptions::memory_images`].
    ///
    /// Nothing outside can look into a component's memory; but a core dump can. So one is provoked: the next call is
    /// interrupted at its first instruction, before it changes anything.
    pub async fn into_memory_image(mut self) -> Result<Vec<u8>> {
        let mut running = self.running.take().ok_or_else(spent)?;
        running.store.epoch_deadline_trap();
        running.store.set_epoch_deadline(0);
        let interrupted = running.exports.spile_connector_source().call_spec(&mut running.store).await;
        match interrupted.as_ref().map_err(|error| error.downcast_ref::<WasmCoreDump>()) {
            Err(Some(dump)) => {
                Ok(dump.memories().iter().flat_map(|memory| memory.data(&running.store)).copied().collect())
            }
            _ => Err(Error::new(Class::Internal, "the host was not set up to give images of memory")),
        }
    }

    /// Makes a call within the limits. The instance is there again only after a call that ended well.
    async fn call<T>(
        &mut self,
        call: impl for<'a> FnOnce(&'a mut Running) -> BoxFuture<'a, wasmtime::Result<T>>,
    ) -> Result<T> {
        let mut running = self.running.take().ok_or_else(spent)?;
        // One that always answers at once is never found waiting.
        if Instant::now() >= self.deadline {
            return Err(limits::WALL.reached(&self.limits));
        }
        running.store.set_epoch_deadline(1);
        // A panic of the host's code for one connector must not end the others.
        let watched = AssertUnwindSafe(self.stopwatch.watch(call(&mut running))).catch_unwind();
        let outcome = timeout_at(self.deadline, watched).await;
        if let Some(instructions) = &mut self.instructions {
            *instructions = running.store.get_fuel().map_or(*instructions, |left| u64::MAX - left);
        }
        match outcome {
            Ok(Ok(Ok(value))) => {
                self.running = Some(running);
                Ok(value)
            }
            Ok(Ok(Err(error))) => Err(trapped(&error, &self.limits, &self.gate)),
            Ok(Err(_panic)) => Err(Error::new(Class::Internal, "the host failed during a call of the connector")),
            Err(_elapsed) => Err(limits::WALL.reached(&self.limits)),
        }
    }
}
