//! What becomes of the outcome of a request: a page that is here, another attempt, or an error.

use super::Reader;
use super::chain::{Chain, Fetch, Next, Page};
use super::transport::{Failure, Transport};
use crate::error::{Error, Kind, Result};
use crate::paginate::Following;
use crate::request::Response;
use crate::response;
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
                let format = self.plan.resources.get(chain.resource).and_then(|resource| resource.format.as_ref());
                return response::read(&response, format)
                    .and_then(|body| self.receive(chain, nth, &response, body))
                    .map_err(|error| give_up(self, chain, Error { status, ..error }));
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
