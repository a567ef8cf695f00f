//! TLS for the client: rustls with ring, and whose certificates are trusted.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use super::card_keys::{Blind, ByCard, CardKeys};
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

/// The client side of https; nodes whose cards name their TLS key are trusted too.
pub(crate) fn config(trust: &Trust, keys: &CardKeys) -> Result<ClientConfig, PortError> {
    with(Arc::new(ByCard {
        usual: usual(trust)?,
        keys: keys.clone(),
    }))
}

/// For answers that prove themselves: whoever is on the way can keep them back, and nothing else.
pub(crate) fn unchecked() -> Result<ClientConfig, PortError> {
    with(blind(true))
}

fn with(verifier: Arc<dyn ServerCertVerifier>) -> Result<ClientConfig, PortError> {
    let builder = ClientConfig::builder_with_provider(pem::provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    Ok(builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

fn blind(accepts: bool) -> Arc<dyn ServerCertVerifier> {
    Arc::new(Blind {
        accepts,
        algorithms: pem::provider().signature_verification_algorithms,
    })
}

fn usual(trust: &Trust) -> Result<Arc<dyn ServerCertVerifier>, PortError> {
    let provider = pem::provider();
    match trust {
        Trust::System => match Verifier::new(provider) {
            Ok(verifier) => Ok(Arc::new(verifier)),
            Err(error) => {
                // A slim container without certificates still talks http; https then fails by itself, as an unknown issuer.
                tracing::warn!(%error, "no trusted certificates on this system: https to other nodes will fail");
                Ok(blind(false))
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
            let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = built.build().map_err(|error| {
                let text = format!("{} holds no certificate to trust", file.display());
                PortError::new(PortErrorKind::Corrupt, "peer.tls", text).with_source(error)
            })?;
            Ok(verifier)
        }
        Trust::Also(file) => {
            let extra = pem::certificates(file)?;
            let verifier = Verifier::new_with_extra_roots(extra, provider).map_err(unusable)?;
            Ok(Arc::new(verifier))
        }
    }
}

fn unusable(error: rustls::Error) -> PortError {
    PortError::new(PortErrorKind::Internal, "peer.tls", "TLS cannot be set up").with_source(error)
}
