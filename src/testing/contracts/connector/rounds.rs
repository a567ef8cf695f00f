//! Clauses about rounds: phases, owners, lists, and calls at the same time.

use delta_domain::event::NetworkEvent;
use delta_domain::ids::{Address, Digest, RoundNumber};
use delta_domain::secagg::seal::ShareKind;
use delta_domain::task::TaskKind;
use delta_ports::connector::{RawShareRecord, RoundKey, RoundStatus};
use futures_util::future::join_all;

use super::Subject;
use super::moves::{digest, joined, keys, next, nodes, refused, task};

/// Four join, three are selected, two calculate to the end.
pub async fn a_round_with_dropouts_goes_through_all_phases(subject: impl Subject) {
    for kind in [TaskKind::Horizontal, TaskKind::Hlr] {
        let c = subject.connector();
        let all: [Address; 4] = nodes(c).await;
        let [a, b, d, _] = &all;
        let mut events = c.subscribe(a).await.unwrap();
        let task = task(c, kind, a).await;
        let round = RoundNumber(1);
        let key = RoundKey {
            kind,
            task: task.clone(),
            round,
        };
        c.start_round(a, &key, Some(&digest("weights")))
            .await
            .unwrap();
        if kind == TaskKind::Hlr {
            assert_eq!(
                c.weight_commitment(&task, round).await.unwrap(),
                Some(digest("weights").to_string())
            );
        }
        for member in &all {
            c.join_round(member, &key, &keys(member)).await.unwrap();
        }
        let selected = [d.clone(), a.clone(), b.clone()];
        c.select_candidates(a, &key, &selected).await.unwrap();
        assert_eq!(
            c.public_keys(&key, &selected).await.unwrap(),
            selected.each_ref().map(keys)
        );

        for share_kind in [ShareKind::SelfMaskSeed, ShareKind::MaskKey] {
            for sender in &selected {
                let commitments: Vec<(Address, Digest)> = selected
                    .iter()
                    .map(|r| (r.clone(), commitment(share_kind, sender, r)))
                    .collect();
                c.upload_share_commitments(sender, &key, share_kind, &commitments)
                    .await
                    .unwrap();
            }
        }
        c.start_calculation(a, &key, &[a.clone(), b.clone(), d.clone()])
            .await
            .unwrap();
        for member in [a, b] {
            c.upload_result_commitment(member, &key, &digest(member.as_str()))
                .await
                .unwrap();
        }
        assert_eq!(
            c.result_commitment(&key, b).await.unwrap(),
            Some(digest(b.as_str()).to_string())
        );
        let survivors = [b.clone(), a.clone()];
        c.start_aggregation(a, &key, &survivors).await.unwrap();
        for receiver in &survivors {
            let seeds = survivors
                .each_ref()
                .map(|s| (s.clone(), format!("seed {s} {receiver}")));
            c.reveal_shares(receiver, &key, ShareKind::SelfMaskSeed, &seeds)
                .await
                .unwrap();
            let dropped = [(d.clone(), format!("key {d} {receiver}"))];
            c.reveal_shares(receiver, &key, ShareKind::MaskKey, &dropped)
                .await
                .unwrap();
            let both_of_one = c
                .reveal_shares(receiver, &key, ShareKind::SelfMaskSeed, &dropped)
                .await;
            assert_eq!(
                refused(both_of_one),
                format!("task {task} round 1 some senders doesn't exist")
            );
        }
        let records = c
            .share_records(&key, &[d.clone(), b.clone()], a)
            .await
            .unwrap();
        let committed = |kind, s| Some(commitment(kind, s, a).to_string());
        let expected = |s, seed: Option<String>, secret_key: Option<String>| RawShareRecord {
            seed,
            seed_commitment: committed(ShareKind::SelfMaskSeed, s),
            secret_key,
            secret_key_commitment: committed(ShareKind::MaskKey, s),
        };
        assert_eq!(records[0], expected(d, None, Some(format!("key {d} {a}"))));
        assert_eq!(records[1], expected(b, Some(format!("seed {b} {a}")), None));
        c.end_round(a, &key).await.unwrap();
        let record = c.round(&key).await.unwrap().unwrap();
        assert_eq!(record.status, RoundStatus::Finished);
        assert_eq!(record.joined, all.each_ref().map(Address::to_string));
        let finished = if kind == TaskKind::Hlr {
            vec![a.to_string(), b.to_string()]
        } else {
            Vec::new()
        };
        assert_eq!(record.finished, finished);
        c.finish_task(kind, a, &task).await.unwrap();

        assert!(matches!(
            next(&mut events).await,
            NetworkEvent::TaskCreated { .. }
        ));
        assert_eq!(
            next(&mut events).await,
            NetworkEvent::RoundStarted {
                task: task.clone(),
                round
            }
        );
        assert_eq!(
            next(&mut events).await,
            NetworkEvent::PartnerSelected {
                task: task.clone(),
                round,
                members: selected.to_vec()
            }
        );
        let members = vec![a.clone(), b.clone(), d.clone()];
        assert_eq!(
            next(&mut events).await,
            NetworkEvent::CalculationStarted {
                task: task.clone(),
                round,
                members
            }
        );
        let members = survivors.to_vec();
        assert_eq!(
            next(&mut events).await,
            NetworkEvent::AggregationStarted {
                task: task.clone(),
                round,
                members
            }
        );
        assert_eq!(
            next(&mut events).await,
            NetworkEvent::RoundEnded {
                task: task.clone(),
                round
            }
        );
        assert_eq!(next(&mut events).await, NetworkEvent::TaskFinished { task });
    }
}

