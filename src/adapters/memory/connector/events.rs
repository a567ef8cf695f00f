//! One subscriber of the connector in memory, and what can happen to its events.

use std::time::Duration;

use futures_util::Stream;
use tokio::sync::mpsc;
use tokio::time::Instant;

use delta_domain::connector_record::RecordEvent;
use delta_ports::{PortError, PortErrorKind};

/// What happens to one event on its way to one subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventFault {
    /// Nothing.
    Pass,
    /// It is lost.
    Drop,
    /// It comes twice.
    Duplicate,
    /// It, and what is behind it, comes this much later.
    Delay(Duration),
    /// It comes after the next one.
    Swap,
}

#[derive(Debug)]
pub(super) struct Subscriber {
    listener: String,
    /// Of the connector that it subscribes to, on a chain.
    wallet: Option<usize>,
    events: mpsc::UnboundedSender<(Instant, RecordEvent)>,
    held: Option<RecordEvent>,
}

impl Subscriber {
    /// Dropping the subscriber ends the stream with an error, after what was delivered.
    pub(super) fn new(
        op: &'static str,
        listener: String,
        wallet: Option<usize>,
    ) -> (
        Self,
        impl Stream<Item = Result<RecordEvent, PortError>> + Send + use<>,
    ) {
        let (events, waiting) = mpsc::unbounded_channel::<(Instant, RecordEvent)>();
        let stream = futures_util::stream::unfold(Some(waiting), move |waiting| async move {
            let mut waiting = waiting?;
            let Some((due, event)) = waiting.recv().await else {
                let lost = PortError::new(
                    PortErrorKind::Unavailable,
                    op,
                    "the connection to the connector is lost",
                );
                return Some((Err(lost), None));
            };
            tokio::time::sleep_until(due).await;
            Some((Ok(event), Some(waiting)))
        });
        (
            Self {
                listener,
                wallet,
                events,
                held: None,
            },
            stream,
        )
    }

    pub(super) fn listener(&self) -> &str {
        &self.listener
    }

    pub(super) fn wallet(&self) -> Option<usize> {
        self.wallet
    }

    pub(super) fn is_open(&self) -> bool {
        !self.events.is_closed()
    }

    pub(super) fn deliver(&mut self, event: RecordEvent, fault: Option<EventFault>) {
        let now = Instant::now();
        match fault {
            None | Some(EventFault::Pass) => self.send(now, event),
            Some(EventFault::Drop) => {}
            Some(EventFault::Duplicate) => {
                self.send(now, event.clone());
                self.send(now, event);
            }
            Some(EventFault::Delay(by)) => self.send(now + by, event),
            Some(EventFault::Swap) => {
                if let Some(held) = self.held.replace(event) {
                    self.send(now, held);
                }
                return;
            }
        }
        if let Some(held) = self.held.take() {
            self.send(now, held);
        }
    }

    fn send(&self, due: Instant, event: RecordEvent) {
        // A subscriber that hung up is removed at the next event.
        let _hung_up = self.events.send((due, event));
    }
}
