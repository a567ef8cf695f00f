//! The API by https: both clients, certificates that are trusted and not, and one that changes while a connection stands.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use delta_node::adapters::grpc::key_of_certificate;
use delta_node::adapters::http::{
    HttpOptions, HttpPeers, PeerOptions, TlsFiles, Trust, UrlPolicy, UserClient, Way, self_signed,
};
use delta_node::domain::identity::NodeKey;
use delta_node::domain::ids::{Digest, RoundNumber};
use delta_node::domain::secret::Secret;
use delta_node::domain::time::Timestamp;
use delta_node::ports::identity::IdentitySource as _;
use delta_node::ports::peer::PeerCalls as _;
use delta_testing::contracts::peer::moves::task;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::http_world::World;

const NOW: Timestamp = Timestamp(1_795_329_517_000);

fn put(folder: &Path, names: &[&str]) -> TlsFiles {
    let names = names.iter().map(|&name| name.to_owned()).collect();
    let made = self_signed(names, NOW).unwrap();
    let files = TlsFiles {
        certificate: folder.join("api.crt"),
        key: folder.join("api.key"),
    };
    fs::write(&files.certificate, &made.certificate).unwrap();
    fs::write(&files.key, made.key.as_bytes()).unwrap();
    fs::set_permissions(&files.key, Permissions::from_mode(0o600)).unwrap();
    files
}

async fn world(files: &TlsFiles) -> World {
    World::with(HttpOptions {
        tls: Some(files.clone()),
        ..HttpOptions::default()
    })
    .await
}

fn user(url: &str, trust: Trust) -> UserClient {
    UserClient::new(url, None, &Way { trust, at: None }).unwrap()
}

#[tokio::test]
async fn users_and_members_call_by_https_and_trust_whom_they_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let files = put(dir.path(), &["localhost", "127.0.0.1"]);
    let world = world(&files).await;
    let ca: PathBuf = files.certificate.clone();
    let url = format!("https://{}", world.address);
    for trust in [Trust::Only(ca.clone()), Trust::Also(ca.clone())] {
        let client = user(&url, trust);
        client.alive().await.unwrap();
        assert_eq!(client.task(1).await.unwrap().name, "wage_avg");
    }
    let other = dir.path().join("other");
    fs::create_dir(&other).unwrap();
    let stranger = put(&other, &["localhost", "127.0.0.1"]).certificate;
    for trust in [Trust::System, Trust::Only(stranger)] {
        assert!(user(&url, trust).alive().await.is_err());
    }
    // A certificate is for its names: this one is reached under another.
    let way = Way {
        trust: Trust::Only(ca.clone()),
        at: Some(("node1.example.org".into(), world.address)),
    };
    let base = format!("https://node1.example.org:{}", world.address.port());
    assert!(
        UserClient::new(&base, None, &way)
            .unwrap()
            .alive()
            .await
            .is_err()
    );

    let peers = |trust| {
        let policy = UrlPolicy::new(true, Vec::new());
        let options = PeerOptions {
            trust,
            ..PeerOptions::new(policy)
        };
        HttpPeers::new(options).unwrap()
    };
    let view = peers(Trust::Only(ca))
        .round_view(&url, &task(), RoundNumber(1))
        .await
        .unwrap();
    assert_eq!(view.announcement.task, task());
    let untrusted = peers(Trust::System);
    let refused = untrusted.round_view(&url, &task(), RoundNumber(1)).await;
    assert!(refused.is_err());
}

/// Nobody's authority, and a name that is not the certificate's: the card says which key it is.
#[tokio::test]
async fn a_node_is_known_by_the_key_that_its_card_names_and_no_other_key_by_it() {
    let dir = tempfile::tempdir().unwrap();
    let files = put(dir.path(), &["elsewhere.example"]);
    let world = world(&files).await;
    let url = format!("https://{}", world.address);
    let pem = fs::read(&files.certificate).unwrap();
    let key = key_of_certificate(&pem).unwrap();
    let peers = HttpPeers::new(PeerOptions::new(UrlPolicy::new(true, Vec::new()))).unwrap();
    let view = async || peers.round_view(&url, &task(), RoundNumber(1)).await;
    // Its document proves itself, so that it is read whoever brings it.
    peers.document_of(&url).await.unwrap();
    assert!(view().await.is_err());
    let who = |byte| {
        let key = NodeKey::new(&Secret::new([byte; 32])).unwrap();
        key.public().clone()
    };
    let elsewhere = "https://elsewhere.example";
    peers.trust_key(&who(1), elsewhere, &key).unwrap();
    assert!(
        view().await.is_err(),
        "another host's key is no key of this one"
    );
    let other = Digest([7; 32]);
    peers.trust_key(&who(1), &url, &other).unwrap();
    assert!(view().await.is_err());
    // Somebody else at this host cannot have his key added.
    assert!(peers.trust_key(&who(2), &url, &key).is_err());
    assert!(view().await.is_err());
    peers.trust_key(&who(1), &url, &key).unwrap();
    assert_eq!(view().await.unwrap().announcement.task, task());
    let plain = format!("http://{}", world.address);
    assert!(peers.trust_key(&who(1), &plain, &key).is_err());
}

#[tokio::test]
async fn plain_http_gets_nothing_where_https_is_spoken() {
    let dir = tempfile::tempdir().unwrap();
    let files = put(dir.path(), &["localhost"]);
    let world = world(&files).await;
    assert_eq!(world.get("/healthz").await.status, 0);
}

#[tokio::test]
async fn a_new_certificate_is_used_for_new_connections_and_old_ones_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let files = put(dir.path(), &["127.0.0.1"]);
    let world = world(&files).await;
    let url = format!("https://{}", world.address);
    // Its one connection is kept and used again.
    let before = user(&url, Trust::Only(files.certificate.clone()));
    before.alive().await.unwrap();
    put(dir.path(), &["127.0.0.1"]);
    before.alive().await.unwrap();
    let after = user(&url, Trust::Only(files.certificate.clone()));
    after.alive().await.unwrap();
    // What cannot be used changes nothing.
    let ca = dir.path().join("ca.pem");
    fs::copy(&files.certificate, &ca).unwrap();
    fs::write(&files.certificate, "nothing").unwrap();
    user(&url, Trust::Only(ca)).alive().await.unwrap();
    before.alive().await.unwrap();
}

/// Half a greeting holds its connection no longer than half a request does.
#[tokio::test]
async fn a_greeting_that_does_not_end_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let files = put(dir.path(), &["127.0.0.1"]);
    let world = World::with(HttpOptions {
        tls: Some(files.clone()),
        head_within: std::time::Duration::from_millis(100),
        ..HttpOptions::default()
    })
    .await;
    let mut stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
    stream.write_all(&[22, 3, 1]).await.unwrap();
    let mut answer = Vec::new();
    let closed = stream.read_to_end(&mut answer);
    let closed = tokio::time::timeout(std::time::Duration::from_secs(20), closed).await;
    assert!(closed.is_ok(), "the server waits for ever");
}
