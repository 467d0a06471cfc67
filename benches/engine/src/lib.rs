//! The engine's way from the bytes of a page, `{"data": [...]}`, to Arrow, without the network and the component's boundary.

use serde_json::json;
use spile_connector::records::Records;
use spile_connector::request::Response;
use spile_connector::response;
use spile_connector::select::Selector;
use spile_connector::shape::{Batch, Shaper, Target, encode, identity, schema::Schema};
use std::cell::RefCell;
use std::hash::{DefaultHasher, Hasher};

struct Guest {
    page: Vec<u8>,
    records: Records,
    batch: Option<Batch>,
    digest: Digest,
    target: Option<Target>,
    /// Kept from page to page, as in a run.
    shaper: Shaper,
}

#[derive(Default)]
struct Digest {
    tables: u64,
    rows: u64,
    hash: u64,
}

thread_local! {
    static GUEST: RefCell<Guest> = RefCell::new(Guest {
        page: Vec::new(),
        records: Records::default(),
        batch: None,
        digest: Digest::default(),
        target: serde_json::from_value(json!({"name": "items", "primary_key": "id", "write_disposition": "merge"}))
            .ok()
            .and_then(|resource| Target::new(&resource, "/resources/0").ok()),
        shaper: shaper(),
    });
}

fn shaper() -> Shaper {
    Shaper::new("1700000000.5".to_owned(), Schema::default())
}

/// Makes room for a page of this length: where it is written to.
// SAFETY: no other function has the name.
#[unsafe(no_mangle)]
extern "C" fn bench_page(length: usize) -> *mut u8 {
    GUEST.with_borrow_mut(|guest| {
        guest.page.clear();
        guest.page.resize(length, 0);
        guest.page.as_mut_ptr()
    })
}

/// Runs one part of the way, after those before it: 0 forgets what earlier pages had, 1 finds the records, 2 shapes them into columns,
/// 3 encodes those as Arrow. Gives a count; the largest number where it fails.
// SAFETY: no other function has the name.
#[unsafe(no_mangle)]
extern "C" fn bench_run(part: usize) -> u64 {
    GUEST.with_borrow_mut(|guest| guest.run(part)).unwrap_or(u64::MAX)
}

/// What came of the last page: its tables, their rows, a hash of the Arrow streams.
// SAFETY: no other function has the name.
#[unsafe(no_mangle)]
extern "C" fn bench_digest(part: u32) -> u64 {
    GUEST.with_borrow(|Guest { digest, .. }| match part {
        0 => digest.tables,
        1 => digest.rows,
        _ => digest.hash,
    })
}

impl Guest {
    fn run(&mut self, part: usize) -> Option<u64> {
        match part {
            0 => self.shaper = shaper(),
            1 => {
                let body = std::mem::take(&mut self.page);
                let mut response = Response { status: 200, headers: Vec::new(), body };
                let selector = Selector::of_keys(vec!["data".to_owned()]);
                self.records =
                    response::read(&mut response, None).ok()?.page(&response, &selector, false).ok()?.records;
                return Some(self.records.len() as u64);
            }
            2 => {
                let target = self.target.as_ref()?;
                for (nth, record) in self.records.from(0).enumerate() {
                    let mut id = [0; identity::BYTES];
                    *id.first_chunk_mut()? = (nth as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
                    self.shaper.add(target, record, &id).ok()?;
                }
                self.batch = Some(self.shaper.take().ok()?);
            }
            _ => {
                let batch = self.batch.take()?;
                let mut hasher = DefaultHasher::new();
                self.digest = Digest::default();
                for table in &batch.tables {
                    let stream = encode::arrow(&table.rows).ok()?;
                    self.digest.tables += 1;
                    self.digest.rows += table.rows.num_rows() as u64;
                    // The whole of it would cost as much as what is measured.
                    hasher.write_u64(stream.len() as u64);
                    stream.iter().step_by(61).for_each(|byte| hasher.write_u8(*byte));
                }
                self.digest.hash = hasher.finish();
            }
        }
        Some(0)
    }
}
