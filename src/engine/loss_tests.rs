//! What looks as if rows were lost, though nothing failed.

use super::chain_tests::{Outcome, Run, asked, ids, records};
use super::simulated::ok;
use super::transport::Failure;
use crate::request::{Request, Response};
use serde_json::{Value, json};

fn tree<'a>(child: Value, answer: &'a dyn Fn(&Request) -> Result<Response, Failure>) -> Run<'a> {
    let mut b = json!({"name": "b", "primary_key": "id", "write_disposition": "merge",
        "endpoint": {"params": {"a": "{resources.a.id}"}}});
    b.as_object_mut().unwrap().extend(child.as_object().unwrap().clone());
    let config =
        json!({"client": {"base_url": "http://api.example", "paginator": "single_page"}, "resources": ["a", b]});
    Run { config, ..Run::new(json!({}), answer) }
}

fn told(outcome: &Outcome) -> Vec<&str> {
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    outcome.warnings.iter().map(|warning| warning.message.as_str()).collect()
}

/// Records 1 and 2 of each of three parents.
fn numbered(request: &Request) -> Result<Response, Failure> {
    match asked(request, "a") {
        None => ok(records(10, 13)),
        Some(parent) => ok(json!([{"id": 1, "of": parent}, {"id": 2, "of": parent}])),
    }
}

#[test]
fn records_of_different_parents_with_one_key() {
    let outcome = tree(json!({}), &numbered).whole();
    let expected = "4 records with the same key `id` (1) as the record of another parent, and with other values: of such records only \
                    one stays";
    assert_eq!(told(&outcome), [expected]);
    let warning = &outcome.warnings[0];
    assert_eq!(
        (warning.resource.as_deref(), warning.pointer.as_deref()),
        (Some("b"), Some("/resources/1/primary_key"))
    );
    let advice = warning.advice.as_deref().unwrap();
    assert_eq!(advice, "tell the parents apart: `include_from_parent: [id]` and `primary_key: [_a_id, id]`");
    // As it says.
    let advised = json!({"include_from_parent": ["id"], "primary_key": ["_a_id", "id"]});
    assert_eq!(told(&tree(advised, &numbered).whole()), Vec::<&str>::new());
    // Batches of two rows each tell the same.
    let small = Run { max_rows: 2, ..tree(json!({}), &numbered) };
    assert_eq!(told(&small.whole()), [expected]);
    // Where rows are not merged, none takes another's place.
    assert_eq!(told(&tree(json!({"write_disposition": "append"}), &numbered).whole()), Vec::<&str>::new());
}

#[test]
fn records_that_are_the_same_lose_nothing_nor_do_those_of_one_parent() {
    let answer = |request: &Request| match asked(request, "a") {
        None => ok(records(10, 13)),
        // Each parent has the same tags; and a record that changes while it is read.
        Some(parent) => ok(json!([{"id": 1, "tag": "x"}, {"id": parent, "tag": "y"}, {"id": parent, "tag": "z"}])),
    };
    assert_eq!(told(&tree(json!({}), &answer).whole()), Vec::<&str>::new());
}

#[test]
fn of_many_keys_a_part_is_remembered_and_enough_is_found() {
    let of = |from: u64| {
        move |request: &Request| match asked(request, "a") {
            None => ok(records(0, 2)),
            Some(parent) => {
                let from = from * parent;
                ok((from..from + 20_000).map(|id| json!({"id": id, "of": parent})).collect())
            }
        }
    };
    let (apart, together) = (of(20_000), of(0));
    assert_eq!(told(&tree(json!({}), &apart).whole()), Vec::<&str>::new());
    let outcome = tree(json!({}), &together).whole();
    let [message] = told(&outcome)[..] else { panic!("{:?}", outcome.warnings) };
    assert!(message.starts_with("at least "), "{message}");
    let found: u64 = message.split(' ').nth(2).unwrap().parse().unwrap();
    assert!((100..20_000).contains(&found), "{found}");
}

#[test]
fn a_filter_that_leaves_nothing() {
    let answer = |_: &Request| ok(records(0, 5));
    let with = |condition: &str| {
        let mut run = Run::new(json!({"paginator": "single_page"}), &answer);
        run.config["resources"][0]["processing_steps"] = json!([{"filter": condition}]);
        run.whole()
    };
    let outcome = with("record.id > 9");
    assert_eq!(told(&outcome), ["the steps leave nothing of 5 records"]);
    assert_eq!(outcome.warnings[0].pointer.as_deref(), Some("/resources/0/processing_steps"));
    assert_eq!(told(&with("record.id > 3")), Vec::<&str>::new());
}

#[test]
fn a_total_of_which_a_part_came() {
    let run = |paginator: Value, total: u64, pages: u64| {
        let answer = move |request: &Request| {
            let nth = asked(request, "page").or(asked(request, "offset").map(|offset| offset / 10)).unwrap();
            let records = if nth < pages { records(nth * 10, nth * 10 + 10) } else { json!([]) };
            ok(json!({"data": records, "total": total, "pages": total}))
        };
        let outcome = Run::new(json!({"paginator": paginator}), &answer).whole();
        assert_eq!(outcome.rows, ids(0, pages.min(total) * 10));
        told(&outcome).join("; ")
    };
    let offset = json!({"type": "offset", "limit": 10});
    assert_eq!(run(offset.clone(), 95, 3), "the API told of 95 records, and its pages end with number 30");
    let numbers = json!({"type": "page_number", "total_path": "pages"});
    assert_eq!(run(numbers.clone(), 9, 3), "the API told of 9 pages, and page 3 was the last one with records");
    assert_eq!(run(numbers, 3, 3), "");
    // A total under its usual name may count records.
    assert_eq!(run(json!({"type": "page_number"}), 95, 3), "");
    // A person says where to end.
    for ended in [json!({"maximum_offset": 10}), json!({"stop_when": "page.index == 1"})] {
        let mut offset = offset.clone();
        offset.as_object_mut().unwrap().extend(ended.as_object().unwrap().clone());
        let answer = |request: &Request| {
            let offset = asked(request, "offset").unwrap();
            ok(json!({"data": records(offset, offset + 10), "total": 95}))
        };
        assert_eq!(told(&Run::new(json!({"paginator": offset}), &answer).whole()), Vec::<&str>::new());
    }
}
