//! Tokens, where no host signs: asked for once, renewed when they end or are refused, and never without end.

use super::simulated::{Log, Simulated, ok, opening, status};
use super::*;
use crate::request::Request;
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

type Takes = dyn Fn(u64, &str) -> bool;

/// An API whose tokens are numbers. It takes each for 100 s, and none below `taken_from`.
struct Api {
    given: Cell<u64>,
    /// When it gave each, by its own clock.
    given_at: RefCell<Vec<u64>>,
    clock: Cell<u64>,
    taken_from: Cell<u64>,
    /// Whether it takes a token, by its number and the path.
    takes: Box<Takes>,
    /// Answers the nth request for a token in the place of the API.
    token: Box<dyn Fn(u64) -> Option<Result<Response, Failure>>>,
    asked: Cell<u64>,
    log: Rc<RefCell<Log>>,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            given: Cell::new(0),
            given_at: RefCell::default(),
            clock: Cell::new(0),
            taken_from: Cell::new(1),
            takes: Box::new(|_, _| true),
            token: Box::new(|_| None),
            asked: Cell::new(0),
            log: Rc::default(),
        }
    }
}

impl Api {
    fn answer(&self, request: &Request) -> Result<Response, Failure> {
        if request.url.path() == "/token" {
            self.asked.set(self.asked.get() + 1);
            return (self.token)(self.asked.get()).unwrap_or_else(|| {
                self.given.set(self.given.get() + 1);
                self.given_at.borrow_mut().push(self.clock.get());
                ok(json!({"access_token": format!("t{}", self.given.get()), "expires_in": 100}))
            });
        }
        let token = request.headers.iter().find(|(name, _)| name == "authorization").map(|(_, value)| value.as_str());
        let number: u64 = token.and_then(|token| token.strip_prefix("Bearer t")?.parse().ok()).unwrap_or(0);
        let given_at = number.checked_sub(1).and_then(|nth| self.given_at.borrow().get(nth as usize).copied());
        assert!(given_at.is_none_or(|at| at + 100_000 > self.clock.get()), "the token has ended");
        match number >= self.taken_from.get() && (self.takes)(number, request.url.path()) {
            true => ok(json!([{"id": request.url.path()}])),
            false => status(401),
        }
    }

    /// The rows that a run gives, its counts, and how often a token was asked for.
    fn run(&self, config: &Value, window: u32) -> Result<(u64, Vec<Counts>)> {
        let mut reader = self.open(config, window)?;
        let mut rows = 0;
        loop {
            match reader.next(1, 1 << 20)? {
                Step::Batch { tables, .. } => {
                    rows += tables.iter().map(|table| table.rows.num_rows() as u64).sum::<u64>()
                }
                Step::Wait { until, .. } => self.log.borrow_mut().now = until,
                Step::Done { counts, .. } => return Ok((rows, counts)),
            }
        }
    }

    fn open<'a>(&'a self, config: &Value, window: u32) -> Result<Reader<Simulated<'a>>> {
        let config = config.to_string();
        let request = opening(&config, None, window);
        Reader::open(request, Simulated::new(self.log.clone(), 0, 20, |request, _| self.answer(request)))
    }

    fn requests(&self, path: &str) -> usize {
        self.log.borrow().requests.iter().filter(|request| request.contains(path)).count()
    }
}

fn config(auth: Value) -> Value {
    let names = ["a", "b", "c", "d", "e", "f"];
    let resources: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
    json!({"client": {"base_url": "http://api.example", "auth": auth, "paginator": "single_page"}, "resources": resources})
}

fn oauth(more: Value) -> Value {
    let mut auth = json!({"type": "oauth2_client_credentials", "access_token_url": "http://login.example/token",
        "client_id": "me", "client_secret": "s3cr3t"});
    auth.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    auth
}

#[test]
fn one_token_serves_all_requests() {
    for window in [1, 2, 8] {
        let api = Api::default();
        let (rows, counts) = api.run(&config(oauth(json!({}))), window).unwrap();
        assert_eq!((rows, api.requests("/token")), (6, 1));
        assert!(counts.iter().all(|counts| (counts.requests, counts.retries) == (1, 0)));
    }
}

#[test]
fn equal_auth_objects_share_a_token_and_others_do_not() {
    let api = Api::default();
    let mut config = config(oauth(json!({})));
    config["resources"][1]["endpoint"] = json!({"auth": oauth(json!({}))});
    config["resources"][2]["endpoint"] = json!({"auth": oauth(json!({"scopes": "more"}))});
    assert_eq!(api.run(&config, 8).unwrap().0, 6);
    assert_eq!((api.requests("scope=more"), api.requests("/token")), (1, 2));

    // Null signs nothing.
    config["resources"][1]["endpoint"]["auth"] = Value::Null;
    let error = Api::default().run(&config, 1).unwrap_err();
    assert_eq!((error.kind, error.resource.as_deref(), error.status), (Kind::Auth, Some("b"), Some(401)));
}

