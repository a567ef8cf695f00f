//! The contract of `ports::connector::Connector`, on every implementation: in memory, embedded in process, and the gRPC client against
//! a served embedded connector over loopback. What the reference alone does is in `transcripts.rs`.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::sync::Arc;
use std::time::Duration;

use delta_node::adapters::connector::{EmbeddedConnector, EmbeddedOptions, RecordFile};
use delta_node::adapters::grpc::{Door, GrpcConnector, GrpcOptions, serve};
use delta_node::ports::connector::Connector;
use delta_testing::contract_tests;
use delta_testing::contracts::connector::{HandClock, Memory, Subject};

/// A connector whose clock is in our hand.
struct World {
    connector: Box<dyn Connector>,
    clock: Arc<HandClock>,
}

impl Subject for World {
    fn connector(&self) -> &dyn Connector {
        self.connector.as_ref()
    }

    fn pass(&self, time: Duration) {
        self.clock.pass(time);
    }
}

async fn open(clock: &Arc<HandClock>) -> EmbeddedConnector {
    let clock: Arc<HandClock> = Arc::clone(clock);
    EmbeddedConnector::open(&RecordFile::InMemory, clock, EmbeddedOptions::default())
        .await
        .unwrap()
}

async fn embedded() -> World {
    let clock = HandClock::new();
    World {
        connector: Box::new(open(&clock).await),
        clock,
    }
}

async fn grpc() -> World {
    let clock = HandClock::new();
    let embedded = open(&clock).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let door = Door::new(true, Arc::<HandClock>::clone(&clock));
    tokio::spawn(async move {
        serve(Arc::new(embedded), door, listener, std::future::pending())
            .await
            .unwrap()
    });
    let client = GrpcConnector::new("127.0.0.1", port, GrpcOptions::default()).unwrap();
    World {
        connector: Box::new(client),
        clock,
    }
}

contract_tests!(connector, memory, Memory::new());
contract_tests!(connector, embedded, super::embedded().await);
contract_tests!(connector, grpc, super::grpc().await);
