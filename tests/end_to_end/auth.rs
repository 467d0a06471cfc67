//! Credentials that are obtained: a server that gives tokens, an API that takes them, and every way to ask.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use serde_json::{Value, json};
use spile_host::{
    COMPONENT,
    gate::{Client, Credentials, Gate, Origin, Policy, Secrets, Withheld},
    limits::Limits,
    sandbox::{Host, HostOptions, OpenRequest, SourceConfig, Step},
};
use tempfile::TempDir;

use crate::program::Call;

/// What a client asks with. It occurs nowhere else.
const SECRET: &str = "s3cret-8c1f0e77aa";

/// How every token begins.
const TOKEN: &str = "t0k3n-41d9b2c6-";

const RSA: &str = include_str!("../keys/rsa.pem");
const EC: &str = include_str!("../keys/ec.pem");

/// A request as the server saw it.
#[derive(Clone, Debug)]
struct Seen {
    /// `GET /a?b=c`
    line: String,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    fn form(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }

    fn asks_for_a_token(&self) -> bool {
        self.line.contains(" /token")
    }
}

type Answer = dyn Fn(&Seen, usize) -> (u16, &'static str, String) + Send + Sync;

/// Gives tokens at `/token`, and records everywhere else to those who have one.
struct Service {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    folder: TempDir,
}

impl Service {
    /// `token` answers the nth request for a token, from 1; `api` all others.
    fn start(
        token: impl Fn(&Seen, usize) -> (u16, &'static str, String) + Send + Sync + 'static,
        api: impl Fn(&Seen, usize) -> (u16, &'static str, String) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let (log, token, api) = (seen.clone(), Arc::<Answer>::from(Box::new(token) as Box<Answer>), Arc::new(api));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, token, api) = (log.clone(), token.clone(), api.clone());
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    while let Some(request) = read(&mut stream) {
                        let nth = {
                            let mut log = log.lock().unwrap();
                            log.push(request.clone());
                            let same = |seen: &&Seen| seen.asks_for_a_token() == request.asks_for_a_token();
                            log.iter().filter(same).count()
                        };
                        let (status, headers, body) =
                            if request.asks_for_a_token() { token(&request, nth) } else { api(&request, nth) };
                        let length = body.len();
                        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{headers}\r\n");
                        if stream.write_all(format!("{head}{body}").as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, seen, folder: tempfile::tempdir().unwrap() }
    }

    /// One that gives `TOKEN1`, `TOKEN2` and so on, and takes them.
    fn ordinary() -> Self {
        Self::start(|_, nth| ok(json!({"access_token": format!("{TOKEN}{nth}")})), |seen, _| records(bearer(seen) > 0))
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn origin(&self) -> Origin {
        self.url("").parse().unwrap()
    }

    /// All that were seen, those for tokens first.
    fn seen(&self) -> (Vec<Seen>, Vec<Seen>) {
        self.seen.lock().unwrap().clone().into_iter().partition(Seen::asks_for_a_token)
    }

    /// A source of six resources.
    fn source(&self, auth: &Value) -> Value {
        let resources = ["a", "b", "c", "d", "e", "f"];
        json!({"client": {"base_url": self.url(""), "auth": auth, "paginator": "single_page"}, "resources": resources})
    }

    fn file(&self, auth: &Value) -> PathBuf {
        let path = self.folder.path().join("tap.json");
        fs::write(&path, json!({"name": "tap", "source": self.source(auth)}).to_string()).unwrap();
        path
    }

    fn call(&self, command: &str, auth: &Value) -> Call {
        let call = Call::new(self.folder.path(), &[command]).with([self.file(auth)]);
        call.with(["--allow-private", &self.url(""), "--secret", "key=env:SPILE_TEST_KEY"])
            .env("SPILE_TEST_KEY", SECRET)
            .env("XDG_STATE_HOME", self.folder.path().join("state").to_str().unwrap())
    }

    fn run(&self, auth: &Value) -> Call {
        self.call("run", auth).with(["--to", "duckdb:out.duckdb", "--summary", "json"])
    }

    /// Runs it, looks at the rows, and that nothing which is left holds a secret.
    #[track_caller]
    fn succeeds(&self, auth: &Value) {
        let outcome = self.run(auth).succeeds().never_says(TOKEN).never_says(SECRET);
        assert_eq!(outcome.summary().of_all("rows"), 6);
        for entry in fs::read_dir(self.folder.path()).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() && entry.file_name() != "tap.json" {
                let bytes = fs::read(entry.path()).unwrap();
                assert!(!holds(&bytes, TOKEN) && !holds(&bytes, SECRET), "{entry:?}");
            }
        }
    }
}

fn read(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let mut lines = head.lines();
            let line = lines.next()?.trim_end_matches(" HTTP/1.1").to_owned();
            let pair = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
            let headers: BTreeMap<String, String> = lines.filter_map(pair).collect();
            let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return Some(Seen { line, headers, body: body.to_owned() });
            }
        }
        let mut part = [0; 4096];
        match stream.read(&mut part) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&part[..read]),
        }
    }
}

