//! Clauses about nodes, data and tasks.

use std::time::Duration;

use delta_domain::event::NetworkEvent;
use delta_domain::ids::{Address, RoundNumber, TaskId};
use delta_domain::task::TaskKind;
use delta_ports::PortErrorKind;
use delta_ports::connector::{RoundKey, Verification};

use super::Subject;
use super::moves::{digest, joined, keys, new_task, next, nodes, refused, started, task};

/// One url is one address, for ever; who has not joined for more than 120 seconds is not alive.
pub async fn join_is_idempotent_by_url_and_lasts_120_seconds(subject: impl Subject) {
    let c = subject.connector();
    let first = c.join("http://127.0.0.1:7001", "n1").await.unwrap();
    assert_eq!(
        first.address.as_str(),
        "0x69865484ab4df8b2c7a9819596ac3515fb32662c"
    );
    let again = c.join("http://127.0.0.1:7001", "other name").await.unwrap();
    assert_eq!(again.address, first.address);
    assert_ne!(again.tx_hash, first.tx_hash);
    assert_eq!(c.node(&first.address).await.unwrap().unwrap().name, "n1");
    subject.pass(Duration::from_secs(119));
    assert!(c.node(&first.address).await.unwrap().is_some());
    subject.pass(Duration::from_secs(1));
    assert_eq!(
        c.nodes(1, 0).await.unwrap().total,
        1,
        "listed in its last second"
    );
    assert_eq!(c.node(&first.address).await.unwrap(), None);
    assert_eq!(
        refused(c.leave(&first.address).await),
        format!("node of address {} is not alive", first.address)
    );
    subject.pass(Duration::from_secs(1));
    assert_eq!(c.nodes(1, 0).await.unwrap().total, 0);
    c.join("http://127.0.0.1:7001", "").await.unwrap();
    assert!(c.node(&first.address).await.unwrap().is_some());
}

/// A node that has left changes nothing until it joins again, under its old address.
pub async fn leaving_and_updating_need_a_living_node(subject: impl Subject) {
    let c = subject.connector();
    let [a] = nodes(c).await;
    c.update_url(&a, "http://moved").await.unwrap();
    c.update_name(&a, "renamed").await.unwrap();
    let node = c.node(&a).await.unwrap().unwrap();
    assert_eq!(
        (node.url.as_str(), node.name.as_str()),
        ("http://moved", "renamed")
    );
    c.leave(&a).await.unwrap();
    let text = format!("node of address {a} is not alive");
    assert_eq!(refused(c.leave(&a).await), text);
    assert_eq!(refused(c.update_url(&a, "x").await), text);
    let nobody: Address = "0x1111111111111111111111111111111111111111"
        .parse()
        .unwrap();
    assert_eq!(
        refused(c.leave(&nobody).await),
        format!("node of address {nobody} doesn't exist")
    );
    assert_eq!(c.join("http://moved", "").await.unwrap().address, a);
}

/// Pages count from 1, page 0 is the first, size 0 is everything.
pub async fn nodes_are_listed_in_join_order_by_pages(subject: impl Subject) {
    let c = subject.connector();
    let all: [Address; 5] = nodes(c).await;
    c.join("http://n0", "").await.unwrap();
    let page = async |page, size| {
        let page = c.nodes(page, size).await.unwrap();
        assert_eq!(page.total, 5);
        page.nodes
            .into_iter()
            .map(|n| n.address)
            .collect::<Vec<_>>()
    };
    assert_eq!(page(1, 2).await, all[..2]);
    assert_eq!(page(3, 2).await, all[4..]);
    assert_eq!(page(0, 2).await, all[..2]);
    assert!(page(4, 2).await.is_empty());
    assert_eq!(page(9, 0).await, all);
    assert!(page(u32::MAX, u32::MAX).await.is_empty());
    let listed = c.all_nodes().await.unwrap();
    assert_eq!(
        listed.into_iter().map(|n| n.address).collect::<Vec<_>>(),
        all
    );
}

