//! Sealed shares and signatures: the original's JSON as recorded, and the compact form that nodes use.

use delta_node::domain::ids::Digest;
use delta_node::domain::round::message::RequestBody;
use delta_node::ports::peer::RejectionKind;
use delta_testing::contracts::peer::moves::{MEMBERS, TASK, request, shares};

use super::http_world::World;
use super::{JSON, SUCCESS, signature_head};

const COMPACT: &str = "application/vnd.delta.shares";

fn target(call: &str) -> String {
    format!(
        "/v1/coord/{call}?address={}&task_id={TASK}&round=1",
        MEMBERS[1]
    )
}

/// One record: a member, and a byte string with its length.
fn record(member: &str, string: &[u8]) -> Vec<u8> {
    let digits = member.as_bytes()[2..].to_vec();
    let value = |d: &u8| char::from(*d).to_digit(16).unwrap() as u8;
    let mut out: Vec<u8> = digits
        .chunks(2)
        .map(|two| value(&two[0]) << 4 | value(&two[1]))
        .collect();
    for eight in digits.chunks(8) {
        let capital = |(i, d): (usize, &u8)| u8::from(d.is_ascii_uppercase()) << i;
        out.push(eight.iter().enumerate().map(capital).sum());
    }
    out.extend((string.len() as u16).to_le_bytes());
    out.extend_from_slice(string);
    out
}

/// The shares of [`shares`] as a post, with these confirmations, which belong into no post.
fn compact(confirmations: &[Vec<u8>]) -> Vec<u8> {
    let count = |n: usize| (n as u32).to_le_bytes().to_vec();
    let mut parts = vec![count(shares().len())];
    for share in shares() {
        parts.push(record(share.receiver.as_str(), &share.sealed));
    }
    parts.push(count(confirmations.len()));
    parts.extend_from_slice(confirmations);
    parts.concat()
}

fn shares_json() -> String {
    let entries: Vec<_> = shares()
        .iter()
        .map(|s| {
            format!(
                r#"{{"sender":"{}","receiver":"{}","sealed":"0x00{:02x}03{}"}}"#,
                s.sender,
                s.receiver,
                s.sealed[1],
                "ff".repeat(48)
            )
        })
        .collect();
    format!(
        r#"{{"address":"{}","task_id":"{TASK}","round":1,"shares":[{}]}}"#,
        MEMBERS[1],
        entries.join(",")
    )
}

