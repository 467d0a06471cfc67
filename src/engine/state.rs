//! The state: where to go on, as text.
//!
//! Delivery walks a tree in a fixed order, so the state is the path from the root to the place that was reached: for each
//! chain on the way the page that is delivered or whose children are, and for such a page what its records give to their
//! children. Its size does not depend on how much was delivered before.

use super::chain::{Chain, Fetch, Next, Page};
use super::cursors::{Before, ByResource, Cursors};
use super::pace::Kept;
use super::skipped::Skipped;
use crate::error::{Error, Kind, Result};
use crate::incremental::Asked;
use crate::paginate::{Detected, Found, Position};
use crate::plan::{Context, Plan};
use crate::select::Selector;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// The version of the text form.
const VERSION: u32 = 1;

/// Where a run stands; between runs it has no place.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    version: u32,
    /// The root resource that is being read, all those before it being done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<ChainState>,
    /// Whether all rows of the run were handed over.
    #[serde(default, skip_serializing_if = "is_zero")]
    finished: bool,
    /// What the run was opened with; none between runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<Asked>,
    /// The cursors of incremental loading.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    cursors: ByResource,
    /// Those that have moved, as they were when the run began.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    before: BTreeMap<String, Before>,
    /// What was left out because its requests failed.
    #[serde(default, skip_serializing_if = "Skipped::is_empty")]
    pub skipped: Skipped,
    /// The pace, where the host may open the reader anew after a wait.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pace: Vec<Kept>,
}

/// Where a chain stands.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChainState {
    resource: String,
    /// The place of the parent record in its page.
    record: usize,
    /// The window of the range that it reads.
    #[serde(default, skip_serializing_if = "is_zero")]
    window: usize,
    /// How many pages there were before.
    #[serde(default, skip_serializing_if = "is_zero")]
    passed: u64,
    /// The digest of the last page that was delivered, so that a chain which repeats it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<u64>,
    /// The path to the records that was found, where the configuration has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    selector: Option<Vec<String>>,
    /// The paginator that was found, where the configuration has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    paginator: Option<Found>,
    /// The page whose children are being delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    within: Option<PageState>,
    /// The page after that; none where the chain is at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<NextState>,
}

/// A page that is to be asked for.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NextState {
    page: Position,
    /// Records of it that were delivered.
    #[serde(default, skip_serializing_if = "is_zero")]
    delivered: usize,
    /// Attempts that failed, so that no reopening makes more than are permitted.
    #[serde(default, skip_serializing_if = "is_zero")]
    attempts: u32,
    /// When the next attempt is due.
    #[serde(default, skip_serializing_if = "is_zero")]
    not_before: u64,
}

/// A page whose records were delivered.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageState {
    parents: Vec<Context>,
    child: Box<ChainState>,
}

fn is_zero<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
}

impl State {
    /// Whether a run stands somewhere on its way.
    pub fn is_within_a_run(&self) -> bool {
        self.at.is_some() || self.finished
    }

    /// The state of a tree: of its first root chain, since those before it are done.
    pub fn of(plan: &Plan, roots: &VecDeque<Chain>, cursors: &Cursors) -> Self {
        let at = roots.front().map(|chain| chain_state(plan, chain));
        // Nothing else reads a run's beginning.
        let run = plan.resources.iter().any(|resource| resource.incremental.is_some()).then(|| cursors.asked.clone());
        let finished = at.is_none();
        Self {
            version: VERSION,
            finished,
            at,
            run,
            cursors: cursors.now.clone(),
            before: cursors.before(),
            skipped: Skipped::default(),
            pace: Vec::new(),
        }
    }

    /// The state for the next run.
    pub fn between_runs(cursors: ByResource) -> Self {
        Self {
            version: VERSION,
            at: None,
            finished: false,
            run: None,
            cursors,
            before: BTreeMap::new(),
            skipped: Skipped::default(),
            pace: Vec::new(),
        }
    }

    /// The text form.
    pub fn to_text(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::new(Kind::Internal, error.to_string()))
    }

    /// Reads the text form.
    pub fn parse(text: &str) -> Result<Self> {
        let state: Self = serde_json::from_str(text).map_err(|error| foreign(&error.to_string()))?;
        match state.version {
            VERSION => Ok(state),
            other => Err(foreign(&format!("it has version {other}, and this connector reads version {VERSION}"))),
        }
    }

    /// The cursors of the run that begins or goes on from this state. A run that goes on is the one that it was.
    pub fn cursors(&self, asked: Asked, fresh: &dyn Fn(&str) -> bool) -> Cursors {
        if self.at.is_some() || self.finished {
            return Cursors::resume(self.run.clone().unwrap_or(asked), self.cursors.clone(), self.before.clone());
        }
        let mut cursors = self.cursors.clone();
        cursors.retain(|resource, _| !fresh(resource));
        Cursors::resume(asked, cursors, BTreeMap::new())
    }

    /// The root chains from this state on. `roots` are the root resources of the run, `wanted` tells which resources it reads.
    pub fn open(
        &self,
        plan: &Plan,
        cursors: &Cursors,
        roots: &[usize],
        wanted: &dyn Fn(usize) -> bool,
    ) -> Result<VecDeque<Chain>> {
        let mut chains = VecDeque::new();
        if self.finished {
            return Ok(chains);
        }
        for root in roots {
            chains.extend(Chain::all(plan, cursors, *root, 0, Context::default())?);
        }
        let Some(at) = &self.at else { return Ok(chains) };
        let first = open_chain(plan, cursors, at, Context::default(), wanted)?;
        let start = chains.iter().position(|chain| (chain.resource, chain.window) == (first.resource, first.window));
        let start = start.ok_or_else(|| foreign(&format!("`{}` is no root resource of this run", at.resource)))?;
        chains.drain(..=start);
        chains.push_front(first);
        Ok(chains)
    }
}

