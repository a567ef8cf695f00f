//! Attacks by a coordinator: tasks, cohorts and models other than agreed.

use anyhow::ensure;

use crate::testbed::attack::bundles;
use crate::testbed::attack::case::{Attack, Outcome, attacks};
use crate::testbed::attack::rogue_coordinator::RogueCoordinator;
use crate::testbed::attack::target::Targets;
use delta_domain::ids::{Address, Digest};
use delta_domain::npy;
use delta_domain::round::DeclineCode;
use delta_domain::tensor::{Tensor, TensorData};

pub(in crate::testbed::attack) const ATTACKS: &[Attack] = attacks! { "coordinator", false;
    "bundle-other-than-committed", "a bundle whose digest is not the one on record" => other_bundle;
    "cohort-of-one", "a round of one member, with a threshold of one" => cohort_of_one;
    "selected-few", "a u1 of one member out of all who joined" => u1_of_one;
    "members-added-after-sharing", "a u2 with a member that is not in u1" => added;
    "u2-below-threshold", "a u2 of one member" => u2_of_one;
    "step-out-of-range", "an announcement of a step that the task does not have" => wrong_step;
    "unknown-variables", "an announcement of other variables than the task reads" => wrong_variables;
    "model-of-another-task", "another model for the first step than the task begins with" => other_start;
    "model-differs-for-one", "another model for one member than announced" => other_model;
    "model-equivocation", "another model announced to each member" => equivocation;
};

fn first(field: &Targets) -> Vec<Address> {
    vec![field.coordinator().address.clone()]
}

async fn other_bundle(field: &Targets) -> anyhow::Result<Outcome> {
    let agreed = bundles::task(|_| {})?;
    let served = bundles::task(|m| m.name.push_str(" (changed)"))?;
    let commitment = Digest::of(&agreed);
    let mut coordinator = RogueCoordinator::create(field, served, Some(commitment)).await?;
    coordinator.begin().await?;
    let joined = coordinator.joined(&field.addresses()).await?;
    let answered = coordinator.reasons();
    coordinator.finish().await;
    Ok(Outcome::new(joined.is_empty(), answered))
}

/// A round that the strategy allows and the node's own floor does not.
async fn cohort_of_one(field: &Targets) -> anyhow::Result<Outcome> {
    let bundle = bundles::task(|m| {
        m.strategy.min_clients = 1;
        m.strategy.threshold = Some(1);
    })?;
    few(field, bundle).await
}

async fn u1_of_one(field: &Targets) -> anyhow::Result<Outcome> {
    few(field, bundles::task(|_| {})?).await
}

async fn few(field: &Targets, bundle: Vec<u8>) -> anyhow::Result<Outcome> {
    let mut coordinator = RogueCoordinator::create(field, bundle, None).await?;
    coordinator.begin().await?;
    let joined = coordinator.joined(&field.addresses()).await?;
    let victim = first(field);
    // A node that will not even join has refused too.
    let sent = if joined.contains(&victim[0]) {
        coordinator.select(&victim).await?;
        coordinator.posted(&victim).await?
    } else {
        Vec::new()
    };
    let answered = if sent.is_empty() {
        coordinator.reasons()
    } else {
        "it shared its secrets with itself alone".into()
    };
    coordinator.finish().await;
    Ok(Outcome::new(sent.is_empty(), answered))
}

async fn added(field: &Targets) -> anyhow::Result<Outcome> {
    let mut coordinator = RogueCoordinator::create(field, bundles::task(|_| {})?, None).await?;
    let everybody = field.addresses();
    coordinator.begin().await?;
    let joined = coordinator.joined(&everybody).await?;
    ensure!(joined.len() == everybody.len(), "not everybody joined");
    // The last one stays out of u1 and comes into u2.
    let mut u1 = everybody.clone();
    let late = u1.pop();
    ensure!(late.is_some() && u1.len() >= 2, "three nodes are needed");
    coordinator.select(&u1).await?;
    let posted = coordinator.posted(&u1).await?;
    ensure!(posted.len() == u1.len(), "not everybody shared");
    let refused_on_record = coordinator.calculate(&everybody).await.err();
    if let Some(e) = refused_on_record {
        coordinator.finish().await;
        return Ok(Outcome::new(true, format!("the connector: {e:#}")));
    }
    let uploaded = coordinator.uploaded(&u1).await?;
    let answered = coordinator.reasons();
    coordinator.finish().await;
    Ok(Outcome::new(uploaded.is_empty(), answered))
}

