//! Who is let in. The one place where the server decides it.
//!
//! Two questions, in this order. [`Admission::front`] is asked of every request, before its path is looked at: does it speak to this node
//! (no foreign Host, which is how a page of somebody else's reaches a node through its visitor's browser), and not for another site's
//! page (no foreign Origin)? [`Admission::admit`] is asked once the endpoint is known, and before anything of the request is read:
//! may this caller call it? Members prove who they are by their signatures, which the app judges; authors and the owner show a token,
//! or call from an address that is trusted.
//!
//! What is answered to somebody who is not let in depends on nothing but the endpoint and what was shown.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use warp::http::header::{AUTHORIZATION, HOST, ORIGIN};
use warp::http::{HeaderMap, StatusCode, Uri};

use super::call::BY_TOKEN;
use super::rejection::Rejection;
use super::routes::Access;
use delta_domain::access::{Network, Scope, TokenSecret};
use delta_ports::clock::Clock;
use delta_ports::report;
use delta_ports::tokens::TokenStore;

/// Who is let in where. By default this machine is, under the name `localhost` or an IP address, and no token opens anything.
#[derive(Clone)]
pub struct Admission {
    /// The tokens that are good here.
    pub tokens: Option<KnownTokens>,
    /// Whether calls from this machine need no token.
    pub trust_loopback: bool,
    /// Networks whose calls need no token.
    pub trusted_networks: Vec<Network>,
    /// Names under which this node is called, beside `localhost` and IP addresses: lower case, without port.
    pub hosts: BTreeSet<String>,
    /// Where its pages come from when that is not the Host of the request: host and port of its url.
    pub own_origin: Option<(String, u16)>,
    /// Whether its own pages come over TLS: what port a Host without one means.
    pub encrypted: bool,
    /// Whom this address is for.
    pub serves: Serves,
}

/// Tokens, and the time by which they expire.
#[derive(Clone)]
pub struct KnownTokens {
    /// Where they are kept.
    pub store: Arc<dyn TokenStore>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Whom an address of the server is for. Public endpoints are answered on each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serves {
    /// Everybody.
    All,
    /// Members of rounds; authors and the owner have an address of their own.
    Members,
    /// Authors and the owner.
    Users,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            tokens: None,
            trust_loopback: true,
            trusted_networks: Vec::new(),
            hosts: BTreeSet::new(),
            own_origin: None,
            encrypted: false,
            serves: Serves::All,
        }
    }
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    /// The other end of the connection.
    pub(crate) address: IpAddr,
}

impl Admission {
    /// Adds the name and the origin of the node's own url.
    #[must_use]
    pub fn called(mut self, url: &str) -> Self {
        let authority = url
            .parse::<Uri>()
            .ok()
            .and_then(|u| u.into_parts().authority);
        if let Some(host) = authority.as_ref().and_then(|a| Host::parse(a.as_str())) {
            self.hosts.insert(host.name);
            self.own_origin = Origin::parse(url).map(|own| (own.host, own.port));
        }
        self
    }

