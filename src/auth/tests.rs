//! Token sources: what is asked, and what an answer means.

use super::*;
use crate::config::validate_at;
use crate::engine::transport::Failure;
use crate::error::Kind;
use crate::request::{Request, Response};
use p256::ecdsa::signature::Verifier as _;
use p256::pkcs8::DecodePrivateKey as _;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use serde_json::{Value, json};

const RSA: &str = include_str!("../../tests/keys/rsa.pem");
const EC: &str = include_str!("../../tests/keys/ec.pem");

/// 2023-11-14T22:13:20Z.
const NOW: u64 = 1_700_000_000_000;

fn parsed(auth: &Value) -> Auth {
    let defects = validate_at(&schemars::schema_for!(Auth).to_value(), auth, "/client/auth");
    assert_eq!(defects, []);
    serde_json::from_value(auth.clone()).unwrap()
}

fn source(auth: Value) -> TokenSource {
    TokenSource::new(&parsed(&auth), "http://api.example/v1/").unwrap().unwrap()
}

fn defect(auth: Value) -> (String, String) {
    let error = TokenSource::new(&parsed(&auth), "https://api.example").err().unwrap();
    assert_eq!(error.kind, Kind::Config);
    (error.pointer.unwrap_or_default(), error.message)
}

fn body(request: &Request) -> String {
    String::from_utf8(request.body.clone().unwrap_or_default()).unwrap()
}

fn header<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    request.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

fn answer(status: u16, body: Value) -> Result<Response, Failure> {
    Ok(Response { status, headers: Vec::new(), body: body.to_string().into_bytes() })
}

fn token(source: &mut TokenSource, body: Value) -> Token {
    match source.outcome(1, answer(200, body), NOW, NOW) {
        Outcome::Token(token) => token,
        Outcome::Again(_, error) | Outcome::Failed(error) => panic!("{error:?}"),
    }
}

fn failed(source: &mut TokenSource, outcome: Result<Response, Failure>) -> crate::error::Error {
    match source.outcome(1, outcome, NOW, NOW) {
        Outcome::Failed(error) => error,
        _ => panic!("no failure"),
    }
}

fn client_credentials(more: Value) -> Value {
    let mut auth = json!({"type": "oauth2_client_credentials", "access_token_url": "http://login.example/token",
        "client_id": "me", "client_secret": "s3cr3t /+ä"});
    auth.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    auth
}

