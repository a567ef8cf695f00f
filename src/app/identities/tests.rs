//! Learning who others are, from honest nodes and from others.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

mod remembering;

use super::*;
use delta_domain::identity::{DATA_NAME, Document, Pin};
use delta_domain::secret::Secret;
use delta_memory::{MemoryConnector, MemoryStorage, PausedClock};
use delta_ports::identity::IdentityApi as _;
use delta_ports::{PortError, PortErrorKind};

/// What is shown at which url; a url that shows nothing never answers.
#[derive(Clone, Default)]
struct Shelf {
    doors: Arc<Mutex<BTreeMap<PublicKey, (String, Digest)>>>,
    shown: Arc<Mutex<BTreeMap<String, Document>>>,
    fetched: Arc<AtomicUsize>,
}

impl Shelf {
    fn put(&self, url: &str, document: Document) {
        self.shown.lock().unwrap().insert(url.into(), document);
    }

    fn away(&self, url: &str) {
        self.shown.lock().unwrap().remove(url);
    }
}

#[async_trait]
impl IdentitySource for Shelf {
    async fn document_of(&self, url: &str) -> Result<Document, PortError> {
        self.fetched.fetch_add(1, Ordering::Relaxed);
        let shown = self.shown.lock().unwrap().get(url).cloned();
        match shown {
            Some(document) => Ok(document),
            None => std::future::pending().await,
        }
    }

    async fn seen_by(&self, _: &str, _: &Address) -> Result<Option<bool>, PortError> {
        Ok(None)
    }

    fn trust_key(&self, who: &PublicKey, url: &str, key: &Digest) -> Result<(), PortError> {
        let mut doors = self.doors.lock().unwrap();
        doors.insert(who.clone(), (url.to_owned(), *key));
        Ok(())
    }

    fn distrust_key(&self, who: &PublicKey) {
        self.doors.lock().unwrap().remove(who);
    }
}

struct World {
    connector: MemoryConnector,
    storage: MemoryStorage,
    shelf: Shelf,
    clock: PausedClock,
}

impl World {
    fn new() -> Self {
        let clock = PausedClock::new(Timestamp(1_795_824_000_000));
        Self {
            connector: MemoryConnector::new(Arc::new(clock.clone()), 1),
            storage: MemoryStorage::new(),
            shelf: Shelf::default(),
            clock,
        }
    }

    /// The node with this key at this url, with its own database.
    fn node(&self, byte: u8, url: &str, pins: Vec<Pin>) -> Arc<Identities> {
        self.node_on(&MemoryStorage::new(), byte, url, pins)
    }

    fn node_on(
        &self,
        storage: &MemoryStorage,
        byte: u8,
        url: &str,
        pins: Vec<Pin>,
    ) -> Arc<Identities> {
        let anchors = TrustAnchors { roster: None, pins };
        self.node_with(storage, byte, url, None, anchors)
    }

    fn node_with(
        &self,
        storage: &MemoryStorage,
        byte: u8,
        url: &str,
        tls_key: Option<Digest>,
        anchors: TrustAnchors,
    ) -> Arc<Identities> {
        let ports = IdentityPorts {
            connector: Arc::new(self.connector.clone()),
            storage: Arc::new(storage.clone()),
            documents: Arc::new(self.shelf.clone()),
            clock: Arc::new(self.clock.clone()),
            node_key: Arc::new(key(byte)),
        };
        let settings = IdentitySettings {
            organisation: format!("organisation {byte}"),
            name: format!("node {byte}"),
            tls_key,
            anchors,
        };
        Identities::new(ports, settings, url)
    }

    /// The node that looks at others.
    fn watcher(&self, pins: Vec<Pin>) -> Arc<Identities> {
        self.node_on(&self.storage, 99, "http://watcher", pins)
    }

    /// A node that has registered, published its card and shows its document; and its address.
    async fn present(&self, byte: u8, url: &str) -> (Arc<Identities>, Address) {
        let node = self.node(byte, url, Vec::new());
        let address = self.connector.join(url, "n").await.unwrap().address;
        node.publish(&address).await.unwrap();
        self.shelf.put(url, node.document().unwrap());
        (node, address)
    }
}

