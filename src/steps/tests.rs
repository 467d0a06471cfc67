use super::*;
use proptest::prelude::*;
use serde_json::json;

fn steps(config: Json) -> Result<Steps> {
    let config: Vec<ProcessingStep> = serde_json::from_value(config).unwrap();
    Steps::new(&config, "/s")
}

fn scope() -> Scope {
    let of = |json: Json| expression::value(&json);
    Scope {
        parent: of(json!({"geo": {"cc": "FI"}, "id": 7})),
        params: of(json!({"page": "2"})),
        run: of(json!({"load_id": "1795422121.3", "started_at": "2026-11-24T16:18:22Z"})),
    }
}

fn ran(config: Json, records: Json) -> Result<(Json, u64)> {
    let records = records.as_array().unwrap().clone();
    let (records, filtered) = steps(config)?.run(records, &scope())?;
    Ok((Json::Array(records), filtered))
}

fn made(config: Json, records: Json) -> Json {
    ran(config, records).unwrap().0
}

/// Pointer, message and advice of a wrong step.
fn wrong(config: Json) -> (String, String) {
    let error = steps(config).err().unwrap();
    (error.pointer.unwrap(), error.message)
}

#[test]
fn a_filter_keeps_records() {
    let records = json!([{"n": 1, "s": "a"}, {"n": 2}, {"n": 3, "s": "b"}, 4]);
    assert_eq!(
        ran(json!([{"filter": "record.n > 1"}]), records.clone()).unwrap(),
        (json!([{"n": 2}, {"n": 3, "s": "b"}]), 2)
    );
    assert_eq!(
        ran(json!([{"filter": "record.s"}, {"filter": "record.n == 3"}]), records.clone()).unwrap(),
        (json!([{"n": 3, "s": "b"}]), 3)
    );
    assert_eq!(made(json!([{"filter": "{{ record == 4 }}"}]), records.clone()), json!([4]));
    assert_eq!(
        made(json!([{"filter": "parent.geo.cc == 'FI' and params.page == '2' and record.n == 1"}]), records),
        json!([{"n": 1, "s": "a"}])
    );
}

#[test]
fn a_map_changes_records() {
    let record = r#"[{"id": 1, "name": "x", "price": 12345678901234567890.10, "geo": {"lat": 1.50, "a b": 2}, "n": "5", "old": true}]"#;
    let record: Json = serde_json::from_str(record).unwrap();
    let of = |changes: Json| made(json!([{"map": changes}]), record.clone())[0].to_string();
    assert_eq!(
        of(
            json!({"set": {"copy": "record.price", "from": "parent.geo.cc ~ '-' ~ record.id", "geo.cc": "parent.geo.cc", "one": 1, "none": "record.nope"},
            "rename": {"name": "title", "geo.'a b'": "ab"}, "drop": ["old", "nope.x"], "cast": {"n": "int", "id": "text"}})
        ),
        r#"{"id":"1","price":12345678901234567890.10,"geo":{"lat":1.50,"cc":"FI"},"n":5,"copy":12345678901234567890.10,"from":"FI-1","one":1,"none":null,"ab":2,"title":"x"}"#
    );
    // Two fields change places, and a step sees what the one before it made.
    assert_eq!(
        made(
            json!([{"map": {"rename": {"a": "b", "b": "a"}}}, {"map": {"set": {"c": "record.a", "d": "record.c"}}}]),
            json!([{"a": 1, "b": 2}])
        ),
        json!([{"b": 1, "a": 2, "c": 2, "d": 2}])
    );
    assert_eq!(
        made(
            json!([{"map": "{'id': record.id, 'tags': record.tags|map('upper')|list, 'at': run.started_at}"}]),
            json!([{"id": 1, "tags": ["a", "b"]}])
        ),
        json!([{"id": 1, "tags": ["A", "B"], "at": "2026-11-24T16:18:22Z"}])
    );
}