async fn u2_of_one(field: &Targets) -> anyhow::Result<Outcome> {
    let mut coordinator = RogueCoordinator::create(field, bundles::task(|_| {})?, None).await?;
    coordinator.up_to_shares().await?;
    let victim = first(field);
    coordinator.calculate(&victim).await?;
    let uploaded = coordinator.uploaded(&victim).await?;
    let answered = coordinator.reasons();
    coordinator.finish().await;
    Ok(Outcome::new(uploaded.is_empty(), answered))
}

async fn wrong_step(field: &Targets) -> anyhow::Result<Outcome> {
    announce(field, |a| a.step = 1_000).await
}

async fn wrong_variables(field: &Targets) -> anyhow::Result<Outcome> {
    announce(field, |a| a.variables.clear()).await
}

/// What the owner has allowed began with zeros.
async fn other_start(field: &Targets) -> anyhow::Result<Outcome> {
    announce(field, |a| {
        for digest in a.variables.values_mut() {
            *digest = Digest([7; 32]);
        }
    })
    .await
}

pub(in crate::testbed::attack) async fn announce(
    field: &Targets,
    lie: impl Fn(&mut delta_domain::round::message::Announcement) + Send + 'static,
) -> anyhow::Result<Outcome> {
    let mut coordinator = RogueCoordinator::create(field, bundles::task(|_| {})?, None).await?;
    coordinator.papers().view = Some(Box::new(move |mut view| {
        lie(&mut view.announcement);
        view
    }));
    coordinator.begin().await?;
    let joined = coordinator.joined(&field.addresses()).await?;
    let answered = coordinator.reasons();
    coordinator.finish().await;
    Ok(Outcome::new(joined.is_empty(), answered))
}

fn model(value: f32) -> anyhow::Result<Vec<u8>> {
    let values = TensorData::F32(vec![value; bundles::VALUES]);
    Ok(npy::encode(&Tensor::new(vec![bundles::VALUES], values)?))
}

async fn other_model(field: &Targets) -> anyhow::Result<Outcome> {
    model_for_one(field, 7.0).await
}

/// The first member gets a model full of this number; what was announced is zeros.
pub(in crate::testbed::attack) async fn model_for_one(
    field: &Targets,
    value: f32,
) -> anyhow::Result<Outcome> {
    let mut coordinator = RogueCoordinator::create(field, bundles::task(|_| {})?, None).await?;
    let members = coordinator.up_to_shares().await?;
    let victim = first(field);
    let other = model(value)?;
    coordinator
        .papers()
        .other_variables
        .insert(victim[0].clone(), other);
    coordinator.calculate(&members).await?;
    let uploaded = coordinator.uploaded(&victim).await?;
    let answered = coordinator.declined(&victim[0]);
    coordinator.finish().await;
    let answered = answered.map_or("it does not answer", DeclineCode::name);
    Ok(Outcome::new(uploaded.is_empty(), answered))
}

/// Each member is told another digest, and would get a model to match: only the others' signatures can tell it.
async fn equivocation(field: &Targets) -> anyhow::Result<Outcome> {
    // Not the first step, where all know what the task begins with.
    let coordinator = RogueCoordinator::create(field, bundles::task(|_| {})?, None).await?;
    let coordinator = coordinator.at_step(1);
    let mut asked: u8 = 0;
    coordinator.papers().view = Some(Box::new(move |mut view| {
        asked = asked.wrapping_add(1);
        for digest in view.announcement.variables.values_mut() {
            *digest = Digest([asked; 32]);
        }
        view
    }));
    coordinator.noticed_by_all().await
}