fn chain_state(plan: &Plan, chain: &Chain) -> ChainState {
    let name = plan.resources.get(chain.resource).map_or_else(String::new, |resource| resource.name.clone());
    let mut pages = chain.pages.iter();
    let mut front = pages.next();
    let mut within = None;
    let mut digest = chain.before;
    // What was found in a page that merely is here already is no part of the place that was reached.
    let has_begun =
        chain.passed > 0 || front.is_some_and(|page| page.delivered > 0 || matches!(page.fetch, Fetch::Delivered));
    if let Some(page) = front
        && matches!(page.fetch, Fetch::Delivered)
    {
        digest = page.digest;
        within = page
            .children
            .front()
            .map(|child| PageState { parents: page.parents.clone(), child: Box::new(chain_state(plan, child)) });
        front = pages.next();
    }
    let next = match (front, &chain.next) {
        (Some(page), _) => Some(next_state(page)),
        (None, Next::Page(following)) => {
            Some(NextState { page: following.position.clone(), delivered: 0, attempts: 0, not_before: 0 })
        }
        (None, _) => None,
    };
    ChainState {
        resource: name,
        record: chain.record,
        window: chain.window,
        passed: chain.passed,
        digest,
        selector: chain.detected.as_ref().filter(|_| has_begun).and_then(|found| found.keys()).map(<[String]>::to_vec),
        paginator: chain.paginator.as_ref().filter(|_| has_begun).map(|detected| detected.found.clone()),
        within,
        next,
    }
}

fn next_state(page: &Page) -> NextState {
    let (attempts, not_before) = match &page.fetch {
        Fetch::Due { attempts, not_before, .. } => (*attempts, *not_before),
        _ => (0, 0),
    };
    NextState { page: page.position.clone(), delivered: page.delivered, attempts, not_before }
}

fn open_chain(
    plan: &Plan,
    cursors: &Cursors,
    state: &ChainState,
    context: Context,
    wanted: &dyn Fn(usize) -> bool,
) -> Result<Chain> {
    let resource = plan.position(&state.resource).filter(|index| wanted(*index));
    let resource = resource.ok_or_else(|| foreign(&format!("this run reads no resource `{}`", state.resource)))?;
    let chains = Chain::all(plan, cursors, resource, state.record, context)?;
    let chain = chains.into_iter().nth(state.window);
    let mut chain = chain.ok_or_else(|| foreign(&format!("`{}` has no such window", state.resource)))?;
    chain.next = Next::End;
    chain.passed = state.passed;
    chain.before = state.digest;
    chain.detected = state.selector.clone().map(|keys| Rc::new(Selector::of_keys(keys)));
    chain.paginator = state.paginator.clone().map(|found| Rc::new(Detected::new(found)));

    if let Some(within) = &state.within {
        let children: Vec<usize> = super::wanted_children(plan, resource, wanted);
        let (name, record) = (&within.child.resource, within.child.record);
        let child = plan.position(name).filter(|child| children.contains(child));
        let child = child.ok_or_else(|| foreign(&format!("`{name}` does not depend on `{}`", state.resource)))?;
        let mut page = Page::due(Position::First);
        page.fetch = Fetch::Delivered;
        page.digest = state.digest;
        page.parents = within.parents.clone();
        let from = (child, record, within.child.window);
        page.open_children(plan, cursors, &children, Some(from))?;
        let begun = page.children.pop_front().filter(|begun| (begun.resource, begun.record, begun.window) == from);
        let begun = begun.ok_or_else(|| foreign("a parent record is missing"))?;
        page.children.push_front(open_chain(plan, cursors, &within.child, begun.context, wanted)?);
        chain.pages.push_back(page);
    }
    if let Some(next) = &state.next {
        let mut page = Page::due(next.page.clone());
        page.delivered = next.delivered;
        page.fetch = Fetch::Due {
            attempts: next.attempts,
            not_before: next.not_before,
            reason: "the run was reopened".to_owned(),
        };
        chain.pages.push_back(page);
        chain.next = Next::Unknown;
    }
    Ok(chain)
}

fn foreign(why: &str) -> Error {
    Error::new(Kind::Config, format!("the state does not belong to this configuration: {why}"))
        .advice("open without a state to begin anew")
}