/// A member who calls as the owner is told that there is no such task.
pub async fn only_the_owner_moves_a_task(subject: impl Subject) {
    let c = subject.connector();
    let all: [Address; 2] = nodes(c).await;
    let [a, b] = &all;
    let key = joined(c, a, &all).await;
    let no_round = format!("task {} round 1 doesn't exist", key.task);
    assert_eq!(
        refused(c.start_round(b, &key, None).await),
        format!("task of id {} doesn't exist", key.task)
    );
    assert_eq!(
        refused(c.finish_task(key.kind, b, &key.task).await),
        format!("task {} doesn't exist", key.task)
    );
    assert_eq!(refused(c.select_candidates(b, &key, &all).await), no_round);
    c.select_candidates(a, &key, &all).await.unwrap();
    assert_eq!(refused(c.start_calculation(b, &key, &all).await), no_round);
    c.start_calculation(a, &key, &all).await.unwrap();
    assert_eq!(refused(c.start_aggregation(b, &key, &all).await), no_round);
    c.start_aggregation(a, &key, &all).await.unwrap();
    assert_eq!(refused(c.end_round(b, &key).await), no_round);
    assert_eq!(
        c.round(&key).await.unwrap().unwrap().status,
        RoundStatus::Aggregating
    );
    let record = c.task(key.kind, &key.task).await.unwrap();
    assert!(!record.unwrap().finished);
}

/// No round, no member, no list.
pub async fn a_finished_task_takes_nothing_more(subject: impl Subject) {
    let c = subject.connector();
    let all: [Address; 2] = nodes(c).await;
    let [a, b] = &all;
    let key = joined(c, a, std::slice::from_ref(a)).await;
    c.finish_task(key.kind, a, &key.task).await.unwrap();
    let text = format!("task {} is already finished", key.task);
    let second = RoundKey {
        round: RoundNumber(2),
        ..key.clone()
    };
    assert_eq!(refused(c.start_round(a, &second, None).await), text);
    assert_eq!(refused(c.join_round(b, &key, &keys(b)).await), text);
    assert_eq!(
        refused(c.select_candidates(a, &key, std::slice::from_ref(a)).await),
        text
    );
}

