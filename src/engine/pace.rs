//! The pace of requests: what the configuration permits (`rate_limit`, `concurrency`), and what the API says and shows that it
//! permits. It decides only when requests go out, never what comes of them.
//!
//! A request takes a place of its `rate_limit` from when it is sent until so long after its response that the API must have
//! forgotten it. So no span of that length has more requests than permitted at the API's end, whatever the network does to
//! their order, and it does not matter whether the API counts in fixed windows, in sliding ones, or with a bucket of tokens.
//!
//! What is in flight is what the API may not have counted yet, so requests go out while more are left of the quota than are in
//! flight. Each refusal halves how many may be in flight, and each response that is none adds a part of one (D. Chiu, R. Jain,
//! "Analysis of the increase and decrease algorithms for congestion avoidance in computer networks", 1989). After a wait one
//! request goes alone, and so does each that was refused before: a storm of refusals does not use up the attempts of its pages. A refusal
//! that does not say how long to wait holds back the others only where the one that went alone met it: an API that refuses one
//! request now and then is not one that refuses all.

use super::LARGEST_WINDOW;
use super::transport::{Failure, RequestId};
use crate::plan::pacing::{Pacing, Rate};
use crate::quota;
use crate::request::Response;
use crate::retry::LONGEST_RETRY_AFTER;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

const BY_RATE: &str = "`rate_limit` permits no more requests yet";
const BY_QUOTA: &str = "nothing is left of the API's quota";
const BY_REFUSAL: &str = "the API asked to wait before further requests";

/// Places of a rate limit that are kept over a wait at the most, the last ones.
const MOST_KEPT: usize = 10_000;

