//! A record's gRPC face, for other processes: the five services on one plain-text port (docs/protocol/connector.md, Transport).
//!
//! Whatever is a [`RecordBackend`] can stand behind it. Application errors are code UNKNOWN with the bare text, as every client of
//! the reference expects.

mod services;
mod subscribe;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding::{Deflate, Gzip};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use self::services::Services;
use super::pb::datahub::data_hub_server::DataHubServer;
use super::pb::hlr::hlr_server::HlrServer;
use super::pb::horizontal::horizontal_server::HorizontalServer;
use super::pb::identity::identity_server::IdentityServer;
use super::pb::subscribe::subscribe_server::SubscribeServer;
use delta_ports::connector::RecordBackend;
use delta_ports::{PortError, PortErrorKind};

/// Largest request taken, in bytes of message.
const MAX_REQUEST: usize = 4 << 20;

/// Serves `record` on `listener` until `shutdown` is over: then no new call is taken, subscriptions end with UNAVAILABLE,
/// calls on their way are finished. The record itself stays open.
///
/// # Errors
/// `Unavailable` when the listener fails.
pub async fn serve(
    record: Arc<dyn RecordBackend>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), PortError> {
    let stop = CancellationToken::new();
    let services = Services {
        record,
        stop: stop.clone(),
    };
    macro_rules! limited {
        ($server:ident) => {
            $server::new(services.clone())
                .max_decoding_message_size(MAX_REQUEST)
                .accept_compressed(Gzip)
                .accept_compressed(Deflate)
        };
    }
    Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .max_concurrent_streams(1024)
        .concurrency_limit_per_connection(256)
        .add_service(limited!(IdentityServer))
        .add_service(limited!(DataHubServer))
        .add_service(limited!(HorizontalServer))
        .add_service(limited!(HlrServer))
        .add_service(limited!(SubscribeServer))
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            async move {
                shutdown.await;
                stop.cancel();
            },
        )
        .await
        .map_err(|e| {
            PortError::new(
                PortErrorKind::Unavailable,
                "connector.serve",
                "the connector's port failed",
            )
            .with_source(e)
        })
}
