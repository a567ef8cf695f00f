//! The network in memory: each fault does what its name says, and chance repeats.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::time::Instant;

use super::*;
use delta_domain::ids::{Digest, RoundNumber, TaskId};
use delta_domain::round::message::{RequestBody, SignedRequest};
use delta_ports::peer::{CoordinatorApi, PeerCalls as _};

const URL: &str = "http://coordinator";

/// Counts what reaches it.
#[derive(Default)]
struct Counting {
    submits: AtomicU32,
    result_bytes: AtomicU32,
    hang: bool,
}

#[async_trait]
impl CoordinatorApi for Counting {
    async fn call(
        &self,
        request: PeerRequest,
        content: Option<ByteStream>,
    ) -> Result<PeerAnswer, PeerRejection> {
        let later = || PeerRejection::new(RejectionKind::Unavailable, "later");
        let request = match request {
            PeerRequest::Bundle { .. } => {
                let pieces = [
                    Ok(Bytes::from_static(b"0123")),
                    Ok(Bytes::from_static(b"4567")),
                ];
                return Ok(PeerAnswer::file((8, Box::pin(stream::iter(pieces)))));
            }
            PeerRequest::Author { .. }
            | PeerRequest::Certificate { .. }
            | PeerRequest::RoundView { .. } => {
                return Err(PeerRejection::new(RejectionKind::Invalid, "no such round"));
            }
            PeerRequest::UnsignedShares { .. } => {
                return Err(PeerRejection::new(RejectionKind::Forbidden, "unsigned"));
            }
            PeerRequest::Signed(request) => request,
        };
        match request.body {
            // Longer than announced.
            RequestBody::Variable { .. } => {
                let pieces = [Ok(Bytes::from_static(b"0123"))];
                Ok(PeerAnswer::file((2, Box::pin(stream::iter(pieces)))))
            }
            RequestBody::FetchShares | RequestBody::FetchConfirmations => Err(later()),
            RequestBody::Result { .. } => {
                let mut content = content.unwrap();
                while let Some(Ok(piece)) = content.next().await {
                    self.result_bytes
                        .fetch_add(u32::try_from(piece.len()).unwrap(), Ordering::Relaxed);
                }
                Ok(PeerAnswer::Done)
            }
            _ => {
                self.submits.fetch_add(1, Ordering::Relaxed);
                if self.hang {
                    std::future::pending::<()>().await;
                }
                Ok(PeerAnswer::Done)
            }
        }
    }
}

fn world(seed: u64, hang: bool) -> (MemoryNetwork, MemoryPeers, Arc<Counting>) {
    let network = MemoryNetwork::new(seed);
    let api = Arc::new(Counting {
        hang,
        ..Counting::default()
    });
    network.register(URL, Arc::clone(&api) as Arc<dyn CoordinatorApi>);
    let peers = network.peers("http://member");
    (network, peers, api)
}

fn task() -> TaskId {
    format!("0x{}", "ab".repeat(32)).parse().unwrap()
}

fn request(body: RequestBody) -> SignedRequest {
    SignedRequest {
        task: task(),
        round: RoundNumber(1),
        sender: format!("0x{}", "cd".repeat(20)).parse().unwrap(),
        view: Digest([0; 32]),
        body,
        signature: vec![],
    }
}

async fn submit(peers: &MemoryPeers) -> Result<(), PortErrorKind> {
    let joined = request(RequestBody::Joined);
    peers.submit(URL, &joined).await.map_err(|e| e.kind())
}

#[tokio::test(start_paused = true)]
async fn each_fault_does_what_its_name_says() {
    let (network, peers, api) = world(1, false);
    let count = || api.submits.swap(0, Ordering::Relaxed);

    network.fault_next("peer.submit", PeerFault::DropRequest);
    assert_eq!(
        (submit(&peers).await, count()),
        (Err(PortErrorKind::Unavailable), 0)
    );
    network.fault_next("peer.submit", PeerFault::LoseResponse);
    assert_eq!(
        (submit(&peers).await, count()),
        (Err(PortErrorKind::Timeout), 1)
    );
    network.fault_next("*", PeerFault::Duplicate);
    assert_eq!((submit(&peers).await, count()), (Ok(()), 2));
    network.fault_next("peer.submit", PeerFault::Delay(Duration::from_secs(7)));
    let before = Instant::now();
    assert_eq!((submit(&peers).await, count()), (Ok(()), 1));
    assert_eq!(before.elapsed(), Duration::from_secs(7));
    assert_eq!(network.pending_faults(), 0);
}

