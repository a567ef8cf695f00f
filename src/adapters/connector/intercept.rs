//! A record with somebody in between: what a hostile connector could say, for trials of a network's defences.
//!
//! The record itself stays honest; calls, answers and events change on their way through [`Intercept`]. Each node of a trial gets a port
//! of its own, so that two nodes can be told different things. Nothing here is used by a node at work.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};

use delta_domain::connector_record::{Answer, Command, RecordEvent};
use delta_ports::PortError;
use delta_ports::connector::{Receipt, RecordBackend, RecordEvents};

/// What the one in between makes of what passes. Everything goes through unchanged unless a method says otherwise.
pub trait Intercept: Send + Sync + 'static {
    /// A call on its way to the record.
    fn call(&self, command: Command) -> Command {
        command
    }

    /// An answer on its way back.
    fn answer(&self, _command: &Command, answer: Answer) -> Answer {
        answer
    }

    /// An event on its way to one listener: none, one or several leave in its place.
    fn event(&self, event: RecordEvent) -> Vec<RecordEvent> {
        vec![event]
    }
}

/// A record behind somebody in between.
#[derive(Clone)]
pub struct Intercepted {
    record: Arc<dyn RecordBackend>,
    between: Arc<dyn Intercept>,
}

impl Intercepted {
    /// `record` as whoever stands `between` shows it.
    #[must_use]
    pub fn new(record: Arc<dyn RecordBackend>, between: Arc<dyn Intercept>) -> Self {
        Self { record, between }
    }
}

impl fmt::Debug for Intercepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intercepted").finish_non_exhaustive()
    }
}

#[async_trait]
impl RecordBackend for Intercepted {
    async fn execute(&self, op: &'static str, command: Command) -> Result<Receipt, PortError> {
        let command = self.between.call(command);
        let Receipt { tx_hash, answer } = self.record.execute(op, command.clone()).await?;
        let answer = self.between.answer(&command, answer);
        Ok(Receipt { tx_hash, answer })
    }

    async fn open(&self, op: &'static str, listener: &str) -> Result<RecordEvents, PortError> {
        let between = Arc::clone(&self.between);
        let events = self.record.open(op, listener).await?;
        let passed = events.flat_map(move |item| {
            stream::iter(match item {
                Ok(event) => between.event(event).into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            })
        });
        Ok(passed.boxed())
    }
}
