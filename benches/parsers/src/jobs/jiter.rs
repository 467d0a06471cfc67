//! jiter: values are pulled.

use crate::Columns;
use jiter::{Jiter, NumberAny, NumberInt, Peek};

/// The places of the records first, then each record.
pub(super) fn both(page: &mut [u8], columns: &mut Columns) -> Option<u64> {
    let records = spans(page)?;
    let mut tape = Vec::new();
    for record in &records {
        let mut pull = Jiter::with_tape(record, tape);
        let peek = pull.peek().ok()?;
        value::<Digits>(&mut pull, peek, columns)?;
        pull.finish().ok()?;
        tape = pull.into_tape();
    }
    Some(records.len() as u64)
}

pub(super) fn spans_only(page: &mut [u8], _: &mut Columns) -> Option<u64> {
    Some(spans(page)?.iter().map(|record| record.len() as u64).sum())
}

fn spans(page: &[u8]) -> Option<Vec<&[u8]>> {
    let mut spans = Vec::new();
    records(page, |pull, peek| {
        let start = pull.current_index();
        pull.known_skip(peek).ok()?;
        spans.push(pull.slice_to_current(start));
        Some(())
    })?;
    Some(spans)
}

pub(super) fn one_pass(page: &mut [u8], columns: &mut Columns) -> Option<u64> {
    records(page, |pull, peek| value::<Digits>(pull, peek, columns))
}

pub(super) fn own_numbers(page: &mut [u8], columns: &mut Columns) -> Option<u64> {
    records(page, |pull, peek| value::<Own>(pull, peek, columns))
}

/// Calls for each record, where the parser is at its beginning. Gives their number.
fn records<'p>(page: &'p [u8], mut record: impl FnMut(&mut Jiter<'p>, Peek) -> Option<()>) -> Option<u64> {
    let mut pull = Jiter::new(page);
    let mut records = 0;
    let mut is_data = pull.next_object().ok()?.map(|key| key == "data");
    while let Some(found) = is_data {
        if found {
            let mut next = pull.next_array().ok()?;
            while let Some(peek) = next {
                record(&mut pull, peek)?;
                records += 1;
                next = pull.array_step().ok()?;
            }
        } else {
            pull.next_skip().ok()?;
        }
        is_data = pull.next_key().ok()?.map(|key| key == "data");
    }
    pull.finish().ok()?;
    Some(records)
}

fn value<N: Numbers>(pull: &mut Jiter<'_>, peek: Peek, columns: &mut Columns) -> Option<()> {
    match peek {
        Peek::Null => {
            pull.known_null().ok()?;
            columns.null();
        }
        Peek::True | Peek::False => columns.boolean(pull.known_bool(peek).ok()?),
        Peek::String => columns.text(pull.known_str().ok()?),
        Peek::Array => {
            columns.begin_list();
            let mut next = pull.known_array().ok()?;
            while let Some(peek) = next {
                value::<N>(pull, peek, columns)?;
                next = pull.array_step().ok()?;
            }
            columns.end();
        }
        Peek::Object => {
            columns.begin_object();
            let mut more = pull.known_object().ok()?.map(|key| columns.key(key)).is_some();
            while more {
                let peek = pull.peek().ok()?;
                value::<N>(pull, peek, columns)?;
                more = pull.next_key().ok()?.map(|key| columns.key(key)).is_some();
            }
            columns.end();
        }
        _ => N::number(pull, peek, columns)?,
    }
    Some(())
}

trait Numbers {
    fn number(pull: &mut Jiter<'_>, peek: Peek, columns: &mut Columns) -> Option<()>;
}

/// Numbers as they stand in the page.
struct Digits;

impl Numbers for Digits {
    fn number(pull: &mut Jiter<'_>, peek: Peek, columns: &mut Columns) -> Option<()> {
        columns.number(str::from_utf8(pull.known_number_bytes(peek).ok()?).ok()?);
        Some(())
    }
}

/// Numbers as jiter reads them.
struct Own;

impl Numbers for Own {
    fn number(pull: &mut Jiter<'_>, peek: Peek, columns: &mut Columns) -> Option<()> {
        match pull.known_number(peek).ok()? {
            NumberAny::Int(NumberInt::Int(integer)) => columns.integer(integer),
            NumberAny::Float(double) => columns.double(double),
        }
        Some(())
    }
}
