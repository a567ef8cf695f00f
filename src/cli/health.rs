//! `healthcheck`: asks the node on this machine whether it lives. For container engines; without TLS no HTTP client is needed.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::client;
use crate::bootstrap;
use crate::config::Config;

const PATIENCE: Duration = Duration::from_secs(3);

/// Where a node that listens on `host` is reached from its own machine.
pub(super) fn local_address(host: IpAddr, port: u16) -> SocketAddr {
    let host = match host {
        IpAddr::V4(host) if host.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(host) if host.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        host => host,
    };
    SocketAddr::new(host, port)
}

/// Fails unless the node of this configuration answers on this machine.
pub(crate) fn ask_own(config: &Config) -> anyhow::Result<()> {
    if config.api.tls.is_none() {
        return ask(config.api_host, config.api_port);
    }
    // Members' address: it is the one that must be there for everybody.
    let mut members = config.clone();
    members.api.owner_listen = None;
    let (url, way) = client::own(&members);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the async runtime does not start")?;
    Ok(runtime.block_on(async { bootstrap::users(&url, None, &way)?.alive().await })?)
}

/// Fails unless `GET /healthz` answers 200 within three seconds a step.
fn ask(host: IpAddr, port: u16) -> anyhow::Result<()> {
    let address = local_address(host, port);
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)
        .with_context(|| format!("no node answers at {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // One piece: a server that answers before the rest has come would otherwise reset the connection.
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut status = [0; 12];
    stream
        .read_exact(&mut status)
        .with_context(|| format!("{address} takes connections and does not answer"))?;
    if !matches!(&status, b"HTTP/1.1 200" | b"HTTP/1.0 200") {
        bail!(
            "{address} answers \"{}\"",
            String::from_utf8_lossy(&status).escape_default()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

    use super::{ask, local_address};

    const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn answered_with(reply: &'static [u8]) -> anyhow::Result<()> {
        let listener = TcpListener::bind((LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // The whole request is read first: closing with bytes unread resets the connection and loses the reply.
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            stream.write_all(reply).unwrap();
            request
        });
        let answer = ask(LOCALHOST, port);
        assert!(
            server
                .join()
                .unwrap()
                .starts_with(b"GET /healthz HTTP/1.1\r\n")
        );
        answer
    }

    #[test]
    fn only_a_200_is_healthy() {
        assert!(answered_with(b"HTTP/1.1 200 OK\r\n\r\n").is_ok());
        let error = answered_with(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").unwrap_err();
        assert!(error.to_string().contains("503"), "{error}");
        assert!(answered_with(b"x").is_err());
    }

    #[test]
    fn every_interface_is_reached_by_loopback() {
        let all = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        assert_eq!(local_address(all, 6700), SocketAddr::new(LOCALHOST, 6700));
    }
}
