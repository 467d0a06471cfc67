//! Parquet files, read back by DuckDB and by their names.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use arrow_array::{ArrayRef, Float64Array};
use serde_json::Value;
use spile_host::{
    Class,
    changes::{Change, ChangeKind},
    destination::{self, Access, DataType, Resources, Target, query},
    load::{Batch, Interrupted, Loader, Options, Published, Resumed, WriteDisposition},
};
use tempfile::TempDir;

use crate::{
    crash::{BATCHES, Child, ROWS},
    rows::{batch, bigint, column, lines, merge, merge_users, options, plan, table, text, things_of_every_type, users},
};

/// An empty directory, and a DuckDB to read its files with.
struct Directory {
    directory: TempDir,
    path: PathBuf,
}

impl Directory {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { path: directory.path().join("files"), directory }
    }

    fn target(&self) -> Target {
        Target::Parquet { directory: self.path.clone() }
    }

    fn begin(&self, options: Options) -> (Loader, Resumed) {
        Loader::begin(&self.target(), options).unwrap_or_else(|error| panic!("{error} ({:?})", error.advice))
    }

    /// A whole run.
    fn run(&self, options: Options, batches: Vec<Batch>) -> Published {
        let (mut loader, _) = self.begin(options);
        for batch in batches {
            loader.stage(batch).unwrap();
        }
        loader.publish("done").unwrap()
    }

    /// A result as lines of text. `{users}` stands for the rows that a reader of `users/*.parquet` finds.
    fn rows(&self, sql: &str) -> Vec<String> {
        let read = format!("read_parquet('{}/data/", self.path.display());
        let sql = sql.replace('{', &read).replace('}', "/*.parquet', union_by_name = true)");
        let reader = Target::DuckDb { path: self.directory.path().join("reader.duckdb") };
        let mut session = destination::open(&reader, Access::Write, &Resources::default()).unwrap();
        lines(&session.query(&sql, &[]).unwrap_or_else(|error| panic!("{sql}: {error}")))
    }

    fn ours(&self) -> PathBuf {
        self.path.join("data/_spile/people")
    }

    fn manifest(&self) -> Value {
        serde_json::from_slice(&fs::read(self.ours().join("manifest.json")).unwrap()).unwrap()
    }

    /// The files that are there, but for the lock and the manifest: by folder, how many.
    fn files(&self) -> BTreeMap<String, usize> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.path.join("data")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if folder != self.ours() {
                    let folder = folder.strip_prefix(self.path.join("data")).unwrap();
                    *found.entry(folder.to_str().unwrap().to_owned()).or_default() += 1;
                }
            }
        }
        found
    }
}

/// Counts of files by folder.
fn files<const N: usize>(counts: [(&str, usize); N]) -> BTreeMap<String, usize> {
    counts.into_iter().map(|(folder, count)| (folder.to_owned(), count)).collect()
}

pub fn users_by(disposition: WriteDisposition) -> Options {
    options(vec![plan("users", disposition, &[])])
}

pub fn disposition_of(task: &str) -> WriteDisposition {
    if task.starts_with("replace") { WriteDisposition::Replace } else { WriteDisposition::Append }
}

fn append() -> Options {
    users_by(WriteDisposition::Append)
}

fn replace() -> Options {
    users_by(WriteDisposition::Replace)
}

fn counts(published: &Published) -> Vec<(&str, u64, u64, u64)> {
    published.tables.iter().map(|table| (table.table.as_str(), table.inserted, table.deleted, table.total)).collect()
}

