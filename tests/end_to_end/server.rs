//! A PostgreSQL server for the tests of this process, and databases in it.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use spile_host::destination::{self, Access, Resources, Target};

/// Ends when this process does: the script waits for the end of its standard input.
struct Server {
    port: u16,
    _process: Child,
}

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/postgres-server.sh");
    let mut process = Command::new(script)
        .arg(port.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{script}: {error}"));
    let said = BufReader::new(process.stdout.take().unwrap()).lines().next();
    assert!(said.is_some_and(|line| line.unwrap() == "ready"), "no PostgreSQL server: its script says above why");
    Server { port, _process: process }
});

/// The address of a database.
pub fn address(database: &str) -> String {
    format!("postgresql://spile@127.0.0.1:{}/{database}", SERVER.port)
}

/// Creates an empty database; gives its address.
pub fn new_database() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let target = Target::parse(&address("spile")).unwrap();
    let mut session = destination::open(&target, Access::Write, &Resources::default()).unwrap();
    session.run(&format!("CREATE DATABASE {name}"), &[]).unwrap();
    address(&name)
}
