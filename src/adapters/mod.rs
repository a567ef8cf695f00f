//! The world behind the ports. Each adapter is a crate of its own, so that it cannot name what its manifest does not list.
//!
//! Adapters know the domain and the ports; none knows another one. What needs two of them is joined in `bootstrap`: the embedded connector
//! and the gRPC server that shows it to other processes.

pub use delta_connector as connector;
pub use delta_databases as databases;
pub use delta_grpc as grpc;
pub use delta_http as http;
#[cfg(feature = "testing")]
pub use delta_memory as memory;
pub use delta_metrics as metrics;
pub use delta_onnx as onnx;
#[cfg(feature = "prover")]
pub use delta_prover as prover;
pub use delta_sqlite as sqlite;
pub use delta_system as system;