#[test]
fn explode_makes_a_record_of_each_item() {
    let records = json!([{"id": 1, "l": [{"x": 1}, {"x": 2}]}, {"id": 2, "l": []}, {"id": 3}, {"id": 4, "l": null}, {"id": 5, "l": "one"}]);
    assert_eq!(
        made(json!([{"explode": "l"}]), records.clone()),
        json!([{"id": 1, "l": {"x": 1}}, {"id": 1, "l": {"x": 2}}, {"id": 5, "l": "one"}])
    );
    let outer = made(json!([{"explode": {"path": "l", "as": "item.value", "outer": true}}]), records);
    assert_eq!(
        outer,
        json!([{"id": 1, "item": {"value": {"x": 1}}}, {"id": 1, "item": {"value": {"x": 2}}}, {"id": 2, "item": {"value": null}},
            {"id": 3, "item": {"value": null}}, {"id": 4, "item": {"value": null}}, {"id": 5, "item": {"value": "one"}}])
    );
    assert_eq!(
        made(json!([{"explode": "a.b"}]), json!([{"a": {"b": [1, 2]}, "c": 3}])),
        json!([{"a": {"b": 1}, "c": 3}, {"a": {"b": 2}, "c": 3}])
    );
    assert_eq!(
        made(json!([{"explode": "a"}, {"explode": "a"}]), json!([{"a": [[1, 2], [3]]}])),
        json!([{"a": 1}, {"a": 2}, {"a": 3}])
    );
    assert_eq!(made(json!([{"explode": "a"}, {"filter": "record.a > 1"}]), json!([{"a": [1, 2]}])), json!([{"a": 2}]));
}

#[test]
fn not_more_than_so_many_records_become_of_one() {
    let list = |count: usize| Json::Array(vec![json!(0); count]);
    assert_eq!(made(json!([{"explode": "a"}]), json!([{"a": list(MOST)}])).as_array().unwrap().len(), MOST);
    let error =
        ran(json!([{"explode": "a"}, {"explode": "b"}]), json!([{"a": list(101), "b": list(100)}])).unwrap_err();
    assert_eq!((error.kind, error.pointer.as_deref()), (Kind::Limit, Some("/s/1/explode")));
    assert!(error.message.starts_with("more than 10000 records become of one; the record is {"), "{error}");
}

#[test]
fn an_error_names_the_step_and_shows_the_record() {
    let records = json!([{"id": 1, "n": {"x": 1}, "token": "hunter2", "text": "y".repeat(100)}]);
    let shown = format!("{{\"id\": 1, \"n\": {{\"x\": 1}}, \"token\": ***, \"text\": \"{}…\"}}", "y".repeat(40));
    for (step, pointer, message) in [
        (json!({"filter": "record.n - 1"}), "/s/1/filter", "`filter` failed: "),
        (json!({"map": "record.id"}), "/s/1/map", "`map` gives a number, and a record is an object"),
        (
            json!({"map": {"set": {"id.x": 1}}}),
            "/s/1/map",
            "something else than an object is on the way to the field `id.x`",
        ),
        (json!({"map": {"set": {"y": "record.n - 1"}}}), "/s/1/map", "`set` failed: "),
        (
            json!({"map": {"cast": {"text": "int"}}}),
            "/s/1/map",
            "the field `text` is a text, which is not a whole number",
        ),
    ] {
        let error = ran(json!([{"filter": "true"}, step]), records.clone()).unwrap_err();
        assert_eq!((error.kind, error.pointer.as_deref()), (Kind::Upstream, Some(pointer)));
        assert!(
            error.message.starts_with(message) && error.message.ends_with(&format!("; the record is {shown}")),
            "{error}"
        );
    }
    let error = ran(json!([{"map": {"drop": ["a"]}}]), json!([7])).unwrap_err();
    assert_eq!(error.message, "there are no fields in a number; the record is 7");
}

#[test]
fn a_wrong_step_is_told_with_its_place() {
    assert_eq!(wrong(json!([{}])), ("/s/0".into(), "the step does nothing".into()));
    assert_eq!(
        wrong(json!([{"filter": "true", "explode": "a"}])),
        ("/s/0".into(), "the step has several keys, so their order is not clear".into())
    );
    assert_eq!(wrong(json!([{"filter": "true"}, {"map": {}}])), ("/s/1/map".into(), "the step changes nothing".into()));
    assert_eq!(
        wrong(json!([{"map": {"set": {"a": "recrod.a"}}}])),
        ("/s/0/map/set/a".into(), "there is no variable `recrod` here".into())
    );
    assert_eq!(
        wrong(json!([{"explode": "a[0]"}])),
        ("/s/0/explode".into(), "\"a[0]\" is not the path of a field".into())
    );
    assert_eq!(wrong(json!([{"explode": {"path": "a", "as": ""}}])).0, "/s/0/explode/as");
    assert_eq!(wrong(json!([{"map": {"rename": {"a": "b..c"}}}])).0, "/s/0/map/rename/a");
}

#[test]
fn cost_is_bounded() {
    let long = json!([{"a": vec!["x"; 50_000]}]);
    for text in [
        "record.a|join|replace('x', record.a|join)",
        "([0] * 100000000)|list",
        "record.a|map('replace', 'x', record.a|join)|list",
        "'x' * 100000000",
        "[[0] * 100000000] * 100000000",
    ] {
        for step in [json!({"map": {"set": {"b": text}}}), json!({"map": format!("{{'b': {text}}}")})] {
            let error = ran(json!([step]), long.clone()).unwrap_err();
            assert!(matches!(error.kind, Kind::Limit | Kind::Upstream), "{text}: {error}");
        }
    }
}

