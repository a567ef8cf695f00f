//! The client's side: how it knows its connector, and how it gets there.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tower_service::Service;

use super::pinned::Pinned;
use super::{OP, OwnCertificate, authorities, provider, wrong};
use delta_domain::ids::Digest;
use delta_ports::{PortError, PortErrorKind};

/// What a connector must show.
#[derive(Debug, Clone)]
pub enum Trusted<'a> {
    /// A certificate for its host of one of these authorities (PEM).
    Authorities(&'a [u8]),
    /// The key with this SHA-256 of its SubjectPublicKeyInfo.
    Key(Digest),
}

/// TLS to a connector. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ClientTls(Arc<ClientConfig>);

impl ClientTls {
    /// Knows its connector by `trusted`, and shows `own` if the connector asks.
    ///
    /// # Errors
    /// `Corrupt` when a certificate or key cannot be read or used.
    pub fn new(trusted: Trusted<'_>, own: Option<OwnCertificate<'_>>) -> Result<Self, PortError> {
        let provider = provider();
        let algorithms = provider.signature_verification_algorithms;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| wrong("TLS cannot be set up", e))?;
        let builder = match trusted {
            Trusted::Authorities(pem) => builder.with_root_certificates(authorities(pem)?),
            Trusted::Key(key) => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Pinned { key, algorithms })),
        };
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let (certificates, key) = own.read()?;
                builder
                    .with_client_auth_cert(certificates, key)
                    .map_err(|e| wrong("the client's certificate cannot be used", e))?
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

/// A channel over TLS, which connects on first use.
pub(crate) fn dial(
    endpoint: &Endpoint,
    host: &str,
    port: u16,
    tls: &ClientTls,
) -> Result<Channel, PortError> {
    let host = host.trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(host.clone()).map_err(|e| {
        let text = format!("{host} is no name that a certificate could have");
        PortError::new(PortErrorKind::Internal, OP, text).with_source(e)
    })?;
    Ok(endpoint.connect_with_connector_lazy(Dialer {
        host,
        port,
        name,
        tls: TlsConnector::from(tls.0.clone()),
    }))
}

#[derive(Clone)]
struct Dialer {
    host: String,
    port: u16,
    name: ServerName<'static>,
    tls: TlsConnector,
}

type Dialling = Pin<Box<dyn Future<Output = io::Result<TokioIo<TlsStream<TcpStream>>>> + Send>>;

impl Service<Uri> for Dialer {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Dialling;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Dialling {
        let to = self.clone();
        Box::pin(async move {
            let tcp = TcpStream::connect((to.host.as_str(), to.port)).await?;
            tcp.set_nodelay(true)?;
            Ok(TokioIo::new(to.tls.connect(to.name, tcp).await?))
        })
    }
}
