//! The cursors of incremental loading: from where each chain reads, and how far the rows that were delivered reach.
//!
//! While a run goes on, each chain reads from the cursor as it was when the run began, whatever has been delivered by then: so
//! the requests do not depend on the order of responses, and records may come in any order. The cursors as they have become
//! count from the next run on.

use crate::config::model::TooManyParents;
use crate::disposition::WriteDisposition;
use crate::error::{Error, Kind, Result};
use crate::incremental::{Asked, Incremental, Range};
use crate::plan::{Context, Plan, Resource};
use crate::response;
use crate::shape::identity;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// How many records with the same cursor are told from those of the next run.
const MOST_SEEN: usize = 10_000;

/// A cursor, and what was read there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    value: Value,
    /// Digests of the records with this cursor.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    seen: BTreeSet<String>,
}

/// The cursors of a resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The path that they were found at: those of another path say nothing.
    path: String,
    /// The one of all chains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<Mark>,
    /// Those of a child resource, by parent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    parents: BTreeMap<String, Mark>,
    /// Whether there were too many parents, so that one is kept for all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_one: bool,
    /// The parents of which records were skipped, so that their cursors must not move in this run; an empty text for the one of
    /// all chains.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    held: BTreeSet<String>,
}

/// The cursors of all resources, by name.
pub type ByResource = BTreeMap<String, Kept>;

/// The cursors of a resource as they were when the run began, as far as they have moved since.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Before {
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last: Option<Mark>,
    /// Null where there was none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    parents: BTreeMap<String, Option<Mark>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_one: bool,
}

/// The cursors of a run.
#[derive(Default)]
pub struct Cursors {
    /// What the run says of all ranges.
    pub asked: Asked,
    /// As they were when the run began.
    pub starts: ByResource,
    /// As they have become.
    pub now: ByResource,
    /// Things to tell at the end.
    pub warnings: Vec<Error>,
}

impl Cursors {
    /// The contexts of the chains of a resource: one, or one for each window of its range.
    pub fn contexts(&self, plan: &Plan, index: usize, context: Context) -> Result<Vec<Context>> {
        let Some(resource) = plan.resources.get(index) else { return Ok(Vec::new()) };
        let Some(rules) = &resource.incremental else { return Ok(vec![context]) };
        let mark = self.starts.get(&resource.name).filter(|kept| kept.path == rules.path);
        let mark = mark.and_then(|kept| kept.mark(&kept.key(resource, &context)));
        let ranges = rules.ranges(&self.asked, mark.map(|mark| (&mark.value, &mark.seen)));
        let ranges: Vec<Range> = ranges.map_err(|error| error.of(&resource.name))?;
        let with = |range| context.clone().with_range(Rc::new(range));
        Ok(ranges.into_iter().map(with).collect())
    }

    /// Takes in the cursors of a chain's records that were delivered, null where a record has none. `record` gives the text of one.
    pub fn observe<'r>(
        &mut self,
        resource: &Resource,
        context: &Context,
        cursors: &[Value],
        record: &dyn Fn(usize) -> Option<&'r str>,
    ) -> Result<()> {
        let Some(rules) = resource.incremental.as_ref().filter(|rules| self.moves(resource, rules)) else {
            return Ok(());
        };
        let Some(furthest) = furthest(rules, cursors)? else { return Ok(()) };
        let kept = Kept::of(&mut self.now, resource, rules);
        let key = kept.key(resource, context);
        if kept.held.contains(&key) {
            return Ok(());
        }
        let mark = Mark { value: furthest.clone(), seen: BTreeSet::new() };
        let moved = if !key.is_empty() {
            if kept.parents.contains_key(&key) || kept.parents.len() < rules.maximum_parents {
                kept.parents.entry(key).or_insert(mark)
            } else {
                self.warnings.push(kept.unite(resource, rules)?);
                if !kept.held.is_empty() {
                    // Of some parent not all was read, so the one of all stays as well: at nothing.
                    kept.last = None;
                    kept.held.insert(String::new());
                    return Ok(());
                }
                kept.last.get_or_insert(mark)
            }
        } else {
            kept.last.get_or_insert(mark)
        };
        if moved.reach(rules, furthest, cursors, record)? {
            let message =
                format!("more than {MOST_SEEN} records have the same cursor; the others come again with the next run");
            self.warnings.push(Error::config(format!("{}/cursor_path", rules.pointer), message).of(&resource.name));
        }
        Ok(())
    }

    /// Whether a run moves the cursors of a resource. One that begins beyond them does not: what is between would be missed.
    fn moves(&self, resource: &Resource, rules: &Incremental) -> bool {
        // Rows that replace all others have no past.
        if rules.is_stateless() || resource.target.write_disposition == WriteDisposition::Replace {
            return false;
        }
        let Some(since) = &self.asked.since else { return true };
        let since = Value::from(since.as_str());
        let is_reached = |mark: &Mark| rules.compare(&since, &mark.value).is_some_and(Ordering::is_le);
        self.starts
            .get(&resource.name)
            .filter(|kept| kept.path == rules.path)
            .is_none_or(|kept| kept.last.iter().chain(kept.parents.values()).all(is_reached))
    }

    /// Puts the cursor of a chain back to where the run began, and keeps it there: not all of its records were read.
    pub fn hold(&mut self, resource: &Resource, context: &Context) {
        let Some(rules) = &resource.incremental else { return };
        let kept = Kept::of(&mut self.now, resource, rules);
        let key = kept.key(resource, context);
        let start = self.starts.get(&resource.name).filter(|start| start.path == rules.path);
        if key.is_empty() {
            kept.last = start.and_then(|start| start.last.clone());
        } else {
            match start.and_then(|start| start.parents.get(&key)) {
                Some(start) => kept.parents.insert(key.clone(), start.clone()),
                None => kept.parents.remove(&key),
            };
        }
        kept.held.insert(key);
    }

    /// The cursors as they were when the run began, of those resources whose cursors have moved.
    pub fn before(&self) -> BTreeMap<String, Before> {
        let none = Kept::default();
        let of = |name: &String| self.starts.get(name).unwrap_or(&none);
        let moved = self.now.iter().map(|(name, now)| (name, of(name), now)).filter(|(_, start, now)| start != now);
        let before = moved.map(|(name, start, now)| {
            let keys = start.parents.keys().chain(now.parents.keys());
            let parents = keys.filter(|key| start.parents.get(*key) != now.parents.get(*key));
            let parents = parents.map(|key| (key.clone(), start.parents.get(key).cloned())).collect();
            (name.clone(), Before { path: start.path.clone(), last: start.last.clone(), parents, is_one: start.is_one })
        });
        before.collect()
    }

    /// The cursors of a run that goes on.
    pub fn resume(asked: Asked, now: ByResource, before: BTreeMap<String, Before>) -> Self {
        let mut starts = now.clone();
        for (name, before) in before {
            let start = starts.entry(name).or_default();
            let Before { path, last, parents, is_one } = before;
            (start.path, start.last, start.is_one) = (path, last, is_one);
            start.held.clear();
            for (key, mark) in parents {
                match mark {
                    Some(mark) => start.parents.insert(key, mark),
                    None => start.parents.remove(&key),
                };
            }
        }
        Self { asked, starts, now, warnings: Vec::new() }
    }

    /// The cursors that the next run begins with.
    pub fn for_the_next_run(&self) -> ByResource {
        let mut next = self.now.clone();
        next.values_mut().for_each(|kept| kept.held.clear());
        next.retain(|_, kept| kept.last.is_some() || !kept.parents.is_empty() || kept.is_one);
        next
    }
}

