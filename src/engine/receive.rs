//! Taking in a page: its records, what follows it, and the chains of its records' children.

use super::chain::{Chain, Fetch};
use super::transport::Transport;
use super::{Reader, wanted_children};
use crate::error::{Error, Kind, Result};
use crate::paginate::{self, Detected, Following, Paginator};
use crate::plan::{Context, Resource};
use crate::records::Records;
use crate::request::Response;
use crate::response;
use crate::select::Selector;
use crate::steps::Scope;
use serde_json::Value;
use std::rc::Rc;

/// What the paginator says of a page.
struct Followed {
    following: Option<Following>,
    /// Whether the page repeats the one before it, because the chain began with a page that has no number.
    is_repeated: bool,
    /// Whether the API gives fewer records than it was asked for.
    is_capped: bool,
    /// That the API told of more, where this is the last page.
    falls_short: Option<String>,
}

impl<T: Transport> Reader<T> {
    /// Takes the records out of a response. Tells what follows the page: nothing, where it `ends` the chain.
    pub(super) fn receive(
        &mut self,
        chain: &mut Chain,
        nth: usize,
        mut response: Response,
        ends: bool,
    ) -> Result<Option<Following>> {
        let index = chain.resource;
        let Some(resource) = self.plan.resources.get(index) else { return Ok(None) };
        let size = response.body.len();
        let body = response::read(&mut response, resource.format.as_ref())?;
        if resource.selector.is_none() && chain.detected.is_none() && !body.is_empty() {
            chain.detected = Some(Rc::new(body.detect(&response)?));
        }
        let root = Selector::of_keys(Vec::new());
        let detected = chain.detected.clone();
        let selector = resource.selector.as_ref().or(detected.as_deref()).unwrap_or(&root);
        let is_whole = resource.paginator.as_ref().or(chain.found()).is_some_and(|found| found.needs_all_of(selector));
        let response::Page { head, mut records, is_matched } = body.page(&response, selector, is_whole)?;
        let Some(followed) = self.follow(chain, nth, &response, (selector, &head, &records), ends)? else {
            return Ok(None);
        };
        let Followed { mut following, is_repeated, is_capped, falls_short } = followed;
        let (Some(resource), Some(page)) = (self.plan.resources.get(index), chain.pages.get_mut(nth)) else {
            return Ok(None);
        };
        // An empty body says nothing of where the records are.
        let unmatched = (nth == 0 && chain.passed == 0 && !is_matched).then(|| no_match(resource, selector, &head));
        // The only page of a chain has none to be compared with.
        let is_only = following.is_none() && nth == 0 && chain.passed == 0;
        page.digest = if is_only { None } else { records.digest() };
        if is_repeated {
            records = Records::default();
        }
        page.given = records.len();
        self.last_size = size;
        if is_capped {
            let place = format!("{}/endpoint/paginator/limit", resource.pointer);
            let message = "the API gives pages with fewer records than `limit` though more follow";
            let advice =
                "the next offset is counted from what was received; a smaller `limit` would say what the API does";
            let warning = Error::config(place, message).of(&resource.name).advice(advice);
            self.warn(warning);
        }
        if self.take_in(chain, nth, records, size)? {
            following = None;
        } else if let Some(message) = falls_short {
            let place = format!(
                "{}/endpoint/paginator",
                self.plan.resources.get(index).map_or("", |resource| &resource.pointer)
            );
            let warning = Error::config(place, message).advice(
                "the API may have lost some meanwhile, or give fewer a page than the paginator says; read again, or look at the last page",
            );
            let name = self.plan.resources.get(index).map_or("", |resource| &resource.name);
            self.warn(warning.of(name));
        }
        if let Some(warning) = unmatched {
            self.unmatched.entry(index).or_insert(warning);
        }
        self.count(index, |counts| counts.pages += 1);
        Ok(following)
    }

