//! What can be seen of the chain in memory: when calls answer, what is taken back, what is lost with a link.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use tokio::time::Instant;

use super::*;
use crate::{EventFault, PausedClock, When};
use delta_domain::event::NetworkEvent;
use delta_domain::ids::{Address, Digest, RoundNumber, encode_hex};
use delta_domain::task::TaskKind;
use delta_domain::time::Timestamp;
use delta_ports::connector::{
    Connector as _, NewTask, RawPublicKeys, RejectionReason, RoundKey, RoundStatus, ShareKind,
};

const SECOND: Duration = Duration::from_secs(1);

struct World {
    chain: MemoryConnector,
    nodes: Vec<MemoryConnector>,
    addresses: Vec<Address>,
    began: Instant,
}

/// Two nodes that have joined, and a task of the first with its first round begun.
async fn world(block: u64) -> (World, RoundKey) {
    let clock = Arc::new(PausedClock::new(Timestamp(1_700_000_000_000)));
    let chain = MemoryConnector::on_chain(clock, 1, ChainOptions::every(block));
    let nodes: Vec<_> = (0..2).map(|_| chain.handle()).collect();
    let joins = nodes.iter().map(|node| node.join("http://n", "n"));
    let joined = join_all(joins).await.into_iter();
    let addresses: Vec<_> = joined.map(|j| j.unwrap().address).collect();
    let task = nodes[0].create_task(&task_of(&addresses[0])).await.unwrap();
    let key = RoundKey {
        kind: TaskKind::Horizontal,
        task: task.task,
        round: RoundNumber(1),
    };
    nodes[0]
        .start_round(&addresses[0], &key, None)
        .await
        .unwrap();
    let world = World {
        chain,
        nodes,
        addresses,
        began: Instant::now(),
    };
    (world, key)
}

fn task_of(owner: &Address) -> NewTask {
    NewTask {
        owner: owner.clone(),
        dataset: "d".to_owned(),
        commitment: Digest::of(b"task"),
        kind: TaskKind::Horizontal,
        enable_verify: false,
        tolerance: 0,
    }
}

fn keys(text: &str) -> RawPublicKeys {
    RawPublicKeys {
        pk1: encode_hex(text.as_bytes()),
        pk2: encode_hex(text.as_bytes()),
    }
}

#[tokio::test(start_paused = true)]
async fn a_wallet_has_one_transaction_in_a_block_and_each_answers_with_its_block() {
    let (world, _) = world(5).await;
    let node = &world.nodes[0];
    let address = &world.addresses[0];
    let commitment = Digest::of(b"").to_string();
    let calls = (0..3).map(|i| node.register_data(address, "d", i, &commitment));
    let others = world.nodes[1].register_data(&world.addresses[1], "d", 0, &commitment);
    let before = world.chain.mined().len();
    let (all, other) = tokio::join!(join_all(calls), others);
    assert!(all.iter().all(Result::is_ok) && other.is_ok());
    assert_eq!(world.began.elapsed(), SECOND * 15);
    let mined = world.chain.mined().split_off(before);
    let first = mined[0].block;
    let mut places: Vec<_> = mined.iter().map(|m| (m.block - first, m.wallet)).collect();
    places.sort_unstable();
    assert_eq!(places, [(0, 0), (0, 1), (1, 0), (2, 0)]);
}

#[tokio::test(start_paused = true)]
async fn without_a_block_time_every_call_answers_at_once() {
    let (world, key) = world(0).await;
    for (node, address) in world.nodes.iter().zip(&world.addresses) {
        node.join_round(address, &key, &keys("k")).await.unwrap();
    }
    assert_eq!(world.began.elapsed(), Duration::ZERO);
    assert_eq!(world.chain.height(), 6);
}

