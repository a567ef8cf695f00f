//! The walls around a worker, built by the worker itself before it reads anything that a task wrote.
//!
//! Descriptors that it was started with are closed; address space, processor time, files, processes and core dumps are limited; Landlock
//! (no file but the named ones, nothing writable) and a system-call allow-list (no sockets, no other programs, no new processes) close
//! the rest. What a kernel lacks is reported, never passed over: a worker that [`Sandbox::Required`] was asked of ends before it reads
//! its job, and [`Containment::gaps`] is what `delta-node check` prints.

mod descriptors;
mod limits;
mod report;
mod seccomp;

use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

pub(crate) use descriptors::close_inherited;
pub(crate) use limits::{limit_early, limit_memory};
use report::ENFORCED;
pub use report::{Attempt, Containment, Sandbox};

/// Closes the file system and the system-call table. Call it while the process has a single thread.
///
/// `library` is about to be loaded: it and the system's libraries stay readable.
pub(crate) fn close_in(
    readable: &[PathBuf],
    library: Option<&Path>,
    descriptors: usize,
) -> Containment {
    // No other process of this user may look into the worker's memory, and nothing of it is written to disk when it crashes.
    let undumpable = set_dumpable_behavior(DumpableBehavior::NotDumpable).is_ok();
    let (landlock, newest) = match landlock(readable, library) {
        Ok(newest) => (ENFORCED.to_owned(), newest),
        Err(why) => (format!("not enforced ({why})"), false),
    };
    let seccomp = seccomp::install().map_or_else(
        |why| format!("not enforced ({why})"),
        |()| ENFORCED.to_owned(),
    );
    Containment {
        limits: true,
        descriptors,
        undumpable,
        processes: limits::processes_are_limited(),
        landlock,
        newest,
        seccomp,
        attempts: Vec::new(),
    }
}

/// Where a library's own libraries lie.
const SYSTEM_LIBRARIES: [&str; 7] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/nix/store",
    "/etc/ld.so.cache",
];

/// Lets the worker read the named files and nothing else; answers whether the kernel knows all that we ask for.
///
/// What the first Landlock (Linux 5.13) knows is demanded: reading, writing, making and removing files, starting programs. What came later
/// (truncation, devices, TCP, signals, abstract sockets) is asked for and may be missing: the system-call filter stops the same.
fn landlock(readable: &[PathBuf], library: Option<&Path>) -> Result<bool, String> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    // What runtimes read to learn the processor's features; public on every machine.
    let system = ["/proc/cpuinfo", "/sys/devices/system/cpu"].map(PathBuf::from);
    let libraries = library.into_iter().flat_map(|l| {
        SYSTEM_LIBRARIES
            .iter()
            .map(PathBuf::from)
            .chain([l.to_owned()])
    });
    let paths: Vec<PathBuf> = readable
        .iter()
        .cloned()
        .chain(system)
        .chain(libraries)
        .filter(|p| p.exists())
        .collect();
    let abi = ABI::V6;
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))
        .map(|r| r.set_compatibility(CompatLevel::BestEffort))
        .and_then(|r| r.handle_access(AccessFs::from_all(abi)))
        .and_then(|r| r.handle_access(AccessNet::from_all(abi)))
        .and_then(|r| r.scope(Scope::from_all(abi)))
        .and_then(landlock::Ruleset::create)
        .and_then(|r| {
            r.add_rules(path_beneath_rules(
                paths,
                AccessFs::ReadFile | AccessFs::ReadDir,
            ))
        })
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(|e| e.to_string())?;
    match status.ruleset {
        // Landlock binds the calling thread and its children; a thread that ran before would be free.
        _ if threads != 1 => Err(format!("{threads} threads were running already")),
        RulesetStatus::FullyEnforced => Ok(true),
        RulesetStatus::PartiallyEnforced => Ok(false),
        RulesetStatus::NotEnforced => Err("the kernel has no Landlock".to_owned()),
    }
}

/// Tries what a hostile graph would try if a runtime let it.
pub(crate) fn attempt_escape() -> Vec<Attempt> {
    let tried = |what: &str, succeeded: bool| Attempt {
        what: what.to_owned(),
        stopped: !succeeded,
    };
    vec![
        tried(
            "read /etc/passwd",
            std::fs::File::open("/etc/passwd").is_ok(),
        ),
        tried("list the root folder", std::fs::read_dir("/").is_ok()),
        tried(
            "create a file in its own folder",
            std::fs::File::create("escape").is_ok(),
        ),
        tried(
            "create a file in /tmp",
            std::fs::File::create_new(format!("/tmp/delta-escape-{}", std::process::id())).is_ok(),
        ),
        tried(
            "open a network socket",
            TcpListener::bind("127.0.0.1:0").is_ok(),
        ),
        tried(
            "empty a file that it may read",
            std::fs::OpenOptions::new()
                .read(true)
                .custom_flags(libc::O_TRUNC)
                .open("/proc/cpuinfo")
                .is_ok(),
        ),
        tried(
            "read another process's memory map",
            std::fs::File::open("/proc/1/maps").is_ok(),
        ),
        tried(
            "start another program",
            Command::new("/bin/true")
                .spawn()
                .map(|mut c| c.wait())
                .is_ok(),
        ),
        tried(
            "raise its own limits",
            setrlimit(
                Resource::Core,
                Rlimit {
                    current: Some(1),
                    maximum: Some(1),
                },
            )
            .is_ok(),
        ),
    ]
}
