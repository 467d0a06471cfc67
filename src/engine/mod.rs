//! The engine: fetches many pages at once, and delivers their rows in one fixed order.
//!
//! What is to be read is a tree: a chain of pages for each root resource, and under each page a chain for each record and
//! each child resource. Rows are delivered depth first: a page, then all that hangs under it, then the next page. Requests are
//! made in the same order, as far ahead as the window permits, so what is needed next is never waited for longer than it takes.
//!
//! The order does not depend on which response arrives first, so the place that was reached is all the state there is.

mod chain;
mod counts;
mod state;
pub mod transport;

use crate::error::{Error, Kind, Result};
use crate::paginate;
use crate::plan::{Plan, Source};
use crate::request::{Response, redacted};
use crate::retry::Verdict;
use crate::select;
use crate::shape::schema::Schema;
use crate::shape::table::TableRows;
use crate::shape::{Shaper, Target, identity};
use chain::{Chain, Fetch, Next, Page};
pub use counts::Counts;
use serde_json::Value;
use state::State;
use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::rc::Rc;
use transport::{Failure, RequestId, Transport};

/// The most requests that may be in flight at once.
pub const LARGEST_WINDOW: u32 = 64;

/// Pages that are in flight, waiting or undelivered, for each place in the window. More keeps the window full while the page
/// that is delivered next is slow; less keeps memory down.
const PAGES_PER_PLACE: usize = 2;

/// How long a batch that has rows waits for more of them, in milliseconds. Short beside what a commit costs.
const LINGER: u64 = 100;

/// How to read. See `open-request` in the WIT.
#[allow(missing_docs)]
pub struct OpenRequest<'a> {
    pub source: Source<'a>,
    pub resources: &'a [String],
    pub state: Option<&'a str>,
    pub schema: Option<&'a str>,
    pub window: u32,
    pub load_id: String,
}

/// What a reader has for its host. See `step` in the WIT.
#[allow(missing_docs)]
pub enum Step {
    Batch { tables: Vec<TableRows>, state: String, schema: Option<String>, counts: Vec<Counts> },
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
    shaper: Shaper,
    counts: Vec<Counts>,
    window: usize,
    last_id: RequestId,
    in_flight: usize,
    arrived: BTreeMap<RequestId, Result<Response, Failure>>,
    /// Whether the last delivery took in a page.
    moved: bool,
    spent: bool,
}

/// How far a delivery came.
enum Delivery {
    /// The chain is at its end.
    Complete,
    /// The next page is not here yet.
    Blocked,
    /// The batch is full.
    Full,
    /// The next page cannot be had.
    Failed(Box<Error>),
}

/// What a batch may still take.
struct Room {
    rows: usize,
    bytes: usize,
    taken: usize,
}

impl Room {
    fn is_full(&self) -> bool {
        self.taken > 0 && (self.rows == 0 || self.bytes == 0)
    }
}

impl<T: Transport> Reader<T> {
    /// Opens a reader. Makes no request.
    pub fn open(request: OpenRequest<'_>, transport: T) -> Result<Self> {
        let plan = Plan::new(&request.source).map_err(first)?;
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
        let state = request.state.map_or_else(|| Ok(State::between_runs()), State::parse)?;
        let schema = request.schema.map_or_else(|| Ok(Schema::default()), Schema::parse)?;
        let roots = state.open(&plan, &roots, &reads)?;
        let counts = plan.resources.iter().map(|resource| Counts::new(&resource.name)).collect();
        Ok(Self {
            selected,
            read,
            roots: roots.into(),
            shaper: Shaper::new(request.load_id, schema),
            counts,
            window: request.window.clamp(1, LARGEST_WINDOW) as usize,
            last_id: 0,
            in_flight: 0,
            arrived: BTreeMap::new(),
            moved: false,
            spent: false,
            plan,
            transport,
        })
    }

    /// The next step, with at most `max_rows` root rows and about `max_bytes` bytes.
    pub fn next(&mut self, max_rows: u32, max_bytes: u64) -> Result<Step> {
        if self.spent {
            return Err(Error::new(Kind::Internal, "the reader is spent: it gave an error or `done` before"));
        }
        let step = self.step(max_rows, max_bytes);
        self.spent = matches!(step, Err(_) | Ok(Step::Done { .. }));
        step
    }

