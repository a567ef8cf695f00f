//! The embedded connector: the network's public record kept by this program, in place of a delta-chain-connector.
//!
//! The record of docs/protocol/connector.md. The rules are `domain::connector_record`; here are its keeping (`store`: SQLite), the one
//! writer (`writer`) and the broadcast of events (`broadcast`). In process, [`EmbeddedConnector`] is a
//! [`Connector`](delta_ports::connector::Connector) of its own, without a socket; as a
//! [`RecordBackend`](delta_ports::connector::RecordBackend) it can be served to other processes by whoever knows their wire.
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
mod embedded;
mod intercept;
mod keyed;
mod options;
mod resident;
mod store;
mod writer;

#[cfg(test)]
mod tests;

pub use embedded::EmbeddedConnector;
pub use intercept::{Intercept, Intercepted};
pub use keyed::Keyed;
pub use options::{Durability, EmbeddedOptions, RecordFile};
