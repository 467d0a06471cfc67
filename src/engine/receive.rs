//! Taking in a page: its records, what follows it, and the chains of its records' children.

use super::chain::{Chain, Fetch};
use super::transport::Transport;
use super::{Reader, guard, wanted_children};
use crate::error::{Error, Result};
use crate::paginate::{self, Detected, Following};
use crate::request::Response;
use crate::select;
use serde_json::Value;
use std::rc::Rc;

/// What the paginator says of a page.
struct Followed {
    following: Option<Following>,
    /// Whether the page repeats the one before it, because the chain began with a page that has no number.
    is_repeated: bool,
    /// Whether the API gives fewer records than it was asked for.
    is_capped: bool,
}

impl<T: Transport> Reader<T> {
    /// Takes the records out of a response. Tells what follows the page.
    pub(super) fn receive(
        &mut self,
        chain: &mut Chain,
        nth: usize,
        response: &Response,
        mut body: Value,
    ) -> Result<Option<Following>> {
        let Some(followed) = self.follow(chain, nth, response, &body)? else { return Ok(None) };
        let Followed { mut following, is_repeated, is_capped } = followed;
        let index = chain.resource;
        let (Some(resource), Some(page)) = (self.plan.resources.get(index), chain.pages.get_mut(nth)) else {
            return Ok(None);
        };
        let selector = resource.selector.as_ref().or(chain.detected.as_deref());
        let found = selector.and_then(|selector| selector.take_records(&mut body));
        let matched = found.is_some();
        let mut records = found.unwrap_or_default();
        // The only page of a chain has none to be compared with.
        let is_only = following.is_none() && nth == 0 && chain.passed == 0;
        page.digest = if is_only { None } else { guard::digest(&records) };
        if is_repeated {
            records.clear();
        }
        let mut filtered = 0;
        if let (Some(rules), Some(range)) = (&resource.incremental, &chain.context.range) {
            let new = rules.filter(range, records)?;
            (records, filtered) = (new.records, new.dropped);
            following = following.filter(|_| !new.is_last);
        }
        let children = wanted_children(&self.plan, index, &|index| self.read.get(index).copied().unwrap_or(false));
        if !children.is_empty() {
            page.keep_parents(&self.plan, index, &chain.context, &records)?;
            page.open_children(&self.plan, &self.cursors, &children, None)?;
        }
        self.last_size = response.body.len();
        page.fetch = Fetch::Ready { records, size: self.last_size };
        if is_capped {
            let place = format!("{}/endpoint/paginator/limit", resource.pointer);
            let message = "the API gives pages with fewer records than `limit` though more follow";
            let advice =
                "the next offset is counted from what was received; a smaller `limit` would say what the API does";
            let warning = Error::config(place, message).of(&resource.name).advice(advice);
            self.warn(warning);
        }
        self.count(index, |counts| {
            counts.pages += 1;
            counts.matched |= matched;
            counts.filtered += filtered;
        });
        Ok(following)
    }

    /// Tells a warning at the end of the run, once.
    fn warn(&mut self, warning: Error) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// What follows a page. Finds the path to the records and the paginator where the configuration has none.
    fn follow(&self, chain: &mut Chain, nth: usize, response: &Response, body: &Value) -> Result<Option<Followed>> {
        let before = match nth.checked_sub(1) {
            Some(before) => chain.pages.get(before).and_then(|page| page.digest),
            None => chain.before,
        };
        let (Some(resource), Some(page)) = (self.plan.resources.get(chain.resource), chain.pages.get(nth)) else {
            return Ok(None);
        };
        if resource.selector.is_none() {
            chain.detected.get_or_insert_with(|| Rc::new(select::detect(body)));
        }
        let selector = resource.selector.as_ref().or(chain.detected.as_deref());
        let found = chain.paginator.as_ref().map(|found| &found.paginator);
        let url = resource.request(&chain.context, &page.position, found)?.url;
        let (records, last_record) = selector.map_or((0, None), |selector| selector.count_records(body));
        let view = paginate::Page {
            url: &url,
            headers: &response.headers,
            body,
            selector,
            records,
            last_record,
            index: chain.passed.saturating_add(nth as u64),
        };
        let mut is_repeated = false;
        if resource.paginator.is_none() {
            chain.paginator.get_or_insert_with(|| Rc::new(Detected::new(paginate::detect(&view))));
            let repeated = chain.paginator.as_ref().and_then(|found| found.repeated(&page.position));
            if let Some(repeated) = repeated
                && before.is_some()
                && selector.is_some_and(|selector| guard::digest_at(selector, body) == before)
            {
                chain.paginator = Some(Rc::new(repeated));
                is_repeated = true;
            }
        }
        let detected = chain.paginator.as_deref();
        let Some(paginator) = resource.paginator.as_ref().or(detected.map(|detected| &detected.paginator)) else {
            return Ok(None);
        };
        let mut following = paginator.next(&page.position, &view)?.map(|following| Following {
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
        Ok(Some(Followed { following, is_repeated, is_capped }))
    }
}