#[tokio::test(start_paused = true)]
async fn what_its_caller_has_given_up_is_mined_and_until_then_absent() {
    let (world, key) = world(12).await;
    let (node, me) = (&world.nodes[1], &world.addresses[1]);
    let keys = keys("k");
    let join = node.join_round(me, &key, &keys);
    assert!(tokio::time::timeout(SECOND, join).await.is_err());
    let joined = async || node.round(&key).await.unwrap().unwrap().joined.len();
    assert_eq!(joined().await, 0);
    tokio::time::sleep(SECOND * 12).await;
    assert_eq!(joined().await, 1);
    assert!(!world.chain.mined().last().unwrap().awaited);
    // And what comes again is taken back: with a whole receipt, which the node's adapter leaves out.
    let again = node.join_round(me, &key, &keys).await.unwrap_err();
    assert_eq!(again.kind(), PortErrorKind::Rejected);
    assert_eq!(again.reason(), Some(RejectionReason::Other));
    assert_eq!(again.message(), "Transaction has been reverted by the EVM");
    let served = node.as_its_process();
    let raw = served.join_round(me, &key, &keys).await.unwrap_err();
    assert!(
        raw.message()
            .starts_with("Transaction has been reverted by the EVM:\n{\n")
    );
    assert!(
        raw.message().contains("\"status\": false"),
        "{}",
        raw.message()
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_lost_is_no_transaction_that_is_lost() {
    let (world, key) = world(5).await;
    let (node, me) = (&world.nodes[1], &world.addresses[1]);
    node.fail_next("connector.join_round", When::After, PortErrorKind::Timeout);
    let lost = node.join_round(me, &key, &keys("k")).await.unwrap_err();
    assert_eq!(lost.kind(), PortErrorKind::Timeout);
    node.trouble_next("connector.node", ChainTrouble::Nonce);
    let nonce = node.node(me).await.unwrap_err();
    assert_eq!(nonce.kind(), PortErrorKind::Unavailable);
    tokio::time::sleep(SECOND * 5).await;
    let joined = node.round(&key).await.unwrap().unwrap().joined;
    assert_eq!(joined, [me.as_str()]);
}

#[tokio::test(start_paused = true)]
async fn a_cut_link_fails_calls_at_once_and_after_a_while_for_good() {
    let (world, key) = world(5).await;
    let (node, me) = (&world.nodes[1], &world.addresses[1]);
    let mut events = node.subscribe(me).await.unwrap();
    let keys = keys("k");
    let commitment = Digest::of(b"").to_string();
    let join = node.join_round(me, &key, &keys);
    let behind = async {
        tokio::time::sleep(SECOND / 2).await;
        node.register_data(me, "d", 0, &commitment).await
    };
    let cut = async {
        tokio::time::sleep(SECOND).await;
        node.cut_link(Subscriptions::FallSilent);
    };
    let (sent, waited, ()) = tokio::join!(join, behind, cut);
    assert_eq!(sent.unwrap_err().kind(), PortErrorKind::Timeout);
    let waited = waited.unwrap_err();
    assert_eq!(
        waited.message(),
        "Maximum number of reconnect attempts reached!"
    );
    assert_eq!(waited.kind(), PortErrorKind::Unavailable);
    assert_eq!(world.began.elapsed(), SECOND * 17 / 2);
    let asked = node.round(&key).await.unwrap_err();
    assert_eq!(asked.message(), "connection not open on send()");
    assert_eq!(world.began.elapsed(), SECOND * 17 / 2, "at once");
    // The others see that it was mined, and this connector's subscription has slept through an event.
    let other = &world.nodes[0];
    let joined = other.round(&key).await.unwrap().unwrap().joined;
    assert_eq!(joined, [me.as_str()]);
    other
        .select_candidates(&world.addresses[0], &key, std::slice::from_ref(me))
        .await
        .unwrap();
    node.mend_link();
    assert!(node.round(&key).await.is_err(), "it has given its chain up");
    node.restart_connector();
    let round = node.round(&key).await.unwrap().unwrap();
    assert_eq!(round.status, RoundStatus::Running);
    assert!(events.next().await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_cut_for_a_moment_is_found_again() {
    let (world, key) = world(5).await;
    let (node, me) = (&world.nodes[1], &world.addresses[1]);
    let mut events = node.subscribe(me).await.unwrap();
    let keys = keys("k");
    let cut = async {
        tokio::time::sleep(SECOND).await;
        node.cut_link(Subscriptions::FallSilent);
        tokio::time::sleep(SECOND * 6).await;
        node.mend_link();
    };
    let asked = async {
        tokio::time::sleep(SECOND * 2).await;
        node.round(&key).await
    };
    let (sent, asked, ()) = tokio::join!(node.join_round(me, &key, &keys), asked, cut);
    sent.unwrap();
    assert_eq!(asked.unwrap().unwrap().joined, [me.as_str()]);
    assert!(world.began.elapsed() < SECOND * 8);
    node.register_data(me, "d", 0, &Digest::of(b"").to_string())
        .await
        .unwrap();
    let event = events.next().await.unwrap().unwrap();
    assert!(matches!(event, NetworkEvent::DataRegistered { .. }));
}

#[tokio::test(start_paused = true)]
async fn what_is_absent_reads_as_nothing() {
    let (world, key) = world(1).await;
    let ([node, other], [a, b]) = (&world.nodes[..], &world.addresses[..]) else {
        panic!()
    };
    node.join_round(a, &key, &keys("k")).await.unwrap();
    let page = node.nodes(1, 0).await.unwrap();
    assert_eq!((page.nodes.len(), page.total), (0, 2));
    assert!(node.nodes(0, 5).await.is_err(), "an underflow");
    assert_eq!(node.all_nodes().await.unwrap().len(), 2);
    assert_ne!(a.as_str(), a.as_str().to_ascii_lowercase());
    let small: Address = a.as_str().to_ascii_lowercase().parse().unwrap();
    let wrong = node
        .finish_task(key.kind, &small, &key.task)
        .await
        .unwrap_err();
    assert_eq!(
        wrong.message(),
        format!("chain connector node address is not {small}")
    );
    let kept = node
        .share_records(&key, std::slice::from_ref(b), &small)
        .await;
    assert_eq!(kept.unwrap()[0], Default::default());
    // Who leaves and comes again is there twice.
    other.leave(b).await.unwrap();
    other.join("http://n", "n").await.unwrap();
    let page = node.nodes(1, 10).await.unwrap();
    assert_eq!((page.nodes.len(), page.total), (3, 3));
    assert_eq!(node.all_nodes().await.unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn contracts_take_back_what_is_out_of_order() {
    let (world, key) = world(0).await;
    let ([node, other], [a, b]) = (&world.nodes[..], &world.addresses[..]) else {
        panic!()
    };
    let third = RoundKey {
        round: RoundNumber(3),
        ..key.clone()
    };
    assert!(node.start_round(a, &third, None).await.is_err(), "a gap");
    assert!(node.start_round(a, &key, None).await.is_err(), "again");
    let both = [a.clone(), b.clone()];
    assert!(other.select_candidates(b, &key, &both).await.is_err());
    for (node, address) in world.nodes.iter().zip(&both) {
        node.join_round(address, &key, &keys("k")).await.unwrap();
    }
    node.select_candidates(a, &key, &both).await.unwrap();
    node.select_candidates(a, &key, &both).await.unwrap();
    let commitments = [(b.clone(), Digest::of(b"c"))];
    let commit = || node.upload_share_commitments(a, &key, ShareKind::MaskKey, &commitments);
    commit().await.unwrap();
    assert!(commit().await.is_err());
    node.start_calculation(a, &key, &both).await.unwrap();
    assert!(node.start_calculation(a, &key, &both).await.is_err());
    node.start_aggregation(a, &key, &both).await.unwrap();
    let shares = [(a.clone(), "0x0102".to_owned())];
    let reveal = || other.reveal_shares(b, &key, ShareKind::MaskKey, &shares);
    reveal().await.unwrap();
    assert!(reveal().await.is_err());
    // A registration that has lapsed stops nothing but new tasks.
    tokio::time::sleep(SECOND * 200).await;
    assert!(node.create_task(&task_of(a)).await.is_err());
    node.end_round(a, &key).await.unwrap();
    node.finish_task(key.kind, a, &key.task).await.unwrap();
    let taken_back = world.chain.mined().iter().filter(|m| !m.accepted).count();
    assert_eq!(taken_back, 7);
}

#[tokio::test(start_paused = true)]
async fn too_much_for_a_block_is_mined_and_does_nothing() {
    let (world, key) = world(1).await;
    let (node, a) = (&world.nodes[0], &world.addresses[0]);
    node.join_round(a, &key, &keys("k")).await.unwrap();
    node.select_candidates(a, &key, std::slice::from_ref(a))
        .await
        .unwrap();
    let many: Vec<_> = (0..600)
        .map(|i: u32| {
            let address = encode_hex(&Digest::of(&i.to_be_bytes()).0[..20]);
            (address.parse::<Address>().unwrap(), Digest::of(b"c"))
        })
        .collect();
    let upload = node.upload_share_commitments(a, &key, ShareKind::SelfMaskSeed, &many);
    let error = upload.await.unwrap_err();
    assert!(error.message().contains("reverted"), "{error}");
    let last = world.chain.mined().pop().unwrap();
    assert_eq!((last.accepted, last.gas), (false, gas::BLOCK));
    let records = node.share_records(&key, std::slice::from_ref(a), &many[599].0);
    assert_eq!(records.await.unwrap()[0].seed_commitment, None);
    let fewer = node.upload_share_commitments(a, &key, ShareKind::SelfMaskSeed, &many[..500]);
    fewer.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn subscriptions_of_one_connector_feed_each_other() {
    let (world, key) = world(1).await;
    let (node, a) = (&world.nodes[0], &world.addresses[0]);
    let mut both = [
        node.subscribe(a).await.unwrap(),
        node.subscribe(a).await.unwrap(),
    ];
    let mut alone = world.nodes[1].subscribe(&world.addresses[1]).await.unwrap();
    world.nodes[1].disturb(&world.addresses[1], [EventFault::Pass]);
    node.finish_task(key.kind, a, &key.task).await.unwrap();
    world.chain.set_down(true);
    for (stream, times) in both.iter_mut().map(|s| (s, 2)).chain([(&mut alone, 1)]) {
        for _ in 0..times {
            let event = stream.next().await.unwrap().unwrap();
            assert!(matches!(event, NetworkEvent::TaskFinished { .. }));
        }
        assert!(stream.next().await.unwrap().is_err());
    }
}
