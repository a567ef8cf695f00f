//! A connector that is any other one, with its calls written down.

use std::sync::Mutex;

use async_trait::async_trait;
use delta_domain::connector_record::Command;
use delta_ports::PortError;
use delta_ports::connector::{Receipt, RecordBackend, RecordEvents};

/// Passes every call on, and keeps the names of all.
pub struct Ledger<C> {
    inner: C,
    calls: Mutex<Vec<&'static str>>,
}

impl<C> Ledger<C> {
    /// Of the calls to `inner`.
    pub fn new(inner: C) -> Self {
        let calls = Mutex::default();
        Self { inner, calls }
    }

    /// The names of all calls so far.
    pub fn calls(&self) -> Vec<&'static str> {
        self.calls.lock().map(|c| c.clone()).unwrap_or_default()
    }

    fn note(&self, op: &'static str) {
        if let Ok(mut calls) = self.calls.lock() {
            calls.push(op);
        }
    }
}

/// Every `RecordBackend` is a `Connector`: the port translates.
#[async_trait]
impl<C: RecordBackend> RecordBackend for Ledger<C> {
    async fn execute(&self, op: &'static str, command: Command) -> Result<Receipt, PortError> {
        self.note(op);
        self.inner.execute(op, command).await
    }

    async fn open(&self, op: &'static str, listener: &str) -> Result<RecordEvents, PortError> {
        self.note(op);
        self.inner.open(op, listener).await
    }
}