#[test]
fn append_adds_files_run_after_run() {
    let directory = Directory::new();
    let mut delivery = users("s1", &[1, 2], "a");
    delivery.schema = Some("{\"version\":1}".to_owned());
    let first = directory.run(append(), vec![delivery]);
    assert_eq!(counts(&first), [("users", 2, 0, 2), ("users__tags", 4, 0, 4)]);
    assert_eq!((first.tables[1].parent.as_deref(), first.warnings.len()), (Some("users"), 0));
    let second = directory.run(append(), vec![users("s2", &[2], "b"), users("s3", &[3], "c")]);
    assert_eq!(counts(&second), [("users", 2, 0, 4), ("users__tags", 4, 0, 8)]);
    assert!(second.load_id > first.load_id);

    assert_eq!(directory.rows("SELECT id, name FROM {users} ORDER BY id, name"), ["1|a", "2|a", "2|b", "3|c"]);
    assert_eq!(
        directory.rows("SELECT value, _dlt_parent_id, _dlt_list_idx FROM {users__tags} ORDER BY value LIMIT 2"),
        ["a-1-0|a-1|0", "a-1-1|a-1|1"]
    );
    // What is delivered between two commits is one file.
    assert_eq!(directory.files(), files([("_dlt_loads", 2), ("users", 2), ("users__tags", 2)]));
    assert!(directory.path.join(format!("data/users/{}-1.parquet", first.load_id)).is_file());
    let hash = "GwBWuclzqtnOUpM3MiH2krwThmajHzYM+HkZPd4X2/o=";
    assert_eq!(
        directory.rows("SELECT load_id, schema_name, status, schema_version_hash FROM {_dlt_loads} ORDER BY load_id"),
        [&first, &second].map(|published| format!("{}|people|0|{hash}", published.load_id))
    );
    assert_eq!(directory.rows("SELECT count(*) FROM {_dlt_loads} WHERE inserted_at > now() - INTERVAL 1 hour"), ["2"]);
    let manifest = directory.manifest();
    assert_eq!((&manifest["version"], &manifest["run"], &manifest["status"]), (&1.into(), &2.into(), &"done".into()));
    assert_eq!((&manifest["state"], &manifest["schema"]), (&"done".into(), &"{\"version\":1}".into()));
    // As docs/destinations.md has it.
    let named = format!(
        "SELECT t.\"table\", f.name, f.rows FROM (SELECT unnest(tables) AS t FROM '{}'), unnest(t.files) AS files(f) \
         ORDER BY 1, 2",
        directory.ours().join("manifest.json").display()
    );
    let file = |table: &str, published: &Published, rows| format!("{table}|{}-1.parquet|{rows}", published.load_id);
    assert_eq!(
        directory.rows(&named),
        [("users", &first, 2), ("users", &second, 2), ("users__tags", &first, 4), ("users__tags", &second, 4)]
            .map(|(table, published, rows)| file(table, published, rows))
    );
}

#[test]
fn a_file_that_somebody_removed_is_told_and_forgotten() {
    let directory = Directory::new();
    let first = directory.run(append(), vec![users("s1", &[1, 2], "a")]);
    fs::remove_file(directory.path.join(format!("data/users/{}-1.parquet", first.load_id))).unwrap();
    let second = directory.run(append(), vec![users("s2", &[3], "b")]);
    let gone =
        format!("the file `{}-1.parquet` of the table `users` was there and is gone, with 2 rows", first.load_id);
    assert_eq!(second.warnings, [gone]);
    assert_eq!(counts(&second), [("users", 1, 0, 1), ("users__tags", 2, 0, 6)]);
    assert_eq!(directory.run(append(), Vec::new()).warnings, Vec::<String>::new());
}

#[test]
fn replace_leaves_only_the_new_files_and_the_columns_of_emptied_tables() {
    let directory = Directory::new();
    directory.run(replace(), vec![users("s", &[1, 2], "a")]);
    let mut only_root = users("s", &[3], "b");
    only_root.tables.truncate(1);
    let published = directory.run(replace(), vec![only_root]);
    assert_eq!(counts(&published), [("users", 1, 2, 1), ("users__tags", 0, 4, 0)]);
    assert_eq!(directory.rows("SELECT id, name FROM {users}"), ["3|b"]);
    assert_eq!(directory.rows("SELECT count(value) FROM {users__tags}"), ["0"]);
    assert_eq!(directory.files(), files([("_dlt_loads", 2), ("users", 1), ("users__tags", 1)]));

    // A resource that got nothing.
    let published = directory.run(replace(), Vec::new());
    assert_eq!(counts(&published), [("users", 0, 1, 0), ("users__tags", 0, 0, 0)]);
    assert_eq!(directory.rows("SELECT count(*), count(id) FROM {users}"), ["0|0"]);
    assert_eq!(directory.files(), files([("_dlt_loads", 3), ("users", 1), ("users__tags", 1)]));

    let published = directory.run(replace(), vec![users("s", &[4], "c")]);
    assert_eq!(counts(&published), [("users", 1, 0, 1), ("users__tags", 2, 0, 2)]);
    assert_eq!(directory.files(), files([("_dlt_loads", 4), ("users", 1), ("users__tags", 1)]));
}

