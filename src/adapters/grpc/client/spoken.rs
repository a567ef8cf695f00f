//! What answers where a connector should be: asked once a connection has failed, so that an operator reads what to change.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long the other side may take for its first bytes.
const PATIENCE: Duration = Duration::from_secs(1);

/// The client's preface of HTTP/2 (RFC 9113, section 3.4) with an empty frame of settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// What somebody speaks who accepts connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoken {
    /// What a connector without TLS speaks.
    Http2,
    /// TLS: it has answered plain text with an alert.
    Tls,
    /// HTTP/1: a web server, or a node's own API.
    Http1,
    /// No word, or the end.
    Nothing,
    /// Something else.
    Other,
}

impl Spoken {
    /// Asks at an address in plain text, and where that is not answered by TLS; `None` when no connection can be had.
    pub(super) async fn at(host: &str, port: u16) -> Option<Self> {
        let host = host.trim_matches(['[', ']']);
        let plain = Self::of(&answer_to(host, port, PREFACE).await?);
        if plain != Self::Nothing {
            return Some(plain);
        }
        // Some end a connection that does not begin with a greeting of TLS without a word.
        let greeted = answer_to(host, port, &tls_greeting()).await;
        let speaks_tls = greeted.is_some_and(|a| matches!(a[..], [0x15 | 0x16, 3, ..]));
        Some(if speaks_tls { Self::Tls } else { plain })
    }

    fn of(answer: &[u8]) -> Self {
        match answer {
            [] => Self::Nothing,
            // An alert (RFC 8446, section 6), of any version of TLS.
            [0x15, 3, ..] => Self::Tls,
            [b'H', b'T', b'T', b'P', b'/', b'1', ..] => Self::Http1,
            [_, _, _, 4, ..] if answer.len() >= 9 => Self::Http2,
            _ => Self::Other,
        }
    }

    /// What is wrong with it for a client that speaks TLS or not, and what to change; `None` when it is not what it speaks.
    pub(super) fn advice(self, tls: bool) -> Option<&'static str> {
        match (self, tls) {
            (Self::Http2, false) | (Self::Tls, true) => None,
            (Self::Tls, false) => Some(
                "it speaks TLS, and this node plain HTTP/2: set chain_connector.tls_ca or tls_key",
            ),
            (Self::Http2, true) => Some(
                "it speaks plain HTTP/2, and this node TLS: give the connector a certificate, or take chain_connector.tls_ca and tls_key away",
            ),
            (Self::Http1, _) => Some(
                "it answers HTTP/1, which no connector does: look at chain_connector.host and port; a connector's port is 4500, 6700 is that of a node's API",
            ),
            (Self::Nothing, _) => Some(
                "it takes connections and says nothing: it is no connector, or something on the way swallows what is said",
            ),
            (Self::Other, _) => Some(
                "it answers something that is neither HTTP/2 nor TLS: look at chain_connector.host and port",
            ),
        }
    }
}

/// The first bytes that somebody says to this; `None` when no connection can be had.
async fn answer_to(host: &str, port: u16, greeting: &[u8]) -> Option<Vec<u8>> {
    let connected = timeout(PATIENCE, TcpStream::connect((host, port))).await;
    let mut stream = connected.ok()?.ok()?;
    let mut answer = Vec::new();
    let asked = async {
        stream.write_all(greeting).await?;
        while answer.len() < 9 && stream.read_buf(&mut answer).await? > 0 {}
        Ok::<(), std::io::Error>(())
    };
    // However it ends, what has been said tells.
    drop(timeout(PATIENCE, asked).await);
    Some(answer)
}

/// What a client of TLS says first. It trusts nobody, and goes away after the answer's first bytes.
fn tls_greeting() -> Vec<u8> {
    let hello = || {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .ok()?
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let name = "localhost".try_into().ok()?;
        let mut client = rustls::ClientConnection::new(Arc::new(config), name).ok()?;
        let mut hello = Vec::new();
        client.write_tls(&mut hello).ok()?;
        Some(hello)
    };
    hello().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// What is found where somebody answers a connection with these bytes.
    async fn found(answer: &'static [u8]) -> Option<Spoken> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; PREFACE.len()];
            stream.read_exact(&mut asked).await.unwrap();
            assert_eq!(asked, PREFACE);
            stream.write_all(answer).await.unwrap();
        };
        let (spoken, ()) = tokio::join!(Spoken::at("127.0.0.1", port), server);
        spoken
    }

    #[tokio::test]
    async fn the_first_bytes_tell_what_is_spoken() {
        for (answer, spoken) in [
            (&b"\x15\x03\x03\0\x02\x02\x46"[..], Spoken::Tls),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", Spoken::Http1),
            (b"\0\0\0\x04\0\0\0\0\0", Spoken::Http2),
            (b"SSH-2.0-x\r\n", Spoken::Other),
        ] {
            assert_eq!(found(answer).await, Some(spoken));
        }
    }

    #[tokio::test]
    async fn a_server_that_hears_nothing_but_tls_is_known_by_its_answer_to_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = async {
            // The first one gets no word.
            drop(listener.accept().await.unwrap());
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut record = [0; 3];
            stream.read_exact(&mut record).await.unwrap();
            assert_eq!(record[..2], [0x16, 3], "a handshake");
            stream
                .write_all(b"\x16\x03\x03\0\x7a\x02\0\0\x76")
                .await
                .unwrap();
        };
        let (spoken, ()) = tokio::join!(Spoken::at("127.0.0.1", port), server);
        assert_eq!(spoken, Some(Spoken::Tls));
    }

    #[tokio::test]
    async fn nobody_there_is_nothing_to_say() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        assert_eq!(Spoken::at("127.0.0.1", port).await, None);
    }

    #[test]
    fn only_what_does_not_fit_is_advised_about() {
        assert_eq!(Spoken::Http2.advice(false), None);
        assert_eq!(Spoken::Tls.advice(true), None);
        for (spoken, tls) in [(Spoken::Http2, true), (Spoken::Tls, false)] {
            assert!(
                spoken
                    .advice(tls)
                    .unwrap()
                    .contains("chain_connector.tls_ca")
            );
        }
    }
}
