//! An implementation under test, its clock in our hand, and the moves that most clauses begin with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use delta_node::adapters::connector::{EmbeddedConnector, EmbeddedOptions, RecordFile};
use delta_node::adapters::grpc::{GrpcConnector, GrpcOptions, serve};
use delta_node::adapters::memory::MemoryConnector;
use delta_node::domain::event::NetworkEvent;
use delta_node::domain::ids::{Address, Digest, RoundNumber, TaskId};
use delta_node::domain::task::TaskKind;
use delta_node::domain::time::Timestamp;
use delta_node::ports::clock::Clock;
use delta_node::ports::connector::{
    Connector, EventStream, NewTask, RawPublicKeys, RejectionReason, RoundKey,
};
use delta_node::ports::{PortError, PortErrorKind};
use futures_util::StreamExt as _;

pub(crate) struct World {
    pub(crate) connector: Arc<dyn Connector>,
    clock: Arc<HandClock>,
}

#[derive(Debug)]
struct HandClock(AtomicU64);

#[async_trait]
impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }

    async fn sleep(&self, _duration: Duration) {}
}

fn clock() -> Arc<HandClock> {
    Arc::new(HandClock(AtomicU64::new(1_700_000_000_000)))
}

async fn open(clock: &Arc<HandClock>) -> EmbeddedConnector {
    let clock: Arc<HandClock> = Arc::clone(clock);
    EmbeddedConnector::open(&RecordFile::InMemory, clock, EmbeddedOptions::default())
        .await
        .unwrap()
}

impl World {
    pub(crate) fn memory() -> Self {
        let clock = clock();
        let connector = MemoryConnector::new(Arc::<HandClock>::clone(&clock), 7);
        Self {
            connector: Arc::new(connector),
            clock,
        }
    }

    pub(crate) async fn embedded() -> Self {
        let clock = clock();
        Self {
            connector: Arc::new(open(&clock).await),
            clock,
        }
    }

    pub(crate) async fn grpc() -> Self {
        let clock = clock();
        let embedded = open(&clock).await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            serve(Arc::new(embedded), listener, std::future::pending())
                .await
                .unwrap()
        });
        let client = GrpcConnector::new("127.0.0.1", port, GrpcOptions::default()).unwrap();
        Self {
            connector: Arc::new(client),
            clock,
        }
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    pub(crate) async fn node(&self, name: &str) -> Address {
        self.connector
            .join(&format!("http://{name}"), name)
            .await
            .unwrap()
            .address
    }

    pub(crate) async fn nodes<const N: usize>(&self) -> [Address; N] {
        let mut nodes = Vec::new();
        for i in 0..N {
            nodes.push(self.node(&format!("n{i}")).await);
        }
        nodes.try_into().unwrap()
    }

    pub(crate) async fn task(&self, kind: TaskKind, owner: &Address) -> TaskId {
        self.connector
            .create_task(&new_task(kind, owner))
            .await
            .unwrap()
            .task
    }

    /// A new task of `owner` with round 1 started.
    pub(crate) async fn started(&self, kind: TaskKind, owner: &Address) -> RoundKey {
        let key = RoundKey {
            kind,
            task: self.task(kind, owner).await,
            round: RoundNumber(1),
        };
        self.connector.start_round(owner, &key, None).await.unwrap();
        key
    }

    /// A round of `owner` that all `members` have joined.
    pub(crate) async fn joined(&self, owner: &Address, members: &[Address]) -> RoundKey {
        let key = self.started(TaskKind::Horizontal, owner).await;
        for member in members {
            self.connector
                .join_round(member, &key, &keys(member))
                .await
                .unwrap();
        }
        key
    }
}

pub(crate) fn new_task(kind: TaskKind, owner: &Address) -> NewTask {
    let (owner, commitment) = (owner.clone(), digest("task"));
    NewTask {
        owner,
        dataset: "wages.csv".to_owned(),
        commitment,
        kind,
        enable_verify: kind == TaskKind::Hlr,
        tolerance: 6,
    }
}

pub(crate) fn keys(member: &Address) -> RawPublicKeys {
    RawPublicKeys {
        pk1: format!("pk1 of {member}"),
        pk2: format!("pk2 of {member}"),
    }
}

pub(crate) fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

pub(crate) fn refused<T: std::fmt::Debug>(outcome: Result<T, PortError>) -> String {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Refused, "{error}");
    // Every text that the suite provokes is recognised.
    let known = error.reason().is_some_and(|r| r != RejectionReason::Other);
    assert!(known, "{error}: {:?}", error.reason());
    error.message().to_owned()
}

pub(crate) async fn next(stream: &mut EventStream) -> NetworkEvent {
    tokio::time::timeout(Duration::from_secs(20), stream.next())
        .await
        .expect("an event")
        .expect("a live stream")
        .unwrap()
}
