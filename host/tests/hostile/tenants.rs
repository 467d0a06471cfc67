//! Neighbours on one host: nothing of one is another's.

use crate::scripted::{Case, Kind, Place, batch, ids};
use crate::server::{Answer, Server, ok_with};
use serde_json::{Value, json};
use spile_host::Class;
use spile_host::gate::{TokenFiles, TokenStore};
use spile_host::tenant::Tenant;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A tenant's run that sends so many requests with its token.
fn case(tenant: &Tenant, server: &Server, requests: usize) -> Case {
    let ask =
        json!({"ask": {"authority": server.address.to_string(), "headers": [["spile-credential", "/client/auth"]]}});
    let mut steps: Vec<Value> = vec![ask; requests];
    steps.push(batch(&ids(2)));
    steps.push(json!({"done": {"state": format!("\"the state of {}\"", tenant.name())}}));
    let mut case = Case::steps(&steps);
    case.source["client"] = json!({"auth": {"token": {"secret": "token"}}});
    case.source["script"]["describe"]["origins"] = json!([server.base()]);
    case.source["script"]["describe"]["slots"] = json!([{"name": "/client/auth", "origins": [server.base()]}]);
    case.private = vec![server.base()];
    case.secrets = vec![("token", format!("token-of-{}", tenant.name()))];
    case.tenant = tenant.clone();
    case
}

#[tokio::test]
async fn two_tenants_share_no_connection_no_cookie_and_no_token() {
    let server = Server::start(|request, _| {
        let who = if request.contains("token-of-a") { "a" } else { "b" };
        Answer::Keep(ok_with(&format!("set-cookie: who={who}; path=/\r\n"), who.as_bytes()))
    })
    .await;
    let [a, b] = ["a", "b"].map(|name| Tenant::with_tokens(name, None, None));
    let places = [(); 2].map(|()| Place::new(Kind::DuckDb));
    for _ in 0..2 {
        let cases = [case(&a, &server, 5), case(&b, &server, 5)];
        let (of_a, of_b) = tokio::join!(cases[0].load(&places[0]), cases[1].load(&places[1]));
        for (outcome, who) in [(of_a, "a"), (of_b, "b")] {
            let (report, told) = outcome.unwrap();
            assert_eq!(report.published.tables[0].inserted, 2);
            assert!(
                told.iter().all(|told| told.starts_with("200 ") && told.ends_with(&format!("] {who}"))),
                "{told:?}"
            );
            assert!(told.iter().all(|told| !told.contains("who=")), "{told:?}");
        }
    }
    let requests = server.by_connection();
    assert_eq!(requests.len(), 20);
    let of = |token: &str| -> BTreeSet<usize> {
        requests.iter().filter(|(_, request)| request.contains(token)).map(|(connection, _)| *connection).collect()
    };
    let (of_a, of_b) = (of("Bearer token-of-a\r\n"), of("Bearer token-of-b\r\n"));
    // Each keeps its own from run to run.
    assert_eq!((of_a.len(), of_b.len()), (1, 1), "{of_a:?} {of_b:?}");
    assert!(of_a.is_disjoint(&of_b));
    assert!(requests.iter().all(|(_, request)| !request.contains("cookie:")), "{requests:?}");
}

#[tokio::test]
async fn what_ends_one_tenant_s_run_is_not_felt_by_the_other() {
    let server = Server::start(|_, _| Answer::Keep(ok_with("", b"x"))).await;
    let [a, b] = ["a", "b"].map(|name| Tenant::with_tokens(name, None, None));
    for worst in ["crash", "spin", "hog", "recurse", "handles", "no such command"] {
        let places = [(); 2].map(|()| Place::new(Kind::DuckDb));
        let mut bad = case(&a, &server, 1);
        bad.source["script"]["steps"] = json!([{"do": worst}]);
        bad.limits = json!({"cpu": "100ms", "memory": "16MiB", "handles": 100});
        let good = case(&b, &server, 3);
        let (of_a, of_b) = tokio::join!(bad.load(&places[0]), good.load(&places[1]));
        assert!(matches!(of_a.err().unwrap().class, Class::Policy | Class::Internal), "{worst}");
        assert_eq!(of_b.unwrap().0.published.tables[0].inserted, 2, "{worst}");
        places[0].has_nothing_of("hostile");
    }
}

/// The same pipeline with the same configured refresh token, in one folder of tokens.
#[tokio::test]
async fn a_token_that_one_tenant_was_given_is_not_used_for_another() {
    let server = Server::start(|request, before| {
        let text = match request.starts_with("POST /token") {
            true => json!({"access_token": format!("access-{before}"), "refresh_token": format!("rotated-{before}")}),
            false => json!({}),
        };
        Answer::Keep(ok_with("content-type: application/json\r\n", text.to_string().as_bytes()))
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let files: Arc<dyn TokenStore> = Arc::new(TokenFiles::in_folder(folder.path()));
    let loaded = async |name: &str| {
        let mut case = case(&Tenant::with_tokens(name, None, Some(files.clone())), &server, 1);
        case.source["client"]["auth"] = json!({"type": "oauth2_refresh_token", "access_token_url": server.url("/token"),
            "client_id": "me", "client_secret": {"secret": "token"}, "refresh_token": {"secret": "refresh"}});
        case.secrets = vec![("token", "the-same".to_owned()), ("refresh", "configured".to_owned())];
        let place = Place::new(Kind::Parquet);
        case.load(&place).await.unwrap();
        std::fs::read_dir(folder.path()).unwrap().count()
    };
    assert_eq!(loaded("a").await, 1);
    assert_eq!(loaded("b").await, 2);
    assert_eq!(loaded("a").await, 2);
    let asked: Vec<String> =
        server.requests().into_iter().filter(|request| request.starts_with("POST /token")).collect();
    assert_eq!(asked.len(), 3);
    assert!(asked[0].contains("configured") && asked[1].contains("configured"), "{asked:?}");
    // The first one's own, and not the other's.
    assert!(asked[2].contains("rotated-0"), "{asked:?}");
}

#[tokio::test]
async fn a_tenant_s_policy_holds_for_its_own_runs_alone() {
    let server = Server::start(|_, _| Answer::Keep(ok_with("", b"x"))).await;
    let strict = spile_host::policy::Operator {
        limits: spile_host::limits::Limits { requests: 1, ..Default::default() },
        private: vec![vec![server.base().parse().unwrap()]],
        ..Default::default()
    };
    let (a, b) = (Tenant::with_tokens("a", Some(strict), None), Tenant::with_tokens("b", None, None));
    let places = [(); 2].map(|()| Place::new(Kind::DuckDb));
    let mut bounded = case(&a, &server, 3);
    bounded.source["script"]["steps"][4] = json!({"fail": {"message": "x"}});
    let free = case(&b, &server, 3);
    let (of_a, of_b) = tokio::join!(bounded.load(&places[0]), free.load(&places[1]));
    assert_eq!(of_a.err().unwrap().limit, Some("requests"));
    assert_eq!(of_b.unwrap().0.counts.len(), 0);
}
