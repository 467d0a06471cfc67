//! What becomes of the outcome of a request: a page that is here, another attempt, or an error.

use super::Reader;
use super::chain::{Chain, Fetch, Next, Page};
use super::pace;
use super::transport::{Failure, Transport};
use crate::action::Decision;
use crate::config::model::Action;
use crate::error::{Error, Kind, Result};
use crate::paginate::Following;
use crate::quota;
use crate::records::Records;
use crate::request::Response;
use crate::retry::Verdict;
use std::collections::VecDeque;

impl<T: Transport> Reader<T> {
    /// Takes in the response to a page, if it arrived.
    pub(super) fn arrivals(&mut self, chain: &mut Chain, nth: usize) {
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
    pub(super) fn abandon(&mut self, pages: VecDeque<Page>) {
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
        let decided = match &outcome {
            Ok(response) => self.decide(chain.resource, response).map_err(|error| {
                let status = Some(response.status);
                give_up(self, chain, Error { status, ..error })
            })?,
            Err(_) => None,
        };
        let action = decided.as_ref().map(|decided| decided.action);
        if let Ok(response) = &outcome
            && self.is_renewed(chain, nth, response, action)
        {
            // Not the page's fault, so it is no attempt.
            let reason = "the API refused the token".to_owned();
            return Err(Fetch::Due { attempts: attempt.saturating_sub(1), not_before: 0, reason });
        }
        let ends = action == Some(Action::End);
        let (kind, message, response) = match outcome {
            Ok(response) if (200..300).contains(&response.status) && (action.is_none() || ends) => {
                let status = Some(response.status);
                return self
                    .receive(chain, nth, response, ends)
                    .map_err(|error| give_up(self, chain, Error { status, ..error }));
            }
            Ok(_) if ends || action == Some(Action::Ignore) => {
                if let Some(page) = chain.pages.get_mut(nth) {
                    page.fetch = Fetch::Ready { records: Records::default(), cursors: Vec::new(), size: 0 };
                }
                return Ok(None);
            }
            Ok(response) => {
                let own = decided.as_ref().and_then(|decided| decided.message.clone());
                let message = own.unwrap_or_else(|| said(response.status));
                (kind_of(response.status), message, Some(response))
            }
            Err(Failure::Denied(why)) => (Kind::Permission, format!("the host denied the request: {why}"), None),
            Err(Failure::Redirect(why)) => (Kind::Upstream, format!("the redirect was not followed: {why}"), None),
            Err(Failure::TooLarge(why)) => (Kind::Limit, format!("the response is too large: {why}"), None),
            Err(Failure::Network(why)) => (Kind::Transient, format!("the request failed: {why}"), None),
        };
        let now = self.transport.now();
        let is_passing = response.is_none() && kind == Kind::Transient;
        let verdict = self.verdict(chain.resource, action, attempt, response.as_ref(), is_passing);
        Err(match verdict {
            Verdict::After(wait) => {
                Fetch::Due { attempts: attempt, not_before: now.saturating_add(wait), reason: message }
            }
            Verdict::GiveUp(retry_after) => {
                let status = response.map(|response| response.status);
                let kind = if action == Some(Action::RefreshAuth) { Kind::Auth } else { kind };
                let pointer = decided.map(|decided| decided.pointer);
                give_up(self, chain, Error { status, retry_after, pointer, ..Error::new(kind, message) })
            }
        })
    }

    /// What the configuration has done about a response, if it says.
    fn decide(&self, resource: usize, response: &Response) -> Result<Option<Decision>> {
        let Some(resource) = self.plan.resources.get(resource) else { return Ok(None) };
        Ok(resource.actions.decide(response)?.cloned())
    }

    /// What follows a failed attempt. `is_passing` tells of one without a response whether it may pass.
    fn verdict(
        &mut self,
        resource: usize,
        action: Option<Action>,
        attempt: u32,
        response: Option<&Response>,
        is_passing: bool,
    ) -> Verdict {
        let now = self.transport.now();
        let Some(resource) = self.plan.resources.get(resource) else { return Verdict::GiveUp(None) };
        let is_tried_again = match (action, response) {
            (Some(action), _) => action == Action::Retry,
            (None, Some(response)) => resource.retry.covers(response.status),
            (None, None) => is_passing,
        };
        if !is_tried_again {
            return Verdict::GiveUp(None);
        }
        let chance = if resource.retry.jitter { self.transport.chance() } else { 1.0 };
        let verdict = resource.retry.after(attempt, response, now, chance);
        if let Verdict::After(wait) = verdict
            && let Some(response) = response.filter(|response| pace::is_refusal(response))
        {
            let is_asked = quota::asked(response, now).is_some();
            self.pace.hold(resource.quota, now.saturating_add(wait), is_asked);
        }
        verdict
    }

    /// Whether the page is to be asked for again with another token.
    fn is_renewed(&mut self, chain: &mut Chain, nth: usize, response: &Response, action: Option<Action>) -> bool {
        let (Some(resource), Some(page)) = (self.plan.resources.get(chain.resource), chain.pages.get_mut(nth)) else {
            return false;
        };
        // Where the host signs, it has tried another one after a 401 already.
        let told = resource.token_told(response);
        page.signed.with = told.unwrap_or(page.signed.with);
        let is_refused = (response.status == 401 && told.is_none()) || action == Some(Action::RefreshAuth);
        self.renews_token(chain.resource, &mut page.signed, is_refused)
    }
}

fn said(status: u16) -> String {
    let taken = if (200..300).contains(&status) { ", which `response_actions` takes for a failure" } else { "" };
    format!("the API answered with status {status}{taken}")
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
