//! A served embedded connector, its clock in our hand, and a channel to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use delta_node::adapters::connector::{EmbeddedConnector, EmbeddedOptions, RecordFile};
use delta_node::adapters::grpc::pb::datahub::RegisterReq;
use delta_node::adapters::grpc::pb::datahub::data_hub_client::DataHubClient;
use delta_node::adapters::grpc::pb::identity::JoinReq;
use delta_node::adapters::grpc::pb::identity::identity_client::IdentityClient;
use delta_node::adapters::grpc::pb::subscribe::{Event, event};
use delta_node::adapters::grpc::{Door, serve};
use delta_node::domain::time::Timestamp;
use delta_node::ports::clock::Clock;
use tonic::transport::{Channel, Endpoint};

/// The recording's wall clock read a fraction of .49 s at its 120.70th second.
const EPOCH_MS: f64 = 1_700_000_000_789.0;

pub(crate) struct World {
    pub(crate) channel: Channel,
    clock: Arc<HandClock>,
}

#[derive(Debug, Default)]
struct HandClock(AtomicU64);

#[async_trait]
impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }

    async fn sleep(&self, _duration: Duration) {}
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(EmbeddedOptions::default()).await
    }

    pub(crate) async fn start_with(options: EmbeddedOptions) -> Self {
        let clock = Arc::new(HandClock::default());
        let connector = EmbeddedConnector::open(
            &RecordFile::InMemory,
            Arc::<HandClock>::clone(&clock),
            options,
        )
        .await
        .unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // As the reference's clients come: without a signature.
        let door = Door::new(true, Arc::<HandClock>::clone(&clock));
        tokio::spawn(async move {
            serve(Arc::new(connector), door, listener, std::future::pending())
                .await
                .unwrap()
        });
        let channel = Endpoint::from_shared(format!("http://{address}"))
            .unwrap()
            .connect_lazy();
        let world = Self { channel, clock };
        world.at(0.0);
        world
    }

    /// Sets the clock to that many seconds of the recording.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "milliseconds of this century"
    )]
    pub(crate) fn at(&self, seconds: f64) {
        self.clock
            .0
            .store((EPOCH_MS + seconds * 1000.0) as u64, Ordering::Relaxed);
    }
}

/// The next event that is no heartbeat.
pub(crate) async fn next_event(stream: &mut tonic::Streaming<Event>) -> Event {
    loop {
        let event = tokio::time::timeout(Duration::from_secs(20), stream.message())
            .await
            .expect("an event")
            .unwrap()
            .unwrap();
        if !is_heartbeat(&event) {
            return event;
        }
    }
}

/// Publishes an event that nothing recorded can be mistaken for.
pub(crate) async fn publish_sentinel(world: &World) {
    let join = JoinReq {
        url: "sentinel".to_owned(),
        name: String::new(),
    };
    let address = IdentityClient::new(world.channel.clone())
        .join(join)
        .await
        .unwrap()
        .into_inner()
        .address;
    let request = RegisterReq {
        address,
        name: "sentinel".to_owned(),
        index: 0,
        commitment: String::new(),
    };
    DataHubClient::new(world.channel.clone())
        .register(request)
        .await
        .unwrap();
}

pub(crate) fn is_sentinel(event: &Event) -> bool {
    matches!(&event.event, Some(event::Event::DataRegistered(e)) if e.name == "sentinel")
}

pub(crate) fn is_heartbeat(event: &Event) -> bool {
    matches!(event.event, Some(event::Event::Heartbeat(_)))
}