    fn step(&mut self, max_rows: u32, max_bytes: u64) -> Result<Step> {
        let bytes = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        let mut room = Room { rows: max_rows.max(1) as usize, bytes, taken: 0 };
        let mut flush_at = None;
        loop {
            self.advance();
            self.moved = false;
            match self.deliver(&mut room)? {
                Delivery::Full => return self.batch(),
                Delivery::Complete | Delivery::Failed(_) if room.taken > 0 => return self.batch(),
                Delivery::Complete => return self.done(),
                Delivery::Failed(error) => return Err(*error),
                // Delivery makes room in the window.
                Delivery::Blocked if self.moved => continue,
                Delivery::Blocked => {}
            }
            let now = self.transport.now();
            let due = self.earliest_due(now);
            let mut until = due.as_ref().map(|(until, _, _)| *until);
            if room.taken > 0 {
                let flush_at = *flush_at.get_or_insert(now.saturating_add(LINGER));
                if now >= flush_at || self.in_flight == 0 {
                    return self.batch();
                }
                until = Some(until.map_or(flush_at, |until| until.min(flush_at)));
            }
            if self.in_flight > 0 {
                self.poll(until);
            } else {
                let Some((until, resource, reason)) = due else {
                    return Err(Error::new(Kind::Internal, "nothing is in flight and nothing is due"));
                };
                return self.wait(until, resource, reason);
            }
        }
    }

    fn poll(&mut self, until: Option<u64>) {
        for (id, outcome) in self.transport.poll(until) {
            self.in_flight = self.in_flight.saturating_sub(1);
            self.arrived.insert(id, outcome);
        }
    }

    /// Takes in what arrived and sends what is due, in the order of delivery, as far ahead as the window permits.
    fn advance(&mut self) {
        let mut roots = std::mem::take(&mut self.roots);
        let mut ahead = self.window.max(1) * PAGES_PER_PLACE;
        for chain in &mut roots {
            if self.advance_chain(chain, &mut ahead).is_break() {
                break;
            }
        }
        self.roots = roots;
    }

    /// Breaks where nothing after this place may be asked for yet.
    fn advance_chain(&mut self, chain: &mut Chain, ahead: &mut usize) -> ControlFlow<()> {
        let mut nth = 0;
        loop {
            let is_last = nth + 1 == chain.pages.len();
            let Some(page) = chain.pages.get_mut(nth) else {
                let Next::Page(position) = &chain.next else { return ControlFlow::Continue(()) };
                chain.pages.push_back(Page::due(position.clone()));
                chain.next = Next::Unknown;
                continue;
            };
            if !matches!(page.fetch, Fetch::Delivered) {
                if *ahead == 0 {
                    return ControlFlow::Break(());
                }
                *ahead -= 1;
            }
            if let Fetch::InFlight { id, attempt } = page.fetch
                && let Some(outcome) = self.arrived.remove(&id)
            {
                let next = self.arrive(chain.resource, &chain.context, &mut chain.detected, page, attempt, outcome);
                if is_last && let Some(next) = next {
                    chain.next = next;
                }
            }
            if let Fetch::Due { attempts, not_before, .. } = page.fetch
                && self.in_flight < self.window
                && not_before <= self.transport.now()
            {
                let request =
                    self.plan.resources.get(chain.resource).map(|r| r.request(&chain.context, &page.position));
                match request {
                    Some(Ok(request)) => {
                        self.last_id += 1;
                        self.in_flight += 1;
                        self.count(chain.resource, |counts| {
                            counts.requests += 1;
                            counts.retries += u64::from(attempts > 0);
                        });
                        page.fetch = Fetch::InFlight { id: self.last_id, attempt: attempts + 1 };
                        self.transport.send(self.last_id, request);
                    }
                    Some(Err(error)) => page.fetch = Fetch::Failed(Box::new(error)),
                    None => {}
                }
            }
            if matches!(page.fetch, Fetch::Failed(_)) {
                return ControlFlow::Break(());
            }
            for child in &mut page.children {
                self.advance_chain(child, ahead)?;
            }
            nth += 1;
        }
    }

