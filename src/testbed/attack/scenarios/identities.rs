//! Attacks in another node's name, by somebody who has the connector's port and the list of nodes.

use std::future::Future;
use std::sync::Arc;

use crate::testbed::attack::bundles;
use crate::testbed::attack::case::{Attack, Outcome, attacks};
use crate::testbed::attack::target::Targets;
use delta_domain::ids::{Address, Digest, RoundNumber, TaskId};
use delta_domain::task::TaskKind;
use delta_ports::PortError;
use delta_ports::connector::{Connector, NewTask, RawPublicKeys, RoundKey, ShareKind};

pub(in crate::testbed::attack) const ATTACKS: &[Attack] = attacks! { "stranger", true;
    "record-unsigned", "every call of the connector in a node's name, without a signature" => unsigned;
    "record-of-another", "every call of the connector in a node's name, under a stranger's signature" => signed;
    "url-of-another", "a node that joins under the url of another" => same_url;
};

/// The generator of secp256k1: a good point that belongs to nobody here.
const SOMEBODY: &str = "0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

/// What a call came to, without what it answered.
async fn tried<T>(
    what: &'static str,
    call: impl Future<Output = Result<T, PortError>>,
) -> (&'static str, Result<(), PortError>) {
    (what, call.await.map(drop))
}

/// Every call that changes the record, for `victim`, about a task of its own that is running.
async fn every_call(
    c: &dyn Connector,
    victim: &Address,
    task: &TaskId,
) -> Vec<(&'static str, Result<(), PortError>)> {
    let (kind, digest) = (TaskKind::Horizontal, Digest([7; 32]));
    let key = RoundKey {
        kind,
        task: task.clone(),
        round: RoundNumber(1),
    };
    let next = RoundKey {
        round: RoundNumber(2),
        ..key.clone()
    };
    let all = std::slice::from_ref(victim);
    let keys = RawPublicKeys {
        pk1: SOMEBODY.into(),
        pk2: SOMEBODY.into(),
    };
    let new = NewTask {
        owner: victim.clone(),
        dataset: String::new(),
        commitment: digest,
        kind,
        enable_verify: false,
        tolerance: 0,
    };
    let commitments = [(victim.clone(), digest)];
    let shares = [(victim.clone(), "00".to_owned())];
    vec![
        tried("UpdateUrl", c.update_url(victim, "http://127.0.0.1:9")).await,
        tried("UpdateName", c.update_name(victim, "another")).await,
        tried(
            "RegisterData",
            c.register_data(victim, "delta-identity", 0, &digest.to_string()),
        )
        .await,
        tried("CreateTask", c.create_task(&new)).await,
        tried("StartRound", c.start_round(victim, &next, None)).await,
        tried("JoinRound", c.join_round(victim, &key, &keys)).await,
        tried("SelectCandidates", c.select_candidates(victim, &key, all)).await,
        tried(
            "UploadSeedCommitment",
            c.upload_share_commitments(victim, &key, ShareKind::SelfMaskSeed, &commitments),
        )
        .await,
        tried("StartCalculation", c.start_calculation(victim, &key, all)).await,
        tried(
            "UploadResultCommitment",
            c.upload_result_commitment(victim, &key, &digest),
        )
        .await,
        tried("StartAggregation", c.start_aggregation(victim, &key, all)).await,
        tried(
            "UploadSecretKey",
            c.reveal_shares(victim, &key, ShareKind::MaskKey, &shares),
        )
        .await,
        tried("EndRound", c.end_round(victim, &key)).await,
        tried("FinishTask", c.finish_task(kind, victim, task)).await,
        tried("Leave", c.leave(victim)).await,
        tried("Subscribe", c.subscribe(victim)).await,
    ]
}

/// Calls in the coordinator's name while a task of its own runs, which must end right all the same.
async fn in_its_name(
    field: &Targets,
    connector: Arc<dyn Connector>,
    may: &[&str],
) -> anyhow::Result<Outcome> {
    let victim = field.coordinator().address.clone();
    let members = u32::try_from(field.targets.len())?;
    let (id, task) = field
        .submit_heard(&victim, &bundles::honest(members, 2)?)
        .await?;
    let calls = every_call(connector.as_ref(), &victim, &task).await;
    let taken: Vec<&str> = calls
        .iter()
        .filter(|(what, result)| result.is_ok() && !may.contains(what))
        .map(|(what, _)| *what)
        .collect();
    field.ends_right(id, 2).await?;
    let told = calls.iter().find_map(|(_, r)| r.as_ref().err());
    let told = told.map_or("nothing was refused", PortError::message);
    let answered = if taken.is_empty() {
        format!("{} calls, all refused: {told}", calls.len())
    } else {
        format!("executed: {}", taken.join(", "))
    };
    Ok(Outcome::new(taken.is_empty(), answered))
}

async fn unsigned(field: &Targets) -> anyhow::Result<Outcome> {
    in_its_name(field, field.unsigned()?, &[]).await
}

/// A subscription is its signer's, whatever address it names.
async fn signed(field: &Targets) -> anyhow::Result<Outcome> {
    in_its_name(field, field.newcomer()?, &["Subscribe"]).await
}

/// The victim's row stays its own, and the newcomer is another node.
async fn same_url(field: &Targets) -> anyhow::Result<Outcome> {
    let victim = field.coordinator();
    let connector = field.newcomer()?;
    let joined = connector.join(&victim.url, "attacker").await;
    let row = field.connector.node(&victim.address).await?;
    let (own, answered) = match &joined {
        Ok(joined) => {
            drop(connector.leave(&joined.address).await);
            let own = joined.address != victim.address;
            (own, "the newcomer has an address of its own".to_owned())
        }
        Err(e) => (true, e.message().to_owned()),
    };
    let kept = row.is_some_and(|row| row.url == victim.url && row.address == victim.address);
    Ok(Outcome::new(own && kept, answered))
}
