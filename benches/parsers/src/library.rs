//! What the runner calls, in wasm and natively.

use crate::{Columns, Job};
use std::cell::RefCell;

struct Guest {
    page: Vec<u8>,
    columns: Columns,
    jobs: Vec<Job>,
}

thread_local! {
    static GUEST: RefCell<Guest> = RefCell::new(Guest { page: Vec::new(), columns: Columns::default(), jobs: crate::jobs() });
}

/// Makes room for a page of this length: where it is written to.
// SAFETY: no other function has the name.
#[unsafe(no_mangle)]
extern "C" fn bench_page(length: usize) -> *mut u8 {
    GUEST.with_borrow_mut(|guest| {
        guest.page.resize(length, 0);
        guest.page.as_mut_ptr()
    })
}

/// Runs a job; the largest number where it fails.
// SAFETY: no other function has the name.
#[unsafe(no_mangle)]
extern "C" fn bench_run(job: usize) -> u64 {
    GUEST.with_borrow_mut(|guest| {
        guest.columns.clear();
        guest.jobs.get(job).and_then(|job| (job.run)(&mut guest.page, &mut guest.columns)).unwrap_or(u64::MAX)
    })
}

/// A part of the digest of the last job.
// SAFETY: no other function has the name.
#[unsafe(no_mangle)]
extern "C" fn bench_digest(part: u32) -> u64 {
    let digest = GUEST.with_borrow(|guest| guest.columns.digest());
    match part {
        0 => digest.values,
        1 => digest.hash,
        _ => digest.doubles,
    }
}

/// Uses all of the columns, so that a library without parsers has them too, and what a parser adds is its own.
// SAFETY: no other function has the name.
#[unsafe(no_mangle)]
extern "C" fn bench_columns() {
    GUEST.with_borrow_mut(|Guest { page, columns, .. }| {
        let Ok(text) = str::from_utf8(page) else { return };
        columns.begin_object();
        columns.key(text);
        columns.begin_list();
        columns.number(text);
        columns.text(text);
        columns.boolean(page.is_empty());
        columns.null();
        columns.end();
    });
}
