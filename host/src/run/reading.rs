//! Reading: a connector that is asked for rows, and dropped while it waits for long.

use super::bill::Bill;
use super::convert::load_batch;
use super::writer::Writer;
use super::{BATCH_BYTES, Event, Options, Waits};
use crate::gate::{Gate, KeptAnswers, Origin, Tape};
use crate::limits::{Limits, WALL};
use crate::sandbox::{self, Connector, Description, Instance, OpenRequest, ResourceCounts, Step, Summary, Usage};
use crate::{Class, Error, Result};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout_at;
use url::Url;

/// A connector that reads a source, and what it takes to begin again where it was.
pub(super) struct Reader<'c> {
    connector: &'c Connector,
    /// The resources that it described.
    resources: BTreeSet<&'c str>,
    gate: Gate,
    limits: Limits,
    /// How to open it: with the state and the schema of what it handed over last.
    request: OpenRequest,
    /// None before it is started, and while it is parked.
    instance: Option<Instance>,
    /// What the instances before took.
    before: Usage,
    /// What each resource came to in the instances before, and in all.
    counts_before: Vec<ResourceCounts>,
    counts: Vec<ResourceCounts>,
    starts: u64,
    rows: u64,
}

impl<'c> Reader<'c> {
    pub fn new(
        connector: &'c Connector,
        description: &'c Description,
        gate: Gate,
        limits: Limits,
        request: OpenRequest,
    ) -> Self {
        let (before, counts_before, counts, starts, rows) = Default::default();
        let resources = description.resources.iter().map(|resource| resource.name.as_str()).collect();
        Self {
            connector,
            resources,
            gate,
            limits,
            request,
            instance: None,
            before,
            counts_before,
            counts,
            starts,
            rows,
        }
    }

    /// What the connector has next.
    async fn next(&mut self, batch_rows: u32) -> Result<Step> {
        let instance = match &mut self.instance {
            Some(instance) => instance,
            none => {
                let instance = none.insert(self.connector.start(self.gate.clone(), self.limits.clone()).await?);
                self.starts += 1;
                instance.open(&self.request).await?;
                instance
            }
        };
        let mut step = instance.next(batch_rows, BATCH_BYTES).await?;
        self.check_resources(&step)?;
        let counts = match &mut step {
            Step::Batch(batch) => &mut batch.counts,
            Step::Wait(wait) => &mut wait.counts,
            Step::Done(summary) => &mut summary.counts,
        };
        add(counts, &self.counts_before);
        self.counts.clone_from(counts);
        match &step {
            Step::Batch(batch) => {
                self.rows += batch.tables.iter().map(|table| table.rows.num_rows() as u64).sum::<u64>();
                self.request.state = Some(batch.state.clone());
                if let Some(schema) = &batch.schema {
                    self.request.schema = Some(schema.clone());
                }
            }
            Step::Wait(wait) => self.request.state = Some(wait.state.clone()),
            Step::Done(_) => {}
        }
        Ok(step)
    }

    /// What is told of a resource is kept, so a connector that makes up resources could tell without end.
    fn check_resources(&self, step: &Step) -> Result<()> {
        let (waiting, counts) = match step {
            Step::Batch(batch) => (None, &batch.counts),
            Step::Wait(wait) => (Some(wait.resource.as_str()), &wait.counts),
            Step::Done(summary) => (None, &summary.counts),
        };
        let mut named = counts.iter().map(|counts| counts.resource.as_str()).chain(waiting);
        match named.find(|name| !self.resources.contains(name)) {
            None => Ok(()),
            Some(_) => Err(Error::new(Class::Internal, "the connector spoke of a resource that it did not describe")),
        }
    }

    /// Drops the instance. The next one begins from the state that was given last.
    fn park(&mut self) {
        if let Some(instance) = self.instance.take() {
            self.before = self.before.and(instance.usage());
            self.counts_before.clone_from(&self.counts);
        }
    }

    /// Ends the instance, and writes its memory into a file. One that has ended by a trap leaves none.
    pub async fn write_memory_image(&mut self, path: &Path) -> Result<()> {
        let Some(instance) = self.instance.take() else { return Ok(()) };
        let Ok(image) = instance.into_memory_image().await else { return Ok(()) };
        std::fs::write(path, image)
            .map_err(|error| Error::new(Class::Config, format!("failed to write {}: {error}", path.display())))
    }

    /// The URL of the last request, without secrets.
    pub fn last_url(&self) -> Option<String> {
        self.gate.last_url()
    }

    /// An error without secrets. Names that a connector gives are told too, and it may have guessed one.
    pub fn redacted(&self, mut error: Error) -> Error {
        let redact = |text: &mut String| *text = self.gate.redactor().redact(text);
        redact(&mut error.message);
        error.facts.iter_mut().for_each(|(_, text)| redact(text));
        error.advice.iter_mut().for_each(redact);
        error
    }

