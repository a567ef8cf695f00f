//! The other attacks with the hostile step left out. All of it must be taken: a judge that calls this repelled would call anything so.

use anyhow::bail;

use super::{connectors, coordinators, results, reveals, sharing, strangers};
use crate::testbed::attack::bundles;
use crate::testbed::attack::case::{Attack, Outcome, attacks};
use crate::testbed::attack::rogue_member::{RogueMember, refused};
use crate::testbed::attack::target::Targets;
use delta_domain::round::runner::RunnerEffect;
use delta_ports::peer::PeerCalls as _;

pub(in crate::testbed::attack) const ATTACKS: &[Attack] = attacks! { "control", true;
    "control-bundle", "a good bundle" => bundle;
    "control-announcement", "a good announcement" => announcement;
    "control-model", "the model that was announced" => model;
    "control-shares", "shares and signatures as they were posted" => shares;
    "control-fetch", "a member's own shares" => fetch;
    "control-result", "a good result" => result;
    "control-reveal", "a u3 of everybody" => coordinators_u3;
    "control-connector", "an honest connector" => connector;
};

async fn bundle(field: &Targets) -> anyhow::Result<Outcome> {
    strangers::offer(field, bundles::task(|_| {})?).await
}

async fn announcement(field: &Targets) -> anyhow::Result<Outcome> {
    coordinators::announce(field, |_| {}).await
}

async fn model(field: &Targets) -> anyhow::Result<Outcome> {
    coordinators::model_for_one(field, 0.0).await
}

async fn shares(field: &Targets) -> anyhow::Result<Outcome> {
    sharing::lie(field, |_, d| d).await
}

async fn fetch(field: &Targets) -> anyhow::Result<Outcome> {
    let mut rogue = RogueMember::enter(field, 1).await?;
    rogue.next_round().await?;
    let RunnerEffect::CollectShares { request, .. } = rogue.until("collect_shares").await? else {
        bail!("nothing to collect")
    };
    let answer = rogue
        .retry_transient(|| field.peers.fetch_shares(rogue.url(), &request))
        .await;
    let (refused, answered) = refused(&answer);
    rogue.leave(1).await?;
    Ok(Outcome::new(refused, answered))
}

async fn result(field: &Targets) -> anyhow::Result<Outcome> {
    let (rogue, _, request) = results::before_upload(field).await?;
    let content = rogue.upload.clone();
    let answer = results::announce(&rogue, request, content).await?;
    let (refused, answered) = refused(&answer);
    rogue.stay(1).await?;
    Ok(Outcome::new(refused, answered))
}

async fn coordinators_u3(field: &Targets) -> anyhow::Result<Outcome> {
    reveals::u3_of(field, field.targets.len()).await
}

async fn connector(field: &Targets) -> anyhow::Result<Outcome> {
    connectors::noticed(field).await
}