#[test]
fn a_token_that_ends_is_renewed_before() {
    let api = Api::default();
    let config = config(oauth(json!({})));
    let mut reader = api.open(&config, 1).unwrap();
    for _ in 0..6 {
        let step = reader.next(1, 1 << 20).unwrap();
        assert!(matches!(step, Step::Batch { .. }));
        api.clock.set(api.clock.get() + 30_000);
        api.log.borrow_mut().now += 30_000;
    }
    assert!(matches!(reader.next(1, 1 << 20).unwrap(), Step::Done { .. }));
    assert_eq!((api.requests("/token"), api.requests("api.example")), (2, 6));
}

#[test]
fn a_refused_token_is_renewed_once_and_the_page_asked_again() {
    for window in [1, 8] {
        // The first token is withdrawn before it is used, or in the middle.
        for path in ["/a", "/c"] {
            let takes = Box::new(move |number, asked: &str| number != 1 || (window == 1 && *asked < *path));
            let api = Api { takes, ..Api::default() };
            let (rows, counts) = api.run(&config(oauth(json!({}))), window).unwrap();
            assert_eq!((rows, api.requests("/token")), (6, 2));
            assert!(counts.iter().all(|counts| counts.retries == 0));
        }
    }
}

#[test]
fn a_token_that_is_always_refused_ends_the_run() {
    for window in [1, 2, 8] {
        let api = Api { taken_from: Cell::new(u64::MAX), ..Api::default() };
        let error = api.run(&config(oauth(json!({}))), window).unwrap_err();
        assert_eq!((error.kind, error.status, error.attempts), (Kind::Auth, Some(401), Some(1)));
        assert_eq!((error.resource.as_deref(), error.url.as_deref()), (Some("a"), Some("http://api.example/a")));
        assert_eq!((api.requests("/token"), api.requests("example/a")), (2, 2));
    }
    // One that is refused at one place only is renewed for it once.
    let api = Api { takes: Box::new(|_, path| path != "/c"), ..Api::default() };
    assert_eq!(api.run(&config(oauth(json!({}))), 1).unwrap_err().resource.as_deref(), Some("c"));
    assert_eq!(api.requests("/token"), 2);
}

#[test]
fn a_token_to_begin_with_is_used_until_it_is_refused() {
    let api = Api { taken_from: Cell::new(0), ..Api::default() };
    api.run(&config(oauth(json!({"access_token": "t0"}))), 8).unwrap();
    assert_eq!(api.requests("/token"), 0);
    let api = Api::default();
    assert_eq!(api.run(&config(oauth(json!({"access_token": "t0"}))), 8).unwrap().0, 6);
    assert_eq!(api.requests("/token"), 1);
}

#[test]
fn a_token_that_passes_by_is_waited_for() {
    let token = Box::new(|times| (times < 4).then(|| status(503)));
    let api = Api { token, ..Api::default() };
    assert_eq!(api.run(&config(oauth(json!({}))), 8).unwrap().0, 6);
    assert_eq!(api.requests("/token"), 4);
    assert!(api.log.borrow().now >= 7000);
}

#[test]
fn without_a_token_the_run_ends_and_asks_nothing_of_the_api() {
    for (answer, kind, asked) in [
        (status(400), Kind::Auth, 1),
        (status(401), Kind::Auth, 1),
        (status(500), Kind::Transient, 5),
        (ok(json!({"error": "no"})), Kind::Auth, 1),
        (Err(Failure::Network("gone".to_owned())), Kind::Transient, 5),
        (Err(Failure::Denied("no".to_owned())), Kind::Permission, 1),
    ] {
        let api = Api { token: Box::new(move |_| Some(answer.clone())), ..Api::default() };
        let error = api.run(&config(oauth(json!({}))), 8).unwrap_err();
        assert_eq!((error.kind, error.attempts), (kind, Some(asked)), "{error:?}");
        assert_eq!(error.url.as_deref(), Some("http://login.example/token"));
        assert_eq!((error.resource.as_deref(), error.pointer.as_deref()), (Some("a"), Some("/client/auth")));
        assert_eq!((api.requests("/token"), api.requests("api.example")), (asked as usize, 0));
    }
}

#[test]
fn a_check_asks_for_a_token_and_a_page() {
    let api = Api::default();
    api.open(&config(oauth(json!({}))), 8).unwrap().check().unwrap();
    assert_eq!((api.requests("/token"), api.requests("api.example")), (1, 1));
    let api = Api { token: Box::new(|_| Some(status(503))), ..Api::default() };
    assert_eq!(api.open(&config(oauth(json!({}))), 8).unwrap().check().unwrap_err().kind, Kind::Transient);
    assert_eq!((api.requests("/token"), api.requests("api.example")), (1, 0));
    let api = Api { taken_from: Cell::new(2), ..Api::default() };
    api.open(&config(oauth(json!({}))), 8).unwrap().check().unwrap();
    assert_eq!((api.requests("/token"), api.requests("api.example")), (2, 2));
}

