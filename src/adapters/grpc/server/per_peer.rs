//! How many subscriptions one machine may hold: a few of all, so that nobody takes them all.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use delta_domain::access::machine;

/// Subscriptions of one address. Nodes behind one router share it.
pub(super) const SUBSCRIPTIONS: usize = 128;

/// Counts by address of the other side. Clones count together.
#[derive(Clone, Default)]
pub(super) struct PerPeer(Arc<Mutex<BTreeMap<IpAddr, usize>>>);

/// A counted place; free again when dropped.
pub(super) struct Place {
    peers: PerPeer,
    address: IpAddr,
}

impl PerPeer {
    /// A place, while there is one for this address. A connection without an address is counted under the unspecified one.
    pub(super) fn enter(&self, peer: Option<SocketAddr>) -> Option<Place> {
        let address = peer.map_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED), |p| machine(p.ip()));
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= SUBSCRIPTIONS {
            return None;
        }
        *count += 1;
        Some(Place {
            peers: self.clone(),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.peers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_machine_fills_its_share_and_no_more_and_gets_it_back() {
        let peers = PerPeer::default();
        let (flood, honest) = ("10.0.0.1:9", "10.0.0.2:9");
        let enter = |at: &str| peers.enter(Some(at.parse().unwrap()));
        let mut held: Vec<Place> = (0..SUBSCRIPTIONS).map(|_| enter(flood).unwrap()).collect();
        assert!(enter(flood).is_none());
        assert!(enter("[::ffff:10.0.0.1]:7").is_none(), "the same machine");
        assert!(enter(honest).is_some());
        held.pop();
        assert!(enter(flood).is_some());
        drop(held);
        assert!(peers.0.lock().unwrap().is_empty());
    }

    #[test]
    fn a_network_of_ipv6_is_one_machine() {
        let peers = PerPeer::default();
        let at = |n: usize| format!("[2001:db8::{n:x}]:1").parse().unwrap();
        let held: Vec<Place> = (1..=SUBSCRIPTIONS)
            .map(|n| peers.enter(Some(at(n))).unwrap())
            .collect();
        assert!(peers.enter(Some(at(9999))).is_none());
        assert!(
            peers
                .enter(Some("[2001:db8:0:1::1]:1".parse().unwrap()))
                .is_some()
        );
        drop(held);
    }
}
