//! The contract of `ports::peer::PeerTransport`, over loopback HTTP and in memory; and what only a url can do wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::disallowed_types
)]

mod http_world;

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use delta_node::adapters::http::{Admission, HttpPeers, Lookup, PeerOptions, UrlPolicy};
use delta_node::domain::ids::{Digest, RoundNumber};
use delta_node::domain::round::message::RequestBody;
use delta_node::ports::PortErrorKind;
use delta_node::ports::blob::ByteStream;
use delta_node::ports::peer::{CoordinatorApi, PeerCalls as _, PeerTransport};
use delta_testing::contract_tests;
use delta_testing::contracts::peer::moves::{
    announced, bytes, collect, pattern, request, task, view,
};
use delta_testing::contracts::peer::{Memory, Subject};
use futures_util::stream;
use http_world::World;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const MIB_20: u64 = 20 << 20;

/// The real client, and real servers on ports of their own.
struct Http {
    peers: HttpPeers,
    servers: Mutex<Vec<World>>,
}

impl Http {
    fn new() -> Self {
        Self {
            peers: local_peers(),
            servers: Mutex::default(),
        }
    }
}

#[async_trait]
impl Subject for Http {
    async fn serve(&self, coordinator: Arc<dyn CoordinatorApi>) -> String {
        let world = World::of(coordinator).await;
        let url = world.url();
        self.servers.lock().unwrap().push(world);
        url
    }

    fn peers(&self) -> &dyn PeerTransport {
        &self.peers
    }
}

contract_tests!(peer, over_http, Http::new());
contract_tests!(peer, in_memory, Memory::new());

fn local_peers() -> HttpPeers {
    HttpPeers::new(PeerOptions::new(UrlPolicy::new(true, []))).unwrap()
}

/// A server that reads a request head and then says `answer`, once a connection, `endless`ly or not.
async fn says(answer: &str, endless: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = answer.to_owned();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut head = [0; 65536];
                let _read = stream.read(&mut head).await;
                let mut sent = stream.write_all(answer.as_bytes()).await;
                while endless && sent.is_ok() {
                    sent = stream.write_all(b"10\r\n                \r\n").await;
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn endless_answers_are_cut() {
    let peers = local_peers();
    let url = says(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        true,
    )
    .await;
    let content = peers.bundle(&url, &task(), 100_000).await.unwrap();
    assert_eq!(
        collect(content).await.unwrap_err().kind(),
        PortErrorKind::Corrupt
    );
    assert_eq!(
        peers
            .round_view(&url, &task(), RoundNumber(1))
            .await
            .unwrap_err()
            .kind(),
        PortErrorKind::Corrupt
    );
    assert_eq!(
        peers
            .fetch_shares(&url, &request(RequestBody::FetchShares))
            .await
            .unwrap_err()
            .kind(),
        PortErrorKind::Corrupt
    );
    assert_eq!(
        peers
            .submit(&url, &request(RequestBody::Joined))
            .await
            .unwrap_err()
            .kind(),
        PortErrorKind::Corrupt
    );
    let url = says(
        "HTTP/1.1 400 Bad Request\r\ntransfer-encoding: chunked\r\n\r\n",
        true,
    )
    .await;
    let error = peers
        .submit(&url, &request(RequestBody::Joined))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (
            PortErrorKind::Rejected,
            "the coordinator answers with status 400"
        )
    );
}

#[tokio::test]
async fn an_answer_that_announces_too_much_is_not_read_at_all() {
    let url = says("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n", false).await;
    let error = local_peers()
        .bundle(&url, &task(), 1000)
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind(), PortErrorKind::Corrupt);
}

#[tokio::test]
async fn sentences_of_strangers_are_cut_and_cleaned() {
    let detail = format!("{}{}", "a\\u001b[31m", "é".repeat(5000));
    let body = format!("{{\"detail\":\"{detail}\"}}");
    let url = says(
        &format!(
            "HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ),
        false,
    )
    .await;
    let error = local_peers()
        .submit(&url, &request(RequestBody::Joined))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Rejected);
    assert!(
        error.message().len() <= 1024 && error.message().starts_with("a [31m"),
        "{}",
        error.message()
    );
}

#[tokio::test]
async fn answers_for_somebody_else_are_corrupt() {
    let body = serde_json::to_string(&view(RoundNumber(2))).unwrap();
    let url = says(
        &format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ),
        false,
    )
    .await;
    assert_eq!(
        local_peers()
            .round_view(&url, &task(), RoundNumber(1))
            .await
            .unwrap_err()
            .kind(),
        PortErrorKind::Corrupt
    );
    let url = says(
        "HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n{\"success\":false}",
        false,
    )
    .await;
    assert_eq!(
        local_peers()
            .submit(&url, &request(RequestBody::Joined))
            .await
            .unwrap_err()
            .kind(),
        PortErrorKind::Rejected
    );
}

#[tokio::test]
async fn silence_is_a_timeout_and_absence_is_unavailable() {
    let mut options = PeerOptions::new(UrlPolicy::new(true, []));
    options.call_within = Duration::from_millis(100);
    options.idle = Duration::from_millis(100);
    let peers = HttpPeers::new(options).unwrap();
    // Listens and never answers: the system takes the connection, nobody takes it from there.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    assert_eq!(
        peers
            .submit(&url, &request(RequestBody::Joined))
            .await
            .unwrap_err()
            .kind(),
        PortErrorKind::Timeout
    );
    assert_eq!(
        peers.bundle(&url, &task(), 10).await.err().unwrap().kind(),
        PortErrorKind::Timeout
    );
    let stuck = request(announced(MIB_20).await);
    assert_eq!(
        peers
            .result(&url, &stuck, pattern(MIB_20))
            .await
            .unwrap_err()
            .kind(),
        PortErrorKind::Timeout
    );
    drop(silent);
    assert_eq!(
        peers
            .submit(&url, &request(RequestBody::Joined))
            .await
            .unwrap_err()
            .kind(),
        PortErrorKind::Unavailable
    );
}