#[test]
fn a_run_without_rows_leaves_appended_tables_alone_and_lists_them() {
    let directory = Directory::new();
    let mut options = append();
    options.resources.push(plan("unseen", WriteDisposition::Append, &[]));
    directory.run(options.clone(), vec![users("s", &[1], "a")]);
    let published = directory.run(options, Vec::new());
    assert_eq!(counts(&published), [("users", 0, 0, 1), ("users__tags", 0, 0, 2)]);
    assert_eq!(directory.files(), files([("_dlt_loads", 2), ("users", 1), ("users__tags", 1)]));
}

#[test]
fn a_full_refresh_puts_the_new_files_in_the_place_of_the_old() {
    let directory = Directory::new();
    directory.run(append(), vec![users("s", &[1, 2], "a")]);
    let refresh = Options { full_refresh: true, digest: "refresh".to_owned(), ..append() };
    let published = directory.run(refresh, vec![users("s", &[9], "b")]);
    assert_eq!(counts(&published), [("users", 1, 0, 1), ("users__tags", 2, 0, 2)]);
    assert_eq!(directory.rows("SELECT id, name FROM {users}"), ["9|b"]);
    assert_eq!(directory.rows("SELECT count(*) FROM {users__tags}"), ["2"]);
}

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

#[test]
fn commits_are_made_by_rows_and_each_is_one_file() {
    let directory = Directory::new();
    // One user with two tags is three rows.
    let (mut loader, _) = directory.begin(Options { commit_rows: Some(4), ..append() });
    for (id, state) in [(1, Value::Null), (2, "s2".into()), (3, "s2".into()), (4, "s4".into())] {
        loader.stage(users(&format!("s{id}"), &[id], "a")).unwrap();
        assert_eq!(directory.manifest()["staged_state"], state);
    }
    let published = loader.publish("done").unwrap();
    assert_eq!(counts(&published), [("users", 4, 0, 4), ("users__tags", 8, 0, 8)]);
    assert_eq!(directory.files(), files([("_dlt_loads", 1), ("users", 2), ("users__tags", 2)]));
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
fn merge_is_refused_before_anything_is_made() {
    let directory = Directory::new();
    let error = Loader::begin(&directory.target(), merge_users()).err().unwrap();
    assert_eq!(error.class, Class::Config);
    assert_eq!(error.to_string(), "Parquet files cannot be merged into: rows in a file do not change; resource: users");
    assert!(error.advice.unwrap().contains("`write_disposition: append` or `replace`"));
    assert!(!directory.path.exists());
    assert!(options(vec![plan("users", merge(), &[])]).check(&directory.target()).is_err());
}

#[test]
fn a_name_that_is_not_one_folder_is_refused() {
    let directory = Directory::new();
    let named = |table: &str| options(vec![plan(table, WriteDisposition::Append, &[])]);
    for (options, part) in [
        (named("a/b"), "the table of resource `a/b` is called \"a/b\", which cannot be the name of a folder"),
        (named(".."), "begins with a dot"),
        (named("_spile"), "reserved"),
        (named("_dlt_loads"), "reserved"),
        (Options { dataset: "../data".to_owned(), ..append() }, "the dataset is called \"../data\""),
        (Options { dataset: "_dlt_x".to_owned(), ..append() }, "reserved"),
        (Options { dataset: "_spile".to_owned(), ..append() }, "reserved"),
        (Options { pipeline: "a\\b".to_owned(), ..append() }, "the pipeline is called \"a\\\\b\""),
    ] {
        let error = Loader::begin(&directory.target(), options).err().unwrap();
        assert_eq!(error.class, Class::Config);
        assert!(error.message.contains(part), "{error}");
    }
    assert!(!directory.path.exists());

    let (mut loader, _) = directory.begin(append());
    let mut delivery = users("s", &[1], "a");
    delivery.tables[1].table = "users__../../x".to_owned();
    let error = loader.stage(delivery).unwrap_err();
    assert_eq!(error.class, Class::Internal);
    assert!(error.message.contains("it contains '/'"), "{error}");
    // Nothing of the batch was taken.
    assert_eq!(counts(&loader.publish("done").unwrap()), []);
}

#[test]
fn a_directory_that_cannot_be_one_is_refused() {
    let directory = Directory::new();
    let begin = |path: PathBuf| Loader::begin(&Target::Parquet { directory: path }, append()).err().unwrap();
    let error = begin(directory.path.join("nowhere"));
    assert_eq!(error.class, Class::Config);
    assert_eq!(error.message, "the directory that the destination is in does not exist");
    assert!(error.advice.unwrap().contains("files"));
    fs::write(&directory.path, "").unwrap();
    let error = begin(directory.path.clone());
    assert_eq!(
        (error.class, error.message.as_str()),
        (Class::Config, "the destination is a file; it must be a directory")
    );
    // A file where a folder should be.
    fs::remove_file(&directory.path).unwrap();
    fs::create_dir(&directory.path).unwrap();
    fs::write(directory.path.join("data"), "").unwrap();
    let error = begin(directory.path.clone());
    assert_eq!((error.class, error.message.as_str()), (Class::Destination, "a folder cannot be created"));
    assert!(query(&directory.target(), "SELECT 1").unwrap_err().message.contains("answers no queries"));
}

#[test]
fn a_manifest_that_cannot_be_read_is_not_overwritten() {
    let directory = Directory::new();
    directory.run(append(), vec![users("s", &[1], "a")]);
    let path = directory.ours().join("manifest.json");
    for (text, message) in [
        ("{\"version\": 1, ", "the manifest is not one"),
        ("{\"version\": 1}", "the manifest is not one"),
        ("{\"version\": 2, \"shape\": \"new\"}", "the manifest is of another version of Spile"),
    ] {
        fs::write(&path, text).unwrap();
        let error = Loader::begin(&directory.target(), append()).err().unwrap();
        assert_eq!((error.class, error.message.as_str()), (Class::Destination, message));
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn a_file_in_the_way_is_not_overwritten() {
    let directory = Directory::new();
    let (mut loader, resumed) = directory.begin(append());
    loader.stage(users("s1", &[1], "a")).unwrap();
    let theirs = directory.path.join(format!("data/users/{}-1.parquet", resumed.load_id));
    fs::create_dir(theirs.parent().unwrap()).unwrap();
    fs::write(&theirs, "theirs").unwrap();
    let error = loader.publish("end").unwrap_err();
    assert_eq!(error.class, Class::Destination);
    assert!(error.message.contains("in the way"), "{error}");
    assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");

    fs::remove_file(&theirs).unwrap();
    let (loader, resumed) = directory.begin(append());
    assert_eq!(resumed.state.as_deref(), Some("s1"));
    assert_eq!(counts(&loader.publish("end").unwrap())[0], ("users", 1, 0, 1));
    assert_eq!(directory.rows("SELECT id FROM {users}"), ["1"]);
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
fn every_type_arrives_and_comes_back() {
    let directory = Directory::new();
    let options = || options(vec![plan("things", WriteDisposition::Append, &[])]);
    directory.run(options(), vec![batch("s1", vec![things_of_every_type()])]);
    // The second run declares nothing: the types are those of the first.
    let mut again = things_of_every_type();
    again.new_columns.clear();
    directory.run(options(), vec![batch("s2", vec![again])]);
    assert_eq!(
        directory.rows("SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM {things})"),
        [
            "text|VARCHAR",
            "bigint|BIGINT",
            "double|DOUBLE",
            "boolean|BOOLEAN",
            "timestamp|TIMESTAMP WITH TIME ZONE",
            "decimal|DECIMAL(38,9)",
            "json|JSON",
            "local|TIMESTAMP",
            "date|DATE",
            "time|TIME",
            "binary|BLOB",
            "_dlt_id|VARCHAR",
        ]
    );
    let row = "a|naïve 'quoted' \"日本\"|9223372036854775807|-0.5|true|2023-11-14T22:13:20.123456Z|1.500000001|{\"a\": [1, null]}\
         |2023-11-14T22:13:20.123456|1969-12-31|23:59:59.999999|00ff27";
    assert_eq!(
        directory.rows("SELECT _dlt_id, * EXCLUDE (_dlt_id) FROM {things} ORDER BY _dlt_id"),
        [row, row, "b|-|-|-|-|-|-|-|-|-|-|-", "b|-|-|-|-|-|-|-|-|-|-|-"]
    );
}

fn things() -> Options {
    options(vec![plan("things", WriteDisposition::Append, &[])])
}

#[test]
fn later_batches_and_runs_may_bring_columns_and_leave_columns_out() {
    let directory = Directory::new();
    let (mut loader, _) = directory.begin(things());
    let mut first = table("things", None, vec![("id", bigint(&[1])), ("_dlt_id", text(&[Some("a")]))]);
    // Declared, but not filled yet.
    first.new_columns = vec![
        column("_dlt_id", DataType::Text, false),
        column("id", DataType::Bigint, false),
        column("later", DataType::Double, true),
    ];
    loader.stage(batch("s1", vec![first])).unwrap();
    loader.commit().unwrap();
    let mut second = table("things", None, vec![("x", text(&[Some("[2]")])), ("id", bigint(&[2]))]);
    second.new_columns = vec![column("x", DataType::Json, false)];
    loader.stage(batch("s2", vec![second])).unwrap();
    loader.publish("done").unwrap();
    let third = table("things", None, vec![("id", bigint(&[3]))]);
    let published = directory.run(things(), vec![batch("s3", vec![third])]);
    assert_eq!(counts(&published), [("things", 1, 0, 3)]);
    assert_eq!(
        directory.rows("SELECT _dlt_id, id, later, x, typeof(x) FROM {things} ORDER BY id"),
        ["a|1|-|-|JSON", "-|2|-|[2]|JSON", "-|3|-|-|JSON"]
    );
    // The last file has all columns, so that readers that look at one file only may look at that.
    let last = format!("data/things/{}-1.parquet", published.load_id);
    let columns = format!("SELECT column_name FROM (DESCRIBE SELECT * FROM '{}')", directory.path.join(last).display());
    assert_eq!(directory.rows(&columns), ["_dlt_id", "id", "later", "x"]);
}

#[test]
fn a_table_that_is_declared_and_gets_no_rows_has_its_columns() {
    let directory = Directory::new();
    let mut empty = table("things", None, vec![("id", bigint(&[]))]);
    empty.new_columns = vec![column("id", DataType::Bigint, true), column("name", DataType::Text, true)];
    let published = directory.run(things(), vec![batch("s1", vec![empty])]);
    assert_eq!(counts(&published), [("things", 0, 0, 0)]);
    assert_eq!(directory.rows("SELECT count(id), count(name) FROM {things}"), ["0|0"]);
}

/// Two whole numbers.
fn whole_numbers(state: &str) -> Batch {
    let mut rows = table("things", None, vec![("n", bigint(&[1, 2])), ("_dlt_id", text(&[Some("a"), Some("b")]))]);
    rows.new_columns = vec![column("n", DataType::Bigint, true), column("_dlt_id", DataType::Text, false)];
    batch(state, vec![rows])
}

/// A number of another type, to which the column is widened.
fn wider(state: &str, value: ArrayRef, data_type: DataType) -> Batch {
    let mut rows = table("things", None, vec![("n", value), ("_dlt_id", text(&[Some("c")]))]);
    rows.widened_columns = vec![column("n", data_type, true)];
    batch(state, vec![rows])
}

#[test]
fn a_column_becomes_wider_within_a_run_after_an_interruption_and_in_a_later_run() {
    let half = || wider("s2", Arc::new(Float64Array::from(vec![2.5])), DataType::Double);
    let doubles = ["1.0|DOUBLE", "2.0|DOUBLE", "2.5|DOUBLE"];
    for (commits, ends) in [(false, false), (true, false), (true, true)] {
        let directory = Directory::new();
        let (mut loader, _) = directory.begin(things());
        loader.stage(whole_numbers("s1")).unwrap();
        if commits {
            loader.commit().unwrap();
        }
        if ends {
            drop(loader);
            (loader, _) = directory.begin(things());
        }
        loader.stage(half()).unwrap();
        loader.publish("done").unwrap();
        assert_eq!(directory.rows("SELECT n, typeof(n) FROM {things} ORDER BY _dlt_id"), doubles);
    }
    let directory = Directory::new();
    directory.run(things(), vec![whole_numbers("s1")]);
    directory.run(things(), vec![half()]);
    assert_eq!(directory.rows("SELECT n, typeof(n) FROM {things} ORDER BY _dlt_id"), doubles);
    // Whole numbers that nobody declares go into a column of doubles as doubles.
    let mut again = whole_numbers("s3");
    again.tables[0].new_columns.clear();
    let published = directory.run(things(), vec![again]);
    let last = directory.path.join(format!("data/things/{}-1.parquet", published.load_id));
    assert_eq!(directory.rows(&format!("SELECT DISTINCT typeof(n) FROM '{}'", last.display())), ["DOUBLE"]);
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
