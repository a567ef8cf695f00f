//! gRPC: the wire of the connector, both ends of it, and the client of the prover.
//!
//! docs/protocol/connector.md, Transport, Services and Events. [`GrpcConnector`] connects on first use, keeps the connection alive with pings, gives
//! every call a deadline and bounds every answer. It never retries: only the caller knows what is safe to repeat. [`serve()`] gives a
//! record of this process to other ones. What the messages mean is said once for both ends, in `convert`.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::cast_possible_truncation,
        clippy::print_stderr
    )
)]

mod chain;
mod client;
mod convert;
mod error;
#[doc(hidden)]
pub mod pb;
mod prover;
mod rejections;
mod server;
mod signature;
#[cfg(test)]
mod tests;
mod tls;

pub use client::{GrpcConnector, GrpcOptions};
pub use prover::GrpcProver;
pub use server::{Door, serve, serve_tls};
pub use signature::CallSigner;
pub use tls::{ClientTls, OwnCertificate, ServerTls, Trusted, key_of_certificate};
