//! What can be seen while a component reads a source.

use super::reading::{How, Reading, Rows};
use super::{Found, Report, told};
use crate::Class;
use crate::gate::{Answer, Learned, Rehearsal, Secrets};
use crate::run::Run;
use crate::sandbox::Description;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use std::collections::HashSet;

/// The checks, in their order.
pub(super) const CHECKS: [&str; 17] = [
    "describe",
    "check",
    "read",
    "same-again",
    "max-rows",
    "max-bytes",
    "window",
    "resume",
    "after-the-end",
    "bad-state",
    "401",
    "403",
    "404",
    "429",
    "500",
    "503",
    "garbage",
];

/// Into how many batches a source is cut at the least, where it has as many rows.
const BATCHES: u64 = 12;

/// From how many states a reading is resumed at the most.
const RESUMED: usize = 50;

/// What an API may answer to everything, and the kinds of error that fit.
const FAILURES: [(&str, u16, &str, &[&str]); 7] = [
    ("401", 401, "{}", &["auth"]),
    ("403", 403, "{}", &["permission"]),
    ("404", 404, "{}", &["upstream"]),
    ("429", 429, "{}", &["rate-limited"]),
    ("500", 500, "{}", &["transient"]),
    ("503", 503, "{}", &["transient"]),
    ("garbage", 200, "{\"data\": [{\"id\": 1}, \u{0}", &["upstream"]),
];

pub(super) async fn check(mut run: Run, secrets: &Secrets, report: &mut Report) {
    let [describe, check, read, again, max_rows, max_bytes, window, resume, after, bad_state, ..] = CHECKS;
    report.add(describe, description(&run.description));
    report.add(check, run.check(secrets).await.map_err(|error| told(&error)));

    let learned = Learned::default();
    run.rehearse(Rehearsal::Learning(learned.clone()));
    let first = Reading::of(&run, secrets, &How::default()).await;
    let found = first.whole().map(drop).and_then(|()| match first.root_rows() {
        0 => Err("there are no rows: give a source that has some".to_owned()),
        _ => Ok(()),
    });
    let is_read = found.is_ok();
    report.add(read, found);

    run.rehearse(Rehearsal::Knowing(learned));
    let known = Known { run: &run, secrets, all: first.rows_from(0) };
    if is_read {
        let small = How { max_rows: pieces(first.root_rows()), ..How::default() };
        let cut = Reading::of(&run, secrets, &small).await;
        report.add(again, known.again(&first).await);
        report.add(max_rows, known.in_pieces(&cut, small.max_rows));
        report.add(max_bytes, known.one_by_one().await);
        report.add(window, known.windows().await);
        report.add(resume, known.resumes(&cut, &small).await);
        report.add(after, known.goes_on_after_the_end(&first).await);
        report.add(bad_state, known.refuses_states().await);
    } else {
        report.skip(&[again, max_rows, max_bytes, window, resume, after, bad_state], "the source was not read");
    }
    for (name, status, body, kinds) in FAILURES {
        report.add(name, fails(&mut run, secrets, status, body, kinds).await);
    }
}

/// Root rows of a batch, so that there are enough of them.
fn pieces(root_rows: u64) -> u32 {
    u32::try_from((root_rows / BATCHES).clamp(1, 1000)).unwrap_or(1)
}

/// A description names things once, and what it names is there.
fn description(description: &Description) -> Found {
    let mut names = HashSet::new();
    for resource in &description.resources {
        if !names.insert(resource.name.as_str()) {
            return Err(format!("there are two resources `{}`", resource.name));
        }
        if resource.name.is_empty() || resource.table.is_empty() {
            return Err("a resource or its table has no name".to_owned());
        }
    }
    for resource in &description.resources {
        if let Some(parent) = resource.parent.as_deref().filter(|parent| !names.contains(parent)) {
            return Err(format!("the parent `{parent}` of `{}` is no resource", resource.name));
        }
    }
    if description.resources.is_empty() {
        return Err("there are no resources".to_owned());
    }
    if !description.origins.is_sorted() {
        return Err("the origins are not sorted".to_owned());
    }
    let unknown = |origin: &&String| !description.origins.contains(origin);
    match description.slots.iter().flat_map(|slot| &slot.origins).find(unknown) {
        Some(origin) => Err(format!("a secret is bound to {origin}, which is not among the origins")),
        None => Ok(()),
    }
}

/// A source whose answers are known, and all its rows.
struct Known<'a> {
    run: &'a Run,
    secrets: &'a Secrets,
    all: Rows,
}

