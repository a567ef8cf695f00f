//! Identities over the real wire: nodes with keys, a roster, a connector that takes signed calls only, and one that lies.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use delta_node::adapters::connector::{
    EmbeddedConnector, EmbeddedOptions, Intercept, Intercepted, RecordFile,
};
use delta_node::adapters::grpc::{Door, GrpcConnector, GrpcOptions, serve};
use delta_node::bootstrap::{self, Running};
use delta_node::config::{Config, Database};
use delta_node::domain::connector_record::{Answer, Command};
use delta_node::domain::identity::{
    NodeKey, Roster, RosterEntryForm, RosterFile, Trust, TrustAnchors,
};
use delta_node::domain::ids::Address;
use delta_node::domain::secret::Secret;
use delta_node::ports::PortErrorKind;
use delta_node::ports::connector::Connector as _;

fn key(byte: u8) -> NodeKey {
    NodeKey::new(&Secret::new([byte; 32])).unwrap()
}

/// Says something else about one node than the record.
struct Liar {
    about: Address,
    url: String,
    digest: Option<String>,
}

impl Intercept for Liar {
    fn answer(&self, command: &Command, mut answer: Answer) -> Answer {
        match (command, &mut answer) {
            (Command::Node { address }, Answer::Node(node)) if address == self.about.as_str() => {
                node.url.clone_from(&self.url);
            }
            (Command::DataCommitment { address, .. }, Answer::Commitment(digest))
                if address == self.about.as_str() =>
            {
                if let Some(other) = &self.digest {
                    digest.clone_from(other);
                }
            }
            _ => {}
        }
        answer
    }
}

struct World {
    home: tempfile::TempDir,
    record: EmbeddedConnector,
    door: Door,
    port: u16,
}

impl World {
    async fn new() -> Self {
        let clock = bootstrap::clock();
        let options = EmbeddedOptions::default();
        let record = EmbeddedConnector::open(&RecordFile::InMemory, clock.clone(), options);
        let (record, door) = (record.await.unwrap(), Door::new(false, clock));
        let (listener, port) = listener().await;
        let (served, by) = (Arc::new(record.clone()), door.clone());
        tokio::spawn(async move { serve(served, by, listener, std::future::pending()).await });
        Self {
            home: tempfile::tempdir().unwrap(),
            record,
            door,
            port,
        }
    }

    /// A port on which the connector lies.
    async fn lying(&self, liar: Liar) -> u16 {
        let (listener, port) = listener().await;
        let shown = Intercepted::new(Arc::new(self.record.clone()), Arc::new(liar));
        let by = self.door.clone();
        tokio::spawn(
            async move { serve(Arc::new(shown), by, listener, std::future::pending()).await },
        );
        port
    }

    fn config(&self, byte: u8, connector_port: u16) -> Config {
        let home = self.home.path().join(byte.to_string());
        std::fs::create_dir_all(home.join("data")).unwrap();
        let mut config = Config::default();
        config.chain_connector.host = Ipv4Addr::LOCALHOST.to_string();
        config.chain_connector.port = connector_port;
        config.node.name = format!("node-{byte}");
        config.api_port = free_port();
        config.node.url = format!("http://127.0.0.1:{}", config.api_port);
        config.api_host = Ipv4Addr::LOCALHOST.into();
        config.db = Database::Sqlite(home.join("node.db"));
        config.task_dir = home.join("task");
        config.data_dir = home.join("data");
        config.policy.allow_private_addresses = true;
        config.identity.organisation = format!("Organisation {byte}");
        let file = config.identity_key_file();
        std::fs::write(&file, [byte; 32]).unwrap();
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&file, private).unwrap();
        config
    }

    /// A roster of these, signed by all of them.
    fn roster(&self, members: &[(u8, &Config)]) -> PathBuf {
        let mut file = RosterFile {
            format: 1,
            network: "A study".into(),
            serial: 1,
            until: "2999-12-31".into(),
            organisations: members
                .iter()
                .map(|(byte, config)| RosterEntryForm {
                    organisation: format!("Rostered {byte}"),
                    key: key(*byte).public().to_wire(),
                    url: config.node.url.clone(),
                    until: "2999-12-31".into(),
                })
                .collect(),
            signatures: Vec::new(),
        };
        let roster = Roster::try_from(file.clone()).unwrap();
        let signatures = members.iter().map(|(byte, _)| roster.sign(&key(*byte)));
        file.signatures = signatures.map(Option::unwrap).collect();
        let path = self.home.path().join("roster.yaml");
        std::fs::write(&path, serde_json::to_string(&file).unwrap()).unwrap();
        path
    }
}

async fn listener() -> (tokio::net::TcpListener, u16) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

async fn start(config: &Config) -> Running {
    let worker = Path::new(env!("CARGO_BIN_EXE_delta-node-worker"));
    let parts = bootstrap::open(config, worker.into()).await.unwrap();
    let running = Running::start(parts).await.unwrap();
    running.node.connected().await;
    published(&running).await;
    running
}

