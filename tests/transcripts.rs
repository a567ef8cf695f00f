//! The recorded conversations with the reference connector, replayed against the embedded one over gRPC.
//!
//! Every recorded request is sent; the reply must be the recorded one, byte for byte after two substitutions: ids that the
//! connector draws (task ids) are mapped, transaction hashes are only checked for their form. Error codes and texts must be equal.
//! Events must come to every subscriber in the recorded order. The clock follows the recording.
//!
//! Where the embedded connector answers otherwise on purpose (docs/protocol/connector.md, the rules marked (E)), the request stands in [`EXCEPTIONS`].

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "transcripts/requests.rs"]
mod requests;
#[path = "transcripts/wire.rs"]
mod wire;
#[path = "transcripts/world.rs"]
mod world;

use std::collections::BTreeMap;

use delta_node::adapters::grpc::pb::subscribe::Event;
use prost::Message as _;
use serde_json::Value;

use requests::Reply;
use world::World;

/// A recorded reply that the embedded connector does not give.
struct Exception {
    transcript: &'static str,
    /// The request's line.
    seq: u64,
    why: &'static str,
    instead: Instead,
}

enum Instead {
    /// This code, and a text that holds this.
    Error(tonic::Code, &'static str),
    /// Another answer: its JSON-like debug text holds this.
    Answer(&'static str),
}

const NO_PROOFS: &str =
    "proofs are not checked here yet: Verify is UNIMPLEMENTED after the reference's own checks";
const NOT_PROVED: &str = "no proof was taken (see Verify), so nobody has verified";
const UNFINISHED: &str = "verification is not finished";

const EXCEPTIONS: &[Exception] = &[
    Exception {
        transcript: "identity",
        seq: 107,
        why: "U+0000 is refused in our own words: the reference's text is the SQL statement that failed",
        instead: Instead::Error(tonic::Code::Unknown, "U+0000"),
    },
    Exception {
        transcript: "identity",
        seq: 116,
        why: "the node that leaves had joined with a url of 100,000 bytes, which is not taken here",
        instead: Instead::Error(tonic::Code::Unknown, "doesn't exist"),
    },
    Exception {
        transcript: "hlr",
        seq: 174,
        why: NO_PROOFS,
        instead: Instead::Error(tonic::Code::Unimplemented, "proofs"),
    },
    Exception {
        transcript: "hlr",
        seq: 178,
        why: NOT_PROVED,
        instead: Instead::Answer("unfinished_clients: [\"0x176b"),
    },
    Exception {
        transcript: "hlr",
        seq: 180,
        why: NO_PROOFS,
        instead: Instead::Error(tonic::Code::Unimplemented, "proofs"),
    },
    Exception {
        transcript: "hlr",
        seq: 182,
        why: NO_PROOFS,
        instead: Instead::Error(tonic::Code::Unimplemented, "proofs"),
    },
    Exception {
        transcript: "hlr",
        seq: 186,
        why: NOT_PROVED,
        instead: Instead::Answer("unfinished_clients: [\"0x176b"),
    },
    Exception {
        transcript: "hlr",
        seq: 190,
        why: NO_PROOFS,
        instead: Instead::Error(tonic::Code::Unimplemented, "proofs"),
    },
    Exception {
        transcript: "hlr",
        seq: 194,
        why: NOT_PROVED,
        instead: Instead::Answer("unfinished_clients: [\"0x176b"),
    },
    Exception {
        transcript: "hlr",
        seq: 198,
        why: NOT_PROVED,
        instead: Instead::Error(tonic::Code::Unknown, UNFINISHED),
    },
    Exception {
        transcript: "hlr",
        seq: 202,
        why: NOT_PROVED,
        instead: Instead::Answer("unfinished_clients: [\"0x176b"),
    },
    Exception {
        transcript: "hlr",
        seq: 204,
        why: NOT_PROVED,
        instead: Instead::Error(tonic::Code::Unknown, UNFINISHED),
    },
];

/// Events that follow from the exceptions above.
const EVENTS_NOT_SENT: [&str; 2] = ["task_member_verified", "task_verification_confirmed"];

#[tokio::test]
async fn identity_is_answered_as_recorded() {
    replay(
        "identity",
        include_str!("vectors/connector/transcript-identity.jsonl"),
        73,
    )
    .await;
}

#[tokio::test]
async fn datahub_is_answered_as_recorded() {
    replay(
        "datahub",
        include_str!("vectors/connector/transcript-datahub.jsonl"),
        35,
    )
    .await;
}

#[tokio::test]
async fn horizontal_is_answered_as_recorded() {
    replay(
        "horizontal",
        include_str!("vectors/connector/transcript-horizontal.jsonl"),
        121,
    )
    .await;
}

#[tokio::test]
async fn hlr_is_answered_as_recorded() {
    replay(
        "hlr",
        include_str!("vectors/connector/transcript-hlr.jsonl"),
        100,
    )
    .await;
}

/// A certified task of this node's own, three members and a proof round, as the reference took it message by message.
#[tokio::test]
async fn a_certified_task_is_answered_as_recorded() {
    replay(
        "certified",
        include_str!("vectors/connector/transcript-certified.jsonl"),
        227,
    )
    .await;
}

/// What the recording leaves out but presupposes: `(line before which it happened, calls)`.
fn unrecorded(transcript: &str, seq: u64) -> Vec<(&'static str, Value)> {
    let join = |url: String, name: &str| {
        (
            "identity.Join",
            serde_json::json!({ "url": url, "name": name }),
        )
    };
    match (transcript, seq) {
        ("identity", 149) => (0..25)
            .map(|i| join(format!("http://p{i}"), &format!("p{i}")))
            .collect(),
        ("hlr", 3) => (2..=4)
            .map(|i| join(format!("http://127.0.0.1:671{i}"), &format!("hlr{i}")))
            .collect(),
        _ => Vec::new(),
    }
}

async fn replay(transcript: &str, text: &str, at_least: usize) {
    let world = World::start().await;
    let lines: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let mut ids = Ids::default();
    let mut streams = BTreeMap::new();
    let mut used = 0;
    let mut replayed = 0;
    for (place, line) in lines.iter().enumerate() {
        let seq = line["seq"].as_u64().unwrap();
        world.at(line["t"].as_f64().unwrap());
        for (method, request) in unrecorded(transcript, seq) {
            requests::call(&world, method, &request).await.unwrap();
        }
        match line["kind"].as_str().unwrap() {
            "subscribe" => {
                let stream = requests::subscribe(&world, &line["request"]).await;
                streams.insert(line["sub"].as_str().unwrap().to_owned(), stream);
            }
            "paging" => paging(&world, line).await,
            "request" => {
                let method = line["method"].as_str().unwrap();
                let request: Value =
                    serde_json::from_str(&ids.ours(&line["request"].to_string())).unwrap();
                let ours = requests::call(&world, method, &request).await;
                let recorded = lines[place..]
                    .iter()
                    .find(|l| l["method"] == method && l["kind"] != "request")
                    .unwrap();
                ids.learn(recorded, &ours);
                replayed += 1;
                let context = format!("{transcript} {seq} {method}");
                match EXCEPTIONS
                    .iter()
                    .find(|e| e.transcript == transcript && e.seq == seq)
                {
                    Some(exception) => {
                        used += 1;
                        differs_as_stated(&context, exception, &ours);
                    }
                    None => same(&context, method, &ids, &request, recorded, ours),
                }
            }
            _ => {}
        }
    }
    assert_eq!(
        used,
        EXCEPTIONS
            .iter()
            .filter(|e| e.transcript == transcript)
            .count(),
        "an exception was not met"
    );
    assert!(
        replayed >= at_least,
        "only {replayed} requests were replayed"
    );
    world::publish_sentinel(&world).await;
    for (name, mut stream) in streams {
        for line in lines
            .iter()
            .filter(|l| l["kind"] == "event" && l["sub"] == name.as_str())
        {
            if EVENTS_NOT_SENT.contains(&line["type"].as_str().unwrap()) {
                continue;
            }
            let wire = ids.ours_in_bytes(&line["wire"]);
            let recorded = Event::decode(wire.as_slice()).unwrap();
            assert_eq!(
                world::next_event(&mut stream).await,
                recorded,
                "{transcript} event {} for {name}",
                line["seq"]
            );
        }
        assert!(
            world::is_sentinel(&world::next_event(&mut stream).await),
            "{name} got more events than were recorded"
        );
    }
}

fn same(
    context: &str,
    method: &str,
    ids: &Ids,
    request: &Value,
    recorded: &Value,
    ours: Result<Reply, tonic::Status>,
) {
    if recorded["kind"] == "error" {
        let status = ours.expect_err(context);
        assert_eq!(
            status.code() as u64,
            recorded["error"]["code_num"].as_u64().unwrap(),
            "{context}"
        );
        assert_eq!(
            status.message(),
            ids.ours(recorded["error"]["message"].as_str().unwrap()),
            "{context}"
        );
        return;
    }
    let ours = ours.unwrap_or_else(|status| panic!("{context}: {status}"));
    let wire = match requests::long_reply(method, recorded) {
        Some(wire) => wire,
        None => ids.ours_in_bytes(&recorded["wire"]),
    };
    let mut theirs = (ours.decode)(&wire);
    if method.ends_with(".GetTask") {
        // Filled here, empty at the reference: docs/protocol/connector.md, Tasks.
        theirs = theirs.replace("task_id: \"\"", &format!("task_id: {}", request["task_id"]));
    }
    assert_eq!(
        requests::without_tx(&ours.debug),
        requests::without_tx(&theirs),
        "{context}"
    );
    if let Some(tx) = &ours.tx_hash {
        assert!(tx.len() == 66 && tx.starts_with("0x"), "{context}: {tx}");
    }
}

fn differs_as_stated(context: &str, exception: &Exception, ours: &Result<Reply, tonic::Status>) {
    let why = exception.why;
    match (&exception.instead, ours) {
        (Instead::Error(code, text), Err(status)) => {
            assert_eq!(status.code(), *code, "{context}: {why}");
            assert!(
                status.message().contains(text),
                "{context}: {why}: {}",
                status.message()
            );
        }
        (Instead::Answer(text), Ok(reply)) => assert!(
            reply.debug.contains(text),
            "{context}: {why}: {}",
            reply.debug
        ),
        (_, Ok(reply)) => panic!("{context}: {why}: {}", reply.debug),
        (_, Err(status)) => panic!("{context}: {why}: {status}"),
    }
}

async fn paging(world: &World, line: &Value) {
    let request = serde_json::json!({ "page": line["page"], "page_size": line["page_size"] });
    let nodes = requests::nodes(world, &request).await;
    let names: Vec<Value> = nodes.nodes.iter().map(|n| n.name.clone().into()).collect();
    assert_eq!(Value::from(nodes.total_count), line["total"], "{request}");
    assert_eq!(Value::from(names), line["names"], "{request}");
}

/// Recorded task ids and the ones drawn in this run.
#[derive(Default)]
struct Ids(BTreeMap<String, String>);

impl Ids {
    fn learn(&mut self, recorded: &Value, ours: &Result<Reply, tonic::Status>) {
        if let (
            Some(theirs),
            Ok(Reply {
                task_id: Some(ours),
                ..
            }),
        ) = (recorded["response"]["task_id"].as_str(), ours)
        {
            self.0.insert(theirs.to_owned(), ours.clone());
        }
    }

    fn ours(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (theirs, ours)| {
            text.replace(theirs, ours)
        })
    }

    /// Both are 66 bytes long, so the message keeps its shape.
    fn ours_in_bytes(&self, wire: &Value) -> Vec<u8> {
        let hex = |text: &str| text.bytes().map(|b| format!("{b:02x}")).collect::<String>();
        let wire = self
            .0
            .iter()
            .fold(wire.as_str().unwrap().to_owned(), |w, (theirs, ours)| {
                w.replace(&hex(theirs), &hex(ours))
            });
        (0..wire.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&wire[i..i + 2], 16).unwrap())
            .collect()
    }
}
