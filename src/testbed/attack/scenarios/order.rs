//! Attacks by a coordinator with the order of a task's steps: sums of other cohorts over the same data are differences.

use anyhow::ensure;

use crate::testbed::attack::bundles;
use crate::testbed::attack::case::{Attack, Outcome, attacks};
use crate::testbed::attack::rogue_coordinator::RogueCoordinator;
use crate::testbed::attack::target::{Targets, until};
use delta_domain::ids::Address;

pub(in crate::testbed::attack) const ATTACKS: &[Attack] = attacks! { "coordinator", false;
    "step-repeated", "a step whose sum is there, once more" => repeated;
    "step-backwards", "the second step of a task before its first one" => backwards;
    "step-back-after-sums", "a step before the one whose sum is there" => back_after_sum;
};

/// Plays a step to its end, honestly. Gives its members.
async fn whole_step(
    coordinator: &mut RogueCoordinator<'_>,
    step: u32,
) -> anyhow::Result<Vec<Address>> {
    let members = coordinator.up_to_results_of(step).await?;
    coordinator.aggregate(&members).await?;
    until("everybody to reveal", || async {
        for member in &members {
            let records = coordinator.revealed(&members, member).await.ok()?;
            if records.iter().all(|r| r.seed.is_none()) {
                return None;
            }
        }
        Some(())
    })
    .await?;
    coordinator.end().await?;
    Ok(members)
}

/// Asks for a step that nobody may join.
async fn asked(
    mut coordinator: RogueCoordinator<'_>,
    field: &Targets,
    step: u32,
) -> anyhow::Result<Outcome> {
    coordinator.begin_step(step).await?;
    let joined = coordinator.joined(&field.addresses()).await?;
    let answered = if joined.is_empty() {
        coordinator.reasons()
    } else {
        format!("{} members join it", joined.len())
    };
    coordinator.finish().await;
    Ok(Outcome::new(joined.is_empty(), answered))
}

async fn repeated(field: &Targets) -> anyhow::Result<Outcome> {
    let mut coordinator = RogueCoordinator::create(field, bundles::task(|_| {})?, None).await?;
    whole_step(&mut coordinator, 0).await?;
    asked(coordinator, field, 0).await
}

async fn backwards(field: &Targets) -> anyhow::Result<Outcome> {
    let mut coordinator = RogueCoordinator::create(field, bundles::task(|_| {})?, None).await?;
    coordinator.begin_step(1).await?;
    let joined = coordinator.joined(&field.addresses()).await?;
    ensure!(!joined.is_empty(), "nobody joins the second step");
    asked(coordinator, field, 0).await
}

async fn back_after_sum(field: &Targets) -> anyhow::Result<Outcome> {
    let mut coordinator = RogueCoordinator::create(field, bundles::task(|_| {})?, None).await?;
    whole_step(&mut coordinator, 2).await?;
    asked(coordinator, field, 1).await
}
