//! Clauses about what is not on record: it reads as a value on every connector, whatever it says on the wire.

use std::time::Duration;

use delta_domain::ids::{Address, RoundNumber, TaskId};
use delta_domain::task::TaskKind;
use delta_ports::connector::{RawShareRecord, RoundKey, ShareKind, UNTOLD};

use super::Subject;
use super::moves::{digest, each, joined_by, keys_of, task};

fn nobody() -> Address {
    "0x1111111111111111111111111111111111111111"
        .parse()
        .unwrap()
}

/// Nodes, data, tasks, rounds, results: none is an error.
pub async fn what_is_not_there_is_none(subject: impl Subject) {
    let [a, b] = each(&subject).await;
    let c = subject.node(0);
    let id: TaskId = format!("0x{}", "0".repeat(64)).parse().unwrap();
    let kind = TaskKind::Horizontal;
    let none = RoundKey {
        kind,
        task: id.clone(),
        round: RoundNumber(3),
    };
    assert_eq!(c.node(&nobody()).await.unwrap(), None);
    assert_eq!(c.node(&a).await.unwrap().unwrap().url, "http://n0");
    for name in ["d", "node of address x is not alive"] {
        assert_eq!(c.data_commitment(&a, name, 0).await.unwrap(), None);
    }
    for kind in [kind, TaskKind::Hlr] {
        assert_eq!(c.task(kind, &id).await.unwrap(), None);
    }
    assert_eq!(c.round(&none).await.unwrap(), None);
    assert_eq!(c.weight_commitment(&id, none.round).await.unwrap(), None);
    let key = joined_by(&subject, std::slice::from_ref(&a)).await;
    let second = RoundKey {
        round: RoundNumber(2),
        ..key.clone()
    };
    assert_eq!(c.round(&second).await.unwrap(), None);
    for (key, member) in [(&none, &a), (&key, &a), (&key, &b), (&second, &a)] {
        assert_eq!(c.result_commitment(key, member).await.unwrap(), None);
    }
    c.leave(&a).await.unwrap();
    assert_eq!(c.node(&a).await.unwrap(), None);
}

/// Also the zeros of a place that was jumped over, where there is such a thing.
pub async fn data_that_nobody_has_registered_are_none(subject: impl Subject) {
    let [a] = each(&subject).await;
    let (c, text) = (subject.node(0), digest("d").to_string());
    c.register_data(&a, "d", 2, &text).await.unwrap();
    for index in [0, 1, 3] {
        assert_eq!(c.data_commitment(&a, "d", index).await.unwrap(), None);
    }
    assert_eq!(c.data_commitment(&a, "d", 2).await.unwrap(), Some(text));
    subject.pass(Duration::from_secs(200));
    assert_eq!(c.node(&a).await.unwrap(), None, "it has lapsed");
}

/// A round without weights has none, however that is written.
pub async fn a_round_without_weights_has_none(subject: impl Subject) {
    let [a] = each(&subject).await;
    let c = subject.node(0);
    let task = task(c, TaskKind::Hlr, &a).await;
    for (number, weights) in [(1, None), (2, Some(digest("weights")))] {
        let key = RoundKey {
            kind: TaskKind::Hlr,
            task: task.clone(),
            round: RoundNumber(number),
        };
        c.start_round(&a, &key, weights.as_ref()).await.unwrap();
        let text = weights.map(|digest| digest.to_string());
        let said = c.weight_commitment(&task, key.round).await.unwrap();
        assert_eq!(said, text);
    }
}

/// Pair by pair: one sender without commitments hides no other one's.
pub async fn shares_are_told_pair_by_pair(subject: impl Subject) {
    let [a, b] = each(&subject).await;
    let all = [a.clone(), b.clone()];
    let key = joined_by(&subject, &all).await;
    let c = subject.node(0);
    let records = async |senders: &[Address], receiver: &Address| {
        let records = c.share_records(&key, senders, receiver).await;
        records.unwrap()
    };
    c.select_candidates(&a, &key, &all).await.unwrap();
    let nothing = RawShareRecord::default;
    assert_eq!(records(&all, &a).await, [nothing(), nothing()]);
    assert_eq!(records(&[nobody()], &a).await, [nothing()]);
    assert_eq!(records(&all, &nobody()).await, [nothing(), nothing()]);
    let (seed, secret) = (digest("seed"), digest("key"));
    let upload = async |kind, commitment| {
        let list = [(a.clone(), commitment)];
        let done = c.upload_share_commitments(&a, &key, kind, &list).await;
        done.unwrap();
    };
    upload(ShareKind::SelfMaskSeed, seed).await;
    let told = records(&all, &a).await;
    assert_eq!(
        (&told[0].secret_key_commitment, &told[1]),
        (&None, &nothing())
    );
    let said = told[0].seed_commitment.clone().unwrap();
    assert!(said == seed.to_string() || said == UNTOLD, "{said}");
    upload(ShareKind::MaskKey, secret).await;
    let record = RawShareRecord {
        seed_commitment: Some(seed.to_string()),
        secret_key_commitment: Some(secret.to_string()),
        ..nothing()
    };
    assert_eq!(records(&all, &a).await, [record, nothing()]);
    let keys = c.public_keys(&key, &all).await.unwrap();
    assert_eq!(keys, all.each_ref().map(keys_of));
}
