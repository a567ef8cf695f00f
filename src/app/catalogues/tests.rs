//! What a node publishes and when, and what it makes of others: honest ones, and those that are slow, gone, lying or silent.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::*;
use crate::identities::{IdentityPorts, IdentitySettings};
use delta_domain::catalogue::{Said, SaidForm};
use delta_domain::identity::{Document, TrustAnchors};
use delta_domain::ids::DatasetName;
use delta_domain::secret::Secret;
use delta_memory::{MemoryConnector, MemoryPolicies, MemoryStorage, PausedClock, ScriptedExecutor};
use delta_ports::catalogue::{Found, NodeListing};
use delta_ports::identity::{IdentityApi as _, IdentitySource};
use delta_ports::{PortError, PortErrorKind};

/// What is served at a url instead of an answer that takes no time.
#[derive(Clone)]
enum Served {
    Catalogue(Arc<SignedCatalogue>),
    Fails(PortErrorKind),
    Hangs,
}

#[derive(Clone, Default)]
struct Shelf {
    documents: Arc<Mutex<BTreeMap<String, Document>>>,
    catalogues: Arc<Mutex<BTreeMap<String, Served>>>,
    asked: Arc<AtomicUsize>,
}

#[async_trait]
impl IdentitySource for Shelf {
    async fn document_of(&self, url: &str) -> Result<Document, PortError> {
        let shown = held(&self.documents).get(url).cloned();
        shown.ok_or_else(|| PortError::new(PortErrorKind::Rejected, "peer.identity", "none"))
    }

    async fn seen_by(&self, _: &str, _: &Address) -> Result<Option<bool>, PortError> {
        Ok(None)
    }
}

#[async_trait]
impl CatalogueSource for Shelf {
    async fn catalogue_of(&self, url: &str) -> Result<SignedCatalogue, PortError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let served = held(&self.catalogues).get(url).cloned();
        match served {
            Some(Served::Catalogue(signed)) => Ok((*signed).clone()),
            Some(Served::Fails(kind)) => Err(PortError::new(
                kind,
                "peer.catalogue",
                "words of a stranger",
            )),
            Some(Served::Hangs) => std::future::pending().await,
            None => Err(PortError::new(
                PortErrorKind::Rejected,
                "peer.catalogue",
                "none",
            )),
        }
    }
}

struct World {
    connector: MemoryConnector,
    shelf: Shelf,
    clock: PausedClock,
    policies: MemoryPolicies,
}

impl World {
    fn new() -> Self {
        let clock = PausedClock::new(Timestamp(1_795_824_000_000));
        Self {
            connector: MemoryConnector::new(Arc::new(clock.clone()), 1),
            shelf: Shelf::default(),
            clock,
            policies: MemoryPolicies::default(),
        }
    }

    fn identities(&self, byte: u8, url: &str) -> Arc<Identities> {
        let ports = IdentityPorts {
            connector: Arc::new(self.connector.clone()),
            storage: Arc::new(MemoryStorage::new()),
            documents: Arc::new(self.shelf.clone()),
            clock: Arc::new(self.clock.clone()),
            node_key: Arc::new(key(byte)),
        };
        let settings = IdentitySettings {
            organisation: format!("organisation {byte}"),
            name: format!("node {byte}"),
            tls_key: None,
            anchors: TrustAnchors::default(),
        };
        Identities::new(ports, settings, url)
    }

    fn node(&self, byte: u8, url: &str) -> Catalogues {
        Catalogues {
            connector: Arc::new(self.connector.clone()),
            source: Arc::new(self.shelf.clone()),
            executor: Arc::new(ScriptedExecutor::new("n", |_, _| Vec::new())),
            policies: Arc::new(self.policies.clone()),
            clock: Arc::new(self.clock.clone()),
            key: Arc::new(key(byte)),
            identities: self.identities(byte, url),
            own: Mutex::default(),
            kept: Mutex::default(),
            newest: Mutex::default(),
            asking: Turn::default(),
        }
    }

