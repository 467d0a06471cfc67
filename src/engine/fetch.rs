//! Fetching: sends what is due, and takes in what arrived, in the order of delivery.

use super::chain::{Chain, Fetch, Next, Page};
use super::transport::{Failure, Transport};
use super::{Reader, guard, wanted_children};
use crate::error::{Error, Kind, Result};
use crate::paginate::{self, Detected, Following};
use crate::request::{Method, Response, redacted};
use crate::retry::Verdict;
use crate::select;
use serde_json::Value;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::rc::Rc;

/// Pages that are in flight, waiting or undelivered, for each place in the window. While the chain that is delivered next goes
/// on page by page, the window is kept full by the chains after it, whose pages must be kept until their turn.
const PAGES_PER_PLACE: usize = 32;

/// Bytes of responses that may be kept undelivered, so that large pages are kept in smaller numbers. As records they take
/// several times as much.
const KEPT_BYTES: usize = 2 << 20;

/// How far ahead of what is delivered next requests may still be made.
struct Ahead {
    pages: usize,
    bytes: usize,
}

impl<T: Transport> Reader<T> {
    pub(super) fn poll(&mut self, until: Option<u64>) {
        for (id, outcome) in self.transport.poll(until) {
            self.in_flight = self.in_flight.saturating_sub(1);
            if self.abandoned.remove(&id) {
                continue;
            }
            match self.tokens.iter_mut().find(|token| token.is_asked_by(id)) {
                Some(token) => token.arrive(outcome, self.transport.now()),
                None => drop(self.arrived.insert(id, outcome)),
            }
        }
    }

    /// Takes in what arrived and sends what is due, in the order of delivery, as far ahead as the window permits.
    pub(super) fn advance(&mut self) {
        let mut roots = std::mem::take(&mut self.roots);
        let mut ahead = Ahead { pages: self.window.max(1) * PAGES_PER_PLACE, bytes: KEPT_BYTES };
        let outcome = roots.iter_mut().try_for_each(|chain| self.advance_chain(chain, &mut ahead));
        if outcome.is_continue() {
            // All that is known to follow is asked for.
            roots.iter_mut().for_each(|chain| self.guess(chain));
        }
        self.roots = roots;
    }

    /// Asks for the page after the last known one, on the chance that there is one, where the window has room that nothing else
    /// uses. That costs one request at the end of a chain, so a chain has to have a second page first, and its requests
    /// must change nothing.
    fn guess(&mut self, chain: &mut Chain) {
        if self.in_flight >= self.window {
            return;
        }
        chain.pages.iter_mut().flat_map(|page| &mut page.children).for_each(|child| self.guess(child));
        let Some(resource) = self.plan.resources.get(chain.resource) else { return };
        let Some(last) = chain.pages.back().filter(|last| matches!(last.fetch, Fetch::InFlight { .. })) else { return };
        let is_first = chain.passed == 0 && chain.pages.len() == 1;
        let is_long = chain.passed.saturating_add(chain.pages.len() as u64) >= resource.maximum_pages;
        if chain.next != Next::Unknown
            || chain.is_bounded
            || last.is_guess
            || is_first
            || is_long
            || resource.method != Method::Get
        {
            return;
        }
        let Some(paginator) = resource.paginator.as_ref().or(chain.found()) else { return };
        // Where the API caps its pages, the next one begins where no one can tell yet.
        if paginator.is_between(&last.position) {
            return;
        }
        if let Some(position) = paginator.after(&last.position) {
            chain.pages.push_back(Page { is_guess: true, ..Page::due(position) });
            self.send_due(chain, chain.pages.len() - 1);
        }
    }

