//! The connector's client: one lazy HTTP/2 connection, one deadline a call.

mod calls;
mod spoken;
mod subscribe;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use spoken::Spoken;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::error::connector_error;
use super::pb::datahub::data_hub_client::DataHubClient;
use super::pb::hlr::hlr_client::HlrClient;
use super::pb::horizontal::horizontal_client::HorizontalClient;
use super::pb::identity::identity_client::IdentityClient;
use super::pb::subscribe::subscribe_client::SubscribeClient;
use super::signature::CallSigner;
use super::tls::{ClientTls, dial};
use delta_domain::connector_record::Command;
use delta_ports::connector::{Receipt, RecordBackend, RecordEvents};
use delta_ports::{PortError, PortErrorKind};

/// How the client behaves.
#[derive(Debug, Clone)]
pub struct GrpcOptions {
    /// Deadline of every call that only reads.
    pub call_timeout: Duration,
    /// Deadline of every call that changes the record. Whoever keeps shorter ones of his own, as a wallet does, makes this the longest.
    pub change_timeout: Duration,
    /// Heartbeat period asked of the connector; silence of twice this long ends a subscription. Clamped to 1 s to 1 h.
    pub heartbeat: Duration,
    /// How long opening a connection may take.
    pub connect_timeout: Duration,
    /// Largest answer taken, in bytes.
    pub max_answer: usize,
}

impl Default for GrpcOptions {
    fn default() -> Self {
        Self {
            call_timeout: Duration::from_secs(20),
            change_timeout: Duration::from_secs(20),
            heartbeat: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            max_answer: 64 << 20,
        }
    }
}

/// A connector in another process.
#[derive(Debug, Clone)]
pub struct GrpcConnector {
    channel: Channel,
    options: GrpcOptions,
    signer: Option<CallSigner>,
    place: Arc<Place>,
}

/// Where the connector is, and what was last found there when it could not be spoken to.
#[derive(Debug)]
struct Place {
    host: String,
    port: u16,
    tls: bool,
    found: Mutex<Option<(Instant, Option<Spoken>)>>,
}

/// How long what was found at a place is believed.
const BELIEVED: Duration = Duration::from_secs(30);

impl Place {
    fn new(host: &str, port: u16, tls: bool) -> Arc<Self> {
        Arc::new(Self {
            host: host.to_owned(),
            port,
            tls,
            found: Mutex::default(),
        })
    }

    /// An error of a connection with what speaks at the other end, where that is not what this client does.
    async fn explained(&self, error: PortError) -> PortError {
        use PortErrorKind::{Timeout, Unavailable};
        if !matches!(error.kind(), Unavailable | Timeout) {
            return error;
        }
        let mut found = self.found.lock().await;
        let spoken = match *found {
            Some((at, spoken)) if at.elapsed() < BELIEVED => spoken,
            _ => {
                let spoken = Spoken::at(&self.host, self.port).await;
                *found = Some((Instant::now(), spoken));
                spoken
            }
        };
        match spoken.and_then(|spoken| spoken.advice(self.tls)) {
            Some(advice) => {
                let text = format!("{}:{}: {advice}", self.host, self.port);
                PortError::new(error.kind(), error.op(), text)
            }
            None => error,
        }
    }
}

impl GrpcConnector {
    /// A client of the connector at `host:port`. Nothing is sent before the first call.
    ///
    /// # Errors
    /// `Internal` when host and port make no address.
    pub fn new(host: &str, port: u16, options: GrpcOptions) -> Result<Self, PortError> {
        Ok(Self {
            channel: endpoint("connector.new", host, port, &options)?.connect_lazy(),
            options,
            signer: None,
            place: Place::new(host, port, false),
        })
    }

    /// The same client over TLS. Nothing is sent before the first call.
    ///
    /// # Errors
    /// `Internal` when host and port make no address, or `host` is no name that a certificate could have.
    pub fn over_tls(self, host: &str, port: u16, tls: &ClientTls) -> Result<Self, PortError> {
        let endpoint = endpoint("connector.new", host, port, &self.options)?;
        Ok(Self {
            channel: dial(&endpoint, host, port, tls)?,
            place: Place::new(host, port, true),
            ..self
        })
    }

    /// The same client, signing every call that acts for an address. Connectors that know nothing of signatures pass them over.
    #[must_use]
    pub fn signed_by(self, signer: CallSigner) -> Self {
        Self {
            signer: Some(signer),
            ..self
        }
    }

    /// `message` as a request of a method, signed if this client signs.
    fn request<T: prost::Message>(&self, method: &str, message: T) -> Result<Request<T>, Status> {
        match &self.signer {
            Some(signer) => signer.sign(method, message),
            None => Ok(Request::new(message)),
        }
    }

    /// One call; a second time when the connector refused the first for the time of its signature, and so did not execute it.
    async fn send(&self, command: Command) -> Result<Receipt, Status> {
        let Some(signer) = self.signer.as_ref().filter(|_| !command.is_read()) else {
            return calls::send(self, command).await;
        };
        match calls::send(self, command.clone()).await {
            Err(status) if signer.learns(&status) => calls::send(self, command).await,
            outcome => outcome,
        }
    }

    fn identity(&self) -> IdentityClient<Channel> {
        IdentityClient::new(self.channel.clone()).max_decoding_message_size(self.options.max_answer)
    }

    fn data_hub(&self) -> DataHubClient<Channel> {
        DataHubClient::new(self.channel.clone()).max_decoding_message_size(self.options.max_answer)
    }

    fn horizontal(&self) -> HorizontalClient<Channel> {
        HorizontalClient::new(self.channel.clone())
            .max_decoding_message_size(self.options.max_answer)
    }

    fn hlr(&self) -> HlrClient<Channel> {
        HlrClient::new(self.channel.clone()).max_decoding_message_size(self.options.max_answer)
    }
}

#[async_trait]
impl RecordBackend for GrpcConnector {
    async fn execute(&self, op: &'static str, command: Command) -> Result<Receipt, PortError> {
        let allowed = match command.is_read() {
            true => self.options.call_timeout,
            false => self.options.change_timeout,
        };
        let error = match tokio::time::timeout(allowed, self.send(command)).await {
            Ok(Ok(receipt)) => return Ok(receipt),
            Ok(Err(status)) => connector_error(op, status),
            Err(_) => {
                let waited = allowed.as_secs_f64();
                let text = format!("the connector did not answer within {waited} s");
                PortError::new(PortErrorKind::Timeout, op, text)
            }
        };
        Err(self.place.explained(error).await)
    }

    async fn open(&self, op: &'static str, listener: &str) -> Result<RecordEvents, PortError> {
        let client = SubscribeClient::new(self.channel.clone())
            .max_decoding_message_size(self.options.max_answer);
        let signer = self.signer.clone();
        match subscribe::open(op, client, listener, signer, self.options.heartbeat).await {
            Ok(events) => Ok(events),
            Err(error) => Err(self.place.explained(error).await),
        }
    }
}

/// HTTP/2, pinged every 10 s for 5 s, also without calls, as the reference node does.
pub(super) fn endpoint(
    op: &'static str,
    host: &str,
    port: u16,
    options: &GrpcOptions,
) -> Result<Endpoint, PortError> {
    let host = if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    let endpoint = Endpoint::from_shared(format!("http://{host}:{port}")).map_err(|e| {
        PortError::new(
            PortErrorKind::Internal,
            op,
            format!("{host}:{port} is no address"),
        )
        .with_source(e)
    })?;
    Ok(endpoint
        .connect_timeout(options.connect_timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5))
        .keep_alive_while_idle(true))
}
