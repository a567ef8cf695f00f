//! `node.url`: whether other nodes could take it for a node's, and what is doubtful about it. Their own look is
//! `adapters/http/client/url_policy.rs`; what is wrong here is so for all of them.

use std::net::IpAddr;

use super::Config;
use super::reader::Reader;

const KEY: &str = "node.url";
/// What is shown where the value has nothing to build upon.
const EXAMPLE: &str = "http://node1.example.org:6700";

/// Reads the url, with its scheme in small letters.
pub(super) fn read(reader: &mut Reader<'_>) -> String {
    let given = reader.text(KEY, "http://127.0.0.1:6700");
    let given = given.trim();
    if given.is_empty() {
        return String::new();
    }
    match checked(given) {
        Ok(url) => url,
        Err(wrong) => {
            reader.wrong(KEY, &wrong);
            given.to_owned()
        }
    }
}

/// The url in its usual form, or what is wrong with it.
fn checked(given: &str) -> Result<String, String> {
    let Some((scheme, rest)) = given.split_once("://") else {
        return Err(plain(&format!("http://{given}"), given));
    };
    let scheme = scheme.to_ascii_lowercase();
    if !matches!(&*scheme, "http" | "https") || rest.contains(char::is_whitespace) {
        return Err(plain(EXAMPLE, given));
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if let Some((_, host)) = authority.rsplit_once('@') {
        // The value itself would put a password into logs.
        return Err(format!(
            "must not contain a user or password, which no other node would use: write \"{scheme}://{host}{path}\""
        ));
    }
    if let Some(at) = path.find(['?', '#']) {
        let kept = &path[..at];
        return Err(format!(
            "must not have a query or a fragment: write \"{scheme}://{authority}{kept}\""
        ));
    }
    let (host, port) = parts(authority);
    if host.is_empty() {
        return Err(plain(EXAMPLE, given));
    }
    if let Some(port) = port
        && !port.parse::<u16>().is_ok_and(|p| p > 0)
    {
        return Err(format!(
            "must have a port from 1 to 65535, not \"{port}\": write \"{scheme}://{host}:6700{path}\""
        ));
    }
    Ok(format!("{scheme}://{authority}{path}"))
}

fn plain(fix: &str, given: &str) -> String {
    format!(
        "must begin with http:// or https:// and name a host, for example \"{fix}\", not \"{given}\""
    )
}

/// Host, in brackets where it is an IPv6 address, and what stands for its port.
fn parts(authority: &str) -> (&str, Option<&str>) {
    let after = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    match authority[after..].find(':') {
        Some(colon) => {
            let (host, port) = authority.split_at(after + colon);
            (host, Some(&port[1..]))
        }
        None => (authority, None),
    }
}

impl Config {
    /// What is doubtful about the url that others are told.
    pub(super) fn doubt_url(&self, reader: &mut Reader<'_>) {
        let Some((scheme, rest)) = self.node.url.split_once("://") else {
            return;
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (host, port) = parts(authority);
        let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        let is_loopback = host.eq_ignore_ascii_case("localhost")
            || address.is_some_and(|address| address.is_loopback());
        let of_others = !self.chain_connector.host.is_empty()
            && !self.chain_connector.is_embedded()
            && !is_this_machine(&self.chain_connector.host);
        if address.is_some_and(|address| address.is_unspecified()) {
            reader.warn(
                KEY,
                &format!("names {host}, which means \"this machine\" to whoever reads it: other nodes refuse it; write the name or address under which they reach this one"),
            );
        } else if is_loopback && of_others {
            reader.warn(
                KEY,
                &format!("names {host}, and the connector is on another machine: other nodes would look for this one on theirs; write the name or address under which they reach it"),
            );
        }
        let usual = if scheme == "https" { 443 } else { 80 };
        let port = port.and_then(|p| p.parse().ok()).unwrap_or(usual);
        if port != self.api_port && !self.is_behind_a_proxy() {
            let listens = self.api_port;
            reader.warn(
                KEY,
                &format!("has port {port}, and api_port is {listens}: right only where something passes calls on from the one to the other"),
            );
        }
    }

    /// Whether a certificate is promised that this node does not have itself.
    fn is_behind_a_proxy(&self) -> bool {
        self.node.url.starts_with("https://") && self.api.tls.is_none()
    }
}

fn is_this_machine(host: &str) -> bool {
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    host.eq_ignore_ascii_case("localhost") || address.is_some_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::{checked, parts};

    #[test]
    fn what_no_other_node_would_take_is_refused_with_what_to_write() {
        for (given, told) in [
            ("http://host:99999", "\"http://host:6700\""),
            ("http://host:port", "\"http://host:6700\""),
            ("http://host:0/x", "\"http://host:6700/x\""),
            ("http://user:pw@host:1", "\"http://host:1\""),
            ("http://host:6700/v1?x=1", "\"http://host:6700/v1\""),
            ("https://host#top", "\"https://host\""),
            ("node1:6700", "\"http://node1:6700\""),
            ("ftp://node1", super::EXAMPLE),
            ("http://:6700", super::EXAMPLE),
            ("http://a b", super::EXAMPLE),
            ("http://[::1]:x", "\"http://[::1]:6700\""),
        ] {
            let wrong = checked(given).unwrap_err();
            assert!(wrong.contains(told), "{given}: {wrong}");
            assert!(!wrong.contains("pw"), "{wrong}");
        }
    }

    #[test]
    fn schemes_are_small_and_the_rest_stays() {
        for (given, url) in [
            ("HTTP://Node1", "http://Node1"),
            ("https://a.b:1/delta/", "https://a.b:1/delta/"),
            ("http://[2001:db8::1]:6700", "http://[2001:db8::1]:6700"),
        ] {
            assert_eq!(checked(given).as_deref(), Ok(url));
        }
        assert_eq!(parts("[::1]"), ("[::1]", None));
    }
}
