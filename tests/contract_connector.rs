//! The contract of `ports::connector::Connector`, on every implementation: in memory, embedded in process, and the gRPC client against
//! a served embedded connector over loopback; and of connectors on a chain, in memory and over gRPC. What the reference alone does is in
//! `transcripts.rs`.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::sync::Arc;
use std::time::Duration;

use delta_node::adapters::connector::{EmbeddedConnector, EmbeddedOptions, RecordFile};
use delta_node::adapters::grpc::{Door, GrpcConnector, GrpcOptions, serve};
use delta_node::ports::connector::Connector;
use delta_testing::contract_tests;
use delta_testing::contracts::connector::{HandClock, Memory, Subject};
use delta_testing::memory::{ChainOptions, MemoryConnector};

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

/// Four connectors on one chain, each served over gRPC as its process would answer.
struct OnChain {
    nodes: Vec<GrpcConnector>,
    clock: Arc<HandClock>,
}

impl Subject for OnChain {
    fn connector(&self) -> &dyn Connector {
        &self.nodes[0]
    }

    fn node(&self, number: usize) -> &dyn Connector {
        &self.nodes[number]
    }

    fn pass(&self, time: Duration) {
        self.clock.pass(time);
    }
}

async fn chain_over_grpc() -> OnChain {
    let clock = HandClock::new();
    let options = ChainOptions::every(0);
    let chain = MemoryConnector::on_chain(Arc::<HandClock>::clone(&clock), 7, options);
    let mut nodes = Vec::new();
    for _ in 0..4 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let door = Door::of_the_reference(Arc::<HandClock>::clone(&clock));
        let served = Arc::new(chain.handle().as_its_process());
        tokio::spawn(async move {
            serve(served, door, listener, std::future::pending())
                .await
                .unwrap()
        });
        nodes.push(GrpcConnector::new("127.0.0.1", port, GrpcOptions::default()).unwrap());
    }
    OnChain { nodes, clock }
}

contract_tests!(connector, memory, Memory::new());
contract_tests!(connector, embedded, super::embedded().await);
contract_tests!(connector, grpc, super::grpc().await);
contract_tests!(chain, chain, delta_testing::contracts::chain::Memory::new());
contract_tests!(chain, chain_grpc, chain_over_grpc().await);
