//! The engine: fetches many pages at once, and delivers their rows in one fixed order.
//!
//! What is to be read is a tree: a chain of pages for each root resource, and under each page a chain for each record and
//! each child resource. Rows are delivered depth first: a page, then all that hangs under it, then the next page. Requests are
//! made in the same order, as far ahead as the window permits, so what is needed next is never waited for longer than it takes.
//!
//! The order does not depend on which response arrives first, so the place that was reached is all the state there is.

mod arrive;
mod chain;
mod collapse;
mod counts;
mod cursors;
mod deliver;
mod fetch;
mod guard;
mod pace;
mod receive;
mod redirect;
mod seeds;
mod skipped;
mod state;
mod tokens;
pub mod transport;
mod turn;

use crate::error::{Error, Kind, Result};
use crate::incremental::Asked;
use crate::plan::{Plan, Source};
use crate::request::Response;
use crate::shape::schema::Schema;
use crate::shape::table::TableRows;
use crate::shape::{Batch, Change, Shaper};
use chain::{Chain, Fetch};
use collapse::Collapse;
pub use counts::Counts;
use cursors::Cursors;
use pace::Pace;
use redirect::Sent;
use skipped::Skipped;
use state::State;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tokens::Held;
use transport::{Failure, RequestId, Transport};
pub use turn::{Checking, Pull, Turn};

/// The most requests that may be in flight at once.
pub const LARGEST_WINDOW: u32 = 64;

/// How long a batch that has rows waits for more of them, in milliseconds. Short beside what a commit costs.
const LINGER: u64 = 100;

/// A wait that is shorter, in milliseconds, is no matter of the host's: the reader sleeps through it.
const SHORT: u64 = 500;

/// How to read. See `open-request` in the WIT.
#[allow(missing_docs)]
pub struct OpenRequest<'a> {
    pub source: Source<'a>,
    pub resources: &'a [String],
    pub state: Option<&'a str>,
    pub schema: Option<&'a str>,
    pub window: u32,
    pub load_id: String,
    pub extent: Extent,
}

/// How much is read of resources with a cursor. See `extent` in the WIT.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Extent {
    pub since: Option<String>,
    pub until: Option<String>,
    pub full_refresh: bool,
}

/// What a reader has for its host. See `step` in the WIT.
#[allow(missing_docs)]
pub enum Step {
    Batch { tables: Vec<TableRows>, state: String, schema: Option<String>, changes: Vec<Change>, counts: Vec<Counts> },
    Wait { until: u64, resource: String, reason: String, state: String, counts: Vec<Counts> },
    Done { state: String, counts: Vec<Counts>, warnings: Vec<Error> },
}

/// Reads a source.
pub struct Reader<T> {
    plan: Plan,
    transport: T,
    /// Which resources are delivered, by index.
    selected: Vec<bool>,
    /// Which resources are read, by index: those that are delivered, and those that they depend on.
    read: Vec<bool>,
    roots: VecDeque<Chain>,
    /// The cursors of incremental loading.
    cursors: Cursors,
    /// Tokens, where no host signs, in the order of the plan.
    tokens: Vec<Held>,
    pace: Pace,
    /// What was left out because its requests failed.
    skipped: Skipped,
    shaper: Shaper,
    counts: Vec<Counts>,
    window: usize,
    /// How long a batch that has rows waits for more of them, in milliseconds.
    linger: u64,
    last_id: RequestId,
    in_flight: usize,
    /// Bytes of the response that arrived last.
    last_size: usize,
    arrived: BTreeMap<RequestId, Result<Response, Failure>>,
    /// Requests of pages in flight, for redirects.
    sent: BTreeMap<RequestId, Sent>,
    /// The origins that redirects may lead to.
    origins: BTreeSet<String>,
    /// Requests in flight whose responses nothing needs any more.
    abandoned: BTreeSet<RequestId>,
    warnings: Vec<Error>,
    /// Rows of different parents that have one key.
    collapse: Collapse,
    /// Of resources whose selector matched nothing in the first page of a chain, by index.
    unmatched: BTreeMap<usize, Error>,
    /// Whether it goes on in the middle of a run.
    is_resumed: bool,
    /// Whether the last delivery took in a page.
    moved: bool,
    spent: bool,
}

