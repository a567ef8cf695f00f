//! Knowing a node by the TLS key that its identity card names, where no authority vouches for its certificate
//! (docs/protocol/identity.md, Card).
//!
//! The handshake proves that the server has the private key; the card, signed by an identity that roster or pins vouch for, says that it is the
//! right one. What else stands in the certificate means nothing then: no name, no date, no authority.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use delta_domain::ids::Digest;

/// Hosts that are remembered; of each this many keys, of nodes beside each other and of their last certificates.
const MOST_HOSTS: usize = 10_000;
const MOST_KEYS: usize = 64;

/// Which keys may be shown at which host. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct CardKeys(Arc<Mutex<BTreeMap<String, BTreeSet<Digest>>>>);

impl CardKeys {
    /// From now on whoever has this key may answer at this host: SHA-256 of a SubjectPublicKeyInfo.
    pub(crate) fn trust(&self, host: &str, key: Digest) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_HOSTS && !all.contains_key(host) {
            return;
        }
        let keys = all.entry(host.to_ascii_lowercase()).or_default();
        if keys.len() < MOST_KEYS {
            keys.insert(key);
        }
    }

    fn knows(&self, name: &ServerName<'_>, certificate: &CertificateDer<'_>) -> bool {
        let Ok(parsed) = ParsedCertificate::try_from(certificate) else {
            return false;
        };
        let key = Digest::of(&parsed.subject_public_key_info());
        let host = match name {
            ServerName::DnsName(name) => name.as_ref().to_ascii_lowercase(),
            ServerName::IpAddress(address) => std::net::IpAddr::from(*address).to_string(),
            _ => return false,
        };
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&host).is_some_and(|keys| keys.contains(&key))
    }
}

/// As the usual verifier says, and where it says no, by the keys of cards.
#[derive(Debug)]
pub(super) struct ByCard {
    pub(super) usual: Arc<dyn ServerCertVerifier>,
    pub(super) keys: CardKeys,
}

impl ServerCertVerifier for ByCard {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let usual = &self.usual;
        usual
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            .or_else(|error| {
                if self.keys.knows(server_name, end_entity) {
                    Ok(ServerCertVerified::assertion())
                } else {
                    Err(error)
                }
            })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

/// A verifier without an opinion of its own: anybody, for what proves itself (documents), or nobody.
#[derive(Debug)]
pub(super) struct Blind {
    pub(super) accepts: bool,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Blind {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.accepts {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
