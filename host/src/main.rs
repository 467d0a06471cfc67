//! The `spile` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    share_one_arena();
    spile_host::cli::main()
}

/// Batches are made on one thread and freed on another. With an arena for each thread, glibc keeps half as much memory again as a run
/// of a million records needs, and more the longer it lasts; with one, a run takes no longer.
fn share_one_arena() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it sets a number, before there is another thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}
