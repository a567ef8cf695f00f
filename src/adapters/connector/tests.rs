//! The embedded connector alone: what survives, what is limited, what happens when storing fails.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;

use super::broadcast::{Broadcast, Next};
use super::store::Store;
use super::writer::Writer;
use super::*;
use delta_domain::connector_record::Command;
use delta_domain::event::NetworkEvent;
use delta_domain::ids::Address;
use delta_domain::ids::{Digest, RoundNumber};
use delta_domain::secagg::seal::ShareKind;
use delta_domain::task::TaskKind;
use delta_domain::time::Timestamp;
use delta_ports::clock::Clock;
use delta_ports::connector::{Connector as _, NewTask, RawPublicKeys, RoundKey, RoundStatus};
use delta_ports::{PortError, PortErrorKind};

struct Still;

#[async_trait]
impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000)
    }

    async fn sleep(&self, _duration: Duration) {}
}

async fn open(path: &Path, options: EmbeddedOptions) -> Result<EmbeddedConnector, PortError> {
    EmbeddedConnector::open(
        &RecordFile::OnDisk(path.to_owned()),
        Arc::new(Still),
        options,
    )
    .await
}

async fn in_memory(options: EmbeddedOptions) -> EmbeddedConnector {
    EmbeddedConnector::open(&RecordFile::InMemory, Arc::new(Still), options)
        .await
        .unwrap()
}

fn keys() -> RawPublicKeys {
    RawPublicKeys {
        pk1: "0x02".to_owned(),
        pk2: "0x03".to_owned(),
    }
}

/// A round of two that is aggregating, with every kind of upload.
async fn fill(c: &EmbeddedConnector) -> (RoundKey, [Address; 2]) {
    let a = c.join("http://a", "a").await.unwrap().address;
    let b = c.join("http://b", "b").await.unwrap().address;
    let both = [a.clone(), b.clone()];
    let (dataset, commitment) = ("d".to_owned(), Digest::of(b"t"));
    let task = NewTask {
        owner: a.clone(),
        dataset,
        commitment,
        kind: TaskKind::Hlr,
        enable_verify: true,
        tolerance: -2,
    };
    let task = c.create_task(&task).await.unwrap().task;
    let key = RoundKey {
        kind: TaskKind::Hlr,
        task,
        round: RoundNumber(1),
    };
    c.register_data(&a, "d", 3, &Digest::of(b"data").to_string())
        .await
        .unwrap();
    c.start_round(&a, &key, Some(&Digest::of(b"w")))
        .await
        .unwrap();
    for member in &both {
        c.join_round(member, &key, &keys()).await.unwrap();
    }
    c.select_candidates(&a, &key, &both).await.unwrap();
    let commitments = both
        .each_ref()
        .map(|m| (m.clone(), Digest::of(m.as_str().as_bytes())));
    for member in &both {
        for kind in [ShareKind::SelfMaskSeed, ShareKind::MaskKey] {
            c.upload_share_commitments(member, &key, kind, &commitments)
                .await
                .unwrap();
        }
    }
    c.start_calculation(&a, &key, &both).await.unwrap();
    c.upload_result_commitment(&b, &key, &Digest::of(b"y"))
        .await
        .unwrap();
    c.start_aggregation(&a, &key, std::slice::from_ref(&b))
        .await
        .unwrap();
    c.reveal_shares(
        &b,
        &key,
        ShareKind::MaskKey,
        &[(a.clone(), "0x0a".to_owned())],
    )
    .await
    .unwrap();
    (key, both)
}

