//! What can be done to the connector in memory. Its rules are tested by `tests/contract_connector.rs`.

use tokio::time::Instant;

use super::*;
use crate::PausedClock;
use delta_domain::event::NetworkEvent;
use delta_domain::ids::RoundNumber;
use delta_domain::task::TaskKind;
use delta_domain::time::Timestamp;
use delta_ports::connector::{Connector as _, EventStream, NewTask, RoundKey};

fn connector() -> MemoryConnector {
    MemoryConnector::new(Arc::new(PausedClock::new(Timestamp(1_700_000_000_000))), 1)
}

async fn register(c: &MemoryConnector, owner: &Address, indices: impl IntoIterator<Item = i32>) {
    for index in indices {
        c.register_data(owner, "d", index, &Digest::of(b"").to_string())
            .await
            .unwrap();
    }
}

/// The indices of the events that are there, until the stream is cut.
async fn heard(c: &MemoryConnector, address: &Address, mut stream: EventStream) -> Vec<i32> {
    c.cut(address);
    let mut indices = Vec::new();
    while let Some(Ok(event)) = stream.next().await {
        let NetworkEvent::DataRegistered { index, .. } = event else {
            panic!("{event:?}")
        };
        indices.push(index);
    }
    indices
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_has_no_effect_and_a_lost_answer_has() {
    let c = connector();
    c.fail_next("connector.join", When::Before, PortErrorKind::Unavailable);
    assert_eq!(
        c.join("http://a", "a").await.unwrap_err().kind(),
        PortErrorKind::Unavailable
    );
    assert_eq!(c.nodes(1, 0).await.unwrap().total, 0);
    c.fail_next("connector.join", When::After, PortErrorKind::Timeout);
    assert_eq!(
        c.handle()
            .join("http://b", "b")
            .await
            .unwrap()
            .address
            .as_str()
            .len(),
        42,
        "another handle is not hit"
    );
    assert_eq!(
        c.join("http://a", "a").await.unwrap_err().kind(),
        PortErrorKind::Timeout
    );
    assert_eq!(c.nodes(1, 0).await.unwrap().total, 2);
    assert_eq!(c.faults().pending(), 0);
}

#[tokio::test(start_paused = true)]
async fn events_are_lost_doubled_and_swapped_for_one_subscriber_only() {
    let c = connector();
    let a = c.join("http://a", "a").await.unwrap().address;
    let b = c.join("http://b", "b").await.unwrap().address;
    let (of_a, of_b) = (
        c.subscribe(&a).await.unwrap(),
        c.subscribe(&b).await.unwrap(),
    );
    c.disturb(
        &a,
        [
            EventFault::Drop,
            EventFault::Duplicate,
            EventFault::Pass,
            EventFault::Swap,
        ],
    );
    register(&c, &a, 0..6).await;
    assert_eq!(heard(&c, &a, of_a).await, [1, 1, 2, 4, 3, 5]);
    assert_eq!(heard(&c, &b, of_b).await, [0, 1, 2, 3, 4, 5]);
    assert_eq!(c.history().len(), 6);
    assert_eq!(c.subscriptions(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_delayed_event_comes_exactly_that_much_later() {
    let c = connector();
    let a = c.join("http://a", "a").await.unwrap().address;
    let mut stream = c.subscribe(&a).await.unwrap();
    let begun = Instant::now();
    c.disturb(&a, [EventFault::Delay(Duration::from_secs(40))]);
    register(&c, &a, 0..2).await;
    for _ in 0..2 {
        stream.next().await.unwrap().unwrap();
        assert_eq!(begun.elapsed().as_secs(), 40);
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_ends_subscriptions_and_keeps_the_record() {
    let c = connector();
    let a = c.join("http://a", "a").await.unwrap().address;
    let mut stream = c.subscribe(&a).await.unwrap();
    c.set_down(true);
    assert!(stream.next().await.unwrap().is_err() && stream.next().await.is_none());
    assert_eq!(
        c.node(&a).await.unwrap_err().kind(),
        PortErrorKind::Unavailable
    );
    assert!(c.subscribe(&a).await.is_err());
    c.set_down(false);
    assert!(c.node(&a).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn lies_about_keys_are_told_to_everybody() {
    let c = connector();
    let a = c.join("http://a", "a").await.unwrap().address;
    let (owner, dataset, commitment) = (a.clone(), String::new(), Digest::of(b""));
    let task = NewTask {
        owner,
        dataset,
        commitment,
        kind: TaskKind::Horizontal,
        enable_verify: false,
        tolerance: 0,
    };
    let task = c.create_task(&task).await.unwrap().task;
    let key = RoundKey {
        kind: TaskKind::Horizontal,
        task,
        round: RoundNumber(1),
    };
    c.start_round(&a, &key, None).await.unwrap();
    let told = |text: &str| RawPublicKeys {
        pk1: text.to_owned(),
        pk2: text.to_owned(),
    };
    c.join_round(&a, &key, &told("truth")).await.unwrap();
    c.select_candidates(&a, &key, std::slice::from_ref(&a))
        .await
        .unwrap();
    assert_eq!(
        c.public_keys(&key, std::slice::from_ref(&a)).await.unwrap(),
        [told("truth")]
    );
    c.lie_about_keys(&a, told("lie"));
    assert_eq!(
        c.public_keys(&key, std::slice::from_ref(&a)).await.unwrap(),
        [told("lie")]
    );
}

#[tokio::test(start_paused = true)]
async fn unreadable_events_are_skipped() {
    let c = connector();
    let a = c.join("http://a", "a").await.unwrap().address;
    let stream = c.subscribe(&a).await.unwrap();
    let task = format!("0x{}", "0".repeat(64));
    c.forge(RecordEvent::RoundStarted {
        task: task.clone(),
        round: -1,
    });
    c.forge(RecordEvent::PartnerSelected {
        task,
        round: 1,
        addrs: vec![a.to_string(), "0x../..".to_owned()],
    });
    c.forge(RecordEvent::TaskFinished {
        task: "nonsense".to_owned(),
    });
    register(&c, &a, [7]).await;
    assert_eq!(heard(&c, &a, stream).await, [7]);
}

#[tokio::test(start_paused = true)]
async fn a_seed_repeats_its_ids() {
    let run = || async { connector().join("http://a", "a").await.unwrap().tx_hash };
    assert_eq!(run().await, run().await);
}
