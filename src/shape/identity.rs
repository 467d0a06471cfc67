//! The `_dlt_id` of rows (reference, section 9.4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha3::Shake128;
use sha3::digest::{ExtendableOutput, Update, XofReader};

/// Bytes in an id; 14 characters of base64.
pub const BYTES: usize = 10;

/// The id of a root row: random bytes.
pub fn root(random: &[u8]) -> String {
    STANDARD_NO_PAD.encode(random)
}

/// The id of a child row: the SHAKE-128 hash of its parent's id, its table and its place in the list.
pub fn child(parent: &str, table: &str, index: i64) -> String {
    hash(&format!("{parent}_{table}_{index}"))
}

fn hash(text: &str) -> String {
    let mut hasher = Shake128::default();
    hasher.update(text.as_bytes());
    let mut bytes = [0; BYTES];
    hasher.finalize_xof().read(&mut bytes);
    STANDARD_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_dlt() {
        // Reference, section 9.4: verified with dlt 1.31.
        assert_eq!(hash(r#"{"id":1}"#), "z5jIxXIbUnmbKw");
        assert_eq!(child("z5jIxXIbUnmbKw", "rec__kids", 0), "7z0TEErrak8PJQ");
    }
}
