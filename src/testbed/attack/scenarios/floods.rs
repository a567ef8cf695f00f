//! Floods of a node's API and worker, by strangers and hasty authors. An honest task beside each must end right, soon, and what it took of
//! memory and disk must come back.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::future::join_all;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};

use super::crowds::{beside, honest_beside};
use crate::testbed::attack::case::{Attack, Outcome, attacks};
use crate::testbed::attack::rogue_coordinator::RogueCoordinator;
use crate::testbed::attack::target::{LOOK, Targets, until};
use crate::testbed::attack::{bundles, graphs, http, told};
use delta_domain::ids::{Address, Digest, RoundNumber, TaskId};
use delta_domain::round::DeclineCode;
use delta_domain::round::message::{RequestBody, SignedRequest};
use delta_ports::peer::PeerCalls as _;

pub(in crate::testbed::attack) const ATTACKS: &[Attack] = attacks! { "stranger", true;
    "flood-junk-bundles", "a bundle of 8 MB whose digest is not the one on record" => junk;
    "flood-expanding", "a bundle that expands to 400 MB" => expanding;
    "flood-folding", "a graph of 20,000 products that folds for hours, while an author submits" => folding;
    "flood-endless-map", "a stranger's task whose map would compute for hours at every member" => endless_map;
    "flood-uploads", "eight uploads of 12 MB that are never finished" => uploads;
    "flood-half-requests", "512 connections of one address that never finish their request" => half;
    "flood-waiting", "17 tasks that wait for 9,999 members" => waiting;
    "flood-declines", "3,000 unsigned declines in other nodes' names" => declines;
};

/// What may stay of a flood, in memory.
const LEFT: u64 = 50 << 20;

/// The same, in files.
const FILES: u64 = 2 << 20;

/// Bytes that a folder's files take, all folders in it included.
fn size(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => size(&entry.path()),
            Ok(_) => entry.metadata().map_or(0, |m| m.len()),
            Err(_) => 0,
        })
        .sum()
}

/// Bytes on disk of all nodes.
fn disk(field: &Targets) -> u64 {
    let homes = field.targets.iter().filter_map(|t| t.home.as_ref());
    homes.map(|home| size(home)).sum()
}

/// Bytes that this process holds in memory, and with it the nodes; `None` where the system does not say.
fn memory() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

