//! Records that stand in the configuration, records that lack a field, and requests for several records: every state of a tree
//! with them gives exactly the missing rows.

use super::chain_tests::Run;
use super::simulated::ok;
use super::transport::Failure;
use crate::error::Kind;
use crate::request::{Request, Response};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn config(resources: &Value) -> Value {
    json!({"client": {"base_url": "http://api.example", "paginator": "single_page"}, "resources": resources})
}

fn asked(request: &Request, name: &str) -> Option<String> {
    request.url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn run<'a>(resources: &Value, answer: &'a dyn Fn(&Request) -> Result<Response, Failure>) -> Run<'a> {
    Run { config: config(resources), ..Run::new(json!({}), answer) }
}

#[test]
fn values_are_records_and_ask_no_one() {
    let answer = |request: &Request| ok(json!([{"id": asked(request, "q").unwrap()}]));
    let resources = json!([
        {"name": "regions", "values": {"region": ["eu", "us"], "year": [2024, 2025]}, "selected": false},
        {"name": "sales", "endpoint": {"params": {"q": "{resources.regions.region}-{resources.regions.year}"}}},
    ]);
    let outcome = run(&resources, &answer).whole();
    assert_eq!(outcome.rows, ["\"eu-2024\"", "\"eu-2025\"", "\"us-2024\"", "\"us-2025\""]);
    assert_eq!((outcome.requests.len(), outcome.warnings.len()), (4, 0));
    // Selected or not, alone or with children; a page of them is no request.
    let resources = json!([{"name": "r", "values": [{"id": 1}, {"id": 2}]}]);
    let outcome = run(&resources, &answer).whole();
    assert_eq!((outcome.rows.len(), outcome.requests.len()), (2, 0));
}

#[test]
fn many_values_are_read_in_parts() {
    let answer = |_: &Request| panic!("no one is asked");
    let values: Vec<Value> = (0..2500).map(|id| json!({"id": id})).collect();
    let run = Run { max_rows: 300, ..run(&json!([{"name": "r", "values": values}]), &answer) };
    let outcome = run.whole();
    assert_eq!(outcome.rows, super::chain_tests::ids(0, 2500));
    for (before, state) in &outcome.states {
        assert_eq!(run.from(Some(state)).rows, super::chain_tests::ids(*before as u64, 2500), "from {state}");
    }
}

#[test]
fn records_that_were_skipped_are_counted_at_the_end() {
    let answer = |request: &Request| match request.url.path() {
        "/a" => ok(json!([{"id": 1, "x": 1}, {"id": 2}, {"id": 3, "x": null}])),
        _ => ok(json!([{"id": 9}])),
    };
    let child = json!({"name": "b", "endpoint": {"on_missing": "skip", "params": {"x": "{resources.a.x}"}}});
    let outcome = run(&json!(["a", child]), &answer).whole();
    assert_eq!((outcome.rows.len(), outcome.error), (4, None));
    let [warning] = outcome.warnings.as_slice() else { panic!("{:?}", outcome.warnings) };
    assert_eq!(warning.message, "2 records of `a` lack a field, and were skipped as `on_missing` says");
    assert_eq!(warning.resource.as_deref(), Some("b"));
}

#[test]
fn the_policy_is_the_one_of_the_resource_that_uses_the_field() {
    // `c` uses a field of `a`, its parent's parent; `b` does without it.
    let answer = |request: &Request| match request.url.path() {
        "/a" => ok(json!([{"id": "a1", "x": 1}, {"id": "a2"}])),
        "/b" => ok(json!([{"id": format!("b{}", asked(request, "a").unwrap())}])),
        _ => ok(json!([{"id": format!("c{}", asked(request, "x").unwrap_or_default())}])),
    };
    let resources = |on_missing: &str| {
        json!(["a", {"name": "b", "endpoint": {"params": {"a": "{resources.a.id}"}}},
            {"name": "c", "endpoint": {"on_missing": on_missing,
                "params": {"b": "{resources.b.id}", "x": "{resources.a.x}"}}}])
    };
    let rows = |on_missing: &str| {
        let outcome = run(&resources(on_missing), &answer).whole();
        (outcome.rows.into_iter().collect::<BTreeSet<_>>().len(), outcome.requests.len())
    };
    assert_eq!(rows("skip"), (5, 4));
    assert_eq!(rows("null"), (6, 5));
    let outcome = run(&resources("fail"), &answer).whole();
    let error = outcome.error.unwrap();
    assert_eq!((error.kind, error.resource.as_deref()), (Kind::Upstream, Some("a")));
    assert_eq!(error.message, "the field `x`, which other requests need, is missing from a record");
}