    /// Takes in the records of a page, and opens the chains of their children. Tells whether nothing new can follow.
    pub(super) fn take_in(&mut self, chain: &mut Chain, nth: usize, mut records: Records, size: usize) -> Result<bool> {
        let Some(resource) = self.plan.resources.get(chain.resource) else { return Ok(true) };
        let mut filtered = 0;
        if !resource.includes.is_empty() || !resource.steps.is_empty() {
            let mut values = records.values()?;
            include(resource, &chain.context, &mut values)?;
            if !resource.steps.is_empty() {
                let parent = resource.parent.and_then(|parent| self.plan.resources.get(parent));
                let url = match chain.pages.get(nth) {
                    Some(page) if resource.seeds.is_none() && resource.steps.use_variable("params") => {
                        Some(resource.request(&chain.context, &page.position, chain.found())?.url)
                    }
                    _ => None,
                };
                let scope = Scope::new(resource, parent, &chain.context, url.as_ref(), self.shaper.load_id());
                (values, filtered) = resource.steps.run(values, &scope)?;
            }
            records = Records::of_values(&values);
        }
        let (mut is_last, mut dropped, mut cursors) = (false, 0, Vec::new());
        if let (Some(rules), Some(range)) = (&resource.incremental, &chain.context.range) {
            let new = rules.filter(range, &records)?;
            dropped = (records.len() - new.kept.len()) as u64;
            records.keep(&new.kept);
            (is_last, cursors) = (new.is_last, new.cursors);
        }
        let Some(page) = chain.pages.get_mut(nth) else { return Ok(true) };
        let is_read = |index: usize| self.read.get(index).copied().unwrap_or(false);
        let children = wanted_children(&self.plan, chain.resource, &is_read);
        let mut skipped = Vec::new();
        if !children.is_empty() {
            let parents =
                records.from(0).map(|record| resource.extend(&chain.context, &response::parsed(record)?, &is_read));
            page.parents = parents.collect::<Result<_>>()?;
            skipped = page.open_children(&self.plan, &self.cursors, &children, None)?;
        }
        page.fetch = Fetch::Ready { records, cursors, size };
        for (child, skipped) in skipped {
            self.count(child, |counts| counts.skipped += skipped);
        }
        self.count(chain.resource, |counts| {
            counts.filtered += filtered + dropped;
            counts.left_out += filtered;
        });
        Ok(is_last)
    }

    /// Tells a warning at the end of the run, once for its place.
    fn warn(&mut self, warning: Error) {
        if self.warnings.iter().all(|other| other.pointer != warning.pointer) {
            self.warnings.push(warning);
        }
    }

    /// What follows a page. Finds the paginator where the configuration has none.
    fn follow(
        &self,
        chain: &mut Chain,
        nth: usize,
        response: &Response,
        (selector, head, records): (&Selector, &Value, &Records),
        ends: bool,
    ) -> Result<Option<Followed>> {
        let before = match nth.checked_sub(1) {
            Some(before) => chain.pages.get(before).and_then(|page| page.digest),
            None => chain.before,
        };
        let (Some(resource), Some(page)) = (self.plan.resources.get(chain.resource), chain.pages.get(nth)) else {
            return Ok(None);
        };
        let paginator = resource.paginator.as_ref().or(chain.found());
        let url = resource.request(&chain.context, &page.position, chain.found())?.url;
        let last_record = match paginator.is_some_and(Paginator::needs_last_record) {
            true => records.last()?,
            false => None,
        };
        let view = paginate::Page {
            url: &url,
            headers: &response.headers,
            body: head,
            selector: Some(selector),
            records: records.len() as u64,
            last_record: last_record.as_ref(),
            index: chain.passed.saturating_add(nth as u64),
        };
        let mut is_repeated = false;
        if resource.paginator.is_none() {
            chain.paginator.get_or_insert_with(|| Rc::new(Detected::new(paginate::detect(&view))));
            let repeated = chain.paginator.as_ref().and_then(|found| found.repeated(&page.position));
            if let Some(repeated) = repeated
                && before.is_some()
                && records.digest() == before
            {
                chain.paginator = Some(Rc::new(repeated));
                is_repeated = true;
            }
        }
        let detected = chain.paginator.as_deref();
        let Some(paginator) = resource.paginator.as_ref().or(detected.map(|detected| &detected.paginator)) else {
            return Ok(None);
        };
        let next = if ends { None } else { paginator.next(&page.position, &view)? };
        let mut following = next.map(|following| Following {
            position: resource.without_credential(following.position),
            last: following.last,
        });
        chain.is_bounded |= following.as_ref().is_some_and(|following| following.last.is_some());
        if detected.is_some_and(|detected| detected.awaits(&page.position))
            && let Some(following) = &mut following
        {
            following.last = None;
        }
        if let Some(following) = &following {
            chain.guard.step(&page.position, &following.position).map_err(|error| *error)?;
        }
        let is_capped = paginator.shows_cap(&page.position, &view);
        let falls_short =
            if ends || following.is_some() { None } else { paginator.falls_short(&page.position, &view)? };
        Ok(Some(Followed { following, is_repeated, is_capped, falls_short }))
    }
}

/// Gives records the fields of their parent's.
fn include(resource: &Resource, context: &Context, records: &mut [Value]) -> Result<()> {
    for record in records.iter_mut().filter(|_| !resource.includes.is_empty()) {
        let Value::Object(fields) = record else {
            let message = "a record is no object, so it can hold no field of its parent";
            return Err(Error::new(Kind::Upstream, message)
                .of(&resource.name)
                .advice("leave out `include_from_parent`, or select the objects with `data_selector`"));
        };
        for include in &resource.includes {
            fields.insert(include.key.clone(), context.get(&include.field).cloned().unwrap_or_default());
        }
    }
    Ok(())
}

/// The warning of a selector that matches nothing in a chain's first page: likely a misspelling.
fn no_match(resource: &Resource, selector: &Selector, body: &Value) -> Error {
    let place = format!("{}/endpoint/data_selector", resource.pointer);
    let message = "the selector matches nothing in the first page of a chain, so no records are taken from it";
    Error::config(place, message).of(&resource.name).advice(selector.advice(body))
}
