//! Runs that are interrupted or killed, and runs that meet.

use std::{env, fs, path::Path, process::Command};

use serde_json::Value;
use spile_host::{
    Class,
    changes::{Change, ChangeKind},
    load::{Batch, Interrupted, Loader, Options, WriteDisposition},
};

use super::{Directory, append, counts, files, replace};
use crate::{
    crash::{BATCHES, Child, ROWS},
    rows::{options, plan, users},
};

#[test]
fn the_next_run_goes_on_with_what_was_committed() {
    let directory = Directory::new();
    directory.run(replace(), vec![users("s0", &[1], "old")]);
    let (mut loader, first) = directory.begin(replace());
    assert_eq!((first.run, first.state.as_deref(), &first.interrupted), (2, Some("done"), &None));
    let mut delivery = users("s1", &[1, 2], "new");
    delivery.schema = Some("schema-1".to_owned());
    loader.stage(delivery).unwrap();
    loader.commit().unwrap();
    loader.stage(users("s2", &[3], "lost")).unwrap();
    drop(loader);
    // No reader finds what is staged, not even one that looks everywhere.
    assert_eq!(directory.rows("SELECT id, name FROM {users}"), ["1|old"]);
    assert_eq!(directory.rows("SELECT DISTINCT name FROM {**} WHERE name IS NOT NULL"), ["old"]);
    // Rests of a commit that did not come to its end.
    let staging = directory.ours().join("staging/users");
    fs::write(staging.join(format!("{}-2.parquet.staged", first.load_id)), "half a file").unwrap();

    let (mut loader, second) = directory.begin(replace());
    assert_eq!(fs::read_dir(&staging).unwrap().count(), 1);
    assert_eq!(second.load_id, first.load_id);
    assert_eq!((second.run, second.state.as_deref(), second.schema.as_deref()), (3, Some("s1"), Some("schema-1")));
    assert_eq!(second.interrupted, Some(Interrupted { rows: vec![("users".to_owned(), 2)] }));
    loader.stage(users("s2", &[3], "newer")).unwrap();
    let published = loader.publish("end").unwrap();
    assert_eq!(counts(&published), [("users", 3, 1, 3), ("users__tags", 6, 2, 6)]);
    assert_eq!(directory.rows("SELECT id, name FROM {users} ORDER BY id"), ["1|new", "2|new", "3|newer"]);
    assert_eq!(directory.files(), files([("_dlt_loads", 2), ("users", 2), ("users__tags", 2)]));

    let (_, third) = directory.begin(replace());
    assert_eq!((third.state.as_deref(), third.schema.as_deref()), (Some("end"), Some("schema-1")));
    assert!(third.interrupted.is_none() && third.load_id > first.load_id);
}

#[test]
fn a_package_that_is_not_gone_on_with_leaves_nothing() {
    /// What happens before the next run, and what that is.
    type Next = dyn Fn(&Directory) -> Options;
    let cases: [(&str, &Next); 3] = [
        ("of another digest", &|_| Options { digest: "digest-2".to_owned(), ..append() }),
        ("of a resource that is not delivered", &|_| options(vec![plan("others", WriteDisposition::Append, &[])])),
        ("with a file that is gone", &|directory| {
            let staging = directory.ours().join("staging/users__tags");
            fs::remove_file(fs::read_dir(staging).unwrap().next().unwrap().unwrap().path()).unwrap();
            append()
        }),
    ];
    for (case, next) in cases {
        let directory = Directory::new();
        directory.run(append(), vec![users("s0", &[1], "old")]);
        let before = directory.files();
        let (mut loader, first) = directory.begin(append());
        loader.stage(users("s1", &[2], "discarded")).unwrap();
        loader.commit().unwrap();
        drop(loader);
        assert_ne!(directory.files(), before);
        let (_, second) = directory.begin(next(&directory));
        assert!(second.load_id > first.load_id, "{case}");
        assert_eq!((second.state.as_deref(), second.interrupted), (Some("done"), None), "{case}");
        assert_eq!(directory.files(), before, "{case}");
    }
}

/// A task of the other test's process.
fn start(directory: &Directory, task: &str) -> Child {
    Child::start(&directory.target(), task)
}

/// What [`deliveries`] finds of a task that came to its end.
fn whole(task: &str) -> String {
    format!("{task}|{0}|{0}|{1}", BATCHES * ROWS, 2 * BATCHES * ROWS)
}

/// How many users and tags there are of each delivery.
fn deliveries(directory: &Directory) -> Vec<String> {
    directory.rows(
        "SELECT name, count(*), count(DISTINCT id), (SELECT count(*) FROM {users__tags} WHERE starts_with(value, name)) \
         FROM {users} GROUP BY name ORDER BY name",
    )
}

fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

#[test]
fn a_run_that_is_killed_at_any_instant_leaves_what_an_uninterrupted_one_leaves() {
    // Killed as soon as it says that it publishes, and as soon as so many files came to their places.
    for moved in [None, Some(1), Some(2), Some(9), Some(16)] {
        for disposition in ["append", "replace"] {
            let directory = Directory::new();
            let folder = directory.path.join("data/users");
            let mut expected = Vec::new();
            for nth in [1, 2] {
                let task = format!("{disposition}-{nth}");
                // Killed in the middle of the batch after so many.
                for batches in [0, 2, 1] {
                    let mut child = start(&directory, &task);
                    child.wait_for("holding");
                    (0..batches).for_each(|_| child.wait_for("committed"));
                    child.kill();
                    assert_eq!(entries(&directory.path.join("data/_dlt_loads")), nth - 1);
                }
                let before = entries(&folder);
                let mut child = start(&directory, &task);
                match moved {
                    None => child.wait_for("publishing"),
                    Some(moved) => while entries(&folder) < before + moved && !child.has_ended() {},
                }
                child.kill();
                start(&directory, &task).succeeds();

                if disposition == "replace" {
                    expected.clear();
                }
                expected.push(whole(&task));
                assert_eq!(deliveries(&directory), expected);
                let manifest = directory.manifest();
                assert_eq!(manifest["state"], format!("end of {task}"));
                // No file is there that is not named, and no load is noted twice.
                let named = |table: &Value| table["files"].as_array().unwrap().len();
                let tables = [("users", named(&manifest["tables"][0])), ("users__tags", named(&manifest["tables"][1]))];
                assert_eq!(directory.files(), files([("_dlt_loads", nth), tables[0], tables[1]]));
                assert_eq!(directory.rows("SELECT count(*) FROM {_dlt_loads}"), [nth.to_string()]);
            }
        }
    }
}

