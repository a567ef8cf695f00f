//! Attacks by a coordinator on what members reveal.

use crate::testbed::attack::bundles;
use crate::testbed::attack::case::{Attack, Outcome, attacks};
use crate::testbed::attack::rogue_coordinator::RogueCoordinator;
use crate::testbed::attack::target::{Targets, until};
use delta_domain::ids::Address;
use delta_ports::connector::RawShareRecord;

pub(in crate::testbed::attack) const ATTACKS: &[Attack] = attacks! { "coordinator", false;
    "u3-of-one", "a u3 of one member" => of_one;
    "u3-with-a-stranger", "a u3 with a member that is not in u2" => with_stranger;
    "both-secrets", "a second u3 without a member whose seed share was revealed" => second_u3;
};

/// Whether anything is on record.
fn any(records: &[RawShareRecord]) -> bool {
    records
        .iter()
        .any(|r| r.seed.is_some() || r.secret_key.is_some())
}

async fn of_one(field: &Targets) -> anyhow::Result<Outcome> {
    u3_of(field, 1).await
}

/// Publishes a u3 of the first members, and waits for what the first of them does.
pub(in crate::testbed::attack) async fn u3_of(
    field: &Targets,
    count: usize,
) -> anyhow::Result<Outcome> {
    let mut coordinator = RogueCoordinator::create(field, bundles::task(|_| {})?, None).await?;
    let members = coordinator.up_to_results().await?;
    let victim = members[0].clone();
    coordinator.aggregate(&members[..count]).await?;
    let what = "the member to refuse or to reveal";
    let (revealed, why) = until(what, || async {
        if let Some(why) = coordinator.declined(&victim) {
            return Some((false, why.name().to_owned()));
        }
        let records = coordinator.revealed(&members, &victim).await.ok()?;
        any(&records).then(|| (true, "it revealed shares".to_owned()))
    })
    .await?;
    coordinator.finish().await;
    Ok(Outcome::new(!revealed, why))
}

async fn with_stranger(field: &Targets) -> anyhow::Result<Outcome> {
    let mut coordinator = RogueCoordinator::create(field, bundles::task(|_| {})?, None).await?;
    let members = coordinator.up_to_results().await?;
    let stranger: Address = format!("0x{}", "5a".repeat(20)).parse()?;
    let u3: Vec<Address> = members.iter().cloned().chain([stranger]).collect();
    // The record may refuse it; the coordinator's own answers are not on the record.
    let on_record = coordinator.aggregate(&u3).await;
    coordinator.papers().view = Some(Box::new(move |mut view| {
        view.u3 = Some(u3.clone());
        view
    }));
    let what = "members to refuse or to reveal";
    let revealed = until(what, || async {
        for member in &members {
            let records = coordinator.revealed(&members, member).await.ok()?;
            if any(&records) {
                return Some(true);
            }
        }
        let all = members.iter().all(|m| coordinator.declined(m).is_some());
        all.then_some(false)
    })
    .await?;
    let mut answered = coordinator.reasons();
    if let Err(e) = on_record {
        answered = format!("the connector: {e:#}; the members: {answered}");
    }
    coordinator.finish().await;
    Ok(Outcome::new(!revealed, answered))
}

async fn second_u3(field: &Targets) -> anyhow::Result<Outcome> {
    let mut coordinator = RogueCoordinator::create(field, bundles::task(|_| {})?, None).await?;
    let members = coordinator.up_to_results().await?;
    coordinator.aggregate(&members).await?;
    until("everybody to reveal", || async {
        for member in &members {
            let records = coordinator.revealed(&members, member).await.ok()?;
            if !any(&records) {
                return None;
            }
        }
        Some(())
    })
    .await?;
    // Now the last one is said to have dropped out, to everybody who asks.
    let mut fewer = members.clone();
    let victim = fewer.pop();
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = asked.clone();
    coordinator.papers().view = Some(Box::new(move |mut view| {
        counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        view.u3 = Some(fewer.clone());
        view
    }));
    // Each member asks about a round that stands still; twice each is enough to have judged the first answer.
    let enough = members.len() * 2;
    until("members to hear the second list", || async {
        (asked.load(std::sync::atomic::Ordering::SeqCst) >= enough).then_some(())
    })
    .await?;
    let mut keys = 0;
    for member in &members {
        let records = coordinator.revealed(victim.as_slice(), member).await?;
        keys += records.iter().filter(|r| r.secret_key.is_some()).count();
    }
    coordinator.finish().await;
    Ok(Outcome::new(
        keys == 0,
        format!(
            "{keys} of {} members revealed its key share too",
            members.len()
        ),
    ))
}