    /// What it took so far, with these waits.
    pub fn bill(&self, waits: &Waits) -> Bill {
        let usage = self.instance.as_ref().map_or(self.before, |instance| self.before.and(instance.usage()));
        let counts = self.gate.counts();
        let waited = waits.values().fold(Duration::ZERO, |sum, (_, length)| sum.saturating_add(*length)).as_millis();
        Bill {
            instructions: usage.instructions,
            peak_memory: usage.peak_memory as u64,
            requests: counts.requests,
            kept_answers: self.gate.kept().map_or(0, KeptAnswers::used),
            bytes_out: counts.sent,
            bytes_in: counts.received,
            waits: waits.values().map(|(times, _)| times).sum(),
            waited_ms: u64::try_from(waited).unwrap_or(u64::MAX),
            rows: self.rows,
            starts: self.starts,
        }
    }
}

/// Reads all that there is, and hands it to the writer.
pub(super) async fn read(
    reader: &mut Reader<'_>,
    options: &Options,
    writer: &mut Writer,
    waits: &mut Waits,
    tell: &mut (dyn FnMut(Event<'_>) + Send),
) -> Result<Summary> {
    loop {
        match reader.next(options.batch_rows()).await? {
            Step::Batch(batch) => {
                tell(Event::Counts(&batch.counts));
                writer.stage(load_batch(batch)).await?;
                tell_staged(reader, writer, tell);
            }
            Step::Wait(wait) => {
                tell(Event::Counts(&wait.counts));
                let length = pause(&reader.gate, wait.until);
                tell(Event::Wait { resource: &wait.resource, reason: &wait.reason, wait: length });
                let of_resource = waits.entry(wait.resource).or_default();
                *of_resource = (of_resource.0 + 1, of_resource.1.saturating_add(length));
                // A tape is one instance's.
                if reader.gate.tape().is_none() && options.park_after.is_some_and(|threshold| length > threshold) {
                    reader.park();
                }
                rest(&reader.gate, &reader.limits, length).await?;
            }
            Step::Done(summary) => {
                writer.rest().await;
                tell_staged(reader, writer, tell);
                return Ok(summary);
            }
        }
    }
}

/// Tells how often rows were staged durably since it was told last.
fn tell_staged(reader: &Reader<'_>, writer: &mut Writer, tell: &mut (dyn FnMut(Event<'_>) + Send)) {
    while writer.has_staged() {
        if let Some(kept) = reader.gate.kept() {
            kept.staged();
        }
        tell(Event::Staged);
    }
}

/// Adds what the same resources came to before.
fn add(counts: &mut [ResourceCounts], before: &[ResourceCounts]) {
    for own in counts {
        let Some(before) = before.iter().find(|before| before.resource == own.resource) else { continue };
        let sum = |own: &mut u64, before: u64| *own = own.saturating_add(before);
        sum(&mut own.requests, before.requests);
        sum(&mut own.retries, before.retries);
        sum(&mut own.pages, before.pages);
        sum(&mut own.rows, before.rows);
        sum(&mut own.filtered, before.filtered);
    }
}

/// How long it is until an instant in milliseconds since 1970. A replay does not wait: what comes then stands on the tape.
pub(super) fn pause(gate: &Gate, instant: u64) -> Duration {
    if gate.tape().is_some_and(Tape::is_replay) {
        return Duration::ZERO;
    }
    let now = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0);
    Duration::from_millis(instant.saturating_sub(now))
}

/// Sleeps so long, but not beyond the time of the run.
pub(super) async fn rest(gate: &Gate, limits: &Limits, length: Duration) -> Result<()> {
    let slept = timeout_at(sandbox::deadline(gate, limits), tokio::time::sleep(length)).await;
    slept.map_err(|_| WALL.reached(limits))
}

/// Whether a URL is one that a resource asks for, by the URL of its first request, in which a step of the path may be a
/// template.
pub(super) fn is_of(url: &str, template: &str) -> bool {
    let (Ok(url), Some(origin)) = (Url::parse(url), Origin::of_template(template)) else { return false };
    let path = template.split(['?', '#']).next().unwrap_or_default();
    let path = path.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    let same = |(own, step): (&str, &str)| own == step || (step.contains('{') && step.contains('}'));
    let (own, steps) = (url.path().trim_start_matches('/').split('/'), path.split('/'));
    Origin::of(&url).is_ok_and(|own| own == origin)
        && own.clone().count() == steps.clone().count()
        && own.zip(steps).all(same)
}

#[cfg(test)]
mod tests {
    use super::is_of;

    #[test]
    fn a_url_is_of_the_resource_whose_path_it_has() {
        let url = "http://a.example:80/v1/users/7/orders?page=3";
        for (template, own) in [
            ("http://a.example/v1/users/{user_id}/orders?limit=20", true),
            ("http://a.example:80/v1/users/{resources.users.id}/orders", true),
            ("http://a.example/v1/users/{user_id}", false),
            ("http://a.example/v1/users/{user_id}/items", false),
            ("https://a.example/v1/users/{user_id}/orders", false),
            ("", false),
        ] {
            assert_eq!(is_of(url, template), own, "{template}");
        }
    }
}
