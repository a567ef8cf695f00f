//! Clauses about what stands on record once, and how a node learns that it does.

use delta_domain::event::NetworkEvent;
use delta_domain::ids::Address;
use delta_domain::secagg::seal::ShareKind;
use delta_ports::PortErrorKind;
use delta_ports::connector::RoundStatus;

use super::Subject;
use super::moves::{digest, each, joined_by, keys_of, next};

/// Whoever repeats a statement is accepted or refused, and in both cases finds it on record once.
pub async fn what_is_said_twice_stands_once_and_is_found(subject: impl Subject) {
    let [a, b] = each(&subject).await;
    let all = [a.clone(), b.clone()];
    let key = joined_by(&subject, &all).await;
    let (lead, member) = (subject.node(0), subject.node(1));
    let settled = |repeat: Result<_, delta_ports::PortError>| {
        if let Err(e) = repeat {
            assert_eq!(e.kind(), PortErrorKind::Rejected, "{e}");
        }
    };
    settled(member.join_round(&b, &key, &keys_of(&b)).await);
    settled(lead.start_round(&a, &key, None).await);
    let joined = lead.round(&key).await.unwrap().unwrap().joined;
    assert_eq!(joined, all.each_ref().map(Address::to_string));
    lead.select_candidates(&a, &key, &all).await.unwrap();
    settled(lead.select_candidates(&a, &key, &all).await);
    let list = all.each_ref().map(|r| (r.clone(), digest(r.as_str())));
    for kind in [ShareKind::SelfMaskSeed, ShareKind::MaskKey] {
        for (node, me) in [(lead, &a), (member, &b)] {
            let upload = || node.upload_share_commitments(me, &key, kind, &list);
            upload().await.unwrap();
            settled(upload().await);
        }
    }
    lead.start_calculation(&a, &key, &all).await.unwrap();
    settled(lead.start_calculation(&a, &key, &all).await);
    for (node, me) in [(lead, &a), (member, &b)] {
        let upload = || node.upload_result_commitment(me, &key, &list[0].1);
        upload().await.unwrap();
        settled(upload().await);
    }
    lead.start_aggregation(&a, &key, &all).await.unwrap();
    settled(lead.start_aggregation(&a, &key, &all).await);
    let shares = all.each_ref().map(|s| (s.clone(), "0x0102".to_owned()));
    let reveal = || member.reveal_shares(&b, &key, ShareKind::SelfMaskSeed, &shares);
    reveal().await.unwrap();
    settled(reveal().await);
    let records = lead.share_records(&key, &all, &b).await.unwrap();
    let said = records[1].clone();
    assert_eq!(said.seed_commitment, Some(digest(b.as_str()).to_string()));
    assert_eq!(
        (said.seed.as_deref(), said.secret_key),
        (Some("0x0102"), None)
    );
    let result = member.result_commitment(&key, &b).await.unwrap();
    assert_eq!(result, Some(list[0].1.to_string()));
    lead.end_round(&a, &key).await.unwrap();
    settled(lead.end_round(&a, &key).await);
    lead.finish_task(key.kind, &a, &key.task).await.unwrap();
    settled(lead.finish_task(key.kind, &a, &key.task).await);
    let round = member.round(&key).await.unwrap().unwrap();
    assert_eq!(round.status, RoundStatus::Finished);
    let task = member.task(key.kind, &key.task).await.unwrap().unwrap();
    assert!(task.finished);
}

/// Nobody but the owner moves a round or a task, and a member that has not joined is not selected.
pub async fn a_round_is_moved_by_its_owner_alone(subject: impl Subject) {
    let [a, b] = each(&subject).await;
    let all = [a.clone(), b.clone()];
    let key = joined_by(&subject, &all[..1]).await;
    let (lead, member) = (subject.node(0), subject.node(1));
    let refused = |outcome: Result<_, delta_ports::PortError>| {
        assert_eq!(outcome.unwrap_err().kind(), PortErrorKind::Rejected);
    };
    refused(member.select_candidates(&b, &key, &all[..1]).await);
    refused(lead.select_candidates(&a, &key, &all).await);
    refused(lead.select_candidates(&a, &key, &[]).await);
    refused(lead.start_calculation(&a, &key, &all[..1]).await);
    refused(member.end_round(&b, &key).await);
    refused(member.finish_task(key.kind, &b, &key.task).await);
    let round = lead.round(&key).await.unwrap().unwrap();
    assert_eq!(round.status, RoundStatus::Started);
}

/// Every node hears what any of them caused, in the order of the record.
pub async fn events_come_to_every_node_in_one_order(subject: impl Subject) {
    let [a, b] = each(&subject).await;
    let mut streams = [
        subject.node(0).subscribe(&a).await.unwrap(),
        subject.node(1).subscribe(&b).await.unwrap(),
    ];
    let all = [a.clone(), b.clone()];
    let key = joined_by(&subject, &all).await;
    let lead = subject.node(0);
    lead.select_candidates(&a, &key, &all).await.unwrap();
    lead.finish_task(key.kind, &a, &key.task).await.unwrap();
    let (task, round) = (key.task.clone(), key.round);
    for stream in &mut streams {
        let created = next(stream).await;
        let NetworkEvent::TaskCreated { owner, url, .. } = &created else {
            panic!("{created:?}")
        };
        assert_eq!((owner, url.as_str()), (&a, "http://n0"));
        let (task, members) = (task.clone(), all.to_vec());
        let expected = [
            NetworkEvent::RoundStarted {
                task: task.clone(),
                round,
            },
            NetworkEvent::PartnerSelected {
                task: task.clone(),
                round,
                members,
            },
            NetworkEvent::TaskFinished { task },
        ];
        for event in expected {
            assert_eq!(next(stream).await, event);
        }
    }
}
