//! The world behind the ports. Each adapter is a feature and knows no other one.

#[cfg(feature = "adapter-connector")]
pub mod connector;
#[cfg(feature = "adapter-grpc")]
pub mod grpc;
#[cfg(feature = "adapter-http")]
pub mod http;
#[cfg(feature = "adapter-memory")]
pub mod memory;
#[cfg(feature = "adapter-onnx")]
pub mod onnx;
#[cfg(feature = "adapter-sqlite")]
pub mod sqlite;
#[cfg(feature = "adapter-system")]
pub mod system;

// Shared by the three connectors; not an adapter.
#[cfg(any(feature = "adapter-grpc", feature = "adapter-memory"))]
mod record_port;