fn ok(body: Value) -> (u16, &'static str, String) {
    (200, "content-type: application/json\r\n", body.to_string())
}

fn records(allowed: bool) -> (u16, &'static str, String) {
    if allowed { ok(json!([{"id": 1}])) } else { (401, "", "no".to_owned()) }
}

/// The number of the token that a request carries, 0 for none.
fn bearer(seen: &Seen) -> usize {
    let token = seen.header("authorization").strip_prefix("Bearer ").and_then(|token| token.strip_prefix(TOKEN));
    token.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn oauth(service: &Service, more: Value) -> Value {
    let mut auth = json!({"type": "oauth2_client_credentials", "access_token_url": service.url("/token"),
        "client_id": "me", "client_secret": {"secret": "key"}});
    auth.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    auth
}

#[test]
fn client_credentials_give_one_token_for_all_requests() {
    for (more, body, header) in [
        (json!({}), format!("client_id=me&client_secret={SECRET}&grant_type=client_credentials"), String::new()),
        (
            json!({"client_auth": "basic", "scopes": ["a", "b"], "access_token_request_data": {"pin": {"secret": "key"}}}),
            format!("grant_type=client_credentials&scope=a+b&pin={SECRET}"),
            format!("Basic {}", STANDARD.encode(format!("me:{SECRET}"))),
        ),
    ] {
        let service = Service::ordinary();
        service.succeeds(&oauth(&service, more));
        let (tokens, others) = service.seen();
        assert_eq!((tokens.len(), others.len()), (1, 6));
        assert_eq!((tokens[0].line.as_str(), &tokens[0].body), ("POST /token", &body));
        assert_eq!(tokens[0].header("authorization"), header);
        assert_eq!(tokens[0].header("content-type"), "application/x-www-form-urlencoded");
    }
}

#[test]
fn a_token_that_ends_is_renewed() {
    // Good for a second, which the first page takes.
    let token = |_: &Seen, nth: usize| ok(json!({"access_token": format!("{TOKEN}{nth}"), "expires_in": "1"}));
    let service = Service::start(token, |seen, nth| match nth {
        1 => (429, "retry-after: 1\r\n", String::new()),
        _ => records(bearer(seen) > 0),
    });
    let source = json!({"client": {"base_url": service.url(""), "auth": oauth(&service, json!({})), "paginator": "single_page"},
        "resources": ["a"]});
    let path = service.file(&Value::Null);
    fs::write(&path, source.to_string()).unwrap();
    let call = Call::new(service.folder.path(), &["run"]).with([path]).with(["--to", "duckdb:out.duckdb"]);
    let call = call.with(["--allow-private", &service.url(""), "--secret", "key=env:SPILE_TEST_KEY"]);
    call.env("SPILE_TEST_KEY", SECRET).succeeds();
    let (tokens, others) = service.seen();
    assert_eq!((tokens.len(), others.iter().map(bearer).collect::<Vec<_>>()), (2, vec![1, 2]));
}

#[test]
fn a_refused_token_is_renewed_once() {
    let token = |_: &Seen, nth: usize| ok(json!({"access_token": format!("{TOKEN}{nth}")}));
    // The first token is withdrawn at once.
    let service = Service::start(token, |seen, _| records(bearer(seen) > 1));
    service.succeeds(&oauth(&service, json!({})));
    assert_eq!(service.seen().0.len(), 2);

    // No token is taken.
    let service = Service::start(token, |_, _| records(false));
    for command in ["run", "check"] {
        service.seen.lock().unwrap().clear();
        service.call(command, &oauth(&service, json!({}))).outcome().ended_with(3).says(&["401"]).never_says(TOKEN);
        let (tokens, others) = service.seen();
        assert_eq!(tokens.len(), 2);
        assert_eq!(others.iter().filter(|seen| seen.line == "GET /a").count(), 2);
    }

    // The one to begin with is used as long as it is taken.
    for (number, asked) in [(1, 0), (0, 1)] {
        let service = Service::ordinary();
        service.succeeds(&oauth(&service, json!({"access_token": format!("{TOKEN}{number}")})));
        assert_eq!(service.seen().0.len(), asked);
    }
}

#[test]
fn a_refresh_token_rotates_from_run_to_run() {
    // Each refresh token is good once, and gives the next.
    let last = Arc::new(Mutex::new(SECRET.to_owned()));
    let given = last.clone();
    let token = move |seen: &Seen, nth: usize| {
        let mut last = given.lock().unwrap();
        if !seen.form().contains(&("refresh_token".to_owned(), last.clone())) {
            return (400, "", json!({"error": "invalid_grant"}).to_string());
        }
        *last = format!("{SECRET}-{nth}");
        ok(json!({"access_token": format!("{TOKEN}{nth}"), "refresh_token": *last}))
    };
    let service = Service::start(token, |seen, _| records(bearer(seen) > 0));
    let auth = json!({"type": "oauth2_refresh_token", "access_token_url": service.url("/token"), "client_id": "me",
        "refresh_token": {"secret": "key"}});
    service.succeeds(&auth);
    service.succeeds(&auth);
    assert_eq!(*last.lock().unwrap(), format!("{SECRET}-2"));
    let (tokens, _) = service.seen();
    assert_eq!(tokens[1].body, format!("client_id=me&grant_type=refresh_token&refresh_token={SECRET}-1"));
    let files: Vec<_> =
        fs::read_dir(service.folder.path().join("state/spile/tokens")).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(files[0].path()).unwrap(), format!("{SECRET}-2"));

    // A token that is given anew counts over the one that was kept.
    *last.lock().unwrap() = format!("{SECRET}-new");
    service.run(&auth).env("SPILE_TEST_KEY", SECRET).outcome().ended_with(3).says(&["invalid_grant", "anew"]);
    service.run(&auth).env("SPILE_TEST_KEY", &format!("{SECRET}-new")).succeeds();

    // Where nothing can be kept, the token is not spent.
    let asked = service.seen().0.len();
    let outcome = service.run(&auth).env("XDG_STATE_HOME", "/proc/nowhere").outcome();
    outcome.ended_with(3).says(&["refresh token", "/proc/nowhere/spile/tokens"]);
    assert_eq!(service.seen().0.len(), asked);
}