/// Waits until the node's card is on the record; the registration before it is what `connected` waits for.
async fn published(running: &Running) {
    let address = running.node.address().unwrap();
    for _ in 0..200 {
        if running.node.identities().is_published(&address).await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("the card of {address} does not get onto the record");
}

fn rostered(byte: u8) -> Trust {
    Trust::Rostered {
        organisation: format!("Rostered {byte}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_know_each_other_and_only_the_roster_vouches() {
    let world = World::new().await;
    let mut configs = [1, 2, 3].map(|byte| world.config(byte, world.port));
    let roster = world.roster(&[(1, &configs[0]), (2, &configs[1])]);
    let mut nodes = Vec::new();
    for config in &mut configs {
        config.roster.file = Some(roster.clone());
        nodes.push(start(config).await);
    }
    let addresses: Vec<Address> = nodes.iter().map(|n| n.node.address().unwrap()).collect();
    for (byte, address) in (1..).zip(&addresses) {
        assert_eq!(*address, key(byte).fingerprint().address());
    }
    for node in &nodes {
        let seen = node.node.identities().of(&addresses).await;
        assert_eq!(seen[0].trust, rostered(1));
        assert_eq!(seen[1].trust, rostered(2));
        assert!(!matches!(
            seen[2].trust,
            Trust::Rostered { .. } | Trust::Unknown
        ));
        for (byte, identity) in (1..).zip(&seen) {
            assert_eq!(identity.key.as_ref(), Some(key(byte).public()));
            let card = identity.card.as_ref().unwrap();
            assert_eq!(card.organisation(), format!("Organisation {byte}"));
        }
    }
    assert_eq!(
        nodes[0].node.identities().of(&addresses[2..]).await[0].trust,
        Trust::FirstUse
    );
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_on_the_connectors_port_act_for_nobody() {
    let world = World::new().await;
    let config = world.config(1, world.port);
    let node = start(&config).await;
    let address = node.node.address().unwrap();
    let stranger = GrpcConnector::new("127.0.0.1", world.port, GrpcOptions::default()).unwrap();
    let refused = [
        stranger.leave(&address).await.err(),
        stranger.update_url(&address, "http://evil").await.err(),
        stranger.join(&config.node.url, "node-1").await.err(),
        stranger.join("http://evil", "evil").await.err(),
    ];
    for error in refused {
        assert_eq!(error.unwrap().kind(), PortErrorKind::Rejected);
    }
    assert!(stranger.subscribe(&address).await.is_err());
    // Reading is for everybody, as before.
    let record = stranger.node(&address).await.unwrap();
    assert_eq!(record.unwrap().url, config.node.url);
    assert_eq!(stranger.nodes(1, 0).await.unwrap().total, 1);
    node.stop().await;
}

/// What the connector says of node 2 to node 1 is another node's: its url, its card's digest, or both.
#[tokio::test(flavor = "multi_thread")]
async fn a_lying_connector_puts_no_other_key_under_an_address() {
    let world = World::new().await;
    let configs = [2, 3].map(|byte| world.config(byte, world.port));
    let honest = start(&configs[0]).await;
    let evil = start(&configs[1]).await;
    let about = honest.node.address().unwrap();
    let digest = |n: &Running| {
        let now = bootstrap::clock().now();
        n.node.identities().card(now).unwrap().digest().to_string()
    };
    let url = |index: usize| configs[index].node.url.clone();
    let lies = [
        (url(1), Some(digest(&evil))),
        (url(1), None),
        (url(0), Some(digest(&evil))),
        ("http://127.0.0.1:1".to_owned(), None),
    ];
    for (number, (url, digest)) in (10..).zip(lies) {
        let liar = Liar {
            about: about.clone(),
            url,
            digest,
        };
        let port = world.lying(liar).await;
        let mut config = world.config(number, port);
        let roster = world.roster(&[(2, &configs[0]), (3, &configs[1])]);
        config.roster.file = Some(roster);
        let watcher = start(&config).await;
        let seen = watcher
            .node
            .identities()
            .of(std::slice::from_ref(&about))
            .await;
        assert_eq!(seen[0].trust, Trust::Unknown, "lie {number}");
        assert_eq!(seen[0].key, None);
        watcher.stop().await;
    }
    honest.stop().await;
    evil.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roster_that_nobody_signed_or_an_older_one_is_refused_at_the_start() {
    let world = World::new().await;
    let mut config = world.config(1, world.port);
    let path = world.roster(&[(1, &config)]);
    let signed = std::fs::read_to_string(&path).unwrap();
    config.roster.file = Some(path.clone());
    let refusal = async |text: &str| {
        std::fs::write(&path, text).unwrap();
        let worker = Path::new(env!("CARGO_BIN_EXE_delta-node-worker"));
        match bootstrap::open(&config, worker.into()).await {
            Ok(_) => None,
            Err(e) => Some(format!("{e:#}")),
        }
    };
    let forged = signed.replace("A study", "A studx");
    assert!(refusal(&forged).await.unwrap().contains("does not hold"));
    let mut form: RosterFile = serde_json::from_str(&signed).unwrap();
    form.signatures.clear();
    let unsigned = serde_json::to_string(&form).unwrap();
    assert!(refusal(&unsigned).await.unwrap().contains("sign-roster"));
    assert_eq!(refusal(&signed).await, None);
    // Another one with the same serial number, signed by its only organisation.
    form.network = "Another study".into();
    let roster = Roster::try_from(form.clone()).unwrap();
    form.signatures = vec![roster.sign(&key(1)).unwrap()];
    let other = serde_json::to_string(&form).unwrap();
    assert!(
        refusal(&other)
            .await
            .unwrap()
            .contains("serial 1 is not above 1")
    );
    assert!(TrustAnchors::default().is_empty());
}
