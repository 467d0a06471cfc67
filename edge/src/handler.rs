//! The one part that knows WASI: answers requests with what the connector says.

#[allow(missing_docs, clippy::all, clippy::restriction)]
mod bindings {
    wit_bindgen::generate!({
        path: [
            "../wit/deps/wasi-io@0.2.4",
            "../wit/deps/wasi-clocks@0.2.4",
            "../wit/deps/wasi-random@0.2.4",
            "../wit/deps/wasi-http@0.2.4",
            "../wit/connector.wit",
            "wit/deps/wasi-cli@0.2.4",
            "wit/edge.wit",
        ],
        world: "spile:edge/edge",
        generate_all,
    });
}

use crate::lines;
use crate::problem::{Problem, hide_in};
use crate::query::{Query, Refusal, Rows};
use crate::settings::Settings;
use bindings::exports::wasi::http::incoming_handler::{Guest, IncomingRequest, ResponseOutparam};
use bindings::spile::connector::source::{
    self, Batch, Encoding, Error, ErrorKind, Extent, OpenRequest, Payload, Reader, SourceConfig, Step, Wait,
};
use bindings::wasi::cli::environment;
use bindings::wasi::clocks::{monotonic_clock, wall_clock};
use bindings::wasi::http::types::{Fields, Method, OutgoingBody, OutgoingResponse};
use bindings::wasi::io::streams::{OutputStream, StreamError};
use serde_json::{Map, Value, json};

/// Requests in flight at once: the contract's own proposal.
const WINDOW: u32 = 8;

/// Root rows of a batch.
const BATCH_ROWS: u64 = 1000;

/// Bytes of a batch, about. With the pages in flight they are what of a response is held in memory.
const BATCH_BYTES: u64 = 256 << 10;

/// A wait that is longer than this ends the response: the client comes back with the state. In milliseconds.
const LONGEST_WAIT: u64 = 30_000;

struct Edge;

impl Guest for Edge {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let is_head = matches!(request.method(), Method::Head);
        match asked(&request) {
            Err(problem) => send_problem(&problem, out, is_head),
            Ok((query, settings)) => {
                let hide = |text: &str| settings.redacted(text);
                match answer(query, &settings) {
                    Ok(answer) => answer.send(out, is_head, &hide),
                    Err(problem) => send_problem(&problem.hiding(&hide), out, is_head),
                }
            }
        }
    }
}

/// What is asked for, and of which source.
fn asked(request: &IncomingRequest) -> Result<(Query, Settings), Problem> {
    if !matches!(request.method(), Method::Get | Method::Head) {
        return Err(Problem { status: 405, ..of_request("only GET and HEAD are answered") });
    }
    let query = Query::of(&request.path_with_query().unwrap_or_default()).map_err(|refusal| match refusal {
        Refusal::NotFound(detail) => Problem { status: 404, ..of_request(&detail) },
        Refusal::Bad(detail) => of_request(&detail),
    })?;
    match Settings::of(&environment::get_environment()) {
        Ok(settings) => Ok((query, settings)),
        Err(detail) => Err(Problem { status: 500, kind: "config", detail, ..Problem::default() }),
    }
}

/// What is sent where nothing went wrong until the response begins.
enum Answer {
    /// A document.
    Description(Value),
    /// Rows that are to come. What was read of them first is there: so an early failure has a status of its own.
    Rows { reader: Reader, first: Read, limit: u64 },
}

/// What the connector has next.
enum Read {
    Batch(Batch),
    /// The state.
    Done(String),
    /// It is asked again after a while only.
    Wait(Wait),
}

fn answer(query: Query, settings: &Settings) -> Result<Answer, Problem> {
    let Settings { config, params, bindings, .. } = settings;
    let source = SourceConfig { config: config.clone(), params: params.clone(), bindings: bindings.clone() };
    let description = source::describe(&source).map_err(|errors| of_errors(&errors))?;
    match query {
        Query::Describe => Ok(Answer::Description(document(&description))),
        Query::Rows(rows) => {
            if !description.resources.iter().any(|resource| resource.name == rows.resource) {
                let known: Vec<_> = description.resources.iter().map(|it| format!("`{}`", it.name)).collect();
                let detail = format!("there is no resource `{}`: there are {}", rows.resource, known.join(", "));
                return Err(Problem { status: 404, ..of_request(&detail) });
            }
            read(source, rows)
        }
    }
}

