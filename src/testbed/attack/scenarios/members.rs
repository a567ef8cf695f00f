//! Attacks by a member, or by somebody who says to be one, with what passes between members: shares, farewells, requests, the model.

use anyhow::bail;

use crate::testbed::attack::case::{Attack, Outcome, attacks};
use crate::testbed::attack::rogue_member::{RogueMember, refused};
use crate::testbed::attack::target::Targets;
use crate::testbed::attack::told;
use delta_domain::ids::{Address, RoundNumber, encode_hex};
use delta_domain::round::DeclineCode;
use delta_domain::round::message::{RequestBody, SignedRequest};
use delta_domain::round::runner::RunnerEffect;
use delta_domain::secret::SecretBytes;
use delta_ports::connector::ShareKind;
use delta_ports::peer::PeerCalls as _;

pub(in crate::testbed::attack) const ATTACKS: &[Attack] = attacks! { "member", false;
    "decline-forged", "another member's farewell, under one's own signature" => forged_decline;
    "shares-of-another", "fetching the shares sealed for another member" => fetch_anothers;
    "shares-unsigned", "fetching shares without any signature" => fetch_unsigned;
    "shares-in-anothers-name", "posting shares in another member's name" => post_anothers;
    "shares-changed", "posting other shares after the first ones" => post_twice;
    "shares-garbage", "posting shares that nobody can open" => garbage_shares;
    "request-replayed", "a signed request of the round before, as it was and with a new number" => replayed;
    "model-for-strangers", "the model, asked for by somebody outside the round" => stranger_model;
};

pub(super) fn another(field: &Targets) -> anyhow::Result<Address> {
    match field.targets.last() {
        Some(target) => Ok(target.address.clone()),
        None => bail!("nobody to attack"),
    }
}

pub(super) async fn judged(
    rogue: RogueMember<'_>,
    rounds: u32,
    (refused, answered): (bool, String),
) -> anyhow::Result<Outcome> {
    rogue.leave(rounds).await?;
    Ok(Outcome::new(refused, answered))
}

async fn forged_decline(field: &Targets) -> anyhow::Result<Outcome> {
    let mut rogue = RogueMember::enter(field, 1).await?;
    rogue.next_round().await?;
    let RunnerEffect::PostShares { request } = rogue.until("post_shares").await? else {
        bail!("no shares")
    };
    let forged = rogue.sign(SignedRequest {
        sender: another(field)?,
        body: RequestBody::Decline {
            reason: DeclineCode::Left,
        },
        ..request
    })?;
    let answer = rogue.send(&forged).await;
    judged(rogue, 1, refused(&answer)).await
}

/// Plays up to the fetching of shares, then fetches as `sender`.
async fn fetch_as(field: &Targets, signed: bool) -> anyhow::Result<Outcome> {
    let mut rogue = RogueMember::enter(field, 1).await?;
    rogue.next_round().await?;
    let RunnerEffect::CollectShares { request, .. } = rogue.until("collect_shares").await? else {
        bail!("nothing to collect")
    };
    let mut forged = SignedRequest {
        sender: another(field)?,
        ..request
    };
    if signed {
        forged = rogue.sign(forged)?;
    } else {
        forged.signature.clear();
    }
    let answer = field.peers.fetch_shares(rogue.url(), &forged).await;
    judged(rogue, 1, refused(&answer)).await
}

async fn fetch_anothers(field: &Targets) -> anyhow::Result<Outcome> {
    fetch_as(field, true).await
}

async fn fetch_unsigned(field: &Targets) -> anyhow::Result<Outcome> {
    fetch_as(field, false).await
}

async fn post_anothers(field: &Targets) -> anyhow::Result<Outcome> {
    let mut rogue = RogueMember::enter(field, 1).await?;
    rogue.next_round().await?;
    let RunnerEffect::PostShares { request } = rogue.until("post_shares").await? else {
        bail!("no shares")
    };
    let victim = another(field)?;
    let mut forged = SignedRequest {
        sender: victim.clone(),
        ..request
    };
    if let RequestBody::Shares { shares, .. } = &mut forged.body {
        shares.iter_mut().for_each(|s| s.sender = victim.clone());
    }
    let forged = rogue.sign(forged)?;
    let answer = rogue.send(&forged).await;
    judged(rogue, 1, refused(&answer)).await
}

