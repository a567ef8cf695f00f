//! Knowing a node by the TLS key that its identity card names, where no authority vouches for its certificate
//! (docs/protocol/identity.md, Card).
//!
//! The handshake proves that the server has the private key; the card, signed by an identity that roster or pins vouch for, says that it is the
//! right one. What else stands in the certificate means nothing then: no name, no date, no authority.
//!
//! Whoever checks a certificate is told the host and not the port. So a host has one such key: a second identity there, with another key, could
//! answer in the first one's place, and is refused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use delta_domain::identity::Fingerprint;
use delta_domain::ids::Digest;
use delta_domain::secagg::keys::PublicKey;
use delta_ports::{PortError, PortErrorKind};

/// The most identities that are known by a TLS key: more than a roster can have.
const MOST: usize = 10_000;

/// Where an identity is, and the one TLS key that it has there.
#[derive(Debug)]
struct Door {
    host: String,
    key: Digest,
}

/// Which identity may show which key at which host. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct CardKeys(Arc<Mutex<BTreeMap<PublicKey, Door>>>);

impl CardKeys {
    /// From now on whoever has this key (SHA-256 of a SubjectPublicKeyInfo) may answer at this host, for the identity `who`: its one key, in place
    /// of the one before.
    ///
    /// # Errors
    /// `Conflict` when another identity has another key at this host; `Exhausted` when there are too many.
    pub(crate) fn trust(&self, who: &PublicKey, host: &str, key: Digest) -> Result<(), PortError> {
        const OP: &str = "peer.trust_key";
        let host = host.to_ascii_lowercase();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(who);
        let other = all.iter().find(|(_, d)| d.host == host && d.key != key);
        if let Some((other, _)) = other {
            let text = format!(
                "at {host} the node {} is known by another TLS key: of two nodes with keys of their own at one host only one can be known by its card, whatever their ports",
                Fingerprint::of(other)
            );
            return Err(PortError::new(PortErrorKind::Conflict, OP, text));
        }
        if all.len() >= MOST {
            let text = format!("{MOST} nodes are known by their TLS keys, there is no room");
            return Err(PortError::new(PortErrorKind::Exhausted, OP, text));
        }
        all.insert(who.clone(), Door { host, key });
        Ok(())
    }

    /// No key is trusted for the identity `who` any more.
    pub(crate) fn distrust(&self, who: &PublicKey) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(who);
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
        all.values()
            .any(|door| door.host == host && door.key == key)
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

#[cfg(test)]
mod tests {
    use super::*;
    use delta_domain::identity::NodeKey;
    use delta_domain::secret::Secret;

    fn who(byte: u8) -> PublicKey {
        let key = NodeKey::new(&Secret::new([byte; 32])).unwrap();
        key.public().clone()
    }

    /// What may be shown at each host.
    fn doors(keys: &CardKeys) -> Vec<(String, u8)> {
        let all = keys.0.lock().unwrap();
        let mut doors: Vec<_> = all.values().map(|d| (d.host.clone(), d.key.0[0])).collect();
        doors.sort();
        doors
    }

    #[test]
    fn an_identity_has_one_key_at_one_host_until_it_is_distrusted() {
        let keys = CardKeys::default();
        keys.trust(&who(1), "A.example", Digest([1; 32])).unwrap();
        keys.trust(&who(2), "b.example", Digest([2; 32])).unwrap();
        // A new certificate takes the place of the old one, a new host that of the old one.
        keys.trust(&who(1), "a.example", Digest([3; 32])).unwrap();
        keys.trust(&who(2), "c.example", Digest([2; 32])).unwrap();
        let left = [("a.example".to_owned(), 3), ("c.example".to_owned(), 2)];
        assert_eq!(doors(&keys), left);
        keys.distrust(&who(1));
        assert_eq!(doors(&keys), left[1..]);
    }

    #[test]
    fn a_second_identity_at_a_host_gets_no_key_of_its_own() {
        let keys = CardKeys::default();
        keys.trust(&who(1), "a", Digest([1; 32])).unwrap();
        keys.trust(&who(2), "b", Digest([2; 32])).unwrap();
        let refused = keys.trust(&who(2), "a", Digest([2; 32])).unwrap_err();
        assert_eq!(refused.kind(), PortErrorKind::Conflict);
        assert_eq!(doors(&keys), [("a".to_owned(), 1)]);
        // One proxy before both shows one key.
        keys.trust(&who(2), "a", Digest([1; 32])).unwrap();
        keys.distrust(&who(1));
        assert_eq!(doors(&keys), [("a".to_owned(), 1)]);
    }
}
