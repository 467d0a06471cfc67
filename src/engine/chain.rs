//! The tree of what is being read: chains of pages, and under each page the chains of its records' children.

use super::cursors::Cursors;
use super::guard::Guard;
use super::transport::RequestId;
use crate::error::{Error, Result};
use crate::paginate::{Detected, Following, Paginator, Position};
use crate::plan::{Context, Plan};
use crate::records::Records;
use crate::select::Selector;
use serde_json::Value;
use std::collections::VecDeque;
use std::rc::Rc;

/// Pages that follow each other: those of a root resource, or those of a child resource for one parent record.
pub struct Chain {
    /// The resource, as an index into the plan.
    pub resource: usize,
    /// The place of the parent record in its page; of several, of the first one.
    pub record: usize,
    /// The window of the range that it reads, where there are several.
    pub window: usize,
    /// What its requests are given.
    pub context: Context,
    /// Pages from the one that is delivered next; the front one is delivered first.
    pub pages: VecDeque<Page>,
    /// What follows the last of `pages`.
    pub next: Next,
    /// The path to the records, found in the chain's first page where the configuration has none.
    pub detected: Option<Rc<Selector>>,
    /// The paginator, found in the chain's first page where the configuration has none.
    pub paginator: Option<Rc<Detected>>,
    /// The digest of the page before `pages`.
    pub before: Option<u64>,
    /// How many pages there were before `pages`.
    pub passed: u64,
    /// Whether the API has told how many pages there are.
    pub is_bounded: bool,
    /// Ends a chain that does not advance.
    pub guard: Guard,
}

/// What follows the last known page of a chain.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// A page that was not asked for yet.
    Page(Following),
    /// The last known page must arrive first.
    Unknown,
    /// Nothing.
    End,
}

/// A page of a chain.
pub struct Page {
    /// Where it stands.
    pub position: Position,
    /// How far it is.
    pub fetch: Fetch,
    /// Whether it is asked for before the page before it has told that there is one.
    pub is_guess: bool,
    /// The token that its request was sent with.
    pub signed: Signed,
    /// How many of its records were delivered.
    pub delivered: usize,
    /// How many records the API gave, before steps made others of them; none where the page was given up as a repetition.
    pub given: usize,
    /// By which its records are compared with those of other pages.
    pub digest: Option<u64>,
    /// The contexts of its records, where children need them.
    pub parents: Vec<Context>,
    /// The chains of its records' children that are not yet delivered, in the order of delivery.
    pub children: VecDeque<Chain>,
}

/// The token that a request was sent with, where no host signs.
#[derive(Clone, Copy, Default)]
pub struct Signed {
    /// Which one, counted from 1.
    pub with: u64,
    /// Whether the API refused the one before it.
    pub again: bool,
}

/// How far a page is.
pub enum Fetch {
    /// To be asked for, not before an instant (milliseconds since 1970).
    Due {
        /// How many attempts were made.
        attempts: u32,
        /// The instant.
        not_before: u64,
        /// Why there was an attempt before.
        reason: String,
    },
    /// Asked for.
    InFlight {
        /// Which request.
        id: RequestId,
        /// The number of this attempt, from 1.
        attempt: u32,
    },
    /// Here, its records not all delivered.
    Ready {
        /// The records.
        records: Records,
        /// Their cursors, where they are read incrementally; null where a record has none.
        cursors: Vec<Value>,
        /// How many bytes the response had.
        size: usize,
    },
    /// It cannot be had.
    Failed(Box<Error>),
    /// All of its records were delivered.
    Delivered,
}

impl Chain {
    /// The chains of a resource for one parent record: one, or one for each window of its range.
    pub fn all(plan: &Plan, cursors: &Cursors, resource: usize, record: usize, context: Context) -> Result<Vec<Self>> {
        let contexts = cursors.contexts(plan, resource, context)?.into_iter().enumerate();
        Ok(contexts.map(|(window, context)| Self::new(plan, resource, record, window, context)).collect())
    }

    /// A chain that begins at its first page.
    pub fn new(plan: &Plan, resource: usize, record: usize, window: usize, context: Context) -> Self {
        let next = plan.resources.get(resource).map_or(Next::End, |resource| {
            let position = resource.paginator.as_ref().map_or(Position::First, Paginator::first);
            Next::Page(Following { position, last: None })
        });
        Self {
            resource,
            record,
            window,
            context,
            pages: VecDeque::new(),
            next,
            detected: None,
            paginator: None,
            before: None,
            passed: 0,
            is_bounded: false,
            guard: Guard::default(),
        }
    }
}

impl Chain {
    /// The paginator that was found.
    pub fn found(&self) -> Option<&Paginator> {
        self.paginator.as_ref().map(|detected| &detected.paginator)
    }
}

impl Fetch {
    /// How many attempts were made, the one in flight too; more than any can be once the page is here.
    pub fn attempts(&self) -> u32 {
        match self {
            Self::Due { attempts, .. } => *attempts,
            Self::InFlight { attempt, .. } => *attempt,
            Self::Ready { .. } | Self::Failed(_) | Self::Delivered => u32::MAX,
        }
    }
}

impl Page {
    /// A page that is to be asked for.
    pub fn due(position: Position) -> Self {
        Self {
            position,
            fetch: Fetch::Due { attempts: 0, not_before: 0, reason: String::new() },
            is_guess: false,
            signed: Signed::default(),
            delivered: 0,
            given: 0,
            digest: None,
            parents: Vec::new(),
            children: VecDeque::new(),
        }
    }

    /// Opens the chains of the records' children: by resource in the order of the plan, then by record, then by window. Begins
    /// at a resource, a record and a window, all those before having been delivered. Tells how many records have no chain, by
    /// resource.
    pub fn open_children(
        &mut self,
        plan: &Plan,
        cursors: &Cursors,
        children: &[usize],
        from: Option<(usize, usize, usize)>,
    ) -> Result<Vec<(usize, u64)>> {
        let start = from.and_then(|(resource, ..)| children.iter().position(|child| *child == resource)).unwrap_or(0);
        let mut before = from.map_or(0, |(.., window)| window);
        let mut skipped = Vec::new();
        for (nth, child) in children.iter().enumerate().skip(start) {
            let Some(resource) = plan.resources.get(*child) else { continue };
            let first = if nth == start { from.map_or(0, |(_, record, _)| record) } else { 0 };
            let contexts = resource.contexts(&self.parents);
            for (record, context) in contexts.chains.into_iter().filter(|(record, _)| *record >= first) {
                let chains = Chain::all(plan, cursors, *child, record, context)?;
                self.children.extend(chains.into_iter().skip(std::mem::take(&mut before)));
            }
            skipped.push((*child, contexts.skipped));
        }
        Ok(skipped)
    }
}