#[test]
fn a_second_run_is_told_who_holds_the_directory() {
    let directory = Directory::new();
    let mut child = start(&directory, "hold");
    child.wait_for("holding");
    let error = Loader::begin(&directory.target(), append()).err().unwrap();
    assert_eq!(error.class, Class::Destination);
    assert_eq!(error.message, "another run is writing there");
    let holder = &error.facts.iter().find(|(label, _)| *label == "held by").expect("the holder").1;
    assert!(holder.starts_with(&format!("process {}, since 20", child.id())), "{holder}");
    // Another pipeline is not kept out: its files are its own.
    let other = Options { pipeline: "other".to_owned(), ..append() };
    assert_eq!(counts(&directory.run(other, vec![users("s", &[7], "b")]))[0], ("users", 1, 0, 1));
    child.kill();

    directory.run(append(), vec![users("s", &[1], "a")]);
    let published = directory.run(replace(), vec![users("s", &[2], "c")]);
    assert_eq!(counts(&published), [("users", 1, 1, 1), ("users__tags", 2, 2, 2)]);
    assert_eq!(directory.rows("SELECT id, name FROM {users} ORDER BY id"), ["2|c", "7|b"]);
    assert_eq!(directory.rows("SELECT count(*) FROM {_dlt_loads}"), ["3"]);
}

#[test]
fn a_run_within_this_process_is_kept_out_too_and_one_that_was_overtaken_writes_nothing_more() {
    let directory = Directory::new();
    let (mut late, _) = directory.begin(append());
    late.stage(users("s1", &[1], "late")).unwrap();
    late.commit().unwrap();
    late.stage(users("s2", &[2], "late")).unwrap();
    assert!(Loader::begin(&directory.target(), append()).is_err());

    // Somebody removes the lock.
    fs::remove_file(directory.ours().join("lock")).unwrap();
    let (mut next, resumed) = directory.begin(append());
    assert_eq!((resumed.run, resumed.state.as_deref()), (2, Some("s1")));
    let error = late.commit().unwrap_err();
    assert_eq!(error.class, Class::Destination);
    assert!(error.message.contains("another run took over"), "{error}");
    assert!(late.publish("late").unwrap_err().message.contains("another run took over"));
    next.stage(users("s2", &[2], "next")).unwrap();
    next.publish("end").unwrap();
    assert_eq!(directory.rows("SELECT id, name FROM {users} ORDER BY id"), ["1|late", "2|next"]);
}

#[test]
fn a_full_disk_loses_nothing() {
    let directory = Directory::new();
    // The shell lets no file grow beyond so many blocks of 512 bytes; a write beyond fails as on a full disk.
    let limited = |blocks: u32| {
        let mut shell = Command::new("sh");
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        shell.arg("-c").arg(script).arg(env::current_exe().unwrap());
        Child::of(&mut Child::command(shell, &directory.target(), "append-1")).output()
    };
    // The manifest grows with each commit, so each run comes further than the one before.
    let mut ended = [false; 3];
    for blocks in 1.. {
        let output = limited(blocks);
        if output.contains("published") {
            break;
        }
        assert!(output.contains("make room: what was committed is kept"), "{output}");
        let stage = ["holding", "publishing"].iter().filter(|stage| output.contains(**stage)).count();
        ended[stage] = true;
    }
    assert_eq!(ended, [true; 3], "at the beginning, at a commit, and at the publication");
    assert_eq!(deliveries(&directory), [whole("append-1")]);
}

#[test]
fn a_strict_run_that_was_interrupted_leaves_nothing_of_itself() {
    let directory = Directory::new();
    directory.run(append(), vec![users("s0", &[1], "old")]);
    let before = directory.files();
    let change = Change {
        resource: "users".to_owned(),
        table: "users".to_owned(),
        column: Some("age".to_owned()),
        kind: ChangeKind::Variant,
        count: 1,
        sample: "\"n/a\"".to_owned(),
    };
    let (mut loader, _) = directory.begin(append());
    loader.stage(Batch { changes: vec![change.clone()], ..users("s1", &[2], "new") }).unwrap();
    loader.commit().unwrap();
    drop(loader);

    // One that is not strict tells it.
    let (loader, _) = directory.begin(append());
    let error = loader.refuse(Vec::new()).err().unwrap();
    assert_eq!(error.class, Class::Source);
    assert_eq!(directory.files(), before);
    let (loader, resumed) = directory.begin(append());
    assert_eq!((resumed.state.as_deref(), resumed.interrupted), (Some("done"), None));
    let mut loader = loader.refuse(Vec::new()).unwrap();
    loader.stage(Batch { changes: vec![change.clone()], ..users("s1", &[2], "new") }).unwrap();
    assert_eq!(loader.publish("done").unwrap().changes.list(), [change]);
}
