//! Taking turns: the engine goes on until it has something to say or nothing to do, and never waits by itself. Whoever drives it
//! waits: by blocking, or as a task among others.

use super::chain::Fetch;
use super::deliver::{Delivery, Room};
use super::tokens::Held;
use super::transport::{Blocking, Outcome, Transport};
use super::{Reader, SHORT, Step};
use crate::error::{Error, Kind, Result};
use std::collections::VecDeque;

/// Where a turn ended.
pub enum Turn<T> {
    /// With something to say.
    Said(T),
    /// With nothing to do until a request is through, or this instant (milliseconds since 1970) is reached. What came of requests
    /// goes to `accept`, and another turn follows.
    Blocked(Option<u64>),
}

/// A step that is being made: it may take several turns.
pub struct Pull {
    room: Room,
    flush_at: Option<u64>,
}

impl Pull {
    /// A step of at most `max_rows` root rows and about `max_bytes` bytes.
    pub fn new(max_rows: u32, max_bytes: u64) -> Self {
        let bytes = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        Self { room: Room { rows: max_rows.max(1) as usize, bytes, taken: 0 }, flush_at: None }
    }
}

impl<T: Transport> Reader<T> {
    /// Goes on with a step. After an error or `done` the reader is spent.
    pub fn turn(&mut self, pull: &mut Pull) -> Result<Turn<Step>> {
        if self.spent {
            return Err(Error::new(Kind::Internal, "the reader is spent: it gave an error or `done` before"));
        }
        let turn = self.go_on(pull);
        self.spent = matches!(turn, Err(_) | Ok(Turn::Said(Step::Done { .. })));
        turn
    }

    fn go_on(&mut self, Pull { room, flush_at }: &mut Pull) -> Result<Turn<Step>> {
        loop {
            // Before anything is looked at: what is found not to be due yet must not have become due when it is asked for.
            let now = self.transport.now();
            self.advance();
            self.moved = false;
            match self.deliver(room)? {
                Delivery::Full => return self.batch().map(Turn::Said),
                Delivery::Complete | Delivery::Failed(_) if room.taken > 0 => return self.batch().map(Turn::Said),
                Delivery::Complete => return self.done().map(Turn::Said),
                Delivery::Failed(error) => return Err(*error),
                // Delivery makes room in the window.
                Delivery::Blocked if self.moved => continue,
                Delivery::Blocked => {}
            }
            let due = self.earliest_due(now);
            let mut until = due.as_ref().map(|(until, _, _)| *until);
            let is_idle = self.in_flight == 0 && until.is_none_or(|until| until > now.saturating_add(SHORT));
            if room.taken > 0 {
                let flush_at = *flush_at.get_or_insert(now.saturating_add(self.linger));
                if now >= flush_at || is_idle {
                    return self.batch().map(Turn::Said);
                }
                until = Some(until.map_or(flush_at, |until| until.min(flush_at)));
            }
            if is_idle {
                let Some((until, resource, reason)) = due else {
                    return Err(Error::new(Kind::Internal, "nothing is in flight and nothing is due"));
                };
                return self.wait(until, resource, reason).map(Turn::Said);
            }
            return Ok(Turn::Blocked(until));
        }
    }

    /// Turns to making one request, as the first page of the first resource that makes any without another's, and giving up its
    /// rows.
    pub fn checking(mut self) -> Result<Checking<T>> {
        let first = self.first_that_asks()?;
        self.read = vec![false; self.plan.resources.len()];
        self.selected = self.read.clone();
        self.roots = first.map_or_else(VecDeque::new, |chain| VecDeque::from([chain]));
        Ok(Checking(self))
    }
}

/// A reader that makes one request only.
pub struct Checking<T>(Reader<T>);

impl<T: Transport> Checking<T> {
    /// Goes on. Says that all is well, or gives an error.
    pub fn turn(&mut self) -> Result<Turn<()>> {
        let reader = &mut self.0;
        loop {
            let first = |reader: &Reader<T>| reader.roots.front()?.pages.front().map(|page| page.fetch.attempts());
            // No further request: neither the next page nor a second attempt.
            reader.window = usize::from(first(reader).is_none_or(|attempts| attempts == 0));
            reader.advance();
            match reader.roots.front().and_then(|chain| chain.pages.front()).map(|page| &page.fetch) {
                Some(Fetch::Failed(error)) => return Err((**error).clone()),
                // A limit on the rate shows that the credentials are accepted.
                Some(Fetch::InFlight { .. }) => return Ok(Turn::Blocked(None)),
                // The page waits for its token, or is to be asked for again with another one.
                Some(Fetch::Due { attempts: 0, .. }) if reader.in_flight > 0 => return Ok(Turn::Blocked(None)),
                Some(Fetch::Due { attempts: 0, .. }) if reader.window == 0 => {}
                Some(Fetch::Due { attempts: 0, .. }) => {
                    let reason =
                        reader.tokens.iter().filter_map(Held::due).map(|(_, _, reason)| reason).collect::<String>();
                    return Err(Error::new(Kind::Transient, reason).advice("try again in a while"));
                }
                Some(Fetch::Due { reason, .. }) => {
                    return Err(Error::new(Kind::Transient, reason.clone()).advice("try again in a while"));
                }
                _ => return Ok(Turn::Said(())),
            }
        }
    }

    /// Takes in what came of requests, after a turn that said that it is blocked.
    pub fn accept(&mut self, outcomes: Vec<Outcome>) {
        self.0.accept(outcomes);
    }
}

impl<T: Blocking> Reader<T> {
    /// The next step, with at most `max_rows` root rows and about `max_bytes` bytes. Blocks until there is something to say.
    pub fn next(&mut self, max_rows: u32, max_bytes: u64) -> Result<Step> {
        let mut pull = Pull::new(max_rows, max_bytes);
        loop {
            match self.turn(&mut pull)? {
                Turn::Said(step) => return Ok(step),
                Turn::Blocked(until) => {
                    let outcomes = self.transport.poll(until);
                    self.accept(outcomes);
                }
            }
        }
    }

    /// Makes one request, as the first page of the first resource that makes any without another's, and gives up its rows.
    pub fn check(self) -> Result<()> {
        let mut checking = self.checking()?;
        loop {
            match checking.turn()? {
                Turn::Said(()) => return Ok(()),
                Turn::Blocked(until) => {
                    let outcomes = checking.0.transport.poll(until);
                    checking.accept(outcomes);
                }
            }
        }
    }
}