    /// Breaks where nothing after this place may be asked for yet.
    fn advance_chain(&mut self, chain: &mut Chain, ahead: &mut Ahead) -> ControlFlow<()> {
        let mut nth = 0;
        let mut before = chain.before;
        loop {
            if nth == chain.pages.len() {
                let Next::Page(following) = &chain.next else { return ControlFlow::Continue(()) };
                let following = following.clone();
                self.take_on(chain, following);
            }
            self.arrivals(chain, nth);
            let Some(page) = chain.pages.get_mut(nth) else { return ControlFlow::Continue(()) };
            if !matches!(page.fetch, Fetch::Delivered) {
                if ahead.pages == 0 || ahead.bytes == 0 {
                    return ControlFlow::Break(());
                }
                ahead.pages -= 1;
            }
            let repeated = match &page.fetch {
                Fetch::Ready { records, .. }
                    if !records.is_empty() && page.digest.is_some() && page.digest == before =>
                {
                    Some(records.len())
                }
                _ => None,
            };
            before = page.digest;
            if let Some(records) = repeated {
                let error = self.failed(chain, nth, guard::repeated(records));
                if let Some(page) = chain.pages.get_mut(nth) {
                    page.fetch = Fetch::Failed(Box::new(error));
                }
                return ControlFlow::Break(());
            }
            self.send_due(chain, nth);
            let Some(page) = chain.pages.get_mut(nth) else { return ControlFlow::Break(()) };
            match &page.fetch {
                Fetch::Ready { size, .. } => ahead.bytes = ahead.bytes.saturating_sub(*size),
                // Most likely as large as the last one; else all that is in flight would come on top of what is kept.
                Fetch::InFlight { .. } => ahead.bytes = ahead.bytes.saturating_sub(self.last_size),
                Fetch::Failed(_) => return ControlFlow::Break(()),
                _ => {}
            }
            for child in &mut page.children {
                self.advance_chain(child, ahead)?;
            }
            nth += 1;
        }
    }

    /// Adds the page that follows to a chain. Where the total puts more pages after it, those can follow at once.
    fn take_on(&mut self, chain: &mut Chain, following: Following) {
        let Some(resource) = self.plan.resources.get(chain.resource) else { return };
        let promised = following.last.and_then(|last| {
            let position = resource.paginator.as_ref().or(chain.found())?.after(&following.position)?;
            (position.number()? <= last).then_some(Following { position, last: Some(last) })
        });
        chain.next = promised.map_or(Next::Unknown, Next::Page);
        let mut page = Page::due(following.position);
        if chain.passed.saturating_add(chain.pages.len() as u64) >= resource.maximum_pages {
            page.fetch = Fetch::Failed(Box::new(guard::too_long(resource.maximum_pages).of(&resource.name)));
        }
        chain.pages.push_back(page);
    }

    /// Sends the request of a page, if it is due and there is room in the window.
    fn send_due(&mut self, chain: &mut Chain, nth: usize) {
        let Some(page) = chain.pages.get_mut(nth) else { return };
        let Fetch::Due { attempts, not_before, .. } = page.fetch else { return };
        if self.in_flight >= self.window || not_before > self.transport.now() {
            return;
        }
        let token = match self.token_for(chain.resource) {
            Ok(Some(token)) => token,
            Ok(None) => return,
            Err(error) => {
                page.fetch = Fetch::Failed(error);
                return;
            }
        };
        let Some(resource) = self.plan.resources.get(chain.resource) else { return };
        match resource.request(&chain.context, &page.position, chain.paginator.as_ref().map(|found| &found.paginator)) {
            Ok(mut request) => {
                if let Some((with, placement)) = token {
                    page.signed.with = with;
                    resource.sign(&mut request, placement);
                }
                self.last_id += 1;
                self.in_flight += 1;
                self.count(chain.resource, |counts| {
                    counts.requests += 1;
                    counts.retries += u64::from(attempts > 0);
                });
                page.fetch = Fetch::InFlight { id: self.last_id, attempt: attempts + 1 };
                self.transport.send(self.last_id, request);
            }
            Err(error) => page.fetch = Fetch::Failed(Box::new(error)),
        }
    }

    /// An error of a page, with its resource and URL.
    fn failed(&self, chain: &Chain, nth: usize, error: Error) -> Error {
        let Some(resource) = self.plan.resources.get(chain.resource) else { return error };
        let position = chain.pages.get(nth).map(|page| &page.position);
        let request = position.and_then(|position| resource.request(&chain.context, position, chain.found()).ok());
        Error { url: request.map(|request| redacted(&request.url)), ..error.of(&resource.name) }
    }

