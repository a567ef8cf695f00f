//! Traces at an OpenTelemetry collector: what a round consisted of, and nothing of it in the log's lines.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tonic::{Request, Response, Status};

use crate::process::{lock, wait_until_or};
use crate::task;
use crate::world::{World, free_port};

/// A collector that keeps everything.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        lock(&self.0).push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Names of spans, and of those around them where they came along.
    fn spans(&self) -> Vec<(String, Option<String>)> {
        let all: Vec<_> = lock(&self.0)
            .iter()
            .flat_map(|r| &r.resource_spans)
            .flat_map(|r| &r.scope_spans)
            .flat_map(|s| s.spans.clone())
            .collect();
        let around = |id: &[u8]| all.iter().find(|s| s.span_id == id).map(|s| s.name.clone());
        let named = all.iter();
        named
            .map(|s| (s.name.clone(), around(&s.parent_span_id)))
            .collect()
    }
}

#[test]
fn a_round_is_traced_where_a_collector_is_named() {
    let mut world = World::new();
    let collector = Collector::default();
    let port = free_port();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let serving = tonic::transport::Server::builder()
        .add_service(TraceServiceServer::new(collector.clone()))
        .serve(SocketAddr::from(([127, 0, 0, 1], port)));
    runtime.spawn(serving);

    let file = world.home(0).join("config.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let to = format!("  dir: \"logs\"\n  otlp: \"http://127.0.0.1:{port}\"\n");
    std::fs::write(&file, text.replace("  dir: \"logs\"\n", &to)).unwrap();
    world.nodes[0].terminate();
    world.nodes[0].restart();
    world.wait_ready(0);
    let id = world.submit(&task::wages(|_| {}));
    world.result(id);
    let wanted = [
        ("coordinate", None),
        ("reduce", Some("coordinate")),
        ("run", None),
        ("compute", None),
        ("map", Some("compute")),
        ("answer", Some("request")),
    ];
    // They come in batches.
    let missing = || {
        let spans = collector.spans();
        let mut missing = wanted.to_vec();
        missing.retain(|(name, around)| {
            let is = |(n, a): &(String, Option<String>)| n == name && a.as_deref() == *around;
            !spans.iter().any(is)
        });
        missing
    };
    wait_until_or(
        "the spans of a round",
        || missing().is_empty().then_some(()),
        || {
            let spans: BTreeSet<_> = collector.spans().into_iter().collect();
            format!("{:?} are not among {spans:?}", missing())
        },
    );
    let log = world.nodes[0].log().join("\n");
    assert!(
        !log.contains("coordinate{") && !log.contains("answer{"),
        "{log}"
    );
    // Nobody waits for a collector that is gone.
    runtime.shutdown_background();
    let (status, took) = world.nodes[0].terminate();
    assert!(status.success() && took.as_secs() < 10, "{status} {took:?}");
}
