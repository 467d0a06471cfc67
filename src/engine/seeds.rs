//! Records that stand in the configuration: their pages are here at once.

use super::Reader;
use super::chain::{Chain, Next, Page};
use super::transport::Transport;
use crate::error::Result;
use crate::paginate::{Following, Position};
use crate::records::Records;

/// How many records a page of them has, so that no more than these have the chains of their children open at once.
const IN_PAGE: usize = 1000;

impl<T: Transport> Reader<T> {
    /// Takes in a page of records from the configuration. False where the chain has to ask for its pages.
    pub(super) fn take_seeds(&mut self, chain: &mut Chain, nth: usize) -> Result<bool> {
        let Some(resource) = self.plan.resources.get(chain.resource) else { return Ok(false) };
        let (Some(seeds), Some(page)) = (&resource.seeds, chain.pages.get(nth)) else { return Ok(false) };
        let start = match page.position {
            Position::Offset(start) => usize::try_from(start).unwrap_or(usize::MAX),
            _ => 0,
        };
        let end = start.saturating_add(IN_PAGE);
        let mut records = Records::default();
        (start..end).map_while(|place| seeds.record(place)).for_each(|record| records.push(&record));
        chain.next = match seeds.count().is_some_and(|count| count > end) {
            true => Next::Page(Following { position: Position::Offset(end as u64), last: None }),
            false => Next::End,
        };
        self.take_in(chain, nth, records, 0)?;
        Ok(true)
    }

    /// The first chain that makes a request and needs no other one's records: of a root resource, or for the first records that stand
    /// in the configuration.
    pub(super) fn first_that_asks(&mut self) -> Result<Option<Chain>> {
        for mut chain in std::mem::take(&mut self.roots) {
            // It may stand in the middle of what it reads.
            chain = Chain::new(&self.plan, chain.resource, 0, chain.window, chain.context);
            chain.pages.push_back(Page::due(Position::First));
            if !self.take_seeds(&mut chain, 0)? {
                return Ok(Some(Chain::new(&self.plan, chain.resource, 0, chain.window, chain.context)));
            }
            if let Some(child) = chain.pages.pop_front().and_then(|mut page| page.children.pop_front()) {
                return Ok(Some(child));
            }
        }
        Ok(None)
    }
}
