//! The pace against APIs with a quota, on a simulated clock. Requests take time to arrive and to be answered, and overtake each
//! other.

use super::simulated::opening;
use super::transport::{self, Blocking, RequestId, Transport};
use super::*;
use crate::request::Request;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::rc::Rc;

/// How an API counts.
#[derive(Clone, Copy, Debug)]
enum Counting {
    /// A bucket of tokens, full at first.
    Bucket,
    /// Windows that begin at multiples of their length.
    Windows,
    /// The span of time before each request.
    Span,
    /// Not at all: one of so many requests is refused, whenever it comes.
    Nth,
}

/// How an API tells what is left.
#[derive(Clone, Copy, Debug)]
enum Telling {
    /// `X-RateLimit-*`, in seconds from now.
    Seconds,
    /// `X-RateLimit-*`, as an instant.
    Instant,
    /// `RateLimit` of the newer draft.
    Standard,
    /// Not at all; a refusal has `Retry-After`.
    Nothing,
    /// Not at all; nor does a refusal say for how long.
    Silent,
    /// That nothing is left, and that there is more in so many seconds.
    Used(u64),
}

/// So many requests in so many milliseconds.
#[derive(Clone, Copy, Debug)]
struct Quota {
    counting: Counting,
    telling: Telling,
    limit: u64,
    per: u64,
}

/// The API's books.
struct Books {
    quota: Quota,
    tokens: f64,
    at: u64,
    admitted: Vec<u64>,
    refused: u64,
}

impl Books {
    fn new(quota: Quota) -> Self {
        Self { quota, tokens: quota.limit as f64, at: START, admitted: Vec::new(), refused: 0 }
    }

    /// Whether a request at this instant is admitted, what is left after it, and in how many milliseconds more can be asked for, and
    /// in how many all of it is there again.
    fn count(&mut self, now: u64) -> (bool, u64, u64, u64) {
        let Quota { counting, limit, per, .. } = self.quota;
        let (is_admitted, left, next, reset) = match counting {
            Counting::Bucket => {
                let rate = limit as f64 / per as f64;
                self.tokens = (self.tokens + (now - self.at) as f64 * rate).min(limit as f64);
                self.at = now;
                let is_admitted = self.tokens >= 1.0;
                self.tokens -= if is_admitted { 1.0 } else { 0.0 };
                let next = ((1.0 - self.tokens).max(0.0) / rate).ceil() as u64;
                (is_admitted, self.tokens as u64, next, ((limit as f64 - self.tokens) / rate).ceil() as u64)
            }
            Counting::Windows => {
                let window = now / per;
                let used = self.admitted.iter().rev().take_while(|at| **at / per == window).count() as u64;
                let end = (window + 1) * per - now;
                (used < limit, limit.saturating_sub(used + 1), end, end)
            }
            Counting::Span => {
                let within: Vec<u64> = self.admitted.iter().rev().copied().take_while(|at| *at + per > now).collect();
                let used = within.len() as u64;
                let free = within.last().map_or(0, |first| first + per - now);
                (used < limit, limit.saturating_sub(used + 1), free, free)
            }
            Counting::Nth => (!(self.admitted.len() as u64 + self.refused + 1).is_multiple_of(limit), 1, 0, 0),
        };
        match is_admitted {
            true => self.admitted.push(now),
            false => self.refused += 1,
        }
        (is_admitted, left, next, reset)
    }

    fn answer(&mut self, now: u64, body: Value) -> Response {
        let (is_admitted, left, next, reset) = self.count(now);
        let seconds = |milliseconds: u64| milliseconds.div_ceil(1000);
        let mut headers = Vec::new();
        let mut tell = |name: &str, value: String| headers.push((name.to_owned(), value));
        match self.quota.telling {
            Telling::Nothing | Telling::Silent => {}
            Telling::Used(reset) => {
                tell("x-ratelimit-remaining", "0".to_owned());
                tell("x-ratelimit-reset", reset.to_string());
            }
            Telling::Standard => tell("ratelimit", format!("\"default\";r={left};t={}", seconds(reset))),
            Telling::Seconds | Telling::Instant => {
                tell("x-ratelimit-limit", self.quota.limit.to_string());
                tell("x-ratelimit-remaining", left.to_string());
                let is_instant = matches!(self.quota.telling, Telling::Instant);
                tell("x-ratelimit-reset", seconds(if is_instant { now + reset } else { reset }).to_string());
            }
        }
        if !is_admitted {
            if !matches!(self.quota.telling, Telling::Silent) {
                headers.push(("retry-after".to_owned(), seconds(next).to_string()));
            }
            return Response { status: 429, headers, body: Vec::new() };
        }
        Response { status: 200, headers, body: body.to_string().into_bytes() }
    }

