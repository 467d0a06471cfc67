//! What requests are made of: methods, bodies, parameters, and the fields of parents in them.

use super::{Context, Plan, Source};
use crate::error::{Error, Kind, Result};
use crate::paginate::Position;
use crate::request::Request;
use serde_json::{Value, json};

/// A plan of a root resource `a` and its child `b`, which has this endpoint.
fn plan(endpoint: &Value) -> Result<Plan, Vec<Error>> {
    let config = json!({
        "client": {"base_url": "http://h.example", "paginator": "single_page"},
        "resources": ["a", {"name": "b", "endpoint": endpoint}]
    });
    Plan::new(&Source { config: &config.to_string(), params: r#"{"v": "w"}"#, bindings: "{}" })
}

/// The request of `b` for these records of `a`.
fn request(endpoint: &Value, records: &[Value]) -> Result<Request> {
    let plan = plan(endpoint).unwrap_or_else(|errors| panic!("{endpoint}: {errors:?}"));
    let (a, b) = (&plan.resources[0], &plan.resources[1]);
    let of = |record| a.extend(&Context::default(), record, &|_| true);
    let parents = records.iter().map(of).collect::<Result<Vec<_>>>()?;
    let context = b.contexts(&parents).chains.into_iter().next().map_or_else(Context::default, |(_, context)| context);
    b.request(&context, &Position::First, None)
}

fn body(request: Request) -> String {
    String::from_utf8(request.body.unwrap_or_default()).unwrap()
}

fn header<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    request.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

/// The defect of an endpoint: its place and its message.
fn defect(endpoint: &Value) -> (String, String) {
    let error = plan(endpoint).err().and_then(|errors| errors.into_iter().next());
    let error = error.unwrap_or_else(|| panic!("nothing is wrong with {endpoint}"));
    (error.pointer.unwrap_or_default(), error.message)
}

#[test]
fn a_form_is_encoded_and_says_so() {
    let fields = json!({"q": "a b&c=é", "l": [1, null, "x", [2]], "none": null, "yes": true, "n": 1.5, "o": {"x": ["{v}"]},
        "k{v}": "{{{v}}}"});
    let sent = "q=a+b%26c%3D%C3%A9&l=1&l=x&l=%5B2%5D&yes=true&n=1.5&o=%7B%22x%22%3A%5B%22w%22%5D%7D&kw=%7Bw%7D";
    for method in ["post", "PUT", "Patch", "get"] {
        let request = request(&json!({"method": method, "data": fields}), &[]).unwrap();
        assert_eq!(request.method.as_str(), method.to_uppercase());
        assert_eq!(header(&request, "content-type"), Some("application/x-www-form-urlencoded"));
        assert_eq!(body(request), sent);
    }
    let pairs = json!([["a", 1], ["b", "x"], ["a", [2, 3]], ["c", null]]);
    assert_eq!(body(request(&json!({"data": pairs}), &[]).unwrap()), "a=1&b=x&a=2&a=3");
    let (place, message) = defect(&json!({"data": [["a", 1], ["b"]]}));
    assert_eq!((&*place, &*message), ("/resources/1/endpoint/data/1", "expected a name and a value"));
}

#[test]
fn a_text_is_sent_as_it_is_and_its_type_is_what_the_headers_say() {
    for (endpoint, sent) in [
        (json!({"data": "<{v}/>"}), "<w/>"),
        (json!({"body": "<{v}>{{}}</{v}>"}), "<w>{}</w>"),
        (json!({"body": {"raw_string": "query { a(b: {c: 1}) }"}}), "query { a(b: {c: 1}) }"),
        (json!({"data": {"raw_string": "{v} {"}}), "{v} {"),
    ] {
        let request = request(&endpoint, &[]).unwrap();
        assert_eq!((header(&request, "content-type"), &*body(request.clone())), (None, sent), "{endpoint}");
    }
    let headers = json!({"Content-Type": "application/xml"});
    let request = request(&json!({"body": "x", "headers": headers}), &[]).unwrap();
    assert_eq!(header(&request, "content-type"), Some("application/xml"));
}

#[test]
fn what_is_empty_is_no_body_but_for_json() {
    for endpoint in [json!({"data": {}}), json!({"data": ""}), json!({"data": []}), json!({"body": ""})] {
        assert_eq!(request(&endpoint, &[]).unwrap().body, None, "{endpoint}");
    }
    assert_eq!(body(request(&json!({"json": {}}), &[]).unwrap()), "{}");
    assert_eq!(body(request(&json!({"json": {}, "data": {"a": 1}}), &[]).unwrap()), "a=1");
    for two in [json!({"json": {"a": 1}, "body": "x"}), json!({"data": "y", "body": "x"})] {
        assert_eq!(defect(&two).0, "/resources/1/endpoint/body");
    }
    let paginator = json!({"type": "cursor", "cursor_body_path": "after"});
    let (place, message) = defect(&json!({"data": {"a": 1}, "paginator": paginator}));
    assert_eq!(place, "/resources/1/endpoint/data");
    assert_eq!(message, "`data` is no JSON, and the paginator writes into the body");
}

#[test]
fn no_placeholder_is_looked_for_in_a_raw_string() {
    let raw = |text: &str| json!({"raw_string": text});
    let endpoint = json!({
        "path": "x/{p}", "method": "POST",
        "params": {"p": raw("{a}/b"), "q": raw("{v}"), "l": ["{v}", raw("}")], "o": {"f": raw("{resources.nope.x}")}},
        "headers": {"x-a": raw("{incremental.start_value}"), "x-b": "{v}"},
        "json": {"query": raw("query { a }"), "deep": [{"{v}": raw("{")}], "more": {"raw_string": 7}},
    });
    let request = request(&endpoint, &[]).unwrap();
    let query = "q=%7Bv%7D&l=w&l=%7D&o=%7B%22f%22%3A%22%7Bresources.nope.x%7D%22%7D";
    assert_eq!(request.url.as_str(), format!("http://h.example/x/%7Ba%7D%2Fb?{query}"));
    assert_eq!(header(&request, "x-a"), Some("{incremental.start_value}"));
    assert_eq!(header(&request, "x-b"), Some("w"));
    assert_eq!(body(request), r#"{"query":"query { a }","deep":[{"w":"{"}],"more":{"raw_string":7}}"#);
}

#[test]
fn a_secret_within_json_is_not_sent_as_text() {
    let secret = json!({"secret": "k"});
    for endpoint in [json!({"params": {"o": {"x": secret}}}), json!({"data": {"o": [[1, secret]]}})] {
        let (place, message) = defect(&endpoint);
        assert!(place.ends_with("/o"), "{place}");
        assert_eq!(message, "a secret stands within JSON, which is sent as a text here");
    }
    let (place, _) = defect(&json!({"headers": {"x": {}}}));
    assert_eq!(place, "/resources/1/endpoint/headers/x");
}

#[test]
fn a_value_that_is_no_single_one_is_json_in_texts_and_itself_alone_in_json() {
    let record = json!({"id": 1, "geo": {"cc": "FI", "at": [1.5, 2]}, "tags": ["a", "b"]});
    let endpoint = json!({
        "params": {"geo": "{resources.a.geo}", "tags": "t {resources.a.tags}", "o": {"at": "{resources.a.geo.at}"}},
        "headers": {"x-cc": "{resources.a.geo.cc}", "x-at": "{resources.a.geo.at[0]}"},
        "json": {"geo": "{resources.a.geo}", "text": "t {resources.a.tags}", "tag": "{resources.a.tags[1]}"},
    });
    let sent = request(&endpoint, std::slice::from_ref(&record)).unwrap();
    let pairs: Vec<_> = sent.url.query_pairs().collect();
    let geo = r#"{"cc":"FI","at":[1.5,2]}"#;
    assert_eq!(
        pairs,
        [("geo", geo), ("tags", r#"t ["a","b"]"#), ("o", r#"{"at":[1.5,2]}"#)].map(|(k, v)| (k.into(), v.into()))
    );
    assert_eq!((header(&sent, "x-cc"), header(&sent, "x-at")), (Some("FI"), Some("1.5")));
    assert_eq!(body(sent), format!(r#"{{"geo":{geo},"text":"t [\"a\",\"b\"]","tag":"b"}}"#));
    for (endpoint, what) in [
        (json!({"path": "{resources.a.geo}/x"}), "an object in a record, which a path"),
        (json!({"headers": {"x": "{resources.a.tags}"}}), "a list in a record, which a header"),
    ] {
        let error = request(&endpoint, std::slice::from_ref(&record)).unwrap_err();
        assert_eq!((error.kind, error.resource.as_deref()), (Kind::Upstream, Some("b")));
        assert!(error.message.contains(what), "{error}");
    }
}

#[test]
fn a_field_that_a_record_lacks_fails_or_is_left_out() {
    let endpoint = |on_missing: &str| {
        json!({"on_missing": on_missing, "method": "POST",
            "params": {"x": "{resources.a.x}", "l": ["b", "c {resources.a.x}"], "k{resources.a.x}": 1, "id": "{resources.a.id}"},
            "headers": {"x-x": "{resources.a.x}"},
            "json": {"alone": "{resources.a.x}", "text": "t {resources.a.x}", "list": ["{resources.a.x}", "t {resources.a.x}", 1],
                "{resources.a.x}": 1}})
    };
    for record in [json!({"id": 7, "y": 1}), json!({"id": 7, "x": null})] {
        let sent = request(&endpoint("null"), std::slice::from_ref(&record)).unwrap();
        assert_eq!(sent.url.as_str(), "http://h.example/b?l=b&id=7");
        assert_eq!(header(&sent, "x-x"), None);
        assert_eq!(body(sent), r#"{"alone":null,"list":[null,1]}"#);
        let error = request(&endpoint("fail"), std::slice::from_ref(&record)).unwrap_err();
        assert_eq!((error.kind, error.resource.as_deref()), (Kind::Upstream, Some("a")));
        assert!(error.advice.unwrap().starts_with("the record has the keys `id`, "));
    }
    let form = json!({"on_missing": "null", "data": {"x": "{resources.a.x}", "y": "{resources.a.y}"}});
    assert_eq!(body(request(&form, &[json!({"y": 1})]).unwrap()), "y=1");
    for (key, endpoint) in [
        ("path", json!({"on_missing": "null", "path": "{resources.a.x}/b"})),
        ("body", json!({"on_missing": "null", "body": "{resources.a.x}"})),
    ] {
        let (place, message) = defect(&endpoint);
        assert_eq!(place, format!("/resources/1/endpoint/{key}"));
        assert_eq!(message, "`on_missing` is `null`, and `{resources.a.x}` cannot be left out here");
    }
    // A null of YAML is the word.
    assert_eq!(defect(&json!({"on_missing": null, "path": "{resources.a.x}/b"})).0, "/resources/1/endpoint/path");
}

#[test]
fn records_without_a_field_are_skipped() {
    let plan =
        plan(&json!({"on_missing": "skip", "params": {"x": "{resources.a.x}"}})).unwrap_or_else(|e| panic!("{e:?}"));
    let (a, b) = (&plan.resources[0], &plan.resources[1]);
    let records = [json!({"x": 1}), json!({"x": null}), json!({"x": 0}), json!({})];
    let parents: Vec<_> =
        records.iter().map(|record| a.extend(&Context::default(), record, &|_| true).unwrap()).collect();
    let contexts = b.contexts(&parents);
    let places: Vec<_> = contexts.chains.iter().map(|(record, _)| *record).collect();
    assert_eq!((places, contexts.skipped), (vec![0, 2], 2));
    // Where no one reads the resource that cannot do without, nothing fails.
    let failing = json!({"params": {"x": "{resources.a.x}"}});
    let plan = self::plan(&failing).unwrap_or_else(|errors| panic!("{errors:?}"));
    let extend = |reads| plan.resources[0].extend(&Context::default(), &records[1], &move |_| reads);
    assert!(extend(true).is_err() && extend(false).is_ok());
}

#[test]
fn one_request_is_for_several_records() {
    let records = [json!({"id": 1, "k": "a/b"}), json!({"id": 2, "k": "c,d"}), json!({"id": 3, "k": null})];
    let endpoint = |on_missing: &str| {
        json!({"parents_per_request": 5, "on_missing": on_missing, "method": "POST",
            "params": {"ids": "{resources.a.id}", "k": "k:{resources.a.k}"},
            "json": {"ids": "{resources.a.id}", "k": ["{resources.a.k}"], "text": "<{resources.a.id}>"}})
    };
    let sent = request(&endpoint("skip"), &records).unwrap();
    assert_eq!(sent.url.as_str(), "http://h.example/b?ids=1%2C2&k=k%3Aa%2Fb%2Cc%2Cd");
    assert_eq!(body(sent), r#"{"ids":[1,2],"k":[["a/b","c,d"]],"text":"<1,2>"}"#);
    let sent = request(&endpoint("null"), &records).unwrap();
    assert_eq!(sent.url.as_str(), "http://h.example/b?ids=1%2C2%2C3&k=k%3Aa%2Fb%2Cc%2Cd");
    assert_eq!(body(sent), r#"{"ids":[1,2,3],"k":[["a/b","c,d",null]],"text":"<1,2,3>"}"#);

    let in_path = json!({"parents_per_request": 2, "parents_separator": "; ", "path": "x/{resources.a.k}/y"});
    assert_eq!(request(&in_path, &records[..2]).unwrap().url.as_str(), "http://h.example/x/a%2Fb;%20c%2Cd/y");
    let (place, message) = defect(&json!({"parents_per_request": 2}));
    assert_eq!((&*place, &*message), ("/resources/1/endpoint/parents_per_request", "`b` depends on no other resource"));
}