#[test]
fn a_session_token_stands_where_it_is_said() {
    for (location, expected) in [("query", "http://api.example/a?sid=t1"), ("cookie", "http://api.example/a")] {
        let auth = json!({"type": "session_token", "login": {"path": "token"}, "token_path": "access_token",
            "name": "sid", "location": location});
        let api = Api { taken_from: Cell::new(0), ..Api::default() };
        api.run(&config(auth), 1).unwrap();
        assert!(api.log.borrow().requests.iter().any(|request| request == expected));
    }
}

#[test]
fn the_description_tells_where_a_token_is_asked_for_and_with_what() {
    let config = config(oauth(json!({"client_secret": {"secret": "key"}}))).to_string();
    let source = || Source { config: &config, params: "{}", bindings: "{}" };
    let description = Plan::new(&source()).unwrap_or_else(|e| panic!("{e:?}")).describe();
    assert_eq!(description.origins, ["http://api.example:80", "http://login.example:80"]);
    let slots: Vec<_> = description.slots.into_iter().map(|slot| (slot.name, slot.origins)).collect();
    assert_eq!(slots, [("key".to_owned(), vec!["http://login.example:80".to_owned()])]);
    let error = Api::default().run(&serde_json::from_str(&config).unwrap(), 1).unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (Kind::Auth, "the secret `key` has no value here"));
}

#[test]
fn a_wrong_token_source_is_told_at_its_place() {
    let mut config = config(oauth(json!({"access_token_url": "login.example"})));
    config["resources"][1]["endpoint"] = json!({"auth": {"type": "session_token", "login": {"path": "a"},
        "location": "cookie"}});
    let config = config.to_string();
    let errors = Plan::new(&Source { config: &config, params: "{}", bindings: "{}" }).err().unwrap();
    let found: Vec<_> = errors.iter().map(|error| error.pointer.as_deref().unwrap()).collect();
    assert_eq!(found, ["/client/auth/access_token_url", "/resources/1/endpoint/auth"]);
}

/// An API that says in a response of 200 that the token has ended.
fn says_no_within(api: &Api, taken_from: u64) -> impl Fn(&Request) -> Result<Response, Failure> + '_ {
    move |request| {
        let token = request.headers.iter().find(|(name, _)| name == "authorization").map(|(_, value)| value.clone());
        let number: Option<u64> = token.and_then(|token| token.strip_prefix("Bearer t")?.parse().ok());
        match number {
            Some(number) if number < taken_from => ok(json!({"error": "token expired"})),
            _ => api.answer(request),
        }
    }
}

#[test]
fn a_response_may_be_singled_out_as_a_refusal_of_the_token() {
    for (taken_from, expected) in [(2, Ok(6)), (9, Err(Kind::Auth))] {
        let mut config = config(oauth(json!({})));
        config["client"]["response_actions"] =
            json!([{"path": "error", "action": "refresh_auth", "message": "no token is taken"}]);
        let config = config.to_string();
        let api = Api::default();
        let request = opening(&config, None, 4);
        let answer = says_no_within(&api, taken_from);
        let mut reader =
            Reader::open(request, Simulated::new(api.log.clone(), 0, 20, |request, _| answer(request))).unwrap();
        let mut rows = 0;
        let outcome = loop {
            match reader.next(1, 1 << 20) {
                Ok(Step::Batch { tables, .. }) => rows += tables[0].rows.num_rows(),
                Ok(Step::Wait { until, .. }) => api.log.borrow_mut().now = until,
                Ok(Step::Done { .. }) => break Ok(rows),
                Err(error) => break Err(error.kind),
            }
        };
        assert_eq!(outcome, expected);
        assert_eq!(api.requests("/token"), 2);
    }
}

#[test]
fn a_host_that_signs_is_told_which_token_is_refused() {
    let mut config = config(json!({"type": "brokered", "credential": "/client/auth"}));
    config["client"]["response_actions"] = json!([{"status_code": 403, "action": "refresh_auth"}]);
    config["resources"] = json!(["a"]);
    for (good, expected) in [("/client/auth 1", None), ("never", Some(Kind::Auth))] {
        let log = Rc::<RefCell<Log>>::default();
        let named = RefCell::new(Vec::new());
        let answer = |request: &Request| {
            let header = request.headers.iter().find(|(name, _)| name == "spile-credential").unwrap().1.clone();
            named.borrow_mut().push(header.clone());
            let headers = vec![("spile-credential".to_owned(), named.borrow().len().to_string())];
            let status = if header == good { 200 } else { 403 };
            Ok(Response { status, headers, body: b"[]".to_vec() })
        };
        let config = config.to_string();
        let request = opening(&config, None, 4);
        let mut reader = Reader::open(request, Simulated::new(log, 0, 20, |request, _| answer(request))).unwrap();
        assert_eq!(reader.next(1, 1 << 20).err().map(|error| error.kind), expected);
        drop(reader);
        assert_eq!(named.into_inner(), ["/client/auth", "/client/auth 1"]);
    }
}
