//! What the wire itself promises (docs/protocol/connector.md, Transport, Events and Limits).

use std::time::Duration;

use delta_node::adapters::connector::EmbeddedOptions;
use delta_node::adapters::grpc::pb::identity::JoinReq;
use delta_node::adapters::grpc::pb::identity::identity_client::IdentityClient;
use delta_node::adapters::grpc::pb::subscribe::EventReq;
use delta_node::adapters::grpc::pb::subscribe::subscribe_client::SubscribeClient;
use prost::Message as _;
use tonic::Code;
use tonic::codec::CompressionEncoding;

use super::world::{World, is_heartbeat, is_sentinel, publish_sentinel};

fn join(url: &str) -> JoinReq {
    JoinReq {
        url: url.to_owned(),
        name: "n".to_owned(),
    }
}

#[tokio::test]
async fn the_misspelt_method_is_the_only_one() {
    let world = World::start().await;
    let mut client = tonic::client::Grpc::new(world.channel.clone());
    let mut code = async |path: &'static str| {
        client.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<JoinReq, JoinReq>::default();
        let outcome = client.unary(
            tonic::Request::new(JoinReq::default()),
            tonic::codegen::http::uri::PathAndQuery::from_static(path),
            codec,
        );
        outcome
            .await
            .map_or_else(|status| status.code(), |_| Code::Ok)
    };
    assert_eq!(
        code("/horizontal.Horizontal/GetClientPublicKeys").await,
        Code::Unimplemented
    );
    assert_eq!(
        code("/horizontal.Horizontal/GetClientPublickKeys").await,
        Code::Ok
    );
    assert_eq!(code("/hlr.HLR/GetClientPublickKeys").await, Code::Ok);
    assert_eq!(code("/unknown.Service/Method").await, Code::Unimplemented);
}

#[tokio::test]
async fn requests_of_4_mib_are_taken_and_longer_ones_are_not() {
    let world = World::start().await;
    let mut client = IdentityClient::new(world.channel.clone());
    let mut request = join("");
    request.url = "u".repeat((4 << 20) - request.encoded_len() - 5);
    request
        .url
        .push_str(&"u".repeat((4 << 20) - request.encoded_len()));
    assert_eq!(request.encoded_len(), 4 << 20);
    // Taken by the wire; the record's own bound on a url is lower.
    let read = client.join(request.clone()).await.unwrap_err();
    assert_eq!(read.code(), Code::Unknown);
    assert!(read.message().starts_with("the url has"), "{read}");
    request.url.push('u');
    let refused = client.join(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(
        refused.message(),
        "Received message larger than max (4194305 vs. 4194304)"
    );
}

#[tokio::test]
async fn compressed_requests_are_read() {
    let world = World::start().await;
    for encoding in [CompressionEncoding::Gzip, CompressionEncoding::Deflate] {
        let mut client = IdentityClient::new(world.channel.clone()).send_compressed(encoding);
        client.join(join("http://compressed")).await.unwrap();
    }
}

#[tokio::test]
async fn an_echoing_error_text_stays_small_enough_for_a_header() {
    let world = World::start().await;
    let mut client = IdentityClient::new(world.channel.clone());
    let address = "ü".repeat(64);
    let request = delta_node::adapters::grpc::pb::identity::NodeInfoReq { address };
    let status = client.get_node_info(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Unknown);
    assert!(
        status.message().starts_with("node of address üü"),
        "{status}"
    );
    let request = delta_node::adapters::grpc::pb::identity::NodeInfoReq {
        address: "ü".repeat(100_000),
    };
    let status = client.get_node_info(request).await.unwrap_err();
    assert!(status.message().len() <= 2048, "{status}");
}

#[tokio::test]
async fn a_subscription_is_acknowledged_at_once_and_beats() {
    let world = World::start().await;
    let mut client = SubscribeClient::new(world.channel.clone());
    // Headers come without a heartbeat or an event: otherwise this would wait for ever.
    let opened = client.subscribe(EventReq {
        address: "anybody".to_owned(),
        timeout: 0,
    });
    tokio::time::timeout(Duration::from_secs(20), opened)
        .await
        .expect("headers")
        .unwrap();
    let mut beating = client
        .subscribe(EventReq {
            address: String::new(),
            timeout: 1,
        })
        .await
        .unwrap()
        .into_inner();
    for _ in 0..2 {
        let event = tokio::time::timeout(Duration::from_secs(20), beating.message())
            .await
            .expect("a heartbeat")
            .unwrap()
            .unwrap();
        assert!(is_heartbeat(&event));
        assert_eq!(event.encode_to_vec(), [0x42, 0]);
    }
}

#[tokio::test]
async fn an_absurd_heartbeat_period_does_not_flood() {
    let world = World::start().await;
    let request = EventReq {
        address: String::new(),
        timeout: i32::MAX,
    };
    let mut stream = SubscribeClient::new(world.channel.clone())
        .subscribe(request)
        .await
        .unwrap()
        .into_inner();
    publish_sentinel(&world).await;
    assert!(
        is_sentinel(&stream.message().await.unwrap().unwrap()),
        "a heartbeat came first"
    );
}

#[tokio::test]
async fn subscriptions_are_limited_and_dead_ones_make_room() {
    let world = World::start_with(EmbeddedOptions {
        max_subscribers: 2,
        ..EmbeddedOptions::default()
    })
    .await;
    let mut client = SubscribeClient::new(world.channel.clone());
    let request = || EventReq {
        address: String::new(),
        timeout: 1,
    };
    let first = client.subscribe(request()).await.unwrap();
    let _second = client.subscribe(request()).await.unwrap();
    assert_eq!(
        client.subscribe(request()).await.unwrap_err().code(),
        Code::Unavailable
    );
    drop(first);
    // The server learns of it with the reset of the stream.
    let mut open = client.subscribe(request()).await;
    while open.is_err() {
        tokio::task::yield_now().await;
        open = client.subscribe(request()).await;
    }
}
