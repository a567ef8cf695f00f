//! The other attacks with the hostile step left out. All of it must be taken: a judge that calls this repelled would call anything so.

use anyhow::bail;

use super::field::Field;
use super::puppet::{Puppet, refused};
use super::{
    Attack, Outcome, attacks, bundles, connectors, coordinators, members, sharing, strangers,
};
use crate::domain::round::runner::RunnerEffect;
use crate::ports::peer::PeerTransport as _;

pub(super) const ATTACKS: &[Attack] = attacks! { "control", true;
    "control-bundle", "a good bundle" => bundle;
    "control-announcement", "a good announcement" => announcement;
    "control-model", "the model that was announced" => model;
    "control-shares", "shares and signatures as they were posted" => shares;
    "control-fetch", "a member's own shares" => fetch;
    "control-result", "a good result" => result;
    "control-reveal", "a u3 of everybody" => coordinators_u3;
    "control-connector", "an honest connector" => connector;
};

async fn bundle(field: &Field) -> anyhow::Result<Outcome> {
    strangers::offer(field, bundles::task(|_| {})?).await
}

async fn announcement(field: &Field) -> anyhow::Result<Outcome> {
    coordinators::announce(field, |_| {}).await
}

async fn model(field: &Field) -> anyhow::Result<Outcome> {
    coordinators::model_for_one(field, 0.0).await
}

async fn shares(field: &Field) -> anyhow::Result<Outcome> {
    sharing::lie(field, |_, d| d).await
}

async fn fetch(field: &Field) -> anyhow::Result<Outcome> {
    let mut puppet = Puppet::enter(field, 1).await?;
    puppet.next_round().await?;
    let RunnerEffect::CollectShares { request, .. } = puppet.until("collect_shares").await? else {
        bail!("nothing to collect")
    };
    let answer = puppet
        .patiently(|| field.peers.fetch_shares(puppet.url(), &request))
        .await;
    let (refused, answered) = refused(&answer);
    puppet.leave(1).await?;
    Ok(Outcome::new(refused, answered))
}

async fn result(field: &Field) -> anyhow::Result<Outcome> {
    let (puppet, _, request) = members::before_upload(field).await?;
    let content = puppet.upload.clone();
    let answer = members::announce(&puppet, request, content).await?;
    let (refused, answered) = refused(&answer);
    puppet.stay(1).await?;
    Ok(Outcome::new(refused, answered))
}

async fn coordinators_u3(field: &Field) -> anyhow::Result<Outcome> {
    super::reveals::u3_of(field, field.targets.len()).await
}

async fn connector(field: &Field) -> anyhow::Result<Outcome> {
    connectors::noticed(field).await
}
