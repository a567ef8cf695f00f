//! TLS between nodes and connector, at both ends: rustls with ring, TLS 1.2 and 1.3, and no certificate that nobody named.
//!
//! A client knows its connector by the authorities in a file, or by the connector's public key alone, without any authority. A connector may ask
//! its clients for certificates of an authority; who they act for is said by their signatures all the same (`signature.rs`).

mod client;
mod pinned;
mod server;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ParsedCertificate;
use rustls::{RootCertStore, crypto};

use delta_domain::ids::Digest;
use delta_ports::{PortError, PortErrorKind};

pub(crate) use client::dial;
pub use client::{ClientTls, Trusted};
pub use server::ServerTls;
pub(crate) use server::accept;

const OP: &str = "connector.tls";

/// A certificate with those above it, and its private key: both in PEM.
#[derive(Clone)]
pub struct OwnCertificate<'a> {
    /// The certificate first.
    pub certificates: &'a [u8],
    /// PKCS #8, PKCS #1 or SEC 1.
    pub private_key: &'a [u8],
}

impl OwnCertificate<'_> {
    fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), PortError> {
        let key = PrivateKeyDer::from_pem_slice(self.private_key)
            .map_err(|e| wrong("there is no private key in the file of the private key", e))?;
        Ok((certificates(self.certificates)?, key))
    }
}

/// SHA-256 of the SubjectPublicKeyInfo of the first certificate in a PEM text: what others pin.
///
/// # Errors
/// `Corrupt` when there is no certificate in it.
pub fn key_of_certificate(pem: &[u8]) -> Result<Digest, PortError> {
    let all = certificates(pem)?;
    let first = all.first().ok_or_else(nothing)?;
    key_of(first).ok_or_else(nothing)
}

fn key_of(certificate: &CertificateDer<'_>) -> Option<Digest> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    Some(Digest::of(&parsed.subject_public_key_info()))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PortError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|e| wrong("a certificate cannot be read", e))?;
    if read.is_empty() {
        return Err(nothing());
    }
    Ok(read)
}

fn authorities(pem: &[u8]) -> Result<RootCertStore, PortError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(pem)? {
        store
            .add(certificate)
            .map_err(|e| wrong("an authority's certificate cannot be used", e))?;
    }
    Ok(store)
}

fn provider() -> std::sync::Arc<crypto::CryptoProvider> {
    std::sync::Arc::new(crypto::ring::default_provider())
}

fn nothing() -> PortError {
    PortError::new(
        PortErrorKind::Corrupt,
        OP,
        "there is no certificate (PEM) in the file of certificates",
    )
}

fn wrong(text: &str, source: impl std::error::Error + Send + Sync + 'static) -> PortError {
    PortError::new(PortErrorKind::Corrupt, OP, text).with_source(source)
}

#[cfg(test)]
mod tests;