    /// Takes in the outcome of a request. Tells what follows the page, once that is known.
    fn arrive(
        &mut self,
        index: usize,
        context: &crate::plan::Context,
        detected: &mut Option<Rc<select::Selector>>,
        page: &mut Page,
        attempt: u32,
        outcome: Result<Response, Failure>,
    ) -> Option<Next> {
        let resource = self.plan.resources.get(index)?;
        let failed = |kind: Kind, message: String, response: Option<&Response>, retry_after: Option<u64>| {
            let url = resource.request(context, &page.position).ok().map(|request| redacted(&request.url));
            let status = response.map(|response| response.status);
            let attempts = Some(attempt);
            Box::new(Error { status, url, attempts, retry_after, ..Error::new(kind, message).of(&resource.name) })
        };
        let (kind, message, response, retried) = match outcome {
            Ok(response) if (200..300).contains(&response.status) => {
                match serde_json::from_slice::<Value>(&response.body) {
                    Ok(body) => {
                        let selector = resource.selector.as_ref();
                        let next =
                            self.receive(index, selector.is_none(), context, detected, page, response.headers, body);
                        return Some(match next {
                            Ok(next) => next,
                            Err(error) => {
                                page.fetch = Fetch::Failed(Box::new(error));
                                Next::End
                            }
                        });
                    }
                    Err(error) => {
                        let message = format!("the response is not valid JSON: {error}");
                        page.fetch = Fetch::Failed(failed(Kind::Upstream, message, Some(&response), None));
                        return None;
                    }
                }
            }
            Ok(response) => {
                let kind = kind_of(response.status);
                let message = format!("the API answered with status {}", response.status);
                let retried = resource.retry.covers(response.status);
                (kind, message, Some(response), retried)
            }
            Err(Failure::Denied(why)) => (Kind::Permission, format!("the host denied the request: {why}"), None, false),
            Err(Failure::TooLarge(why)) => (Kind::Limit, format!("the response is too large: {why}"), None, false),
            Err(Failure::Network(why)) => (Kind::Transient, format!("the request failed: {why}"), None, true),
        };
        let verdict = match retried {
            true => resource.retry.after(attempt, response.as_ref(), self.transport.now()),
            false => Verdict::GiveUp(None),
        };
        page.fetch = match verdict {
            Verdict::After(wait) => {
                let not_before = self.transport.now().saturating_add(wait);
                Fetch::Due { attempts: attempt, not_before, reason: message }
            }
            Verdict::GiveUp(asked) => Fetch::Failed(failed(kind, message, response.as_ref(), asked)),
        };
        None
    }

    /// Takes the records out of a response. Tells what follows the page.
    fn receive(
        &mut self,
        index: usize,
        detect: bool,
        context: &crate::plan::Context,
        detected: &mut Option<Rc<select::Selector>>,
        page: &mut Page,
        headers: Vec<(String, String)>,
        mut body: Value,
    ) -> Result<Next> {
        let plan = &self.plan;
        let Some(resource) = plan.resources.get(index) else { return Ok(Next::End) };
        if detect {
            detected.get_or_insert_with(|| Rc::new(select::detect(&body)));
        }
        let selector = resource.selector.as_ref().or(detected.as_deref());
        let url = resource.request(context, &page.position)?.url;
        let (records, last_record) = selector.map_or((0, None), |selector| selector.count_records(&body));
        let view = paginate::Page { url: &url, headers: &headers, body: &body, records, last_record };
        let next = resource.paginator.next(&page.position, &view);
        let next = next.map_err(|error| Error { url: Some(redacted(&url)), ..error.of(&resource.name) })?;
        let next = next.map_or(Next::End, |following| Next::Page(following.position));
        let found = selector.and_then(|selector| selector.take_records(&mut body));
        let matched = found.is_some();
        let records = found.unwrap_or_default();
        let children = wanted_children(plan, index, &|index| self.read.get(index).copied().unwrap_or(false));
        if !children.is_empty() {
            page.keep_parents(plan, index, context, &records)?;
            page.open_children(plan, &children, None);
        }
        page.fetch = Fetch::Ready(records);
        self.count(index, |counts| {
            counts.pages += 1;
            counts.matched |= matched;
        });
        Ok(next)
    }

    /// Shapes what is here, in the order of delivery, until the batch is full or a page is missing.
    fn deliver(&mut self, room: &mut Room) -> Result<Delivery> {
        let mut roots = std::mem::take(&mut self.roots);
        let mut outcome = Ok(Delivery::Complete);
        while let Some(chain) = roots.front_mut() {
            outcome = self.deliver_chain(chain, room);
            if !matches!(outcome, Ok(Delivery::Complete)) {
                break;
            }
            roots.pop_front();
        }
        self.roots = roots;
        outcome
    }

