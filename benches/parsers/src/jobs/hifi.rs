//! hifijson: a lexer, around which the parser is written.

use crate::Columns;
use hifijson::num::LexWrite as _;
use hifijson::str::LexAlloc as _;
use hifijson::token::Lex as _;
use hifijson::{Error, Expect, SliceLexer, ignore};

pub(super) fn one_pass(page: &mut [u8], columns: &mut Columns) -> Option<u64> {
    let mut records = 0;
    let page_of = |next, lexer: &mut SliceLexer<'_>| {
        if next != b'{' {
            return Err(Expect::Value.into());
        }
        lexer.discarded().seq(b'}', SliceLexer::ws_peek, |next, lexer| {
            let is_data = key(next, lexer, |key| key == "data")?;
            let next = lexer.ws_peek().ok_or(Expect::Value)?;
            if !is_data || next != b'[' {
                return ignore::parse(next, lexer);
            }
            lexer.discarded().seq(b']', SliceLexer::ws_peek, |next, lexer| {
                records += 1;
                value(next, lexer, columns)
            })
        })
    };
    SliceLexer::new(page).exactly_one(SliceLexer::ws_peek, page_of).ok()?;
    Some(records)
}

fn key<T>(next: u8, lexer: &mut SliceLexer<'_>, take: impl FnOnce(&str) -> T) -> Result<T, Error> {
    lexer.expect(|_| Some(next), b'"').ok_or(Expect::String)?;
    let taken = take(&lexer.str_string().map_err(Error::Str)?);
    lexer.expect(SliceLexer::ws_peek, b':').ok_or(Expect::Colon)?;
    Ok(taken)
}

fn value(next: u8, lexer: &mut SliceLexer<'_>, columns: &mut Columns) -> Result<(), Error> {
    match next {
        b'a'..=b'z' => match lexer.null_or_bool().ok_or(Expect::Value)? {
            None => columns.null(),
            Some(boolean) => columns.boolean(boolean),
        },
        b'0'..=b'9' | b'-' => columns.number(lexer.num_string().validated().map_err(Error::Num)?.0),
        b'"' => columns.text(&lexer.discarded().str_string().map_err(Error::Str)?),
        b'[' => {
            columns.begin_list();
            lexer.discarded().seq(b']', SliceLexer::ws_peek, |next, lexer| value(next, lexer, columns))?;
            columns.end();
        }
        b'{' => {
            columns.begin_object();
            lexer.discarded().seq(b'}', SliceLexer::ws_peek, |next, lexer| {
                key(next, lexer, |key| columns.key(key))?;
                value(lexer.ws_peek().ok_or(Expect::Value)?, lexer, columns)
            })?;
            columns.end();
        }
        _ => return Err(Expect::Value.into()),
    }
    Ok(())
}