#[tokio::test]
async fn shares_arrive_as_signed_and_are_refused_as_recorded() {
    let world = World::start().await;
    let head = signature_head(b"", 0);
    let good = shares_json();
    let answer = world
        .post("/v1/coord/secret_shares", JSON, &head, good.as_bytes())
        .await;
    assert_eq!((answer.status, answer.text().as_str()), (200, SUCCESS));
    assert_eq!(
        world.fake.taken(),
        [request(RequestBody::Shares { shares: shares() })]
    );

    let bad_hex = r#"{"detail":[{"loc":["body","shares",0,"sealed"],"msg":"string does not match regex \"0x[0-9a-fA-F]+\"","type":"value_error.str.regex","ctx":{"pattern":"0x[0-9a-fA-F]+"}}]}"#;
    let not_json = r#"{"detail":[{"loc":["body",1],"msg":"Expecting property name enclosed in double quotes: line 1 column 2 (char 1)","type":"value_error.jsondecode","ctx":{"msg":"Expecting property name enclosed in double quotes","doc":"{bad","pos":1,"lineno":1,"colno":2}}]}"#;
    let empty = ["address", "task_id", "round", "shares"]
        .map(|n| {
            format!(
                r#"{{"loc":["body","{n}"],"msg":"field required","type":"value_error.missing"}}"#
            )
        })
        .join(",");
    let stranger = good.replace(
        &format!(r#""address":"{}""#, MEMBERS[1]),
        r#""address":"0xdeadbeef""#,
    );
    let other_sender = good.replacen(
        &format!(r#""sender":"{}""#, MEMBERS[1]),
        &format!(r#""sender":"{}""#, MEMBERS[2]),
        1,
    );
    for (body, status, expected) in [
        (good.replace("0x000003", "zz"), 422, bad_hex.to_owned()),
        ("{bad".to_owned(), 422, not_json.to_owned()),
        ("{}".to_owned(), 422, format!(r#"{{"detail":[{empty}]}}"#)),
        (
            good.replace(TASK, "0xdead"),
            400,
            r#"{"detail":"task does not exist"}"#.to_owned(),
        ),
        (
            stranger,
            400,
            r#"{"detail":"member $0xdeadbeef is not allowed"}"#.to_owned(),
        ),
        (
            other_sender,
            400,
            r#"{"detail":"all share senders should be equal to member address"}"#.to_owned(),
        ),
        (
            good.replace(r#""round":1"#, r#""round":-1"#),
            400,
            r#"{"detail":"task round does not exist"}"#.to_owned(),
        ),
    ] {
        let answer = world
            .post("/v1/coord/secret_shares", JSON, &head, body.as_bytes())
            .await;
        assert_eq!((answer.status, answer.text()), (status, expected), "{body}");
    }
    assert!(world.fake.taken().is_empty());

    // A client of the original: no signature, no transcript. The request arrives as one without them, for the app to refuse.
    let old = good.replace(r#","transcript":"0x0909""#, "");
    world
        .fake
        .refuse_next(RejectionKind::Forbidden, "the signature does not hold");
    assert_eq!(
        world
            .post("/v1/coord/secret_shares", JSON, "", old.as_bytes())
            .await
            .status,
        403
    );
    let taken = world.fake.taken();
    assert_eq!(
        (taken[0].view, taken[0].signature.len()),
        (Digest([0; 32]), 0)
    );
}

#[tokio::test]
async fn fetching_shares_needs_a_signature_and_has_the_recorded_shape() {
    let world = World::start().await;
    let target = format!(
        "/v1/coord/secret_shares?address={}&task_id={TASK}&round=1",
        MEMBERS[1]
    );
    assert_eq!(world.get(&target).await.status, 403);
    let answer = world
        .send(
            format!(
                "GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{}\r\n",
                signature_head(b"", 0)
            )
            .as_bytes(),
        )
        .await;
    assert_eq!(answer.status, 200);
    let start = format!(
        r#"{{"address":"{m}","task_id":"{TASK}","round":1,"shares":[{{"sender":"{}","receiver":"{m}","sealed":"0x0000000000"}},"#,
        MEMBERS[0],
        m = MEMBERS[1]
    );
    assert!(answer.text().starts_with(&start), "{}", answer.text());
    assert!(answer.text().ends_with(r#""sealed":"0x0202020202"}]}"#));
}

#[tokio::test]
async fn compact_shares_arrive_as_signed() {
    let world = World::start().await;
    let head = signature_head(b"", 0);
    let body = compact(&[]);
    let answer = world
        .post(&target("secret_shares"), COMPACT, &head, &body)
        .await;
    assert_eq!((answer.status, answer.text().as_str()), (200, SUCCESS));
    let expected = RequestBody::Shares { shares: shares() };
    assert_eq!(world.fake.taken(), [request(expected)]);
}

#[tokio::test]
async fn wrong_compact_shares_are_refused() {
    let world = World::start().await;
    let head = signature_head(b"", 0);
    let good = compact(&[]);
    let form = r#"{"detail":"the shares are not in the compact form"}"#;
    for (body, detail) in [
        (Vec::new(), form),
        (vec![0xff; 8], form),
        (good[..good.len() - 1].to_vec(), form),
        ([&good[..], &[0]].concat(), form),
        (compact(&[record(MEMBERS[1], &[9, 9])]), form),
    ] {
        let answer = world
            .post(&target("secret_shares"), COMPACT, &head, &body)
            .await;
        assert_eq!((answer.status, answer.text().as_str()), (400, detail));
    }
    let answer = world
        .post("/v1/coord/secret_shares", COMPACT, &head, &good)
        .await;
    assert_eq!(answer.status, 422, "who posts is in the query");
    assert!(world.fake.taken().is_empty());
}

#[tokio::test]
async fn shares_and_confirmations_are_fetched_in_the_compact_form() {
    let world = World::start().await;
    for call in ["secret_shares", "confirmations"] {
        let get = |accept: &str| {
            format!(
                "GET {} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\naccept: {accept}\r\n{}\r\n",
                target(call),
                signature_head(b"", 0)
            )
        };
        let answer = world.send(get(COMPACT).as_bytes()).await;
        assert_eq!(answer.status, 200);
        assert!(answer.head.contains(&format!("content-type: {COMPACT}")));
        let last = match call {
            "confirmations" => record(MEMBERS[0], &[9; 16]),
            _ => [record(MEMBERS[2], &[2; 5]), vec![0; 4]].concat(),
        };
        assert!(answer.body.ends_with(&last), "{call}");
        let json = world.send(get("*/*").as_bytes()).await;
        assert!(json.head.contains(&format!("content-type: {JSON}")));
        assert!(answer.body.len() * 3 < json.body.len() * 2, "{call}");
    }
}
