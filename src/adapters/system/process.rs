//! This process itself: what it leaves behind, and who may look into it.

use std::ffi::OsString;
use std::fs::{OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit, umask,
};

use super::files::{is_absent, make_folder};

/// Makes what this process writes its owner's alone (files 0600, folders 0700), and keeps its memory to itself: no core dumps, and no
/// looking in for other programs of the same user. Call it before anything is written.
///
/// Answers what could not be done, one sentence each.
#[must_use]
pub fn harden_process() -> Vec<String> {
    umask(Mode::RWXG | Mode::RWXO);
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let cores = setrlimit(Resource::Core, none);
    let closed = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let failed = [
        (
            cores,
            "a crash may leave this node's memory, keys included, in a core file",
        ),
        (
            closed,
            "other programs of this user can read this node's memory",
        ),
    ];
    failed
        .into_iter()
        .filter_map(|(outcome, what)| outcome.err().map(|e| format!("{what}: {e}")))
        .collect()
}

/// Lets this process have `wanted` files and connections open at the same time, or as many as the system allows it; answers how many.
#[must_use]
pub fn allow_open_files(wanted: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let now = limit.current.unwrap_or(u64::MAX);
    let raised = limit.maximum.map_or(wanted, |most| most.min(wanted));
    if raised <= now {
        return now;
    }
    let raise = Rlimit {
        current: Some(raised),
        ..limit
    };
    match setrlimit(Resource::Nofile, raise) {
        Ok(()) => raised,
        Err(_) => now,
    }
}

/// Makes an empty file and its folder for their owner only; takes other users' permissions from a file that is there already, and from
/// what SQLite keeps beside it.
///
/// # Errors
/// The folder or the file cannot be made or changed.
pub fn make_private_file(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
        Ok(_) | Err(_) => {}
    }
    for end in ["", "-wal", "-shm"] {
        let mut name = OsString::from(path);
        name.push(end);
        let file = PathBuf::from(name);
        match std::fs::set_permissions(&file, Permissions::from_mode(0o600)) {
            Err(e) if !is_absent(&e) => return Err(e),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Bytes that are free for this user where `folder` lies; `None` where that cannot be found out.
#[must_use]
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_open_files_are_only_raised() {
        let had = allow_open_files(1);
        assert!(had > 1, "nothing is taken away");
        assert!(allow_open_files(had) >= had);
        assert_eq!(getrlimit(Resource::Nofile).current.unwrap_or(had), had);
    }

    #[test]
    fn a_database_is_its_owners_alone_new_or_old() {
        let home = tempfile::tempdir().unwrap();
        let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
        let old = home.path().join("old.db");
        let log = home.path().join("old.db-wal");
        for file in [&old, &log] {
            std::fs::write(file, "rows").unwrap();
            std::fs::set_permissions(file, Permissions::from_mode(0o644)).unwrap();
        }
        make_private_file(&old).unwrap();
        assert_eq!((mode(&old), mode(&log)), (0o600, 0o600));
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "rows");
        let new = home.path().join("deep/new.db");
        make_private_file(&new).unwrap();
        assert_eq!((mode(&new), mode(new.parent().unwrap())), (0o600, 0o700));
    }
}