fn spoil(request: &mut SignedRequest) {
    if let RequestBody::Shares { shares, .. } = &mut request.body {
        for share in shares {
            if let Some(byte) = share.sealed.last_mut() {
                *byte ^= 1;
            }
        }
    }
}

async fn post_twice(field: &Targets) -> anyhow::Result<Outcome> {
    let mut rogue = RogueMember::enter(field, 1).await?;
    rogue.next_round().await?;
    let RunnerEffect::PostShares { request } = rogue.until("post_shares").await? else {
        bail!("no shares")
    };
    rogue.send(&request).await?;
    let mut other = request;
    spoil(&mut other);
    let other = rogue.sign(other)?;
    let answer = rogue.send(&other).await;
    judged(rogue, 1, refused(&answer)).await
}

/// The coordinator cannot see into sealed shares: the others notice, and the round is done again without the sender.
async fn garbage_shares(field: &Targets) -> anyhow::Result<Outcome> {
    let mut rogue = RogueMember::enter(field, 1).await?;
    rogue.next_round().await?;
    let RunnerEffect::PostShares { mut request } = rogue.until("post_shares").await? else {
        bail!("no shares")
    };
    spoil(&mut request);
    let request = rogue.sign(request)?;
    rogue.send(&request).await?;
    let (id, culprit) = (rogue.id, rogue.address.clone());
    rogue.until("collect_shares").await?;
    rogue.leave(1).await?;
    let log = field.task_log(id).await?;
    Ok(match told::notices(&log, &culprit) {
        Some(message) => Outcome::new(true, message),
        None => Outcome::new(false, "nobody noticed"),
    })
}

async fn replayed(field: &Targets) -> anyhow::Result<Outcome> {
    let mut rogue = RogueMember::enter_needed(field, 2).await?;
    rogue.next_round().await?;
    let RunnerEffect::CollectShares { request, senders } = rogue.until("collect_shares").await?
    else {
        bail!("nothing to collect")
    };
    let old = request.clone();
    rogue
        .carry_out(RunnerEffect::CollectShares { request, senders })
        .await?;
    let RunnerEffect::Reveal {
        seeds,
        keys,
        notify,
        ..
    } = rogue.until("reveal").await?
    else {
        bail!("nothing to reveal")
    };
    reveal(&rogue, ShareKind::SelfMaskSeed, plain(&seeds)).await?;
    reveal(&rogue, ShareKind::MaskKey, plain(&keys)).await?;
    rogue.send(&notify).await?;
    rogue.next_round().await?;
    rogue.until("collect_shares").await?;
    let again = field.peers.fetch_shares(rogue.url(), &old).await;
    let renumbered = SignedRequest {
        round: RoundNumber(rogue.round),
        ..old
    };
    let moved = field.peers.fetch_shares(rogue.url(), &renumbered).await;
    let ((a, first), (b, second)) = (refused(&again), refused(&moved));
    judged(rogue, 2, (a && b, format!("{first}; {second}"))).await
}

pub(super) fn plain(shares: &[(Address, SecretBytes)]) -> Vec<(Address, String)> {
    shares
        .iter()
        .map(|(a, s)| (a.clone(), encode_hex(s.expose())))
        .collect()
}

pub(super) async fn reveal(
    rogue: &RogueMember<'_>,
    kind: ShareKind,
    shares: Vec<(Address, String)>,
) -> anyhow::Result<()> {
    if shares.is_empty() {
        return Ok(());
    }
    let key = rogue.key();
    rogue
        .connector
        .reveal_shares(&rogue.address, &key, kind, &shares)
        .await?;
    Ok(())
}

async fn stranger_model(field: &Targets) -> anyhow::Result<Outcome> {
    let mut rogue = RogueMember::enter(field, 1).await?;
    rogue.next_round().await?;
    // Has keys, and never joins: nobody knows them.
    let RunnerEffect::Join { notify, .. } = rogue.until("join").await? else {
        bail!("nothing to join")
    };
    let request = rogue.sign(SignedRequest {
        body: RequestBody::Variable { name: "w".parse()? },
        ..notify
    })?;
    let answer = field.peers.variable(rogue.url(), &request, 1 << 20).await;
    judged(rogue, 1, refused(&answer)).await
}
