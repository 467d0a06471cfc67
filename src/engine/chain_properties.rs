//! What holds for every paginator: each record comes once and in order, whatever the pages are like, whichever response
//! arrives first, and wherever a run goes on.

use super::chain_tests::{Run, asked, ids, records};
use super::simulated::ok;
use super::transport::Failure;
use crate::request::{Request, Response};
use proptest::prelude::*;
use serde_json::{Value, json};

/// How the API tells what follows.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Style {
    PageNumber { base: u64, in_body: bool },
    Offset { cap: u64, in_body: bool },
    Cursor { in_body: bool },
    LastRecord,
    HeaderCursor,
    JsonLink,
    HeaderLink,
}

/// How the API tells that there is an end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Total,
    /// A total that is wrong by this much: more is promised than there is.
    Promises(u64),
    HasMore,
    EmptyPage,
}

#[derive(Clone, Debug)]
struct Api {
    style: Style,
    /// Whether the paginator is left to be detected, where that can be.
    detected: bool,
    end: End,
    /// Records in each page; of `Offset` only the sum counts.
    pages: Vec<u64>,
}

const LIMIT: u64 = 4;

impl Api {
    fn count(&self) -> u64 {
        self.pages.iter().sum()
    }

    fn page(&self, index: u64) -> (u64, u64) {
        let before: u64 = self.pages.iter().take(index as usize).sum();
        (before, before + self.pages.get(index as usize).copied().unwrap_or(0))
    }

    fn endpoint(&self) -> Value {
        let detectable = matches!(self.style, Style::Cursor { in_body: false } | Style::JsonLink | Style::HeaderLink);
        if self.detected && detectable {
            return json!({});
        }
        let mut paginator = match self.style {
            Style::PageNumber { base, in_body: false } => json!({"type": "page_number", "base_page": base}),
            Style::PageNumber { base, in_body: true } => {
                json!({"type": "page_number", "base_page": base, "page_body_path": "at.page"})
            }
            Style::Offset { in_body: false, .. } => json!({"type": "offset", "limit": LIMIT}),
            Style::Offset { in_body: true, .. } => {
                json!({"type": "offset", "limit": LIMIT, "offset_body_path": "at.offset", "limit_body_path": "limit"})
            }
            Style::Cursor { in_body: false } => json!({"type": "cursor"}),
            Style::Cursor { in_body: true } => json!({"type": "cursor", "cursor_body_path": "at.cursor"}),
            Style::LastRecord => json!({"type": "cursor", "last_record": "id"}),
            Style::HeaderCursor => json!("header_cursor"),
            Style::JsonLink => json!("json_link"),
            Style::HeaderLink => json!("header_link"),
        };
        if let Style::PageNumber { .. } | Style::Offset { .. } = self.style {
            match self.end {
                End::Total => paginator["stop_after_empty_page"] = json!(false),
                End::HasMore => {
                    paginator["stop_after_empty_page"] = json!(false);
                    paginator["has_more_path"] = json!("more");
                }
                End::EmptyPage | End::Promises(_) => {}
            }
        }
        let in_body = matches!(
            self.style,
            Style::PageNumber { in_body: true, .. }
                | Style::Offset { in_body: true, .. }
                | Style::Cursor { in_body: true }
        );
        match in_body {
            true => json!({"paginator": paginator, "method": "POST", "json": {"q": 1}}),
            false => json!({"paginator": paginator}),
        }
    }

