//! Parquet files, read back by DuckDB and by their names.

mod columns;
mod interrupted;

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::Value;
use spile_host::{
    Class,
    destination::{self, Access, Resources, Target, query},
    load::{Batch, Loader, Options, Published, Resumed, WriteDisposition},
};
use tempfile::TempDir;

use crate::rows::{lines, merge, merge_users, options, plan, users};

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
