//! An API as a script describes it, over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use mock_api::scripted::ScriptedApi;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

fn api(script: Value) -> ScriptedApi {
    ScriptedApi::start(serde_json::from_value(script).unwrap()).unwrap()
}

/// Status, headers and body. Asks on a connection of its own: no client stands between the test and what is sent.
fn ask(api: &ScriptedApi, request: &str, headers: &[&str], body: &str) -> (u16, String, Value) {
    let host = api.base_url().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    write!(
        stream,
        "{request} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n{headers}Connection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_owned(), serde_json::from_str(body).unwrap())
}

fn body(api: &ScriptedApi, request: &str) -> Value {
    let (status, _, body) = ask(api, request, &[], "");
    assert_eq!(status, 200, "{request}: {body}");
    body
}

fn ids(body: &Value) -> Vec<u64> {
    body.as_array().unwrap().iter().map(|record| record["id"].as_u64().unwrap()).collect()
}

#[test]
fn pages_by_number_offset_and_cursor() {
    let api = api(json!({"routes": [
        {"path": "/numbers", "count": 5, "inside": "a.b", "pages": {"size": 2, "page_at": "query.page", "base": 1, "tells": [
            {"at": "body.meta.pages", "what": "pages", "as_text": true}, {"at": "body.meta.more", "what": "has_more"}]}},
        {"path": "/offsets", "count": 5, "inside": "d", "pages": {"size_at": "query.limit", "cap": 3, "offset_at": "query.offset",
            "tells": [{"at": "body.total", "what": "records"}]}},
        {"path": "/cursors", "method": "POST", "count": 3, "pages": {"size": 2, "cursor_at": "body.page.after",
            "tells": [{"at": "header.x-next", "what": "cursor"}]}}
    ]}));
    let page = body(&api, "GET /numbers?page=2");
    assert_eq!(ids(&page["a"]["b"]), [3, 4]);
    assert_eq!(page["meta"], json!({"pages": "3", "more": true}));
    assert_eq!(body(&api, "GET /numbers?page=3")["meta"]["more"], false);
    assert_eq!(body(&api, "GET /numbers?page=4")["a"]["b"], json!([]));
    assert_eq!(ask(&api, "GET /numbers?page=0", &[], "").0, 400);
    assert_eq!(ids(&body(&api, "GET /offsets?limit=2&offset=3")["d"]), [4, 5]);
    let page = body(&api, "GET /offsets?limit=9");
    assert_eq!((ids(&page["d"]), &page["total"]), (vec![1, 2, 3], &json!(5)));
    let (_, head, page) = ask(&api, "POST /cursors", &[], "");
    assert!(head.contains("x-next: c2") && ids(&page) == [1, 2], "{head}");
    let (_, head, page) = ask(&api, "POST /cursors", &[], r#"{"page":{"after":"c2"}}"#);
    assert!(!head.contains("x-next") && ids(&page) == [3], "{head}");
}

#[test]
fn links_lead_to_the_next_page() {
    let pages = |what: &str, at: &str| json!({"size": 1, "page_at": "query.p", "tells": [{"at": at, "what": what}]});
    let api = api(json!({"routes": [
        {"path": "/x/{name}", "count": 2, "inside": "data", "pages": pages("link", "body.next")},
        {"path": "/relative", "count": 2, "inside": "data", "pages": pages("link_query", "body.next")},
        {"path": "/header", "count": 2, "pages": pages("link_to_other", "header.link")}
    ]}));
    let page = body(&api, "GET /x/boat?lang=en");
    assert_eq!(page["next"], format!("{}/x/boat?p=1", api.base_url()));
    assert_eq!(page["data"], json!([{"id": 1, "name": "boat"}]));
    assert_eq!(body(&api, "GET /x/boat?p=1")["next"], Value::Null);
    assert_eq!(body(&api, "GET /relative")["next"], "?p=1");
    let (_, head, _) = ask(&api, "GET /header", &[], "");
    let other = api.base_url().replace("127.0.0.1", "localhost");
    assert!(head.contains(&format!("link: <{other}/header?p=1>; rel=\"next\"")), "{head}");
}

#[test]
fn credentials_are_asked_for() {
    let api = api(json!({
        "auth": {"bearer": "sesame"},
        "tokens": [{"path": "/token", "form": {"grant_type": "x y"}, "answer": {"access_token": "$token"}},
            {"path": "/jwt", "assertion_key": "MAMCAQM=", "answer": "$token"}],
        "routes": [
            {"path": "/bearer", "count": 1},
            {"path": "/open", "auth": "open", "count": 1},
            {"path": "/basic", "auth": {"basic": "u:p"}, "count": 1},
            {"path": "/key", "auth": {"api_key": {"at": "query.k", "key": "a b"}}, "count": 1},
            {"path": "/cookie", "auth": {"api_key": {"at": "cookie.s", "key": "1"}}, "count": 1},
            {"path": "/issued", "auth": {"issued": "header.authorization"}, "count": 1}
        ]
    }));
    let status = |request: &str, headers: &[&str]| ask(&api, request, headers, "").0;
    assert_eq!(status("GET /bearer", &["Authorization: Bearer sesame"]), 200);
    assert_eq!(status("GET /bearer", &["Authorization: sesame"]), 401);
    assert_eq!(status("GET /open", &[]), 200);
    assert_eq!(status("GET /basic", &["Authorization: Basic dTpw"]), 200);
    assert_eq!(status("GET /key?k=a+b", &[]), 200);
    assert_eq!(status("GET /key?k=a+b&k=a+b", &[]), 401);
    assert_eq!(status("GET /cookie", &["Cookie: r=2; s=1"]), 200);
    assert_eq!(status("GET /issued", &["Authorization: Bearer token-1"]), 401);
    let form = "Content-Type: application/x-www-form-urlencoded";
    assert_eq!(ask(&api, "POST /token", &[form], "grant_type=z").0, 401);
    assert_eq!(ask(&api, "POST /jwt", &[form], "assertion=e30.e30.AAAA").0, 401);
    assert_eq!(ask(&api, "POST /token", &[form], "grant_type=x+y").2, json!({"access_token": "token-1"}));
    assert_eq!(status("GET /issued", &["Authorization: Bearer token-1"]), 200);
}

#[test]
fn answers_stand_word_for_word_and_requests_are_noted() {
    let api = api(json!({"routes": [{"path": "/x", "method": "POST", "answers": [
        {"query": {"a": 1}, "json": {"q": [1]}, "status": 202, "headers": {"X-Note": "n"}, "body": {"at": "$api/y"}},
        {"query": {}, "text": "[]"}
    ]}]}));
    let (status, head, answer) = ask(&api, "POST /x?a=1", &["X-Team: blue"], r#"{"q": [1]}"#);
    assert_eq!((status, answer), (202, json!({"at": format!("{}/y", api.base_url())})));
    assert!(head.contains("x-note: n"));
    assert_eq!(ask(&api, "POST /x", &[], "").2, json!([]));
    assert_eq!(ask(&api, "POST /x?b=2&a=1%20", &[], r#"{"z": 1, "b": {"y": 1, "x": 2}}"#).0, 404);
    assert_eq!(ask(&api, "GET /x", &[], "").0, 404);
    let asked: Vec<_> = api.asked().iter().map(ToString::to_string).collect();
    assert_eq!(
        asked,
        [
            "POST /x?a=1 {\"q\":[1]} x-team: blue",
            "POST /x",
            "POST /x?a=1 &b=2 {\"b\":{\"x\":2,\"y\":1},\"z\":1}",
            "GET /x"
        ]
    );
}

#[test]
fn requests_of_a_chain_are_told_by_what_is_not_the_page() {
    let pages = json!({"page_at": "query.page"});
    let body_pages = json!({"page_at": "body.page.n"});
    let api = api(json!({"routes": [
        {"path": "/x", "count": 1, "pages": pages}, {"path": "/y", "method": "POST", "count": 1, "pages": body_pages}]}));
    for target in ["/x?page=0&boat=1", "/x?boat=1", "/x?boat=2"] {
        ask(&api, &format!("GET {target}"), &[], "");
    }
    ask(&api, "POST /y", &[], r#"{"q":1,"page":{"n":0}}"#);
    let chains: Vec<_> = api.asked().iter().map(|asked| asked.chain().to_owned()).collect();
    assert_eq!(chains, ["GET /x?boat=1", "GET /x?boat=1", "GET /x?boat=2", "POST /y {\"page\":{},\"q\":1}"]);
}

#[test]
fn another_script_takes_its_place_at_the_same_url() {
    let bearer = ["Authorization: Bearer token-1"];
    let boats = |records: Value| {
        json!({"auth": {"issued": "header.authorization"}, "tokens": [{"path": "/token", "answer": {"access_token": "$token"}}],
            "routes": [{"path": "/boats", "records": records}]})
    };
    let api = api(boats(json!([{"id": 1}])));
    assert_eq!(ask(&api, "POST /token", &[], "").0, 200);
    assert_eq!(ids(&ask(&api, "GET /boats", &bearer, "").2), [1]);
    assert_eq!(api.asked().len(), 2);
    api.replace(serde_json::from_value(boats(json!([{"id": 2}, {"id": 3}]))).unwrap());
    assert!(api.asked().is_empty());
    assert_eq!(ids(&ask(&api, "GET /boats", &bearer, "").2), [2, 3]);
    assert_eq!(api.asked().len(), 1);
}

#[test]
fn what_was_recorded_is_answered_again() {
    let script = json!({"recorded": [
        {"request": {"path": "/a", "query": {"q": ["1", "2"], "p": 3}, "headers": {"x-k": "v"}}, "answer": {"body": {"n": 1}}},
        {"request": {"path": "/a", "query": {"q": ["1", "2"], "p": 3}, "headers": {"x-k": "v"}}, "answer": {"status": 503}},
        {"request": {"method": "POST", "path": "/t", "form": {"id": "a b"}}, "answer": {"body": {"n": 2}}},
        {"request": {"method": "POST", "path": "/t", "json": {"b": 1, "a": [2]}}, "answer": {"body": {"next": "$api/x"}}}]});
    let api = api(script.clone());
    let form = ["Content-Type: application/x-www-form-urlencoded"];
    assert_eq!(ask(&api, "GET /a?q=1&p=3&q=2", &["X-K: v"], "").2, json!({"n": 1}));
    assert_eq!(ask(&api, "GET /a?q=1&p=3&q=2", &["X-K: v"], "").0, 503);
    assert_eq!(ask(&api, "GET /a?q=1&p=3&q=2", &["X-K: v"], "").0, 404);
    assert_eq!(ask(&api, "GET /a?q=1&p=3&q=2", &[], "").0, 404);
    assert_eq!(ask(&api, "POST /t", &form, "id=a+b").2, json!({"n": 2}));
    let next = format!("{}/x", api.base_url());
    assert_eq!(
        ask(&api, "POST /t", &["Content-Type: application/json"], r#"{"a": [2], "b": 1}"#).2,
        json!({"next": next})
    );
    let recorded: Vec<mock_api::scripted::Recorded> = serde_json::from_value(script["recorded"].clone()).unwrap();
    let asked = api.asked();
    assert_eq!(asked[0], recorded[0].asked());
    assert_eq!(asked[4..], [recorded[2].asked(), recorded[3].asked()]);
}
