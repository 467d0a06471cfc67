//! Answers that no compiler would make: the bytes by which a connector returns are wrong.

use crate::bare::Bare;
use crate::scripted::{Kind, Place, alive};
use spile_host::gate::Gate;
use spile_host::limits::Limits;
use spile_host::sandbox::{OpenRequest, SourceConfig, Step};
use spile_host::{Class, Error};

async fn asked(bare: &Bare) -> Result<Step, Error> {
    let limits = Limits::default();
    let mut instance = bare.connector().start(Gate::closed(), limits).await?;
    let text = || "{}".to_owned();
    let source = SourceConfig::new(text());
    let request = OpenRequest { load_id: text(), ..OpenRequest::new(source) };
    instance.open(&request).await?;
    let outcome = instance.next(1, 1).await;
    if outcome.is_err() {
        assert!(instance.next(1, 1).await.unwrap_err().message.contains("has ended"));
    }
    outcome
}

/// The third kind of step, whose state stands at this place and is so long.
macro_rules! done {
    ($place:literal, $length:literal) => {
        concat!(
            "(i32.store8 (i32.const 2056) (i32.const 2)) (i32.store (i32.const 2064) (i32.const ",
            $place,
            ")) (i32.store (i32.const 2068) (i32.const ",
            $length,
            ")) (i32.const 2048)"
        )
    };
}

#[tokio::test]
async fn an_answer_that_lies_outside_or_is_not_of_its_type_ends_the_connector() {
    let well = asked(&Bare { next: done!("3000", "5"), ..Bare::default() }).await.unwrap();
    assert!(matches!(well, Step::Done(summary) if summary.state == "\0\0\0\0\0"));
    for next in [
        // Outside the memory, at its very end, and not aligned.
        "(i32.const 0x7ffffff0)",
        "(i32.const 131064)",
        "(i32.const -1)",
        "(i32.const 2049)",
        // A text that is outside, or longer than all memory, or no UTF-8.
        done!("131071", "10"),
        done!("0", "0x7fffffff"),
        done!("-1", "-1"),
        concat!("(i32.store8 (i32.const 3000) (i32.const 255)) ", done!("3000", "1")),
        // Kinds that there are not.
        "(i32.store8 (i32.const 2048) (i32.const 7)) (i32.const 2048)",
        "(i32.store8 (i32.const 2056) (i32.const 9)) (i32.const 2048)",
        // Counts without number, each of which would be a record.
        "(i32.store8 (i32.const 2056) (i32.const 2)) (i32.store (i32.const 2072) (i32.const 0))
         (i32.store (i32.const 2076) (i32.const 0x7fffffff)) (i32.const 2048)",
        "unreachable",
    ] {
        let error = asked(&Bare { next, ..Bare::default() }).await.unwrap_err();
        assert!(matches!(error.class, Class::Internal | Class::Policy), "{next}: {error}");
    }
    alive(&Place::new(Kind::DuckDb)).await;
}

#[tokio::test]
async fn an_allocator_that_lies_ends_the_connector() {
    for allocate in ["(i32.const -16)", "(i32.const 131072)", "unreachable", "(loop $l (br $l)) (i32.const 0)"] {
        let limits = Limits { cpu: std::time::Duration::from_millis(100), ..Limits::default() };
        let connector = Bare { allocate, ..Bare::default() }.connector();
        let mut instance = connector.start(Gate::closed(), limits).await.unwrap();
        let text = || "a configuration".to_owned();
        let source = SourceConfig::new(text());
        let error = instance.check(&source).await.unwrap_err();
        assert!(matches!(error.class, Class::Internal | Class::Policy), "{allocate}: {error}");
    }
    alive(&Place::new(Kind::DuckDb)).await;
}
