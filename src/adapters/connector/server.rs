//! The embedded connector's gRPC face, for other processes: the five services on one plain-text port (CONNECTOR.md section 1).
//!
//! Application errors are code UNKNOWN with the bare text, as every client of the reference expects.

mod rounds;
mod stream;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::codec::CompressionEncoding::{Deflate, Gzip};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use super::EmbeddedConnector;
use super::broadcast::Subscription;
use delta_domain::connector_record::{Answer, Command, NodeView};
use delta_grpc::pb::datahub::data_hub_server::{DataHub, DataHubServer};
use delta_grpc::pb::datahub::{DataCommitmentReq, DataCommitmentResp, RegisterReq};
use delta_grpc::pb::hlr::hlr_server::HlrServer;
use delta_grpc::pb::horizontal::horizontal_server::HorizontalServer;
use delta_grpc::pb::identity::identity_server::{Identity, IdentityServer};
use delta_grpc::pb::identity::{
    JoinReq, JoinResp, LeaveReq, NodeInfo, NodeInfoReq, NodeInfos, NodeInfosReq, UpdateNameReq,
    UpdateUrlReq,
};
use delta_grpc::pb::subscribe::subscribe_server::SubscribeServer;
use delta_grpc::pb::transaction::Transaction;
use delta_ports::connector::Receipt;
use delta_ports::{PortError, PortErrorKind};

/// Largest request taken, in bytes of message.
const MAX_REQUEST: usize = 4 << 20;

/// Longest error text sent. It echoes the request's strings, and clients refuse large headers.
const MAX_TEXT: usize = 2048;

/// What stands behind the port: the record itself, or something that speaks for it.
#[tonic::async_trait]
pub(super) trait Served: std::fmt::Debug + Send + Sync + 'static {
    /// Executes one call.
    async fn execute(&self, op: &'static str, command: Command) -> Result<Receipt, PortError>;
    /// Opens a subscription.
    fn subscription(&self, op: &'static str) -> Result<Subscription, PortError>;
}

/// Serves `connector` on `listener` until `shutdown` is over: then no new call is taken, subscriptions end with UNAVAILABLE,
/// calls on their way are finished. The connector itself stays open.
///
/// # Errors
/// `Unavailable` when the listener fails.
pub async fn serve(
    connector: &EmbeddedConnector,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), PortError> {
    serve_as(Arc::new(connector.clone()), listener, shutdown).await
}

pub(super) async fn serve_as(
    connector: Arc<dyn Served>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), PortError> {
    let stop = CancellationToken::new();
    let services = Services {
        connector,
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

#[derive(Debug, Clone)]
struct Services {
    connector: Arc<dyn Served>,
    stop: CancellationToken,
}

impl Services {
    async fn call(&self, command: Command) -> Result<Receipt, Status> {
        self.connector
            .execute("connector.served_call", command)
            .await
            .map_err(|e| status_of(&e))
    }

    async fn done(&self, command: Command) -> Result<Response<Transaction>, Status> {
        Ok(Response::new(Transaction {
            tx_hash: self.call(command).await?.tx_hash,
        }))
    }

    async fn commitment(&self, command: Command) -> Result<String, Status> {
        match self.call(command).await?.answer {
            Answer::Commitment(commitment) => Ok(commitment),
            _ => Err(misanswered()),
        }
    }
}

/// The code and text of a failed call: the one mapping of this server.
fn status_of(error: &PortError) -> Status {
    let text = error.message();
    match error.kind() {
        PortErrorKind::Refused => Status::unknown(shortened(text)),
        PortErrorKind::Unsupported => Status::unimplemented(text),
        PortErrorKind::Unavailable | PortErrorKind::Timeout | PortErrorKind::Conflict => {
            Status::unavailable(text)
        }
        PortErrorKind::Exhausted => Status::resource_exhausted(text),
        PortErrorKind::NotFound
        | PortErrorKind::Corrupt
        | PortErrorKind::Denied
        | PortErrorKind::Internal => {
            tracing::error!(
                error = delta_ports::report(error),
                "a call failed inside the connector"
            );
            Status::internal("internal error")
        }
    }
}

fn shortened(text: &str) -> String {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

fn misanswered() -> Status {
    Status::internal("the answer is of another call")
}

fn node_info(node: NodeView) -> NodeInfo {
    NodeInfo {
        url: node.url,
        name: node.name,
        address: node.address,
    }
}

#[tonic::async_trait]
impl Identity for Services {
    async fn join(&self, request: Request<JoinReq>) -> Result<Response<JoinResp>, Status> {
        let JoinReq { url, name } = request.into_inner();
        match self.call(Command::Join { url, name }).await? {
            Receipt {
                tx_hash,
                answer: Answer::Joined(address),
            } => Ok(Response::new(JoinResp { tx_hash, address })),
            _ => Err(misanswered()),
        }
    }

    async fn update_url(
        &self,
        request: Request<UpdateUrlReq>,
    ) -> Result<Response<Transaction>, Status> {
        let UpdateUrlReq { address, url } = request.into_inner();
        self.done(Command::UpdateUrl { address, url }).await
    }

    async fn update_name(
        &self,
        request: Request<UpdateNameReq>,
    ) -> Result<Response<Transaction>, Status> {
        let UpdateNameReq { address, name } = request.into_inner();
        self.done(Command::UpdateName { address, name }).await
    }

    async fn leave(&self, request: Request<LeaveReq>) -> Result<Response<Transaction>, Status> {
        let LeaveReq { address } = request.into_inner();
        self.done(Command::Leave { address }).await
    }

    async fn get_node_info(
        &self,
        request: Request<NodeInfoReq>,
    ) -> Result<Response<NodeInfo>, Status> {
        let NodeInfoReq { address } = request.into_inner();
        match self.call(Command::Node { address }).await?.answer {
            Answer::Node(node) => Ok(Response::new(node_info(node))),
            _ => Err(misanswered()),
        }
    }

    async fn get_nodes(
        &self,
        request: Request<NodeInfosReq>,
    ) -> Result<Response<NodeInfos>, Status> {
        let NodeInfosReq { page, page_size } = request.into_inner();
        match self.call(Command::Nodes { page, page_size }).await?.answer {
            Answer::Nodes(nodes, total_count) => Ok(Response::new(NodeInfos {
                nodes: nodes.into_iter().map(node_info).collect(),
                total_count,
            })),
            _ => Err(misanswered()),
        }
    }
}

#[tonic::async_trait]
impl DataHub for Services {
    async fn register(
        &self,
        request: Request<RegisterReq>,
    ) -> Result<Response<Transaction>, Status> {
        let RegisterReq {
            address,
            name,
            index,
            commitment,
        } = request.into_inner();
        self.done(Command::RegisterData {
            address,
            name,
            index,
            commitment,
        })
        .await
    }

    async fn get_data_commitment(
        &self,
        request: Request<DataCommitmentReq>,
    ) -> Result<Response<DataCommitmentResp>, Status> {
        let DataCommitmentReq {
            address,
            name,
            index,
        } = request.into_inner();
        let commitment = self
            .commitment(Command::DataCommitment {
                address,
                name,
                index,
            })
            .await?;
        Ok(Response::new(DataCommitmentResp { commitment }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = "é".repeat(MAX_TEXT);
        let cut = shortened(&text);
        assert!(cut.len() <= MAX_TEXT && text.starts_with(&cut));
        assert_eq!(shortened("short"), "short");
    }
}
