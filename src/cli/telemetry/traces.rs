//! Traces to an OpenTelemetry collector: how long rounds, computations and requests took, and what was part of what.
//!
//! Spans for it have a target of their own, so that the log's lines are what they are without. They name tasks, rounds and steps.

use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Runtime;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

/// How long a collector may take to answer; what it does not take is lost.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Sends what is left when dropped.
#[derive(Debug)]
pub(super) struct Traces {
    provider: SdkTracerProvider,
    /// For the connection alone. The process's own runtime begins later and ends earlier.
    runtime: Option<Runtime>,
}

impl Drop for Traces {
    fn drop(&mut self) {
        // A collector that is not there is no reason to stay.
        drop(self.provider.shutdown_with_timeout(TIMEOUT));
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What sends spans to the collector at `address`. A collector that is away costs spans, never the node's time.
///
/// # Errors
/// The address is none.
pub(super) fn to<S>(address: &str) -> anyhow::Result<(Box<dyn Layer<S> + Send + Sync>, Traces)>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("traces")
        .enable_all()
        .build()
        .context("the runtime for traces does not start")?;
    let entered = runtime.enter();
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(address)
        .with_timeout(TIMEOUT)
        .build()
        .with_context(|| format!("log.otlp: {address:?} is no address of a collector"))?;
    let resource = Resource::builder().with_service_name("delta-node").build();
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build();
    drop(entered);
    let tracer = provider.tracer("delta-node");
    let layer = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false);
    let traces = Traces {
        provider,
        runtime: Some(runtime),
    };
    Ok((layer.boxed(), traces))
}
