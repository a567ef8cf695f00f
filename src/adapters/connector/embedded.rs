//! The embedded connector itself: calls go to the one writer, events come from the broadcast.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::broadcast::Broadcast;
use super::options::{EmbeddedOptions, RecordFile};
use super::store::Store;
use super::writer::{Job, Writer};
use delta_domain::connector_record::Command;
use delta_ports::clock::Clock;
use delta_ports::connector::{Receipt, RecordBackend, RecordEvents};
use delta_ports::{PortError, PortErrorKind};

/// How many calls may wait for the writer before callers are held back.
const WAITING_CALLS: usize = 256;

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
        file: &RecordFile,
        clock: Arc<dyn Clock>,
        options: EmbeddedOptions,
    ) -> Result<Self, PortError> {
        let mut store = Store::open(file, options.durability).await?;
        let record = store.load().await?;
        let broadcast = Arc::new(Broadcast::new(
            options.max_subscribers,
            options.max_lag,
            options.hindsight,
        ));
        let (calls, jobs) = mpsc::channel(WAITING_CALLS);
        let (closing, closed) = (CancellationToken::new(), CancellationToken::new());
        let writer = Writer::new(record, store, clock, Arc::clone(&broadcast), options.memory)?;
        let (stop, over) = (closing.clone(), closed.clone().drop_guard());
        tokio::spawn(async move {
            writer.run(jobs, stop).await;
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

    async fn open(&self, op: &'static str, listener: &str) -> Result<RecordEvents, PortError> {
        let subscription = self.broadcast.subscribe(listener).ok_or_else(|| {
            let most = self.options.max_subscribers;
            PortError::new(
                PortErrorKind::Unavailable,
                op,
                format!("all {most} subscriptions, or all of this listener, are taken, or the connector is closing"),
            )
        })?;
        Ok(subscription.events(op))
    }
}
