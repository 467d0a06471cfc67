//! Runs that are cut off after every commit and at any instant: the next one makes good, and reads hardly anything again.
//!
//! The resources are parents and children, merged, appended without a key, and replaced.

use std::{
    env,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{self, Command},
    thread,
    time::{Duration, Instant},
};

use mock_api::{MockApi, Options};
use spile_host::{
    COMPONENT,
    destination::{self, Access, Resources, Target},
    gate::Secrets,
    load::Ledger,
    pipeline::Pipeline,
    run::{self, Event, Run},
    sandbox::{CodeCache, Host, HostOptions},
    tenant::Tenant,
};

use crate::{
    dice::Dice,
    program::{PROGRAM, own_cache},
    server,
    setting::{DATASET, SHIPPED, wait_until_held},
    tables::Tables,
};

const WINDOW: u32 = 4;

/// A commit for every second page or so.
const COMMIT_ROWS: usize = 40;

fn options() -> Options {
    Options {
        apps: 4,
        datasets: 30,
        models: 2,
        versions: 2,
        workflows: 12,
        inputs: 70,
        jobs: 30,
        concepts: 45,
        latency_ms: 2,
        ..Options::default()
    }
}

/// An API, and a folder with the pipeline's file; databases are made as they are needed.
struct Stage {
    api: MockApi,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new(options: Options) -> Self {
        let stage = Self { api: MockApi::start(options).unwrap(), folder: tempfile::tempdir().unwrap() };
        own_cache(stage.folder.path());
        let mut text = std::fs::read_to_string(SHIPPED).unwrap();
        text = text.replace("https://api.example.com", stage.api.base_url());
        text = text.replace("    primary_key: id\n    write_disposition: merge\n", "");
        for (resource, disposition) in [
            ("applications", "primary_key: id\n      write_disposition: merge"),
            ("datasets", "write_disposition: append"),
            ("models", "primary_key: id\n      write_disposition: replace"),
            ("model_versions", "primary_key: id\n      write_disposition: { disposition: merge, strategy: upsert }"),
            ("workflows", "primary_key: id\n      write_disposition: append"),
            ("app_inputs", "write_disposition: append"),
            (
                "app_inputs_jobs",
                "primary_key: id\n      write_disposition: { disposition: merge, strategy: insert-only }",
            ),
            ("app_concepts", "write_disposition: replace"),
        ] {
            let name = format!("    - name: {resource}\n");
            assert!(text.contains(&name));
            text = text.replace(&name, &format!("{name}      {disposition}\n"));
        }
        text.push_str(&format!("params: {{ user_id: {} }}\n", stage.api.options().user));
        text.push_str(&format!("policy: {{ allow_private: [\"{}\"] }}\n", stage.api.base_url()));
        std::fs::write(stage.file(), text).unwrap();
        stage
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("pipeline.yaml")
    }

    /// A place that nothing was written to.
    fn database(&self, kind: &str, name: &str) -> String {
        match kind {
            "postgresql" => server::new_database(),
            _ => format!("{kind}:{}", self.folder.path().join(format!("{name}.{kind}")).display()),
        }
    }

    /// The program, as a person calls it.
    fn program(&self, target: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .arg("run")
            .arg(self.file())
            .args(["--to", target, "--dataset", DATASET])
            .args(["--window", &WINDOW.to_string(), "--commit-rows", &COMMIT_ROWS.to_string()])
            .args(["--secret", "api_key=env:SPILE_TEST_TOKEN"])
            .env("SPILE_TEST_TOKEN", &self.api.options().token)
            .env("XDG_CACHE_HOME", self.folder.path().join("cache"))
            .current_dir(self.folder.path());
        command
    }

