//! `kill -9` at any moment leaves the old tables or the new ones.

use std::{
    env,
    io::{BufRead, BufReader, Lines},
    process::{self, ChildStdout, Command, Stdio},
};

use spile_host::{
    Error,
    destination::{Tables, Target},
    load::{Loader, Options},
};

use crate::{
    parquet,
    rows::{Database, Kind, merge_users, users},
};

const TARGET: &str = "SPILE_TEST_TARGET";
const TASK: &str = "SPILE_TEST_TASK";
pub const BATCHES: i64 = 16;
pub const ROWS: i64 = 50;

/// This program again, with a task that ends with its process.
pub struct Child {
    process: process::Child,
    output: Lines<BufReader<ChildStdout>>,
}

impl Child {
    pub fn start(target: &Target, task: &str) -> Self {
        let program = Command::new(env::current_exe().unwrap());
        Self::of(&mut Self::command(program, target, task))
    }

    /// What is to be said to this program, or to a shell that ends with it, for a task.
    pub fn command(mut program: Command, target: &Target, task: &str) -> Command {
        program
            .args(["--ignored", "--exact", "--nocapture", "crash::a_task_in_a_process_of_its_own"])
            .env(TARGET, target.to_string())
            .env(TASK, task);
        program
    }

    pub fn of(command: &mut Command) -> Self {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, output }
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Reads its output up to a line with this text; `false` where there is none.
    fn reaches(&mut self, text: &str) -> bool {
        self.output.by_ref().any(|line| line.unwrap().contains(text))
    }

    pub fn wait_for(&mut self, text: &str) {
        assert!(self.reaches(text), "the child ended before it said {text:?}");
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some()
    }

    /// The rest of its output.
    pub fn output(mut self) -> String {
        let output = self.output.by_ref().map(|line| line.unwrap() + "\n").collect();
        self.process.wait().unwrap();
        output
    }

    /// `SIGKILL`.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub fn succeeds(mut self) {
        while self.output.next().is_some() {}
        assert!(self.process.wait().unwrap().success());
    }
}

#[test]
#[ignore = "a task for the other tests, in a process of its own"]
fn a_task_in_a_process_of_its_own() {
    let target = Target::parse(&env::var(TARGET).expect("only started by other tests")).unwrap();
    let task = env::var(TASK).unwrap();
    let mut options = options_of(&target, &task);
    options.commit_rows = Some(1);
    let refused = |error: Error| -> ! {
        println!("{error}; {}", error.advice.as_deref().unwrap_or_default());
        process::exit(i32::from(error.class.exit_code()));
    };
    let (mut loader, resumed) = Loader::begin(&target, options).unwrap_or_else(|error| refused(error));
    println!("holding");
    if task == "hold" {
        // Until standard input ends, which it does with the parent at the latest.
        std::io::stdin().lines().for_each(drop);
        return;
    }
    // What is merged twice is there once, but not what is appended.
    if matches!(target, Target::Parquet { .. }) && resumed.state.as_deref() == Some(&format!("end of {task}")) {
        println!("published before");
        return;
    }
    // The state is the name of the delivery and the next batch of it.
    let next = resumed.state.as_deref().and_then(|state| state.strip_prefix(&format!("{task}:"))?.parse().ok());
    for index in next.unwrap_or(0)..BATCHES {
        let ids: Vec<_> = (index * ROWS..(index + 1) * ROWS).collect();
        loader.stage(users(&format!("{task}:{}", index + 1), &ids, &task)).unwrap_or_else(|error| refused(error));
        println!("committed {index}");
    }
    println!("publishing");
    loader.publish(&format!("end of {task}")).unwrap_or_else(|error| refused(error));
    println!("published");
}

fn options_of(target: &Target, task: &str) -> Options {
    match target {
        Target::Parquet { .. } => parquet::users_by(parquet::disposition_of(task)),
        _ => merge_users(),
    }
}

/// How many users and tags there are of each delivery.
fn deliveries(database: &Database) -> Vec<String> {
    if !database.tables("data").contains(&"users".to_owned()) {
        return Vec::new();
    }
    let rows = database.rows(
        "SELECT name, count(*), count(DISTINCT id), (SELECT count(*) FROM data.users__tags WHERE value LIKE name || '%') \
         FROM data.users GROUP BY name ORDER BY name",
    );
    assert_eq!(database.rows("SELECT count(*) FROM data.users__tags")[0], (2 * BATCHES * ROWS).to_string());
    rows
}

fn a_killed_run_shows_nothing_and_the_next_one_goes_on(kind: Kind) {
    let database = Database::new(kind);
    let whole = |name: &str| vec![format!("{name}|{0}|{0}|{1}", BATCHES * ROWS, 2 * BATCHES * ROWS)];
    let mut before = Vec::new();
    for name in ["first", "second"] {
        // Killed in the middle of the batch after so many.
        for batches in [0, 1, 2, 1, 3, 1] {
            let mut child = Child::start(&database.target(), name);
            child.wait_for("holding");
            (0..batches).for_each(|_| child.wait_for("committed"));
            child.kill();
            assert_eq!(deliveries(&database), before);
        }
        // Killed while it publishes, as long as it does not come to the end of it.
        for _ in 0..3 {
            let mut child = Child::start(&database.target(), name);
            child.wait_for("publishing");
            child.kill();
            let found = deliveries(&database);
            assert!(found == before || found == whole(name), "{found:?}");
        }
        Child::start(&database.target(), name).succeeds();
        before = whole(name);
        assert_eq!(deliveries(&database), before);
    }
    assert_eq!(database.rows("SELECT state, status FROM data._spile_state"), ["end of second|done"]);
    assert_eq!(database.tables(Tables::Staged("data")), Vec::<String>::new());
}

crate::on_every_database!(a_killed_run_shows_nothing_and_the_next_one_goes_on,);
