//! The parsers, one file each.

#[cfg(feature = "borrowed")]
mod borrowed;
#[cfg(feature = "hifijson")]
mod hifi;
#[cfg(feature = "jiter")]
mod jiter;
#[cfg(any(feature = "serde-json", feature = "sonic"))]
mod seed;
#[cfg(feature = "serde-json")]
mod serde_json;
#[cfg(feature = "serde-json-raw")]
mod serde_json_raw;
#[cfg(feature = "simd-json")]
mod simd_json;
#[cfg(feature = "sonic")]
mod sonic;
mod utf8;

use crate::{Columns, Job, Work};

pub(crate) fn all() -> Vec<Job> {
    let mut jobs = Vec::new();
    #[cfg(feature = "serde-json")]
    {
        jobs.push(Job { is_serde_json: true, ..job("serde_json: tree", serde_json::tree) });
        jobs.push(Job { is_serde_json: true, ..job("serde_json: visitor", serde_json::visitor) });
    }
    #[cfg(feature = "serde-json-raw")]
    jobs.push(Job { is_serde_json: true, ..job("serde_json: RawValue, then visitor", serde_json_raw::both) });
    #[cfg(feature = "borrowed")]
    jobs.push(job("serde_json_borrow: tree", borrowed::tree));
    #[cfg(feature = "jiter")]
    {
        jobs.push(Job { keeps_digits: true, ..job("jiter: spans, then pull", jiter::both) });
        jobs.push(Job { keeps_digits: true, ..job("jiter: pull in one pass", jiter::one_pass) });
        jobs.push(job("jiter: pull in one pass, its own numbers", jiter::own_numbers));
    }
    #[cfg(feature = "hifijson")]
    jobs.push(Job { keeps_digits: true, ..job("hifijson: lexer in one pass", hifi::one_pass) });
    #[cfg(feature = "sonic")]
    {
        jobs.push(Job { keeps_digits: true, ..job("sonic-rs: lazy values", sonic::lazy) });
        jobs.push(job("sonic-rs: visitor", sonic::visitor));
    }
    #[cfg(feature = "simd-json")]
    jobs.push(job("simd-json: tape", simd_json::tape));
    #[cfg(feature = "serde-json-raw")]
    jobs.push(Job { is_serde_json: true, work: Work::Spans, ..job("spans: RawValue", serde_json_raw::spans) });
    #[cfg(feature = "jiter")]
    jobs.push(Job { work: Work::Spans, ..job("spans: jiter", jiter::spans_only) });
    #[cfg(feature = "sonic")]
    jobs.push(Job { work: Work::Spans, ..job("spans: sonic-rs", sonic::spans) });
    jobs.push(Job { work: Work::Utf8, ..job("UTF-8: std", utf8::std) });
    #[cfg(feature = "simdutf8")]
    jobs.push(Job { work: Work::Utf8, ..job("UTF-8: simdutf8", utf8::simd) });
    jobs
}

fn job(name: &'static str, run: fn(&mut [u8], &mut Columns) -> Option<u64>) -> Job {
    Job { name, work: Work::Columns, keeps_digits: false, is_serde_json: false, run }
}
