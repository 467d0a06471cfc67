//! What a call gave, as a digest: a replay must give the same.

use super::bindings::exports::spile::connector::source as wit;
use crate::digest::hex;
use sha2::{Digest, Sha256};

/// Of rows every byte counts, and of all else every value.
pub(super) fn digest(outcome: &Result<wit::Step, wit::Error>) -> String {
    let mut digest = Sha256::new();
    let mut add = |part: &[u8]| {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    };
    match outcome {
        Ok(wit::Step::Batch(batch)) => {
            let wit::Batch { tables, state, schema, changes, counts } = batch;
            for rows in tables {
                let wit::TableRows { table, resource, parent, rows, payload, roots, new_columns, widened_columns } =
                    rows;
                match payload {
                    wit::Payload::Arrow(bytes) => add(bytes),
                    wit::Payload::Ndjson(text) => add(text.as_bytes()),
                }
                add(format!("{:?}", (table, resource, parent, rows, roots, new_columns, widened_columns)).as_bytes());
            }
            add(format!("{:?}", (state, schema, changes, counts)).as_bytes());
        }
        other => add(format!("{other:?}").as_bytes()),
    }
    // Half of it tells any two apart that were not made to be confused.
    let mut digits = hex(digest.finalize());
    digits.truncate(32);
    digits
}