/// How much more of something there is than before, once as little is left, or after a while.
async fn left(before: u64, little: u64, now: impl Fn() -> u64) -> u64 {
    for _ in 0..120 {
        if now().saturating_sub(before) < little {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    now().saturating_sub(before)
}

fn held() -> u64 {
    memory().unwrap_or(0)
}

fn mib(bytes: u64) -> u64 {
    bytes >> 20
}

async fn junk(field: &Targets) -> anyhow::Result<Outcome> {
    let (memory_before, disk_before) = (held(), disk(field));
    let noise: Vec<u8> = (0_u32..2 << 20)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let other = Digest::of(b"something else");
    let mut coordinator = RogueCoordinator::create(field, noise, Some(other)).await?;
    coordinator.begin().await?;
    let joined = coordinator.joined(&field.addresses()).await?;
    let reasons = coordinator.reasons();
    coordinator.finish().await;
    let took = honest_beside(field).await?;
    let on_disk = left(disk_before, FILES, || disk(field)).await;
    let in_memory = left(memory_before, LEFT, held).await;
    let story = format!(
        "declined: {reasons}; {} MiB stay on disk, {} MiB in memory",
        mib(on_disk),
        mib(in_memory)
    );
    let held = joined.is_empty() && on_disk < FILES && in_memory < LEFT;
    Ok(beside(held, &story, took))
}

async fn expanding(field: &Targets) -> anyhow::Result<Outcome> {
    let bundle = bundles::expanding(400 << 20)?;
    let memory_before = held();
    let told = http::upload(&field.coordinator().url, "/v1/task", &bundle).await?;
    let mut coordinator = RogueCoordinator::create(field, bundle, None).await?;
    coordinator.begin().await?;
    let joined = coordinator.joined(&field.addresses()).await?;
    let reasons = coordinator.reasons();
    coordinator.finish().await;
    let took = honest_beside(field).await?;
    let in_memory = left(memory_before, LEFT, held).await;
    let story = format!(
        "to its author: {}; as members: {reasons}; {} MiB stay in memory",
        told.line(),
        mib(in_memory)
    );
    let held = told.refused() && joined.is_empty() && in_memory < LEFT;
    Ok(beside(held, &story, took))
}

/// The members are busy with it when the author comes; a task that is over stops that.
async fn folding(field: &Targets) -> anyhow::Result<Outcome> {
    let bundle = bundles::with_step(graphs::folds_for_ever())?;
    let mut coordinator = RogueCoordinator::create(field, bundle, None).await?;
    coordinator.begin().await?;
    until("a member to fetch the bundle", || async {
        (coordinator.papers().bundles_fetched > 0).then_some(())
    })
    .await?;
    let took = honest_beside(field).await?;
    // A runtime that computes no constants when it loads a graph has nothing to refuse yet.
    let round = field.connector.round(&coordinator.key()).await?;
    coordinator.finish().await;
    let joined = round.map_or(0, |round| round.joined.len());
    let story = format!("{joined} members take it meanwhile");
    Ok(beside(true, &story, took))
}

/// Members that run one job at a time are busy until the task is over, or its time is.
/// Owners are asked here, as they are by default: nothing of a stranger's task runs before the word of a member's owner.
async fn endless_map(field: &Targets) -> anyhow::Result<Outcome> {
    field.owners_agree(false);
    let outcome = unasked(field).await;
    field.owners_agree(true);
    outcome
}

async fn unasked(field: &Targets) -> anyhow::Result<Outcome> {
    const NAME: &str = "an honest task";
    let bundle = bundles::with_step(graphs::endless())?;
    let mut coordinator = RogueCoordinator::create(field, bundle, None).await?;
    coordinator.begin().await?;
    let joined = coordinator.joined(&field.addresses()).await?;
    let reasons = coordinator.reasons();
    let honest = bundles::task(|manifest| {
        let members = u32::try_from(field.targets.len()).unwrap_or(u32::MAX);
        manifest.name = NAME.to_owned();
        manifest.strategy.min_clients = members;
        manifest.strategy.max_clients = members;
        manifest.rounds[0].repeat = 1;
    })?;
    let id = field.submit(&honest).await?;
    field.owners_allow(NAME).await?;
    let ended = field.ends_right(id, 1).await;
    coordinator.finish().await;
    Ok(match ended {
        Ok(()) => Outcome::new(
            joined.is_empty(),
            format!("declined: {reasons}; the honest task ended right meanwhile"),
        ),
        Err(e) => Outcome::new(false, format!("meanwhile an honest task fails: {e:#}")),
    })
}

async fn uploads(field: &Targets) -> anyhow::Result<Outcome> {
    const UPLOADS: usize = 8;
    const SENT: usize = 12 << 20;
    let (memory_before, disk_before) = (held(), disk(field));
    let head = b"POST /v1/task HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 240000000\r\n\r\n--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"task.delta\"\r\n\r\n";
    let send = async || -> anyhow::Result<TcpStream> {
        let mut stream = TcpStream::connect(http::host(&field.coordinator().url)?).await?;
        stream.write_all(head).await?;
        let block = vec![b'x'; 1 << 16];
        for _ in 0..SENT / block.len() {
            // The node may have had enough.
            if stream.write_all(&block).await.is_err() {
                break;
            }
        }
        Ok(stream)
    };
    let mut open = Vec::new();
    for _ in 0..UPLOADS {
        open.push(send().await?);
    }
    let in_memory = held().saturating_sub(memory_before);
    let took = honest_beside(field).await?;
    drop(open);
    let stays = left(memory_before, LEFT, held).await;
    let on_disk = left(disk_before, FILES, || disk(field)).await;
    let story = format!(
        "{} MiB in memory for {} MiB sent; {} MiB and {} MiB on disk stay",
        mib(in_memory),
        (UPLOADS * SENT) >> 20,
        mib(stays),
        mib(on_disk)
    );
    let held = in_memory < LEFT && stays < LEFT && on_disk < FILES;
    Ok(beside(held, &story, took))
}

/// From an address of the flood's own, as it is in a network.
async fn half(field: &Targets) -> anyhow::Result<Outcome> {
    const WANTED: usize = 512;
    let from = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));
    let to: SocketAddr = http::host(&field.coordinator().url)?.parse()?;
    let mut open = Vec::new();
    for _ in 0..WANTED {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(from, 0))?;
        let mut stream = socket.connect(to).await?;
        // The node may have closed it already.
        drop(
            stream
                .write_all(b"POST /v1/coord/result HTTP/1.1\r\nhost: localhost\r\n")
                .await,
        );
        open.push(stream);
    }
    let reply = http::send(&field.coordinator().url, "GET", "/v1/tasks", "", b"").await?;
    let took = honest_beside(field).await?;
    let story = format!(
        "beside {} of them an author reads {}",
        open.len(),
        reply.status
    );
    Ok(beside(reply.status == 200, &story, took))
}

