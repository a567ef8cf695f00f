//! TLS for the client: rustls with ring, and the certificates that the system trusts.
//!
//! The provider is given to this one configuration. reqwest would take it from a process-wide slot, and panic when that is empty.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_platform_verifier::BuilderVerifierExt as _;

use delta_ports::{PortError, PortErrorKind};

/// The client side of https.
pub(crate) fn config() -> Result<ClientConfig, PortError> {
    let provider = Arc::new(ring::default_provider());
    match builder(provider.clone())?.with_platform_verifier() {
        Ok(config) => Ok(config.with_no_client_auth()),
        Err(error) => {
            // A slim container without certificates still talks http; https then fails by itself, as an unknown issuer.
            tracing::warn!(%error, "no trusted certificates on this system: https to other nodes will fail");
            Ok(builder(provider)?
                .with_root_certificates(RootCertStore::empty())
                .with_no_client_auth())
        }
    }
}

fn builder(
    provider: Arc<CryptoProvider>,
) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, PortError> {
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| {
            PortError::new(PortErrorKind::Internal, "peer.tls", "TLS cannot be set up")
                .with_source(error)
        })
}
