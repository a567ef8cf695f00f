//! Which urls this node opens connections to. Urls come from the connector, that is from strangers.
//!
//! Checked twice: the url before a request is made, and every address that a name resolves to, at the moment of connecting. The
//! connection goes to an address that was checked and to no other, so a name that changes its mind (DNS rebinding) gains nothing.
//! Redirects are not followed at all (`peers.rs`).

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use delta_ports::{PortError, PortErrorKind};

/// Longest url of a node.
const MAX_URL: usize = 2048;

/// What the operator allows.
#[derive(Debug, Clone, Default)]
pub struct UrlPolicy {
    allow_private: bool,
    allowed_hosts: BTreeSet<String>,
}

impl UrlPolicy {
    /// `allow_private`: loopback, private and link-local addresses are fine (not cloud metadata services, not multicast).
    /// `allowed_hosts`: names and addresses, as they stand in urls, that are fine whatever they resolve to.
    #[must_use]
    pub fn new(allow_private: bool, allowed_hosts: impl IntoIterator<Item = String>) -> Self {
        Self {
            allow_private,
            allowed_hosts: allowed_hosts
                .into_iter()
                .map(|host| normal(&host))
                .collect(),
        }
    }

    /// Checks the url of a node and makes it a base to which `v1/...` can be joined.
    pub(crate) fn base(&self, url: &str) -> Result<Url, PortError> {
        if url.len() > MAX_URL {
            return Err(denied("the url is too long"));
        }
        let mut base =
            Url::parse(url).map_err(|error| denied("the url cannot be read").with_source(error))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(denied(format!(
                "the url's scheme {} is neither http nor https",
                base.scheme()
            )));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(denied("the url contains credentials"));
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(denied("the url has a query or a fragment"));
        }
        let host = base
            .host_str()
            .ok_or_else(|| denied("the url has no host"))?;
        if let Ok(address) = host.trim_matches(['[', ']']).parse() {
            self.address(host, address)?;
        }
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Ok(base)
    }

    /// Checks an address behind `host`.
    fn address(&self, host: &str, address: IpAddr) -> Result<(), PortError> {
        if self.allowed_hosts.contains(&normal(host)) {
            return Ok(());
        }
        match Reach::of(address) {
            Reach::Public => Ok(()),
            Reach::Private if self.allow_private => Ok(()),
            Reach::Private => Err(denied(format!(
                "{host} is in a private network ({address}), which policy.allow_private_addresses forbids"
            ))),
            Reach::Never => Err(denied(format!("{host} ({address}) is no place for a node"))),
        }
    }
}

/// How names become addresses. A port within the adapter, so that tests can play a hostile name server.
#[async_trait]
pub trait Lookup: Send + Sync + 'static {
    /// All addresses of `host`.
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0))
            .await?
            .map(|socket| socket.ip())
            .collect())
    }
}

/// Resolves names for reqwest and passes on only what the policy allows.
pub(crate) struct CheckedResolver {
    policy: UrlPolicy,
    lookup: Arc<dyn Lookup>,
}

impl CheckedResolver {
    /// A resolver under `policy`.
    pub(crate) fn new(policy: UrlPolicy, lookup: Arc<dyn Lookup>) -> Self {
        Self { policy, lookup }
    }
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, lookup) = (self.policy.clone(), self.lookup.clone());
        Box::pin(async move {
            let host = name.as_str();
            let found = lookup.lookup(host).await?;
            let mut checked = Vec::new();
            let mut refused = None;
            for address in found {
                match policy.address(host, address) {
                    Ok(()) => checked.push(SocketAddr::new(address, 0)),
                    Err(error) => refused = Some(error),
                }
            }
            match refused {
                // A name with one foot inside is not to be trusted with the other.
                Some(error) => Err(error.into()),
                None => Ok(Box::new(checked.into_iter()) as Addrs),
            }
        })
    }
}

/// How far an address reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// The Internet.
    Public,
    /// This machine or its networks.
    Private,
    /// Nothing that is a node: metadata services of clouds, multicast, broadcast, reserved ranges.
    Never,
}