/// And hold nobody who is unknown.
pub async fn lists_are_neither_empty_nor_repeated(subject: impl Subject) {
    let c = subject.connector();
    let all: [Address; 2] = nodes(c).await;
    let [a, b] = &all;
    let key = joined(c, a, &all).await;
    let at = format!("task {} round 1", key.task);
    let twice = [a.clone(), b.clone(), a.clone()];
    assert_eq!(
        refused(c.select_candidates(a, &key, &[]).await),
        format!("{at} the list of clients is empty")
    );
    assert_eq!(
        refused(c.select_candidates(a, &key, &twice).await),
        format!("{at} a client is listed twice")
    );
    let stranger: Address = "0x1111111111111111111111111111111111111111"
        .parse()
        .unwrap();
    assert_eq!(
        refused(
            c.select_candidates(a, &key, std::slice::from_ref(&stranger))
                .await
        ),
        format!("client {stranger} is invalid")
    );
    assert_eq!(
        c.round(&key).await.unwrap().unwrap().status,
        RoundStatus::Started
    );
    c.select_candidates(a, &key, &all).await.unwrap();
    let upload = async |receivers: &[&Address]| {
        let commitments: Vec<_> = receivers
            .iter()
            .map(|r| ((*r).clone(), digest("s")))
            .collect();
        c.upload_share_commitments(a, &key, ShareKind::MaskKey, &commitments)
            .await
    };
    assert_eq!(
        refused(upload(&[]).await),
        format!("{at} the list of receivers is empty")
    );
    assert_eq!(
        refused(upload(&[b, b]).await),
        format!("{at} some receivers doesn't exist")
    );
    assert_eq!(
        refused(c.start_calculation(a, &key, &[]).await),
        format!("{at} the list of clients is empty")
    );
    let keys_of_twice = c.public_keys(&key, &twice).await;
    assert_eq!(
        refused(keys_of_twice),
        format!("{at} some member in clients doesn't exist")
    );
}

/// Of lists published at the same time exactly one is taken.
pub async fn one_of_two_concurrent_selections_wins(subject: impl Subject) {
    let c = subject.connector();
    let all: [Address; 2] = nodes(c).await;
    let [a, b] = &all;
    let key = joined(c, a, &all).await;
    let lists = [vec![a.clone()], vec![b.clone()], vec![a.clone(), b.clone()]];
    let outcomes = join_all(lists.iter().map(|list| c.select_candidates(a, &key, list))).await;
    assert_eq!(
        outcomes.iter().filter(|o| o.is_ok()).count(),
        1,
        "{outcomes:?}"
    );
    let winner = outcomes.iter().position(Result::is_ok).unwrap();
    let losers_only: Vec<_> = all
        .iter()
        .filter(|m| !lists[winner].contains(m))
        .cloned()
        .collect();
    assert_eq!(
        c.public_keys(&key, &lists[winner]).await.unwrap().len(),
        lists[winner].len()
    );
    if !losers_only.is_empty() {
        refused(c.public_keys(&key, &losers_only).await);
    }
}

/// Events come to all in the order of the record.
pub async fn every_subscriber_hears_the_same_order(subject: impl Subject) {
    let c = subject.connector();
    let [a, b] = nodes(c).await;
    let mut first = c.subscribe(&a).await.unwrap();
    let mut second = c.subscribe(&b).await.unwrap();
    let count = 24;
    let commitment = digest("d").to_string();
    let calls =
        (0..count).map(|i| c.register_data(if i % 2 == 0 { &a } else { &b }, "d", i, &commitment));
    for outcome in join_all(calls).await {
        outcome.unwrap();
    }
    let mut seen = Vec::new();
    for _ in 0..count {
        let event = next(&mut first).await;
        assert_eq!(event, next(&mut second).await);
        let NetworkEvent::DataRegistered { index, .. } = event else {
            panic!("another event")
        };
        seen.push(index);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..count).collect::<Vec<_>>());
}

fn commitment(kind: ShareKind, sender: &Address, receiver: &Address) -> Digest {
    digest(&format!("{kind:?} {sender} {receiver}"))
}
