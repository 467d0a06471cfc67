//! The `spile` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    spile_host::cli::main()
}