    /// The least time in which so many requests are admitted.
    fn least(&self, requests: u64) -> u64 {
        let Quota { counting, limit, per, .. } = self.quota;
        match counting {
            Counting::Bucket => requests.saturating_sub(limit) * per / limit,
            Counting::Windows | Counting::Span => (requests.div_ceil(limit) - 1) * per,
            Counting::Nth => 0,
        }
    }
}

/// When the tests begin: at a multiple of all windows.
const START: u64 = 1_700_006_400_000;

/// What the API and the clock have come to.
struct World {
    books: Books,
    now: u64,
    sent: u64,
    peak: usize,
}

/// A network between the engine and the API.
struct Network {
    world: Rc<RefCell<World>>,
    /// Shortest and longest time of a way, in milliseconds.
    way: (u64, u64),
    random: u64,
    going: Vec<(u64, RequestId, Request)>,
    coming: Vec<(u64, RequestId, Response)>,
}

impl Network {
    fn way(&mut self) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.way.0 + (self.random >> 33) % (self.way.1 - self.way.0 + 1)
    }
}

impl Transport for Network {
    fn send(&mut self, id: RequestId, request: Request) {
        let way = self.way();
        let arrives = self.world.borrow().now + way;
        self.going.push((arrives, id, request));
        let mut world = self.world.borrow_mut();
        world.sent += 1;
        world.peak = world.peak.max(self.going.len() + self.coming.len());
    }

    fn now(&self) -> u64 {
        self.world.borrow().now
    }

    fn random(&mut self, count: usize) -> Vec<u8> {
        vec![0; count]
    }
}

impl Blocking for Network {
    fn poll(&mut self, until: Option<u64>) -> Vec<transport::Outcome> {
        loop {
            let going = self.going.iter().map(|(at, ..)| *at).min();
            let coming = self.coming.iter().map(|(at, ..)| *at).min();
            let next = going.into_iter().chain(coming).chain(until).min().expect("there is something to wait for");
            let now = next.max(self.world.borrow().now);
            self.world.borrow_mut().now = now;
            if going == Some(next) {
                let nth = self.going.iter().position(|(at, ..)| *at == next).unwrap();
                let (_, id, request) = self.going.remove(nth);
                let back = now + self.way();
                let answer = self.world.borrow_mut().books.answer(now, body(&request));
                self.coming.push((back, id, answer));
                continue;
            }
            let (through, coming) = self.coming.drain(..).partition::<Vec<_>, _>(|(at, ..)| *at <= now);
            self.coming = coming;
            return through.into_iter().map(|(_, id, response)| (id, Ok(response))).collect();
        }
    }
}

/// One request for the parents, and one for each of them.
fn body(request: &Request) -> Value {
    let steps: Vec<&str> = request.url.path_segments().unwrap().collect();
    match steps.as_slice() {
        ["parents", count] => (0..count.parse::<u64>().unwrap()).map(|id| json!({"id": id})).collect(),
        other => json!([{"id": other.last()}]),
    }
}

struct Run {
    quota: Quota,
    requests: u64,
    window: u32,
    way: (u64, u64),
    client: Value,
    seed: u64,
    /// Whether a reader is dropped at each wait, and another one opened.
    parks: bool,
}

struct Outcome {
    rows: Vec<String>,
    states: Vec<String>,
    waits: Vec<String>,
    world: World,
}

impl Run {
    fn new(quota: Quota, client: Value) -> Self {
        Self { quota, requests: 2000, window: 8, way: (20, 80), client, seed: 1, parks: false }
    }

