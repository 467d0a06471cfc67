//! Fetching: sends what is due, in the order of delivery.

use super::chain::{Chain, Fetch, Next, Page};
use super::redirect::Sent;
use super::skipped::is_of_one_chain;
use super::transport::{Failure, Outcome, RequestId, Transport};
use super::{Reader, guard};
use crate::config::model::OnError;
use crate::error::Error;
use crate::paginate::Following;
use crate::request::{Method, Response, redacted};
use std::ops::ControlFlow;

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
    /// Takes in what came of requests, after a turn that said that it is blocked.
    pub fn accept(&mut self, outcomes: Vec<Outcome>) {
        for (id, outcome) in outcomes {
            self.pace.arrived(id, &outcome, self.transport.now());
            let sent = self.sent.remove(&id);
            if self.abandoned.remove(&id) {
                self.in_flight = self.in_flight.saturating_sub(1);
                continue;
            }
            let Some(outcome) = self.follow_redirect(id, sent, outcome) else { continue };
            self.in_flight = self.in_flight.saturating_sub(1);
            match self.tokens.iter_mut().find(|token| token.is_asked_by(id)) {
                Some(token) => token.arrive(outcome, self.transport.now()),
                None => drop(self.arrived.insert(id, outcome)),
            }
        }
    }

    /// Asks elsewhere, where the response says so: none then, since the request is in flight again.
    fn follow_redirect(
        &mut self,
        id: RequestId,
        sent: Option<Sent>,
        outcome: Result<Response, Failure>,
    ) -> Option<Result<Response, Failure>> {
        let (Some(sent), Ok(response)) = (sent, &outcome) else { return Some(outcome) };
        let request = match sent.redirected(response, &self.origins) {
            Ok(Some(request)) => request,
            Ok(None) => return Some(outcome),
            Err(failure) => return Some(Err(failure)),
        };
        let Sent { resource, hops, .. } = sent;
        let limits = self.plan.resources.get(resource).map_or((0, 0), |resource| (resource.quota, resource.room));
        self.pace.sent(id, limits, self.transport.now());
        self.count(resource, |counts| counts.requests += 1);
        self.sent.insert(id, Sent { resource, request: request.clone(), hops: hops + 1 });
        self.transport.send(id, request);
        None
    }

    /// Takes in what arrived and sends what is due, in the order of delivery, as far ahead as the window permits.
    pub(super) fn advance(&mut self) {
        self.pace.look_again();
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
        if let Some(position) = paginator.after(&last.position)
            && self.pace.opens(chain.resource, (resource.quota, resource.room), false, self.transport.now())
        {
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
                Fetch::Ready { .. } if page.given > 0 && page.digest.is_some() && page.digest == before => {
                    Some(page.given)
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
                Fetch::Failed(error) if self.leaves_out(chain.resource, error) => return ControlFlow::Continue(()),
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
        let Some(page) = chain.pages.get(nth) else { return };
        let Fetch::Due { attempts, not_before, .. } = page.fetch else { return };
        let is_here = self.take_seeds(chain, nth);
        let Some(page) = chain.pages.get_mut(nth) else { return };
        match is_here {
            Ok(false) => {}
            Ok(true) => return,
            Err(error) => {
                page.fetch = Fetch::Failed(Box::new(error));
                return;
            }
        }
        let failed = attempts > 0;
        let now = self.transport.now();
        let Some(resource) = self.plan.resources.get(chain.resource) else { return };
        let limits = (resource.quota, resource.room);
        if self.in_flight >= self.window || not_before > now || !self.pace.opens(chain.resource, limits, failed, now) {
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
                match token {
                    Some((with, placement)) => {
                        page.signed.with = with;
                        resource.sign(&mut request, placement);
                    }
                    None if page.signed.again => resource.refuse_token(&mut request, page.signed.with),
                    None => {}
                }
                self.last_id += 1;
                self.in_flight += 1;
                self.pace.sent(self.last_id, limits, now);
                self.count(chain.resource, |counts| {
                    counts.requests += 1;
                    counts.retries += u64::from(attempts > 0);
                });
                page.fetch = Fetch::InFlight { id: self.last_id, attempt: attempts + 1 };
                self.sent.insert(self.last_id, Sent { resource: chain.resource, request: request.clone(), hops: 0 });
                self.transport.send(self.last_id, request);
            }
            Err(error) => page.fetch = Fetch::Failed(Box::new(error)),
        }
    }

    /// Whether a failure ends its chain, and not the run.
    pub(super) fn leaves_out(&self, resource: usize, error: &Error) -> bool {
        let on_error = self.plan.resources.get(resource).map(|resource| resource.on_error);
        on_error == Some(OnError::Continue) && is_of_one_chain(error)
    }

    /// An error of a page, with its resource and URL.
    pub(super) fn failed(&self, chain: &Chain, nth: usize, error: Error) -> Error {
        let Some(resource) = self.plan.resources.get(chain.resource) else { return error };
        let position = chain.pages.get(nth).map(|page| &page.position);
        let request = position.and_then(|position| resource.request(&chain.context, position, chain.found()).ok());
        Error { url: request.map(|request| redacted(&request.url)), ..error.of(&resource.name) }
    }
}
