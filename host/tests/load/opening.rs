//! Files that cannot be opened.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::Command,
    time::UNIX_EPOCH,
};
#[cfg(target_os = "linux")]
use std::{os::unix::fs::symlink, path::PathBuf};

use spile_host::{
    Class, Error,
    destination::{self, Access, Resources, Target, query},
    load::Loader,
};

use crate::{
    crash::Child,
    rows::{Database, Kind, merge_users, users},
};

fn begin(path: &Path) -> Error {
    Loader::begin(&Target::DuckDb { path: path.to_owned() }, merge_users()).err().expect("it must not open")
}

#[test]
fn a_missing_directory_is_named() {
    let database = Database::new(Kind::DuckDb);
    let error = begin(&database.directory.path().join("nowhere").join("db.duckdb"));
    assert_eq!(error.class, Class::Config);
    assert_eq!(error.message, "the directory of the database does not exist");
    assert!(error.advice.unwrap().contains("nowhere"));
}

#[test]
fn a_directory_is_not_a_database() {
    let database = Database::new(Kind::DuckDb);
    let error = begin(database.directory.path());
    assert_eq!(
        (error.class, error.message.as_str()),
        (Class::Config, "the destination is a directory; it must be a file")
    );
}

#[test]
fn another_file_is_not_a_database() {
    let database = Database::new(Kind::DuckDb);
    fs::write(&database.path, "name,age\n".repeat(1000)).unwrap();
    let error = begin(&database.path);
    assert_eq!(error.class, Class::Destination);
    assert!(error.to_string().contains("not a valid DuckDB database file"), "{error}");
}

#[test]
fn a_file_that_another_process_holds_names_that_process() {
    let database = Database::new(Kind::DuckDb);
    let mut child = Child::start(&database.target(), "hold");
    child.wait_for("holding");
    let error = begin(&database.path);
    assert_eq!(error.class, Class::Destination);
    assert_eq!(error.message, "another process has the database open");
    let holder = &error.facts.iter().find(|(label, _)| *label == "held by").expect("the holder").1;
    assert!(holder.contains(&child.id().to_string()), "{holder}");
    child.kill();
    database.run(merge_users(), vec![users("s", &[1], "a")]);
}

/// One that was stopped in the middle of a commit does.
#[test]
fn a_run_that_lets_nobody_look_into_its_file_is_named() {
    let database = Database::new(Kind::Sqlite);
    let mut session = destination::open(&database.target(), Access::Write, &Resources::default()).unwrap();
    let (_first, _) = database.begin(merge_users());
    session.run("BEGIN EXCLUSIVE", &[]).unwrap();
    let error = Loader::begin(&database.target(), merge_users()).err().expect("the file is held");
    assert_eq!(error.message, "another run is writing there");
    let holder = &error.facts.iter().find(|(label, _)| *label == "held by").expect("the holder").1;
    assert!(holder.contains(&format!("process {}", std::process::id())), "{holder}");
    session.run("ROLLBACK", &[]).unwrap();
}

#[test]
fn how_a_run_begins_is_foreseen_where_there_is_no_database() {
    for kind in [Kind::DuckDb, Kind::Sqlite] {
        let database = Database::new(kind);
        let mut first = merge_users();
        let foreseen = first.foresee(&database.target()).unwrap().expect("nothing is there");
        assert_eq!((foreseen.run, &foreseen.state), (1, &None));
        let mut second = merge_users();
        second.foresee(&database.target()).unwrap();

        let (mut loader, resumed) = database.begin(first);
        assert_eq!(resumed, foreseen);
        loader.stage(users("s1", &[1], "a")).unwrap();
        loader.publish("s1").unwrap();
        assert_eq!(database.rows("SELECT load_id FROM data._dlt_loads"), [foreseen.load_id]);

        // What was foreseen of the second holds no longer.
        let error = Loader::begin(&database.target(), second).err().expect("it must not begin");
        assert_eq!(error.class, Class::Destination);
        assert_eq!(error.message, "another run made the database while this one began");
        // Of one that begins now nothing is foreseen.
        let mut third = merge_users();
        assert_eq!(third.foresee(&database.target()).unwrap(), None);
        let (_loader, resumed) = database.begin(third);
        assert_eq!(resumed.state.as_deref(), Some("s1"));
    }
    let directory = tempfile::tempdir().unwrap();
    let nowhere = Target::DuckDb { path: directory.path().join("nowhere").join("db.duckdb") };
    assert_eq!(merge_users().foresee(&nowhere).unwrap_err().class, Class::Config);
}

#[test]
fn a_file_whose_making_was_cut_off_is_made_anew() {
    let whole = Database::new(Kind::DuckDb);
    whole.run(merge_users(), vec![users("s", &[1], "a")]);
    let bytes = fs::read(&whole.path).unwrap();
    for headers in 0..3 {
        let database = Database::new(Kind::DuckDb);
        fs::write(&database.path, &bytes[..headers * 4096]).unwrap();
        database.run(merge_users(), vec![users("s", &[1], "a")]);
        assert_eq!(database.rows("SELECT count(*) FROM data.users"), ["1"]);
    }
}