    fn answer(&self, request: &Request) -> Result<Response, Failure> {
        let body: Value = request.body.as_deref().map_or(Value::Null, |body| serde_json::from_slice(body).unwrap());
        let asked = |name: &str| {
            let of_body = body.pointer(&format!("/at/{name}")).and_then(Value::as_u64);
            asked(request, name).or(of_body)
        };
        let last = self.pages.len().saturating_sub(1) as u64;
        let mut headers = Vec::new();
        let mut body = json!({});
        let ((from, to), total, is_last) = match self.style {
            Style::PageNumber { base, .. } => {
                let index = asked("page").unwrap() - base;
                (self.page(index), self.pages.len() as u64, index >= last)
            }
            Style::Offset { cap, .. } => {
                let from = asked("offset").unwrap().min(self.count());
                let to = (from + LIMIT.min(cap)).min(self.count());
                ((from, to), self.count(), to >= self.count())
            }
            Style::LastRecord => {
                let from = asked("cursor").map_or(0, |id| id + 1);
                let size = 1 + from % LIMIT;
                ((from, (from + size).min(self.count())), 0, false)
            }
            Style::Cursor { .. } | Style::HeaderCursor | Style::JsonLink | Style::HeaderLink => {
                let index = asked("cursor").unwrap_or(0);
                if index < last {
                    match self.style {
                        Style::Cursor { .. } => body["cursors"] = json!({"next": index + 1}),
                        Style::HeaderCursor => headers.push(("next".to_owned(), (index + 1).to_string())),
                        Style::JsonLink => body["next"] = json!(format!("?cursor={}", index + 1)),
                        _ => headers.push(("link".to_owned(), format!("</r?cursor={}>; rel=\"next\"", index + 1))),
                    }
                }
                (self.page(index), 0, false)
            }
        };
        body["data"] = records(from, to);
        match self.end {
            End::Total => body["total"] = json!(total),
            End::Promises(more) => body["total"] = json!(total + more),
            End::HasMore => body["more"] = json!(!is_last),
            End::EmptyPage => {}
        }
        ok(body).map(|response| Response { headers, ..response })
    }
}

fn style() -> impl Strategy<Value = Style> {
    prop_oneof![
        (0u64..2, any::<bool>()).prop_map(|(base, in_body)| Style::PageNumber { base, in_body }),
        (1u64..6, any::<bool>()).prop_map(|(cap, in_body)| Style::Offset { cap, in_body }),
        any::<bool>().prop_map(|in_body| Style::Cursor { in_body }),
        Just(Style::LastRecord),
        Just(Style::HeaderCursor),
        Just(Style::JsonLink),
        Just(Style::HeaderLink),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Total), (1u64..9).prop_map(End::Promises), Just(End::HasMore), Just(End::EmptyPage)]
}

fn api() -> impl Strategy<Value = Api> {
    (style(), end(), any::<bool>(), prop::collection::vec(0u64..5, 1..12)).prop_map(
        |(style, end, detected, mut pages)| {
            // Where an empty page ends the chain there is none before the end.
            let empty_page_ends =
                matches!(style, Style::PageNumber { .. }) && matches!(end, End::EmptyPage | End::Promises(_));
            if empty_page_ends {
                pages.retain(|records| *records > 0);
            }
            Api { style, detected, end, pages }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_record_comes_once_and_in_order(
        api in api(),
        seed in any::<u64>(),
        window in 1u32..12,
        max_rows in 1u32..9,
        again in any::<u64>(),
    ) {
        let answer = |request: &Request| api.answer(request);
        let run = |seed, max_rows| Run { seed, window, max_rows, ..Run::new(api.endpoint(), &answer) };
        let outcome = run(seed, max_rows).whole();
        prop_assert_eq!(&outcome.error, &None);
        prop_assert_eq!(&outcome.rows, &ids(0, api.count()));
        // Other latencies give the same rows and, where no batch is cut short by the clock, the same states.
        prop_assert_eq!(&run(again, max_rows).whole().rows, &outcome.rows);
        let patient = |seed, window| Run { window, linger: u64::MAX, ..run(seed, max_rows) }.whole();
        let of_full_batches = patient(seed, window).states;
        prop_assert_eq!(&patient(again, window).states, &of_full_batches);
        prop_assert_eq!(&patient(again, 1).states, &of_full_batches);
        let of_single_rows = run(seed, 1).whole().states;
        prop_assert_eq!(&run(again, 1).whole().states, &of_single_rows);
        // Every state gives what is missing.
        for (before, state) in outcome.states.iter().chain(&of_full_batches).chain(&of_single_rows) {
            let rest = run(again, max_rows).from(Some(state));
            prop_assert_eq!(&rest.error, &None);
            prop_assert_eq!(rest.rows, ids(*before as u64, api.count()), "from {}", state);
        }
    }
}
