//! A connector that does what tests tell it to, most of it bad. Its configuration is a command, or an object with a script
//! (`script.rs`).
#![cfg(target_family = "wasm")]

mod ask;
mod script;

#[allow(clippy::all)]
mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "connector",
        generate_all,
    });
}

use bindings::exports::spile::connector::source::*;
use bindings::wasi::clocks::monotonic_clock;
use bindings::wasi::clocks::wall_clock;
use bindings::wasi::http::outgoing_handler;
use bindings::wasi::http::types::{Fields, OutgoingRequest, Scheme};
use bindings::wasi::random::random;
use std::cell::Cell;

struct Component;

/// A reader that obeys the command when it is asked for rows.
struct Obedient {
    command: String,
    state: Option<String>,
    /// How often it was asked.
    calls: Cell<u64>,
}

fn error(kind: ErrorKind, message: &str) -> Error {
    Error {
        kind,
        message: message.to_owned(),
        resource: None,
        pointer: None,
        advice: None,
        status: None,
        url: None,
        attempts: None,
        retry_after: None,
    }
}

fn done(state: String) -> Result<Step, Error> {
    Ok(Step::Done(Summary { state, counts: Vec::new(), warnings: Vec::new() }))
}

fn say(reason: String) -> Result<Step, Error> {
    Ok(Step::Wait(Wait { until: 1, resource: "r".to_owned(), reason, state: String::new(), counts: Vec::new() }))
}

fn batch(rows: u32, payload: Payload) -> Result<Step, Error> {
    let table = TableRows {
        table: "t".to_owned(),
        resource: "r".to_owned(),
        parent: None,
        roots: Vec::new(),
        rows,
        payload,
        new_columns: vec![Column { name: "id".to_owned(), data_type: DataType::Bigint, nullable: true }],
        widened_columns: Vec::new(),
    };
    let counts =
        vec![ResourceCounts { resource: "r".to_owned(), requests: 1, retries: 0, pages: 1, rows: 2, filtered: 0 }];
    Ok(Step::Batch(Batch { tables: vec![table], state: "{}".to_owned(), schema: None, changes: Vec::new(), counts }))
}

fn obey(command: &str, state: &Option<String>) -> Result<Step, Error> {
    let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
    match verb {
        "done" => done(state.clone().unwrap_or_default()),
        "spin" => loop {
            std::hint::black_box(0);
        },
        "crash" => std::process::abort(),
        "hog" => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(std::hint::black_box(vec![1u8; 1 << 20]));
            }
        }
        "handles" => {
            let mut open = Vec::new();
            loop {
                open.push(monotonic_clock::subscribe_duration(1 << 50));
            }
        }
        "recurse" => done(deep(0).to_string()),
        // Many small calls of the host, none of which waits.
        "calls" => loop {
            std::hint::black_box(wall_clock::now());
        },
        "ready" => {
            let pollable = monotonic_clock::subscribe_duration(1 << 50);
            loop {
                std::hint::black_box(pollable.ready());
            }
        }
        "random" => {
            random::get_random_bytes(rest.parse().unwrap());
            done(String::new())
        }
        // Headers that it keeps, each as large as may be.
        "fields" => {
            let mut kept = Vec::new();
            loop {
                let fields = Fields::new();
                let value = vec![b'x'; 60 << 10];
                // What is counted besides them leaves no room for a third.
                fields.append("x", &value).unwrap();
                fields.append("x", &value).unwrap();
                kept.push(fields);
            }
        }
        "field" => {
            let fields = Fields::new();
            loop {
                fields.append("x", &vec![b'x'; 60 << 10]).unwrap();
            }
        }
        // Requests that it never sends, each with as much of a body as may be.
        "bodies" => {
            let mut kept = Vec::new();
            loop {
                let request = OutgoingRequest::new(Fields::new());
                let body = request.body().unwrap();
                let stream = body.write().unwrap();
                while let Ok(most @ 1..) = stream.check_write() {
                    // A stream takes 4 KiB in a call of this kind, and as much as it says in the other.
                    stream.write(&vec![1; most as usize]).unwrap();
                }
                kept.push((stream, body, request));
            }
        }
        // Computes for a little, then waits for a little, and so on.
        "wait" => {
            for _ in 0..rest.parse().unwrap() {
                monotonic_clock::subscribe_duration(20_000_000).block();
            }
            done(String::new())
        }
        "sleep" => {
            monotonic_clock::subscribe_duration(1 << 50).block();
            done(String::new())
        }
        "state" => done("s".repeat(rest.parse().unwrap())),
        "size" => batch(0, Payload::Arrow(vec![0; rest.parse().unwrap()])),
        "say" => say(rest.to_owned()),
        "ndjson" => batch(1, Payload::Ndjson("{}".to_owned())),
        // The number of rows, and the payload in hexadecimal digits.
        "rows" => {
            let (rows, digits) = rest.split_once(' ').unwrap();
            let bytes =
                (0..digits.len() / 2).map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap()).collect();
            batch(rows.parse().unwrap(), Payload::Arrow(bytes))
        }
        "get" => get(rest).map_or_else(|message| Err(error(ErrorKind::Transient, &message)), say),
        "fail" => Err(Error {
            resource: Some("r".to_owned()),
            pointer: Some("/resources/0".to_owned()),
            advice: Some(format!("do {rest}")),
            status: Some(401),
            url: Some(format!("https://example.com/?q={rest}")),
            attempts: Some(3),
            ..error(ErrorKind::Auth, &format!("the API said {rest}"))
        }),
        other => Err(error(ErrorKind::Internal, &format!("no such command: {other}"))),
    }
}