/// When requests may go out.
#[derive(Default)]
pub struct Pace {
    quotas: Vec<Quota>,
    rooms: Vec<Room>,
    flying: BTreeMap<RequestId, Flight>,
    /// The first instant at which a request that was held back may go out, the resource, and why it was.
    held: Option<(u64, usize, &'static str)>,
}

/// Why a request may not go out: an instant and a reason, or that others must be through first.
type Closed = Option<(u64, &'static str)>;

/// A request in flight.
struct Flight {
    quota: usize,
    room: usize,
    sent: u64,
}

/// A limit on how many requests are in flight.
struct Room {
    most: Option<usize>,
    in_flight: usize,
}

/// A limit on the rate of requests.
#[derive(Default)]
struct Quota {
    rate: Option<Rate>,
    in_flight: usize,
    /// The request that went out last.
    last: RequestId,
    /// When the places of the rate limit are free again that are taken by requests which are through.
    taken: VecDeque<u64>,
    /// How long the quickest request took.
    quickest: Option<u64>,
    /// How many requests may be in flight; none while nothing was refused.
    width: Option<f64>,
    /// Until when nothing goes out, because the API refused a request.
    until: u64,
    left: Option<Left>,
    trial: Trial,
    /// Whether the last refusal was that of a request that went alone.
    refused_trial: bool,
}

/// What is left of the API's quota.
struct Left {
    remaining: u64,
    /// When there is more, if the API says so.
    reset: Option<u64>,
    /// The request that was the last to go out by the time that the API said it.
    before: RequestId,
}

/// Whether the next request has to go alone.
#[derive(Default, PartialEq)]
enum Trial {
    #[default]
    None,
    Due,
    Sent(RequestId),
}

impl Pace {
    pub fn new(pacing: &Pacing) -> Self {
        let quota = |rate: &Option<Rate>| Quota { rate: *rate, ..Quota::default() };
        let room = |most: &Option<usize>| Room { most: *most, in_flight: 0 };
        Self {
            quotas: pacing.quotas.iter().map(quota).collect(),
            rooms: pacing.rooms.iter().map(room).collect(),
            ..Self::default()
        }
    }

    /// Forgets what was held back, before all that is due is looked at again.
    pub fn look_again(&mut self) {
        self.held = None;
    }

    /// The first instant at which something that was held back may go out, the resource, and why it was.
    pub fn held(&self) -> Option<(u64, usize, &'static str)> {
        self.held
    }

    /// Whether a request may go out now that comes under these limits, and whether it `failed` before. `resource` asks, as an
    /// index into the plan.
    pub fn opens(&mut self, resource: usize, (quota, room): (usize, usize), failed: bool, now: u64) -> bool {
        if self.rooms.get(room).is_some_and(|room| room.most.is_some_and(|most| room.in_flight >= most)) {
            return false;
        }
        match self.quotas.get_mut(quota).map_or(Ok(()), |quota| quota.opens(failed, now)) {
            Ok(()) => true,
            Err(closed) => {
                if let Some((until, reason)) = closed
                    && self.held.is_none_or(|(other, ..)| until < other)
                {
                    self.held = Some((until, resource, reason));
                }
                false
            }
        }
    }

    /// Takes in that a request went out.
    pub fn sent(&mut self, id: RequestId, (quota, room): (usize, usize), now: u64) {
        self.flying.insert(id, Flight { quota, room, sent: now });
        if let Some(room) = self.rooms.get_mut(room) {
            room.in_flight += 1;
        }
        if let Some(quota) = self.quotas.get_mut(quota) {
            quota.in_flight += 1;
            quota.last = id;
            if quota.trial == Trial::Due {
                quota.trial = Trial::Sent(id);
            }
        }
    }

    /// Takes in what came of a request.
    pub fn arrived(&mut self, id: RequestId, outcome: &Result<Response, Failure>, now: u64) {
        let Some(flight) = self.flying.remove(&id) else { return };
        if let Some(room) = self.rooms.get_mut(flight.room) {
            room.in_flight = room.in_flight.saturating_sub(1);
        }
        if let Some(quota) = self.quotas.get_mut(flight.quota) {
            quota.arrived(id, flight.sent, outcome, now);
        }
    }

    /// What must not be forgotten where a reader is opened anew after a wait; empty where there is nothing. Nothing is in flight
    /// then.
    pub fn kept(&self) -> Vec<Kept> {
        let kept: Vec<Kept> = self.quotas.iter().map(Quota::kept).collect();
        if kept.iter().all(|kept| *kept == Kept::default()) { Vec::new() } else { kept }
    }

    /// Goes on with what was kept of the same limits.
    pub fn restore(&mut self, kept: Vec<Kept>) {
        for (quota, kept) in self.quotas.iter_mut().zip(kept) {
            quota.restore(kept);
        }
    }

    /// Lets nothing out under a limit before an instant, because the API refused a request; where it did not ask for the wait, only
    /// if it refused one that went alone.
    pub fn hold(&mut self, quota: usize, until: u64, is_asked: bool) {
        if let Some(quota) = self.quotas.get_mut(quota).filter(|quota| is_asked || quota.refused_trial) {
            quota.hold(until);
        }
    }
}

/// What is kept of a quota.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// When places of the rate limit are free again, the first ones first.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    taken: VecDeque<u64>,
    /// How many requests may be in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    width: Option<f64>,
    /// Until when nothing goes out.
    #[serde(default, skip_serializing_if = "is_zero")]
    until: u64,
    /// What is left of the API's quota, and when there is more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    left: Option<(u64, Option<u64>)>,
    /// Whether the next request goes alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_trial: bool,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Whether a response says that there were too many requests.
pub fn is_refusal(response: &Response) -> bool {
    response.status == 429 || (response.status == 503 && response.header("retry-after").is_some())
}

impl Quota {
    fn kept(&self) -> Kept {
        Kept {
            taken: self.taken.iter().skip(self.taken.len().saturating_sub(MOST_KEPT)).copied().collect(),
            width: self.width,
            until: self.until,
            left: self.left.as_ref().map(|left| (left.remaining, left.reset)),
            is_trial: self.trial != Trial::None,
        }
    }

    fn restore(&mut self, kept: Kept) {
        let Kept { taken, width, until, left, is_trial } = kept;
        (self.taken, self.until) = (taken, until);
        // A state is a stranger's text: a width that is none would let nothing out.
        self.width = width.filter(|width| width.is_finite() && *width >= 1.0);
        self.left = left.map(|(remaining, reset)| Left { remaining, reset, before: 0 });
        self.trial = if is_trial { Trial::Due } else { Trial::None };
    }

    fn opens(&mut self, failed: bool, now: u64) -> Result<(), Closed> {
        // A clock that was set back must not make it longer.
        if now < self.until && self.until - now <= LONGEST_RETRY_AFTER {
            return Err(Some((self.until, BY_REFUSAL)));
        }
        self.until = 0;
        if let Some(Left { remaining, reset, .. }) = self.left
            && remaining <= self.in_flight as u64
        {
            match reset {
                Some(reset) if now < reset && reset - now <= LONGEST_RETRY_AFTER => {
                    return Err(Some((reset, BY_QUOTA)));
                }
                Some(_) => (self.left, self.trial) = (None, Trial::Due),
                None if self.in_flight > 0 => return Err(None),
                None => {}
            }
        }
        if failed && self.width.is_some() && self.trial == Trial::None {
            self.trial = Trial::Due;
        }
        let is_alone = self.in_flight == 0;
        if !is_alone
            && (self.trial != Trial::None || self.width.is_some_and(|width| self.in_flight as f64 + 1.0 > width))
        {
            return Err(None);
        }
        let Some(rate) = self.rate else { return Ok(()) };
        while self.taken.front().is_some_and(|free| *free <= now) {
            self.taken.pop_front();
        }
        match self.in_flight + self.taken.len() < rate.requests {
            true => Ok(()),
            false => Err(self.taken.front().map(|free| (*free, BY_RATE))),
        }
    }

    fn arrived(&mut self, id: RequestId, sent: u64, outcome: &Result<Response, Failure>, now: u64) {
        if let Some(rate) = self.rate {
            // The API counted it before it answered, and counts the one that takes its place after that was sent. On these
            // two ways at least half of what the quickest request took passes.
            let took = now.saturating_sub(sent);
            let quickest = self.quickest.map_or(took, |quickest| quickest.min(took));
            self.quickest = Some(quickest);
            self.taken.push_back(now.saturating_add(rate.per).saturating_sub(quickest / 2));
        }
        let refused = outcome.as_ref().is_ok_and(is_refusal);
        if refused {
            let width = self.width.unwrap_or(f64::INFINITY).min(self.in_flight as f64);
            self.width = Some((width / 2.0).max(1.0));
            self.refused_trial = self.trial == Trial::Sent(id);
        }
        self.in_flight = self.in_flight.saturating_sub(1);
        match outcome {
            Ok(response) => {
                // Of what overtakes each other the least counts; more is told only to a request that was sent after that.
                if let Some(told) = quota::told(response, now)
                    && self.left.as_ref().is_none_or(|left| told.remaining < left.remaining || left.before < id)
                {
                    let reset = told.reset.filter(|reset| *reset <= LONGEST_RETRY_AFTER);
                    // The clock is read in whole milliseconds, so it is up to one further.
                    let reset = reset.map(|reset| now.saturating_add(reset).saturating_add(1));
                    self.left = Some(Left { remaining: told.remaining, reset, before: self.last });
                }
                if refused {
                    self.hold(now.saturating_add(quota::asked(response, now).unwrap_or(0)));
                } else {
                    // One that was sent before the wait shows nothing.
                    if self.trial == Trial::Sent(id) {
                        self.trial = Trial::None;
                    }
                    self.width = self.width.map(|width| width + 1.0 / width).filter(|w| *w < f64::from(LARGEST_WINDOW));
                }
            }
            Err(_) if self.trial == Trial::Sent(id) => self.trial = Trial::Due,
            Err(_) => {}
        }
    }

    /// Nothing goes out before an instant, and then one request first.
    fn hold(&mut self, until: u64) {
        self.until = self.until.max(until);
        self.trial = Trial::Due;
    }
}
