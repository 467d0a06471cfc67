//! Content codings that the client leaves: several in a row, and other spellings of their names (RFC 9110, section 8.4).

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use futures_util::StreamExt as _;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body_util::BodyExt as _;
use reqwest::Body;
use std::io;
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};

/// More codings than this have no use but to cost time.
const MOST: usize = 4;

/// More than a piece has, so that the last coding reaches the limit of the gate first.
const ROOM: u64 = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// Decodes a body of which the client knows not all codings. One that is not known here either is left as it is, with the
/// header that says so.
///
/// What is between two codings may have this size at most. A few bytes could hold very many that come to nothing in the end, and
/// to go through them takes time without end, in which nothing else has its turn.
pub(super) fn decoded(headers: &mut HeaderMap, body: Body, most: u64) -> Body {
    match codings(headers) {
        Some(codings) if !codings.is_empty() => {
            headers.remove(CONTENT_ENCODING);
            headers.remove(CONTENT_LENGTH);
            // The last one was applied last.
            codings.into_iter().rev().fold(body, |body, coding| decode(body, coding, most))
        }
        _ => body,
    }
}

/// The codings that are left, in the order in which they were applied; none where one of them is not known.
fn codings(headers: &HeaderMap) -> Option<Vec<Coding>> {
    let mut codings = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        for name in value.to_str().ok()?.split(',') {
            codings.push(match name.trim().to_ascii_lowercase().as_str() {
                "" | "identity" => continue,
                "gzip" | "x-gzip" => Coding::Gzip,
                "deflate" => Coding::Deflate,
                "br" => Coding::Brotli,
                "zstd" => Coding::Zstd,
                _ => return None,
            });
        }
    }
    (codings.len() <= MOST).then_some(codings)
}

fn decode(body: Body, coding: Coding, most: u64) -> Body {
    let source = StreamReader::new(body.map_err(io::Error::other).into_data_stream());
    match coding {
        Coding::Gzip => {
            let mut decoder = GzipDecoder::new(source);
            decoder.multiple_members(true);
            stream(decoder, most)
        }
        Coding::Deflate => stream(ZlibDecoder::new(source), most),
        Coding::Brotli => stream(BrotliDecoder::new(source), most),
        Coding::Zstd => {
            let mut decoder = ZstdDecoder::new(source);
            decoder.multiple_members(true);
            stream(decoder, most)
        }
    }
}

/// What the gate itself lets through is counted after this, and told by its limit.
fn stream(reader: impl AsyncRead + Send + 'static, most: u64) -> Body {
    let mut left = most.saturating_add(ROOM);
    Body::wrap_stream(ReaderStream::new(reader).map(move |piece| {
        let piece = piece?;
        left = left.checked_sub(piece.len() as u64).ok_or_else(|| io::Error::other("it grows beyond all measure"))?;
        Ok::<_, io::Error>(piece)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn codings_are_read_in_their_order() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            codings(&headers)
        };
        use Coding::{Brotli, Deflate, Gzip, Zstd};
        assert_eq!(of(&[]), Some(vec![]));
        assert_eq!(of(&["deflate, X-GZIP", "br,identity", "zstd"]), Some(vec![Deflate, Gzip, Brotli, Zstd]));
        assert_eq!(of(&["gzip, compress"]), None);
        assert_eq!(of(&["gzip,gzip,gzip,gzip,gzip"]), None);
    }
}