#[allow(unconditional_recursion, reason = "that is what it is for")]
#[inline(never)]
fn deep(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    std::hint::black_box(deep(depth + 1)) + frame[0]
}

/// Sends a request to `http://AUTHORITY/PATH`, asks for the credential, and gives the status and the body.
fn get(target: &str) -> Result<String, String> {
    let (authority, path) = target.split_once('/').unwrap();
    let headers = Fields::new();
    headers.append("spile-credential", b"/client/auth").map_err(|error| format!("{error:?}"))?;
    for forbidden in ["host", "accept-encoding"] {
        if headers.append(forbidden, b"x").is_ok() {
            return Err(format!("{forbidden} is not forbidden"));
        }
    }
    let request = OutgoingRequest::new(headers);
    request.set_scheme(Some(&Scheme::Http)).unwrap();
    request.set_authority(Some(authority)).map_err(|()| "the authority was refused".to_owned())?;
    request.set_path_with_query(Some(&format!("/{path}"))).map_err(|()| "the path was refused".to_owned())?;
    let response = outgoing_handler::handle(request, None).map_err(|code| format!("{code:?}"))?;
    response.subscribe().block();
    let response = response.get().unwrap().unwrap().map_err(|code| format!("{code:?}"))?;
    let hidden = !response.headers().has("set-cookie");
    // It stays in memory, where the test finds it: so a search there can find something.
    let body: &str = ask::whole(&response)?.leak();
    Ok(format!("{} {body} {hidden}", response.status()))
}

impl Guest for Component {
    type Reader = Obedient;

    fn spec() -> String {
        "{}".to_owned()
    }

    fn describe(source: SourceConfig) -> Result<Description, Vec<Error>> {
        match source.config.as_str() {
            "refuse" => Err(vec![error(ErrorKind::Config, "one"), error(ErrorKind::Config, "two")]),
            "refuse without a word" => Err(Vec::new()),
            config if config.starts_with('{') => Ok(script::describe(config)),
            config => Ok(Description {
                resources: Vec::new(),
                origins: vec!["http://example.com:80".to_owned()],
                slots: Vec::new(),
                warnings: vec![error(ErrorKind::Config, config)],
            }),
        }
    }

    fn check(source: SourceConfig) -> Result<(), Error> {
        obey(&source.config, &None).map(|_| ())
    }
}

impl GuestReader for Obedient {
    fn open(request: OpenRequest) -> Result<Reader, Error> {
        match request.window {
            0 => Err(error(ErrorKind::Config, "the window is 0")),
            _ => {
                let (command, state) = (request.source.config, request.state);
                Ok(Reader::new(Obedient { command, state, calls: Cell::new(0) }))
            }
        }
    }

    fn next(&self, _max_rows: u32, _max_bytes: u64) -> Result<Step, Error> {
        let call = self.calls.replace(self.calls.get() + 1);
        match self.command.starts_with('{') {
            true => script::step(&self.command, call, &self.state),
            false => obey(&self.command, &self.state),
        }
    }
}

bindings::export!(Component with_types_in bindings);
