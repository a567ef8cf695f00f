//! The client against connectors that are away, silent, broken or wrong. The rest is `tests/contract_connector.rs`.

use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt as _, stream};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use super::convert::events::outgoing;
use super::pb::subscribe::subscribe_server::{Subscribe, SubscribeServer};
use super::pb::subscribe::{Event, EventReq, HeartBeatEvent, RoundStartedEvent, event};
use super::{GrpcConnector, GrpcOptions};
use delta_domain::connector_record::RecordEvent;
use delta_domain::event::NetworkEvent;
use delta_domain::ids::{Address, RoundNumber};
use delta_ports::PortErrorKind;
use delta_ports::connector::Connector as _;

/// Says what it is told to say, then nothing, or ends the stream.
#[derive(Clone)]
struct Script {
    messages: Vec<Event>,
    then_silent: bool,
}

#[tonic::async_trait]
impl Subscribe for Script {
    type SubscribeStream = Pin<Box<dyn Stream<Item = Result<Event, Status>> + Send>>;

    async fn subscribe(
        &self,
        request: Request<EventReq>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        assert_eq!(request.into_inner().timeout, 1);
        let messages = stream::iter(self.messages.clone().into_iter().map(Ok));
        let stream: Self::SubscribeStream = if self.then_silent {
            Box::pin(messages.chain(stream::pending()))
        } else {
            Box::pin(messages)
        };
        Ok(Response::new(stream))
    }
}

async fn serve(script: Script) -> GrpcConnector {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = Server::builder().add_service(SubscribeServer::new(script));
    tokio::spawn(async move {
        server
            .serve_with_incoming(TcpIncoming::from(listener))
            .await
            .unwrap()
    });
    client(port)
}

fn client(port: u16) -> GrpcConnector {
    let options = GrpcOptions {
        call_timeout: Duration::from_millis(300),
        change_timeout: Duration::from_millis(300),
        heartbeat: Duration::from_millis(10),
        ..GrpcOptions::default()
    };
    GrpcConnector::new("127.0.0.1", port, options).unwrap()
}

fn address() -> Address {
    "0x1111111111111111111111111111111111111111"
        .parse()
        .unwrap()
}

fn started(task: &str) -> Event {
    Event {
        event: Some(event::Event::RoundStarted(RoundStartedEvent {
            task_id: task.to_owned(),
            round: 4,
        })),
    }
}

#[tokio::test]
async fn heartbeats_and_unreadable_events_are_not_yielded_and_silence_ends_the_stream() {
    let task = format!("0x{}", "a".repeat(64));
    let heartbeat = Event {
        event: Some(event::Event::Heartbeat(HeartBeatEvent {})),
    };
    let negative = outgoing(RecordEvent::RoundEnded {
        task: task.clone(),
        round: -7,
    });
    let messages = vec![
        heartbeat,
        started("not an id"),
        Event { event: None },
        negative,
        started(&task),
    ];
    let client = serve(Script {
        messages,
        then_silent: true,
    })
    .await;
    let mut events = client.subscribe(&address()).await.unwrap();
    let expected = NetworkEvent::RoundStarted {
        task: task.parse().unwrap(),
        round: RoundNumber(4),
    };
    assert_eq!(events.next().await.unwrap().unwrap(), expected);
    let last = events.next().await.unwrap().unwrap_err();
    assert_eq!(
        (last.kind(), last.message()),
        (PortErrorKind::Timeout, "the connector was silent for 2 s")
    );
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn the_end_of_the_stream_is_an_error() {
    let client = serve(Script {
        messages: Vec::new(),
        then_silent: false,
    })
    .await;
    let mut events = client.subscribe(&address()).await.unwrap();
    assert_eq!(
        events.next().await.unwrap().unwrap_err().kind(),
        PortErrorKind::Unavailable
    );
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn a_connector_that_is_away_is_unavailable() {
    // Bound and dropped: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let client = client(port);
    assert_eq!(
        client.leave(&address()).await.unwrap_err().kind(),
        PortErrorKind::Unavailable
    );
    assert_eq!(
        client.subscribe(&address()).await.err().map(|e| e.kind()),
        Some(PortErrorKind::Unavailable)
    );
}

#[tokio::test]
async fn a_connector_that_does_not_answer_times_out() {
    // Bound and never accepted.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(listener.local_addr().unwrap().port());
    assert_eq!(
        client.leave(&address()).await.unwrap_err().kind(),
        PortErrorKind::Timeout
    );
}

#[tokio::test]
async fn a_service_that_is_not_there_is_unsupported() {
    let client = serve(Script {
        messages: Vec::new(),
        then_silent: true,
    })
    .await;
    assert_eq!(
        client.leave(&address()).await.unwrap_err().kind(),
        PortErrorKind::Unsupported
    );
}

#[tokio::test]
async fn a_host_may_be_an_ipv6_address_but_not_nonsense() {
    let options = GrpcOptions::default;
    assert!(GrpcConnector::new("::1", 4500, options()).is_ok());
    assert!(GrpcConnector::new("[::1]", 4500, options()).is_ok());
    assert!(GrpcConnector::new("no host", 4500, options()).is_err());
}