    /// A node on record that shows who it is, and serves this at `/v1/catalogue`.
    async fn present(&self, byte: u8, url: &str, served: Option<Served>) {
        let node = self.identities(byte, url);
        let address = self.connector.join(url, "n").await.unwrap().address;
        node.publish(&address).await.unwrap();
        held(&self.shelf.documents).insert(url.to_owned(), node.document().unwrap());
        match served {
            Some(served) => drop(held(&self.shelf.catalogues).insert(url.to_owned(), served)),
            None => drop(held(&self.shelf.catalogues).remove(url)),
        }
    }

    fn says(&self, datasets: &[(&str, &str)]) {
        let said = |json: &str| -> Said {
            let form: SaidForm = serde_json::from_str(json).unwrap();
            form.check(None).unwrap()
        };
        let published = datasets.iter();
        let published = published.map(|(name, json)| (name.parse().unwrap(), said(json)));
        self.policies.set(OwnerRules {
            published: Arc::new(published.collect::<BTreeMap<DatasetName, Said>>()),
            ..OwnerRules::default()
        });
    }
}

fn key(byte: u8) -> NodeKey {
    NodeKey::new(&Secret::new([byte; 32])).unwrap()
}

fn catalogue(byte: u8, now: Timestamp, name: &str) -> Served {
    let listing = delta_domain::catalogue::Listing::named(name.parse().unwrap());
    let signed = SignedCatalogue::issue(&key(byte), vec![listing], now);
    Served::Catalogue(Arc::new(signed.unwrap()))
}

/// What is found at each url, by its first word.
async fn found(watcher: &Catalogues) -> BTreeMap<String, String> {
    let listed = watcher.gather(None).await.unwrap();
    let word = |node: NodeListing| {
        let word = match node.found {
            Found::Published(catalogue) => {
                let names = catalogue.datasets().iter().map(|d| d.name.to_string());
                format!("has {}", names.collect::<Vec<_>>().join(" "))
            }
            Found::Nothing => "nothing".to_owned(),
            Found::Away(why) => format!("away: {why}"),
            Found::Doubted(why) => format!("doubted: {why}"),
        };
        (node.url, word)
    };
    listed.nodes.into_iter().map(word).collect()
}

#[tokio::test(start_paused = true)]
async fn every_node_is_told_apart_and_no_hostile_one_holds_up_the_others() {
    let world = World::new();
    let now = world.clock.now();
    world
        .present(1, "http://good", Some(catalogue(1, now, "p.csv")))
        .await;
    world.present(2, "http://none", None).await;
    // Another node's catalogue, word for word.
    world
        .present(3, "http://other", Some(catalogue(1, now, "p.csv")))
        .await;
    world.present(4, "http://slow", Some(Served::Hangs)).await;
    world
        .present(
            5,
            "http://huge",
            Some(Served::Fails(PortErrorKind::Corrupt)),
        )
        .await;
    world
        .present(
            6,
            "http://gone",
            Some(Served::Fails(PortErrorKind::Unavailable)),
        )
        .await;
    let old = Timestamp(now.0 - 2 * 24 * 3600 * 1000);
    world
        .present(7, "http://old", Some(catalogue(7, old, "p.csv")))
        .await;
    let nobody = world.connector.join("http://nobody", "n").await.unwrap();
    let watcher = world.node(99, "http://watcher");
    let begun = world.clock.now();
    let told = found(&watcher).await;
    assert!(
        world.clock.now().0 - begun.0 <= 3_100,
        "one slow node costs its own time"
    );
    let expected = [
        ("http://good", "has p.csv"),
        ("http://none", "nothing"),
        ("http://other", "doubted: its catalogue is another node's"),
        ("http://slow", "away: it did not answer within 3 s"),
        ("http://huge", "doubted: what it shows is no catalogue"),
        ("http://gone", "away: it cannot be reached"),
        ("http://old", "doubted: its catalogue has ended"),
        ("http://nobody", "doubted: it does not prove who it is"),
    ];
    for (url, word) in expected {
        assert_eq!(told[url], word, "{url}");
    }
    assert_eq!(told.len(), expected.len());
    // Remembered, the slow one too.
    let (asked, begun) = (world.shelf.asked.load(Ordering::Relaxed), world.clock.now());
    assert_eq!(found(&watcher).await, told);
    assert_eq!(world.shelf.asked.load(Ordering::Relaxed), asked);
    assert_eq!(world.clock.now(), begun);
    drop(nobody);
}

