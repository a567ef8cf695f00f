//! Limits of the server, in bytes, numbers and times.

use std::sync::Arc;
use std::time::Duration;

use super::tls::TlsFiles;
use delta_ports::metrics::{Metrics, NoMetrics};

/// Limits of the server.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Longest bundle that `POST /v1/task` takes, in bytes.
    pub max_bundle_bytes: u64,
    /// Connections at a time. One more is answered with 503.
    pub max_connections: usize,
    /// Connections of one address at a time. One more ends the one of them that has waited longest, or is answered with 503.
    pub max_connections_each: usize,
    /// Pages at a time that are told what changes. One more is answered with 503.
    pub max_pages: usize,
    /// Bytes of JSON bodies held at a time, all requests together. Beyond them: 503.
    pub json_memory: usize,
    /// Longest wait for a request head; also how long a connection may idle between requests.
    pub head_within: Duration,
    /// Longest pause within a body.
    pub body_idle: Duration,
    /// Pauses that a body may make in all before it must have come at 1 KiB/s.
    pub body_grace: Duration,
    /// Longest time to find the answer to a GET.
    pub answer_within: Duration,
    /// Longest pause of a client that should be reading its answer.
    pub write_stall: Duration,
    /// Certificate and key; without them the server speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Where bytes, answers and limits are counted.
    pub metrics: Arc<dyn Metrics>,
    /// How long requests under way may take to end after the shutdown signal.
    pub shutdown_grace: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            max_bundle_bytes: 1 << 30,
            max_connections: 512,
            max_connections_each: 256,
            max_pages: 64,
            json_memory: 128 << 20,
            head_within: Duration::from_secs(30),
            body_idle: Duration::from_secs(30),
            body_grace: Duration::from_secs(30),
            answer_within: Duration::from_secs(60),
            write_stall: Duration::from_secs(60),
            tls: None,
            metrics: Arc::new(NoMetrics),
            shutdown_grace: Duration::from_secs(5),
        }
    }
}
