//! The doors of the API: what is open, and how to close it.

use super::finding::Finding;
use crate::config::Config;

/// One finding a door.
#[must_use]
pub(crate) fn doors(config: &Config) -> Vec<Finding> {
    let mut findings = vec![tls(config), listening(config), machine(config)];
    findings.extend(networks(config));
    findings
}

fn tls(config: &Config) -> Finding {
    let name = "tls";
    let https = config.node.url.starts_with("https://");
    match (&config.api.tls, https) {
        (Some(tls), true) => Finding::ok(
            name,
            format!("the API uses the certificate {}", tls.certificate.display()),
        ),
        (Some(_), false) => Finding::warn(
            name,
            "the API speaks https and node.url says http://: other nodes cannot call it; begin node.url with https://",
        ),
        (None, true) => Finding::warn(
            name,
            "the API speaks plain HTTP and node.url says https://: right only with a proxy in front that has the certificate; without one set api.tls (`delta-node init --tls self-signed` makes a pair)",
        ),
        (None, false) => Finding::warn(
            name,
            "the API speaks plain HTTP: who is on the way reads results and tokens and can change what others are told; set api.tls (`delta-node init --tls self-signed` makes a pair) and begin node.url with https://",
        ),
    }
}

fn listening(config: &Config) -> Finding {
    let name = "listening";
    if let Some(address) = config.api.owner_listen {
        return Finding::ok(
            name,
            format!(
                "authors and the owner are answered at {address}, members at {}:{}",
                config.api_host, config.api_port
            ),
        );
    }
    if config.api_host.is_unspecified() {
        return Finding::warn(
            name,
            format!(
                "port {} listens on all addresses for members, authors and the owner alike, who need a token unless they are trusted; api.owner_listen: \"127.0.0.1:6701\" gives authors and the owner an address of their own, api_host limits all",
                config.api_port
            ),
        );
    }
    Finding::ok(
        name,
        format!("{}:{} only", config.api_host, config.api_port),
    )
}

fn machine(config: &Config) -> Finding {
    let name = "this machine";
    if config.trusts_loopback() {
        Finding::warn(
            name,
            "every user and program of this machine may submit tasks and fetch results without a token, and so may whoever a proxy on it lets through without saying so; api.trust_loopback: false asks them for one (`delta-node token create`), the commands of this node's user go on to work",
        )
    } else {
        Finding::ok(name, "calls from it need a token")
    }
}

fn networks(config: &Config) -> Vec<Finding> {
    let name = "trusted networks";
    let networks = &config.api.trusted_networks;
    if networks.is_empty() {
        return vec![Finding::ok(name, "none: calls from elsewhere need a token")];
    }
    networks
        .iter()
        .map(|network| {
            if network.is_wide() {
                Finding::warn(
                    name,
                    format!("everybody in {network} may submit tasks and fetch results without a token: name Deltaboard's address in api.trusted_networks instead"),
                )
            } else {
                Finding::ok(name, format!("calls from {network} need no token"))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::doors;
    use crate::cli::check::finding::Level;
    use crate::config::{ApiTls, Config};

    fn open(config: &Config) -> Vec<&'static str> {
        let findings = doors(config);
        let open = findings.iter().filter(|f| f.level == Level::Warn);
        open.map(|f| f.name).collect()
    }

    #[test]
    fn a_default_install_says_what_is_open_and_a_closed_one_that_it_is_not() {
        let mut config = Config::default();
        assert_eq!(open(&config), ["tls", "listening", "this machine"]);
        for finding in doors(&config).iter().filter(|f| f.level == Level::Warn) {
            assert!(finding.detail.contains("api."), "no cure: {finding:?}");
        }
        config.api.trusted_networks = vec!["10.0.0.0/8".parse().unwrap()];
        assert!(open(&config).contains(&"trusted networks"));
        config.api.trusted_networks = vec!["10.1.2.3".parse().unwrap()];
        config.api.trust_loopback = Some(false);
        config.api.owner_listen = Some("127.0.0.1:6701".parse().unwrap());
        config.api.tls = Some(ApiTls {
            certificate: "c.pem".into(),
            key: "k.pem".into(),
        });
        assert_eq!(open(&config), ["tls"], "other nodes are told http://");
        config.node.url = "https://node1.example.org:6700".into();
        assert!(open(&config).is_empty());
    }

    #[test]
    fn behind_a_proxy_this_machine_is_not_trusted_unless_it_is_said() {
        let mut config = Config::default();
        config.node.url = "https://node1.example.org".into();
        assert_eq!(open(&config), ["tls", "listening"]);
        config.api.trust_loopback = Some(true);
        assert!(open(&config).contains(&"this machine"));
    }
}
