//! The parsers, one file each.

mod borrowed;
mod by_hand;
mod hifi;
mod jiter;
mod seed;
mod serde_json;
mod serde_json_raw;
mod simd_json;
mod sonic;
mod utf8;

use crate::{Columns, Job, Work};

/// The only job to be built, so that its size can be seen.
const ONLY: Option<&str> = option_env!("PARSERS_ONLY");
/// One more, whose code the only one can share.
const BESIDE: Option<&str> = option_env!("PARSERS_BESIDE");

pub(crate) fn all() -> Vec<Job> {
    let mut jobs = Jobs(Vec::new());
    jobs.add(Job { is_serde_json: true, ..job("serde_json: tree", serde_json::tree) });
    jobs.add(Job { is_serde_json: true, ..job("serde_json: visitor", serde_json::visitor) });
    jobs.add(Job { is_serde_json: true, ..job("serde_json: RawValue, then visitor", serde_json_raw::both) });
    jobs.add(job("serde_json_borrow: tree", borrowed::tree));
    jobs.add(digits("jiter: spans, then pull", jiter::both));
    jobs.add(digits("jiter: pull", jiter::one_pass));
    jobs.add(job("jiter: pull, its own numbers", jiter::own_numbers));
    jobs.add(digits("hifijson: lexer", hifi::one_pass));
    jobs.add(digits("sonic-rs: lazy values", sonic::lazy));
    jobs.add(job("sonic-rs: visitor", sonic::visitor));
    jobs.add(job("simd-json: tape", simd_json::tape));
    jobs.add(digits("by hand", by_hand::one_pass));
    jobs.add(Job { is_serde_json: true, work: Work::Spans, ..job("spans: RawValue", serde_json_raw::spans) });
    jobs.add(Job { work: Work::Spans, ..job("spans: jiter", jiter::spans_only) });
    jobs.add(Job { work: Work::Spans, ..job("spans: sonic-rs", sonic::spans) });
    jobs.add(Job { work: Work::Utf8, ..job("UTF-8: std", utf8::std) });
    jobs.add(Job { work: Work::Utf8, ..job("UTF-8: simdutf8", utf8::simd) });
    jobs.0
}

struct Jobs(Vec<Job>);

impl Jobs {
    /// In line, so that a job that is not to be built is seen to be used by nobody.
    #[inline(always)]
    fn add(&mut self, job: Job) {
        if ONLY.is_none_or(|only| only == job.name) || BESIDE.is_some_and(|beside| beside == job.name) {
            self.0.push(job);
        }
    }
}

#[inline(always)]
fn job(name: &'static str, run: fn(&mut [u8], &mut Columns) -> Option<u64>) -> Job {
    Job { name, work: Work::Columns, keeps_digits: false, is_serde_json: false, run }
}

#[inline(always)]
fn digits(name: &'static str, run: fn(&mut [u8], &mut Columns) -> Option<u64>) -> Job {
    Job { keeps_digits: true, ..job(name, run) }
}
