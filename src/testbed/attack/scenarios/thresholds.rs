//! Attacks by a coordinator with members of its own and a lying connector: to each half of the others its own u3, so that one half reveals
//! a victim's seed shares and the other half its key shares.

use anyhow::ensure;

use super::connectors::{change_list, without};
use crate::testbed::attack::bundles;
use crate::testbed::attack::case::{Attack, Outcome, attacks};
use crate::testbed::attack::conspiracy::{Conspiracy, Plot};
use crate::testbed::attack::rogue_coordinator::RogueCoordinator;
use crate::testbed::attack::rogue_member::RogueMember;
use crate::testbed::attack::target::{Targets, until};
use delta_domain::connector_record::SecretKind;
use delta_domain::ids::Address;
use delta_domain::round::runner::RunnerEffect;
use delta_domain::strategy::assumed_colluders;

pub(in crate::testbed::attack) const ATTACKS: &[Attack] = attacks! { "coordinator", true;
    "two-lists-one-colluder", "another u3 for each half of four members, one of them the coordinator's, beside a lying connector" => of_four;
    "two-lists-every-size", "the same in memory, with as many colluders as are assumed, of 3 to 29 members and every split" => of_many;
    "two-lists-of-three", "the same of three members, one of them the coordinator's"
        ("a coordinator with a member of its own and the connector's help", "policy.assumed_colluders: 1, and then nobody may drop out")
        => of_three;
};

/// What holders other than the colluder have revealed of a victim, with the colluder's own shares added.
struct Shares {
    seeds: usize,
    keys: usize,
    needed: usize,
}

impl Shares {
    fn outcome(&self, declines: &str) -> Outcome {
        let Self {
            seeds,
            keys,
            needed,
        } = self;
        let unmasked = seeds >= needed && keys >= needed;
        let told = format!(
            "the conspirators have {seeds} shares of the victim's seed and {keys} of its key, {needed} of each are needed; declines: {declines}"
        );
        Outcome::new(!unmasked, told)
    }
}

async fn of_four(field: &Targets) -> anyhow::Result<Outcome> {
    ensure!(field.targets.len() == 3, "three nodes are needed");
    two_lists(field, &[0, 1, 2]).await
}

async fn of_three(field: &Targets) -> anyhow::Result<Outcome> {
    two_lists(field, &[0, 1]).await
}

/// A round of these nodes and one member of the coordinator's. The first node is the victim: the last of them is told that it dropped out.
async fn two_lists(field: &Targets, nodes: &[usize]) -> anyhow::Result<Outcome> {
    let bundle = bundles::task(|m| m.strategy.max_clients = 4)?;
    let strategy = bundles::manifest_of(&bundle)?.strategy;
    let mut coordinator = RogueCoordinator::create(field, bundle, None).await?;
    let mut rogue = RogueMember::of(field, &coordinator).await?;
    let honest: Vec<Address> = nodes
        .iter()
        .map(|n| field.targets[*n].address.clone())
        .collect();
    let all: Vec<Address> = honest
        .iter()
        .cloned()
        .chain([rogue.address.clone()])
        .collect();
    coordinator.begin().await?;
    rogue.next_round().await?;
    let join = rogue.until("join").await?;
    rogue.carry_out(join).await?;
    let joined = coordinator.joined(&field.addresses()).await?;
    ensure!(
        honest.iter().all(|a| joined.contains(a)),
        "not everybody joined: {}",
        coordinator.reasons()
    );
    coordinator.select(&all).await?;
    coordinator.show(|view| view.u1 = Some(all.clone()));
    let RunnerEffect::PostShares { request } = rogue.until("post_shares").await? else {
        anyhow::bail!("no shares")
    };
    rogue.send(&request).await?;
    let posted = coordinator.posted(&all).await?;
    ensure!(
        posted.len() == all.len(),
        "not everybody shared: {}",
        coordinator.reasons()
    );
    coordinator.calculate(&all).await?;
    coordinator.show(|view| view.u2 = Some(all.clone()));
    let upload = rogue.until("upload").await?;
    rogue.carry_out(upload).await?;
    let uploaded = coordinator.uploaded(&all).await?;
    ensure!(
        uploaded.len() == all.len(),
        "not everybody uploaded: {}",
        coordinator.reasons()
    );
    // The lie: the connector's for the last node, and the colluder's word for each list.
    let (victim, misled) = (nodes[0], nodes[nodes.len() - 1]);
    let fewer: Vec<Address> = all.iter().filter(|a| **a != honest[0]).cloned().collect();
    change_list(field, misled, "u3", without(field, victim))?;
    for node in nodes {
        let shown = if *node == misled { &fewer } else { &all };
        let to = field.targets[*node].address.clone();
        let word = rogue.would_say(&all, &to, shown.clone())?;
        coordinator.papers().said_to.insert(to, word);
    }
    coordinator.aggregate(&all).await?;
    let told = |node: usize, secret: SecretKind, owner: Option<&Address>| {
        let told = field.rogue(node).map(|r| r.told()).unwrap_or_default();
        told.iter().any(|t| {
            t.task == coordinator.task().as_str()
                && t.secret == secret
                && owner.is_none_or(|o| t.owner == o.as_str())
        })
    };
    until("every member to reveal or to decline", || async {
        let answered = |node: &usize| {
            // Whoever is told of a loss gives key shares last.
            let last = if *node == misled {
                SecretKind::SecretKey
            } else {
                SecretKind::Seed
            };
            told(*node, last, None)
                || coordinator
                    .declined(&field.targets[*node].address)
                    .is_some()
        };
        nodes.iter().all(answered).then_some(())
    })
    .await?;
    // The colluder has one share of each; a lying connector takes what an honest one would refuse.
    let count = |secret| {
        let have = nodes
            .iter()
            .filter(|node| told(**node, secret, Some(&honest[0])));
        have.count() + 1
    };
    let (seeds, keys) = (count(SecretKind::Seed), count(SecretKind::SecretKey));
    let declines = coordinator.reasons();
    coordinator.finish().await;
    drop(rogue.connector.leave(&rogue.address).await);
    let needed = strategy.threshold_for(all.len());
    Ok(Shares {
        seeds,
        keys,
        needed,
    }
    .outcome(&declines))
}

/// Every way to split the honest members in two, up to their order.
async fn of_many(_: &Targets) -> anyhow::Result<Outcome> {
    let played = tokio::task::spawn_blocking(|| -> anyhow::Result<Vec<String>> {
        let mut told = Vec::new();
        for members in [3, 5, 7, 29] {
            let colluders = assumed_colluders(members);
            let conspiracy = Conspiracy::up_to_results(members, colluders)?;
            let honest = members - colluders;
            for first_half in 1..honest {
                let Plot { seeds, keys, needed } = conspiracy.two_lists(first_half)?;
                if seeds >= needed && keys >= needed {
                    told.push(format!(
                        "{members} members with {colluders} colluders, {first_half} of {honest} told of all: unmasked"
                    ));
                }
            }
        }
        Ok(told)
    })
    .await??;
    Ok(match played.as_slice() {
        [] => Outcome::new(
            true,
            "of 3, 5, 7 and 29 members nobody is unmasked, by any split of the others",
        ),
        some => Outcome::new(false, some.join("; ")),
    })
}
