//! Both ends over TLS, with the certificates of `tests/fixtures/tls` (its `make.sh` makes them).

use std::sync::Arc;

use tokio::net::TcpListener;

use super::*;
use crate::convert::tests::Echo;
use crate::signature::tests::Standing;
use crate::{Door, GrpcConnector, GrpcOptions, serve_tls};
use delta_ports::connector::Connector as _;

const CA: &[u8] = include_bytes!("../../../../tests/fixtures/tls/ca.pem");
const OTHER_CA: &[u8] = include_bytes!("../../../../tests/fixtures/tls/other-ca.pem");
const SERVER: OwnCertificate<'_> = OwnCertificate {
    certificates: include_bytes!("../../../../tests/fixtures/tls/server.pem"),
    private_key: include_bytes!("../../../../tests/fixtures/tls/server.key"),
};
const CLIENT: OwnCertificate<'_> = OwnCertificate {
    certificates: include_bytes!("../../../../tests/fixtures/tls/client.pem"),
    private_key: include_bytes!("../../../../tests/fixtures/tls/client.key"),
};
const STRANGER: OwnCertificate<'_> = OwnCertificate {
    certificates: include_bytes!("../../../../tests/fixtures/tls/stranger.pem"),
    private_key: include_bytes!("../../../../tests/fixtures/tls/stranger.key"),
};

async fn server(client_authorities: Option<&[u8]>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tls = ServerTls::new(&SERVER, client_authorities).unwrap();
    let door = Door::new(true, Arc::new(Standing));
    let echo = Arc::new(Echo::default());
    tokio::spawn(serve_tls(
        echo,
        door,
        listener,
        Some(tls),
        std::future::pending(),
    ));
    port
}

async fn reaches(port: u16, trusted: Trusted<'_>, own: Option<OwnCertificate<'_>>) -> bool {
    let tls = ClientTls::new(trusted, own).unwrap();
    let client = GrpcConnector::new("127.0.0.1", port, GrpcOptions::default());
    let client = client.unwrap().over_tls("127.0.0.1", port, &tls).unwrap();
    client.nodes(1, 0).await.is_ok()
}

#[tokio::test]
async fn a_connector_is_known_by_its_authority_or_by_its_key() {
    let port = server(None).await;
    let key = key_of_certificate(SERVER.certificates).unwrap();
    assert!(reaches(port, Trusted::Authorities(CA), None).await);
    assert!(reaches(port, Trusted::Key(key), None).await);
    assert!(!reaches(port, Trusted::Authorities(OTHER_CA), None).await);
    assert!(!reaches(port, Trusted::Key(Digest([0; 32])), None).await);
    // The authority's key is not the server's.
    let authority = key_of_certificate(CA).unwrap();
    assert!(!reaches(port, Trusted::Key(authority), None).await);
    // Plain text is not understood.
    let plain = GrpcConnector::new("127.0.0.1", port, GrpcOptions::default()).unwrap();
    assert!(plain.nodes(1, 0).await.is_err());
}

#[tokio::test]
async fn a_name_must_be_in_the_certificate_of_an_authority() {
    let port = server(None).await;
    let tls = ClientTls::new(Trusted::Authorities(CA), None).unwrap();
    let client = GrpcConnector::new("127.0.0.1", port, GrpcOptions::default()).unwrap();
    let named = |host| client.clone().over_tls(host, port, &tls).unwrap();
    assert!(named("localhost").nodes(1, 0).await.is_ok());
    assert!(named("127.0.0.2").nodes(1, 0).await.is_err());
}

#[tokio::test]
async fn clients_show_a_certificate_where_they_must() {
    let port = server(Some(CA)).await;
    let trusted = || Trusted::Authorities(CA);
    assert!(reaches(port, trusted(), Some(CLIENT)).await);
    assert!(!reaches(port, trusted(), None).await);
    assert!(!reaches(port, trusted(), Some(STRANGER)).await);
}

/// Connections that say nothing keep nobody out but others from the same address, and these only while they last.
#[tokio::test]
async fn silent_connections_hold_up_nobody_else() {
    let port = server(None).await;
    let mut silent = Vec::new();
    for n in 0..300 {
        let from = std::net::SocketAddr::from(([127, 0, 0, 2 + u8::from(n % 2 == 0)], 0));
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(from).unwrap();
        let to = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        silent.push(socket.connect(to).await);
    }
    assert!(reaches(port, Trusted::Authorities(CA), None).await);
}

#[test]
fn files_that_are_none_are_refused() {
    let error = |r: Result<ClientTls, PortError>| r.unwrap_err().kind();
    for pem in [&b""[..], b"garbage", SERVER.private_key] {
        let outcome = ClientTls::new(Trusted::Authorities(pem), None);
        assert_eq!(error(outcome), PortErrorKind::Corrupt);
    }
    let mixed = OwnCertificate {
        private_key: STRANGER.private_key,
        ..SERVER
    };
    assert!(ServerTls::new(&mixed, None).is_err());
    let keyless = OwnCertificate {
        private_key: CA,
        ..SERVER
    };
    assert!(ServerTls::new(&keyless, None).is_err());
    assert!(ServerTls::new(&SERVER, Some(b"")).is_err());
}