#[test]
fn records_get_fields_of_their_parent() {
    let answer = |request: &Request| match request.url.path() {
        "/a" => ok(json!([{"id": 1, "geo": {"cc": "FI"}}, {"id": 2, "geo": null}])),
        "/b" => ok(json!([{"id": 7, "_a_id": "own"}])),
        // What its own children see has them too.
        "/c" => ok(json!([{"id": asked(request, "of").unwrap()}])),
        _ => ok(json!(["no object"])),
    };
    let child = |name: &str, on_missing: &str| {
        json!({"name": name, "include_from_parent": ["id", "geo.cc"],
            "endpoint": {"on_missing": on_missing, "params": {"a": "{resources.a.id}"}}})
    };
    let c = json!({"name": "c", "endpoint": {"on_missing": "null",
        "params": {"of": "{resources.b._a_id}", "cc": "{resources.b._a_geo__cc}"}}});
    let mut resources = json!([{"name": "a", "selected": false}, child("b", "null"), c]);
    resources[1]["selected"] = json!(false);
    let outcome = run(&resources, &answer).whole();
    assert_eq!(outcome.rows, ["\"1\"", "\"2\""]);
    let of_c = ["http://api.example/c?of=1&cc=FI", "http://api.example/c?of=2"];
    assert!(of_c.iter().all(|url| outcome.requests.iter().any(|asked| asked == url)), "{:?}", outcome.requests);

    let outcome = run(&json!(["a", child("b", "fail")]), &answer).whole();
    assert_eq!(
        outcome.error.unwrap().message,
        "the field `geo.cc`, which other requests need, is missing from a record"
    );
    let error = run(&json!([{"name": "a", "selected": false}, child("d", "null")]), &answer).whole().error.unwrap();
    assert_eq!((error.kind, error.resource.as_deref()), (Kind::Upstream, Some("d")));
    assert_eq!(error.message, "a record is no object, so it can hold no field of its parent");
}

#[test]
fn a_check_asks_once_where_values_come_first() {
    let answer = |_: &Request| ok(json!([{"id": 1}]));
    let child = |on_missing: &str| json!({"name": "b", "endpoint": {"on_missing": on_missing, "params": {"x": "{resources.a.x}"}}});
    for (resources, asked) in [
        (
            json!([{"name": "a", "values": [{"y": 1}, {"x": 2}, {"x": 3}]}, child("skip"), "c"]),
            vec!["http://api.example/b?x=2"],
        ),
        (json!([{"name": "a", "values": [{"x": 1}]}, "c"]), vec!["http://api.example/c"]),
        (json!([{"name": "a", "values": [{"x": 1}]}]), vec![]),
    ] {
        let run = run(&resources, &answer);
        assert_eq!(run.check().unwrap(), asked);
    }
}

/// A tree: values, shops of each of them, orders of shops, several at a time, and lines of orders.
#[derive(Clone, Debug)]
struct Tree {
    /// How many shops each value has.
    shops: Vec<u64>,
    /// One in so many shops has no tag.
    untagged: u64,
    on_missing: &'static str,
    parents_per_request: Option<usize>,
    is_selected: bool,
}

impl Tree {
    fn config(&self) -> Value {
        let values: Vec<Value> = (0..self.shops.len()).map(|id| json!({"id": format!("v{id}")})).collect();
        let pages = json!({"type": "page_number", "stop_after_empty_page": true});
        let mut orders = json!({"paginator": pages, "on_missing": self.on_missing,
            "params": {"shops": "{resources.shops.id}", "tags": "{resources.shops.tag}", "of": "{resources.seeds.id}"}});
        if let Some(size) = self.parents_per_request {
            orders["parents_per_request"] = json!(size);
            orders["parents_separator"] = json!("|");
        }
        json!({"client": {"base_url": "http://api.example", "paginator": "single_page"}, "resources": [
            {"name": "seeds", "values": values, "selected": self.is_selected},
            {"name": "shops", "include_from_parent": ["id"],
                "endpoint": {"paginator": pages, "params": {"of": "{resources.seeds.id}"}}},
            {"name": "orders", "endpoint": orders},
            {"name": "lines", "endpoint": {"path": "orders/{resources.orders.id}/lines", "params": {"of": "{resources.seeds.id}"}}},
        ]})
    }