async fn check(c: &EmbeddedConnector, key: &RoundKey, [a, b]: &[Address; 2]) {
    let round = c.round(key).await.unwrap().unwrap();
    assert_eq!(round.status, RoundStatus::Aggregating);
    assert_eq!(
        (round.joined, round.finished),
        (vec![a.to_string(), b.to_string()], vec![b.to_string()])
    );
    let task = c.task(TaskKind::Hlr, &key.task).await.unwrap().unwrap();
    assert_eq!(
        (task.enable_verify, task.tolerance, task.finished),
        (true, -2, false)
    );
    assert_eq!(
        c.result_commitment(key, b).await.unwrap(),
        Some(Digest::of(b"y").to_string())
    );
    assert_eq!(
        c.weight_commitment(&key.task, key.round).await.unwrap(),
        Some(Digest::of(b"w").to_string())
    );
    assert_eq!(
        c.data_commitment(a, "d", 3).await.unwrap(),
        Some(Digest::of(b"data").to_string())
    );
    assert_eq!(
        c.public_keys(key, &[b.clone(), a.clone()]).await.unwrap(),
        [keys(), keys()]
    );
    let share = &c
        .share_records(key, std::slice::from_ref(a), b)
        .await
        .unwrap()[0];
    assert_eq!(
        (share.seed.as_deref(), share.secret_key.as_deref()),
        (None, Some("0x0a"))
    );
    assert_eq!(
        share.seed_commitment.as_deref(),
        Some(Digest::of(b.as_str().as_bytes()).to_string().as_str())
    );
    assert_eq!(c.nodes(1, 0).await.unwrap().total, 2);
}

#[tokio::test]
async fn a_closed_record_opens_as_it_was_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("connector.db");
    let c = open(&path, EmbeddedOptions::default()).await.unwrap();
    let (key, both) = fill(&c).await;
    c.close().await;
    assert_eq!(
        c.round(&key).await.unwrap_err().kind(),
        PortErrorKind::Unavailable
    );
    let c = open(&path, EmbeddedOptions::default()).await.unwrap();
    check(&c, &key, &both).await;
    c.end_round(&both[0], &key).await.unwrap();
    c.finish_task(TaskKind::Hlr, &both[0], &key.task)
        .await
        .unwrap();
    c.close().await;
    let c = open(&path, EmbeddedOptions::default()).await.unwrap();
    let round = c.round(&key).await.unwrap().unwrap();
    assert_eq!(round.status, RoundStatus::Finished);
    let task = c.task(TaskKind::Hlr, &key.task).await.unwrap();
    assert!(task.unwrap().finished);
}

/// What the operating system holds when a process is killed is what a copy of the files shows.
#[tokio::test]
async fn every_answered_call_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("connector.db");
    let c = open(&path, EmbeddedOptions::default()).await.unwrap();
    let (key, both) = fill(&c).await;
    let copy = folder.path().join("copy.db");
    for suffix in ["", "-wal"] {
        let (from, to) = (
            format!("{}{suffix}", path.display()),
            format!("{}{suffix}", copy.display()),
        );
        std::fs::copy(from, to).unwrap();
    }
    check(
        &open(&copy, EmbeddedOptions::default()).await.unwrap(),
        &key,
        &both,
    )
    .await;
    check(&c, &key, &both).await;
}

#[tokio::test]
async fn a_second_process_cannot_open_the_same_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("connector.db");
    let _first = open(&path, EmbeddedOptions::default()).await.unwrap();
    assert_eq!(
        open(&path, EmbeddedOptions::default())
            .await
            .unwrap_err()
            .kind(),
        PortErrorKind::Unavailable
    );
}

#[tokio::test]
async fn rounds_out_of_memory_are_read_again() {
    let c = in_memory(EmbeddedOptions {
        memory: 0,
        ..EmbeddedOptions::default()
    })
    .await;
    let (first, both) = fill(&c).await;
    let (second, _) = fill(&c).await;
    for _ in 0..2 {
        check(&c, &first, &both).await;
        check(&c, &second, &both).await;
    }
}

#[tokio::test]
async fn a_resident_round_that_grows_pushes_others_out() {
    let c = in_memory(EmbeddedOptions {
        memory: 8 << 10,
        ..EmbeddedOptions::default()
    })
    .await;
    let mut filled = Vec::new();
    for _ in 0..8 {
        filled.push(fill(&c).await);
    }
    for (key, both) in &filled {
        check(&c, key, both).await;
    }
}

#[tokio::test]
async fn a_subscriber_that_falls_behind_is_told_so() {
    let c = in_memory(EmbeddedOptions {
        max_lag: 4,
        ..EmbeddedOptions::default()
    })
    .await;
    let a = c.join("http://a", "a").await.unwrap().address;
    let mut events = c.subscribe(&a).await.unwrap();
    for i in 0..6 {
        c.register_data(&a, "d", i, &Digest::of(b"").to_string())
            .await
            .unwrap();
    }
    let last = events.next().await.unwrap().unwrap_err();
    assert_eq!(last.kind(), PortErrorKind::Unavailable);
    assert!(events.next().await.is_none());
}

