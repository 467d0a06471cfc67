//! Responses that can be read in two ways: each is refused, or read in one way only, and what is left over is never the answer to
//! another request.

use crate::server::{Answer, Server, gate, ok, read};
use spile_host::limits::Limits;
use std::time::Duration;

fn limits() -> Limits {
    let short = Duration::from_secs(2);
    Limits { first_byte_timeout: short, between_bytes_timeout: short, ..Limits::default() }
}

/// How a response that is smuggled in would begin.
const SMUGGLED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nSMUGGLED";

/// Reads one odd response, and then an ordinary one from the same server. Gives what came of the first.
async fn first_of_two(odd: String) -> Result<String, String> {
    let server = Server::start(move |request, _| match request.starts_with("GET /odd ") {
        true => Answer::Keep(odd.clone().into()),
        false => Answer::Keep(ok(b"ordinary")),
    })
    .await;
    let gate = gate(&server, limits());
    let first = tokio::time::timeout(Duration::from_secs(10), read(&gate, &server.url("/odd"))).await.unwrap();
    for _ in 0..3 {
        let second = read(&gate, &server.url("/next")).await.map(|body| String::from_utf8(body.to_vec()).unwrap());
        assert_eq!(second.unwrap(), "ordinary", "what was left over became an answer");
    }
    assert_eq!(server.requests().len(), 4);
    first.map(|body| String::from_utf8_lossy(&body).into_owned()).map_err(|code| format!("{code:?}"))
}

#[tokio::test]
async fn lengths_that_contradict_each_other_are_refused_or_read_in_one_way() {
    for (name, head, body, whole) in [
        ("two lengths", "content-length: 5\r\ncontent-length: 11\r\n", "hello world", None),
        ("two lengths in one", "content-length: 5, 11\r\n", "hello world", None),
        ("a length with a sign", "content-length: +5\r\n", "hello", None),
        ("a length in hexadecimal digits", "content-length: 0x5\r\n", "hello", None),
        ("a length that is too large", "content-length: 18446744073709551621\r\n", "hello", None),
        ("a negative length", "content-length: -5\r\n", "hello", None),
        // Chunks count, and the length does not (RFC 9112, section 6.3).
        (
            "a length and chunks",
            "content-length: 2\r\ntransfer-encoding: chunked\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            Some("hello"),
        ),
        (
            "chunks and a length",
            "transfer-encoding: chunked\r\ncontent-length: 2\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            Some("hello"),
        ),
        ("the same length twice", "content-length: 5\r\ncontent-length: 5\r\n", "hello", Some("hello")),
    ] {
        let first = first_of_two(format!("HTTP/1.1 200 OK\r\n{head}\r\n{body}")).await;
        match whole {
            Some(whole) => assert!(first.is_err() || first.as_deref() == Ok(whole), "{name}: {first:?}"),
            None => assert!(first.is_err(), "{name}: {first:?}"),
        }
    }
}

#[tokio::test]
async fn chunks_that_are_none_are_refused() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(first_of_two(format!("{head}5\r\nhello\r\n0\r\n\r\n")).await.unwrap(), "hello");
    for chunks in [
        "-1\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffff5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "zz\r\nhello\r\n0\r\n\r\n",
    ] {
        let first = first_of_two(format!("{head}{chunks}")).await;
        assert!(first.is_err(), "{chunks:?}: {first:?}");
    }
}

#[tokio::test]
async fn heads_in_another_form_are_refused_or_read_in_one_way() {
    for (name, response, whole) in [
        ("folded", "HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 5\r\n\r\nhello", None),
        ("folded length", "HTTP/1.1 200 OK\r\ncontent-length:\r\n 5\r\n\r\nhello", None),
        ("a space before the colon", "HTTP/1.1 200 OK\r\ncontent-length : 5\r\n\r\nhello", None),
        ("a NUL in a value", "HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 5\r\n\r\nhello", None),
        ("a lone CR in a value", "HTTP/1.1 200 OK\r\nx: a\rcontent-length: 9\r\ncontent-length: 5\r\n\r\nhello", None),
        ("no HTTP at all", "SSH-2.0-OpenSSH\r\n\r\n", None),
        ("HTTP/2 where HTTP/1 was spoken", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", None),
        ("lines that end without CR", "HTTP/1.1 200 OK\ncontent-length: 5\n\nhello", Some("hello")),
        ("one such line", "HTTP/1.1 200 OK\r\nx: y\ncontent-length: 5\r\n\r\nhello", Some("hello")),
    ] {
        let first = first_of_two(response.to_owned()).await;
        match whole {
            Some(whole) => assert!(first.is_err() || first.as_deref() == Ok(whole), "{name}: {first:?}"),
            None => assert!(first.is_err(), "{name}: {first:?}"),
        }
    }
}

#[tokio::test]
async fn what_comes_beyond_a_response_answers_no_other_request() {
    for more in [SMUGGLED, "garbage", "\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let odd = format!("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello{more}");
        assert_eq!(first_of_two(odd).await.unwrap(), "hello", "{more:?}");
        let odd = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n{more}");
        assert_eq!(first_of_two(odd).await.unwrap(), "hello", "{more:?}");
        // These have no body, whatever they say.
        let odd = format!("HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n{more}");
        let first = first_of_two(odd).await;
        assert!(first.is_err() || first.as_deref() == Ok(""), "{more:?}: {first:?}");
    }
}

/// A response that was there before its request, on a connection that waits.
#[tokio::test]
async fn a_response_to_a_request_that_was_never_sent_is_none() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let mut connections = 0;
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            connections += 1;
            // The first two speak before they are asked.
            if connections <= 2 {
                stream.write_all(SMUGGLED.as_bytes()).await.unwrap();
            }
            tokio::spawn(async move {
                let mut request = [0; 1024];
                while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                    if stream.write_all(&ok(b"ordinary")).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    let url = format!("http://{address}/");
    let origin: spile_host::gate::Origin = format!("http://{address}").parse().unwrap();
    let policy =
        spile_host::gate::Policy { origins: [origin.clone()].into(), private: [origin].into(), ..Default::default() };
    let limits = limits();
    let client = spile_host::gate::Client::new(&limits).unwrap();
    let gate = spile_host::gate::Gate::new(policy, Default::default(), client, limits);
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(read(&gate, &url).await.map(|body| String::from_utf8(body.to_vec()).unwrap()));
    }
    // A server that answers before it is asked answers itself with that; but no answer of one connection is another's, and no
    // request has two.
    println!("{answers:?}");
    let ordinary = answers.iter().filter(|answer| answer.as_deref().is_ok_and(|body| body == "ordinary")).count();
    assert!(ordinary >= 3, "{answers:?}");
    assert_eq!(answers.last().unwrap().as_deref().unwrap(), "ordinary");
    serving.abort();
}
