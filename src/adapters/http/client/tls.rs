//! TLS for the client: rustls with ring, and whose certificates are trusted.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_platform_verifier::{BuilderVerifierExt as _, Verifier};

use crate::pem;
use delta_ports::{PortError, PortErrorKind};

/// Whose certificates a client trusts.
#[derive(Debug, Clone, Default)]
pub enum Trust {
    /// Those that this system trusts.
    #[default]
    System,
    /// Those in this PEM file, and what they have signed; no others.
    Only(PathBuf),
    /// Those that this system trusts, and those in this PEM file.
    Also(PathBuf),
}

/// The client side of https.
pub(crate) fn config(trust: &Trust) -> Result<ClientConfig, PortError> {
    let provider = pem::provider();
    let unusable = |error: rustls::Error| {
        PortError::new(PortErrorKind::Internal, "peer.tls", "TLS cannot be set up")
            .with_source(error)
    };
    match trust {
        Trust::System => match builder(provider.clone())?.with_platform_verifier() {
            Ok(config) => Ok(config.with_no_client_auth()),
            Err(error) => {
                // A slim container without certificates still talks http; https then fails by itself, as an unknown issuer.
                tracing::warn!(%error, "no trusted certificates on this system: https to other nodes will fail");
                Ok(builder(provider)?
                    .with_root_certificates(RootCertStore::empty())
                    .with_no_client_auth())
            }
        },
        Trust::Only(file) => {
            let mut roots = RootCertStore::empty();
            for certificate in pem::certificates(file)? {
                roots.add(certificate).map_err(|error| {
                    let text = format!("a certificate in {} cannot be used", file.display());
                    PortError::new(PortErrorKind::Corrupt, "peer.tls", text).with_source(error)
                })?;
            }
            Ok(builder(provider)?
                .with_root_certificates(roots)
                .with_no_client_auth())
        }
        Trust::Also(file) => {
            let extra = pem::certificates(file)?;
            let verifier = Verifier::new_with_extra_roots(extra, provider.clone());
            Ok(builder(provider)?
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier.map_err(unusable)?))
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
