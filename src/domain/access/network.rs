//! A network of addresses, as `10.1.0.0/16` writes it.

use core::net::{IpAddr, Ipv6Addr};
use std::fmt;
use std::str::FromStr;

/// A network in CIDR form. A single address is the network that has only it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether an address is in it. An IPv4 address in IPv6 form counts as that IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differ = u128::from(own.to_bits() ^ other.to_bits());
                differ >> (32 - self.prefix.min(32)) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.checked_shr(u32::from(128 - self.prefix.min(128))) == Some(0)
                    || self.prefix == 0
            }
            _ => false,
        }
    }

    /// How many addresses are in it, as a power of two.
    #[must_use]
    pub fn size_bits(&self) -> u8 {
        let all: u8 = if self.address.is_ipv4() { 32 } else { 128 };
        all.saturating_sub(self.prefix)
    }

    /// Whether there are so many addresses in it that hardly anybody can answer for all of them: more than a /16, of IPv6 more than a /48.
    #[must_use]
    pub fn is_wide(&self) -> bool {
        self.size_bits() > if self.address.is_ipv4() { 16 } else { 80 }
    }
}

/// What counts as one machine where callers are counted: an IPv4 address, or the 64 bits of an IPv6 address that name a network, since
/// whoever has one address of such a network has them all.
#[must_use]
pub fn machine(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

/// A text that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{got:?} is no network: {rule}")]
pub struct NetworkError {
    got: String,
    rule: &'static str,
}

impl FromStr for Network {
    type Err = NetworkError;

    /// Reads `ADDRESS` or `ADDRESS/PREFIX`. Bits beyond the prefix must be zero, since two readers might take them otherwise for two
    /// different networks.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let wrong = |rule| NetworkError {
            got: text.chars().take(80).collect(),
            rule,
        };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let form = "write an IP address, or one and its prefix as in 10.1.0.0/16";
        let address: IpAddr = address.parse().map_err(|_| wrong(form))?;
        if address != address.to_canonical() {
            return Err(wrong("write an IPv4 address as such"));
        }
        let most: u8 = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| wrong(form))?
            }
            Some(_) => return Err(wrong(form)),
        };
        if prefix > most {
            return Err(wrong("the prefix is longer than the address"));
        }
        let network = Self { address, prefix };
        let host_bits = match address {
            IpAddr::V4(a) => u128::from(a.to_bits()) & low_bits(32 - prefix),
            IpAddr::V6(a) => a.to_bits() & low_bits(128 - prefix),
        };
        if host_bits != 0 {
            return Err(wrong("the address has bits beyond its prefix"));
        }
        Ok(network)
    }
}

/// So many ones from the right.
fn low_bits(count: u8) -> u128 {
    1_u128
        .checked_shl(u32::from(count))
        .map_or(u128::MAX, |bit| bit - 1)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(network: &str, address: &str) -> bool {
        let network: Network = network.parse().unwrap();
        network.contains(address.parse().unwrap())
    }

    #[test]
    fn a_machine_is_an_ipv4_address_or_an_ipv6_network() {
        for (address, same) in [
            ("10.0.0.1", "10.0.0.1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("2001:db8::1", "2001:db8::"),
            ("2001:db8:0:1::1", "2001:db8:0:1::"),
        ] {
            assert_eq!(machine(address.parse().unwrap()).to_string(), same);
        }
    }

    #[test]
    fn addresses_are_in_a_network_by_their_first_bits() {
        for (network, address) in [
            ("10.1.0.0/16", "10.1.255.255"),
            ("10.1.2.3", "10.1.2.3"),
            ("10.1.2.3/32", "::ffff:10.1.2.3"),
            ("0.0.0.0/0", "203.0.113.7"),
            ("::/0", "2001:db8::1"),
            ("fd00::/8", "fdff::1"),
            ("::1", "::1"),
            ("2001:db8::/127", "2001:db8::1"),
        ] {
            assert!(has(network, address), "{network} {address}");
        }
        for (network, address) in [
            ("10.1.0.0/16", "10.2.0.0"),
            ("10.1.2.2/31", "10.1.2.4"),
            ("::/0", "10.0.0.1"),
            ("::/0", "::ffff:10.0.0.1"),
            ("0.0.0.0/0", "::1"),
            ("2001:db8::/127", "2001:db8::2"),
        ] {
            assert!(!has(network, address), "{network} {address}");
        }
    }

    #[test]
    fn what_two_readers_could_take_otherwise_is_no_network() {
        for bad in [
            "",
            "10.1.0.0/",
            "10.1.0.0/33",
            "10.1.0.0/+8",
            "10.1.0.0/-1",
            "10.1.0.0/ 8",
            "10.1.0.1/16",
            "10.1.0.0/999",
            "fd00::1/8",
            "::ffff:10.0.0.0/104",
            "host",
            "10.1/16",
        ] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }

    #[test]
    fn wide_networks_are_known_as_such() {
        let wide = |text: &str| text.parse::<Network>().unwrap().is_wide();
        assert!(wide("0.0.0.0/0") && wide("10.0.0.0/8") && wide("::/0") && wide("fd00::/8"));
        assert!(!wide("10.1.0.0/16") && !wide("fd00:1:2::/48") && !wide("127.0.0.1"));
    }
}