impl<T: Transport> Reader<T> {
    /// Opens a reader. Makes no request.
    pub fn open(request: OpenRequest<'_>, transport: T) -> Result<Self> {
        let mut plan = Plan::new(&request.source).map_err(first)?;
        let count = plan.resources.len();
        let mut selected = vec![false; count];
        for name in request.resources {
            let index = plan.position(name).ok_or_else(|| unknown_resource(&plan, name))?;
            if let Some(selected) = selected.get_mut(index) {
                *selected = true;
            }
        }
        if request.resources.is_empty() {
            selected = plan.resources.iter().map(|resource| resource.selected).collect();
        }
        let read = closure(&plan, &selected);
        let reads = |index: usize| read.get(index).copied().unwrap_or(false);
        if let Some(error) = plan.unbound(reads) {
            return Err(error);
        }
        let roots: Vec<usize> =
            plan.resources.iter().enumerate().filter(|(_, r)| r.parent.is_none()).map(|(i, _)| i).collect();
        let roots: Vec<usize> = roots.into_iter().filter(|index| reads(*index)).collect();
        let state = request.state.map_or_else(|| Ok(State::between_runs(BTreeMap::new())), State::parse)?;
        let schema = request.schema.map_or_else(|| Ok(Schema::default()), Schema::parse)?;
        let Extent { since, until, full_refresh } = request.extent;
        let asked = Asked { now: transport.now(), since, until };
        let is_fresh = |name: &str| full_refresh && plan.position(name).is_some_and(reads);
        let cursors = state.cursors(asked, &is_fresh);
        let is_resumed = state.is_within_a_run();
        let roots = state.open(&plan, &cursors, &roots, &reads)?;
        let mut pace = Pace::new(&plan.pacing);
        pace.restore(state.pace);
        let counts = plan.resources.iter().map(|resource| Counts::new(&resource.name)).collect();
        let tokens = std::mem::take(&mut plan.tokens).into_iter().map(Held::new).collect();
        let is_selected = |index: usize| selected.get(index).copied().unwrap_or(false);
        Ok(Self {
            collapse: Collapse::new(&plan, is_selected),
            selected,
            read,
            roots,
            cursors,
            tokens,
            pace,
            skipped: state.skipped,
            shaper: Shaper::new(request.load_id, schema),
            counts,
            window: request.window.clamp(1, LARGEST_WINDOW) as usize,
            linger: LINGER,
            last_id: 0,
            in_flight: 0,
            last_size: 0,
            arrived: BTreeMap::new(),
            sent: BTreeMap::new(),
            origins: plan.origins(),
            abandoned: BTreeSet::new(),
            warnings: Vec::new(),
            unmatched: BTreeMap::new(),
            is_resumed,
            moved: false,
            spent: false,
            plan,
            transport,
        })
    }

    /// The page that is due first after `now`: instant, resource, reason.
    fn earliest_due(&self, now: u64) -> Option<(u64, String, String)> {
        fn visit<'c>(chain: &'c Chain, now: u64, found: &mut Option<(u64, usize, &'c str)>) {
            for page in &chain.pages {
                if let Fetch::Due { not_before, reason, .. } = &page.fetch
                    && *not_before > now
                    && found.as_ref().is_none_or(|(until, _, _)| not_before < until)
                {
                    *found = Some((*not_before, chain.resource, reason));
                }
                page.children.iter().for_each(|child| visit(child, now, found));
            }
        }
        let mut found = None;
        self.roots.iter().for_each(|chain| visit(chain, now, &mut found));
        for (until, resource, reason) in self.tokens.iter().filter_map(Held::due).chain(self.pace.held()) {
            if until > now && found.as_ref().is_none_or(|(other, _, _)| until < *other) {
                found = Some((until, resource, reason));
            }
        }
        found.map(|(until, resource, reason)| {
            let name = self.plan.resources.get(resource).map_or_else(String::new, |resource| resource.name.clone());
            (until, name, reason.to_owned())
        })
    }

    fn count(&mut self, index: usize, change: impl FnOnce(&mut Counts)) {
        if let Some(counts) = self.counts.get_mut(index) {
            change(counts);
        }
    }