    /// Whether a request speaks to this node, and for nobody's page but its own.
    pub(crate) fn front(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Rejection> {
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return Err(Rejection::bad("there must be one Host header"));
        };
        let host = host.to_str().ok().and_then(Host::parse);
        let host = host
            .filter(|host| self.answers_to(host))
            .ok_or_else(elsewhere)?;
        // `GET http://name/path`: then this is what the client means, whatever its Host says.
        if let Some(authority) = uri.authority()
            && !Host::parse(authority.as_str()).is_some_and(|h| self.answers_to(&h))
        {
            return Err(elsewhere());
        }
        let foreign = |origin: &str| {
            Origin::parse(origin).is_none_or(|from| {
                let port = host.port.unwrap_or(if self.encrypted { 443 } else { 80 });
                let here = (&host.name, port) == (&from.host, from.port);
                !here && self.own_origin != Some((from.host, from.port))
            })
        };
        let from_elsewhere = headers
            .get_all(ORIGIN)
            .iter()
            .any(|origin| origin.to_str().map_or(true, foreign));
        // Browsers say it also where they send no Origin, of an image's address for example.
        let fetched_elsewhere = headers
            .get_all("sec-fetch-site")
            .iter()
            .any(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"));
        if from_elsewhere || fetched_elsewhere {
            return Err(Rejection::forbidden(
                "a page of another site may not call this node",
            ));
        }
        Ok(())
    }

    /// Whether `caller` may call an endpoint of this class, and as whom, for the owner's journal.
    pub(crate) async fn admit(
        &self,
        access: Access,
        caller: Caller,
        headers: &HeaderMap,
    ) -> Result<Option<String>, Rejection> {
        match (access, self.serves) {
            (Access::Public, _) | (Access::Member, Serves::All | Serves::Members) => Ok(None),
            (Access::Member, Serves::Users) => Err(Rejection::absent()),
            (Access::Author(_) | Access::Owner(_), Serves::Members) => Err(Rejection::forbidden(
                "authors and the owner are not answered here but at api.owner_listen",
            )),
            (Access::Author(scope) | Access::Owner(scope), Serves::All | Serves::Users) => {
                self.may(scope, caller, headers).await.map(Some)
            }
        }
    }

    /// Whether `caller` is trusted, or shows a token with this scope; and which of the two.
    pub(crate) async fn may(
        &self,
        scope: Scope,
        caller: Caller,
        headers: &HeaderMap,
    ) -> Result<String, Rejection> {
        if self.trusts(caller.address) && !is_forwarded(headers) {
            let from = caller.address.to_canonical();
            return Ok(format!("a call from {from}, without a token"));
        }
        let refuse = |why: String| Err(Rejection::Unauthorized(why));
        let mut shown = headers.get_all(AUTHORIZATION).iter();
        let secret = match (shown.next(), shown.next()) {
            (None, _) => {
                return refuse(format!(
                    "a token with the scope {scope} is needed: the owner of this node makes one with `delta-node token create`"
                ));
            }
            (Some(_), Some(_)) => return refuse("more than one token is shown".into()),
            (Some(value), None) => value.to_str().ok().and_then(bearer),
        };
        let (Some(secret), Some(known)) = (secret, &self.tokens) else {
            return refuse("the token is not known here".into());
        };
        let book = known.store.tokens().await.map_err(|error| {
            tracing::error!(error = report(&error), "no token can be checked");
            Rejection::busy("the node cannot check tokens now")
        })?;
        match book.judge(&secret, scope, known.clock.now()) {
            Ok(token) => Ok(format!("{BY_TOKEN}{}", token.name)),
            Err(error @ delta_domain::access::TokenError::WrongScope(..)) => {
                Err(Rejection::forbidden(error.to_string()))
            }
            Err(error) => refuse(error.to_string()),
        }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        (self.trust_loopback && address.is_loopback())
            || self.trusted_networks.iter().any(|n| n.contains(address))
    }

    fn answers_to(&self, host: &Host) -> bool {
        host.is_address || host.name == "localhost" || self.hosts.contains(&host.name)
    }
}

fn elsewhere() -> Rejection {
    Rejection::Because(
        StatusCode::MISDIRECTED_REQUEST,
        "this node is not called so: the names in its url and in api.hosts are its names".into(),
    )
}

/// Whether somebody in between passes a request on: where it comes from is then not known from the connection.
fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str();
        matches!(name, "via" | "x-real-ip")
            || ["forwarded", "client-ip", "connecting-ip"]
                .iter()
                .any(|part| name.contains(part))
    })
}

/// The token of `Bearer TOKEN`.
fn bearer(value: &str) -> Option<TokenSecret> {
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_matches(' ').parse().ok())
        .flatten()
}

/// Where a page comes from, `http://host` or `http://host:port`.
struct Origin {
    host: String,
    port: u16,
}

impl Origin {
    /// Reads the beginning of a url.
    fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let usual_port = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let host = Host::parse(rest.split(['/', '?', '#']).next()?)?;
        Some(Self {
            port: host.port.unwrap_or(usual_port),
            host: host.name,
        })
    }
}

/// A host as headers write it.
struct Host {
    /// In lower case, without a dot at the end; of an IPv6 address without brackets.
    name: String,
    port: Option<u16>,
    /// Whether it is an IP address: no page can have one for a name that it moves to another place.
    is_address: bool,
}

impl Host {
    /// Reads `name`, `name:port`, `[address]` or `[address]:port`, and nothing else: no user, no path.
    fn parse(text: &str) -> Option<Self> {
        let (name, port, brackets) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, rest) = rest.split_once(']')?;
                let port = if rest.is_empty() {
                    None
                } else {
                    Some(rest.strip_prefix(':')?)
                };
                (address, port, true)
            }
            None => match text.split_once(':') {
                Some((name, port)) => (name, Some(port), false),
                None => (text, None, false),
            },
        };
        let port = match port {
            Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            Some(_) => return None,
            None => None,
        };
        if brackets {
            let address: std::net::Ipv6Addr = name.parse().ok()?;
            return Some(Self {
                name: address.to_string(),
                port,
                is_address: true,
            });
        }
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let plain = !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        plain.then(|| Self {
            is_address: name.parse::<std::net::Ipv4Addr>().is_ok(),
            name,
            port,
        })
    }
}
