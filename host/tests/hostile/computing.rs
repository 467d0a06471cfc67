//! Time, memory, tables of functions, the stack, handles.

use crate::bare::Bare;
use crate::obedient::{CONNECTOR, HOST};
use crate::scripted::{Case, Kind, Place, alive};
use serde_json::json;
use spile_host::gate::Gate;
use spile_host::limits::Limits;
use spile_host::sandbox::{Instance, OpenRequest, SourceConfig, Step};
use spile_host::{Class, Error};
use std::time::Duration;

/// A run whose connector does this, with limits that are soon reached.
fn doing(command: &str) -> Case {
    let limits = json!({"memory": "16MiB", "cpu": "200ms", "wall": "1s", "handles": 200});
    Case { limits, ..Case::steps(&[json!({"do": command})]) }
}

#[tokio::test]
async fn what_computes_or_collects_without_end_ends_by_its_limit() {
    for (command, limit) in [
        ("spin", "cpu"),
        // The host is called, and answers at once.
        ("calls", "cpu"),
        ("ready", "cpu"),
        ("sleep", "wall"),
        ("hog", "memory"),
        ("handles", "handles"),
        ("fields", "handles"),
        ("field", "header_size"),
        ("bodies", "handles"),
    ] {
        let error = doing(command).contained().await;
        assert_eq!((error.class, error.limit), (Class::Policy, Some(limit)), "{command}: {error}");
    }
}

#[tokio::test]
async fn a_stack_that_overflows_ends_the_connector_and_not_the_host() {
    // The stack in its memory.
    let error = doing("recurse").contained().await;
    assert_eq!((error.class, error.message.as_str()), (Class::Internal, "the connector crashed"));
    assert!(error.facts[0].1.contains("out of bounds"), "{error}");
    // The stack of the machine.
    let more = "(func $deeper (result i32) (i32.add (call $deeper) (i32.const 1)))";
    let error = asked(Bare { more, next: "(call $deeper)", ..Bare::default() }).await.unwrap_err();
    assert_eq!((error.class, error.message.as_str()), (Class::Internal, "the connector crashed"));
    assert!(error.facts[0].1.contains("call stack exhausted"), "{error}");
    alive(&Place::new(Kind::DuckDb)).await;
}

#[tokio::test]
async fn random_bytes_are_given_in_small_numbers() {
    assert!(doing("random 65536").load(&Place::new(Kind::DuckDb)).await.is_ok());
    assert_eq!(doing("random 4000000000").contained().await.class, Class::Internal);
}

#[tokio::test]
async fn another_run_goes_through_while_connectors_do_their_worst() {
    // One thread: the good run has its turn only where each of the others gives it.
    let cases = ["spin", "calls", "sleep", "hog"].map(doing);
    let (place, places) = (Place::new(Kind::DuckDb), [(); 4].map(|()| Place::new(Kind::DuckDb)));
    let worst = cases.iter().zip(&places).map(|(case, place)| case.load(place));
    let (worst, ()) = tokio::join!(futures_util::future::join_all(worst), alive(&place));
    assert!(worst.into_iter().all(|outcome| outcome.is_err_and(|error| error.class == Class::Policy)));
}

/// What the host keeps for a connector outside its memory is bounded too.
#[tokio::test]
async fn headers_and_bodies_that_are_never_sent_do_not_fill_the_host() {
    for command in ["fields", "bodies"] {
        let before = resident();
        let mut instance = instance(&CONNECTOR, Limits::default(), command).await.unwrap();
        let error = instance.next(1, 1).await.unwrap_err();
        assert_eq!(error.limit, Some("handles"), "{error}");
        // It is at its largest now: what it held is there until it is dropped.
        let grown = resident().saturating_sub(before);
        println!("{command}: {} MiB", grown >> 20);
        assert!(grown < 384 << 20, "{command}: {} MiB", grown >> 20);
    }
}

/// The most memory that this process had, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

async fn instance(
    connector: &spile_host::sandbox::Connector,
    limits: Limits,
    command: &str,
) -> Result<Instance, Error> {
    let mut instance = connector.start(Gate::closed(), limits).await?;
    let source = SourceConfig::new(command.to_owned());
    let request = OpenRequest { load_id: "1".to_owned(), ..OpenRequest::new(source) };
    instance.open(&request).await?;
    Ok(instance)
}

async fn asked(bare: Bare) -> Result<Step, Error> {
    let limits = Limits { cpu: Duration::from_millis(200), wall: Duration::from_millis(500), ..Limits::default() };
    instance(&bare.connector(), limits, "").await?.next(1, 1).await
}

#[tokio::test]
async fn a_connector_without_malice_is_one() {
    assert!(matches!(asked(Bare::default()).await, Ok(Step::Done(_))));
}

#[tokio::test]
async fn tables_of_functions_are_bounded() {
    let grow = |by: &'static str| Bare {
        more: "(table $t 0 funcref) (func $one) (elem declare func $one)",
        next: by,
        ..Bare::default()
    };
    let step = asked(grow(
        "(drop (table.grow $t (ref.func $one) (i32.const 500000)))
         (i32.store8 (i32.const 2056) (i32.const 2)) (i32.const 2048)",
    ));
    assert!(step.await.is_ok());
    for greedy in [
        "(drop (table.grow $t (ref.func $one) (i32.const 2000000))) (i32.const 2048)",
        "(loop $more (drop (table.grow $t (ref.func $one) (i32.const 1000))) (br $more)) (i32.const 2048)",
    ] {
        let error = asked(grow(greedy)).await.unwrap_err();
        assert_eq!(error.message, "the component's tables of functions are too large");
        assert_eq!(error.class, Class::Policy);
    }
}

#[tokio::test]
async fn a_start_is_bounded_as_a_call_is() {
    for (start, limit) in [
        ("(loop $more (br $more))", "cpu"),
        ("(call $block (call $wait (i64.const 0x10000000000000)))", "wall"),
        ("(drop (memory.grow (i32.const 30000)))", "memory"),
    ] {
        let started = tokio::time::timeout(Duration::from_secs(20), asked(Bare { start, ..Bare::default() }));
        let error = started.await.expect("it never ends").unwrap_err();
        assert_eq!((error.class, error.limit), (Class::Policy, Some(limit)), "{error}");
    }
    let error = asked(Bare { start: "unreachable", ..Bare::default() }).await.unwrap_err();
    assert_eq!((error.class, error.message.as_str()), (Class::Internal, "the connector crashed"));
}

#[test]
fn a_component_that_is_large_from_the_outset_is_not_started() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let more = "(table 2000000 funcref)";
    let error = runtime.block_on(asked(Bare { more, ..Bare::default() })).unwrap_err();
    assert_eq!(error.message, "the component's tables of functions are too large");
    let nested = format!("(component {}{})", "(component ".repeat(1200), ")".repeat(1200));
    assert_eq!(HOST.load(&wat::parse_str(nested).unwrap_or_default()).err().unwrap().class, Class::Config);
}