#[tokio::test(start_paused = true)]
async fn nobody_reaches_a_node_that_is_cut_off_or_gone() {
    let (network, peers, api) = world(1, false);
    for cut in [URL, "http://member"] {
        network.partition(cut);
        assert_eq!(submit(&peers).await, Err(PortErrorKind::Unavailable));
        network.heal(cut);
        assert_eq!(submit(&peers).await, Ok(()));
    }
    network.unregister(URL);
    assert_eq!(submit(&peers).await, Err(PortErrorKind::Unavailable));
    assert_eq!(api.submits.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_hangs_times_out() {
    let (_network, peers, api) = world(1, true);
    assert_eq!(submit(&peers).await, Err(PortErrorKind::Timeout));
    assert_eq!(api.submits.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn refusals_keep_their_sentence() {
    let (_network, peers, _api) = world(1, false);
    let error = peers
        .round_view(URL, &task(), RoundNumber(1))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (PortErrorKind::Rejected, "no such round")
    );
    let fetch = request(RequestBody::FetchShares);
    let error = peers.fetch_shares(URL, &fetch).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (PortErrorKind::Unavailable, "later")
    );
}

async fn collect(mut content: ByteStream) -> Result<Vec<u8>, PortErrorKind> {
    let mut bytes = Vec::new();
    while let Some(piece) = content.next().await {
        bytes.extend_from_slice(&piece.map_err(|e| e.kind())?);
    }
    Ok(bytes)
}

#[tokio::test(start_paused = true)]
async fn downloads_are_bounded() {
    let (_network, peers, _api) = world(1, false);
    assert_eq!(
        collect(peers.bundle(URL, &task(), 8).await.unwrap()).await,
        Ok(b"01234567".to_vec())
    );
    assert_eq!(
        peers.bundle(URL, &task(), 7).await.err().map(|e| e.kind()),
        Some(PortErrorKind::Corrupt)
    );
    let variable = request(RequestBody::Variable {
        name: "w".parse().unwrap(),
    });
    let longer = peers.variable(URL, &variable, 100).await.unwrap();
    assert_eq!(collect(longer).await, Err(PortErrorKind::Corrupt));
}

#[tokio::test(start_paused = true)]
async fn a_doubled_upload_arrives_twice_and_whole() {
    let (network, peers, api) = world(1, false);
    let content = || -> ByteStream {
        Box::pin(stream::iter([
            Ok(Bytes::from_static(b"abc")),
            Ok(Bytes::from_static(b"de")),
        ]))
    };
    let announced = |len| {
        request(RequestBody::Result {
            digest: Digest([0; 32]),
            len,
        })
    };
    network.fault_next("peer.result", PeerFault::Duplicate);
    peers.result(URL, &announced(5), content()).await.unwrap();
    assert_eq!(api.result_bytes.load(Ordering::Relaxed), 10);
    for wrong in [4, 6] {
        assert_eq!(
            peers
                .result(URL, &announced(wrong), content())
                .await
                .unwrap_err()
                .kind(),
            PortErrorKind::Internal
        );
    }
}

#[tokio::test(start_paused = true)]
async fn chance_repeats_with_its_seed() {
    let run = async |seed| {
        let (network, peers, api) = world(seed, false);
        let chaos = Chaos {
            drop_request: 300,
            lose_response: 300,
            duplicate: 300,
            max_delay: Duration::from_secs(1),
        };
        network.set_chaos(chaos);
        let begin = Instant::now();
        let mut outcomes = Vec::new();
        for _ in 0..50 {
            outcomes.push(submit(&peers).await);
        }
        (
            outcomes,
            api.submits.load(Ordering::Relaxed),
            begin.elapsed(),
        )
    };
    let first = run(7).await;
    assert_eq!(first, run(7).await);
    assert_ne!(first, run(8).await);
    for outcome in [
        Ok(()),
        Err(PortErrorKind::Unavailable),
        Err(PortErrorKind::Timeout),
    ] {
        assert!(first.0.contains(&outcome), "{outcome:?}");
    }
}