fn key(byte: u8) -> NodeKey {
    NodeKey::new(&Secret::new([byte; 32])).unwrap()
}

async fn trust(watcher: &Identities, address: &Address) -> Trust {
    let found = watcher.of(std::slice::from_ref(address)).await.remove(0);
    let proved = !matches!(found.trust, Trust::Unknown | Trust::Changed);
    assert_eq!(found.key.is_some(), proved, "{found:?}");
    found.trust
}

/// Lets what is in memory go stale.
async fn later() {
    tokio::time::sleep(FRESH + Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn pinned_first_seen_and_unknown_nodes_in_the_order_asked() {
    let world = World::new();
    let (_, a) = world.present(1, "http://a").await;
    let (_, b) = world.present(2, "http://b").await;
    let nobody = world.connector.join("http://c", "n").await.unwrap();
    let pin = format!("{} Lab A", key(1).fingerprint()).parse().unwrap();
    let watcher = world.watcher(vec![pin]);
    let found = watcher.of(&[nobody.address, b.clone(), a.clone()]).await;
    let pinned = Trust::Pinned {
        name: "Lab A".to_owned(),
    };
    let trusts: Vec<&Trust> = found.iter().map(|i| &i.trust).collect();
    assert_eq!(trusts, [&Trust::Unknown, &Trust::FirstUse, &pinned]);
    assert_eq!(found[1].key.as_ref(), Some(key(2).public()));
    assert_eq!(
        found[2].card.as_ref().unwrap().organisation(),
        "organisation 1"
    );
    assert_eq!(vouched(&found), BTreeSet::from([key(1).public().clone()]));
    assert_eq!(vouched(&[found[2].clone(), found[2].clone()]).len(), 1);
    // From memory, and later from the record without fetching again.
    let fetched = world.shelf.fetched.load(Ordering::Relaxed);
    assert_eq!(trust(&watcher, &a).await, pinned);
    later().await;
    world.connector.join("http://a", "n").await.unwrap();
    assert_eq!(trust(&watcher, &a).await, pinned);
    assert_eq!(world.shelf.fetched.load(Ordering::Relaxed), fetched);
}

/// What a round is told: who is known, whose key counts, and once.
#[tokio::test(start_paused = true)]
async fn a_round_is_told_whom_it_knows_and_who_counts() {
    let world = World::new();
    let (node_a, a) = world.present(1, "http://a").await;
    let (_, again) = world.present(1, "http://again").await;
    let (_, b) = world.present(2, "http://b").await;
    let nobody = world.connector.join("http://c", "n").await.unwrap().address;
    let pin = key(1).fingerprint().to_string().parse().unwrap();
    let watcher = world.watcher(vec![pin]);
    let members = [a.clone(), again.clone(), b.clone(), nobody.clone()];
    let me: Address = format!("0x{}", "99".repeat(20)).parse().unwrap();
    let others = watcher.acquaintances(&me, &members).await.unwrap();
    assert!(others.anchored && others.changed.is_empty());
    let vouched = |of: &Address| others.known.get(of).map(|o| o.vouched);
    assert_eq!(
        [&a, &again, &b, &nobody].map(vouched),
        [Some(true), Some(false), Some(false), None],
        "one key counts once"
    );
    // The other side knows the same of this one.
    let same = node_a.key().common(watcher.key().public()).unwrap();
    assert_eq!(others.common(&a).unwrap().expose(), same.expose());
    let unpinned = world.watcher(Vec::new());
    assert!(
        !unpinned
            .acquaintances(&me, &members)
            .await
            .unwrap()
            .anchored
    );
}

#[tokio::test(start_paused = true)]
async fn a_changed_key_counts_for_nothing_until_it_is_accepted() {
    let world = World::new();
    let (_, address) = world.present(1, "http://a").await;
    let watcher = world.watcher(Vec::new());
    assert_eq!(trust(&watcher, &address).await, Trust::FirstUse);
    // Somebody else has the url and the record now: same address, another key.
    world.present(2, "http://a").await;
    later().await;
    world.present(2, "http://a").await;
    assert_eq!(trust(&watcher, &address).await, Trust::Changed);
    // Also for the next process.
    let watcher = world.watcher(Vec::new());
    later().await;
    world.present(2, "http://a").await;
    assert_eq!(trust(&watcher, &address).await, Trust::Changed);
    // The owner accepts it, in the database.
    let mut row = world.storage.identity(&address).await.unwrap().unwrap();
    row.document = row.changed.take().unwrap();
    world.storage.keep_identity(&row, 10).await.unwrap();
    tokio::time::sleep(DOUBTFUL + Duration::from_secs(1)).await;
    assert_eq!(trust(&watcher, &address).await, Trust::FirstUse);
    let found = watcher.of(&[address]).await.remove(0);
    assert_eq!(found.key.as_ref(), Some(key(2).public()));
}

#[tokio::test(start_paused = true)]
async fn an_alarm_is_over_when_the_old_key_is_back() {
    let world = World::new();
    let (_, address) = world.present(1, "http://a").await;
    let watcher = world.watcher(Vec::new());
    assert_eq!(trust(&watcher, &address).await, Trust::FirstUse);
    later().await;
    world.present(2, "http://a").await;
    assert_eq!(trust(&watcher, &address).await, Trust::Changed);
    world.present(1, "http://a").await;
    tokio::time::sleep(DOUBTFUL + Duration::from_secs(1)).await;
    assert_eq!(trust(&watcher, &address).await, Trust::FirstUse);
    let row = world.storage.identity(&address).await.unwrap().unwrap();
    assert_eq!(row.changed, None);
}

#[tokio::test(start_paused = true)]
async fn a_pinned_key_may_take_the_place_of_another_one() {
    let world = World::new();
    let (_, address) = world.present(1, "http://a").await;
    let pin: Pin = key(2).fingerprint().to_string().parse().unwrap();
    let watcher = world.watcher(vec![pin]);
    assert_eq!(trust(&watcher, &address).await, Trust::FirstUse);
    later().await;
    world.present(2, "http://a").await;
    assert!(trust(&watcher, &address).await.is_vouched());
}

/// A thief registers the digest of another node's card, and moves his url to that node.
#[tokio::test(start_paused = true)]
async fn a_stolen_card_proves_nothing() {
    let world = World::new();
    let (victim, home) = world.present(1, "http://a").await;
    let thief = world.connector.join("http://t", "n").await.unwrap().address;
    let digest = victim.document().unwrap().card.digest();
    let c = &world.connector;
    c.register_data(&thief, DATA_NAME, 0, &digest.to_string())
        .await
        .unwrap();
    let watcher = world.watcher(vec![key(1).fingerprint().to_string().parse().unwrap()]);
    // The card's url is not the thief's.
    world.shelf.put("http://t", victim.document().unwrap());
    assert_eq!(trust(&watcher, &thief).await, Trust::Unknown);
    // Now it is; the address is not the victim's.
    c.update_url(&thief, "http://a").await.unwrap();
    tokio::time::sleep(DOUBTFUL + Duration::from_secs(1)).await;
    assert_eq!(trust(&watcher, &thief).await, Trust::Unknown);
    assert!(trust(&watcher, &home).await.is_vouched());
    assert_eq!(world.storage.identity(&thief).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_card_that_is_not_the_published_one_proves_nothing() {
    let world = World::new();
    let (_, address) = world.present(1, "http://a").await;
    let other = Digest::of(b"another card");
    let c = &world.connector;
    c.register_data(&address, DATA_NAME, 0, &other.to_string())
        .await
        .unwrap();
    let watcher = world.watcher(Vec::new());
    assert_eq!(trust(&watcher, &address).await, Trust::Unknown);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_answer_is_who_he_was_and_a_round_does_not_wait_for_ever() {
    let world = World::new();
    let (_, a) = world.present(1, "http://a").await;
    let watcher = world.watcher(Vec::new());
    assert_eq!(trust(&watcher, &a).await, Trust::FirstUse);
    // A new card, behind a node that is silent; and one that was never seen.
    let (node, b) = world.present(2, "http://b").await;
    world.shelf.away("http://a");
    world.shelf.away("http://b");
    let c = &world.connector;
    c.register_data(&a, DATA_NAME, 0, &Digest::of(b"x").to_string())
        .await
        .unwrap();
    later().await;
    c.join("http://a", "n").await.unwrap();
    c.join("http://b", "n").await.unwrap();
    let started = world.clock.now();
    let found = watcher.of(&[a, b]).await;
    assert!(world.clock.now() - started <= PATIENCE);
    assert_eq!(found[0].trust, Trust::FirstUse);
    assert_eq!(found[1].trust, Trust::Unknown);
    drop(node);
}

#[tokio::test(start_paused = true)]
async fn a_card_that_ended_proves_nothing_and_its_key_is_still_known() {
    let world = World::new();
    let (_, address) = world.present(1, "http://a").await;
    let watcher = world.watcher(Vec::new());
    assert_eq!(trust(&watcher, &address).await, Trust::FirstUse);
    tokio::time::sleep(Duration::from_secs(600 * 24 * 3600)).await;
    assert_eq!(trust(&watcher, &address).await, Trust::Unknown);
    // A new card of another key is a change, of the same key it is not.
    world.present(2, "http://a").await;
    tokio::time::sleep(DOUBTFUL + Duration::from_secs(1)).await;
    assert_eq!(trust(&watcher, &address).await, Trust::Changed);
    world.present(1, "http://a").await;
    tokio::time::sleep(DOUBTFUL + Duration::from_secs(1)).await;
    assert_eq!(trust(&watcher, &address).await, Trust::FirstUse);
}

#[tokio::test(start_paused = true)]
async fn a_node_knows_itself_publishes_once_and_holds_its_url() {
    let world = World::new();
    let (node, address) = world.present(1, "http://a").await;
    let own = node.of(std::slice::from_ref(&address)).await.remove(0);
    assert!(own.trust.is_vouched());
    assert_eq!(own.key.as_ref(), Some(key(1).public()));
    let writes = world.connector.writes(0).len();
    node.publish(&address).await.unwrap();
    node.hold_url(&address).await.unwrap();
    assert_eq!(world.connector.writes(0).len(), writes, "nothing to do");
    let c = &world.connector;
    c.update_url(&address, "http://evil").await.unwrap();
    node.hold_url(&address).await.unwrap();
    assert_eq!(c.node(&address).await.unwrap().unwrap().url, "http://a");
}

/// A url on record may be a third party's: it is not asked every minute by everybody.
#[tokio::test(start_paused = true)]
async fn strangers_are_looked_at_once_an_hour_unless_a_round_needs_to_know() {
    let world = World::new();
    let (_, address) = world.present(1, "http://a").await;
    let other = Digest::of(b"not the card that is shown");
    let c = &world.connector;
    c.register_data(&address, DATA_NAME, 0, &other.to_string())
        .await
        .unwrap();
    let watcher = world.watcher(Vec::new());
    for _ in 0..59 {
        c.join("http://a", "n").await.unwrap();
        watcher.prepare(vec![address.clone()]).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(world.shelf.fetched.load(Ordering::Relaxed), 1);
    assert_eq!(trust(&watcher, &address).await, Trust::Unknown);
    assert_eq!(world.shelf.fetched.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_database_that_fails_costs_memory_only() {
    let world = World::new();
    let (_, address) = world.present(1, "http://a").await;
    let watcher = world.watcher(Vec::new());
    for op in ["storage.identity", "storage.keep_identity"] {
        let faults = world.storage.faults();
        faults.fail_next(op, delta_memory::When::Before, PortErrorKind::Unavailable);
    }
    assert_eq!(trust(&watcher, &address).await, Trust::FirstUse);
}
