//! How the embedded connector behaves, and where its record is.

use std::path::PathBuf;
use std::time::Duration;

/// The file that the record is kept in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordFile {
    /// A SQLite file at this path, made if it is not there. Only one process may have it open.
    OnDisk(PathBuf),
    /// None: the record is gone with the value. For tests and demonstrations.
    InMemory,
}

/// What an answered call survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The end of the process, however sudden.
    #[default]
    Process,
    /// The end of the machine's power too. Every group of calls waits for the disk.
    PowerLoss,
}

/// How the embedded connector behaves.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// What an answered call survives.
    pub durability: Durability,
    /// How many subscriptions may be open at once.
    pub max_subscribers: usize,
    /// How many events a subscriber may be behind before its subscription is ended.
    pub max_lag: usize,
    /// For how long an event reaches those who subscribe after it. Two requests that arrive together, on two connections, are served by
    /// two threads, in either order: whoever asked for events just before the call that made one shall have it.
    pub hindsight: Duration,
    /// How many bytes of members, keys and shares stay in memory; the rest is read from the file when asked for.
    pub memory: usize,
    /// Deadline of every call in process.
    pub call_timeout: Duration,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            max_subscribers: 1024,
            max_lag: 1024,
            hindsight: Duration::ZERO,
            memory: 16 << 20,
            call_timeout: Duration::from_secs(20),
        }
    }
}
