//! The embedded connector's port with somebody in between: what a hostile connector could say, for trials of a network's defences.
//!
//! The record itself stays honest; calls, answers and events change on their way through [`Lies`]. Each node of a trial gets a port of its
//! own, so that two nodes can be told different things. Nothing here is used by a node at work.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::broadcast::{Broadcast, Next, Subscription};
use super::server::{Served, serve_as};
use super::{EmbeddedConnector, PortError, PortErrorKind, Receipt};
use delta_domain::connector_record::{Answer, Command, RecordEvent};

/// What the one in between makes of what passes. Everything goes through unchanged unless a method says otherwise.
pub trait Lies: Send + Sync + 'static {
    /// A call on its way to the record.
    fn call(&self, command: Command) -> Command {
        command
    }

    /// An answer on its way back.
    fn answer(&self, _command: &Command, answer: Answer) -> Answer {
        answer
    }

    /// An event: none, one or several leave in its place.
    fn event(&self, event: RecordEvent) -> Vec<RecordEvent> {
        vec![event]
    }
}

struct Liar {
    inner: EmbeddedConnector,
    lies: Arc<dyn Lies>,
    broadcast: Broadcast,
}

impl fmt::Debug for Liar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Liar").finish_non_exhaustive()
    }
}

#[tonic::async_trait]
impl Served for Liar {
    async fn execute(&self, op: &'static str, command: Command) -> Result<Receipt, PortError> {
        let command = self.lies.call(command);
        let Receipt { tx_hash, answer } = Served::execute(&self.inner, op, command.clone()).await?;
        let answer = self.lies.answer(&command, answer);
        Ok(Receipt { tx_hash, answer })
    }

    fn subscription(&self, op: &'static str) -> Result<Subscription, PortError> {
        self.broadcast
            .subscribe()
            .ok_or_else(|| PortError::new(PortErrorKind::Unavailable, op, "closing"))
    }
}

/// Serves `connector` on `listener`, with `lies` in between, until `shutdown` is over.
///
/// # Errors
/// `Unavailable` when the listener fails, or the connector is closed.
pub async fn serve_with(
    connector: &EmbeddedConnector,
    lies: Arc<dyn Lies>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), PortError> {
    let mut events = connector.subscription("connector.serve_with")?;
    let liar = Arc::new(Liar {
        inner: connector.clone(),
        lies,
        broadcast: Broadcast::new(connector.options.max_subscribers, connector.options.max_lag),
    });
    let passing = async {
        loop {
            match events.next().await {
                Next::Event(event) => {
                    for event in liar.lies.event(event) {
                        liar.broadcast.publish(event);
                    }
                }
                Next::TooSlow | Next::Closed => break liar.broadcast.close(),
            }
        }
    };
    tokio::select! {
        served = serve_as(liar.clone(), listener, shutdown) => served,
        () = passing => Ok(()),
    }
}