/// Of two requests that come together the call may be served first; and nobody is told anything twice.
#[tokio::test]
async fn who_subscribes_a_moment_late_has_the_event_once() {
    let c = in_memory(EmbeddedOptions {
        hindsight: Duration::from_secs(600),
        ..EmbeddedOptions::default()
    })
    .await;
    let a = c.join("http://a", "a").await.unwrap().address;
    let text = Digest::of(b"").to_string();
    c.register_data(&a, "d", 0, &text).await.unwrap();
    let mut late = c.subscribe(&a).await.unwrap();
    let mut again = c.subscribe(&a).await.unwrap();
    c.register_data(&a, "d", 1, &text).await.unwrap();
    let index = |event: Option<Result<NetworkEvent, PortError>>| match event {
        Some(Ok(NetworkEvent::DataRegistered { index, .. })) => index,
        other => panic!("{other:?}"),
    };
    assert_eq!(index(late.next().await), 0);
    assert_eq!(index(late.next().await), 1);
    assert_eq!(
        index(again.next().await),
        1,
        "the other one has had the first"
    );
    let prompt = in_memory(EmbeddedOptions::default()).await;
    let a = prompt.join("http://a", "a").await.unwrap().address;
    prompt.register_data(&a, "d", 0, &text).await.unwrap();
    let mut events = prompt.subscribe(&a).await.unwrap();
    prompt.register_data(&a, "d", 1, &text).await.unwrap();
    assert_eq!(index(events.next().await), 1);
}

#[tokio::test]
async fn subscriptions_are_limited_and_end_with_the_connector() {
    let c = in_memory(EmbeddedOptions {
        max_subscribers: 1,
        ..EmbeddedOptions::default()
    })
    .await;
    let a = c.join("http://a", "a").await.unwrap().address;
    let first = c.subscribe(&a).await.unwrap();
    assert!(c.subscribe(&a).await.is_err());
    drop(first);
    let mut second = c.subscribe(&a).await.unwrap();
    c.close().await;
    assert_eq!(
        second.next().await.unwrap().unwrap_err().kind(),
        PortErrorKind::Unavailable
    );
    assert!(second.next().await.is_none());
    assert!(c.subscribe(&a).await.is_err());
}

#[tokio::test]
async fn a_group_that_cannot_be_stored_fails_whole_and_leaves_nothing() {
    let mut store = Store::open(&RecordFile::InMemory, Durability::Process)
        .await
        .unwrap();
    let record = store.load().await.unwrap();
    // No data block can be stored from here on.
    store.break_data_blocks().await;
    let mut core = Writer::new(
        record,
        store,
        Arc::new(Still),
        Arc::new(Broadcast::new(1, 8, Duration::ZERO)),
        0,
    )
    .unwrap();
    let mut subscription = core.broadcast().subscribe("somebody").unwrap();
    let join = |n: &str| Command::Join {
        url: n.to_owned(),
        name: String::new(),
    };
    let address = match core
        .run_group(vec![join("http://a")])
        .await
        .remove(0)
        .unwrap()
        .answer
    {
        delta_domain::connector_record::Answer::Joined(address) => address,
        other => panic!("{other:?}"),
    };
    let register = Command::RegisterData {
        address,
        name: "d".to_owned(),
        index: 0,
        commitment: String::new(),
    };
    let outcomes = core
        .run_group(vec![
            join("http://b"),
            register,
            Command::Nodes {
                page: 1,
                page_size: 0,
            },
        ])
        .await;
    assert!(
        outcomes
            .iter()
            .all(|o| o.as_ref().unwrap_err().kind() == PortErrorKind::Unavailable)
    );
    let listed = core
        .run_group(vec![Command::Nodes {
            page: 1,
            page_size: 0,
        }])
        .await
        .remove(0)
        .unwrap()
        .answer;
    let delta_domain::connector_record::Answer::Nodes(nodes, 1) = listed else {
        panic!("{listed:?}")
    };
    assert_eq!(nodes[0].url, "http://a");
    drop(core);
    assert!(
        matches!(subscription.next().await, Next::Closed),
        "nothing was published"
    );
}
