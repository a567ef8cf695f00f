//! The record as the node in the same process uses it: its calls need no signature, and its address is the hash of its key all the same.

use std::sync::Arc;

use async_trait::async_trait;

use delta_domain::connector_record::Command;
use delta_domain::ids::Address;
use delta_ports::PortError;
use delta_ports::connector::{Receipt, RecordBackend, RecordEvents};

/// A record whose every `Join` is one of the same address.
#[derive(Clone)]
pub struct Keyed {
    record: Arc<dyn RecordBackend>,
    address: Address,
}

impl Keyed {
    /// `record` for the node whose key has this address.
    #[must_use]
    pub fn new(record: Arc<dyn RecordBackend>, address: Address) -> Self {
        Self { record, address }
    }
}

#[async_trait]
impl RecordBackend for Keyed {
    async fn execute(&self, op: &'static str, command: Command) -> Result<Receipt, PortError> {
        let command = match command {
            Command::Join { url, name } => Command::JoinAs {
                address: self.address.to_string(),
                url,
                name,
            },
            other => other,
        };
        self.record.execute(op, command).await
    }

    async fn open(&self, op: &'static str, listener: &str) -> Result<RecordEvents, PortError> {
        self.record.open(op, listener).await
    }
}
