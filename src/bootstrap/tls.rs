//! TLS of the connector: the files of a configuration become both ends' settings.

use std::path::Path;

use anyhow::Context as _;

use crate::adapters::grpc::{ClientTls, OwnCertificate, ServerTls, Trusted, key_of_certificate};
use crate::config::{CertificateFiles, ConnectorTls, EmbeddedConnector, TrustedConnector};

/// How a client knows its connector.
///
/// # Errors
/// A file cannot be read or used.
pub(super) fn client(tls: &ConnectorTls) -> anyhow::Result<ClientTls> {
    let own = tls.own.as_ref().map(read).transpose()?;
    let own = own
        .as_ref()
        .map(|(certificates, private_key)| OwnCertificate {
            certificates,
            private_key,
        });
    match &tls.trusted {
        TrustedConnector::Key(key) => Ok(ClientTls::new(Trusted::Key(*key), own)?),
        TrustedConnector::Authorities(file) => {
            let pem = bytes(file)?;
            ClientTls::new(Trusted::Authorities(&pem), own)
                .with_context(|| format!("chain_connector.tls_ca ({})", file.display()))
        }
    }
}

/// What the embedded connector shows, and what it logs of it; `None` where it has no certificate.
///
/// # Errors
/// A file cannot be read or used.
pub(super) fn server(config: &EmbeddedConnector) -> anyhow::Result<Option<ServerTls>> {
    let Some(files) = &config.tls else {
        tracing::warn!(
            "the embedded connector speaks plain text: connector.tls_certificate is empty"
        );
        return Ok(None);
    };
    let (certificates, private_key) = read(files)?;
    let clients = config.tls_client_ca.as_deref().map(bytes).transpose()?;
    let own = OwnCertificate {
        certificates: &certificates,
        private_key: &private_key,
    };
    let place = || {
        format!(
            "connector.tls_certificate ({})",
            files.certificate.display()
        )
    };
    let tls = ServerTls::new(&own, clients.as_deref()).with_context(place)?;
    let key = key_of_certificate(&certificates).with_context(place)?;
    tracing::info!(%key, "the embedded connector speaks TLS; clients without its authority set chain_connector.tls_key to this");
    Ok(Some(tls))
}

fn read(files: &CertificateFiles) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    Ok((bytes(&files.certificate)?, bytes(&files.private_key)?))
}

fn bytes(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))
}