#[tokio::test(start_paused = true)]
async fn what_was_shown_before_is_not_believed_again() {
    let world = World::new();
    let first = catalogue(1, world.clock.now(), "old.csv");
    world.present(1, "http://a", Some(first.clone())).await;
    let watcher = world.node(99, "http://watcher");
    assert_eq!(found(&watcher).await["http://a"], "has old.csv");
    tokio::time::sleep(Duration::from_secs(60)).await;
    world
        .present(
            1,
            "http://a",
            Some(catalogue(1, world.clock.now(), "new.csv")),
        )
        .await;
    assert_eq!(found(&watcher).await["http://a"], "has new.csv");
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.present(1, "http://a", Some(first)).await;
    let told = found(&watcher).await;
    assert!(told["http://a"].contains("older than one that it has shown before"));
}

#[tokio::test(start_paused = true)]
async fn a_crowd_of_silent_nodes_costs_seconds_and_not_minutes() {
    let world = World::new();
    world
        .present(
            1,
            "http://good",
            Some(catalogue(1, world.clock.now(), "p.csv")),
        )
        .await;
    for i in 0..260 {
        let url = format!("http://silent{i}");
        let byte = u8::try_from(i % 200).unwrap() + 20;
        world.present(byte, &url, Some(Served::Hangs)).await;
    }
    let watcher = world.node(99, "http://watcher");
    let begun = world.clock.now();
    let listed = watcher.gather(None).await.unwrap();
    assert!(world.clock.now().0 - begun.0 <= 5_100);
    assert_eq!((listed.nodes.len(), listed.unasked), (256, 5));
    let published = |n: &&NodeListing| matches!(n.found, Found::Published(_));
    assert_eq!(listed.nodes.iter().filter(published).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_catalogue_follows_its_owners_words_and_is_signed_again_before_it_ends() {
    let world = World::new();
    let node = world.node(1, "http://a");
    node.renew().await;
    assert!(node.catalogue().is_none(), "nothing is published unasked");
    world.says(&[(
        "p.csv",
        r#"{"description": "Patients", "columns": {"age": {}}}"#,
    )]);
    node.renew().await;
    let first = node.catalogue().unwrap();
    assert_eq!(first.catalogue.datasets().len(), 1);
    node.renew().await;
    assert_eq!(node.catalogue().unwrap(), first, "not signed at every look");
    tokio::time::sleep(Duration::from_secs(3601)).await;
    node.renew().await;
    let second = node.catalogue().unwrap();
    assert!(second.catalogue.issued_at() > first.catalogue.issued_at());
    assert_eq!(second.catalogue.datasets(), first.catalogue.datasets());
    // Changed twice within a moment: the later one is newer all the same.
    world.says(&[("p.csv", "{}")]);
    node.renew().await;
    let third = node.catalogue().unwrap();
    assert!(third.catalogue.issued_at() > second.catalogue.issued_at());
    world.says(&[]);
    node.renew().await;
    assert!(node.catalogue().is_none());
}

#[tokio::test(start_paused = true)]
async fn what_is_too_long_is_left_out_and_the_rest_is_published() {
    let world = World::new();
    let column = |i: usize| format!("\"{i}{}\": {{}}", "x".repeat(200));
    let columns: Vec<String> = (0..900).map(column).collect();
    let wide = format!("{{\"columns\": {{{}}}}}", columns.join(", "));
    world.says(&[("a.csv", "{}"), ("b.csv", &wide)]);
    let node = world.node(1, "http://a");
    node.renew().await;
    let signed = node.catalogue().unwrap();
    let names: Vec<&str> = signed
        .catalogue
        .datasets()
        .iter()
        .map(|d| d.name.as_str())
        .collect();
    assert_eq!(names, ["a.csv"]);
}
