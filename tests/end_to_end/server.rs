//! Servers that tests start of their own: any that a script starts, and a PostgreSQL server for all tests of this process, with its databases.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use spile_host::destination::{self, Access, Resources, Target};

/// A server of a script in `scripts`, on a port of its own. It ends when its standard input does, and so when this process does.
pub struct Server {
    pub port: u16,
    process: Child,
}

impl Server {
    /// Starts it, and waits until it is ready. The script takes the port, and these arguments.
    pub fn start(script: &str, arguments: &[&Path]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut process = Command::new(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts")).join(script))
            .arg(port.to_string())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{script}: {error}"));
        let said = BufReader::new(process.stdout.take().unwrap()).lines().next();
        assert!(said.is_some_and(|line| line.unwrap() == "ready"), "{script} started no server: it says above why");
        Self { port, process }
    }
}

/// Waits until nothing of it is left.
impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

static SERVER: LazyLock<Server> = LazyLock::new(|| Server::start("postgres-server.sh", &[]));

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