#[test]
fn only_what_an_expression_names_is_made_a_value() {
    let fields = |text: &str| {
        let steps = steps(json!([{"filter": text}])).unwrap();
        let fields = steps.fields_of_parent();
        fields.into_iter().map(|(_, keys)| keys.map(|keys| keys.join("."))).collect::<Vec<_>>()
    };
    assert_eq!(fields("parent.geo.cc == 'x' or parent.id"), [Some("geo.cc".to_owned()), Some("id".to_owned())]);
    assert_eq!(fields("record.a"), []);
    assert_eq!(fields("parent['a b']"), [None]);
    assert_eq!(fields("parent.a and parent"), [None]);
    assert_eq!(
        made(json!([{"filter": "record['a b'] == 1 and record.c == 2"}]), json!([{"a b": 1, "c": 2}])),
        json!([{"a b": 1, "c": 2}])
    );
}

fn json_values() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        ".{0,8}".prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            prop::collection::vec(("[abc]|a b|", inner), 0..4)
                .prop_map(|fields| Json::Object(fields.into_iter().collect())),
        ]
    })
}

fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("record".to_owned()),
        "record\\.[abc]",
        "record\\.[abc]\\.[abc]",
        "record\\['[abc]'\\]",
        "parent\\.(id|geo|x)",
        Just("params".to_owned()),
        "[0-9]{1,3}",
        "'[a-c%]{0,3}'",
        Just("none".to_owned()),
    ];
    let filters = "abs|batch\\(2\\)|default\\(1\\)|dictsort|first|float|int|items|join|join\\('-'\\)|last|length|list|lower|map\\('int'\\)|map\\(attribute='a'\\)|\
        max|min|reject|replace\\('a','b'\\)|round|round\\(2\\)|select|selectattr\\('a'\\)|sort|split|string|sum|title|trim|unique|upper|epoch|strftime\\('%Y'\\)|\
        strftime\\('%'\\)|timestamp|tojson";
    leaf.prop_recursive(4, 24, 3, move |inner| {
        prop_oneof![
            (inner.clone(), "\\+|-|\\*|/|//|%|\\*\\*|~|==|<|>=|and|or|in", inner.clone())
                .prop_map(|(a, operator, b)| format!("({a} {operator} {b})")),
            (inner.clone(), filters).prop_map(|(a, filter)| format!("({a})|{filter}")),
            (inner.clone(), "string|number|defined|in \\[1\\]|sequence|startingwith 'a'")
                .prop_map(|(a, test)| format!("({a} is {test})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} if {b} else {a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("[{a}, {b}]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{{'a': {a}, 'b': {b}}}")),
            inner.prop_map(|a| format!("(not {a})")),
        ]
    })
}

proptest! {
    #[test]
    fn steps_never_panic(record in json_values(), texts in prop::collection::vec(expressions(), 3)) {
        let config = json!([{"filter": texts[0]}, {"map": {"set": {"a.b": texts[1]}, "rename": {"b": "c"}, "drop": ["c.a"], "cast": {"a": "text"}}},
            {"explode": {"path": "b", "outer": true}}, {"map": texts[2]}]);
        if let Ok(steps) = steps(config) {
            let _ = steps.run(vec![record], &scope());
        }
    }

    #[test]
    fn a_filter_and_its_negation_divide_the_records(records in prop::collection::vec(json_values(), 0..6), text in expressions()) {
        let run = |text: String| steps(json!([{"filter": text}])).and_then(|steps| steps.run(records.clone(), &scope()));
        match (run(text.clone()), run(format!("not ({text})"))) {
            (Ok((kept, filtered)), Ok((others, rest))) => {
                prop_assert_eq!((kept.len() as u64, others.len() as u64), (rest, filtered));
                prop_assert_eq!(kept.len() + others.len(), records.len());
                let mut both = [kept, others].concat();
                let mut all = records;
                both.sort_by_key(Json::to_string);
                all.sort_by_key(Json::to_string);
                prop_assert_eq!(both, all);
            }
            (Err(_), Err(_)) => {}
            (kept, others) => prop_assert!(false, "one fails only: {:?} {:?}", kept, others),
        }
    }

    #[test]
    fn what_is_not_named_stays_to_the_last_digit(record in json_values()) {
        let after = made(json!([{"filter": "true"}, {"map": {"drop": ["zzz"]}}]), json!([{"r": record}]));
        prop_assert_eq!(after[0]["r"].to_string(), record.to_string());
    }
}