async fn waiting(field: &Targets) -> anyhow::Result<Outcome> {
    let bundle = bundles::honest(9_999, 1)?;
    let url = &field.coordinator().url;
    let replies = join_all((0..17).map(|_| http::upload(url, "/v1/task", &bundle))).await;
    let mut refused = Vec::new();
    for reply in replies {
        let reply = reply?;
        if reply.refused() {
            refused.push(reply.line());
        }
    }
    let took = honest_beside(field).await?;
    let first = refused.first().cloned().unwrap_or_default();
    let story = format!("{} of 17 were refused: {first}", refused.len());
    Ok(beside(refused.len() == 17, &story, took))
}

fn decline(
    task: &TaskId,
    round: RoundNumber,
    sender: Address,
    reason: DeclineCode,
) -> SignedRequest {
    SignedRequest {
        task: task.clone(),
        round,
        sender,
        view: Digest([0; 32]),
        body: RequestBody::Decline { reason },
        signature: Vec::new(),
    }
}

/// For a round that is under way, whose members' keys are known, in every name that there is, and in three thousand that there are not.
async fn declines(field: &Targets) -> anyhow::Result<Outcome> {
    const DECLINES: usize = 3_000;
    let members = u32::try_from(field.targets.len())?;
    let (id, task) = field
        .submit_heard(&field.coordinator().address, &bundles::honest(members, 6)?)
        .await?;
    let url = &field.coordinator().url;
    let names = field.addresses();
    let begun = std::time::Instant::now();
    let mut sent = 0;
    'rounds: for number in 1..=6 {
        let round = RoundNumber(number);
        until("the round", || async {
            let view = field.peers.round_view(url, &task, round).await;
            view.is_ok().then_some(())
        })
        .await?;
        for block in 0..DECLINES / 6 / 50 {
            let requests: Vec<SignedRequest> = (0..50_usize)
                .map(|i| {
                    let stranger = format!("0x{:040x}", block * 50 + i + 1).parse();
                    let sender = match i % 10 {
                        0 => Ok(names[(block + i / 10) % names.len()].clone()),
                        _ => stranger,
                    };
                    sender.map(|s| decline(&task, round, s, DeclineCode::Busy))
                })
                .collect::<Result<_, _>>()?;
            let calls = requests
                .iter()
                .map(|request| field.peers.submit(url, request));
            sent += join_all(calls).await.len();
            if begun.elapsed() > Duration::from_secs(10) {
                break 'rounds;
            }
        }
    }
    field.ends_right(id, 6).await.context("the task itself")?;
    let log = field.task_log(id).await?;
    let lines = told::declines(&log);
    let named = lines
        .iter()
        .filter(|line| names.iter().any(|name| line.contains(name.as_str())))
        .filter(|line| !line.contains("unproven"))
        .count();
    ensure!(sent > 0, "nothing was sent");
    let took = honest_beside(field).await?;
    let story = format!(
        "{sent} made {} lines in the log, {named} of them as if a node had said so that did not",
        lines.len()
    );
    Ok(beside(
        lines.len() <= names.len() * 6 && named == 0,
        &story,
        took,
    ))
}