    fn outcome(&self) -> Outcome {
        let mut client = json!({"base_url": "http://api.example", "paginator": "single_page"});
        client.as_object_mut().unwrap().extend(self.client.as_object().unwrap().clone());
        let config = json!({"client": client, "resources": [
            {"name": "parents", "endpoint": format!("parents/{}", self.requests - 1)},
            {"name": "children", "endpoint": "children/{resources.parents.id}"},
        ]});
        let config = config.to_string();
        let children = ["children".to_owned()];
        let world = World { books: Books::new(self.quota), now: START, sent: 0, peak: 0 };
        let world = Rc::new(RefCell::new(world));
        let open = |state: Option<&str>| {
            let (going, coming) = (Vec::new(), Vec::new());
            let network = Network { world: world.clone(), way: self.way, random: self.seed, going, coming };
            let request = OpenRequest { resources: &children, ..opening(&config, state, self.window) };
            let mut reader = Reader::open(request, network).unwrap();
            reader.linger = u64::MAX;
            reader
        };
        let mut reader = open(None);
        let (mut rows, mut states, mut waits) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            match reader.next(100, 1 << 20).unwrap_or_else(|error| panic!("{error:?}")) {
                Step::Batch { tables, state, .. } => {
                    for table in tables {
                        let text = crate::shape::encode::ndjson(&table.rows).unwrap();
                        rows.extend(text.lines().map(str::to_owned));
                    }
                    states.push(state);
                }
                Step::Wait { until, reason, state, .. } => {
                    {
                        let mut world = world.borrow_mut();
                        assert!(until - world.now > SHORT, "a wait of {} ms", until - world.now);
                        world.now = until;
                    }
                    waits.push(reason);
                    if self.parks {
                        reader = open(Some(&state));
                    }
                }
                Step::Done { .. } => break,
            }
        }
        drop(reader);
        let world = Rc::into_inner(world).unwrap().into_inner();
        Outcome { rows, states, waits, world }
    }
}

fn quota(counting: Counting, telling: Telling, limit: u64, per: u64) -> Quota {
    Quota { counting, telling, limit, per }
}

/// Runs 2,000 requests, prints what they came to, and tells whether that is what was promised.
fn keeps_to(run: &Run, how: &str) -> bool {
    let Outcome { rows, world, .. } = run.outcome();
    let Quota { counting, telling, limit, per } = run.quota;
    assert_eq!(rows.len() as u64, run.requests - 1);
    let (sent, refused) = (world.sent, world.books.refused);
    let (took, least) = (world.now - START, world.books.least(run.requests));
    let (share, ratio) = (refused as f64 / sent as f64, took as f64 / least as f64);
    println!(
        "{how:<10} {:<8} {:<9} {limit:>4} in {:>3} s, window {:>2}: {sent} requests, {refused} refused ({:.2} %), {:.1} s, {ratio:.3} of the least",
        format!("{counting:?}"),
        format!("{telling:?}"),
        per / 1000,
        run.window,
        share * 100.0,
        took as f64 / 1000.0,
    );
    share <= 0.01 && ratio <= 1.15
}

const QUOTAS: [(u64, u64); 3] = [(100, 60_000), (50, 10_000), (200, 10_000)];

/// A host may drop a reader while it waits, and open another one from its state.
#[test]
fn the_pace_is_kept_where_a_reader_is_opened_anew() {
    for (counting, telling) in [
        (Counting::Bucket, Telling::Seconds),
        (Counting::Windows, Telling::Nothing),
        (Counting::Span, Telling::Seconds),
    ] {
        let (limit, per) = (50, 10_000);
        let client = json!({"rate_limit": {"requests": limit, "per": per / 1000}});
        let run = Run { parks: true, requests: 500, ..Run::new(quota(counting, telling, limit, per), client) };
        let Outcome { rows, world, waits, .. } = run.outcome();
        assert_eq!(rows.len(), 499, "{counting:?}");
        assert!(waits.len() > 5, "{waits:?}");
        assert!(world.books.refused * 100 <= world.sent, "{counting:?}: {} of {}", world.books.refused, world.sent);
    }
}