    /// Counts of the resources that are read.
    fn counts(&self) -> Vec<Counts> {
        self.counts.iter().zip(&self.read).filter(|(_, read)| **read).map(|(counts, _)| counts.clone()).collect()
    }

    fn batch(&mut self) -> Result<Step> {
        let Batch { tables, schema, changes } = self.shaper.take()?;
        self.collapse.look(&self.plan, &tables);
        let state = self.state().to_text()?;
        Ok(Step::Batch { tables, state, schema, changes, counts: self.counts() })
    }

    fn state(&self) -> State {
        let mut state = State::of(&self.plan, &self.roots, &self.cursors);
        state.skipped = self.skipped.clone();
        state
    }

    fn wait(&self, until: u64, resource: String, reason: String) -> Result<Step> {
        let mut state = self.state();
        state.pace = self.pace.kept();
        let state = state.to_text()?;
        Ok(Step::Wait { until, resource, reason, state, counts: self.counts() })
    }

    fn done(&self) -> Result<Step> {
        let mut warnings = [self.warnings.as_slice(), &self.cursors.warnings].concat();
        warnings.extend(self.skipped.warnings());
        warnings.extend(self.collapse.warnings(&self.plan));
        for (index, (resource, counts)) in self.plan.resources.iter().zip(&self.counts).enumerate() {
            // Some parents may have nothing there.
            let is_told = resource.parent.is_none() || !counts.matched;
            warnings.extend(self.unmatched.get(&index).filter(|_| is_told).cloned());
            if counts.skipped > 0 {
                let parent = resource.parent.and_then(|parent| self.plan.resources.get(parent));
                let parent = parent.map_or("", |parent| &parent.name);
                let message = format!(
                    "{} records of `{parent}` lack a field, and were skipped as `on_missing` says",
                    counts.skipped
                );
                let place = format!("{}/endpoint/on_missing", resource.pointer);
                warnings.push(Error::config(place, message).of(&resource.name));
            }
            // A run that goes on may have had others before.
            let is_read = self.selected.get(index) == Some(&true) && !self.is_resumed;
            if is_read && counts.rows == 0 && counts.left_out > 0 {
                let message = format!("the steps leave nothing of {} records", counts.left_out);
                let place = format!("{}/processing_steps", resource.pointer);
                warnings.push(
                    Error::config(place, message)
                        .of(&resource.name)
                        .advice("compare the condition with what `spile preview` shows without it"),
                );
            }
        }
        Ok(Step::Done {
            state: State::between_runs(self.cursors.for_the_next_run()).to_text()?,
            counts: self.counts(),
            warnings,
        })
    }
}

/// The children of a resource that the run reads, in the order of the plan.
fn wanted_children(plan: &Plan, resource: usize, wanted: &dyn Fn(usize) -> bool) -> Vec<usize> {
    let children = plan.resources.get(resource).map_or(&[][..], |resource| &resource.children);
    children.iter().copied().filter(|child| wanted(*child)).collect()
}

/// The selected resources, and all that they depend on.
fn closure(plan: &Plan, selected: &[bool]) -> Vec<bool> {
    let mut read = selected.to_vec();
    for index in 0..read.len() {
        let mut at = selected.get(index).copied().unwrap_or(false).then_some(index);
        while let Some(index) = at {
            if let Some(read) = read.get_mut(index) {
                *read = true;
            }
            at = plan.resources.get(index).and_then(|resource| resource.parent);
        }
    }
    read
}

fn first(errors: Vec<Error>) -> Error {
    errors.into_iter().next().unwrap_or_else(|| Error::new(Kind::Internal, "the configuration is not usable"))
}

fn unknown_resource(plan: &Plan, name: &str) -> Error {
    let names = plan.resources.iter().map(|resource| resource.name.as_str());
    let advice = match crate::config::nearest(name, names.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the resources are {}", names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    };
    Error::new(Kind::Config, format!("there is no resource `{name}`")).advice(advice)
}

#[cfg(test)]
mod chain_properties;
#[cfg(test)]
mod chain_tests;
#[cfg(test)]
mod failure_tests;
#[cfg(test)]
mod incremental_tests;
#[cfg(test)]
mod loss_tests;
#[cfg(test)]
mod pace_tests;
#[cfg(test)]
mod parent_tests;
#[cfg(test)]
mod shaping_tests;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod token_tests;
