//! Delivery: shapes the records of pages that are here, depth first, into a batch.

use super::Reader;
use super::chain::{Chain, Fetch, Next};
use super::transport::Transport;
use crate::error::{Error, Result};
use crate::plan::Context;
use crate::records::Records;
use crate::shape::{Shaper, Target, identity};
use serde_json::Value;

/// How far a delivery came.
pub enum Delivery {
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
pub struct Room {
    pub rows: usize,
    pub bytes: usize,
    pub taken: usize,
}

impl Room {
    fn is_full(&self) -> bool {
        self.taken > 0 && (self.rows == 0 || self.bytes == 0)
    }
}

impl<T: Transport> Reader<T> {
    /// Shapes what is here, in the order of delivery, until the batch is full or a page is missing.
    pub(super) fn deliver(&mut self, room: &mut Room) -> Result<Delivery> {
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
                Fetch::Ready { records, cursors, size } => {
                    let given = (&records, cursors.as_slice());
                    let done =
                        self.deliver_records(chain.resource, &chain.context, given, &mut page.delivered, room)?;
                    if !done {
                        page.fetch = Fetch::Ready { records, cursors, size };
                        return Ok(Delivery::Full);
                    }
                    self.moved = true;
                    // Before anything else is taken in: where a batch ends must not depend on what has arrived by then.
                    if room.is_full() {
                        return Ok(Delivery::Full);
                    }
                }
                Fetch::Failed(error) if self.leaves_out(chain.resource, &error) => {
                    if let Some(resource) = self.plan.resources.get(chain.resource) {
                        self.skipped.add(&resource.name, &error);
                        self.cursors.hold(resource, &chain.context);
                    }
                    let given_up = std::mem::take(&mut chain.pages);
                    self.abandon(given_up);
                    chain.next = Next::End;
                    self.moved = true;
                    return Ok(Delivery::Complete);
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
            if let Some(page) = chain.pages.pop_front() {
                chain.before = page.digest;
                chain.passed += 1;
            }
        }
    }

    /// Whether all records of the page are delivered now.
    fn deliver_records(
        &mut self,
        index: usize,
        context: &Context,
        (records, cursors): (&Records, &[Value]),
        delivered: &mut usize,
        room: &mut Room,
    ) -> Result<bool> {
        let Some(resource) = self.plan.resources.get(index) else { return Ok(true) };
        let rest = records.from(*delivered);
        let taken = match self.selected.get(index) {
            Some(true) => {
                let random = self.transport.random(rest.len().min(room.rows) * identity::BYTES);
                let (taken, kept) = shape(&mut self.shaper, &resource.target, rest, &random, room)?;
                if let Some(counts) = self.counts.get_mut(index) {
                    counts.rows += kept;
                }
                if self.collapse.watches(index) {
                    self.collapse.note(index, &context.key(resource), kept);
                }
                taken
            }
            _ => rest.len(),
        };
        let until = *delivered + taken;
        let cursors = cursors.get(*delivered..until).unwrap_or_default();
        self.cursors.observe(resource, context, cursors, &|nth| records.get(*delivered + nth))?;
        *delivered = until;
        Ok(until == records.len())
    }
}

/// Shapes as many records as there is room for. Tells how many, and how many of those have a row.
fn shape<'r>(
    shaper: &mut Shaper,
    target: &Target,
    records: impl ExactSizeIterator<Item = &'r str>,
    random: &[u8],
    room: &mut Room,
) -> Result<(usize, u64)> {
    let mut ids = random.as_chunks().0.iter();
    let (mut taken, mut kept) = (0, 0);
    for record in records {
        if room.is_full() {
            break;
        }
        let added = shaper.add(target, record, ids.next().unwrap_or(&[0; identity::BYTES]))?;
        taken += 1;
        kept += u64::from(added.is_kept);
        room.taken += 1;
        room.rows = room.rows.saturating_sub(1);
        room.bytes = room.bytes.saturating_sub(added.bytes);
    }
    Ok((taken, kept))
}