#[test]
fn a_rate_limit_keeps_to_the_quota_and_uses_it() {
    let mut all = true;
    for (counting, telling) in [
        (Counting::Bucket, Telling::Seconds),
        (Counting::Bucket, Telling::Nothing),
        (Counting::Windows, Telling::Seconds),
        (Counting::Windows, Telling::Nothing),
        (Counting::Span, Telling::Nothing),
    ] {
        for (limit, per) in QUOTAS {
            for window in [8, 64] {
                let client = json!({"rate_limit": {"requests": limit, "per": per as f64 / 1000.0}});
                let run = Run::new(quota(counting, telling, limit, per), client);
                all &= keeps_to(&Run { window, ..run }, "rate_limit");
            }
        }
    }
    assert!(all, "see what was printed");
}

#[test]
fn without_a_rate_limit_the_pace_keeps_to_what_the_api_tells() {
    let mut all = true;
    for counting in [Counting::Bucket, Counting::Windows] {
        for telling in [Telling::Seconds, Telling::Instant, Telling::Standard] {
            for (limit, per) in QUOTAS {
                for window in [8, 64] {
                    let run = Run::new(quota(counting, telling, limit, per), json!({}));
                    all &= keeps_to(&Run { window, ..run }, "adaptive");
                }
            }
        }
    }
    assert!(all, "see what was printed");
}

#[test]
fn no_storm_of_refusals_uses_up_the_attempts_of_a_page() {
    // All that the API says is no.
    for counting in [Counting::Bucket, Counting::Windows, Counting::Span] {
        for window in [8, 64] {
            let client = json!({"error_handler": {"max_retries": 2}});
            let run = Run::new(quota(counting, Telling::Nothing, 20, 10_000), client);
            let Outcome { rows, waits, world, .. } = Run { window, requests: 300, ..run }.outcome();
            assert_eq!(rows.len(), 299);
            let reasons = ["the API asked to wait before further requests", "the API answered with status 429"];
            assert!(!waits.is_empty() && waits.iter().all(|reason| reasons.contains(&reason.as_str())), "{waits:?}");
            println!("{counting:?} window {window}: {} of {} refused", world.books.refused, world.sent);
        }
    }
}

#[test]
fn a_refusal_now_and_then_holds_back_its_own_page() {
    let quota = |limit| quota(Counting::Nth, Telling::Silent, limit, 1);
    let times: Vec<u64> = [u64::MAX, 50]
        .map(|limit| {
            let Outcome { rows, world, .. } = Run { window: 16, ..Run::new(quota(limit), json!({})) }.outcome();
            assert_eq!(rows.len(), 1999);
            world.now - START
        })
        .into();
    println!("none refused: {} ms, every 50th: {} ms", times[0], times[1]);
    // About 40 refusals, after each of which requests go alone for a while and then fewer at once. Their pages wait for a second each.
    assert!(times[1] < 3 * times[0], "{times:?}");
}

#[test]
fn the_pace_changes_neither_rows_nor_states() {
    let of = |client: Value, seed: u64, per: u64| {
        // Waits are short, so that no batch ends because of one.
        let run = Run::new(quota(Counting::Bucket, Telling::Nothing, 1_000_000, per), client);
        let Outcome { rows, states, .. } = Run { requests: 300, seed, ..run }.outcome();
        (rows, states)
    };
    let expected = of(json!({}), 1, 1);
    assert_eq!(expected.0.len(), 299);
    for seed in 1..5 {
        assert!(of(json!({"rate_limit": {"requests": 5, "per": 0.4}}), seed, 1) == expected);
        assert!(of(json!({"concurrency": 1}), seed, 1) == expected);
    }
}

#[test]
fn concurrency_bounds_what_is_in_flight() {
    for most in [1, 3, 100] {
        let run = Run::new(quota(Counting::Bucket, Telling::Nothing, 1_000_000, 1), json!({"concurrency": most}));
        assert_eq!(Run { requests: 200, ..run }.outcome().world.peak, 8.min(most));
    }
}

#[test]
fn no_header_stops_a_run() {
    // Nothing is ever left, and the reset is in a year; or it is in a minute, which is believed.
    for (reset, range) in [(31_536_000, 0..60_000), (60, 49 * 60_000..50 * 60_000)] {
        let run = Run::new(quota(Counting::Bucket, Telling::Used(reset), 1_000_000, 1), json!({}));
        let Outcome { rows, world, .. } = Run { requests: 50, ..run }.outcome();
        assert_eq!(rows.len(), 49);
        assert!(range.contains(&(world.now - START)), "{} ms", world.now - START);
    }
}
