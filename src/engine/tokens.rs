//! Tokens, where no host signs: each is asked for once however many pages wait for it, and anew when it ends or the API refuses it.
//!
//! A request for a token is none of a resource's, so it is in no resource's counts.

use super::Reader;
use super::chain::Signed;
use super::transport::{Failure, RequestId, Transport};
use crate::auth::{Outcome, Placement, Token, TokenSource};
use crate::error::{Error, Result};
use crate::plan::TokenPlan;
use crate::request::Response;

/// A token source, and how far its token is.
pub struct Held {
    source: Result<TokenSource>,
    /// The place of its `auth` object in the configuration.
    pointer: String,
    state: State,
    /// Counts its tokens, from 1.
    count: u64,
    /// Whether the token was asked for because the API refused the one before, and the API has not yet taken it.
    doubted: bool,
    /// A resource that waits for it, as an index into the plan.
    resource: usize,
}

enum State {
    /// To be asked for, not before an instant (milliseconds since 1970).
    Due { attempts: u32, not_before: u64, reason: String },
    /// Asked for, at an instant.
    Asked { id: RequestId, attempt: u32, at: u64 },
    /// Here.
    Here(Token),
    /// It cannot be had.
    Failed(Box<Error>),
}

impl State {
    fn due() -> Self {
        Self::Due { attempts: 0, not_before: 0, reason: String::new() }
    }
}

impl Held {
    /// A source that was not yet asked.
    pub fn new(plan: TokenPlan) -> Self {
        let TokenPlan { source, pointer, .. } = plan;
        let first = source.as_ref().ok().and_then(TokenSource::first);
        let (state, count) = first.map_or((State::due(), 0), |token| (State::Here(token), 1));
        Self { source, pointer, state, count, doubted: false, resource: 0 }
    }

    /// Whether this request asks for its token.
    pub fn is_asked_by(&self, request: RequestId) -> bool {
        matches!(self.state, State::Asked { id, .. } if id == request)
    }

    /// When it is to be asked for, for which resource, and why it was asked for before.
    pub fn due(&self) -> Option<(u64, usize, &str)> {
        match &self.state {
            State::Due { not_before, reason, .. } => Some((*not_before, self.resource, reason)),
            _ => None,
        }
    }

    /// Takes in what came of the request for it.
    pub fn arrive(&mut self, outcome: Result<Response, Failure>, now: u64) {
        let (&State::Asked { attempt: attempts, at, .. }, Ok(source)) = (&self.state, &mut self.source) else { return };
        self.state = match source.outcome(attempts, outcome, at, now) {
            Outcome::Token(token) => {
                self.count += 1;
                State::Here(token)
            }
            Outcome::Again(wait, error) => {
                State::Due { attempts, not_before: now.saturating_add(wait), reason: error.message }
            }
            Outcome::Failed(error) => State::Failed(Box::new(error)),
        };
    }
}

impl<T: Transport> Reader<T> {
    /// The token for a request of a resource, by number: none where it needs none. `Ok(None)` where it is not there yet; then it is
    /// asked for.
    #[allow(clippy::type_complexity)]
    pub(super) fn token_for(&mut self, resource: usize) -> Result<Option<Option<(u64, Placement)>>, Box<Error>> {
        let Some(plan) = self.plan.resources.get(resource) else { return Ok(None) };
        let Some(held) = plan.token.and_then(|index| self.tokens.get_mut(index)) else { return Ok(Some(None)) };
        let of = |error: &Error| {
            let pointer = error.pointer.clone().or_else(|| Some(held.pointer.clone()));
            Box::new(Error { pointer, ..error.clone().of(&plan.name) })
        };
        let source = held.source.as_ref().map_err(of)?;
        let now = self.transport.now();
        match &held.state {
            State::Failed(error) => return Err(of(error)),
            State::Here(token) if token.is_fresh(now) => return Ok(Some(Some((held.count, source.placement(token))))),
            State::Here(_) => held.state = State::due(),
            State::Due { .. } | State::Asked { .. } => {}
        }
        held.resource = resource;
        if let State::Due { attempts, not_before, .. } = held.state
            && not_before <= now
        {
            let request = source.request(now).map_err(|error| of(&error))?;
            self.last_id += 1;
            self.in_flight += 1;
            held.state = State::Asked { id: self.last_id, attempt: attempts + 1, at: now };
            self.transport.send(self.last_id, request);
        }
        Ok(None)
    }

    /// Takes in whether the API refused the credential of a request. Tells whether the request is to be sent again with another
    /// token: once, unless the refused one was already asked for after a refusal. Where the host signs, it is told to.
    pub(super) fn renews_token(&mut self, resource: usize, signed: &mut Signed, is_refused: bool) -> bool {
        let token = self.plan.resources.get(resource).and_then(|resource| resource.token);
        let Some(held) = token.and_then(|index| self.tokens.get_mut(index)) else {
            // The host has a token that it can refresh where it has told its number.
            let renews = is_refused && signed.with > 0 && !signed.again;
            signed.again |= renews;
            return renews;
        };
        // Not where the next one is on its way.
        let is_current = signed.with == held.count && matches!(held.state, State::Here(_));
        if !is_refused {
            held.doubted &= !is_current;
            return false;
        }
        if signed.again || (is_current && held.doubted) {
            return false;
        }
        if is_current {
            held.state = State::due();
            held.doubted = true;
        }
        signed.again = true;
        true
    }
}