fn der(pem: &str) -> Vec<u8> {
    STANDARD.decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap()
}

/// The claims of an assertion whose signature the public key of `pem` verifies.
fn verified(assertion: &str, pem: &str) -> Value {
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let (head, claims) = signed.split_once('.').unwrap();
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let head: Value = serde_json::from_slice(&decode(head)).unwrap();
    let (signature, der) = (decode(signature), der(pem));
    match head["alg"].as_str().unwrap() {
        "RS256" => {
            let key = RsaKeyPair::from_pkcs8(&der).unwrap();
            let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref().to_vec());
            key.verify(signed.as_bytes(), &signature).unwrap();
        }
        "ES256" => {
            let random = ring::rand::SystemRandom::new();
            let signing = &ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
            let key = EcdsaKeyPair::from_pkcs8(signing, &der, &random).unwrap();
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public_key().as_ref().to_vec());
            key.verify(signed.as_bytes(), &signature).unwrap();
        }
        other => panic!("{other}"),
    }
    serde_json::from_slice(&decode(claims)).unwrap()
}

fn takes_assertions(pem: &'static str) -> Service {
    let token = move |seen: &Seen, nth: usize| {
        let form = seen.form();
        assert_eq!(form[0].1, "urn:ietf:params:oauth:grant-type:jwt-bearer");
        let claims = verified(&form[1].1, pem);
        let is_right = claims["iss"] == "me" && claims["sub"] == "me" && claims["scope"] == "read";
        let lifetime = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
        match is_right && lifetime == 3600 && claims["aud"].as_str().unwrap().ends_with("/token") {
            true => ok(json!({"access_token": format!("{TOKEN}{nth}"), "expires_in": 3600})),
            false => (400, "", String::new()),
        }
    };
    Service::start(token, |seen, _| records(bearer(seen) > 0))
}

