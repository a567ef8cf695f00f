//! Attacks by somebody who is no member of anything: malformed bundles, and bytes that nobody should send.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::bootstrap::endpoints;
use crate::testbed::attack::case::{Attack, Outcome, attacks};
use crate::testbed::attack::rogue_coordinator::RogueCoordinator;
use crate::testbed::attack::target::Targets;
use crate::testbed::attack::{bundles, graphs, http};

pub(in crate::testbed::attack) const ATTACKS: &[Attack] = attacks! { "stranger", false;
    "bundle-bomb", "a bundle that expands a thousandfold" => bomb;
    "bundle-climbs", "a bundle with a file outside its folder" => climbs;
    "bundle-pickle", "a pickle in place of a bundle" => pickle;
    "graph-external-data", "a graph whose numbers are in a file of the node's" => external;
    "graph-custom-operator", "a graph with an operator of the attacker's" => custom;
    "graph-loop", "a graph with a loop and a graph inside" => endless;
    "graph-terabyte", "a graph with a tensor of a tebibyte" => terabyte;
    "body-announced-huge", "a bundle that announces ten gigabytes" => announced;
    "body-endless", "JSON that does not end" => unending;
    "json-nested", "JSON a hundred thousand levels deep" => nested;
    "garbage-everywhere", "nonsense for every endpoint" => garbage;
    "half-requests", "two hundred connections that never finish their request" => half;
};

/// Submits the bundle to a node, and offers it to all as a task of somebody else: nobody may take it, and all must say why.
pub(in crate::testbed::attack) async fn offer(
    field: &Targets,
    bundle: Vec<u8>,
) -> anyhow::Result<Outcome> {
    let told = http::upload(&field.coordinator().url, "/v1/task", &bundle).await?;
    let mut coordinator = RogueCoordinator::create(field, bundle, None).await?;
    coordinator.begin().await?;
    let joined = coordinator.joined(&field.addresses()).await?;
    let answered = format!(
        "to its author: {}; as members: {}",
        told.line(),
        coordinator.reasons()
    );
    coordinator.finish().await;
    Ok(Outcome::new(told.refused() && joined.is_empty(), answered))
}

async fn bomb(field: &Targets) -> anyhow::Result<Outcome> {
    offer(field, bundles::bomb()?).await
}

async fn climbs(field: &Targets) -> anyhow::Result<Outcome> {
    offer(field, bundles::climbing()?).await
}

async fn pickle(field: &Targets) -> anyhow::Result<Outcome> {
    offer(field, bundles::pickle()).await
}

async fn external(field: &Targets) -> anyhow::Result<Outcome> {
    offer(field, bundles::with_step(graphs::external_data())?).await
}

async fn custom(field: &Targets) -> anyhow::Result<Outcome> {
    offer(field, bundles::with_step(graphs::custom_operator())?).await
}

async fn endless(field: &Targets) -> anyhow::Result<Outcome> {
    offer(field, bundles::with_step(graphs::endless_loop())?).await
}

async fn terabyte(field: &Targets) -> anyhow::Result<Outcome> {
    offer(field, bundles::with_step(graphs::terabyte())?).await
}

async fn announced(field: &Targets) -> anyhow::Result<Outcome> {
    let request = b"POST /v1/task HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 10000000000\r\n\r\n--b\r\n";
    let reply = http::raw(&field.coordinator().url, request).await?;
    Ok(Outcome::new(reply.status == 413, reply.line()))
}

/// Sends until the node has had enough; a node that takes 256 MiB of shares has no limit worth the name.
async fn unending(field: &Targets) -> anyhow::Result<Outcome> {
    const ENOUGH: usize = 256 << 20;
    let head = b"POST /v1/coord/secret_shares HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut stream = TcpStream::connect(http::host(&field.coordinator().url)?).await?;
    let (mut reader, mut writer) = stream.split();
    let block = [b"10000\r\n".as_slice(), &[b'['; 0x10000], b"\r\n"].concat();
    let mut taken = 0;
    let write = async {
        if writer.write_all(head).await.is_err() {
            return;
        }
        while taken < ENOUGH && writer.write_all(&block).await.is_ok() {
            taken += block.len();
        }
    };
    let mut answer = [0; 12];
    let mut said = String::new();
    tokio::select! {
        read = reader.read_exact(&mut answer) => {
            said = read.map_or_else(|e| e.to_string(), |_| String::from_utf8_lossy(&answer).into_owned());
        }
        () = write => {}
    }
    let mebibytes = taken >> 20;
    let answered = if said.is_empty() {
        format!("the connection was closed after {mebibytes} MiB")
    } else {
        format!("{said} after {mebibytes} MiB")
    };
    Ok(Outcome::new(taken < ENOUGH, answered))
}

async fn nested(field: &Targets) -> anyhow::Result<Outcome> {
    let body = "[".repeat(100_000);
    let headers = "content-type: application/json\r\n";
    let url = &field.coordinator().url;
    let reply = http::send(
        url,
        "POST",
        "/v1/coord/secret_shares",
        headers,
        body.as_bytes(),
    )
    .await?;
    Ok(Outcome::new(reply.refused(), reply.line()))
}

async fn garbage(field: &Targets) -> anyhow::Result<Outcome> {
    let noise: Vec<u8> = (0_u32..5_000)
        .map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    let bodies: [(&str, &[u8]); 4] = [
        ("", &noise),
        (
            "content-type: application/json\r\n",
            b"{\"address\":\"0x0\",\"round\":-1,\"shares\":[{}]}",
        ),
        (
            "content-type: multipart/form-data; boundary=b\r\n",
            b"--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"../x\"\r\n\r\nPK",
        ),
        ("content-type: multipart/form-data\r\n", &noise),
    ];
    let url = &field.coordinator().url;
    let (mut sent, mut wrong) = (0, Vec::new());
    for (method, path, _) in endpoints() {
        let query = "?task_id=%00%ff&round=99999999999999999999&address=0x0&name=../../etc/passwd&page=-1&page_size=0&start=x&limit=0&task_ids=1,2";
        let mut replies = vec![http::send(url, method, &format!("{path}{query}"), "", b"").await];
        for (headers, body) in bodies {
            replies.push(http::send(url, method, path, headers, body).await);
        }
        for reply in replies {
            sent += 1;
            match reply {
                Ok(reply) if reply.status < 500 || reply.status == 503 => {}
                Ok(reply) => wrong.push(format!("{method} {path}: {}", reply.line())),
                Err(e) => wrong.push(format!("{method} {path}: {e:#}")),
            }
        }
    }
    let answered = if wrong.is_empty() {
        format!("{sent} requests, all answered with a refusal or a page")
    } else {
        wrong.join("; ")
    };
    Ok(Outcome::new(wrong.is_empty(), answered))
}

async fn half(field: &Targets) -> anyhow::Result<Outcome> {
    let mut open = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(http::host(&field.coordinator().url)?).await?;
        stream
            .write_all(b"POST /v1/coord/result HTTP/1.1\r\nhost: localhost\r\n")
            .await?;
        open.push(stream);
    }
    let reply = http::send(&field.coordinator().url, "GET", "/healthz", "", b"").await?;
    let answered = format!("beside {} of them: {}", open.len(), reply.line());
    Ok(Outcome::new(reply.status == 200, answered))
}
