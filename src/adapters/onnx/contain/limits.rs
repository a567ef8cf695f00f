//! Limits that the kernel keeps on a worker, whatever it does.

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::failure::Failure;

/// Processes and threads that a user's other programs may still start while a worker runs, so that its own threads fit in.
const SPARE_PROCESSES: u64 = 1024;

/// Limits that do not depend on the size of the runtime library: all but memory.
pub(crate) fn limit_early(cpu_seconds: u64) -> Result<(), Failure> {
    limit(Resource::Core, 0, 0)?;
    if processes_are_limited() {
        let processes = processes_of_this_user().saturating_add(SPARE_PROCESSES);
        limit(Resource::Nproc, processes, processes)?;
    }
    limit(Resource::Fsize, 0, 0)?;
    limit(Resource::Nofile, 256, 256)?;
    limit(Resource::Cpu, cpu_seconds, cpu_seconds.saturating_add(5))
}

/// Address space that a runtime library takes: its code, its threads' stacks and heaps. Measured below 200 MiB.
const LIBRARY_BYTES: u64 = 256 << 20;

/// Limits the address space to what is in use now, what a library still to be loaded takes, and `more` bytes on top.
pub(crate) fn limit_memory(more: u64, library: bool) -> Result<(), Failure> {
    let total = address_space()
        .saturating_add(more)
        .saturating_add(if library { LIBRARY_BYTES } else { 0 });
    limit(Resource::As, total, total)
}

fn limit(resource: Resource, current: u64, maximum: u64) -> Result<(), Failure> {
    // A lower limit that the node itself was started with stays.
    let old = rustix::process::getrlimit(resource)
        .maximum
        .unwrap_or(u64::MAX);
    let wanted = Rlimit {
        current: Some(current.min(old)),
        maximum: Some(maximum.min(old)),
    };
    setrlimit(resource, wanted)
        .map_err(|e| Failure::internal(format!("cannot limit {resource:?}: {e}")))
}

/// Bytes of address space in use, 0 where `/proc` is missing (the limit is then stricter, not looser).
fn address_space() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    number_after(&status, "VmSize:").saturating_mul(1024)
}

/// Processes and threads of this user now: the kernel's limit counts them all.
fn processes_of_this_user() -> u64 {
    let own = rustix::process::getuid().as_raw();
    let entries = std::fs::read_dir("/proc").map(|all| all.filter_map(Result::ok));
    let threads = entries.into_iter().flatten().map(|entry| {
        let mine = entry
            .metadata()
            .is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == own);
        let status = mine
            .then(|| std::fs::read_to_string(entry.path().join("status")).ok())
            .flatten();
        number_after(&status.unwrap_or_default(), "Threads:")
    });
    threads.sum()
}

/// Whether a limit on processes binds this process: the superuser's it does not.
pub(super) fn processes_are_limited() -> bool {
    !rustix::process::getuid().is_root()
}

/// The number on the line of a `/proc` file that begins with `label`; 0 where there is none.
fn number_after(status: &str, label: &str) -> u64 {
    let line = status.lines().find_map(|l| l.strip_prefix(label));
    let word = line.and_then(|l| l.split_whitespace().next());
    word.and_then(|n| n.parse().ok()).unwrap_or(0)
}