    /// A run that kills itself after the nth commit; 0 for one that does not. Gives how many commits there were.
    fn run(&self, target: &str, killed_after: u64) -> u64 {
        let output = Command::new(env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "kill::a_run_in_a_process_of_its_own"])
            .env("SPILE_TEST_FILE", self.file())
            .env("SPILE_TEST_TARGET", target)
            .env("SPILE_TEST_ANSWERS", self.folder.path().join("answers"))
            .env("SPILE_TEST_TOKEN", &self.api.options().token)
            .env("SPILE_TEST_KILL", killed_after.to_string())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let is_killed = output.status.signal() == Some(libc::SIGKILL);
        assert_eq!(is_killed, killed_after > 0, "{text}");
        assert!(is_killed || output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        let mut counted = text.lines().filter_map(|line| line.strip_prefix("commits: "));
        counted.next_back().expect(&text).parse().unwrap()
    }

    /// How often pages were asked for again.
    fn repeats(&self) -> u64 {
        self.api.stats().by_target.values().map(|count| count - 1).sum()
    }
}

/// What a run leaves: tables, and the state for the next one.
fn left(target: &str) -> (Tables, Vec<String>) {
    let target = Target::parse(target).unwrap();
    let mut session = destination::open(&target, Access::Read, &Resources::default()).unwrap();
    let states = format!("SELECT status, state FROM {}", session.qualified(DATASET, "_spile_state"));
    let states = session.query(&states, &[]).unwrap();
    let text = |column| arrow_array::cast::AsArray::as_string::<i32>(states[0].column(column)).value(0).to_owned();
    let staged = session.catalog(DATASET).unwrap().staged;
    assert!(staged.is_empty(), "{:?} are left in the staging schema", staged.keys());
    let state = vec![text(0), text(1)];
    drop(session);
    (Tables::of_database(&target, DATASET), state)
}

#[track_caller]
fn assert_whole(target: &str, expected: &(Tables, Vec<String>), when: &str) {
    let found = left(target);
    println!("{when}");
    found.0.assert_equal(&expected.0);
    assert_eq!(found.1, expected.1, "{when}");
}

#[tokio::test]
#[ignore = "a run for the other tests, in a process of its own"]
async fn a_run_in_a_process_of_its_own() {
    let mut pipeline =
        Pipeline::read(Path::new(&env::var_os("SPILE_TEST_FILE").expect("only for other tests"))).unwrap();
    pipeline.destination = env::var("SPILE_TEST_TARGET").unwrap();
    pipeline.dataset = DATASET.to_owned();
    let killed_after: u64 = env::var("SPILE_TEST_KILL").unwrap().parse().unwrap();
    let host = Host::new(HostOptions { code_cache: CodeCache::of_user(), ..HostOptions::default() }).unwrap();
    let connector = host.load(COMPONENT).unwrap();
    let run = Run::new(&Tenant::new("", None), &connector, pipeline).await.unwrap();
    let mut secrets = Secrets::default();
    secrets.set("api_key", env::var("SPILE_TEST_TOKEN").unwrap());
    let options = run::Options {
        window: WINDOW,
        commit_rows: Some(COMMIT_ROWS),
        keep_answers: env::var_os("SPILE_TEST_ANSWERS").map(PathBuf::from),
        ..run::Options::default()
    };
    let mut commits = 0;
    let mut tell = |event: Event<'_>| match event {
        Event::Staged | Event::Publishing => {
            commits += 1;
            println!("commits: {commits}");
            if commits == killed_after {
                // SAFETY: no memory is involved.
                unsafe { libc::kill(process::id().try_into().unwrap(), libc::SIGKILL) };
            }
        }
        Event::Counts(_) | Event::Resumed { .. } | Event::Wait { .. } | Event::Bill(_) => {}
    };
    run.load(&secrets, &options, &mut tell, std::future::pending()).await.unwrap();
}

