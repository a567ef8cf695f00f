//! The walls around a worker, built by the worker itself before it reads anything that a task wrote.
//!
//! Limits on address space, processor time, files and core dumps always; Landlock (no file but the named ones, nothing writable) and a
//! system-call allow-list (no sockets, no other programs, no new processes) where the kernel has them.
//! What a kernel lacks is reported, never passed over: [`Containment::gaps`] is what `delta-node check` prints.

mod seccomp;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::failure::Failure;

/// How well a worker is walled in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Containment {
    /// Address space, processor time, file size, open files and core dumps are limited.
    pub limits: bool,
    /// Landlock: `enforced`, `partly enforced` or why not.
    pub landlock: String,
    /// System-call filter: `enforced` or why not.
    pub seccomp: String,
    /// What the worker tried from inside and whether it was stopped; filled by a probe.
    pub attempts: Vec<Attempt>,
}

/// One attempt to break out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// What was tried, in plain words.
    pub what: String,
    /// Whether it failed, as it should.
    pub stopped: bool,
}

const ENFORCED: &str = "enforced";

impl Containment {
    /// What is missing, one sentence each; empty when the walls stand.
    #[must_use]
    pub fn gaps(&self) -> Vec<String> {
        let mut gaps = Vec::new();
        if !self.limits {
            gaps.push("the worker has no limits on memory and time: setrlimit failed".to_owned());
        }
        if self.landlock != ENFORCED {
            gaps.push(format!("file access of workers is not fully restricted: {}; use a kernel of 6.2 or newer with Landlock", self.landlock));
        }
        if self.seccomp != ENFORCED {
            gaps.push(format!(
                "system calls of workers are not restricted: {}",
                self.seccomp
            ));
        }
        gaps.extend(
            self.attempts
                .iter()
                .filter(|a| !a.stopped)
                .map(|a| format!("a worker could {}", a.what)),
        );
        gaps
    }
}

/// Limits that do not depend on the size of the runtime library: all but memory.
pub(crate) fn limit_early(cpu_seconds: u64) -> Result<(), Failure> {
    limit(Resource::Core, 0, 0)?;
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
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("VmSize:"))
        .unwrap_or_default();
    line.split_whitespace()
        .next()
        .and_then(|kb| kb.parse::<u64>().ok())
        .unwrap_or(0)
        .saturating_mul(1024)
}

/// Closes the file system and the system-call table. Call it while the process has a single thread.
///
/// `library` is about to be loaded: it and the system's libraries stay readable.
pub(crate) fn close_in(readable: &[PathBuf], library: Option<&Path>) -> Containment {
    let landlock =
        landlock(readable, library).unwrap_or_else(|why| format!("not enforced ({why})"));
    let seccomp = seccomp::install().map_or_else(
        |why| format!("not enforced ({why})"),
        |()| ENFORCED.to_owned(),
    );
    Containment {
        limits: true,
        landlock,
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

fn landlock(readable: &[PathBuf], library: Option<&Path>) -> Result<String, String> {
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
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))
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
        RulesetStatus::FullyEnforced => Ok(ENFORCED.to_owned()),
        RulesetStatus::PartiallyEnforced => Ok("partly enforced (older kernel)".to_owned()),
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
