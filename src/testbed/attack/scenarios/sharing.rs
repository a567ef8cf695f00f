//! Attacks by a coordinator on the shares that it relays.

use std::sync::Arc;

use crate::testbed::attack::bundles;
use crate::testbed::attack::case::{Attack, Outcome, attacks};
use crate::testbed::attack::rogue_coordinator::RogueCoordinator;
use crate::testbed::attack::target::Targets;
use delta_domain::ids::Address;
use delta_domain::round::message::ShareDelivery;

pub(in crate::testbed::attack) const ATTACKS: &[Attack] = attacks! { "coordinator", false;
    "share-tampered", "a relayed share with one bit changed" => tampered;
    "share-swapped", "a share relayed to another receiver" => swapped;
    "share-reflected", "what a member sealed for another, given back to it as the other's" => reflected;
    "share-withheld", "one member's shares not relayed" => withheld;
    "share-twice", "one member's shares relayed twice" => twice;
    "shares-replayed", "shares of an earlier round relayed again" => replayed;
};

/// A round whose deliveries are changed: nobody may compute.
pub(in crate::testbed::attack) async fn lie(
    field: &Targets,
    change: impl Fn(&Address, ShareDelivery) -> ShareDelivery + Send + 'static,
) -> anyhow::Result<Outcome> {
    let mut coordinator = RogueCoordinator::create(field, bundles::task(|_| {})?, None).await?;
    let members = coordinator.up_to_shares().await?;
    coordinator.papers().delivery = Some(Box::new(change));
    judge(coordinator, members).await
}

async fn judge(
    coordinator: RogueCoordinator<'_>,
    members: Vec<Address>,
) -> anyhow::Result<Outcome> {
    coordinator.calculate(&members).await?;
    let uploaded = coordinator.uploaded(&members).await?;
    let answered = coordinator.reasons();
    coordinator.finish().await;
    Ok(Outcome::new(uploaded.is_empty(), answered))
}

async fn tampered(field: &Targets) -> anyhow::Result<Outcome> {
    lie(field, |me, mut d| {
        if let Some(share) = d.shares.iter_mut().find(|s| s.sender != *me)
            && let Some(byte) = share.sealed.last_mut()
        {
            *byte ^= 1;
        }
        d
    })
    .await
}

async fn swapped(field: &Targets) -> anyhow::Result<Outcome> {
    let mut coordinator = RogueCoordinator::create(field, bundles::task(|_| {})?, None).await?;
    let members = coordinator.up_to_shares().await?;
    let all = {
        let papers = coordinator.papers();
        let shares = papers.shares.values().flat_map(Clone::clone);
        Arc::new(shares.collect::<Vec<_>>())
    };
    coordinator.papers().delivery = Some(Box::new(move |me, mut d| {
        for share in &mut d.shares {
            let other = all
                .iter()
                .find(|s| s.sender == share.sender && s.receiver != *me);
            if let Some(other) = other {
                share.sealed.clone_from(&other.sealed);
            }
        }
        d
    }));
    judge(coordinator, members).await
}

async fn reflected(field: &Targets) -> anyhow::Result<Outcome> {
    let mut coordinator = RogueCoordinator::create(field, bundles::task(|_| {})?, None).await?;
    let members = coordinator.up_to_shares().await?;
    let all = {
        let papers = coordinator.papers();
        let shares = papers.shares.values().flat_map(Clone::clone);
        Arc::new(shares.collect::<Vec<_>>())
    };
    coordinator.papers().delivery = Some(Box::new(move |me, mut d| {
        for share in d.shares.iter_mut().filter(|s| s.sender != *me) {
            let back = all
                .iter()
                .find(|s| s.sender == *me && s.receiver == share.sender);
            if let Some(back) = back {
                share.sealed.clone_from(&back.sealed);
            }
        }
        d
    }));
    judge(coordinator, members).await
}

async fn withheld(field: &Targets) -> anyhow::Result<Outcome> {
    lie(field, |me, mut d| {
        if let Some(at) = d.shares.iter().position(|s| s.sender != *me) {
            d.shares.remove(at);
        }
        d
    })
    .await
}

async fn twice(field: &Targets) -> anyhow::Result<Outcome> {
    lie(field, |_, mut d| {
        if let Some(share) = d.shares.first().cloned() {
            d.shares.push(share);
        }
        d
    })
    .await
}

async fn replayed(field: &Targets) -> anyhow::Result<Outcome> {
    let mut coordinator = RogueCoordinator::create(field, bundles::task(|_| {})?, None).await?;
    coordinator.up_to_shares().await?;
    let before = coordinator.number();
    let members = coordinator.up_to_shares().await?;
    let old = {
        let papers = coordinator.papers();
        let of_before = papers
            .shares
            .iter()
            .filter(|((round, _), _)| *round == before);
        Arc::new(of_before.flat_map(|(_, s)| s.clone()).collect::<Vec<_>>())
    };
    coordinator.papers().delivery = Some(Box::new(move |me, mut d| {
        d.shares = old.iter().filter(|s| s.receiver == *me).cloned().collect();
        d
    }));
    judge(coordinator, members).await
}