impl Reach {
    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => embedded_v4(v6).map_or_else(|| Self::of_v6(v6), Self::of_v4),
        }
    }

    fn of_v4(a: Ipv4Addr) -> Self {
        // Metadata and control services of AWS, GCP, Azure, ECS, Alibaba, Oracle.
        const SERVICES: [[u8; 4]; 5] = [
            [169, 254, 169, 254],
            [169, 254, 170, 2],
            [168, 63, 129, 16],
            [100, 100, 100, 200],
            [192, 0, 0, 192],
        ];
        let o = a.octets();
        if SERVICES.contains(&o) || a.is_multicast() || a.is_broadcast() || o[0] >= 240 {
            return Self::Never;
        }
        let shared = o[0] == 100 && (64..128).contains(&o[1]);
        let benchmark = o[0] == 198 && (18..20).contains(&o[1]);
        let protocol = o[0] == 192 && o[1] == 0 && o[2] == 0;
        let this_network = o[0] == 0;
        if a.is_loopback()
            || a.is_private()
            || a.is_link_local()
            || a.is_documentation()
            || shared
            || benchmark
            || protocol
            || this_network
        {
            return Self::Private;
        }
        Self::Public
    }

    fn of_v6(a: Ipv6Addr) -> Self {
        /// Metadata service of AWS over IPv6.
        const AWS: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
        let s = a.segments();
        if a == AWS || a.is_multicast() {
            return Self::Never;
        }
        let site_local = s[0] & 0xffc0 == 0xfec0;
        let local_nat = s[..3] == [0x64, 0xff9b, 1];
        let documentation = s[0] == 0x2001 && s[1] == 0xdb8;
        if a.is_loopback()
            || a.is_unspecified()
            || a.is_unique_local()
            || a.is_unicast_link_local()
            || site_local
            || local_nat
            || documentation
        {
            return Self::Private;
        }
        Self::Public
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped, compatible, NAT64 or 6to4.
fn embedded_v4(a: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = a.segments();
    let from = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match s {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] if !(a.is_loopback() || a.is_unspecified()) => {
            from(high, low)
        }
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => from(high, low),
        _ => None,
    }
}

fn normal(host: &str) -> String {
    host.trim_matches(['[', ']'])
        .trim_end_matches('.')
        .to_ascii_lowercase()
}

fn denied(message: impl Into<String>) -> PortError {
    PortError::new(PortErrorKind::Denied, "peer.url", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart_in_every_disguise() {
        let cases: [(Reach, &[&str]); 3] = [
            (
                Reach::Public,
                &[
                    "1.1.1.1",
                    "8.8.8.8",
                    "100.63.0.1",
                    "172.32.0.1",
                    "2606:4700::1111",
                    "::ffff:1.1.1.1",
                    "64:ff9b::101:101",
                ],
            ),
            (
                Reach::Private,
                &[
                    "127.0.0.1",
                    "127.9.9.9",
                    "0.0.0.0",
                    "10.0.0.1",
                    "172.16.0.1",
                    "192.168.1.1",
                    "169.254.1.1",
                    "100.64.0.1",
                    "198.18.0.1",
                    "::1",
                    "::",
                    "fc00::1",
                    "fe80::1",
                    "fec0::1",
                    "64:ff9b:1::7f00:1",
                    "::ffff:127.0.0.1",
                    "::ffff:10.0.0.1",
                    "64:ff9b::7f00:1",
                    "2002:7f00:1::",
                    "::7f00:1",
                ],
            ),
            (
                Reach::Never,
                &[
                    "169.254.169.254",
                    "::ffff:169.254.169.254",
                    "fd00:ec2::254",
                    "224.0.0.1",
                    "255.255.255.255",
                    "240.0.0.1",
                    "ff02::1",
                    "2002:a9fe:a9fe::",
                ],
            ),
        ];
        for (reach, list) in cases {
            for address in list {
                assert_eq!(Reach::of(address.parse().unwrap()), reach, "{address}");
            }
        }
    }

    #[test]
    fn urls_that_are_not_plainly_a_node_are_denied() {
        let policy = UrlPolicy::new(true, []);
        for bad in [
            "",
            "node",
            "file:///etc/passwd",
            "ftp://1.1.1.1/",
            "gopher://1.1.1.1",
            "http://",
            "http://user@1.1.1.1/",
            "http://:pw@1.1.1.1/",
            "http://1.1.1.1/?x=1",
            "http://1.1.1.1/#x",
            "http://169.254.169.254/latest/",
            "http://2852039166/",
            "http://[::ffff:a9fe:a9fe]/",
        ] {
            assert_eq!(
                policy.base(bad).unwrap_err().kind(),
                PortErrorKind::Denied,
                "{bad}"
            );
        }
        assert!(
            policy
                .base(&format!("http://1.1.1.1/{}", "x".repeat(MAX_URL)))
                .is_err()
        );
    }

    #[test]
    fn private_addresses_need_permission_or_a_listing() {
        let strict = UrlPolicy::default();
        for bad in [
            "http://127.0.0.1:6700",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://0/",
            "http://[::1]:80",
            "http://10.1.2.3",
        ] {
            assert_eq!(
                strict.base(bad).unwrap_err().kind(),
                PortErrorKind::Denied,
                "{bad}"
            );
            assert!(UrlPolicy::new(true, []).base(bad).is_ok(), "{bad}");
        }
        let listed = UrlPolicy::new(false, ["169.254.169.254".to_owned(), "::1".to_owned()]);
        assert!(listed.base("http://169.254.169.254/").is_ok());
        assert!(listed.base("http://[::1]/").is_ok());
        assert!(listed.base("http://127.0.0.1/").is_err());
    }

    #[test]
    fn a_base_ends_with_a_slash_and_keeps_its_path() {
        let policy = UrlPolicy::default();
        for (url, base) in [
            ("https://Node.Example", "https://node.example/"),
            ("http://n.example:1/delta", "http://n.example:1/delta/"),
            ("http://n.example/", "http://n.example/"),
        ] {
            assert_eq!(policy.base(url).unwrap().as_str(), base);
        }
    }
}
