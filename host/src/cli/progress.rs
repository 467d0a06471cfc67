//! What a run tells while it goes on: a live line per resource on a terminal, plain lines elsewhere.

use super::diagnostic::{eprintln, printable};
use crate::changes::plural;
use crate::run::Event;
use crate::sandbox::ResourceCounts;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// How often a plain line is printed for a resource that goes on.
const INTERVAL: Duration = Duration::from_secs(2);

/// Shows the progress of a run.
pub struct Progress {
    started: Instant,
    form: Form,
    /// The counts that were told last, in the order of the configuration.
    last: Vec<ResourceCounts>,
    /// How often each resource has waited.
    waits: BTreeMap<String, u64>,
}

enum Form {
    /// Lines that are drawn over, by resource.
    Live { all: MultiProgress, bars: BTreeMap<String, ProgressBar> },
    /// Lines, and when the last ones were printed.
    Plain { printed: Instant },
}

impl Progress {
    /// Begins.
    pub fn new() -> Self {
        let started = Instant::now();
        let form = if std::io::stderr().is_terminal() {
            let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
            Form::Live { all, bars: BTreeMap::new() }
        } else {
            Form::Plain { printed: started }
        };
        Self { started, form, last: Vec::new(), waits: BTreeMap::new() }
    }

    /// Takes in what a run tells.
    pub fn tell(&mut self, event: &Event<'_>) {
        match event {
            Event::Resumed { rows, answers } => {
                let (rows, answers) = (plural(*rows, "row"), plural(*answers as u64, "answer"));
                self.line(&format!("going on with an interrupted run, of which {rows} and {answers} are kept"));
            }
            Event::Counts(counts) => self.counts(counts),
            Event::Wait { resource, reason, wait } => {
                *self.waits.entry((*resource).to_owned()).or_default() += 1;
                self.line(&format!("{resource} waits {:.1} s: {reason}", wait.as_secs_f64()));
            }
            Event::Staged | Event::Bill(_) => {}
            Event::Publishing => {
                self.plain_lines();
                self.line("all is read; writing");
            }
        }
    }

    fn counts(&mut self, counts: &[ResourceCounts]) {
        let elapsed = self.started.elapsed();
        self.last = counts.to_vec();
        match &mut self.form {
            Form::Live { all, bars } => {
                for counts in counts.iter().filter(|counts| counts.requests > 0) {
                    let bar = bars.entry(counts.resource.clone()).or_insert_with(|| {
                        let style = ProgressStyle::with_template("{spinner} {msg}");
                        let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
                        all.add(ProgressBar::new_spinner().with_style(style))
                    });
                    bar.set_message(line(counts, &self.waits, elapsed));
                    bar.tick();
                }
            }
            Form::Plain { printed } if printed.elapsed() >= INTERVAL => {
                *printed = Instant::now();
                self.plain_lines();
            }
            Form::Plain { .. } => {}
        }
    }

    /// The last counts of each resource that was asked for, where lines are not drawn over.
    fn plain_lines(&self) {
        if let Form::Plain { .. } = self.form {
            let elapsed = self.started.elapsed();
            let asked = self.last.iter().filter(|counts| counts.requests > 0);
            asked.for_each(|counts| eprintln(&line(counts, &self.waits, elapsed)));
        }
    }

    fn line(&self, text: &str) {
        let text = &*printable(text);
        match &self.form {
            // Printed above the live lines, so that it stays.
            Form::Live { all, .. } => {
                let _ = all.println(text);
            }
            Form::Plain { .. } => eprintln(text),
        }
    }

    /// Ends: the live lines stay as they are.
    pub fn end(&self) {
        if let Form::Live { bars, .. } = &self.form {
            bars.values().for_each(ProgressBar::abandon);
        }
    }
}

/// Requests, pages, rows, rows per second and waits of one resource.
fn line(counts: &ResourceCounts, waits: &BTreeMap<String, u64>, elapsed: Duration) -> String {
    let rate = counts.rows as f64 / elapsed.as_secs_f64().max(0.001);
    let retries = if counts.retries > 0 { format!(" ({} of them again)", counts.retries) } else { String::new() };
    let waits = match waits.get(&counts.resource) {
        Some(1) => " 1 wait".to_owned(),
        Some(waits) => format!(" {waits} waits"),
        None => String::new(),
    };
    format!(
        "{:<20} {:>7} requests{retries} {:>7} pages {:>9} rows {rate:>9.0} rows/s{waits}",
        printable(&counts.resource),
        counts.requests,
        counts.pages,
        counts.rows
    )
}