    /// Takes in the response to a page, if it arrived.
    fn arrivals(&mut self, chain: &mut Chain, nth: usize) {
        let Some(page) = chain.pages.get(nth) else { return };
        let Fetch::InFlight { id, attempt } = page.fetch else { return };
        if page.is_guess {
            return;
        }
        let Some(outcome) = self.arrived.remove(&id) else { return };
        match self.arrive(chain, nth, attempt, outcome) {
            Ok(following) => self.link(chain, nth, following),
            Err(fetch) => {
                if let Some(page) = chain.pages.get_mut(nth) {
                    page.fetch = fetch;
                }
            }
        }
    }

    /// Takes in what follows a page. What was asked for after it on the word of the total is given up where it does not
    /// follow: the page is the last one, or has fewer records than it should.
    fn link(&mut self, chain: &mut Chain, nth: usize, following: Option<Following>) {
        if let (Some(next), Some(following)) = (chain.pages.get_mut(nth + 1), &following)
            && next.position == following.position
        {
            next.is_guess = false;
            return;
        }
        let given_up = chain.pages.split_off(nth + 1);
        self.abandon(given_up);
        chain.next = following.map_or(Next::End, Next::Page);
    }

    /// Gives up pages and all that hangs under them. Their responses are dropped when they arrive.
    fn abandon(&mut self, pages: VecDeque<Page>) {
        for page in pages {
            if let Fetch::InFlight { id, .. } = page.fetch
                && self.arrived.remove(&id).is_none()
            {
                self.abandoned.insert(id);
            }
            for child in page.children {
                self.abandon(child.pages);
            }
        }
    }