impl Known<'_> {
    /// Reads to the end, and has all rows.
    async fn reads(&self, how: &How) -> Found {
        let reading = Reading::of(self.run, self.secrets, how).await;
        reading.whole()?;
        same(&reading.rows_from(0), &self.all)
    }

    /// Where there is no room, a batch has one record.
    async fn one_by_one(&self) -> Found {
        let reading = Reading::of(self.run, self.secrets, &How { max_bytes: 1, ..How::default() }).await;
        if let Some(batch) = reading.batches.iter().find(|batch| batch.root_rows > 1) {
            return Err(format!("a batch has {} root rows, and there was room for one", batch.root_rows));
        }
        reading.whole()?;
        same(&reading.rows_from(0), &self.all)
    }

    /// The same answers give the same rows in the same order, and the same states.
    async fn again(&self, first: &Reading) -> Found {
        let again = Reading::of(self.run, self.secrets, &How::default()).await;
        let (one, other) = (first.whole()?, again.whole()?);
        same(&again.rows_from(0), &self.all)?;
        match one.state == other.state {
            true => Ok(()),
            false => Err(format!("the state at the end is {}, and was {}", other.state, one.state)),
        }
    }

    /// No batch has more root rows than were asked for, and together they have all.
    fn in_pieces(&self, cut: &Reading, max_rows: u32) -> Found {
        if let Some(batch) = cut.batches.iter().find(|batch| batch.root_rows > u64::from(max_rows)) {
            return Err(format!("a batch has {} root rows, and {max_rows} were asked for", batch.root_rows));
        }
        cut.whole()?;
        same(&cut.rows_from(0), &self.all)
    }

    /// How many requests are in flight does not change the rows.
    async fn windows(&self) -> Found {
        for window in [1, 64] {
            let found = self.reads(&How { window, ..How::default() }).await;
            found.map_err(|why| format!("with a window of {window}: {why}"))?;
        }
        Ok(())
    }

    /// The state of a batch covers exactly the rows up to it: a reader that is opened with it has the others.
    async fn resumes(&self, cut: &Reading, how: &How) -> Found {
        cut.whole()?;
        let (step, last) = (cut.batches.len().div_ceil(RESUMED).max(1), cut.batches.len().saturating_sub(1));
        for (at, batch) in cut.batches.iter().enumerate().filter(|(at, _)| at % step == 0 || *at == last) {
            let how = How { state: Some(batch.state.clone()), schema: batch.schema.clone(), ..how.clone() };
            let rest = Reading::of(self.run, self.secrets, &how).await;
            let found = rest.whole().map(drop).and_then(|()| same(&rest.rows_from(0), &cut.rows_from(at + 1)));
            found.map_err(|why| format!("from the state of batch {} of {}: {why}", at + 1, cut.batches.len()))?;
        }
        Ok(())
    }

    /// A next run begins with the state of the last one.
    async fn goes_on_after_the_end(&self, first: &Reading) -> Found {
        let state = first.whole()?.state.clone();
        let schema = first.batches.last().and_then(|batch| batch.schema.clone());
        let next = Reading::of(self.run, self.secrets, &How { state: Some(state), schema, ..How::default() }).await;
        // It may ask for what is new, which was never answered: whatever comes of that is no fault.
        match next.end {
            Err(error) if matches!(error.class, Class::Internal | Class::Config) => Err(told(&error)),
            _ => Ok(()),
        }
    }

    /// What is no state is refused, and nothing crashes.
    async fn refuses_states(&self) -> Found {
        for state in ["", "{", "[1]", "\"text\"", "{\"no such key\": 1}"] {
            let reading =
                Reading::of(self.run, self.secrets, &How { state: Some(state.to_owned()), ..How::default() }).await;
            match &reading.end {
                Err(error) if error.class == Class::Internal => {
                    return Err(format!("the state {state:?} gives {}", told(error)));
                }
                Ok(_) if reading.rows_from(0) != self.all => {
                    return Err(format!("the state {state:?} is taken for one, and rows are left out"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The API answers everything so: the error says what it is, and nothing was delivered.
async fn fails(run: &mut Run, secrets: &Secrets, status: u16, body: &str, kinds: &[&str]) -> Found {
    let mut headers =
        HeaderMap::from_iter([(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    if matches!(status, 429 | 503) {
        headers.insert(http::header::RETRY_AFTER, HeaderValue::from_static("0"));
    }
    let answer = Answer {
        status: StatusCode::from_u16(status).unwrap_or_default(),
        headers,
        body: Bytes::copy_from_slice(body.as_bytes()),
    };
    run.rehearse(Rehearsal::Same(answer));
    let reading = Reading::of(run, secrets, &How::default()).await;
    let wanted = kinds.join("` or `");
    if !reading.batches.is_empty() {
        return Err("there are rows, and the API gave none".to_owned());
    }
    match reading.end {
        Ok(_) => Err(format!("it ends as if all were well, and not with `{wanted}`")),
        Err(error) if error.kind.is_some_and(|kind| kinds.contains(&kind)) => Ok(()),
        // To wait without end for an API that limits the rate is an answer too.
        Err(error) if status == 429 && reading.has_waited && error.limit.is_some() => Ok(()),
        Err(error) => Err(format!("it is to end with `{wanted}`, and ends with {}", told(&error))),
    }
}

/// Fails with the first thing that is not the same.
fn same(found: &Rows, expected: &Rows) -> Found {
    for table in expected.keys().chain(found.keys()) {
        let [found, expected] = [found, expected].map(|rows| rows.get(table).map(Vec::as_slice).unwrap_or_default());
        if found.len() != expected.len() {
            return Err(format!("`{table}` has {} rows, and not {}", found.len(), expected.len()));
        }
        if let Some(at) = found.iter().zip(expected).position(|(found, expected)| found != expected) {
            return Err(format!("row {} of `{table}` is another one", at + 1));
        }
    }
    Ok(())
}