    fn is_tagged(&self, shop: u64) -> bool {
        shop % self.untagged != 0
    }

    /// The ids of all rows.
    fn rows(&self) -> BTreeSet<String> {
        let mut rows = BTreeSet::new();
        for (value, shops) in self.shops.iter().enumerate() {
            if self.is_selected {
                rows.insert(json!(format!("v{value}")).to_string());
            }
            for shop in 0..*shops {
                rows.insert(json!(format!("v{value}s{shop}")).to_string());
                if self.on_missing == "null" || self.is_tagged(shop) {
                    rows.insert(json!(format!("v{value}s{shop}o")).to_string());
                    rows.extend((0..2).map(|line| json!(format!("v{value}s{shop}o{line}")).to_string()));
                }
            }
        }
        rows
    }

    fn answer(&self, request: &Request) -> Result<Response, Failure> {
        let of = asked(request, "of").unwrap();
        let (page, size) = (asked(request, "page").and_then(|page| page.parse().ok()).unwrap_or(0usize), 3);
        let all: Vec<Value> = match request.url.path() {
            "/shops" => {
                let count = self.shops[of[1..].parse::<usize>().unwrap()];
                let tag = |shop| self.is_tagged(shop).then(|| format!("t{shop}"));
                (0..count).map(|shop| json!({"id": format!("{of}s{shop}"), "tag": tag(shop)})).collect()
            }
            "/orders" => {
                let shops = asked(request, "shops").unwrap();
                let shops: Vec<&str> = shops.split('|').collect();
                let tags = asked(request, "tags").map_or(0, |tags| tags.split('|').count());
                assert!(shops.len() <= self.parents_per_request.unwrap_or(1) && tags <= shops.len());
                shops.iter().map(|shop| json!({"id": format!("{shop}o")})).collect()
            }
            path => {
                let order = path.split('/').nth(2).unwrap();
                return ok((0..2).map(|line| json!({"id": format!("{order}{line}")})).collect());
            }
        };
        ok(json!(all.chunks(size).nth(page).unwrap_or_default()))
    }
}

fn tree() -> impl Strategy<Value = Tree> {
    let size = prop::option::of(1usize..4);
    (prop::collection::vec(0u64..8, 0..5), 1u64..4, prop::sample::select(vec!["skip", "null"]), size, any::<bool>())
        .prop_map(|(shops, untagged, on_missing, parents_per_request, is_selected)| Tree {
            shops,
            untagged,
            on_missing,
            parents_per_request,
            is_selected,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_state_of_a_tree_gives_exactly_the_missing_rows(
        tree in tree(),
        seed in any::<u64>(),
        window in 1u32..12,
        max_rows in 1u32..9,
        again in any::<u64>(),
    ) {
        let answer = |request: &Request| tree.answer(request);
        let run = |seed, window, max_rows| Run {
            config: tree.config(), seed, window, max_rows, linger: u64::MAX, ..Run::new(json!({}), &answer)
        };
        let outcome = run(seed, window, max_rows).whole();
        prop_assert_eq!(&outcome.error, &None);
        let all = tree.rows();
        prop_assert_eq!(outcome.rows.len(), all.len());
        prop_assert_eq!(&outcome.rows.iter().cloned().collect::<BTreeSet<_>>(), &all);
        // Neither other latencies nor another window change where a batch ends, and what is in a state.
        prop_assert_eq!(&run(again, 1, max_rows).whole().states, &outcome.states);
        for (before, state) in &outcome.states {
            let rest = run(again, window, max_rows).from(Some(state));
            prop_assert_eq!(&rest.error, &None);
            let mut rows: Vec<String> = outcome.rows[..*before].to_vec();
            rows.extend(rest.rows);
            prop_assert_eq!(rows.len(), all.len(), "from {}", state);
            prop_assert_eq!(&rows.into_iter().collect::<BTreeSet<_>>(), &all, "from {}", state);
        }
    }
}