/// What a configuration's resources are, and where their rows are.
fn document(description: &source::Description) -> Value {
    let resources = description.resources.iter().map(|resource| {
        json!({
            "name": resource.name,
            "rows": format!("/resources/{}", percent_encoding::utf8_percent_encode(&resource.name, percent_encoding::NON_ALPHANUMERIC)),
            "table": resource.table,
            "parent": resource.parent,
            "primary_key": resource.primary_key,
            "cursor": resource.cursor,
        })
    });
    let warnings = description.warnings.iter().map(|warning| Value::Object(members(warning)));
    json!({
        "resources": resources.collect::<Vec<_>>(),
        "origins": description.origins,
        "warnings": warnings.collect::<Vec<_>>(),
    })
}

fn read(source: SourceConfig, rows: Rows) -> Result<Answer, Problem> {
    let now = wall_clock::now();
    let request = OpenRequest {
        source,
        resources: vec![rows.resource],
        state: rows.state,
        schema: None,
        encoding: Encoding::Ndjson,
        window: WINDOW,
        load_id: format!("{}.{:06}", now.seconds, now.nanoseconds / 1000),
        extent: Extent { since: rows.since, until: rows.until, full_refresh: rows.full_refresh },
    };
    let reader = Reader::open(&request).map_err(|error| of_error(&error))?;
    let first = next(&reader, rows.limit).map_err(|error| of_error(&error))?;
    match first {
        Read::Wait(wait) => Err(of_wait(&wait)),
        first => Ok(Answer::Rows { reader, first, limit: rows.limit }),
    }
}

/// Asks for a batch, and sleeps through short waits.
fn next(reader: &Reader, left: u64) -> Result<Read, Error> {
    loop {
        let rows = u32::try_from(left.min(BATCH_ROWS)).unwrap_or(u32::MAX);
        let wait = match reader.next(rows, BATCH_BYTES)? {
            Step::Batch(batch) => return Ok(Read::Batch(batch)),
            Step::Done(summary) => return Ok(Read::Done(summary.state)),
            Step::Wait(wait) => wait,
        };
        match until(&wait) {
            time if time > LONGEST_WAIT => return Ok(Read::Wait(wait)),
            time => monotonic_clock::subscribe_duration(time.saturating_mul(1_000_000)).block(),
        }
    }
}

/// Milliseconds until a wait is over.
fn until(wait: &Wait) -> u64 {
    let now = wall_clock::now();
    let now = now.seconds.saturating_mul(1000).saturating_add(u64::from(now.nanoseconds / 1_000_000));
    wait.until.saturating_sub(now)
}

impl Answer {
    /// Sends it; `hide` takes secrets out of what is told.
    fn send(self, out: ResponseOutparam, is_head: bool, hide: &dyn Fn(&str) -> String) {
        match self {
            Self::Description(mut document) => {
                hide_in(&mut document, hide);
                let response = Response::begin(out, 200, "application/json", &[]);
                response.end(is_head, |body| body.write(format!("{document}\n").as_bytes()));
            }
            Self::Rows { reader, first, limit } => {
                let response = Response::begin(out, 200, lines::CONTENT_TYPE, &[]);
                response.end(is_head, |body| send_rows(body, &reader, first, limit, hide));
            }
        }
    }
}

/// Sends batch after batch until all rows are sent, or as many as were asked for.
fn send_rows(body: &Body, reader: &Reader, first: Read, limit: u64, hide: &dyn Fn(&str) -> String) -> Result<(), Gone> {
    let mut left = limit;
    let mut read = Ok(first);
    loop {
        match read {
            Ok(Read::Batch(batch)) => {
                let mut sent = Vec::new();
                for table in &batch.tables {
                    if let Payload::Ndjson(rows) = &table.payload {
                        lines::push_rows(&mut sent, &table.table, rows);
                    }
                    if table.parent.is_none() {
                        left = left.saturating_sub(u64::from(table.rows));
                    }
                }
                sent.extend(lines::state(&batch.state));
                body.write(&sent)?;
            }
            Ok(Read::Done(state)) => return body.write(&lines::done(&state)),
            Ok(Read::Wait(wait)) => {
                body.write(&lines::state(&wait.state))?;
                return body.write(&lines::problem(&of_wait(&wait).hiding(hide)));
            }
            Err(error) => return body.write(&lines::problem(&of_error(&error).hiding(hide))),
        }
        if left == 0 {
            return Ok(());
        }
        read = next(reader, left);
    }
}

fn send_problem(problem: &Problem, out: ResponseOutparam, is_head: bool) {
    let retry_after = problem.retry_after.map(|seconds| ("retry-after", seconds.to_string()));
    let allow = (problem.status == 405).then(|| ("allow", "GET, HEAD".to_owned()));
    let headers: Vec<_> = retry_after.into_iter().chain(allow).collect();
    let response = Response::begin(out, problem.status, Problem::CONTENT_TYPE, &headers);
    response.end(is_head, |body| body.write(format!("{}\n", problem.document()).as_bytes()));
}