    fn deliver_chain(&mut self, chain: &mut Chain, room: &mut Room) -> Result<Delivery> {
        loop {
            let Some(page) = chain.pages.front_mut() else {
                return Ok(if chain.next == Next::End { Delivery::Complete } else { Delivery::Blocked });
            };
            match std::mem::replace(&mut page.fetch, Fetch::Delivered) {
                Fetch::Delivered => {}
                Fetch::Ready(records) => {
                    let done = self.deliver_records(chain.resource, &records, &mut page.delivered, room)?;
                    if !done {
                        page.fetch = Fetch::Ready(records);
                        return Ok(Delivery::Full);
                    }
                    self.moved = true;
                }
                Fetch::Failed(error) => {
                    page.fetch = Fetch::Failed(error.clone());
                    return Ok(Delivery::Failed(error));
                }
                pending => {
                    page.fetch = pending;
                    return Ok(Delivery::Blocked);
                }
            }
            while let Some(child) = page.children.front_mut() {
                match self.deliver_chain(child, room)? {
                    Delivery::Complete => page.children.pop_front(),
                    other => return Ok(other),
                };
            }
            // The page before tells what follows, so it stays until that is known.
            chain.pages.pop_front();
        }
    }

    /// Whether all records of the page are delivered now.
    fn deliver_records(
        &mut self,
        index: usize,
        records: &[Value],
        delivered: &mut usize,
        room: &mut Room,
    ) -> Result<bool> {
        if !self.selected.get(index).copied().unwrap_or(false) {
            *delivered = records.len();
            return Ok(true);
        }
        let Some(resource) = self.plan.resources.get(index) else { return Ok(true) };
        let target = Target {
            resource: &resource.name,
            table: &resource.table,
            max_nesting: resource.max_nesting,
            write_disposition: resource.write_disposition,
        };
        let rest = records.get(*delivered..).unwrap_or_default();
        let random = self.transport.random(rest.len().min(room.rows) * identity::BYTES);
        let mut ids = random.chunks_exact(identity::BYTES);
        for record in rest {
            if room.is_full() {
                return Ok(false);
            }
            let bytes = self.shaper.add(&target, record, ids.next().unwrap_or_default())?;
            room.taken += 1;
            room.rows = room.rows.saturating_sub(1);
            room.bytes = room.bytes.saturating_sub(bytes);
            *delivered += 1;
            if let Some(counts) = self.counts.get_mut(index) {
                counts.rows += 1;
            }
        }
        Ok(true)
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
        let (tables, schema) = self.shaper.take()?;
        let state = State::of(&self.plan, &self.roots).to_text()?;
        Ok(Step::Batch { tables, state, schema, counts: self.counts() })
    }

    fn wait(&self, until: u64, resource: String, reason: String) -> Result<Step> {
        let state = State::of(&self.plan, &self.roots).to_text()?;
        Ok(Step::Wait { until, resource, reason, state, counts: self.counts() })
    }

    fn done(&self) -> Result<Step> {
        let mut warnings = Vec::new();
        for (resource, counts) in self.plan.resources.iter().zip(&self.counts) {
            if counts.pages > 0 && !counts.matched {
                let place = format!("{}/endpoint/data_selector", resource.pointer);
                let message = format!("the selector matched nothing in {} pages, so there are no rows", counts.pages);
                warnings.push(Error::config(place, message).of(&resource.name));
            }
        }
        Ok(Step::Done { state: State::between_runs().to_text()?, counts: self.counts(), warnings })
    }

    /// Makes one request, as the first root resource's first page, and gives up its rows.
    pub fn check(mut self) -> Result<()> {
        let Some(root) = self.roots.front().map(|chain| chain.resource) else { return Ok(()) };
        self.read = vec![false; self.plan.resources.len()];
        self.selected = self.read.clone();
        self.roots = VecDeque::from([Chain::new(&self.plan, root, 0, Default::default())]);
        self.window = 1;
        self.advance();
        // No further request: neither the next page nor a second attempt.
        self.window = 0;
        loop {
            match self.roots.front().and_then(|chain| chain.pages.front()).map(|page| &page.fetch) {
                Some(Fetch::Failed(error)) => return Err((**error).clone()),
                // A limit on the rate shows that the credentials are accepted.
                Some(Fetch::InFlight { .. }) => {
                    self.poll(None);
                    self.advance();
                }
                Some(Fetch::Due { reason, .. }) => {
                    return Err(Error::new(Kind::Transient, reason.clone()).advice("try again in a while"));
                }
                _ => return Ok(()),
            }
        }
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

fn kind_of(status: u16) -> Kind {
    match status {
        401 => Kind::Auth,
        403 => Kind::Permission,
        429 => Kind::RateLimited,
        500..=599 => Kind::Transient,
        _ => Kind::Upstream,
    }
}

#[cfg(test)]
mod tests;
