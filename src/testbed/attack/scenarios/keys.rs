//! Attacks by a member with the public keys under which it joins.

use anyhow::bail;

use super::members::judged;
use crate::testbed::attack::case::{Attack, Outcome, attacks};
use crate::testbed::attack::rogue_member::RogueMember;
use crate::testbed::attack::target::Targets;
use delta_domain::round::record::RawPublicKeys;
use delta_domain::round::runner::RunnerEffect;

pub(in crate::testbed::attack) const ATTACKS: &[Attack] = attacks! { "member", false;
    "key-off-curve", "a public key that is no point" => off_curve;
    "key-identity", "the point at infinity as a public key" => identity;
    "keys-equal", "one key for both purposes" => equal_keys;
    "double-join", "joining a round twice under one address" => double_join;
};

/// A member whose keys cannot be used is left out, and the others go on.
async fn bad_keys(field: &Targets, keys: RawPublicKeys) -> anyhow::Result<Outcome> {
    let mut rogue = RogueMember::enter(field, 1).await?;
    rogue.next_round().await?;
    rogue.join_with(&keys).await?;
    let outcome = rogue.until("post_shares").await;
    let answered = match &outcome {
        Err(e) => format!("{e:#}"),
        Ok(_) => "it takes part".into(),
    };
    let counted = rogue.shown(|view| view.u2).await?.contains(&rogue.address);
    rogue.leave(1).await?;
    Ok(Outcome::new(outcome.is_err() && !counted, answered))
}

/// x = 5 has no point on secp256k1.
async fn off_curve(field: &Targets) -> anyhow::Result<Outcome> {
    let key = format!("0x02{}05", "00".repeat(31));
    let keys = RawPublicKeys {
        pk1: key.clone(),
        pk2: key,
    };
    bad_keys(field, keys).await
}

async fn identity(field: &Targets) -> anyhow::Result<Outcome> {
    let keys = RawPublicKeys {
        pk1: "0x00".into(),
        pk2: "0x00".into(),
    };
    bad_keys(field, keys).await
}

async fn equal_keys(field: &Targets) -> anyhow::Result<Outcome> {
    // The generator of secp256k1: a good point, twice.
    let key = "0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798".to_owned();
    let keys = RawPublicKeys {
        pk1: key.clone(),
        pk2: key,
    };
    bad_keys(field, keys).await
}

async fn double_join(field: &Targets) -> anyhow::Result<Outcome> {
    let mut rogue = RogueMember::enter(field, 1).await?;
    rogue.next_round().await?;
    let RunnerEffect::Join { keys, notify } = rogue.until("join").await? else {
        bail!("nothing to join")
    };
    let key = rogue.key();
    let me = rogue.address.clone();
    rogue.connector.join_round(&me, &key, &keys).await?;
    let swapped = RawPublicKeys {
        pk1: keys.pk2,
        pk2: keys.pk1,
    };
    let second = rogue.connector.join_round(&me, &key, &swapped).await;
    rogue.send(&notify).await?;
    let outcome = rogue.until("post_shares").await;
    let answered = match (&second, &outcome) {
        (Err(e), _) => format!("the connector: {e:#}"),
        (Ok(_), Err(e)) => format!("{e:#}"),
        (Ok(_), Ok(_)) => "it takes part with both".into(),
    };
    judged(rogue, 1, (second.is_err() || outcome.is_err(), answered)).await
}
