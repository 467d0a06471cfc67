//! A run of a configuration against an API that answers the same to everything, with a clock that waits for nothing.

use spile_connector::engine::transport::{Blocking, Failure, Outcome, RequestId, Transport};
use spile_connector::engine::{Extent, OpenRequest, Reader, Step};
use spile_connector::plan::Source;
use spile_connector::request::{Request, Response};

/// How many steps a run may take: whatever the configuration says, there is something to say after each.
const STEPS: usize = 20;

/// More requests than this are answered by a failure, so that chains end.
const REQUESTS: usize = 40;

const BODY: &str = r#"{"data": [{"id": 1, "at": "2025-01-01T00:00:00Z", "name": "a b/c", "n": {"x": [1, 2]}}, {"id": 2}], "next": 7, "total": 3}"#;

#[derive(Default)]
struct World {
    now: u64,
    sent: usize,
    waiting: Vec<(RequestId, bool)>,
}

impl Transport for World {
    fn send(&mut self, id: RequestId, _: Request) {
        self.sent += 1;
        self.waiting.push((id, self.sent <= REQUESTS));
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn random(&mut self, count: usize) -> Vec<u8> {
        vec![7; count]
    }
}

impl Blocking for World {
    fn poll(&mut self, until: Option<u64>) -> Vec<Outcome> {
        self.now = self.now.saturating_add(1).max(until.filter(|_| self.waiting.is_empty()).unwrap_or(0));
        let answer = |(id, is_answered)| {
            let response = Response { status: 200, headers: Vec::new(), body: BODY.as_bytes().to_vec() };
            (id, if is_answered { Ok(response) } else { Err(Failure::Denied("enough".to_owned())) })
        };
        self.waiting.drain(..).map(answer).collect()
    }
}

/// Runs a source, and opens it once more from a state in the middle.
pub fn run(source: &Source<'_>) {
    let mut state: Option<String> = None;
    for _ in 0..2 {
        let source = Source { config: source.config, params: source.params, bindings: source.bindings };
        let request = OpenRequest {
            source,
            resources: &[],
            state: state.as_deref(),
            schema: None,
            window: 4,
            load_id: "1".to_owned(),
            extent: Extent::default(),
        };
        let Ok(mut reader) = Reader::open(request, World { now: 1_790_000_000_000, ..World::default() }) else {
            return;
        };
        for _ in 0..STEPS {
            match reader.next(3, 1 << 16) {
                Ok(Step::Batch { state: after, .. } | Step::Wait { state: after, .. }) => state = Some(after),
                Ok(Step::Done { .. }) | Err(_) => break,
            }
        }
    }
}