#[test]
fn an_assertion_is_signed_and_exchanged() {
    for (pem, sent) in [
        (RSA, RSA),
        (RSA, include_str!("../keys/rsa-pkcs1.pem")),
        (RSA, include_str!("../keys/rsa-encrypted.pem")),
        (EC, EC),
        (EC, include_str!("../keys/ec-sec1.pem")),
        (EC, include_str!("../keys/ec-encrypted.pem")),
    ] {
        let service = takes_assertions(pem);
        let key = service.folder.path().join("key.pem");
        fs::write(&key, sent).unwrap();
        let auth = json!({"type": "jwt_bearer", "client_id": "me", "private_key": {"secret": "pem"}, "scopes": "read",
            "private_key_passphrase": "opensesame", "auth_endpoint": service.url("/token")});
        let outcome = service.run(&auth).with(["--secret", &format!("pem=file:{}", key.display())]).outcome();
        assert_eq!(outcome.ended_with(0).summary().of_all("rows"), 6);
        assert_eq!(service.seen().0.len(), 1);
    }
}

#[test]
fn a_login_gives_a_session() {
    for (place, expected) in [
        (json!({}), "authorization: Bearer "),
        (json!({"name": "x-session", "prefix": "Sid="}), "x-session: Sid="),
        (json!({"name": "sid", "location": "query"}), "?sid="),
        (json!({"name": "sid", "location": "cookie"}), "cookie: sid="),
    ] {
        let token = |seen: &Seen, nth: usize| {
            let right = json!({"user": "me", "password": SECRET});
            match serde_json::from_str::<Value>(&seen.body).is_ok_and(|body| body == right) {
                true => ok(json!({"data": {"session": format!("{TOKEN}{nth}")}})),
                false => (403, "", String::new()),
            }
        };
        // The first session is ended by the server.
        let wanted = format!("{expected}{TOKEN}2");
        let api = move |seen: &Seen, _: usize| {
            let headers = seen.headers.iter().map(|(name, value)| format!("{name}: {value}\n"));
            records(headers.chain([seen.line.clone()]).any(|text| text.contains(&wanted)))
        };
        let service = Service::start(token, api);
        let mut auth = json!({"type": "session_token", "token_path": "data.session",
            "login": {"path": "/token", "json": {"user": "me", "password": {"secret": "key"}}}});
        auth.as_object_mut().unwrap().extend(place.as_object().unwrap().clone());
        service.succeeds(&auth);
        assert_eq!(service.seen().0.len(), 2, "{expected}");
        service.run(&auth).env("SPILE_TEST_KEY", "wrong").outcome().ended_with(3).says(&["the login", "403"]);
    }
}

#[test]
fn what_the_token_url_answers_is_told() {
    let refused = json!({"error": "invalid_client", "error_description": format!("{SECRET} is not it")}).to_string();
    for (answer, code, asked, said) in [
        ((400, "", refused), 3, 1, "status 400: invalid_client, *** is not it"),
        ((401, "", String::new()), 3, 1, "status 401"),
        ((500, "retry-after: 0\r\n", String::new()), 4, 5, "status 500"),
        ((200, "", "<html>".to_owned()), 3, 1, "not valid JSON"),
        ((200, "", json!({"token": "t"}).to_string()), 3, 1, "`access_token`"),
        ((302, "location: /token\r\n", String::new()), 3, 1, "status 302"),
        ((200, "", json!({"access_token": "a\nb"}).to_string()), 3, 1, "a character that its header cannot hold"),
    ] {
        let service = Service::start(move |_, _| answer.clone(), |_, _| records(true));
        let outcome = service.run(&oauth(&service, json!({}))).outcome().ended_with(code).never_says(SECRET);
        outcome.says(&[said, "client"]);
        let (tokens, others) = service.seen();
        assert_eq!((tokens.len(), others.len()), (asked, 0), "{said}");
    }
}