/// The last commitment counts, and every one is announced.
pub async fn data_commitments_are_kept_by_owner_name_and_index(subject: impl Subject) {
    let c = subject.connector();
    let [a, b] = nodes(c).await;
    let mut events = c.subscribe(&b).await.unwrap();
    for (owner, index, text) in [
        (&a, 0, "first"),
        (&a, 0, "again"),
        (&a, -1, "odd"),
        (&b, 0, "other"),
    ] {
        c.register_data(owner, "mnist", index, &digest(text).to_string())
            .await
            .unwrap();
        let event = NetworkEvent::DataRegistered {
            owner: owner.clone(),
            name: "mnist".to_owned(),
            index,
            commitment: digest(text).to_string(),
        };
        assert_eq!(next(&mut events).await, event);
    }
    assert_eq!(
        c.data_commitment(&a, "mnist", 0).await.unwrap(),
        Some(digest("again").to_string())
    );
    assert_eq!(
        c.data_commitment(&b, "mnist", 0).await.unwrap(),
        Some(digest("other").to_string())
    );
    assert_eq!(c.data_commitment(&a, "mnist", 1).await.unwrap(), None);
}

/// A task of one kind is unknown to the service of the other; its owner must be alive.
pub async fn a_task_reads_as_written_and_its_services_are_apart(subject: impl Subject) {
    let c = subject.connector();
    let [a] = nodes(c).await;
    for kind in [TaskKind::Horizontal, TaskKind::Hlr] {
        let hlr = kind == TaskKind::Hlr;
        let mut events = c.subscribe(&a).await.unwrap();
        let id = task(c, kind, &a).await;
        let NetworkEvent::TaskCreated {
            task,
            owner,
            url,
            kind: published,
            enable_verify,
            tolerance,
            ..
        } = next(&mut events).await
        else {
            panic!("another event")
        };
        assert_eq!(
            (task, owner, url.as_str(), published),
            (id.clone(), a.clone(), "http://n0", kind)
        );
        assert_eq!((enable_verify, tolerance), (hlr, if hlr { 6 } else { 0 }));
        let read = c.task(kind, &id).await.unwrap().unwrap();
        assert_eq!(
            (read.owner, read.url.as_str(), read.dataset.as_str()),
            (a.clone(), "http://n0", "wages.csv")
        );
        assert_eq!(
            (read.commitment, read.task_type, read.finished),
            (digest("task").to_string(), kind.to_string(), false)
        );
        assert_eq!(
            (read.enable_verify, read.tolerance),
            (hlr, if hlr { 6 } else { 0 })
        );
        let other = if hlr {
            TaskKind::Horizontal
        } else {
            TaskKind::Hlr
        };
        assert_eq!(c.task(other, &id).await.unwrap(), None);
    }
    let id = task(c, TaskKind::Horizontal, &a).await;
    subject.pass(Duration::from_secs(120));
    assert_eq!(
        refused(c.task(TaskKind::Horizontal, &id).await),
        format!("node of address {a} is not alive")
    );
    assert_eq!(
        refused(c.create_task(&new_task(TaskKind::Horizontal, &a)).await),
        format!("node of address {a} is not alive")
    );
}

/// Eight joins at the same time get one address.
pub async fn concurrent_joins_of_one_url_make_one_node(subject: impl Subject) {
    let c = subject.connector();
    let joins = futures_util::future::join_all((0..8).map(|_| c.join("http://one", "n"))).await;
    let first = joins[0].as_ref().unwrap().address.clone();
    assert!(joins.iter().all(|j| j.as_ref().unwrap().address == first));
    assert_eq!(c.nodes(1, 0).await.unwrap().total, 1);
}

