//! Calls a second of the embedded connector over gRPC on loopback, one caller, one call after the other, record on disk.
//!
//! Printed beside what the reference reached (delta-chain-connector 0.8.3, measured on another day on a busy machine, so compare
//! orders of magnitude). `CONNECTOR_BENCH_DIR` says where the record is kept, by default the build directory.
//! `cargo bench --no-default-features --bench connector`

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    missing_docs
)]

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use delta_node::adapters::connector::{Durability, EmbeddedConnector, EmbeddedOptions, RecordFile};
use delta_node::adapters::grpc::{Door, GrpcConnector, GrpcOptions, serve};
use delta_node::domain::ids::{Address, Digest, RoundNumber};
use delta_node::domain::task::TaskKind;
use delta_node::domain::time::Timestamp;
use delta_node::ports::clock::Clock;
use delta_node::ports::connector::{Connector, NewTask, RawPublicKeys, RoundKey};

struct WallClock;

#[async_trait]
impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "the bench is its own clock")]
    fn now(&self) -> Timestamp {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        Timestamp(u64::try_from(now.as_millis()).unwrap())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

fn main() {
    // `cargo test --benches` only checks that it starts.
    if !std::env::args().any(|a| a == "--bench") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let base = std::env::var("CONNECTOR_BENCH_DIR")
        .unwrap_or_else(|_| env!("CARGO_TARGET_TMPDIR").to_owned());
    for durability in [Durability::Process, Durability::PowerLoss] {
        let folder = tempfile::tempdir_in(&base).unwrap();
        println!("{durability:?}, {}", folder.path().display());
        runtime.block_on(measure(
            RecordFile::OnDisk(folder.path().join("connector.db")),
            durability,
        ));
    }
}

async fn measure(file: RecordFile, durability: Durability) {
    let options = EmbeddedOptions {
        durability,
        ..EmbeddedOptions::default()
    };
    let embedded = EmbeddedConnector::open(&file, Arc::new(WallClock), options)
        .await
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = embedded.clone();
    let door = Door::new(true, Arc::new(WallClock));
    tokio::spawn(
        async move { serve(Arc::new(served), door, listener, std::future::pending()).await },
    );
    let c = GrpcConnector::new("127.0.0.1", port, GrpcOptions::default()).unwrap();

    let owner = c.join("http://owner", "owner").await.unwrap().address;
    let mut members = Vec::new();
    for i in 0..500 {
        members.push(c.join(&format!("http://m{i}"), "m").await.unwrap().address);
    }
    println!(
        "  {:<32} {:>9} {:>10} {:>10}   reference: disk, tmpfs",
        "call", "calls/s", "p50", "p99"
    );
    time("Join (existing node)", "51, 413", 500, async |_| {
        drop(c.join("http://owner", "").await.unwrap())
    })
    .await;
    let task = NewTask {
        owner: owner.clone(),
        dataset: "d".to_owned(),
        commitment: Digest::of(b"task"),
        kind: TaskKind::Horizontal,
        enable_verify: false,
        tolerance: 0,
    };
    time("CreateTask", "48, 333", 500, async |_| {
        drop(c.create_task(&task).await.unwrap())
    })
    .await;
    let created = c.create_task(&task).await.unwrap().task;
    let key = RoundKey {
        kind: TaskKind::Horizontal,
        task: created,
        round: RoundNumber(1),
    };
    c.start_round(&owner, &key, None).await.unwrap();
    let keys = |a: &Address| RawPublicKeys {
        pk1: format!("0x02{0}{0}", &a.as_str()[8..]),
        pk2: format!("0x03{0}{0}", &a.as_str()[8..]),
    };
    time("JoinRound", "59, 280", members.len(), async |i| {
        drop(
            c.join_round(&members[i], &key, &keys(&members[i]))
                .await
                .unwrap(),
        );
    })
    .await;
    c.select_candidates(&owner, &key, &members).await.unwrap();
    for (n, reference) in [(1, "310, 366"), (10, "291, 367"), (100, "162, 159")] {
        let of = &members[..n];
        time(
            &format!("GetClientPublickKeys of {n}"),
            reference,
            500,
            async |_| drop(c.public_keys(&key, of).await.unwrap()),
        )
        .await;
    }
    embedded.close().await;
}

async fn time(name: &str, reference: &str, count: usize, mut call: impl AsyncFnMut(usize)) {
    let mut each = Vec::with_capacity(count);
    let begun = Instant::now();
    for i in 0..count {
        let one = Instant::now();
        call(i).await;
        each.push(one.elapsed());
    }
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    each.sort_unstable();
    let (p50, p99) = (each[count / 2], each[count * 99 / 100]);
    println!("  {name:<32} {rate:>9.0} {p50:>10.2?} {p99:>10.2?}   {reference}");
}
