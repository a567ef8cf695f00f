//! The connector: another process's, or one kept by this program.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rand_core::Rng as _;
use tokio::net::TcpListener;
use zeroize::Zeroizing;

use super::claims::Claims;
use crate::adapters::connector::{
    Durability, EmbeddedConnector, EmbeddedOptions, Intercepted, Keyed, RecordFile,
};
pub(crate) use crate::adapters::grpc::CallSigner;
use crate::adapters::grpc::{Door, GrpcConnector, GrpcOptions, ServerTls, serve, serve_tls};
use crate::adapters::system::make_private_file;
use crate::config::{ChainConnector, Config, ConnectorTls, Sync};
use delta_app::Wallet;
use delta_domain::identity::NodeKey;
use delta_domain::ids::Address;
use delta_domain::secret::Secret;
use delta_ports::PortError;
use delta_ports::clock::Clock;
use delta_ports::connector::Connector;

/// What a hostile connector makes of what passes through it.
pub(crate) use crate::adapters::connector::Intercept;

/// What a caller may want otherwise of a connection; the adapter's own values where it says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Dial {
    /// Deadline of every call but the subscription.
    pub(crate) call_timeout: Option<Duration>,
}

/// A connector in another process; calls are signed if there is a `signer`. Nothing is sent before the first call.
///
/// # Errors
/// Host and port make no address, or a file of TLS cannot be used.
pub(crate) fn connect(
    host: &str,
    port: u16,
    dial: Dial,
    signer: Option<CallSigner>,
    tls: Option<&ConnectorTls>,
) -> anyhow::Result<Arc<dyn Connector>> {
    let usual = GrpcOptions::default();
    let options = GrpcOptions {
        call_timeout: dial.call_timeout.unwrap_or(usual.call_timeout),
        change_timeout: dial.call_timeout.unwrap_or(usual.change_timeout),
        ..usual
    };
    Ok(Arc::new(client(host, port, options, signer, tls)?))
}

/// As [`connect`], for a node at work: what it puts on record goes through one queue.
///
/// # Errors
/// As there.
pub(crate) fn connect_wallet(
    place: &ChainConnector,
    signer: CallSigner,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Arc<dyn Connector>> {
    let options = GrpcOptions {
        heartbeat: place.heartbeat,
        // The queue has deadlines of its own.
        change_timeout: Wallet::<GrpcConnector>::longest_call(),
        ..GrpcOptions::default()
    };
    let tls = place.tls.as_ref();
    let client = client(&place.host, place.port, options, Some(signer), tls)?;
    Ok(Arc::new(Wallet::new(client, clock)))
}

fn client(
    host: &str,
    port: u16,
    options: GrpcOptions,
    signer: Option<CallSigner>,
    tls: Option<&ConnectorTls>,
) -> anyhow::Result<GrpcConnector> {
    let mut client = GrpcConnector::new(host, port, options)?;
    if let Some(tls) = tls {
        client = client.over_tls(host, port, &super::tls::client(tls)?)?;
    }
    Ok(match signer {
        Some(signer) => client.signed_by(signer),
        None => client,
    })
}

/// As [`connect`], for a caller without an identity of its own: each connection signs under a key that is made for it.
///
/// # Errors
/// As there, and `Internal` when there is no randomness.
pub(crate) fn connect_as_somebody(host: &str, port: u16) -> anyhow::Result<Arc<dyn Connector>> {
    let entropy = super::ends::entropy();
    let mut seed = Zeroizing::new([0; 32]);
    entropy.rng()?.fill_bytes(seed.as_mut_slice());
    let key = NodeKey::new(&Secret::new(*seed)).context("a key of secp256k1")?;
    let signer = CallSigner::new(Arc::new(key), super::ends::clock(), entropy);
    connect(host, port, Dial::default(), Some(signer), None)
}

/// A connector kept by this program. Clones share one record.
#[derive(Debug, Clone)]
pub struct Embedded {
    record: EmbeddedConnector,
    door: Door,
    tls: Option<ServerTls>,
    /// Held, not read.
    _claims: Arc<Claims>,
}

/// As long as two threads may take to serve two requests that came together, on a busy machine.
const HINDSIGHT: Duration = Duration::from_millis(50);

/// The embedded connector of a configuration.
///
/// # Errors
/// Another process has its database, or it cannot be opened.
pub async fn embedded(config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<Embedded> {
    let claims = Arc::new(Claims::of_connector(config)?);
    let durability = match config.connector.sync {
        Sync::Full => Durability::PowerLoss,
        Sync::Normal => Durability::Process,
    };
    let options = EmbeddedOptions {
        durability,
        hindsight: HINDSIGHT,
        ..EmbeddedOptions::default()
    };
    make_private_file(&config.connector.db_file).with_context(|| {
        let file = config.connector.db_file.display();
        format!("the connector's database {file} cannot be made for this user alone")
    })?;
    let file = RecordFile::OnDisk(config.connector.db_file.clone());
    let door = Door::new(config.connector.open, clock.clone());
    let record = EmbeddedConnector::open(&file, clock, options)
        .await
        .context("the embedded connector's database cannot be opened")?;
    let tls = super::tls::server(&config.connector)?;
    Ok(Embedded {
        record,
        door,
        tls,
        _claims: claims,
    })
}

impl Embedded {
    /// As the node in this process uses it, whose key has this address.
    #[must_use]
    pub fn port(&self, address: Address) -> Arc<dyn Connector> {
        Arc::new(Keyed::new(Arc::new(self.record.clone()), address))
    }

    /// Serves it to other processes, through one door for all ports, on `listener` until `shutdown` is over; calls under way are finished.
    ///
    /// # Errors
    /// `Unavailable` when the listener fails.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), PortError> {
        let record = Arc::new(self.record.clone());
        let (door, tls) = (self.door.clone(), self.tls.clone());
        serve_tls(record, door, listener, tls, shutdown).await
    }

    /// The same record behind a door like the original connector's, which knows no signatures: for trials.
    pub(crate) fn like_the_original(self, clock: Arc<dyn Clock>) -> Self {
        Self {
            door: Door::of_the_reference(clock),
            ..self
        }
    }

    /// As [`Self::serve`], with somebody `between`: for trials of a network's defences.
    pub(crate) async fn serve_intercepted(
        &self,
        between: Arc<dyn Intercept>,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), PortError> {
        let shown = Intercepted::new(Arc::new(self.record.clone()), between);
        serve(Arc::new(shown), self.door.clone(), listener, shutdown).await
    }

    /// Finishes the calls that wait and closes the file. Later calls fail.
    pub async fn close(&self) {
        self.record.close().await;
    }
}
