//! The answer to a request.

use super::asked::Asked;
use super::credentials::{earns, shows};
use super::pages;
use super::quota::Window;
use super::request::Received;
use super::script::{Exchange, Script};
use crate::body::Body;
use crate::sockets;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What all connections share.
#[derive(Clone)]
pub(super) struct Service {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    script: Arc<Script>,
    /// Since this script is there.
    asked: Vec<Asked>,
    /// How many tokens were given.
    issued: usize,
    /// By whom the quota tells apart.
    windows: BTreeMap<Option<String>, Window>,
    /// How often each answer was given, by route and place.
    given: BTreeMap<(usize, usize), usize>,
}

/// Status, headers and body.
type Reply = (u16, Vec<(String, String)>, String);

impl Service {
    pub(super) fn new(script: Script) -> Self {
        let state = State { script: Arc::new(script), ..State::default() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    pub(super) fn replace(&self, script: Script) {
        let mut state = self.lock();
        state.script = Arc::new(script);
        state.asked.clear();
        state.given.clear();
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.lock().asked.clone()
    }

    /// Lists and counts have no half-written state, so a panic elsewhere does not spoil them.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reply(&self, request: &Received) -> Reply {
        let mut state = self.lock();
        let script = state.script.clone();
        let found = script.routes.iter().enumerate().find_map(|(at, route)| {
            let fields = fields(&route.path, &request.path)?;
            (route.method == request.method).then_some((at, route, fields))
        });
        let paging = found.as_ref().and_then(|(_, route, _)| route.pages.position_at());
        let asked = Asked::new(request, paging);
        let before = state.asked.iter().filter(|other| **other == asked).count();
        state.asked.push(asked.clone());
        if state.asked.len() > script.most_requests {
            return refusal(400, "more requests than any test makes");
        }
        let mut recorded = script.recorded.iter().filter(|recorded| recorded.asked() == asked);
        if let Some(recorded) = recorded.nth(before) {
            return recorded.answer.reply();
        }
        if let Some(tokens) = script.tokens.iter().find(|tokens| tokens.path == request.path) {
            if !earns(request, tokens) {
                return refusal(401, "no token for this");
            }
            state.issued += 1;
            let token = format!("token-{}", state.issued);
            return (200, Vec::new(), tokens.answer.to_string().replace("$token", &token));
        }
        let Some((at, route, fields)) = found else { return refusal(404, "there is no such route") };
        if !shows(request, route.auth.as_ref().unwrap_or(&script.auth), state.issued) {
            return refusal(401, "not the credential that is wanted");
        }
        let mut told = Vec::new();
        if let Some(quota) = &script.quota {
            let (is_admitted, headers) = state
                .windows
                .entry(quota.by.as_ref().and_then(|by| request.at(by)))
                .or_default()
                .count(quota, Instant::now());
            if !is_admitted {
                return (429, headers, json!({"refused": "too many requests"}).to_string());
            }
            told = headers;
        }
        if route.answers.is_empty() {
            return match pages::page(route, &fields, request) {
                Ok(page) => (200, [told, page.headers].concat(), page.body.to_string()),
                Err(why) => refusal(400, &why),
            };
        }
        for (nth, answer) in route.answers.iter().enumerate() {
            let given = state.given.entry((at, nth)).or_default();
            if answer.fits(request) && answer.times.is_none_or(|times| *given < times) {
                *given += 1;
                let (status, headers, body) = answer.reply();
                return (status, [told, headers].concat(), body);
            }
        }
        refusal(404, "there is no answer to this")
    }
}

impl sockets::Service for Service {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let request = Received::read(request).await;
        let (status, headers, body) = self.reply(&request);
        let port = request.host().rsplit(':').next().unwrap_or_default();
        let spelt_out = |text: &str| {
            text.replace("$api", &format!("http://{}", request.host()))
                .replace("$other", &format!("http://localhost:{port}"))
        };
        let mut response = Response::new(Body::whole(spelt_out(&body).into_bytes()));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(spelt_out(&value))) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

impl Exchange {
    fn fits(&self, request: &Received) -> bool {
        let sorted = |mut pairs: Vec<(String, String)>| {
            pairs.sort();
            pairs
        };
        self.query.as_ref().is_none_or(|query| sorted(texts(query)) == sorted(request.query.clone()))
            && self.json.as_ref().is_none_or(|json| *json == request.json())
    }

    fn reply(&self) -> Reply {
        let body = self.text.clone().unwrap_or_else(|| self.body.to_string());
        (self.status, texts(&self.headers), body)
    }
}

/// The segments of a path that stand for `{name}` in a route's path, if the two fit.
fn fields(route: &str, path: &str) -> Option<Vec<(String, String)>> {
    let mut fields = Vec::new();
    let (mut wanted, mut found) = (route.split('/'), path.split('/'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return Some(fields),
            (Some(wanted), Some(found)) => match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                Some(name) => fields.push((name.to_owned(), found.to_owned())),
                None if wanted == found => {}
                None => return None,
            },
            _ => return None,
        }
    }
}

fn texts(fields: &Map<String, Value>) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    fields.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn refusal(status: u16, why: &str) -> Reply {
    (status, Vec::new(), json!({"refused": why}).to_string())
}
