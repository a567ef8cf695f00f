//! The connector: another process's, or one kept by this program.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;

use super::storage::make_folder_of;
use crate::adapters::connector::{
    Durability, EmbeddedConnector, EmbeddedOptions, Location, serve, serve_with,
};
use crate::adapters::grpc::{GrpcConnector, GrpcOptions};
use crate::config::{Config, Sync};
use delta_ports::PortError;
use delta_ports::clock::Clock;
use delta_ports::connector::Connector;

/// What a hostile connector makes of what passes through it.
pub(crate) use crate::adapters::connector::Lies;

/// What a caller may want otherwise of a connection; the adapter's own values where it says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Dial {
    /// How often the event stream must show a sign of life.
    pub(crate) heartbeat: Option<Duration>,
    /// Deadline of every call but the subscription.
    pub(crate) call_timeout: Option<Duration>,
}

/// A connector in another process. Nothing is sent before the first call.
///
/// # Errors
/// `Internal` when host and port make no address.
pub(crate) fn connect(host: &str, port: u16, dial: Dial) -> Result<Arc<dyn Connector>, PortError> {
    let usual = GrpcOptions::default();
    let options = GrpcOptions {
        heartbeat: dial.heartbeat.unwrap_or(usual.heartbeat),
        call_timeout: dial.call_timeout.unwrap_or(usual.call_timeout),
        ..usual
    };
    Ok(Arc::new(GrpcConnector::new(host, port, options)?))
}

/// A connector kept by this program. Clones share one record.
#[derive(Debug, Clone)]
pub struct Embedded(EmbeddedConnector);

/// The embedded connector of a configuration.
///
/// # Errors
/// Its database cannot be opened.
pub async fn embedded(config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<Embedded> {
    let durability = match config.connector.sync {
        Sync::Full => Durability::PowerLoss,
        Sync::Normal => Durability::Process,
    };
    let options = EmbeddedOptions {
        durability,
        ..EmbeddedOptions::default()
    };
    make_folder_of(&config.connector.db_file)?;
    let location = Location::File(config.connector.db_file.clone());
    let connector = EmbeddedConnector::open(&location, clock, options)
        .await
        .context("the embedded connector's database cannot be opened")?;
    Ok(Embedded(connector))
}

impl Embedded {
    /// As the node in this process uses it.
    #[must_use]
    pub fn port(&self) -> Arc<dyn Connector> {
        Arc::new(self.0.clone())
    }

    /// Serves it to other processes on `listener` until `shutdown` is over; calls under way are finished.
    ///
    /// # Errors
    /// `Unavailable` when the listener fails.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), PortError> {
        serve(&self.0, listener, shutdown).await
    }

    /// As [`Self::serve`], with `lies` in between: for trials of a network's defences.
    pub(crate) async fn serve_lying(
        &self,
        lies: Arc<dyn Lies>,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), PortError> {
        serve_with(&self.0, lies, listener, shutdown).await
    }

    /// Finishes the calls that wait and closes the file. Later calls fail.
    pub async fn close(&self) {
        self.0.close().await;
    }
}