/// After every commit, or every so many.
fn killed_after_every_commit(kind: &str, step: usize) {
    let stage = Stage::new(options());
    let whole = stage.database(kind, "whole");
    let commits = stage.run(&whole, 0);
    assert!(commits >= 15, "{commits} commits");
    let requests = stage.api.stats().total;
    assert_eq!(stage.repeats(), 0);
    let expected = left(&whole);
    expected.0.assert_equal(&Tables::of_api(&stage.api));

    let mut worst = 0;
    for nth in (1..=commits).step_by(step) {
        let target = stage.database(kind, &nth.to_string());
        stage.api.reset_stats();
        stage.run(&target, nth);
        stage.run(&target, 0);
        let repeats = stage.repeats();
        assert_whole(&target, &expected, &format!("killed after commit {nth} of {commits}: {repeats} pages again"));
        assert!(repeats <= u64::from(WINDOW), "{repeats} pages were asked for again");
        worst = worst.max(repeats);
    }
    println!("{kind}: {commits} commits, {requests} requests; at most {worst} pages were asked for again");
}

#[test]
fn killed_after_every_commit_into_duckdb() {
    killed_after_every_commit("duckdb", 1);
}

#[test]
fn killed_after_commits_into_postgresql() {
    killed_after_every_commit("postgresql", 3);
}

#[test]
fn killed_after_commits_into_sqlite() {
    killed_after_every_commit("sqlite", 3);
}