#[tokio::test]
async fn content_that_is_not_what_was_signed_does_not_arrive() {
    let world = World::start().await;
    let peers = local_peers();
    let sent = request(RequestBody::Result {
        digest: Digest([1; 32]),
        len: 100,
    });
    for len in [99, 101] {
        let error = peers
            .result(&world.url(), &sent, pattern(len))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Internal, "{error:?}");
    }
    let broken: ByteStream = Box::pin(stream::iter([
        Ok(Bytes::from_static(b"half")),
        Err(delta_node::ports::PortError::new(
            PortErrorKind::Corrupt,
            "disk",
            "the blob changed",
        )),
    ]));
    let error = peers.result(&world.url(), &sent, broken).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (PortErrorKind::Corrupt, "the blob changed")
    );
    assert!(world.fake.files.lock().unwrap().is_empty());
    let wrong_way = peers.submit(&world.url(), &sent).await.unwrap_err();
    assert_eq!(wrong_way.kind(), PortErrorKind::Internal);
}

#[tokio::test]
async fn a_url_may_have_a_path_and_may_end_in_a_slash() {
    let world = World::start().await;
    let peers = local_peers();
    for url in [world.url(), format!("{}/", world.url())] {
        peers
            .round_view(&url, &task(), RoundNumber(1))
            .await
            .unwrap();
    }
    let error = peers
        .round_view(
            &format!("{}/behind/a/proxy", world.url()),
            &task(),
            RoundNumber(1),
        )
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (PortErrorKind::Rejected, "Not Found")
    );
}

#[tokio::test]
async fn urls_into_this_machine_or_worse_are_denied() {
    let world = World::start().await;
    let port = world.address.port();
    let peers = HttpPeers::new(PeerOptions::new(UrlPolicy::default())).unwrap();
    for url in [
        world.url(),
        format!("http://localhost:{port}"),
        format!("http://LOCALHOST:{port}"),
        format!("http://[::1]:{port}"),
        format!("http://[::ffff:127.0.0.1]:{port}"),
        format!("http://2130706433:{port}"),
        format!("http://user:pw@127.0.0.1:{port}"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "file:///etc/passwd".to_owned(),
        "gopher://127.0.0.1/".to_owned(),
        "not a url".to_owned(),
    ] {
        let error = peers.bundle(&url, &task(), 1000).await.err().unwrap();
        assert_eq!(error.kind(), PortErrorKind::Denied, "{url}: {error:?}");
        let error = peers
            .result(
                &url,
                &request(announced(4).await),
                bytes(b"\x00\x07\x0e\x15"),
            )
            .await
            .unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Denied, "{url}: {error:?}");
    }
    let metadata = local_peers()
        .bundle("http://169.254.169.254", &task(), 1)
        .await
        .err()
        .unwrap();
    assert_eq!(metadata.kind(), PortErrorKind::Denied);
    let listed = HttpPeers::new(PeerOptions::new(UrlPolicy::new(
        false,
        ["localhost".to_owned()],
    )))
    .unwrap();
    let world_v4 = listed
        .round_view(&format!("http://localhost:{port}"), &task(), RoundNumber(1))
        .await;
    assert!(world_v4.is_ok(), "{world_v4:?}");
}

/// A name server that changes its mind.
struct Fickle(Mutex<VecDeque<Vec<IpAddr>>>);

#[async_trait]
impl Lookup for Fickle {
    async fn lookup(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        self.0
            .lock()
            .unwrap()
            .pop_front()
            .ok_or_else(|| io::Error::other("no such name"))
    }
}

#[tokio::test]
async fn a_name_is_checked_each_time_it_is_resolved() {
    let admission = Admission::default().called("http://node.example");
    let (first, second) = (
        World::admitting(admission.clone()).await,
        World::admitting(admission).await,
    );
    let answers = [
        vec!["127.0.0.1"],
        vec!["169.254.169.254"],
        vec!["127.0.0.1", "169.254.169.254"],
    ];
    let answers = answers
        .map(|list| list.iter().map(|a| a.parse().unwrap()).collect())
        .into();
    let mut options = PeerOptions::new(UrlPolicy::new(true, []));
    options.lookup = Arc::new(Fickle(Mutex::new(answers)));
    let peers = HttpPeers::new(options).unwrap();
    let url = |world: &World| format!("http://node.example:{}", world.address.port());
    peers
        .round_view(&url(&first), &task(), RoundNumber(1))
        .await
        .unwrap();
    for _ in 0..2 {
        let error = peers
            .round_view(&url(&second), &task(), RoundNumber(1))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Denied, "{error:?}");
    }
    let error = peers
        .round_view(&url(&second), &task(), RoundNumber(1))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Unavailable, "{error:?}");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let world = World::start().await;
    let target = format!("{}/v1/coord/joined", world.url());
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let url = says(
            &format!("HTTP/1.1 {status}\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n"),
            false,
        )
        .await;
        let error = local_peers()
            .submit(&url, &request(RequestBody::Joined))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Denied);
    }
    assert!(world.fake.taken().is_empty());
}
