//! A record's gRPC face, for other processes: the five services on one port, in plain text or encrypted (docs/protocol/connector.md, Transport).
//!
//! Whatever is a [`RecordBackend`] can stand behind it. Application errors are code UNKNOWN with the bare text, as every client of
//! the reference expects.

mod door;
mod per_peer;
mod services;
mod subscribe;
mod words;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding::{Deflate, Gzip};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

pub use self::door::Door;
use self::per_peer::PerPeer;
use self::services::Services;
use self::words::AsTheReference;
use super::pb::datahub::data_hub_server::DataHubServer;
use super::pb::hlr::hlr_server::HlrServer;
use super::pb::horizontal::horizontal_server::HorizontalServer;
use super::pb::identity::identity_server::IdentityServer;
use super::pb::subscribe::subscribe_server::SubscribeServer;
use super::tls::{ServerTls, accept};
use delta_ports::connector::RecordBackend;
use delta_ports::{PortError, PortErrorKind};

/// Largest request taken, in bytes of message.
const MAX_REQUEST: usize = 4 << 20;

/// Serves `record` on `listener` to whom `door` lets in, until `shutdown` is over: then no new call is taken, subscriptions end with UNAVAILABLE,
/// calls on their way are finished. The record itself stays open.
///
/// # Errors
/// `Unavailable` when the listener fails.
pub async fn serve(
    record: Arc<dyn RecordBackend>,
    door: Door,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), PortError> {
    serve_tls(record, door, listener, None, shutdown).await
}

/// As [`serve`], encrypted if there is a certificate.
///
/// # Errors
/// As [`serve`].
pub async fn serve_tls(
    record: Arc<dyn RecordBackend>,
    door: Door,
    listener: TcpListener,
    tls: Option<ServerTls>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), PortError> {
    let stop = CancellationToken::new();
    let services = Services {
        record,
        door,
        stop: stop.clone(),
        peers: PerPeer::default(),
    };
    macro_rules! limited {
        ($server:ident) => {
            $server::new(services.clone())
                .max_decoding_message_size(MAX_REQUEST)
                .accept_compressed(Gzip)
                .accept_compressed(Deflate)
        };
    }
    let server = Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .max_concurrent_streams(1024)
        .concurrency_limit_per_connection(256)
        .layer(AsTheReference)
        .add_service(limited!(IdentityServer))
        .add_service(limited!(DataHubServer))
        .add_service(limited!(HorizontalServer))
        .add_service(limited!(HlrServer))
        .add_service(limited!(SubscribeServer));
    let shutdown = async move {
        shutdown.await;
        stop.cancel();
    };
    let served = match tls {
        None => {
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            server
                .serve_with_incoming_shutdown(incoming, shutdown)
                .await
        }
        Some(tls) => {
            let incoming = accept(listener, tls);
            server
                .serve_with_incoming_shutdown(incoming, shutdown)
                .await
        }
    };
    served.map_err(|e| {
        PortError::new(
            PortErrorKind::Unavailable,
            "connector.serve",
            "the connector's port failed",
        )
        .with_source(e)
    })
}