impl Mark {
    /// Moves on to the furthest cursor of some records, never back. Tells whether more records have it than are told apart.
    fn reach<'r>(
        &mut self,
        rules: &Incremental,
        furthest: &Value,
        cursors: &[Value],
        record: &dyn Fn(usize) -> Option<&'r str>,
    ) -> Result<bool> {
        match rules.compare(furthest, &self.value).ok_or_else(|| rules.mismatch(furthest, &self.value))? {
            Ordering::Less => return Ok(false),
            Ordering::Equal => {}
            Ordering::Greater => *self = Self { value: furthest.clone(), seen: BTreeSet::new() },
        }
        if !rules.deduplicates {
            return Ok(false);
        }
        let was_full = self.seen.len() >= MOST_SEEN;
        let is_here = |cursor: &Value| !cursor.is_null() && rules.compare(cursor, &self.value) == Some(Ordering::Equal);
        for (nth, _) in cursors.iter().enumerate().filter(|(_, cursor)| is_here(cursor)) {
            if self.seen.len() >= MOST_SEEN {
                return Ok(!was_full);
            }
            if let Some(record) = record(nth) {
                self.seen.insert(identity::of_record(&response::parsed(record)?));
            }
        }
        Ok(false)
    }
}

impl Kept {
    /// Those of a resource, begun anew where they were found at another path.
    fn of<'c>(cursors: &'c mut ByResource, resource: &Resource, rules: &Incremental) -> &'c mut Self {
        let kept = cursors.entry(resource.name.clone()).or_default();
        if kept.path != rules.path {
            *kept = Self { path: rules.path.clone(), ..Self::default() };
        }
        kept
    }

    /// The cursor of this name.
    fn mark(&self, key: &str) -> Option<&Mark> {
        if key.is_empty() { self.last.as_ref() } else { self.parents.get(key) }
    }

    /// The name of a chain's cursor: empty for the one of all chains.
    fn key(&self, resource: &Resource, context: &Context) -> String {
        let is_of_parent = resource.parent.is_some() && !self.is_one && !resource.is_batched();
        if is_of_parent { context.key(resource) } else { String::new() }
    }

    /// Makes one cursor of those of all parents, where the configuration permits it.
    fn unite(&mut self, resource: &Resource, rules: &Incremental) -> Result<Error> {
        let most = rules.maximum_parents;
        let error = Error::config(
            format!("{}/maximum_parents", rules.pointer),
            format!("`{}` has more than {most} parents, and a cursor is kept for each", resource.name),
        );
        if rules.on_too_many_parents == TooManyParents::Fail {
            return Err(Error { kind: Kind::Limit, ..error }.of(&resource.name).advice(
                "permit more with `maximum_parents`, or one cursor for all with `on_too_many_parents: one_cursor`",
            ));
        }
        for mark in std::mem::take(&mut self.parents).into_values() {
            let further = |last: &Mark| rules.compare(&mark.value, &last.value).is_some_and(Ordering::is_gt);
            if self.last.as_ref().is_none_or(further) {
                self.last = Some(mark);
            }
        }
        self.is_one = true;
        Ok(error.of(&resource.name).advice(
            "from now on one cursor is kept for all: give `lag`, so that records that come late are not missed",
        ))
    }
}

/// The furthest of some cursors.
fn furthest<'r>(rules: &Incremental, cursors: &'r [Value]) -> Result<Option<&'r Value>> {
    let mut furthest: Option<&Value> = None;
    for cursor in cursors.iter().filter(|cursor| !cursor.is_null()) {
        let order =
            furthest.map(|furthest| rules.compare(cursor, furthest).ok_or_else(|| rules.mismatch(cursor, furthest)));
        if order.transpose()?.is_none_or(Ordering::is_gt) {
            furthest = Some(cursor);
        }
    }
    Ok(furthest)
}