#[test]
fn client_credentials_are_a_form_in_the_order_of_dlt() {
    let request = source(client_credentials(json!({}))).request(NOW).unwrap();
    assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", "http://login.example/token"));
    let secret = "client_secret=s3cr3t+%2F%2B%C3%A4";
    assert_eq!(body(&request), format!("client_id=me&{secret}&grant_type=client_credentials"));
    assert_eq!(header(&request, "content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(header(&request, "accept"), Some("application/json"));
    assert_eq!(header(&request, "authorization"), None);

    let more = json!({"scopes": ["read", "write"], "access_token_request_data": {"grant_type": "password",
        "audience": "a", "n": 1, "ok": true, "list": ["x", "y"], "client_id": null}});
    let request = source(client_credentials(more)).request(NOW).unwrap();
    let rest = "grant_type=password&scope=read+write&audience=a&n=1&ok=true&list=x&list=y";
    assert_eq!(body(&request), format!("{secret}&{rest}"));

    let request = source(client_credentials(json!({"client_auth": "basic"}))).request(NOW).unwrap();
    assert_eq!(body(&request), "grant_type=client_credentials");
    let pair = STANDARD.encode("me:s3cr3t%20%2F%2B%C3%A4");
    assert_eq!(header(&request, "authorization"), Some(format!("Basic {pair}").as_str()));
}

#[test]
fn a_token_is_renewed_before_it_ends() {
    let mut source = source(client_credentials(json!({"default_token_expiration": 200})));
    // Seconds that the response says, and after how many milliseconds the token is not used any more.
    for (expires, until) in [
        (json!(3600), 3_540_000),
        (json!("3600"), 3_540_000),
        (json!(3600.5), 3_540_000),
        (json!(100), 90_000),
        (json!(0), 900),
        (json!(null), 180_000),
        (json!("soon"), 180_000),
        (json!(-1), 180_000),
    ] {
        let token = token(&mut source, json!({"access_token": "t", "expires_in": expires}));
        assert!(token.is_fresh(NOW + until - 1), "{expires}");
        assert!(!token.is_fresh(NOW + until), "{expires}");
    }
    let token = token(&mut source, json!({"access_token": "t"}));
    let placement = source.placement(&token);
    assert!(placement == Placement::Header("Authorization".to_owned(), "Bearer t".to_owned()));
}

#[test]
fn a_refresh_token_rotates() {
    let auth = json!({"type": "oauth2_refresh_token", "access_token_url": "http://login.example/token",
        "client_id": "me", "refresh_token": "r1"});
    let mut source = source(auth);
    let form = |source: &TokenSource| body(&source.request(NOW).unwrap());
    assert_eq!(form(&source), "client_id=me&grant_type=refresh_token&refresh_token=r1");
    token(&mut source, json!({"access_token": "t"}));
    assert_eq!(source.refresh_token(), Some("r1"));
    token(&mut source, json!({"access_token": "t", "refresh_token": "r2"}));
    assert_eq!(source.refresh_token(), Some("r2"));
    assert_eq!(form(&source), "client_id=me&grant_type=refresh_token&refresh_token=r2");
    let error = failed(&mut source, answer(400, json!({"error": "invalid_grant", "error_description": "r2 is used"})));
    assert_eq!(error.message, "the request for a token was answered with status 400: invalid_grant, *** is used");
}

fn claims_and_signature(source: &TokenSource) -> (Value, Value, String, Vec<u8>) {
    let body = body(&source.request(NOW).unwrap());
    let fields: Vec<(String, String)> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    assert_eq!(fields[0], ("grant_type".to_owned(), "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned()));
    assert_eq!((fields[1].0.as_str(), fields.len()), ("assertion", 2));
    let decode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap();
    let (signed, signature) = fields[1].1.rsplit_once('.').unwrap();
    let (head, claims) = signed.split_once('.').unwrap();
    let json = |text: &str| serde_json::from_slice(&decode(text)).unwrap();
    (json(head), json(claims), signed.to_owned(), decode(signature))
}

fn jwt(key: &str, more: Value) -> Value {
    let mut auth = json!({"type": "jwt_bearer", "client_id": "me", "private_key": key,
        "auth_endpoint": "http://login.example/token"});
    auth.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    auth
}

#[test]
fn an_assertion_is_signed_by_rsa() {
    let key = rsa::PrivateKey::from_pkcs1_der(&pem(include_str!("../../tests/keys/rsa-pkcs1.pem"))).unwrap();
    let verifier = rsa::pkcs1v15::VerifyingKey::<sha2::Sha256>::new(key.to_public_key());
    for pem in [RSA, &RSA.replace('\n', "\\n"), include_str!("../../tests/keys/rsa-pkcs1.pem")] {
        let source = source(jwt(pem, json!({"scopes": ["a", "b"]})));
        let (head, claims, signed, signature) = claims_and_signature(&source);
        assert_eq!(head, json!({"alg": "RS256", "typ": "JWT"}));
        let expected = json!({"iss": "me", "sub": "me", "aud": "http://login.example/token", "scope": "a b",
            "iat": 1_700_000_000, "exp": 1_700_003_600});
        assert_eq!(claims, expected);
        verifier.verify(signed.as_bytes(), &signature.as_slice().try_into().unwrap()).unwrap();
    }
}

#[test]
fn an_assertion_is_signed_by_ecdsa() {
    let key = p256::SecretKey::from_pkcs8_der(&pem(EC)).unwrap();
    let verifier = p256::ecdsa::VerifyingKey::from(key.public_key());
    for pem in [EC, include_str!("../../tests/keys/ec-sec1.pem")] {
        let more = json!({"subject": "someone", "audience": "there", "algorithm": "ES256", "headers": {"X-A": "b"}});
        let source = source(jwt(pem, more));
        let (head, claims, signed, signature) = claims_and_signature(&source);
        assert_eq!(head["alg"], "ES256");
        assert_eq!(
            (&claims["sub"], &claims["aud"], &claims["iss"]),
            (&json!("someone"), &json!("there"), &json!("me"))
        );
        assert_eq!(signature.len(), 64);
        verifier.verify(signed.as_bytes(), &p256::ecdsa::Signature::from_slice(&signature).unwrap()).unwrap();
        assert_eq!(header(&source.request(NOW).unwrap(), "x-a"), Some("b"));
    }
}

fn pem(text: &str) -> Vec<u8> {
    let lines = text.lines().filter(|line| !line.starts_with('-'));
    STANDARD.decode(lines.collect::<String>()).unwrap()
}

#[test]
fn an_encrypted_key_is_opened_by_its_passphrase() {
    for (pem, alg) in [
        (include_str!("../../tests/keys/rsa-encrypted.pem"), "RS256"),
        (include_str!("../../tests/keys/ec-encrypted.pem"), "ES256"),
    ] {
        let source = source(jwt(pem, json!({"private_key_passphrase": "opensesame"})));
        assert_eq!(claims_and_signature(&source).0["alg"], alg);
        let of = |more: Value| defect(jwt(pem, more)).1;
        assert_eq!(of(json!({})), "the private key needs its passphrase");
        assert!(of(json!({"private_key_passphrase": "wrong"})).starts_with("the passphrase does not open"));
    }
}

#[test]
fn a_key_that_does_not_sign_is_told_and_not_repeated() {
    let first: Vec<&str> = RSA.lines().take(3).collect();
    let truncated = format!("{}\n-----END PRIVATE KEY-----\n", first.join("\n"));
    for (key, more, expected) in [
        ("hunter2", json!({}), ("/private_key", "the private key is not in PEM")),
        (EC, json!({"algorithm": "RS256"}), ("/algorithm", "the private key does not sign by RS256, but by ES256")),
        (
            &truncated,
            json!({}),
            ("/private_key", "the private key cannot be read: neither RSA nor EC on the curve P-256"),
        ),
        (
            &RSA.replace("PRIVATE", "PUBLIC"),
            json!({}),
            ("/private_key", "the private key is something else than a private key"),
        ),
    ] {
        let (pointer, message) = defect(jwt(key, more));
        assert_eq!((pointer.as_str(), message.as_str()), expected);
    }
}

fn session(more: Value) -> Value {
    let mut auth =
        json!({"type": "session_token", "login": {"path": "/login", "json": {"user": "u", "password": "p4ss"}}});
    auth.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    auth
}

#[test]
fn a_login_gives_a_session_token() {
    let mut default = source(session(json!({})));
    let request = default.request(NOW).unwrap();
    assert_eq!((request.method.as_str(), request.url.as_str()), ("POST", "http://api.example/v1/login"));
    assert_eq!(body(&request), r#"{"user":"u","password":"p4ss"}"#);
    assert_eq!(header(&request, "content-type"), Some("application/json"));
    let session_token = token(&mut default, json!({"token": "t"}));
    assert!(session_token.is_fresh(u64::MAX));
    assert!(default.placement(&session_token) == Placement::Header("Authorization".into(), "Bearer t".into()));

    let login = json!({"url": "http://login.example/", "method": "GET", "headers": {"X-User": "u"}});
    let mut other = source(session(json!({"login": login, "token_path": "$.data[0].sid", "name": "sid",
        "location": "cookie", "expires_path": "data[0].ends", "expires_in": 7})));
    let request = other.request(NOW).unwrap();
    assert_eq!((request.method.as_str(), &request.body, header(&request, "x-user")), ("GET", &None, Some("u")));
    for (ends, fresh) in [
        (json!(1000), 940),
        (json!("2023-11-14T22:30:00Z"), 940),
        (json!(1_700_001_000), 940),
        (json!(1_700_001_000_000_u64), 940),
        (json!(null), 6),
    ] {
        let token = token(&mut other, json!({"data": [{"sid": 12, "ends": ends}]}));
        assert!(other.placement(&token) == Placement::Cookie("sid".into(), "12".into()));
        assert!(token.is_fresh(NOW + fresh * 1000 - 1) && !token.is_fresh(NOW + fresh * 1000 + 300), "{ends}");
    }

    let form = json!({"path": "login", "data": {"user": "u"}});
    let mut header = source(session(json!({"login": form, "token_header": "X-Token", "name": "x-t", "prefix": "Sid"})));
    assert_eq!(body(&header.request(NOW).unwrap()), "user=u");
    let headers = vec![("x-token".to_owned(), "t".to_owned())];
    let Outcome::Token(token) = header.outcome(1, Ok(Response { status: 201, headers, body: Vec::new() }), NOW, NOW)
    else {
        panic!("no token")
    };
    assert!(header.placement(&token) == Placement::Header("x-t".into(), "Sid t".into()));
}

#[test]
fn what_no_schema_can_say_is_told_with_its_place() {
    let both = json!({"path": "a", "json": {}, "data": {}});
    for (auth, pointer) in [
        (session(json!({"login": {}})), "/login"),
        (session(json!({"login": {"url": "a", "path": "b"}})), "/login"),
        (session(json!({"login": {"url": "hunter2"}})), "/login/url"),
        (session(json!({"login": both})), "/login"),
        (session(json!({"token_path": "a", "token_header": "b"})), ""),
        (session(json!({"token_path": "a["})), "/token_path"),
        (session(json!({"location": "query"})), ""),
        (session(json!({"login": {"url": "http://login.example"}})), ""),
        (client_credentials(json!({"access_token_url": "ftp://a"})), "/access_token_url"),
        (
            client_credentials(json!({"access_token_url": "https://a", "access_token_request_data": {"a": {"b": 1}}})),
            "/access_token_request_data/a",
        ),
    ] {
        let (found, message) = defect(auth);
        assert_eq!(found, pointer, "{message}");
        assert!(!message.contains("hunter2"));
    }
}

#[test]
fn answers_without_a_token_say_why_and_no_secret() {
    let mut source = source(client_credentials(json!({"client_secret": "s3cr3t"})));
    let said = json!({"error": "invalid_client", "error_description": "s3cr3t is not\nthe secret"});
    for (outcome, kind, message) in [
        (
            answer(200, json!({"token": "t"})),
            Kind::Auth,
            "the response to the request for a token has no `access_token`",
        ),
        (
            answer(200, said.clone()),
            Kind::Auth,
            "the response to the request for a token has no `access_token`: invalid_client, *** is not the secret",
        ),
        (
            answer(401, said),
            Kind::Auth,
            "the request for a token was answered with status 401: invalid_client, *** is not the secret",
        ),
        (
            Ok(Response { status: 200, headers: Vec::new(), body: b"<html>".to_vec() }),
            Kind::Auth,
            "the response to the request for a token is not valid JSON",
        ),
        (answer(302, json!({})), Kind::Auth, "the request for a token was answered with status 302"),
        (Err(Failure::Denied("no".to_owned())), Kind::Permission, "the request for a token was denied: no"),
    ] {
        let error = failed(&mut source, outcome);
        assert_eq!((error.kind, error.message.as_str()), (kind, message));
        assert_eq!(error.url.as_deref(), Some("http://login.example/token"));
    }
}

#[test]
fn what_passes_is_tried_again_by_the_rules_of_dlt() {
    let mut source = source(client_credentials(json!({})));
    for outcome in [answer(503, json!({})), answer(429, json!({})), Err(Failure::Network("gone".to_owned()))] {
        let waits: Vec<u64> = (1..=4)
            .map(|attempt| match source.outcome(attempt, outcome.clone(), NOW, NOW) {
                Outcome::Again(wait, _) => wait,
                _ => panic!("given up"),
            })
            .collect();
        assert_eq!(waits, [1000, 2000, 4000, 8000]);
        let Outcome::Failed(error) = source.outcome(5, outcome, NOW, NOW) else { panic!("no failure") };
        assert_eq!(error.attempts, Some(5));
    }
}

#[test]
fn slots_stand_at_any_depth_and_are_filled() {
    let auth = parsed(&session(json!({"login": {"url": {"secret": "url"}, "headers": {"x": {"secret": "x"}},
        "json": {"user": {"name": {"secret": "user"}}, "all": [{"secret": "pass"}], "secret": "p", "b": {"secret": 1}}}})));
    assert_eq!(auth.slots().into_iter().collect::<Vec<_>>(), ["pass", "url", "user", "x"]);
    assert_eq!(auth.filled(|_| None).err().unwrap(), "pass");
    let filled = auth.filled(|slot| Some(format!("http://{slot}"))).unwrap();
    assert_eq!(filled.token_origin("").as_deref(), Some("http://url:80"));
    let source = TokenSource::new(&filled, "").unwrap().unwrap();
    let expected = json!({"user": {"name": "http://user"}, "all": ["http://pass"], "secret": "p", "b": {"secret": 1}});
    assert_eq!(body(&source.request(NOW).unwrap()), expected.to_string());
    assert!(filled.secrets().contains(&"p") && !format!("{filled:?}").contains("http://"));
}
