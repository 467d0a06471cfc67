//! Reads a log whose entries have sequence numbers, in pages that are columns and rows of cells. The declarative dialect has
//! no words for such pages.

mod contract;
mod http;
mod page;
mod progress;
mod rows;

#[allow(clippy::all)]
mod bindings {
    wit_bindgen::generate!({
        // A copy of the folder `wit` of Spile.
        path: "wit",
        world: "connector",
        generate_all,
    });
}

use bindings::exports::spile::connector::source::*;
use contract::{Connection, connection, defect, defects, failure};
use page::{Entry, Page};
use progress::{Progress, foreign};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::iter;

const RESOURCE: &str = "journal";

/// The columns of the table.
const COLUMNS: [(&str, DataType); 6] = [
    ("seq", DataType::Bigint),
    ("id", DataType::Text),
    ("at", DataType::Timestamp),
    ("kind", DataType::Text),
    ("amount", DataType::Double),
    ("details", DataType::Json),
];

/// What may stand in `source` of a pipeline. Credentials stand in `client`, where Spile looks for them.
const CONFIGURATION: &str = include_str!("configuration.json");

/// What a configuration asks for.
struct Plan {
    connection: Connection,
    table: String,
    page_size: u64,
}

impl Plan {
    /// Gives all that is wrong with a configuration.
    fn new(source: &SourceConfig) -> Result<Self, Vec<Error>> {
        let unreadable = |error| vec![defect("", format!("this is not JSON: {error}"))];
        let schema: Value = serde_json::from_str(CONFIGURATION).map_err(unreadable)?;
        let config: Value = serde_json::from_str(&source.config).map_err(unreadable)?;
        let mut wrong = defects(&schema, &config, "");
        let table = config.pointer("/table").and_then(Value::as_str).unwrap_or(RESOURCE).to_owned();
        if !table.starts_with(|sign: char| sign.is_ascii_alphabetic()) {
            wrong.push(defect("/table", "this is no name of a table"));
        }
        let page_size = config.pointer("/page_size").and_then(Value::as_u64).unwrap_or(1000);
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let connection = connection(config.pointer("/client").unwrap_or(&Value::Null)).map_err(|wrong| vec![wrong])?;
        Ok(Self { connection, table, page_size })
    }

    /// For the functions that fail once.
    fn or_first(source: &SourceConfig) -> Result<Self, Error> {
        let nothing = || failure(ErrorKind::Internal, "the configuration is refused without a reason");
        Self::new(source).map_err(|wrong| wrong.into_iter().next().unwrap_or_else(nothing))
    }

    fn url(&self, after: i64, limit: u64) -> String {
        format!("{}/{RESOURCE}?after={after}&limit={limit}", self.connection.base_url)
    }

    /// The entries after one.
    fn page(&self, after: i64, limit: u64) -> Result<Page, Error> {
        let url = self.url(after, limit);
        let body = http::get(&url, &self.connection)?;
        Page::read(&body, after).map_err(|error| Error { url: Some(url), status: Some(200), ..error })
    }
}

/// What a reader knows.
struct Reading {
    plan: Plan,
    progress: Progress,
    load_id: String,
    encoding: Encoding,
    /// The columns that the table has.
    known: Vec<String>,
    counts: ResourceCounts,
    /// Of the page that was received last: the entries that were not handed over yet, and after which number there are more.
    entries: VecDeque<Entry>,
    next: Option<i64>,
    bytes_of_entry: usize,
}

impl Reading {
    fn open(request: OpenRequest) -> Result<Self, Error> {
        let progress = Progress::new(request.state.as_deref(), &request.extent)?;
        let resource = RESOURCE.to_owned();
        Ok(Self {
            plan: Plan::or_first(&request.source)?,
            progress,
            load_id: request.load_id,
            encoding: request.encoding,
            known: serde_json::from_str(request.schema.as_deref().unwrap_or("[]")).map_err(foreign)?,
            counts: ResourceCounts { resource, requests: 0, retries: 0, pages: 0, rows: 0, filtered: 0 },
            entries: VecDeque::new(),
            next: Some(progress.after),
            bytes_of_entry: 0,
        })
    }

    fn step(&mut self, max_rows: u32, max_bytes: u64) -> Result<Step, Error> {
        while self.entries.is_empty() {
            let Some(next) = self.next else {
                let (state, counts) = (self.progress.final_state(), vec![self.counts.clone()]);
                return Ok(Step::Done(Summary { state, counts, warnings: Vec::new() }));
            };
            // What lies before it is behind us.
            self.progress.after = next;
            if let Some(wait) = self.turn_page(next)? {
                return Ok(Step::Wait(wait));
            }
        }
        let most = max_rows.min(most_by_size(max_bytes, self.bytes_of_entry)).max(1);
        let entries: Vec<Entry> = iter::from_fn(|| self.entries.pop_front()).take(most as usize).collect();
        self.progress.after = entries.last().map_or(self.progress.after, |last| last.seq);
        let table = self.table_rows(entries)?;
        self.counts.rows += u64::from(table.rows);
        // Just what was handed over is behind whoever goes on from here.
        let state = self.progress.state();
        let schema = (!table.new_columns.is_empty()).then(|| Value::from(self.known.clone()).to_string());
        let counts = vec![self.counts.clone()];
        Ok(Step::Batch(Batch { tables: vec![table], state, schema, changes: Vec::new(), counts }))
    }