/// Cuts runs off at instants of which each is as likely as any other, `times` in all; gives how many were cut off before their end. The
/// next run asks again for what was in flight at the most.
fn cut_off_at_any_instant(kind: &str, seed: u64, times: u64, cut: impl Fn(&mut process::Child)) -> u64 {
    let stage = Stage::new(options());
    let whole = stage.database(kind, "whole");
    let quietly = |target: &str| {
        let mut command = stage.program(target);
        command.stdout(process::Stdio::null()).stderr(process::Stdio::null());
        command
    };
    // The first one may compile the component.
    assert!(quietly(&whole).status().unwrap().success());
    let expected = left(&whole);
    expected.0.assert_equal(&Tables::of_api(&stage.api));
    let timed = stage.database(kind, "timed");
    let begun = Instant::now();
    assert!(quietly(&timed).status().unwrap().success());
    let length = begun.elapsed();

    let (mut dice, mut cut_off, mut worst) = (Dice(seed), 0, 0);
    for nth in 1..=times {
        let target = stage.database(kind, &format!("at{nth}"));
        let instant = Duration::from_nanos(dice.roll(length.as_nanos().try_into().unwrap()));
        stage.api.reset_stats();
        let mut running = quietly(&target).spawn().unwrap();
        thread::sleep(instant);
        cut(&mut running);
        let status = running.wait().unwrap();
        if !status.success() && !is_published(&target) {
            cut_off += 1;
            let output = stage.program(&target).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let repeats = stage.repeats();
        let when =
            format!("seed {seed:#x}, number {nth}, cut off after {instant:?} of {length:?}: {repeats} pages again");
        assert_whole(&target, &expected, &when);
        assert!(repeats <= u64::from(WINDOW), "{when}");
        worst = worst.max(repeats);
    }
    println!(
        "{kind}: {cut_off} of {times} runs were cut off before their end; at most {worst} pages were asked for again"
    );
    cut_off
}

/// Whether a run came as far as it can, though it may have been cut off on its last steps.
fn is_published(target: &str) -> bool {
    let target = Target::parse(target).unwrap();
    let Ok(mut ledger) = Ledger::open(&target, Access::Read, DATASET, "ai_platform") else { return false };
    !ledger.runs().unwrap().is_empty()
}

fn kill(running: &mut process::Child) {
    // Without effect on a process that has ended.
    let _ = running.kill();
}

#[test]
fn killed_at_any_instant_into_duckdb() {
    let cut_off = thread::scope(|scope| {
        let halves = [0x5eed_5b11, 0x5eed_5b12]
            .map(|seed| scope.spawn(move || cut_off_at_any_instant("duckdb", seed, 100, kill)));
        halves.map(|half| half.join().unwrap()).iter().sum::<u64>()
    });
    assert!(cut_off >= 100, "{cut_off} of 200");
}

#[test]
fn killed_at_any_instant_into_the_others() {
    for kind in ["postgresql", "sqlite"] {
        let cut_off = cut_off_at_any_instant(kind, 0x5eed_5b13, 12, kill);
        assert!(cut_off >= 4, "{cut_off} of 12");
    }
}

/// The server ends the run's connection.
#[test]
fn the_connection_is_cut_at_any_instant() {
    let cut_off = cut_off_at_any_instant("postgresql", 0x5eed_5b14, 20, |running| {
        let server = Target::parse(&server::address("spile")).unwrap();
        let mut session = destination::open(&server, Access::Write, &Resources::default()).unwrap();
        let who = format!("spile, process {} %", running.id());
        let sql = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE application_name LIKE $1";
        session.query(sql, &[destination::Value::Text(Some(&who))]).unwrap();
    });
    assert!(cut_off >= 6, "{cut_off} of 20");
}

/// A file system of its own with little room, in a name space of mounts that only these processes have.
#[cfg(target_os = "linux")]
#[test]
fn the_disk_is_full() {
    for (kind, room) in [("duckdb", "700k"), ("sqlite", "200k")] {
        let stage = Stage::new(options());
        let whole = stage.database(kind, "whole");
        assert!(stage.program(&whole).output().unwrap().status.success());
        stage.api.reset_stats();
        let folder = stage.folder.path().join("small");
        std::fs::create_dir(&folder).unwrap();
        let program = stage.program(&format!("{kind}:small/out"));
        let script = format!(
            "mount -t tmpfs -o size={room} tmpfs small && {{ \"$@\" >first 2>&1; echo \"first: $?\"; \
             mount -o remount,size=64m small && \"$@\" >second 2>&1; echo \"second: $?\"; cp small/out out; }}"
        );
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c", &script, "sh"]);
        command.arg(program.get_program()).args(program.get_args()).current_dir(stage.folder.path());
        for (name, value) in program.get_envs() {
            command.env(name, value.unwrap());
        }
        let output = command.output().expect("unshare, of util-linux");
        let read = |name| std::fs::read_to_string(stage.folder.path().join(name)).unwrap_or_default();
        let (first, second) = (read("first"), read("second"));
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(
            told,
            "first: 5\nsecond: 0\n",
            "{kind}\n{first}\n{second}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(!first.contains("could not be kept"), "of the loader's failure nothing follows: {first}");
        let target = format!("{kind}:{}", stage.folder.path().join("out").display());
        assert_whole(&target, &left(&whole), kind);
        assert!(stage.repeats() <= u64::from(WINDOW), "{} pages were asked for again", stage.repeats());
    }
}

#[test]
fn of_two_runs_at_once_one_is_told_who_goes_first() {
    for kind in ["duckdb", "postgresql", "sqlite"] {
        let stage = Stage::new(options());
        let (whole, target) = (stage.database(kind, "whole"), stage.database(kind, "both"));
        assert!(stage.program(&whole).output().unwrap().status.success());
        stage.api.reset_stats();
        // So that the first run lasts for as long as this test needs to stop it.
        stage.api.set_options(Options { latency_ms: 200, ..options() });
        let quiet = || process::Stdio::null();
        let mut first = stage.program(&target).stdout(quiet()).stderr(quiet()).spawn().unwrap();
        assert!(stage.api.wait_until(Duration::from_secs(60), |stats| stats.total > 0));
        wait_until_held(&Target::parse(&target).unwrap());
        let signal = |signal| {
            // SAFETY: no memory is involved, and the process was not waited for yet.
            assert_eq!(unsafe { libc::kill(first.id().try_into().unwrap(), signal) }, 0);
        };
        // It stands still, so that it is still there when the second one comes.
        signal(libc::SIGSTOP);
        let second = stage.program(&target).output().unwrap();
        stage.api.set_options(options());
        signal(libc::SIGCONT);
        let told = String::from_utf8_lossy(&second.stderr).into_owned();
        assert_eq!(second.status.code(), Some(5), "{kind}: {told}");
        let number = first.id().to_string();
        assert!(told.contains("held by") && told.contains(&number), "{kind}: {told}");
        assert!(first.wait().unwrap().success());
        assert_whole(&target, &left(&whole), kind);
    }
}
