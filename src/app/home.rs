//! Trouble at home: what this machine lacks, noticed where it is met, said once, shown by `/readyz`, and over when there is room again.
//!
//! What a round is told of it is closed words; what is lacking stands in this node's log.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use delta_domain::time::Timestamp;
use delta_ports::blob::{BlobInfo, BlobName, BlobStore, ByteStream};
use delta_ports::clock::Clock;
use delta_ports::metrics::{Limit, Metrics, Observation};
use delta_ports::owner_api::ReadyCheck;
use delta_ports::{PortError, report};

/// With less room than this a node is not ready, in bytes: databases and logs grow as well.
const RESERVE: u64 = 16 << 20;

/// What this machine lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lack {
    since: Timestamp,
    /// Bytes that something asked for in vain, at most.
    needed: u64,
    what: String,
}

/// Whether this machine has what a node takes.
#[derive(Default)]
pub(crate) struct Home {
    lack: Mutex<Option<Lack>>,
    /// Who answers at this node's url, where that is another node.
    elsewhere: Mutex<Option<String>>,
}

impl Home {
    /// Takes note of who answers at this node's url, in a sentence where it is another node, and says so in the log when that is news.
    /// True for another node.
    pub(crate) fn leads_elsewhere(&self, now: Option<String>) -> bool {
        let mut known = held(&self.elsewhere);
        match (&now, &*known) {
            (Some(what), None) => tracing::error!("{what}"),
            (None, Some(_)) => tracing::info!("node.url leads to this node again"),
            _ => {}
        }
        *known = now;
        known.is_some()
    }

    /// Whether this node's url led to another one when it was last looked at.
    pub(crate) fn is_elsewhere(&self) -> bool {
        held(&self.elsewhere).is_some()
    }

    /// Where node.url leads, for `/readyz`.
    pub(crate) fn check_url(&self) -> ReadyCheck {
        let elsewhere = held(&self.elsewhere).clone();
        ReadyCheck {
            name: "url",
            ok: elsewhere.is_none(),
            detail: elsewhere.unwrap_or_else(|| "leads to no other node".to_owned()),
        }
    }

    /// Takes note that `error` came of a lack at home, and says so in the log, once for each time of need; `needed`: bytes asked for.
    pub(crate) fn lacks(&self, error: &PortError, needed: u64, now: Timestamp) {
        let mut lack = held(&self.lack);
        let since = lack.as_ref().map_or(now, |l| l.since);
        let known = lack.as_ref().map_or(0, |l| l.needed);
        if lack.is_none() {
            tracing::error!(
                "this node cannot keep what it is given, and declines rounds that need room, until there is some: {}",
                report(error)
            );
        }
        *lack = Some(Lack {
            since,
            needed: known.max(needed),
            what: report(error),
        });
    }

    /// Takes note of room for `bytes`: whether that is enough for everything that was asked for.
    pub(crate) fn has(&self, bytes: u64) -> bool {
        let mut lack = held(&self.lack);
        let enough = lack.as_ref().is_none_or(|l| bytes >= l.needed);
        if enough && lack.take().is_some() {
            tracing::info!("there is room again for what this node keeps");
        }
        enough
    }

    /// Whether something that this node had to keep found no room.
    pub(crate) fn is_lacking(&self) -> bool {
        held(&self.lack).is_some()
    }

    /// How it is, for `/readyz`: `free` bytes are left where the node keeps its files.
    pub(crate) fn check(&self, free: Result<Option<u64>, PortError>) -> ReadyCheck {
        let free = match free {
            Ok(free) => free,
            Err(e) => return told(false, report(&e)),
        };
        if let Some(free) = free.filter(|free| *free >= RESERVE) {
            self.has(free - RESERVE);
        }
        match (&*held(&self.lack), free) {
            (Some(lack), _) => told(
                false,
                format!("since {} UTC: {}", lack.since.time_of_day(), lack.what),
            ),
            (None, Some(free)) if free < RESERVE => told(
                false,
                format!(
                    "{free} bytes are left in task_dir, less than the {RESERVE} that a node should have"
                ),
            ),
            (None, Some(free)) => told(true, format!("{} MiB are left in task_dir", free >> 20)),
            (None, None) => told(true, "can be written to".to_owned()),
        }
    }
}

fn held<T>(behind: &Mutex<T>) -> MutexGuard<'_, T> {
    behind.lock().unwrap_or_else(PoisonError::into_inner)
}

fn told(ok: bool, detail: String) -> ReadyCheck {
    ReadyCheck {
        name: "disk",
        ok,
        detail,
    }
}

/// A store of blobs whose lack of room is noticed.
pub(crate) struct Watched {
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) home: Arc<Home>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Arc<dyn Metrics>,
}

#[async_trait]
impl BlobStore for Watched {
    async fn put(
        &self,
        name: &BlobName,
        content: ByteStream,
        limit: u64,
    ) -> Result<BlobInfo, PortError> {
        let outcome = self.blobs.put(name, content, limit).await;
        match &outcome {
            Err(e) if e.is_lack_at_home() => {
                self.metrics.observe(Observation::LimitHit(Limit::Disk));
                self.home.lacks(e, limit, self.clock.now());
            }
            Err(_) => {}
            // Where nobody knows the room, it is enough that something was kept.
            Ok(_) if self.home.is_lacking() => match self.blobs.room().await {
                Ok(Some(free)) => drop(self.home.has(free)),
                Ok(None) => drop(self.home.has(u64::MAX)),
                Err(_) => {}
            },
            Ok(_) => {}
        }
        outcome
    }

    async fn open(&self, name: &BlobName) -> Result<(u64, ByteStream), PortError> {
        self.blobs.open(name).await
    }

    async fn read(&self, name: &BlobName, limit: u64) -> Result<Vec<u8>, PortError> {
        self.blobs.read(name, limit).await
    }

    async fn exists(&self, name: &BlobName) -> Result<bool, PortError> {
        self.blobs.exists(name).await
    }

    async fn rename(&self, from: &BlobName, to: &BlobName) -> Result<(), PortError> {
        self.blobs.rename(from, to).await
    }

    async fn remove(&self, name: &BlobName) -> Result<(), PortError> {
        self.blobs.remove(name).await
    }

    async fn room(&self) -> Result<Option<u64>, PortError> {
        self.blobs.room().await
    }
}