#[test]
fn a_token_url_is_under_the_same_policy_and_shown() {
    let (service, login) = (Service::ordinary(), Service::ordinary());
    let auth = oauth(&login, json!({}));
    let outcome = service.run(&auth).outcome();
    outcome.ended_with(6).says(&[&format!("allow it with --allow-private {}", login.origin())]).never_says(SECRET);
    assert!(service.seen().1.is_empty() && login.seen().0.is_empty());
    service.run(&auth).with(["--allow-private", &login.url("")]).succeeds();
    assert_eq!((login.seen().0.len(), service.seen().0.len()), (1, 0));

    let shown = service.call("describe", &auth).succeeds().stdout;
    assert!(shown.contains(&format!("tokens from: {} for /client/auth", login.origin())), "{shown}");
    let shown: Value =
        serde_json::from_str(&service.call("describe", &auth).with(["--json"]).succeeds().stdout).unwrap();
    assert_eq!(shown["tokens"], json!([{"credential": "/client/auth", "origin": login.origin().to_string()}]));
    assert_eq!(shown["origins"], json!([service.origin().to_string()]));
}

/// Reads all resources in the sandbox; gives the number of rows and the memory at the end.
async fn read_in_sandbox(source: Value, origins: &[Origin], credentials: Credentials) -> (usize, Vec<u8>) {
    let limits = Limits::default();
    let policy = Policy {
        origins: origins.iter().cloned().collect(),
        private: origins.iter().cloned().collect(),
        ..Policy::default()
    };
    let gate = Gate::new(policy, credentials, Client::new(&limits).unwrap(), limits.clone());
    let host = Host::new(HostOptions { memory_images: true, ..HostOptions::default() }).unwrap();
    let mut connector = host.load(COMPONENT).unwrap().start(gate, limits).await.unwrap();
    let load_id = "1700000000.5".to_owned();
    let request = OpenRequest { load_id, ..OpenRequest::new(SourceConfig::new(source.to_string())) };
    connector.open(&request).await.unwrap();
    let mut rows = 0;
    loop {
        match connector.next(1000, 1 << 20).await.unwrap() {
            Step::Batch(batch) => rows += batch.tables.iter().map(|table| table.rows.num_rows()).sum::<usize>(),
            Step::Wait(wait) => panic!("nothing is to be waited for: {}", wait.reason),
            Step::Done(_) => return (rows, connector.into_memory_image().await.unwrap()),
        }
    }
}

#[tokio::test]
async fn the_memory_of_the_connector_holds_no_token_that_was_obtained() {
    let service = Service::ordinary();
    let mut source = service.source(&oauth(&service, json!({})));
    let plain = service.source(&oauth(&service, json!({"client_secret": SECRET})));
    let withheld = Withheld::take(&mut source).unwrap();
    let mut secrets = Secrets::default();
    secrets.set("key", SECRET.to_owned());
    let mut credentials = withheld.resolve(&secrets).unwrap();
    credentials.bind("/client/auth", [service.origin()]).unwrap();
    let redactor = credentials.redactor().clone();
    let (rows, memory) = read_in_sandbox(source, &[service.origin()], credentials).await;
    assert_eq!((rows, service.seen().0.len()), (6, 1));
    assert!(!holds(&memory, TOKEN) && !holds(&memory, SECRET));
    assert_eq!(redactor.redact(&format!("{TOKEN}1 {SECRET}")), "*** ***");

    // It holds both where it signs by itself.
    let (rows, memory) = read_in_sandbox(plain, &[service.origin()], Credentials::default()).await;
    assert_eq!(rows, 6);
    assert!(holds(&memory, TOKEN) && holds(&memory, SECRET));
}

#[tokio::test]
async fn the_connector_signs_by_itself_where_no_host_does() {
    let service = Service::ordinary();
    let refresh = json!({"type": "oauth2_refresh_token", "access_token_url": service.url("/token"), "client_id": "me",
        "refresh_token": SECRET, "client_secret": SECRET, "client_auth": "basic"});
    let login = json!({"type": "session_token", "login": {"path": "token", "data": {"user": "me"}},
        "token_path": "access_token"});
    for auth in [oauth(&service, json!({"client_secret": SECRET})), refresh, login] {
        let (rows, _) = read_in_sandbox(service.source(&auth), &[service.origin()], Credentials::default()).await;
        assert_eq!(rows, 6);
    }
    assert_eq!(service.seen().0.len(), 3);

    for pem in [RSA, EC] {
        let service = takes_assertions(pem);
        let auth = json!({"type": "jwt_bearer", "client_id": "me", "private_key": pem, "scopes": ["read"],
            "auth_endpoint": service.url("/token")});
        let (rows, _) = read_in_sandbox(service.source(&auth), &[service.origin()], Credentials::default()).await;
        assert_eq!((rows, service.seen().0.len()), (6, 1));
    }
}
