//! Serves the AI-platform API on 127.0.0.1 until it is told to stop.
//!
//! Prints one line, `listening on http://127.0.0.1:PORT`. `GET /_stats` says what was asked, `GET /_expected` what a run
//! must have loaded; neither needs the token.

use clap::Parser;
use mock_api::{Expected, MockApi, Options};
use std::future::Future;
use std::io::{self, Write as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// The AI-platform API as the tests need it: deterministic records on 127.0.0.1, with faults on request.
#[derive(Parser)]
#[command(version)]
struct Program {
    #[command(flatten)]
    options: Options,
    /// Ends when standard input is closed, too: so nothing is left behind where the parent is killed.
    #[arg(long)]
    until_stdin_closes: bool,
    /// Prints a line `TABLE ROWS` for each table that a run must have loaded, and ends.
    #[arg(long)]
    print_expected: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let program = Program::parse();
    if program.print_expected {
        let mut out = io::stdout().lock();
        for (table, rows) in Expected::of(&program.options).tables {
            writeln!(out, "{table} {rows}")?;
        }
        return Ok(());
    }
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let api = MockApi::start(program.options)?;
    let mut out = io::stdout();
    writeln!(out, "listening on {}", api.base_url())?;
    out.flush()?;
    let stdin_closed = program.until_stdin_closes.then(stdin_closed);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = async { if let Some(closed) = stdin_closed { closed.await } else { std::future::pending().await } } => {}
    }
    Ok(())
}

/// Waits for the end of standard input. On a plain thread: a runtime would wait for the blocked read when it ends.
fn stdin_closed() -> impl Future<Output = ()> {
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        // A failed read is an end, too.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        drop(tell);
    });
    // An error says that the sender is gone, which is what is waited for.
    async move { drop::<Result<(), _>>(told.await) }
}
