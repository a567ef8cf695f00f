//! Certificates and keys in PEM files, and the pair that `init --tls self-signed` makes.

use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use delta_domain::time::Timestamp;
use delta_ports::{PortError, PortErrorKind};

/// Longest file that is read.
const MAX_FILE: u64 = 1 << 20;

/// A certificate that nobody but its holder vouches for, and its key, both in PEM.
pub struct SelfSigned {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: Zeroizing<String>,
}

/// Makes a certificate for these host names and IP addresses, good for about five years from `now`.
///
/// # Errors
/// `Rejected` when a name cannot stand in a certificate.
pub fn self_signed(names: Vec<String>, now: Timestamp) -> Result<SelfSigned, PortError> {
    const YEAR_MS: u64 = 31_556_952_000;
    let failed = |error| {
        PortError::new(
            PortErrorKind::Rejected,
            "tls.make",
            "no certificate can be made",
        )
        .with_source(error)
    };
    let year = i32::try_from(1970 + now.0 / YEAR_MS).unwrap_or(9000);
    let key = KeyPair::generate().map_err(failed)?;
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params.not_before = rcgen::date_time_ymd(year - 1, 1, 1);
    params.not_after = rcgen::date_time_ymd(year + 5, 1, 1);
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "delta-node");
    // Also what the node shows to a connector that asks for a certificate.
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok(SelfSigned {
        certificate: certificate.pem(),
        key: Zeroizing::new(key.serialize_pem()),
    })
}

/// The one provider of primitives. rustls would take it from a process-wide slot otherwise, and panic when that is empty.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// All certificates of a file; at least one.
///
/// # Errors
/// The file cannot be read, or holds none.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PortError> {
    let bytes = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(corrupt(path, "no certificate in PEM form")),
        Err(error) => Err(corrupt(path, "no certificate in PEM form").with_source(error)),
    }
}

/// The private key of a file.
///
/// # Errors
/// The file cannot be read, or holds none.
pub(crate) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, PortError> {
    let bytes = read(path)?;
    PrivateKeyDer::from_pem_slice(&bytes)
        .map_err(|error| corrupt(path, "no private key in PEM form").with_source(error))
}

fn corrupt(path: &Path, what: &str) -> PortError {
    let text = format!("{} holds {what}", path.display());
    PortError::new(PortErrorKind::Corrupt, "tls.read", text)
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, PortError> {
    use std::io::Read as _;
    let cannot = |error| {
        let text = format!("{} cannot be read", path.display());
        PortError::new(PortErrorKind::Unavailable, "tls.read", text).with_source(error)
    };
    let file = std::fs::File::open(path).map_err(cannot)?;
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_FILE)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    Ok(bytes)
}