#[test]
fn a_file_in_the_making_is_left_to_who_makes_it() {
    let database = Database::new(Kind::DuckDb);
    let mut child = Child::start(&database.target(), "hold");
    child.wait_for("holding");
    // As if it stood still since before the second header.
    let file = File::options().write(true).open(&database.path).unwrap();
    file.set_len(4096).unwrap();
    file.set_modified(UNIX_EPOCH).unwrap();
    assert_eq!(begin(&database.path).message, "another process has the database open");
    assert_eq!(fs::metadata(&database.path).unwrap().ino(), file.metadata().unwrap().ino());
    child.kill();
}

#[test]
fn no_session_takes_the_room_of_another() {
    let database = Database::new(Kind::DuckDb);
    let (mut one, mut other) = (database.hold_open(), database.hold_open());
    let limit = || database.rows("SELECT current_setting('memory_limit')");
    one.make_room(100).unwrap();
    let wide = limit();
    other.make_room(10).unwrap();
    assert_eq!(limit(), wide);
    other.make_room(200).unwrap();
    assert_ne!(limit(), wide);
}

#[test]
fn a_query_reads_only() {
    let database = Database::new(Kind::DuckDb);
    let error = query(&database.target(), "SELECT 1").unwrap_err();
    assert_eq!(error.message, "the database does not exist");
    database.run(merge_users(), vec![users("s", &[1], "a")]);
    let error = query(&database.target(), "DELETE FROM data.users").unwrap_err();
    assert!(error.message.contains("read-only"), "{error}");
    let error = query(&database.target(), "SELEKT").unwrap_err();
    assert_eq!(error.message, "DuckDB refused: Parser Error: syntax error at or near \"SELEKT\"");
}

/// What a process says that tries to open a database where no driver is installed.
fn without_driver(variables: &[(&str, &OsStr)]) -> String {
    without_driver_in(&env::current_exe().unwrap(), variables)
}

/// The same, in a process of a copy of this program.
fn without_driver_in(program: &Path, variables: &[(&str, &OsStr)]) -> String {
    let database = Database::new(Kind::DuckDb);
    let nowhere = database.directory.path().as_os_str();
    let bare =
        [("HOME", nowhere), ("XDG_DATA_HOME", nowhere), ("XDG_CONFIG_HOME", nowhere), ("ADBC_DRIVER_PATH", nowhere)];
    let empty = [("SPILE_ADBC_DUCKDB", OsStr::new(""))];
    let variables: Vec<_> = bare.into_iter().chain(empty).chain(variables.iter().copied()).collect();
    let output = Child::of(Child::command(Command::new(program), &database.target(), "open").envs(variables)).output();
    assert_eq!(database.path.exists(), output.contains("published"), "{output}");
    output
}

#[test]
fn a_missing_driver_is_named_with_the_ways_to_get_it() {
    let output = without_driver(&[]);
    assert!(output.contains("there is no ADBC driver for DuckDB; looked in: "), "{output}");
    assert!(
        output.contains("run `./justw setup` in Spile's folder, or let SPILE_ADBC_DUCKDB name the library"),
        "{output}"
    );
    let output = without_driver(&[("SPILE_ADBC_DUCKDB", OsStr::new("/nowhere/libduckdb.so"))]);
    assert!(output.contains("the driver that SPILE_ADBC_DUCKDB names cannot be loaded"), "{output}");
    assert!(output.contains("/nowhere/libduckdb.so"), "{output}");
}

/// The library of DuckDB that this process has loaded.
#[cfg(target_os = "linux")]
fn library() -> PathBuf {
    let database = Database::new(Kind::DuckDb);
    let (_loader, _) = database.begin(merge_users());
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let library =
        maps.lines().filter_map(|line| line.find('/').map(|at| &line[at..])).find(|path| path.contains("duckdb.so"));
    library.expect("a loaded library of DuckDB").into()
}

#[cfg(target_os = "linux")]
#[test]
fn a_driver_can_be_named_by_its_library() {
    let output = without_driver(&[("SPILE_ADBC_DUCKDB", library().as_os_str())]);
    assert!(output.contains("published"), "{output}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_package_brings_drivers_beside_its_program() {
    // In Cargo's folder, where this program can have another name.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let package = directory.path().join("package");
    let (programs, drivers) = (package.join("bin"), package.join("share").join("spile").join("drivers"));
    fs::create_dir_all(&programs).unwrap();
    fs::create_dir_all(&drivers).unwrap();
    fs::hard_link(env::current_exe().unwrap(), programs.join("program")).unwrap();
    let linked = directory.path().join("program");
    symlink(programs.join("program"), &linked).unwrap();
    let output = without_driver_in(&linked, &[]);
    assert!(output.contains(&format!("looked in: {}", drivers.display())), "{output}");
    // The library alone: a manifest would have to name it by its absolute path.
    symlink(library(), drivers.join("libduckdb.so")).unwrap();
    let output = without_driver_in(&linked, &[]);
    assert!(output.contains("published"), "{output}");
}
