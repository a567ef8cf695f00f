//! Catalogues over the wire: what the server shows to whom, and what the client takes from nodes that mean ill.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods
)]

mod http_world;

use std::time::{Duration, Instant};

use delta_node::adapters::http::{HttpPeers, PeerOptions, UrlPolicy};
use delta_node::domain::catalogue::{CatalogueFault, MAX_CATALOGUE_BYTES, SignedCatalogue};
use delta_node::domain::time::Timestamp;
use delta_node::ports::PortErrorKind;
use delta_node::ports::catalogue::CatalogueSource as _;
use http_world::{World, catalogue, key};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const NOW: Timestamp = Timestamp(1_795_329_517_000);

fn peers() -> HttpPeers {
    HttpPeers::new(PeerOptions {
        idle: Duration::from_millis(500),
        call_within: Duration::from_secs(1),
        ..PeerOptions::new(UrlPolicy::new(true, Vec::new()))
    })
    .unwrap()
}

/// A server that answers everything with these bytes, and then does not hang up.
async fn saying(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let _read = stream.read(&mut head).await;
                let _written = stream.write_all(&answer).await;
                tokio::time::sleep(Duration::from_secs(30)).await;
            });
        }
    });
    url
}

fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

async fn kind(url: &str) -> PortErrorKind {
    peers().catalogue_of(url).await.unwrap_err().kind()
}

#[tokio::test]
async fn what_is_published_is_served_and_nothing_where_nothing_is() {
    let world = World::start().await;
    let read = peers().catalogue_of(&world.url()).await.unwrap();
    assert_eq!(read, catalogue());
    assert_eq!(read.verify(key().public(), None, NOW), Ok(()));
    *world.fake.unpublished.lock().unwrap() = true;
    assert_eq!(world.get("/v1/catalogue").await.status, 404);
    assert_eq!(kind(&world.url()).await, PortErrorKind::Rejected);
    assert_eq!(
        World::for_members().await.get("/v1/catalogue").await.status,
        404
    );
}

#[tokio::test]
async fn users_are_told_in_the_form_that_is_described() {
    let world = World::start().await;
    let own = world.get("/v1/datasets").await.text();
    assert_eq!(
        own,
        r#"{"datasets":[{"name":"wages.csv","description":"table, 3 rows, 2 columns","usable":true,"rules":true,"approval":"controlled","published":true}]}"#
    );
    let network = world.get("/v1/network/datasets").await.text();
    let told: serde_json::Value = serde_json::from_str(&network).unwrap();
    assert_eq!(told["unasked"], 1);
    let state = |i: usize| told["nodes"][i]["state"].as_str().unwrap().to_owned();
    assert_eq!(
        [state(0), state(1), state(2)],
        ["published", "nothing", "away"]
    );
    assert_eq!(
        told["nodes"][0]["datasets"],
        serde_json::json!([{"name": "wages.csv", "description": "Wages"}])
    );
    assert_eq!(told["nodes"][0]["vouched"], true);
    assert_eq!(told["nodes"][2]["detail"], "it cannot be reached");
    assert_eq!(told["nodes"][2]["organisation"], serde_json::Value::Null);
}

#[tokio::test]
async fn a_node_that_means_ill_costs_little_and_is_told_by_its_kind() {
    let json = serde_json::to_vec(&catalogue()).unwrap();
    // As long as it says, or longer than it says.
    let padded = [
        &json[..json.len() - 1],
        &vec![b' '; MAX_CATALOGUE_BYTES],
        b"}",
    ]
    .concat();
    assert_eq!(
        kind(&saying(ok(&padded)).await).await,
        PortErrorKind::Corrupt
    );
    let endless = [
        &b"HTTP/1.1 200 OK\r\n\r\n"[..],
        &vec![b' '; 4 * MAX_CATALOGUE_BYTES],
    ]
    .concat();
    assert_eq!(kind(&saying(endless).await).await, PortErrorKind::Corrupt);
    for (body, what) in [
        (&b"[[[[[["[..], "no JSON"),
        (b"{}", "nothing in it"),
        (br#"{"catalogue":{},"signature":"0x"}"#, "an empty one"),
    ] {
        assert_eq!(
            kind(&saying(ok(body)).await).await,
            PortErrorKind::Corrupt,
            "{what}"
        );
    }
    let deep = "[".repeat(100_000);
    assert_eq!(
        kind(&saying(ok(deep.as_bytes())).await).await,
        PortErrorKind::Corrupt
    );
    let elsewhere = b"HTTP/1.1 307 T\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(
        kind(&saying(elsewhere.to_vec()).await).await,
        PortErrorKind::Denied
    );
    // Half an answer, and then nothing.
    let begun = Instant::now();
    let half = ok(&json)[..200].to_vec();
    assert_eq!(kind(&saying(half).await).await, PortErrorKind::Timeout);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(kind("http://127.0.0.1:1").await, PortErrorKind::Unavailable);
}

#[tokio::test]
async fn a_catalogue_that_was_changed_on_its_way_is_not_believed() {
    let text = serde_json::to_string(&catalogue()).unwrap();
    let changed = text.replace("\"Wages\"", "\"Wagee\"");
    assert_ne!(changed, text);
    let url = saying(ok(changed.as_bytes())).await;
    let read: SignedCatalogue = peers().catalogue_of(&url).await.unwrap();
    let judged = read.verify(key().public(), None, NOW);
    assert_eq!(judged, Err(CatalogueFault::Signature));
}
