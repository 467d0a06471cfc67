//! Whether a page is UTF-8.

use crate::Columns;

pub(super) fn std(page: &mut [u8], _: &mut Columns) -> Option<u64> {
    Some(str::from_utf8(page).ok()?.len() as u64)
}

pub(super) fn simd(page: &mut [u8], _: &mut Columns) -> Option<u64> {
    Some(simdutf8::basic::from_utf8(page).ok()?.len() as u64)
}
