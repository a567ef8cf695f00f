//! Who holds the server's connections: a bounded number each, and nobody who only waits keeps out somebody with a request.
//!
//! A connection *waits* until the head of a request is complete, and again after each answer; in between it *works*. Where there is no
//! room, the connection that has waited longest goes, of the address that has most. Half a request costs its sender a connection and
//! nobody else anything.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio_util::sync::CancellationToken;
use warp::hyper::body::{Body, Frame, SizeHint};

use delta_domain::access::machine;

/// Places beyond all others for this machine's own addresses: a health check that is not heard would have the node killed.
const RESERVED: usize = 8;

/// The connections of a server. Clones are the same.
#[derive(Clone)]
pub(super) struct Connections {
    most: usize,
    most_each: usize,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    next: u64,
    by_number: BTreeMap<u64, Connection>,
    by_address: BTreeMap<IpAddr, usize>,
}

struct Connection {
    address: IpAddr,
    /// When it began to wait, as a number that grows; `None` while it works.
    waits_since: Option<u64>,
    gone: CancellationToken,
}

/// A connection's place. Free again when dropped.
pub(super) struct Place {
    connections: Connections,
    number: u64,
    gone: CancellationToken,
}

/// While a request is answered. The connection waits again when dropped.
pub(super) struct Work {
    connections: Connections,
    number: u64,
}

impl Connections {
    /// At most `most` at a time, and `most_each` of one address.
    pub(super) fn new(most: usize, most_each: usize) -> Self {
        Self {
            most,
            most_each,
            held: Arc::default(),
        }
    }

    /// A place for a connection from `address`, made free if need be; `None` where all that are in its way work.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Place> {
        let address = machine(address);
        let mut held = self.held();
        let own = held.by_address.get(&address).copied().unwrap_or(0);
        if own >= self.most_each {
            held.send_away(Some(address))?;
        } else if held.by_number.len() >= self.most {
            // However full it is, whoever watches over this node from its own machine is heard.
            let reserved = address.is_loopback() && own < RESERVED;
            if held.send_away(None).is_none() && !reserved {
                return None;
            }
        }
        let number = held.tick();
        let gone = CancellationToken::new();
        let connection = Connection {
            address,
            waits_since: Some(number),
            gone: gone.clone(),
        };
        held.by_number.insert(number, connection);
        *held.by_address.entry(address).or_default() += 1;
        Some(Place {
            connections: self.clone(),
            number,
            gone,
        })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing that can panic runs under this lock.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn tick(&mut self) -> u64 {
        self.next = self.next.wrapping_add(1);
        self.next
    }

    /// Ends the connection that has waited longest: of this address, or of the one that has most among those that wait.
    fn send_away(&mut self, address: Option<IpAddr>) -> Option<()> {
        let weight = |c: &Connection| self.by_address.get(&c.address).copied().unwrap_or(0);
        let (&number, _) = self
            .by_number
            .iter()
            .filter(|(_, c)| c.waits_since.is_some())
            .filter(|(_, c)| address.is_none_or(|a| a == c.address))
            .max_by_key(|(_, c)| (weight(c), std::cmp::Reverse(c.waits_since)))?;
        self.remove(number);
        Some(())
    }

    fn remove(&mut self, number: u64) {
        let Some(connection) = self.by_number.remove(&number) else {
            return;
        };
        connection.gone.cancel();
        if let Some(count) = self.by_address.get_mut(&connection.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.by_address.remove(&connection.address);
            }
        }
    }
}

impl Place {
    /// Is over when the place is needed for somebody else.
    pub(super) fn gone(&self) -> CancellationToken {
        self.gone.clone()
    }

    /// What marks this connection's requests.
    pub(super) fn worker(&self) -> Worker {
        Worker {
            connections: self.connections.clone(),
            number: self.number,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.held().remove(self.number);
    }
}

/// Marks one connection's requests.
#[derive(Clone)]
pub(super) struct Worker {
    connections: Connections,
    number: u64,
}

impl Worker {
    /// The connection works until the answer is dropped.
    pub(super) fn begin(&self) -> Work {
        let mut held = self.connections.held();
        if let Some(connection) = held.by_number.get_mut(&self.number) {
            connection.waits_since = None;
        }
        Work {
            connections: self.connections.clone(),
            number: self.number,
        }
    }
}

impl Work {
    /// A body that counts as work until it is sent or dropped.
    pub(super) fn until_sent<B>(self, body: B) -> Working<B> {
        Working { body, _work: self }
    }
}

/// The body of an answer on its way.
pub(super) struct Working<B> {
    body: B,
    _work: Work,
}

impl<B: Body + Unpin> Body for Working<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let mut held = self.connections.held();
        let now = held.tick();
        if let Some(connection) = held.by_number.get_mut(&self.number) {
            connection.waits_since = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn half_sent_requests_of_one_address_keep_nobody_out() {
        let connections = Connections::new(8, 4);
        let flood: Vec<Place> = (0..100)
            .map(|_| connections.enter(ip("10.0.0.1")).unwrap())
            .collect();
        // Whoever comes from there gets in too, in the place of the one that has waited longest.
        let living = |places: &[Place]| places.iter().filter(|p| !p.gone().is_cancelled()).count();
        assert_eq!(living(&flood), 4);
        assert!(!flood[99].gone().is_cancelled() && flood[0].gone().is_cancelled());
        let honest: Vec<Place> = (0..4)
            .map(|n| connections.enter(ip(&format!("10.0.1.{n}"))).unwrap())
            .collect();
        assert_eq!((living(&flood), living(&honest)), (4, 4));
        // The server is full: the flood makes room, not those that are one each.
        let late = connections.enter(ip("10.0.2.1")).unwrap();
        assert_eq!((living(&flood), living(&honest)), (3, 4));
        drop((flood, honest, late));
        let held = connections.held();
        assert!(held.by_number.is_empty() && held.by_address.is_empty());
    }

    #[test]
    fn whoever_works_is_not_sent_away() {
        let connections = Connections::new(2, 2);
        let a = connections.enter(ip("10.0.0.1")).unwrap();
        let b = connections.enter(ip("10.0.0.2")).unwrap();
        let (working, also) = (a.worker().begin(), b.worker().begin());
        assert!(connections.enter(ip("10.0.0.3")).is_none());
        drop(also);
        let c = connections.enter(ip("10.0.0.3")).unwrap();
        assert!(b.gone().is_cancelled() && !a.gone().is_cancelled());
        drop((working, c));
    }

    #[test]
    fn who_watches_over_the_node_is_heard_when_all_places_work() {
        let connections = Connections::new(2, 2);
        let flood: Vec<Place> = (0..2)
            .map(|n| connections.enter(ip(&format!("10.0.0.{n}"))).unwrap())
            .collect();
        let _working: Vec<Work> = flood.iter().map(|p| p.worker().begin()).collect();
        assert!(connections.enter(ip("10.0.1.1")).is_none());
        let watcher = connections.enter(ip("127.0.0.1")).unwrap();
        assert!(connections.enter(ip("10.0.1.1")).is_none() || watcher.gone().is_cancelled());
        assert!(flood.iter().all(|p| !p.gone().is_cancelled()));
    }

    #[test]
    fn a_share_is_an_addresss_and_an_ipv6_networks() {
        let connections = Connections::new(100, 1);
        let first = connections.enter(ip("2001:db8::1")).unwrap();
        let _busy = first.worker().begin();
        assert!(connections.enter(ip("2001:db8::2")).is_none());
        assert!(connections.enter(ip("2001:db8:0:1::1")).is_some());
    }
}