/// A refusal is `Rejected`, and its message is the text of the record.
pub async fn refusals_carry_the_connectors_own_text(subject: impl Subject) {
    let c = subject.connector();
    let [a] = nodes(c).await;
    let task: TaskId = format!("0x{}", "0".repeat(64)).parse().unwrap();
    let key = RoundKey {
        kind: TaskKind::Horizontal,
        task: task.clone(),
        round: RoundNumber(3),
    };
    let no_round = format!("task {task} round 3 doesn't exist");
    assert_eq!(
        refused(c.start_round(&a, &key, None).await),
        format!("task of id {task} doesn't exist")
    );
    assert_eq!(
        refused(c.finish_task(key.kind, &a, &task).await),
        format!("task {task} doesn't exist")
    );
    assert_eq!(refused(c.join_round(&a, &key, &keys(&a)).await), no_round);
    assert_eq!(
        refused(
            c.select_candidates(&a, &key, std::slice::from_ref(&a))
                .await
        ),
        no_round
    );
    assert_eq!(refused(c.end_round(&a, &key).await), no_round);
    let nobody_there = format!("task {task} round 3 some member in clients doesn't exist");
    assert_eq!(
        refused(c.public_keys(&key, std::slice::from_ref(&a)).await),
        nobody_there
    );
    assert!(c.public_keys(&key, &[]).await.unwrap().is_empty());

    let key = joined(c, &a, std::slice::from_ref(&a)).await;
    let at = format!("task {} round 1", key.task);
    assert_eq!(
        refused(c.public_keys(&key, std::slice::from_ref(&a)).await),
        format!("member {a} hasn't join this round")
    );
    assert_eq!(
        refused(c.start_calculation(&a, &key, &[]).await),
        "round 1 status is not in running status"
    );
    assert_eq!(
        refused(c.start_aggregation(&a, &key, &[]).await),
        "round 1 status is not in calculating status"
    );
    assert_eq!(
        refused(c.end_round(&a, &key).await),
        "round 1 status is not in aggregationg status"
    );
    assert_eq!(
        refused(c.upload_result_commitment(&a, &key, &digest("y")).await),
        format!("{at} is not in calculating status")
    );
    c.select_candidates(&a, &key, std::slice::from_ref(&a))
        .await
        .unwrap();
    let [_, late] = nodes(c).await;
    assert_eq!(
        refused(c.join_round(&late, &key, &keys(&late)).await),
        format!("{at} status is not Started")
    );
}

/// Nobody here can check a proof: `Unsupported`, and no verdict is written down.
pub async fn a_proof_is_not_taken_unchecked(subject: impl Subject) {
    let c = subject.connector();
    let [a] = nodes(c).await;
    let key = started(c, TaskKind::Hlr, &a).await;
    let only = std::slice::from_ref(&a);
    c.join_round(&a, &key, &keys(&a)).await.unwrap();
    c.select_candidates(&a, &key, only).await.unwrap();
    c.start_calculation(&a, &key, only).await.unwrap();
    c.start_aggregation(&a, &key, only).await.unwrap();
    c.end_round(&a, &key).await.unwrap();
    let proof = Verification {
        weight_size: 3,
        proof: "{}".to_owned(),
        pub_signals: ["1", "8", "2", "3"].map(str::to_owned).to_vec(),
        block_index: 0,
        samples: 10,
    };
    assert_eq!(
        refused(c.verify(&a, &key.task, &proof).await),
        format!("task {} is not finished", key.task)
    );
    c.finish_task(TaskKind::Hlr, &a, &key.task).await.unwrap();
    assert_eq!(
        c.verify(&a, &key.task, &proof).await.unwrap_err().kind(),
        PortErrorKind::Unsupported
    );
    let state = c.verifier_state(&key.task).await.unwrap();
    assert_eq!(
        (state.unfinished, state.invalid, state.valid),
        (vec![a.to_string()], Vec::new(), true)
    );
    assert_eq!(
        refused(c.confirm_verification(&a, &key.task).await),
        format!("task {} verification is not finished", key.task)
    );
}
