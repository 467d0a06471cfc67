//! What a process and those that it starts have used.

use std::cmp::Ordering;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// How often memory is looked at.
const INTERVAL: Duration = Duration::from_millis(20);

/// What a process has used from its start to its end, with all processes that it started and waited for.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    pub started: Instant,
    /// Seconds.
    pub wall: f64,
    /// Seconds in all threads, in the program and in the kernel.
    pub cpu: f64,
    /// The most memory at one time, in bytes.
    pub peak: u64,
}

/// Runs a command to its end; the status is the error where it fails.
pub fn of(command: &mut Command) -> Result<Usage, ExitStatus> {
    let start = Instant::now();
    #[allow(clippy::zombie_processes, reason = "`wait4` waits for it, and tells what it used")]
    let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let has_ended = AtomicBool::new(false);
    let (status, used, wall, peak) = thread::scope(|scope| {
        let memory = scope.spawn(|| {
            let mut peak = 0;
            while !has_ended.load(Relaxed) {
                peak = peak.max(memory(child.id()));
                thread::sleep(INTERVAL);
            }
            peak
        });
        let (status, used) = wait(child.id());
        let wall = start.elapsed();
        has_ended.store(true, Relaxed);
        (status, used, wall, memory.join().unwrap())
    });
    if !status.success() {
        return Err(status);
    }
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Ok(Usage { started: start, wall: wall.as_secs_f64(), cpu: seconds(used.ru_utime) + seconds(used.ru_stime), peak })
}

/// Waits for a child: its status, and what it and its own children used.
fn wait(process: u32) -> (ExitStatus, libc::rusage) {
    let mut status = 0;
    // SAFETY: all zero is a value of this structure of numbers.
    let mut used = unsafe { std::mem::zeroed() };
    // SAFETY: both places live until the call returns. Nobody else waits for this child.
    let waited = unsafe { libc::wait4(process as i32, &raw mut status, 0, &raw mut used) };
    assert_eq!(waited, process as i32, "{}", std::io::Error::last_os_error());
    (ExitStatus::from_raw(status), used)
}

/// What a process and its descendants hold at this moment, in bytes. Of one process it is the most that it ever held, as the kernel
/// keeps it, so that no peak is missed; of several the sum of their shares, in which a page that two of them have counts half for each.
fn memory(process: u32) -> u64 {
    let processes = tree(process);
    let of = |process: &u32, file: &str, field: &str| {
        let text = fs::read_to_string(format!("/proc/{process}/{file}")).ok()?;
        let rest = text.lines().find_map(|line| line.strip_prefix(field))?;
        rest.split_whitespace().next()?.parse::<u64>().ok()
    };
    let kilobytes = match &processes[..] {
        [alone] => of(alone, "status", "VmHWM:"),
        several => Some(several.iter().filter_map(|process| of(process, "smaps_rollup", "Pss:")).sum()),
    };
    // One that has ended holds nothing.
    kilobytes.unwrap_or_default() * 1024
}

/// A process and its descendants.
fn tree(process: u32) -> Vec<u32> {
    let mut processes = vec![process];
    let mut at = 0;
    while let Some(process) = processes.get(at) {
        let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
        let children = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
        let children: Vec<u32> =
            children.flat_map(|text| text.split_whitespace().flat_map(str::parse).collect::<Vec<_>>()).collect();
        processes.extend(children);
        at += 1;
    }
    processes
}

/// The middle one.
pub fn median<T: PartialOrd>(values: impl Iterator<Item = T>) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort_by(|one, other| one.partial_cmp(other).unwrap_or(Ordering::Equal));
    values.swap_remove(values.len() / 2)
}
