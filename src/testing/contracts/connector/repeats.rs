//! Clauses about calls that come twice, the same or not.

use delta_domain::event::NetworkEvent;
use delta_domain::ids::{Address, RoundNumber};
use delta_domain::secagg::seal::ShareKind;
use delta_domain::task::TaskKind;
use delta_ports::connector::{RawPublicKeys, RoundKey};

use super::Subject;
use super::moves::{digest, joined, keys, next, nodes, refused, task};

/// Who repeats a call after a lost answer gets what the first one got.
pub async fn identical_repeats_are_accepted_and_publish_nothing(subject: impl Subject) {
    let c = subject.connector();
    let all: [Address; 2] = nodes(c).await;
    let [a, b] = &all;
    let mut events = c.subscribe(b).await.unwrap();
    let task = task(c, TaskKind::Horizontal, a).await;
    let key = RoundKey {
        kind: TaskKind::Horizontal,
        task: task.clone(),
        round: RoundNumber(1),
    };
    let commitments = all.each_ref().map(|r| (r.clone(), digest(r.as_str())));
    let shares = all
        .each_ref()
        .map(|s| (s.clone(), format!("0x{}", &s.as_str()[2..])));
    let turned = [b.clone(), a.clone()];
    for _ in 0..2 {
        c.start_round(a, &key, None).await.unwrap();
    }
    for member in [a, a, b, b] {
        c.join_round(member, &key, &keys(member)).await.unwrap();
    }
    for u1 in [&all, &all, &turned] {
        c.select_candidates(a, &key, u1).await.unwrap();
    }
    for member in [a, a, b] {
        c.upload_share_commitments(member, &key, ShareKind::SelfMaskSeed, &commitments)
            .await
            .unwrap();
        c.upload_share_commitments(member, &key, ShareKind::MaskKey, &commitments)
            .await
            .unwrap();
    }
    for u2 in [&all, &turned] {
        c.start_calculation(a, &key, u2).await.unwrap();
    }
    for member in [a, a, b] {
        c.upload_result_commitment(member, &key, &digest("y"))
            .await
            .unwrap();
    }
    for u3 in [&all, &turned] {
        c.start_aggregation(a, &key, u3).await.unwrap();
    }
    for member in [a, a, b] {
        c.reveal_shares(member, &key, ShareKind::SelfMaskSeed, &shares)
            .await
            .unwrap();
    }
    for _ in 0..2 {
        c.end_round(a, &key).await.unwrap();
    }
    for _ in 0..2 {
        c.finish_task(key.kind, a, &task).await.unwrap();
    }
    assert_eq!(
        c.round(&key).await.unwrap().unwrap().joined,
        all.each_ref().map(Address::to_string)
    );
    assert_eq!(
        c.share_records(&key, &all, b).await.unwrap()[0]
            .seed
            .as_deref(),
        Some(shares[0].1.as_str())
    );
    let mut heard = Vec::new();
    while heard.last() != Some(&NetworkEvent::TaskFinished { task: task.clone() }) {
        heard.push(next(&mut events).await);
    }
    assert_eq!(heard.len(), 7, "{heard:?}");
    // Nothing came behind the last one either.
    c.register_data(a, "sentinel", 0, &digest("").to_string())
        .await
        .unwrap();
    assert!(matches!(
        next(&mut events).await,
        NetworkEvent::DataRegistered { .. }
    ));
}

/// What is on record does not change.
pub async fn different_repeats_are_refused(subject: impl Subject) {
    let c = subject.connector();
    let all: [Address; 2] = nodes(c).await;
    let [a, b] = &all;
    let key = joined(c, a, &all).await;
    let at = format!("task {} round 1", key.task);
    let other = RawPublicKeys {
        pk1: keys(b).pk1,
        pk2: "another".to_owned(),
    };
    assert_eq!(
        refused(c.join_round(b, &key, &other).await),
        format!("{at} member {b} has already joined")
    );
    c.select_candidates(a, &key, &all).await.unwrap();
    assert_eq!(
        c.public_keys(&key, std::slice::from_ref(b)).await.unwrap(),
        [keys(b)]
    );
    assert_eq!(
        refused(c.select_candidates(a, &key, std::slice::from_ref(a)).await),
        format!("{at} is not in Started status")
    );
    let second = RoundKey {
        round: RoundNumber(2),
        ..key.clone()
    };
    c.start_round(a, &second, None).await.unwrap();
    for key in [&key, &second] {
        if key == &second {
            c.start_round(
                a,
                &RoundKey {
                    round: RoundNumber(3),
                    ..key.clone()
                },
                None,
            )
            .await
            .unwrap();
        }
        let text = format!("task {} round {} already exists", key.task, key.round);
        assert_eq!(
            refused(c.start_round(a, key, None).await),
            text,
            "running, or not the latest"
        );
    }
    let commit = async |text: &str| {
        c.upload_share_commitments(
            a,
            &key,
            ShareKind::SelfMaskSeed,
            &[(b.clone(), digest(text))],
        )
        .await
    };
    commit("first").await.unwrap();
    assert_eq!(
        refused(commit("second").await),
        format!("{at} member {a} has already uploaded another commitment for a receiver")
    );
    commit("first").await.unwrap();
    c.start_calculation(a, &key, &all).await.unwrap();
    c.upload_result_commitment(a, &key, &digest("y"))
        .await
        .unwrap();
    assert_eq!(
        refused(c.upload_result_commitment(a, &key, &digest("z")).await),
        format!("{at} member {a} has already uploaded another result commitment")
    );
    assert_eq!(
        c.result_commitment(&key, a).await.unwrap(),
        Some(digest("y").to_string())
    );
}
