//! The connector's side: its certificate, whom it asks for theirs, and connections that come in.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::{Connected, TcpConnectInfo};

use super::{OwnCertificate, authorities, provider, wrong};
use delta_ports::PortError;

/// How long a handshake may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many handshakes go on at the same time; others wait to be taken.
const AT_ONCE: usize = 1024;
/// How many of them with one address: what comes on top is turned away.
const OF_ONE: usize = 64;

/// TLS of a served connector. Cheap to clone.
#[derive(Clone)]
pub struct ServerTls(TlsAcceptor);

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

impl ServerTls {
    /// Shows `own`; with `client_authorities` (PEM) only clients with a certificate of one of these are let in.
    ///
    /// # Errors
    /// `Corrupt` when a certificate or key cannot be read or used.
    pub fn new(
        own: &OwnCertificate<'_>,
        client_authorities: Option<&[u8]>,
    ) -> Result<Self, PortError> {
        let provider = provider();
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|e| wrong("TLS cannot be set up", e))?;
        let builder = match client_authorities {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let roots = Arc::new(authorities(pem)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                    .build()
                    .map_err(|e| wrong("the clients' authorities cannot be used", e))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let (certificates, key) = own.read()?;
        let mut config = builder
            .with_single_cert(certificates, key)
            .map_err(|e| wrong("the certificate cannot be used with this private key", e))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}

/// Connections whose handshake is done. Each handshake has a task of its own, so that a slow one holds up nobody.
pub(crate) fn accept(
    listener: TcpListener,
    tls: ServerTls,
) -> impl Stream<Item = io::Result<Encrypted>> {
    let (ready, stream) = mpsc::channel(16);
    tokio::spawn(async move {
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        let guests = Arc::<Guests>::default();
        while let Ok(slot) = slots.clone().acquire_owned().await {
            let tcp = tokio::select! {
                accepted = listener.accept() => accepted,
                () = ready.closed() => return,
            };
            let (tcp, from) = match tcp {
                Ok((tcp, from)) => (tcp, from.ip()),
                Err(e) => {
                    // Out of descriptors, mostly: others must close first.
                    tracing::warn!("a connection to the connector could not be taken: {e}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Some(guest) = Guest::new(&guests, from) else {
                tracing::debug!(%from, "a connection is turned away: {OF_ONE} from there have not finished their handshake");
                continue;
            };
            let (tls, ready) = (tls.clone(), ready.clone());
            tokio::spawn(async move {
                match tokio::time::timeout(PATIENCE, handshake(tcp, tls)).await {
                    Ok(Ok(io)) => drop(ready.send(Ok(io)).await),
                    Ok(Err(e)) => tracing::debug!("a handshake failed: {e}"),
                    Err(_) => tracing::debug!("a handshake took too long"),
                }
                drop((guest, slot));
            });
        }
    });
    ReceiverStream::new(stream)
}

/// How many handshakes go on with each address.
type Guests = Mutex<BTreeMap<IpAddr, usize>>;

/// One of them.
struct Guest {
    guests: Arc<Guests>,
    from: IpAddr,
}

impl Guest {
    fn new(guests: &Arc<Guests>, from: IpAddr) -> Option<Self> {
        let mut counts = guests.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(from).or_default();
        if *count >= OF_ONE {
            return None;
        }
        *count += 1;
        Some(Self {
            guests: Arc::clone(guests),
            from,
        })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut counts = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.from);
            }
        }
    }
}

async fn handshake(tcp: TcpStream, tls: ServerTls) -> io::Result<Encrypted> {
    tcp.set_nodelay(true)?;
    Ok(Encrypted(Box::new(tls.0.accept(tcp).await?)))
}

/// An encrypted connection, as tonic wants it.
pub(crate) struct Encrypted(Box<TlsStream<TcpStream>>);

impl Connected for Encrypted {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.0.get_ref().0.connect_info()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}
