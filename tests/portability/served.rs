//! The connector behind HTTP, as a platform runs it: `jco serve`, with the settings in the environment.

use crate::case::{Case, Reading};
use crate::outcome::{End, Outcome};
use crate::{Runtime, tools};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Stdio};
use tokio::net::TcpStream;
use tokio::runtime;
use url::Url;

pub struct Served {
    runtime: runtime::Runtime,
}

impl Served {
    pub fn new() -> Self {
        Self { runtime: runtime::Builder::new_current_thread().enable_all().build().unwrap() }
    }

    /// The status, the content type and the body of the answer.
    fn get(&self, url: &Url) -> (u16, String, String) {
        self.runtime.block_on(async {
            let stream = TcpStream::connect((url.host_str().unwrap(), url.port().unwrap())).await.unwrap();
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
            let connection = tokio::spawn(connection);
            let request = hyper::Request::get(&url[url::Position::BeforePath..]).header("host", url.authority());
            let response = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
            let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            drop(sender);
            connection.abort();
            (status, kind, String::from_utf8(body.to_vec()).unwrap())
        })
    }
}

/// A server that runs while it is held.
struct Server {
    child: Child,
    url: Url,
}

impl Server {
    fn start(case: &Case, base_url: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let secrets = case.secrets.iter();
        let mut command = tools::serve(port);
        command
            .env("SPILE_CONFIG", case.config(base_url).to_string())
            .env("SPILE_PARAMS", json!(case.params).to_string())
            .env("SPILE_BINDINGS", case.bindings().to_string())
            .envs(secrets.map(|(name, value)| (format!("SPILE_SECRET_{}", name.to_uppercase()), value)))
            // It starts a process of its own, which ends with it.
            .process_group(0)
            .stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let mut server = Self { child, url: Url::parse(&format!("http://localhost:{port}/")).unwrap() };
        let mut told = BufReader::new(server.child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let is_ready =
            told.by_ref().inspect(|line| eprintln!("{line}")).any(|line| line.starts_with("Server listening"));
        assert!(is_ready, "the server did not start");
        std::thread::spawn(move || told.for_each(|line| eprintln!("{line}")));
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(group) = i32::try_from(self.child.id()) {
            // SAFETY: sends a signal to the processes of this group, and touches no memory.
            unsafe { libc::kill(-group, libc::SIGKILL) };
        }
        let _ = self.child.wait();
    }
}

impl Runtime for Served {
    fn name(&self) -> String {
        tools::server_name()
    }

    fn read(&mut self, reading: &Reading, base_url: &str) -> Option<Outcome> {
        let resource = reading.resource?;
        let case = reading.case;
        let server = Server::start(case, base_url);
        let mut outcome = Outcome::new();
        let (status, _, described) = self.get(&server.url);
        let described: Value = serde_json::from_str(&described).unwrap();
        if status != 200 {
            fail(&mut outcome, &described);
            return Some(outcome);
        }
        let resources = described["resources"].as_array().unwrap();
        let found = resources.iter().find(|found| found["name"] == resource).unwrap();
        let url = server.url.join(found["rows"].as_str().unwrap()).unwrap();

        let root = found["table"].as_str().unwrap();
        let pause = case.stop_after.filter(|_| !case.columns_change);
        let mut state: Option<String> = None;
        'responses: for limit in pause.map(|batches| Some(batches * case.batch_rows)).into_iter().chain([None]) {
            let mut url = url.clone();
            let asked = limit.map(|limit| ("limit", limit.to_string())).into_iter();
            url.query_pairs_mut().extend_pairs(asked.chain(state.take().map(|state| ("state", state))));
            let (status, kind, body) = self.get(&url);
            if status != 200 {
                assert_eq!(kind, "application/problem+json");
                fail(&mut outcome, &serde_json::from_str(&body).unwrap());
                break;
            }
            assert_eq!(kind, "application/x-ndjson");
            for line in body.lines() {
                let line: Value = serde_json::from_str(line).unwrap();
                if let Some(row) = line.get("row") {
                    let table = line["table"].as_str().unwrap();
                    outcome.push_rows(table, table == root, &row.to_string());
                } else if let Some(reached) = line.get("state") {
                    let reached = reached.as_str().unwrap();
                    outcome.push_state(reached);
                    state = Some(reached.to_owned());
                    if line["done"] == json!(true) {
                        // Warnings are what a run sums up, and no part of a response.
                        outcome.end = End::Untold;
                        break 'responses;
                    }
                } else {
                    fail(&mut outcome, &line["problem"]);
                }
            }
        }
        Some(outcome)
    }
}

fn fail(outcome: &mut Outcome, problem: &Value) {
    let names = [
        ("message", "detail"),
        ("resource", "resource"),
        ("pointer", "pointer"),
        ("advice", "advice"),
        ("status", "upstream_status"),
        ("url", "url"),
        ("attempts", "attempts"),
    ];
    outcome.fail(problem["kind"].as_str().unwrap(), names.map(|(name, member)| (name, problem[member].clone())));
}
