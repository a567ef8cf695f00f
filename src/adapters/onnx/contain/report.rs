//! What stands around a worker and what does not, in words for the operator.

use serde::{Deserialize, Serialize};

/// What to do where a machine cannot put up every wall.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sandbox {
    /// Nothing of a task runs; the node refuses to start.
    #[default]
    Required,
    /// Tasks run within the walls that there are.
    BestEffort,
}

/// How well a worker is walled in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Containment {
    /// Address space, processor time, file size, open files and core dumps are limited.
    pub limits: bool,
    /// Descriptors left open that the worker was started with.
    pub descriptors: usize,
    /// Other processes of the same user cannot look into the worker, and a crash leaves no core.
    pub undumpable: bool,
    /// The limit on processes and threads binds: for the superuser it does not.
    pub processes: bool,
    /// Landlock: `enforced` or why not.
    pub landlock: String,
    /// The kernel's Landlock knows all that is asked of it (Linux 6.12).
    pub newest: bool,
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

pub(super) const ENFORCED: &str = "enforced";

impl Containment {
    /// What is missing and how to get it, one sentence each; empty when the walls stand.
    #[must_use]
    pub fn gaps(&self) -> Vec<String> {
        let mut gaps = Vec::new();
        if !self.limits {
            gaps.push("the worker has no limits on memory and time: setrlimit failed".to_owned());
        }
        if self.descriptors > 0 {
            gaps.push(format!(
                "{} files or connections of the node stay open in workers: they cannot be closed",
                self.descriptors
            ));
        }
        if !self.undumpable {
            gaps.push(
                "other programs of this user can read a worker's memory: prctl failed".to_owned(),
            );
        }
        if self.landlock != ENFORCED {
            gaps.push(format!("files are not closed to workers: Landlock is {}; use Linux 5.13 or newer with Landlock on (kernel parameter lsm=landlock,...), in containers a runtime that passes the landlock_* calls (Docker 23 or newer)", self.landlock));
        }
        if self.seccomp != ENFORCED {
            gaps.push(format!("system calls are not closed to workers: the seccomp filter is {}; use a kernel and a container runtime with seccomp filters", self.seccomp));
        }
        gaps.extend(
            self.attempts
                .iter()
                .filter(|a| !a.stopped)
                .map(|a| format!("a worker could {}", a.what)),
        );
        gaps
    }

    /// What is weaker than it could be though another wall stands there, one sentence each.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.landlock == ENFORCED && !self.newest {
            notes.push("this kernel's Landlock is older than Linux 6.12: network and signals are closed by the seccomp filter alone".to_owned());
        }
        if !self.processes {
            notes.push("the limit on processes and threads does not bind the superuser: run the node as a user of its own; the seccomp filter stops new processes".to_owned());
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing() -> Containment {
        Containment {
            limits: true,
            descriptors: 0,
            undumpable: true,
            processes: true,
            landlock: ENFORCED.to_owned(),
            newest: true,
            seccomp: ENFORCED.to_owned(),
            attempts: Vec::new(),
        }
    }

    #[test]
    fn each_wall_that_is_missing_is_named_and_none_that_stands() {
        assert!(standing().gaps().is_empty() && standing().notes().is_empty());
        let none = Containment::default();
        let gaps = none.gaps();
        for word in ["memory and time", "Landlock", "seccomp", "prctl"] {
            assert!(gaps.iter().any(|g| g.contains(word)), "{word}: {gaps:?}");
        }
        let open = Containment {
            descriptors: 3,
            ..standing()
        };
        assert_eq!(open.gaps().len(), 1);
        let escaped = Containment {
            attempts: vec![Attempt {
                what: "open a network socket".to_owned(),
                stopped: false,
            }],
            ..standing()
        };
        assert_eq!(escaped.gaps(), ["a worker could open a network socket"]);
    }

    #[test]
    fn an_older_kernel_and_the_superuser_are_notes_and_no_gaps() {
        let weaker = Containment {
            processes: false,
            newest: false,
            ..standing()
        };
        assert!(weaker.gaps().is_empty());
        assert_eq!(weaker.notes().len(), 2);
    }
}