/// A response whose head is sent. What fails from here on is that the client has gone, which nobody is there to be told.
struct Response(Option<OutgoingBody>);

/// The client has gone.
struct Gone;

impl Response {
    fn begin(out: ResponseOutparam, status: u16, content_type: &str, headers: &[(&str, String)]) -> Self {
        let fields = Fields::new();
        let all = headers.iter().map(|(name, value)| (*name, value.as_str())).chain([("content-type", content_type)]);
        for (name, value) in all {
            // These names and values are well-formed, and no platform forbids them.
            let _ = fields.append(name, value.as_bytes());
        }
        let response = OutgoingResponse::new(fields);
        let _ = response.set_status_code(status);
        let body = response.body().ok();
        ResponseOutparam::set(out, Ok(response));
        Self(body)
    }

    /// Sends the body, but for a HEAD request, and ends it: where `write` fails the client sees it broken off.
    fn end(self, is_head: bool, write: impl FnOnce(&Body) -> Result<(), Gone>) {
        let Some(body) = self.0 else { return };
        if !is_head {
            let Ok(stream) = body.write() else { return };
            let written = write(&Body(stream));
            if written.is_err() {
                return;
            }
        }
        let _ = OutgoingBody::finish(body, None);
    }
}

/// The body of a response, while it is sent.
struct Body(OutputStream);

impl Body {
    /// Writes all of it, as fast as the client takes it, and sees that it is on its way.
    fn write(&self, bytes: &[u8]) -> Result<(), Gone> {
        let gone = |_: StreamError| Gone;
        let mut left = bytes;
        while !left.is_empty() {
            let permitted = usize::try_from(self.granted()?).unwrap_or(usize::MAX).min(left.len());
            let (now, later) = left.split_at(permitted);
            self.0.write(now).map_err(gone)?;
            left = later;
        }
        self.0.flush().map_err(gone)?;
        self.granted().map(drop)
    }

    /// Waits until some bytes may be written, and says how many.
    fn granted(&self) -> Result<u64, Gone> {
        loop {
            match self.0.check_write().map_err(|_| Gone)? {
                0 => self.0.subscribe().block(),
                bytes => return Ok(bytes),
            }
        }
    }
}

fn of_request(detail: &str) -> Problem {
    Problem { status: 400, kind: "request", detail: detail.to_owned(), ..Problem::default() }
}

fn of_wait(wait: &Wait) -> Problem {
    let seconds = until(wait).div_ceil(1000);
    let more = json!({"resource": wait.resource, "state": wait.state, "retry_after": seconds});
    Problem {
        status: 503,
        kind: "rate-limited",
        detail: wait.reason.clone(),
        more: more.as_object().cloned().unwrap_or_default(),
        retry_after: Some(seconds),
    }
}

/// One problem of all defects of a configuration.
fn of_errors(errors: &[Error]) -> Problem {
    match errors {
        [error] => of_error(error),
        errors => Problem {
            status: 500,
            kind: "config",
            detail: format!("the configuration has {} defects", errors.len()),
            more: Map::from_iter([(
                "errors".to_owned(),
                errors.iter().map(|error| Value::Object(members(error))).collect(),
            )]),
            retry_after: None,
        },
    }
}

fn of_error(error: &Error) -> Problem {
    let kind = kind(error.kind);
    let mut more = members(error);
    let detail = more.remove("detail").and_then(|detail| detail.as_str().map(str::to_owned)).unwrap_or_default();
    Problem {
        status: Problem::status_of(kind),
        kind,
        detail,
        more,
        retry_after: error.retry_after.map(|milliseconds| milliseconds.div_ceil(1000)),
    }
}

/// What is known of an error, by name. What is not known is left out.
fn members(error: &Error) -> Map<String, Value> {
    let all = [
        ("detail", Value::from(error.message.clone())),
        ("resource", error.resource.clone().into()),
        ("pointer", error.pointer.clone().into()),
        ("advice", error.advice.clone().into()),
        ("upstream_status", error.status.into()),
        ("url", error.url.clone().into()),
        ("attempts", error.attempts.into()),
    ];
    all.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value)).collect()
}

fn kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Config => "config",
        ErrorKind::Auth => "auth",
        ErrorKind::Permission => "permission",
        ErrorKind::RateLimited => "rate-limited",
        ErrorKind::Transient => "transient",
        ErrorKind::Schema => "schema",
        ErrorKind::Limit => "limit",
        ErrorKind::Upstream => "upstream",
        ErrorKind::Internal => "internal",
    }
}

bindings::export!(Edge with_types_in bindings);
