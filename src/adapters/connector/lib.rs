//! The embedded connector: the network's public record kept by this program, in place of a delta-chain-connector.
//!
//! CONNECTOR.md sections 3 to 10 and 14. The rules are `domain::connector_record`; here are its keeping (`store`: SQLite), the one
//! writer (`writer`), the broadcast of events (`broadcast`) and the gRPC face (`server`). In process, [`EmbeddedConnector`] is a
//! [`Connector`](delta_ports::connector::Connector) of its own, without a socket.
//!
//! **What survives.** A call is answered, and its event published, after its changes are committed to SQLite in WAL mode. By
//! default SQLite does not wait for the disk ([`Durability::Process`]): what was answered survives the death of the process,
//! kill -9 included, because the operating system holds it; a power failure may lose the last moments, never the file's
//! consistency. [`Durability::PowerLoss`] waits for the disk once for each group of concurrent calls.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::cast_possible_truncation,
        clippy::print_stderr
    )
)]

mod broadcast;
mod intercept;

mod server;
mod store;
mod writer;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use self::broadcast::{Broadcast, Next, Subscription};
use self::store::Store;
use self::writer::{Job, Writer};
use delta_domain::connector_record::Command;
use delta_domain::ids::Address;
use delta_ports::clock::Clock;
use delta_ports::connector::EventStream;
use delta_ports::connector::{Receipt, RecordBackend};
use delta_ports::{PortError, PortErrorKind};

pub use intercept::{Lies, serve_with};
pub use server::serve;

/// How many calls may wait for the writer before callers are held back.
const WAITING_CALLS: usize = 256;

/// Where the record is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// In a SQLite file, made if it is not there. Only one process may have it open.
    File(PathBuf),
    /// Nowhere: it is gone with the value. For tests and demonstrations.
    Memory,
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
            memory: 16 << 20,
            call_timeout: Duration::from_secs(20),
        }
    }
}

/// A connector inside this process. Clones share one record.
#[derive(Debug, Clone)]
pub struct EmbeddedConnector {
    calls: mpsc::Sender<Job>,
    broadcast: Arc<Broadcast>,
    options: Arc<EmbeddedOptions>,
    closing: CancellationToken,
    closed: CancellationToken,
}

impl EmbeddedConnector {
    /// Opens the record and starts its writer, a task that lives until [`Self::close`] or until the last clone is dropped.
    ///
    /// # Errors
    /// `Unavailable` when the file cannot be opened, for instance because another process has it; `Corrupt` when its content is
    /// damaged or from a newer program.
    pub async fn open(
        location: &Location,
        clock: Arc<dyn Clock>,
        options: EmbeddedOptions,
    ) -> Result<Self, PortError> {
        let mut store = Store::open(location, options.durability).await?;
        let record = store.load().await?;
        let broadcast = Arc::new(Broadcast::new(options.max_subscribers, options.max_lag));
        let (calls, jobs) = mpsc::channel(WAITING_CALLS);
        let (closing, closed) = (CancellationToken::new(), CancellationToken::new());
        let core = Writer::new(record, store, clock, Arc::clone(&broadcast), options.memory)?;
        let (stop, over) = (closing.clone(), closed.clone().drop_guard());
        tokio::spawn(async move {
            core.run(jobs, stop).await;
            drop(over);
        });
        Ok(Self {
            calls,
            broadcast,
            options: Arc::new(options),
            closing,
            closed,
        })
    }

    /// Ends all subscriptions, finishes the calls that wait, closes the file. Later calls fail with `Unavailable`.
    pub async fn close(&self) {
        self.closing.cancel();
        self.broadcast.close();
        self.closed.cancelled().await;
    }

    fn subscription(&self, op: &'static str) -> Result<Subscription, PortError> {
        self.broadcast.subscribe().ok_or_else(|| {
            let most = self.options.max_subscribers;
            PortError::new(
                PortErrorKind::Unavailable,
                op,
                format!("all {most} subscriptions are taken, or the connector is closing"),
            )
        })
    }
}

#[async_trait]
impl server::Served for EmbeddedConnector {
    async fn execute(&self, op: &'static str, command: Command) -> Result<Receipt, PortError> {
        RecordBackend::execute(self, op, command).await
    }

    fn subscription(&self, op: &'static str) -> Result<Subscription, PortError> {
        Self::subscription(self, op)
    }
}

#[async_trait]
impl RecordBackend for EmbeddedConnector {
    async fn execute(&self, op: &'static str, command: Command) -> Result<Receipt, PortError> {
        let gone = || {
            PortError::new(
                PortErrorKind::Unavailable,
                op,
                "the embedded connector is closed",
            )
        };
        let (reply, answer) = oneshot::channel();
        let outcome = tokio::time::timeout(self.options.call_timeout, async {
            self.calls
                .send(Job { op, command, reply })
                .await
                .map_err(|_| gone())?;
            answer.await.map_err(|_| gone())?
        });
        match outcome.await {
            Ok(outcome) => outcome,
            Err(_) => Err(PortError::new(
                PortErrorKind::Timeout,
                op,
                "the embedded connector did not answer in time",
            )),
        }
    }

    async fn open(&self, op: &'static str, _address: &Address) -> Result<EventStream, PortError> {
        let subscription = self.subscription(op)?;
        let events = futures_util::stream::unfold(Some(subscription), move |live| async move {
            let mut subscription = live?;
            loop {
                let last = match subscription.next().await {
                    Next::Event(event) => match event.parse() {
                        Ok(event) => return Some((Ok(event), Some(subscription))),
                        Err(error) => {
                            tracing::warn!(%error, "an unreadable event is skipped");
                            continue;
                        }
                    },
                    Next::TooSlow => "events were lost because they were not taken in time",
                    Next::Closed => "the embedded connector is closed",
                };
                return Some((
                    Err(PortError::new(PortErrorKind::Unavailable, op, last)),
                    None,
                ));
            }
        });
        Ok(events.boxed())
    }
}