    /// Takes in the outcome of a request. Tells what follows the page, or how the page stands without a response.
    fn arrive(
        &mut self,
        chain: &mut Chain,
        nth: usize,
        attempt: u32,
        outcome: Result<Response, Failure>,
    ) -> Result<Option<Following>, Fetch> {
        let give_up = |reader: &Self, chain: &Chain, error: Error| {
            Fetch::Failed(Box::new(reader.failed(chain, nth, Error { attempts: Some(attempt), ..error })))
        };
        if let Ok(response) = &outcome
            && let Some(page) = chain.pages.get_mut(nth)
            && self.renews_token(chain.resource, &mut page.signed, response.status)
        {
            // Not the page's fault, so it is no attempt.
            let reason = "the API refused the token".to_owned();
            return Err(Fetch::Due { attempts: attempt.saturating_sub(1), not_before: 0, reason });
        }
        let (kind, message, response) = match outcome {
            Ok(response) if (200..300).contains(&response.status) => {
                let status = Some(response.status);
                // A byte order mark is no part of the JSON.
                let json = response.body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&response.body);
                return match serde_json::from_slice::<Value>(json) {
                    Ok(body) => self
                        .receive(chain, nth, &response, body)
                        .map_err(|error| give_up(self, chain, Error { status, ..error })),
                    Err(error) => {
                        let error = Error::new(Kind::Upstream, format!("the response is not valid JSON: {error}"));
                        Err(give_up(self, chain, Error { status, ..error }))
                    }
                };
            }
            Ok(response) => {
                let message = format!("the API answered with status {}", response.status);
                (kind_of(response.status), message, Some(response))
            }
            Err(Failure::Denied(why)) => (Kind::Permission, format!("the host denied the request: {why}"), None),
            Err(Failure::TooLarge(why)) => (Kind::Limit, format!("the response is too large: {why}"), None),
            Err(Failure::Network(why)) => (Kind::Transient, format!("the request failed: {why}"), None),
        };
        let now = self.transport.now();
        let verdict = match (self.plan.resources.get(chain.resource), &response) {
            (Some(resource), Some(answer)) if resource.retry.covers(answer.status) => {
                resource.retry.after(attempt, response.as_ref(), now)
            }
            (Some(resource), None) if kind == Kind::Transient => resource.retry.after(attempt, None, now),
            _ => Verdict::GiveUp(None),
        };
        Err(match verdict {
            Verdict::After(wait) => {
                Fetch::Due { attempts: attempt, not_before: now.saturating_add(wait), reason: message }
            }
            Verdict::GiveUp(retry_after) => {
                let status = response.map(|response| response.status);
                give_up(self, chain, Error { status, retry_after, ..Error::new(kind, message) })
            }
        })
    }

    /// Takes the records out of a response. Tells what follows the page.
    fn receive(
        &mut self,
        chain: &mut Chain,
        nth: usize,
        response: &Response,
        mut body: Value,
    ) -> Result<Option<Following>> {
        let index = chain.resource;
        let before = match nth.checked_sub(1) {
            Some(before) => chain.pages.get(before).and_then(|page| page.digest),
            None => chain.before,
        };
        let (Some(resource), Some(page)) = (self.plan.resources.get(index), chain.pages.get_mut(nth)) else {
            return Ok(None);
        };

        if resource.selector.is_none() {
            chain.detected.get_or_insert_with(|| Rc::new(select::detect(&body)));
        }
        let selector = resource.selector.as_ref().or(chain.detected.as_deref());
        let found = chain.paginator.as_ref().map(|found| &found.paginator);
        let url = resource.request(&chain.context, &page.position, found)?.url;
        let (records, last_record) = selector.map_or((0, None), |selector| selector.count_records(&body));
        let view = paginate::Page {
            url: &url,
            headers: &response.headers,
            body: &body,
            selector,
            records,
            last_record,
            index: chain.passed.saturating_add(nth as u64),
        };
        let mut is_dropped = false;
        if resource.paginator.is_none() {
            chain.paginator.get_or_insert_with(|| Rc::new(Detected::new(paginate::detect(&view))));
            let repeated = chain.paginator.as_ref().and_then(|found| found.repeated(&page.position));
            if let Some(repeated) = repeated
                && before.is_some()
                && selector.is_some_and(|selector| guard::digest_at(selector, &body) == before)
            {
                chain.paginator = Some(Rc::new(repeated));
                is_dropped = true;
            }
        }
        let detected = chain.paginator.as_deref();
        let Some(paginator) = resource.paginator.as_ref().or(detected.map(|detected| &detected.paginator)) else {
            return Ok(None);
        };
        let mut following = paginator.next(&page.position, &view)?.map(|following| Following {
            position: resource.without_credential(following.position),
            last: following.last,
        });
        chain.is_bounded |= following.as_ref().is_some_and(|following| following.last.is_some());
        if detected.is_some_and(|detected| detected.awaits(&page.position))
            && let Some(following) = &mut following
        {
            following.last = None;
        }

        if let Some(following) = &following {
            chain.guard.step(&page.position, &following.position).map_err(|error| *error)?;
        }
        let capped = paginator.shows_cap(&page.position, &view);
        let found = selector.and_then(|selector| selector.take_records(&mut body));
        let matched = found.is_some();
        let mut records = found.unwrap_or_default();
        // The only page of a chain has none to be compared with.
        let is_only = following.is_none() && nth == 0 && chain.passed == 0;
        page.digest = if is_only { None } else { guard::digest(&records) };
        if is_dropped {
            records.clear();
        }
        let children = wanted_children(&self.plan, index, &|index| self.read.get(index).copied().unwrap_or(false));
        if !children.is_empty() {
            page.keep_parents(&self.plan, index, &chain.context, &records)?;
            page.open_children(&self.plan, &children, None);
        }
        self.last_size = response.body.len();
        page.fetch = Fetch::Ready { records, size: self.last_size };
        if capped {
            let place = format!("{}/endpoint/paginator/limit", resource.pointer);
            let message = "the API gives pages with fewer records than `limit` though more follow";
            let advice =
                "the next offset is counted from what was received; a smaller `limit` would say what the API does";
            let warning = Error::config(place, message).of(&resource.name).advice(advice);
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
        self.count(index, |counts| {
            counts.pages += 1;
            counts.matched |= matched;
        });
        Ok(following)
    }
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