    /// Receives the next page. Where that failed and may pass, gives a wait: the host sleeps, not the connector.
    fn turn_page(&mut self, after: i64) -> Result<Option<Wait>, Error> {
        self.counts.requests += 1;
        let mut page = match self.plan.page(after, self.plan.page_size) {
            Ok(page) => page,
            Err(failed) => {
                self.progress.attempts += 1;
                let (resource, reason) = (RESOURCE.to_owned(), failed.message.clone());
                let until = http::retry_at(failed, self.progress.attempts)?;
                self.counts.retries += 1;
                let (state, counts) = (self.progress.state(), vec![self.counts.clone()]);
                return Ok(Some(Wait { until, resource, reason, state, counts }));
            }
        };
        self.progress.attempts = 0;
        self.counts.pages += 1;
        if let Some(until) = self.progress.until
            && let Some(end) = page.entries.iter().position(|entry| entry.seq >= until)
        {
            page.entries.truncate(end);
            page.next = None;
        }
        Page { entries: self.entries, next: self.next, bytes_of_entry: self.bytes_of_entry } = page;
        Ok(None)
    }

    fn table_rows(&mut self, entries: Vec<Entry>) -> Result<TableRows, Error> {
        let columns = [&COLUMNS[..], &rows::SYSTEM].concat();
        let cells = |Entry { seq, mut cells }: Entry| {
            cells.extend([Value::from(self.load_id.clone()), Value::from(seq.to_string())]);
            cells
        };
        let cells: Vec<Vec<Value>> = entries.into_iter().map(cells).collect();
        Ok(TableRows {
            table: self.plan.table.clone(),
            resource: RESOURCE.to_owned(),
            parent: None,
            rows: u32::try_from(cells.len()).unwrap_or(u32::MAX),
            payload: rows::payload(&columns, &cells, self.encoding)?,
            roots: Vec::new(),
            new_columns: rows::new_columns(&columns, &mut self.known),
            widened_columns: Vec::new(),
        })
    }
}

/// How many entries come to about so many bytes.
fn most_by_size(max_bytes: u64, bytes_of_entry: usize) -> u32 {
    u32::try_from(max_bytes / (bytes_of_entry as u64).max(1)).unwrap_or(u32::MAX)
}

/// An error of reading, which is always of the one resource.
fn of_resource(error: Error) -> Error {
    Error { resource: Some(RESOURCE.to_owned()), ..error }
}

struct Connector;

impl Guest for Connector {
    type Reader = RefCell<Reading>;

    fn spec() -> String {
        CONFIGURATION.to_owned()
    }

    fn describe(source: SourceConfig) -> Result<Description, Vec<Error>> {
        let plan = Plan::new(&source)?;
        let resource = ResourceDescription {
            name: RESOURCE.to_owned(),
            url: plan.url(0, plan.page_size),
            table: plan.table,
            parent: None,
            primary_key: vec!["seq".to_owned()],
            write_disposition: WriteDisposition::Append,
            method: "GET".to_owned(),
            selected: true,
            unbound: Vec::new(),
            cursor: Some("$.seq".to_owned()),
        };
        let Connection { origin, slots, .. } = plan.connection;
        Ok(Description { resources: vec![resource], origins: vec![origin], slots, warnings: Vec::new() })
    }

    fn check(source: SourceConfig) -> Result<(), Error> {
        Plan::or_first(&source)?.page(0, 1).map(drop).map_err(of_resource)
    }
}

impl GuestReader for RefCell<Reading> {
    fn open(request: OpenRequest) -> Result<Reader, Error> {
        Reading::open(request).map(|reading| Reader::new(RefCell::new(reading)))
    }

    fn next(&self, max_rows: u32, max_bytes: u64) -> Result<Step, Error> {
        self.borrow_mut().step(max_rows, max_bytes).map_err(of_resource)
    }
}

bindings::export!(Connector with_types_in bindings);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn described(config: &str) -> Result<Description, Vec<Error>> {
        let [params, bindings] = ["{}", "{}"].map(str::to_owned);
        Connector::describe(SourceConfig { config: config.to_owned(), params, bindings })
    }

    #[test]
    fn a_configuration_tells_where_requests_go() {
        let config = r#"{"client":{"base_url":"https://api.example.com/v1/","auth":{"credential":"/client/auth"}},"page_size":20}"#;
        let Description { resources, origins, slots, .. } = described(config).unwrap();
        assert_eq!(origins, ["https://api.example.com:443"]);
        assert_eq!(
            slots.iter().map(|slot| (slot.name.as_str(), &slot.origins)).collect::<Vec<_>>(),
            [("/client/auth", &origins)]
        );
        let [resource] = resources.as_slice() else { unreachable!() };
        assert_eq!(resource.url, format!("https://api.example.com/v1/{RESOURCE}?after=0&limit=20"));
        assert_eq!(resource.table, RESOURCE);
    }

    #[test]
    fn what_is_wrong_with_a_configuration_is_told_where_it_stands() {
        for (config, pointers) in [
            ("{", vec![""]),
            ("{}", vec![""]),
            (r#"{"client":{"base_url":"api.example.com"}}"#, vec!["/client/base_url"]),
            (r#"{"client":{"base_url":"http://a.example","headers":{"x":{"secret":"y"}}}}"#, vec!["/client/headers/x"]),
            (r#"{"client":{"base_url":"http://a.example","auth":"bearer"}}"#, vec!["/client/auth"]),
            (
                r#"{"client":{"base_url":1,"a/b":2},"page_size":0,"table":"1"}"#,
                vec!["/client/base_url", "/client/a~1b", "/page_size", "/table"],
            ),
        ] {
            let wrong = described(config).unwrap_err();
            let found: Vec<_> = wrong.iter().filter_map(|error| error.pointer.as_deref()).collect();
            assert_eq!(found, pointers, "{config}");
            assert!(wrong.iter().all(|error| error.kind == ErrorKind::Config));
        }
    }
}
