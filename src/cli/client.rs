//! Which node a command talks to, and the token that it shows there.

use std::net::IpAddr;

use anyhow::Context as _;

use super::args::NodeArg;
use super::health;
use crate::bootstrap::{self, Trust, UserClient, Way};
use crate::config::Config;
use delta_domain::access::TokenSecret;
use delta_ports::PortErrorKind;

/// The variable that holds a token.
const VARIABLE: &str = "DELTA_NODE_TOKEN";

/// A client of the node that was named; else of this machine's, at the configured address (or the default one when nothing is configured).
///
/// # Errors
/// A token that was named cannot be read, or TLS cannot be set up.
pub(super) async fn of(node: NodeArg, config: Option<Config>) -> anyhow::Result<UserClient> {
    let named = node.node.is_some();
    let config = config.unwrap_or_default();
    let (url, way) = match node.node {
        Some(url) => {
            let trust = config.tls.ca.clone().map_or(Trust::System, Trust::Also);
            let url = url.trim_end_matches('/').to_owned();
            (url, Way { trust, at: None })
        }
        None => own(&config),
    };
    let token = match &node.token_file {
        Some(file) => {
            let found = bootstrap::read_token(file).await?;
            Some(found.with_context(|| format!("there is no file {}", file.display()))?)
        }
        None => match from_environment()? {
            Some(token) => Some(token),
            // It opens everything at this machine's node: nobody else gets to see it.
            None if named => None,
            None => own_token(&config).await?,
        },
    };
    Ok(bootstrap::users(&url, token.as_ref(), &way)?)
}

/// A client of the node on this machine, with its own token where this user may read it.
///
/// # Errors
/// As of [`of`].
pub(super) async fn of_own(config: &Config) -> anyhow::Result<UserClient> {
    let here = NodeArg {
        node: None,
        token_file: None,
    };
    of(here, Some(config.clone())).await
}

/// Where authors and the owner reach the node on this machine. By https it is called by the name in its url, which its certificate has,
/// and its certificate is trusted as such.
pub(super) fn own(config: &Config) -> (String, Way) {
    let (host, port) = match config.api.owner_listen {
        Some(address) => (address.ip(), address.port()),
        None => (config.api_host, config.api_port),
    };
    let address = health::local_address(host, port);
    let Some(tls) = &config.api.tls else {
        return (format!("http://{address}"), Way::default());
    };
    let trust = Trust::Also(tls.certificate.clone());
    match config.node.host() {
        Some(name) if name.parse::<IpAddr>().is_err() => {
            let url = format!("https://{name}:{port}");
            let at = Some((name.to_owned(), address));
            (url, Way { trust, at })
        }
        _ => (format!("https://{address}"), Way { trust, at: None }),
    }
}

fn from_environment() -> anyhow::Result<Option<TokenSecret>> {
    match std::env::var(VARIABLE) {
        Ok(text) if !text.trim().is_empty() => {
            let token = text.trim().parse();
            Ok(Some(
                token.with_context(|| format!("the value of ${VARIABLE}"))?,
            ))
        }
        _ => Ok(None),
    }
}

/// The node's own token; none when it is another user's, who alone can read it.
async fn own_token(config: &Config) -> anyhow::Result<Option<TokenSecret>> {
    match bootstrap::read_token(&config.own_token_file()).await {
        Ok(token) => Ok(token),
        Err(e) if e.kind() == PortErrorKind::Denied => Ok(None),
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::own;
    use crate::config::{ApiTls, Config};

    #[test]
    fn the_owners_own_address_is_where_commands_go() {
        let mut config = Config::default();
        assert_eq!(own(&config).0, "http://127.0.0.1:6700");
        config.api.owner_listen = Some("[::1]:6701".parse().unwrap());
        assert_eq!(own(&config).0, "http://[::1]:6701");
        config.api.tls = Some(ApiTls {
            certificate: "c.pem".into(),
            key: "k.pem".into(),
        });
        config.node.url = "https://node1.example.org:443/delta".into();
        let (url, way) = own(&config);
        assert_eq!(url, "https://node1.example.org:6701");
        let at = (
            "node1.example.org".to_owned(),
            "[::1]:6701".parse().unwrap(),
        );
        assert_eq!(way.at, Some(at));
        config.node.url = "https://[::1]:6701".into();
        assert_eq!(own(&config).0, "https://[::1]:6701");
    }
}
