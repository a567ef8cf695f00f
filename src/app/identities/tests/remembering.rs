//! What is remembered of others when the record keeps it back or says something else, and whom there is room for.

use super::super::kept::MOST_KEPT;
use super::*;
use delta_domain::identity::{
    CLAIM_INDEX, Proof, Roster, RosterEntryForm, RosterFile, VerifiedRoster, claim, claim_in_pieces,
};
use delta_memory::ChainOptions;
use delta_ports::storage::KnownIdentity;

fn me() -> Address {
    format!("0x{}", "99".repeat(20)).parse().unwrap()
}

fn pin(byte: u8) -> Pin {
    key(byte).fingerprint().to_string().parse().unwrap()
}

impl World {
    /// A node that shows nothing of itself but the claim of this key.
    async fn claims(&self, byte: u8, url: &str) -> Address {
        let address = self.connector.join(url, "n").await.unwrap().address;
        self.says(&address, &claim(&key(byte), &address)).await;
        address
    }

    /// From now on the record has this in place of a claim.
    async fn says(&self, address: &Address, text: &str) {
        let c = &self.connector;
        c.register_data(address, DATA_NAME, CLAIM_INDEX, text)
            .await
            .unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_is_kept_back_makes_no_stranger_of_a_node_that_is_known() {
    let world = World::new();
    let a = world.claims(1, "http://a").await;
    let members = [a.clone()];
    let before = world.watcher(vec![pin(1)]);
    let seen = before.acquaintances(&me(), &members).await.unwrap();
    assert!(seen.known[&a].vouched);
    world.says(&a, "kept back").await;
    // Also for the next process, which has nothing in memory.
    later().await;
    for watcher in [before, world.watcher(vec![pin(1)])] {
        let others = watcher.acquaintances(&me(), &members).await.unwrap();
        assert!(others.known[&a].vouched && others.changed.is_empty());
        let (now, then) = (others.common(&a).unwrap(), seen.common(&a).unwrap());
        assert_eq!(now.expose(), then.expose());
    }
    // Of somebody who was never seen there is nothing to remember.
    let others = world.node(98, "http://w", vec![pin(1)]);
    let others = others.acquaintances(&me(), &members).await.unwrap();
    assert!(others.known.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_claim_of_another_key_is_an_alarm_until_the_owner_accepts_it() {
    let world = World::new();
    let a = world.claims(1, "http://a").await;
    let members = [a.clone()];
    let watcher = world.watcher(Vec::new());
    let others = watcher.acquaintances(&me(), &members).await.unwrap();
    assert!(others.changed.is_empty() && others.known.contains_key(&a));
    world.says(&a, &claim(&key(2), &a)).await;
    later().await;
    for watcher in [watcher.clone(), world.watcher(Vec::new())] {
        let others = watcher.acquaintances(&me(), &members).await.unwrap();
        assert!(others.changed.contains(&a) && others.known.is_empty());
    }
    // Kept back afterwards, the alarm stays.
    world.connector.join("http://a", "n").await.unwrap();
    world.says(&a, "kept back").await;
    later().await;
    let others = watcher.acquaintances(&me(), &members).await.unwrap();
    assert!(others.changed.contains(&a));
    let mut row = world.storage.identity(&a).await.unwrap().unwrap();
    row.document = row.changed.take().unwrap();
    world.storage.keep_identity(&row, 10).await.unwrap();
    let others = watcher.acquaintances(&me(), &members).await.unwrap();
    assert!(others.changed.is_empty());
    let common = key(2).common(watcher.key().public()).unwrap();
    assert_eq!(others.common(&a).unwrap().expose(), common.expose());
}

/// Organisation 99 has this node and key 1, organisation 2 keys 2 and 3.
fn roster() -> VerifiedRoster {
    let entry = |organisation: &str, byte: u8| RosterEntryForm {
        organisation: organisation.into(),
        key: key(byte).public().to_wire(),
        url: String::new(),
        until: "2028-12-31".into(),
    };
    let mut file = RosterFile {
        format: 1,
        network: "n".into(),
        serial: 1,
        until: "2028-12-31".into(),
        organisations: vec![
            entry("Own", 99),
            entry("Own", 1),
            entry("Two", 2),
            entry("Two", 3),
        ],
        signatures: vec![],
    };
    let unsigned = Roster::try_from(file.clone()).unwrap();
    file.signatures = [99, 2]
        .map(|byte| unsigned.sign(&key(byte)).unwrap())
        .into();
    let now = Timestamp(1_795_824_000_000);
    Roster::try_from(file).unwrap().verify(None, now).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_organisation_counts_once_whatever_number_of_keys_it_has() {
    let world = World::new();
    let mut members = Vec::new();
    for byte in [1, 2, 3, 4] {
        members.push(world.claims(byte, &format!("http://{byte}")).await);
    }
    let anchors = TrustAnchors {
        roster: Some(roster()),
        pins: vec![pin(4)],
    };
    let watcher = world.node_with(&world.storage, 99, "http://watcher", None, anchors);
    let others = watcher.acquaintances(&me(), &members).await.unwrap();
    let vouched: Vec<bool> = members.iter().map(|m| others.known[m].vouched).collect();
    assert_eq!(vouched, [false, true, false, true]);
}

#[tokio::test(start_paused = true)]
async fn nodes_that_are_silent_hold_up_nobody() {
    let world = World::new();
    let mut addresses = Vec::new();
    for byte in 1..=17 {
        let url = format!("http://{byte}");
        addresses.push(world.present(byte, &url).await.1);
        if byte < 17 {
            world.shelf.away(&url);
        }
    }
    let watcher = world.watcher(Vec::new());
    let started = world.clock.now();
    watcher.prepare(addresses.clone()).await;
    assert!(world.clock.now() - started <= PATIENCE * 2);
    let last = world.storage.identity(&addresses[16]).await.unwrap();
    assert!(last.is_some());
    // They are not asked again at once.
    let fetched = world.shelf.fetched.load(Ordering::Relaxed);
    watcher.prepare(addresses).await;
    assert_eq!(world.shelf.fetched.load(Ordering::Relaxed), fetched);
}

#[tokio::test(start_paused = true)]
async fn a_full_memory_lets_go_of_strangers_and_of_nobody_who_is_vouched_for() {
    let world = World::new();
    let row = |number: u32| {
        let address: Address = format!("0x{number:040x}").parse().unwrap();
        KnownIdentity {
            document: Proof::Claim(String::new()).to_bytes(),
            address,
            changed: None,
            first_seen: Timestamp(1),
            last_seen: Timestamp(u64::from(number)),
        }
    };
    // The first of all is a node that is pinned.
    let (_, pinned) = world.present(7, "http://pinned").await;
    let watcher = world.watcher(vec![pin(7)]);
    assert!(trust(&watcher, &pinned).await.is_vouched());
    let mut oldest = world.storage.identity(&pinned).await.unwrap().unwrap();
    oldest.last_seen = Timestamp(0);
    world.storage.keep_identity(&oldest, 10).await.unwrap();
    for number in 1..MOST_KEPT {
        assert!(
            world
                .storage
                .keep_identity(&row(number), MOST_KEPT)
                .await
                .unwrap()
        );
    }
    let watcher = world.watcher(vec![pin(7)]);
    let new = world.claims(2, "http://new").await;
    watcher
        .acquaintances(&me(), std::slice::from_ref(&new))
        .await
        .unwrap();
    let kept = async |address: &Address| world.storage.identity(address).await.unwrap().is_some();
    assert!(kept(&new).await && kept(&pinned).await);
    assert!(!kept(&row(1).address).await && kept(&row(2).address).await);
}

#[tokio::test(start_paused = true)]
async fn a_vouched_node_is_known_by_the_tls_key_of_its_card_where_it_is_and_while_it_is_vouched_for()
 {
    let world = World::new();
    let doors = || world.shelf.doors.lock().unwrap().clone();
    let storage = MemoryStorage::new();
    let mut addresses = Vec::new();
    for (byte, url) in [(1, "https://a"), (2, "http://b"), (3, "https://c")] {
        let tls_key = Some(Digest([byte; 32]));
        let node = world.node_with(&storage, byte, url, tls_key, TrustAnchors::default());
        let address = world.connector.join(url, "n").await.unwrap().address;
        node.publish(&address).await.unwrap();
        world.shelf.put(url, node.document().unwrap());
        addresses.push(address);
    }
    let watcher = world.watcher(vec![pin(1), pin(2)]);
    watcher.of(&addresses).await;
    let own = key(1).public().clone();
    let expected = BTreeMap::from([(own, ("https://a".to_owned(), Digest([1; 32])))]);
    assert_eq!(doors(), expected, "by https, and only who is vouched for");
    // Its address shows another key: the way is closed until somebody has spoken.
    world.present(9, "https://a").await;
    later().await;
    world.connector.join("https://a", "n").await.unwrap();
    watcher.of(&addresses[..1]).await;
    assert_eq!(doors(), BTreeMap::new());
}

/// A contract takes 32 bytes at a time.
#[tokio::test(start_paused = true)]
async fn a_claim_stands_on_a_chain_in_parts() {
    let mut world = World::new();
    let options = ChainOptions::every(5);
    let chain = MemoryConnector::on_chain(Arc::new(world.clock.clone()), 1, options);
    world.connector = chain.handle();
    let (node, a) = world.present(1, "http://a").await;
    let mined = chain.mined().len();
    // What stands there is looked at, and not paid for again.
    node.publish(&a).await.unwrap();
    assert_eq!(chain.mined().len(), mined);
    assert!(node.is_published(&a).await);
    let watcher = world.watcher(vec![pin(1)]);
    assert!(matches!(trust(&watcher, &a).await, Trust::Pinned { .. }));
    let others = watcher
        .acquaintances(&me(), std::slice::from_ref(&a))
        .await
        .unwrap();
    assert!(others.known[&a].vouched);
    // One part of another key's: then nothing is proved.
    let foreign = claim_in_pieces(&claim(&key(2), &a));
    let c = &world.connector;
    c.register_data(&a, DATA_NAME, CLAIM_INDEX + 1, &foreign[1])
        .await
        .unwrap();
    let stranger = world.node(97, "http://v", vec![pin(1)]);
    let others = stranger.acquaintances(&me(), &[a]).await.unwrap();
    assert!(others.known.is_empty());
}
