//! Secrets that are wanted where they should not be.

use crate::obedient::CONNECTOR;
use crate::scripted::{Case, Kind, Place, ids, table};
use crate::server::{Answer, Server, ok, ok_with};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use spile_host::gate::{Client, Credentials, Gate, Policy, Secrets, Withheld};
use spile_host::limits::Limits;
use spile_host::sandbox::{OpenRequest, SourceConfig, Step};
use spile_host::{Class, Error};

/// Written in another way in every encoding.
const TOKEN: &str = "t0ken/with+odd&\"parts";
const SLOT: &str = "sl0t/with+odd&\"parts";

fn percent(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// How a secret can be written.
fn forms(secret: &str) -> Vec<String> {
    let json = Value::from(secret).to_string().trim_matches('"').to_owned();
    let url = secret.replace('/', "%2F").replace('+', "%2B").replace('&', "%26").replace('"', "%22");
    vec![
        secret.to_owned(),
        percent(secret),
        url,
        json.clone(),
        json.replace('/', "\\/"),
        STANDARD.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
    ]
}

#[track_caller]
fn has_none(text: &str) {
    for secret in [TOKEN, SLOT] {
        for form in forms(secret) {
            assert!(!text.contains(&form), "{form:?} in {text:?}");
        }
    }
}

fn stand_in() -> String {
    spile_connector::slot::stand_in("slot")
}

fn source() -> Value {
    json!({"client": {"auth": {"token": {"secret": "token"}}, "headers": {"x-slot": {"secret": "slot"}}}})
}

/// A run that has both secrets for one server, and may reach another one too.
fn case(own: &Server, other: &Server, asks: &[Value]) -> Case {
    let mut steps: Vec<Value> = asks.iter().map(|ask| json!({"ask": ask})).collect();
    steps.push(json!({"fail": {"message": "the connector's own word"}}));
    let mut case = Case::steps(&steps);
    case.source["client"] = source()["client"].clone();
    let slot = |name: &str| json!({"name": name, "origins": [own.base()]});
    case.source["script"]["describe"]["origins"] = json!([own.base(), other.base()]);
    case.source["script"]["describe"]["slots"] = json!([slot("/client/auth"), slot("slot")]);
    case.private = vec![own.base(), other.base()];
    case.secrets = vec![("token", TOKEN.to_owned()), ("slot", SLOT.to_owned())];
    case
}

/// Every way in which a connector could have a secret sent to this server.
fn wanted(server: &Server) -> Vec<Value> {
    let (to, slot) = (server.address.to_string(), stand_in());
    let header = |name: &str, value: &str| json!({"authority": to, "headers": [[name, value]]});
    let body = |kind: &str, text: String| json!({"authority": to, "method": "POST", "headers": [["content-type", kind]], "body": text});
    vec![
        header("spile-credential", "/client/auth"),
        header("Spile-Credential", "/client/auth"),
        header("spile-credential", "/client/auth 1"),
        header("x-slot", &slot),
        header("authorization", &format!("Bearer {slot}")),
        header("cookie", &format!("a={slot}")),
        json!({"authority": to, "path": format!("/{slot}")}),
        json!({"authority": to, "path": format!("/?a={slot}")}),
        body("application/x-www-form-urlencoded", format!("a={slot}")),
        body("application/json", json!({"a": [{"b": slot}]}).to_string()),
        body("text/plain", slot.clone()),
        body("application/octet-stream", format!("\u{fffd}{slot}")),
    ]
}

async fn page() -> Server {
    Server::start(|_, _| Answer::Keep(ok(b"the page"))).await
}

#[tokio::test]
async fn a_secret_is_sent_to_its_own_origin_and_to_no_other() {
    let (own, other) = (page().await, page().await);
    // One run for each, so that each is denied for itself.
    for ask in wanted(&other) {
        let error = case(&own, &other, std::slice::from_ref(&ask)).contained_at(Kind::Parquet).await;
        assert_eq!(error.class, Class::Policy, "{ask}: {error}");
        assert!(error.message.contains("may not send this"), "{ask}: {error}");
    }
    assert_eq!((own.connections(), other.connections()), (0, 0));

    // It would be sent: to its own origin it is.
    let mut told = Vec::new();
    case(&own, &other, &wanted(&own)).told(&Place::new(Kind::Parquet), &mut told).await.err().unwrap();
    assert_eq!(own.requests().len(), wanted(&own).len(), "{told:?}");
    for request in own.requests() {
        assert!(forms(TOKEN).iter().chain(&forms(SLOT)).any(|form| request.contains(form)), "{request:?}");
        assert!(!request.contains("spile-"), "{request:?}");
    }
}

/// A stand-in that is written in another way is a text like any other.
#[tokio::test]
async fn a_stand_in_in_disguise_brings_no_secret() {
    let (own, other) = (page().await, page().await);
    let (to, slot) = (other.address.to_string(), stand_in());
    let digits = slot.trim_start_matches("spile-slot-");
    for text in [
        percent("spile-slot-") + digits,
        slot.replace("spile", "%73pile"),
        STANDARD.encode(&slot),
        slot.to_uppercase(),
        slot.replace("-", "%2D"),
        slot.chars().rev().collect(),
    ] {
        let asks = [
            json!({"authority": to, "path": format!("/?a={text}"), "method": "POST", "headers": [["x-slot", text]], "body": text}),
            json!({"authority": to, "headers": [["x-slot", format!("spile-slot-{}-", "0".repeat(40_000))]]}),
        ];
        let mut told = Vec::new();
        case(&own, &other, &asks).told(&Place::new(Kind::Parquet), &mut told).await.err().unwrap();
        assert!(told[0].ends_with("the page"), "{text}: {told:?}");
    }
    // One in another is one all the same.
    for text in [format!("spile-slot-{slot}"), format!("{slot}{slot}"), format!("spile-slot-spile-slot-{digits}")] {
        let ask = json!({"authority": to, "headers": [["x-slot", text]]});
        let error = case(&own, &other, &[ask]).contained_at(Kind::Parquet).await;
        assert_eq!(error.class, Class::Policy, "{text}: {error}");
    }
    assert!(other.requests().len() >= 6);
    other.requests().iter().for_each(|request| has_none(request));
}

#[tokio::test]
async fn a_credential_that_is_not_named_or_is_another_s_is_not_used() {
    let (own, other) = (page().await, page().await);
    let to = own.address.to_string();
    for pointer in
        ["", "/", "/client", "/client/auth/", "/client/auth/token", "slot", "token", "/resources/0/endpoint/auth", "*"]
    {
        let ask = json!({"authority": to, "headers": [["spile-credential", pointer]]});
        let error = case(&own, &other, &[ask]).contained_at(Kind::Parquet).await;
        assert!(error.message.contains("a credential that there is not"), "{pointer:?}: {error}");
    }
    let twice = json!({"authority": to, "headers": [["spile-credential", "/client/auth"], ["spile-credential", "/client/auth"]]});
    assert_eq!(case(&own, &other, &[twice]).contained_at(Kind::Parquet).await.class, Class::Policy);
    assert_eq!(own.connections(), 0);
}

/// What a connector describes is cut by what its operator permits: a secret that it binds to an origin of its own stays here.
#[tokio::test]
async fn an_operator_s_list_holds_for_what_a_connector_describes() {
    let (own, other) = (page().await, page().await);
    let mut case = case(&own, &other, &wanted(&other));
    let bound = |name: &str| json!({"name": name, "origins": [own.base(), other.base()]});
    case.source["script"]["describe"]["slots"] = json!([bound("/client/auth"), bound("slot")]);
    let policy = spile_host::policy::Operator {
        within: vec![vec![own.base().parse().unwrap()]],
        private: vec![vec![own.base().parse().unwrap(), other.base().parse().unwrap()]],
        ..Default::default()
    };
    case.tenant = spile_host::tenant::Tenant::with_tokens("tenant", Some(policy), None);
    let error = case.contained_at(Kind::Parquet).await;
    assert_eq!(
        (error.class, error.message.as_str()),
        (Class::Policy, "the policy does not permit requests to this origin")
    );
    assert_eq!(other.connections(), 0);
}

/// An instance with both secrets for this server.
async fn instance(server: &Server, steps: &[Value]) -> spile_host::sandbox::Instance {
    let mut secrets = Secrets::default();
    secrets.set("token", TOKEN.to_owned());
    secrets.set("slot", SLOT.to_owned());
    let mut source = source();
    let mut credentials: Credentials = Withheld::take(&mut source).unwrap().resolve(&secrets).unwrap();
    for name in ["/client/auth", "slot"] {
        credentials.bind(name, [server.origin()]).unwrap();
    }
    let limits = Limits::default();
    let policy = Policy { origins: [server.origin()].into(), private: [server.origin()].into(), ..Policy::default() };
    let gate = Gate::new(policy, credentials, Client::new(&limits).unwrap(), limits.clone());
    let mut instance = CONNECTOR.start(gate, limits).await.unwrap();
    source["script"] = json!({"describe": {}, "steps": steps});
    let source = SourceConfig::new(source.to_string());
    let request = OpenRequest { load_id: "1".to_owned(), ..OpenRequest::new(source) };
    instance.open(&request).await.unwrap();
    instance
}

#[tokio::test]
async fn an_api_that_repeats_secrets_in_any_form_gives_none_to_the_connector() {
    let server = Server::start(|_, before| {
        let all: Vec<String> = [TOKEN, SLOT].into_iter().flat_map(forms).collect();
        let text = format!("<marker>{}</marker>", all.join(" | "));
        Answer::Keep(match before % 3 {
            0 => ok_with(
                &format!("x-echo: {TOKEN}\r\nlink: <http://a?k={}>\r\nwww-authenticate: {SLOT}\r\n", percent(SLOT)),
                text.as_bytes(),
            ),
            // Every byte is a piece of its own.
            1 => {
                let chunks: Vec<u8> = text.bytes().flat_map(|byte| [b'1', b'\r', b'\n', byte, b'\r', b'\n']).collect();
                [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".as_slice(), &chunks, b"0\r\n\r\n"].concat()
            }
            // Compressed, twice.
            _ => {
                use std::io::Write as _;
                let zip = |bytes: &[u8]| {
                    let mut zipped = Vec::new();
                    flate2::write::GzEncoder::new(&mut zipped, Default::default()).write_all(bytes).unwrap();
                    zipped
                };
                ok_with("content-encoding: gzip, gzip\r\n", &zip(&zip(text.as_bytes())))
            }
        })
    })
    .await;
    let ask = json!({"ask": {"authority": server.address.to_string(),
        "headers": [["spile-credential", "/client/auth"], ["x-slot", stand_in()]]}});
    let mut instance = instance(&server, &vec![ask; 3]).await;
    for _ in 0..3 {
        let Step::Wait(wait) = instance.next(1, 1).await.unwrap() else { panic!("no answer") };
        assert!(wait.reason.contains("<marker>") && wait.reason.contains("***"), "{}", wait.reason);
        has_none(&wait.reason);
    }
    assert_eq!(server.requests().iter().filter(|request| request.contains(TOKEN) && request.contains(SLOT)).count(), 3);
    let image = instance.into_memory_image().await.unwrap();
    let image = String::from_utf8_lossy(&image);
    assert!(image.contains("<marker>"));
    has_none(&image);
}

/// A connector has no secret, but it may guess one, to see it confirmed or to have it published.
#[tokio::test]
async fn a_secret_that_is_guessed_is_shown_to_nobody() {
    let (own, other) = (page().await, page().await);
    let guess = forms(TOKEN).join(" ");
    let told = json!({"message": guess, "advice": guess, "resource": guess, "pointer": guess, "url": guess});
    let rows = |name: &str| json!({"table": name, "resource": name, "rows": 1, "arrow": table("r", &ids(1))["arrow"]});
    for step in [
        json!({"fail": told}),
        json!({"batch": {"tables": [rows(&guess)]}}),
        json!({"batch": {"tables": [{"table": guess, "resource": guess, "rows": 1, "arrow": "00"}]}}),
        json!({"batch": {"tables": [{"table": guess, "resource": "r", "parent": guess, "rows": 0, "arrow": table("r", &ids(0))["arrow"]}]}}),
    ] {
        let mut case = case(&own, &other, &[]);
        case.source["script"]["steps"] = json!([step]);
        let error: Error = case.contained().await;
        has_none(&format!("{error} {error:?}"));
        assert!(format!("{error:?}").contains("***"), "{error:?}");
    }
    let change = json!({"table": guess, "column": guess, "sample": guess, "resource": guess});
    let mut case = case(&own, &other, &[]);
    case.source["script"]["steps"] = json!([
        {"wait": {"reason": guess}},
        {"batch": {"tables": [table("r", &ids(1))], "changes": [change]}},
        {"done": {"state": "{}", "warnings": [told]}},
    ]);
    let (report, waits) = case.load(&Place::new(Kind::DuckDb)).await.unwrap();
    let shown = format!("{waits:?} {:?} {:?}", report.warnings, report.published);
    assert!(shown.contains("***"), "{shown}");
    has_none(&shown);
}
