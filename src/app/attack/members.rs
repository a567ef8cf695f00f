//! Attacks by a member, or by somebody who says to be one, on an honest coordinator and its other members.

use anyhow::{bail, ensure};

use super::field::Field;
use super::puppet::{Puppet, refused};
use super::{Attack, Outcome, attacks};
use crate::adapters::http::UserClient;
use crate::domain::ids::{Address, Digest, RoundNumber, encode_hex};
use crate::domain::round::message::{RequestBody, SignedRequest};
use crate::domain::round::record::RawPublicKeys;
use crate::domain::round::runner::RunnerEffect;
use crate::ports::PortError;
use crate::ports::connector::ShareKind;
use crate::ports::peer::PeerTransport as _;

pub(super) const ATTACKS: &[Attack] = attacks! { "member", false;
    "decline-forged", "another member's farewell, under one's own signature" => forged_decline;
    "shares-of-another", "fetching the shares sealed for another member" => fetch_anothers;
    "shares-unsigned", "fetching shares without any signature" => fetch_unsigned;
    "shares-in-anothers-name", "posting shares in another member's name" => post_anothers;
    "shares-changed", "posting other shares after the first ones" => post_twice;
    "shares-garbage", "posting shares that nobody can open" => garbage_shares;
    "request-replayed", "a signed request of the round before, as it was and with a new number" => replayed;
    "key-off-curve", "a public key that is no point" => off_curve;
    "key-identity", "the point at infinity as a public key" => identity;
    "keys-equal", "one key for both purposes" => equal_keys;
    "double-join", "joining a round twice under one address" => double_join;
    "result-early", "a result before the computation has started" => early;
    "result-longer", "a result longer than the task's" => longer;
    "result-shorter", "a result cut in the middle" => shorter;
    "result-other-content", "a result other than announced" => other_content;
    "result-anothers", "a result under another member's address" => anothers_result;
    "result-uncommitted", "a result other than committed to on the record" => uncommitted;
    "result-replaced", "a second result after the first" => replaced;
    "result-late", "a result after the round is over" => late;
    "reveal-wrong", "revealed shares that match no commitment" => wrong_reveal;
    "model-for-strangers", "the model, asked for by somebody outside the round" => stranger_model;
};

fn another(field: &Field) -> anyhow::Result<Address> {
    match field.targets.last() {
        Some(target) => Ok(target.address.clone()),
        None => bail!("nobody to attack"),
    }
}

async fn judged(
    puppet: Puppet<'_>,
    rounds: u32,
    (refused, answered): (bool, String),
) -> anyhow::Result<Outcome> {
    puppet.leave(rounds).await?;
    Ok(Outcome::new(refused, answered))
}

async fn forged_decline(field: &Field) -> anyhow::Result<Outcome> {
    let mut puppet = Puppet::enter(field, 1).await?;
    puppet.next_round().await?;
    let RunnerEffect::PostShares { request } = puppet.until("post_shares").await? else {
        bail!("no shares")
    };
    let forged = puppet.sign(SignedRequest {
        sender: another(field)?,
        body: RequestBody::Decline {
            reason: "goodbye".into(),
        },
        ..request
    })?;
    let answer = puppet.send(&forged).await;
    judged(puppet, 1, refused(&answer)).await
}

/// Plays up to the fetching of shares, then fetches as `sender`.
async fn fetch_as(field: &Field, signed: bool) -> anyhow::Result<Outcome> {
    let mut puppet = Puppet::enter(field, 1).await?;
    puppet.next_round().await?;
    let RunnerEffect::CollectShares { request, .. } = puppet.until("collect_shares").await? else {
        bail!("nothing to collect")
    };
    let mut forged = SignedRequest {
        sender: another(field)?,
        ..request
    };
    if signed {
        forged = puppet.sign(forged)?;
    } else {
        forged.signature.clear();
    }
    let answer = field.peers.fetch_shares(puppet.url(), &forged).await;
    judged(puppet, 1, refused(&answer)).await
}

async fn fetch_anothers(field: &Field) -> anyhow::Result<Outcome> {
    fetch_as(field, true).await
}

async fn fetch_unsigned(field: &Field) -> anyhow::Result<Outcome> {
    fetch_as(field, false).await
}

async fn post_anothers(field: &Field) -> anyhow::Result<Outcome> {
    let mut puppet = Puppet::enter(field, 1).await?;
    puppet.next_round().await?;
    let RunnerEffect::PostShares { request } = puppet.until("post_shares").await? else {
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
    let forged = puppet.sign(forged)?;
    let answer = puppet.send(&forged).await;
    judged(puppet, 1, refused(&answer)).await
}

fn spoil(request: &mut SignedRequest) {
    if let RequestBody::Shares { shares, .. } = &mut request.body {
        for share in shares {
            if let Some(byte) = share.seed_share.last_mut() {
                *byte ^= 1;
            }
        }
    }
}

async fn post_twice(field: &Field) -> anyhow::Result<Outcome> {
    let mut puppet = Puppet::enter(field, 1).await?;
    puppet.next_round().await?;
    let RunnerEffect::PostShares { request } = puppet.until("post_shares").await? else {
        bail!("no shares")
    };
    puppet.send(&request).await?;
    let mut other = request;
    spoil(&mut other);
    let other = puppet.sign(other)?;
    let answer = puppet.send(&other).await;
    judged(puppet, 1, refused(&answer)).await
}

/// The coordinator cannot see into sealed shares: the others notice, name the sender, and the round is done again without it.
async fn garbage_shares(field: &Field) -> anyhow::Result<Outcome> {
    let mut puppet = Puppet::enter(field, 1).await?;
    puppet.next_round().await?;
    let RunnerEffect::PostShares { mut request } = puppet.until("post_shares").await? else {
        bail!("no shares")
    };
    spoil(&mut request);
    let request = puppet.sign(request)?;
    puppet.send(&request).await?;
    let (id, culprit) = (puppet.id, puppet.address.clone());
    puppet.until("collect_shares").await?;
    puppet.leave(1).await?;
    let lines = UserClient::new(&field.coordinator().url)?
        .logs(id, 0)
        .await?;
    let named = lines
        .iter()
        .find(|l| l.message.contains("declines") && l.message.contains(culprit.as_str()));
    Ok(match named {
        Some(line) => Outcome::new(true, line.message.clone()),
        None => Outcome::new(false, "nobody named the sender"),
    })
}

async fn replayed(field: &Field) -> anyhow::Result<Outcome> {
    let mut puppet = Puppet::enter(field, 2).await?;
    puppet.next_round().await?;
    let RunnerEffect::CollectShares { request, senders } = puppet.until("collect_shares").await?
    else {
        bail!("nothing to collect")
    };
    let old = request.clone();
    puppet
        .carry_out(RunnerEffect::CollectShares { request, senders })
        .await?;
    let RunnerEffect::Reveal {
        seeds,
        keys,
        notify,
    } = puppet.until("reveal").await?
    else {
        bail!("nothing to reveal")
    };
    reveal(&puppet, ShareKind::SelfMaskSeed, plain(&seeds)).await?;
    reveal(&puppet, ShareKind::MaskKey, plain(&keys)).await?;
    puppet.send(&notify).await?;
    puppet.next_round().await?;
    puppet.until("collect_shares").await?;
    let again = field.peers.fetch_shares(puppet.url(), &old).await;
    let renumbered = SignedRequest {
        round: RoundNumber(puppet.round),
        ..old
    };
    let moved = field.peers.fetch_shares(puppet.url(), &renumbered).await;
    let ((a, first), (b, second)) = (refused(&again), refused(&moved));
    judged(puppet, 2, (a && b, format!("{first}; {second}"))).await
}

/// A member whose keys cannot be used is left out, and the others go on.
async fn bad_keys(field: &Field, keys: RawPublicKeys) -> anyhow::Result<Outcome> {
    let mut puppet = Puppet::enter(field, 1).await?;
    puppet.next_round().await?;
    puppet.join_with(&keys).await?;
    let outcome = puppet.until("post_shares").await;
    let answered = match &outcome {
        Err(e) => format!("{e:#}"),
        Ok(_) => "it takes part".into(),
    };
    let (id, culprit) = (puppet.id, puppet.address.clone());
    puppet.leave(1).await?;
    let lines = UserClient::new(&field.coordinator().url)?
        .logs(id, 0)
        .await?;
    let took = lines
        .iter()
        .any(|l| l.message.contains(culprit.as_str()) && l.message.contains("upload"));
    Ok(Outcome::new(outcome.is_err() && !took, answered))
}

/// x = 5 has no point on secp256k1.
async fn off_curve(field: &Field) -> anyhow::Result<Outcome> {
    let key = format!("0x02{}05", "00".repeat(31));
    let keys = RawPublicKeys {
        pk1: key.clone(),
        pk2: key,
    };
    bad_keys(field, keys).await
}

async fn identity(field: &Field) -> anyhow::Result<Outcome> {
    let keys = RawPublicKeys {
        pk1: "0x00".into(),
        pk2: "0x00".into(),
    };
    bad_keys(field, keys).await
}

async fn equal_keys(field: &Field) -> anyhow::Result<Outcome> {
    // The generator of secp256k1: a good point, twice.
    let key = "0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798".to_owned();
    let keys = RawPublicKeys {
        pk1: key.clone(),
        pk2: key,
    };
    bad_keys(field, keys).await
}

async fn double_join(field: &Field) -> anyhow::Result<Outcome> {
    let mut puppet = Puppet::enter(field, 1).await?;
    puppet.next_round().await?;
    let RunnerEffect::Join { keys, notify } = puppet.until("join").await? else {
        bail!("nothing to join")
    };
    let key = puppet.key();
    let me = puppet.address.clone();
    field.connector.join_round(&me, &key, &keys).await?;
    let swapped = RawPublicKeys {
        pk1: keys.pk2,
        pk2: keys.pk1,
    };
    let second = field.connector.join_round(&me, &key, &swapped).await;
    puppet.send(&notify).await?;
    let outcome = puppet.until("post_shares").await;
    let answered = match (&second, &outcome) {
        (Err(e), _) => format!("the connector: {e:#}"),
        (Ok(_), Err(e)) => format!("{e:#}"),
        (Ok(_), Ok(_)) => "it takes part with both".into(),
    };
    judged(puppet, 1, (second.is_err() || outcome.is_err(), answered)).await
}

/// Plays up to the upload of the result.
pub(super) async fn before_upload<'a>(
    field: &'a Field,
) -> anyhow::Result<(Puppet<'a>, Digest, SignedRequest)> {
    let mut puppet = Puppet::enter(field, 1).await?;
    puppet.next_round().await?;
    let effect = puppet.until("upload").await?;
    let RunnerEffect::Upload {
        commitment,
        request,
        ..
    } = effect
    else {
        bail!("no result")
    };
    Ok((puppet, commitment, request))
}

async fn early(field: &Field) -> anyhow::Result<Outcome> {
    let mut puppet = Puppet::enter(field, 1).await?;
    puppet.next_round().await?;
    let RunnerEffect::PostShares { request } = puppet.until("post_shares").await? else {
        bail!("no shares")
    };
    let content = vec![0; 160];
    let early = puppet.sign(SignedRequest {
        body: RequestBody::Result {
            digest: Digest::of(&content),
            len: content.len() as u64,
        },
        ..request
    })?;
    let answer = puppet.result(&early, content).await;
    judged(puppet, 1, refused(&answer)).await
}

/// Announces `content` under its own signature, with what it really is.
pub(super) async fn announce(
    puppet: &Puppet<'_>,
    request: SignedRequest,
    content: Vec<u8>,
) -> anyhow::Result<Result<(), PortError>> {
    let request = puppet.sign(SignedRequest {
        body: RequestBody::Result {
            digest: Digest::of(&content),
            len: content.len() as u64,
        },
        ..request
    })?;
    let (me, key) = (puppet.address.clone(), puppet.key());
    let commitment = Digest::of(&content);
    puppet
        .field
        .connector
        .upload_result_commitment(&me, &key, &commitment)
        .await?;
    Ok(puppet.result(&request, content).await)
}

async fn longer(field: &Field) -> anyhow::Result<Outcome> {
    let (puppet, _, request) = before_upload(field).await?;
    let mut content = puppet.upload.clone();
    content.resize(content.len() + (1 << 20), 0);
    let answer = announce(&puppet, request, content).await?;
    judged(puppet, 1, refused(&answer)).await
}

async fn shorter(field: &Field) -> anyhow::Result<Outcome> {
    let (puppet, _, request) = before_upload(field).await?;
    let content = puppet.upload[..puppet.upload.len() / 2].to_vec();
    let answer = announce(&puppet, request, content).await?;
    judged(puppet, 1, refused(&answer)).await
}

async fn other_content(field: &Field) -> anyhow::Result<Outcome> {
    let (puppet, _, request) = before_upload(field).await?;
    let mut content = puppet.upload.clone();
    if let Some(byte) = content.last_mut() {
        *byte ^= 1;
    }
    let answer = puppet.result(&request, content).await;
    judged(puppet, 1, refused(&answer)).await
}

async fn anothers_result(field: &Field) -> anyhow::Result<Outcome> {
    let (puppet, _, request) = before_upload(field).await?;
    let forged = puppet.sign(SignedRequest {
        sender: another(field)?,
        ..request
    })?;
    let answer = puppet.result(&forged, puppet.upload.clone()).await;
    judged(puppet, 1, refused(&answer)).await
}

/// The upload is what was announced; the record says something else. It must not count.
async fn uncommitted(field: &Field) -> anyhow::Result<Outcome> {
    let (puppet, _, request) = before_upload(field).await?;
    let (me, key) = (puppet.address.clone(), puppet.key());
    field
        .connector
        .upload_result_commitment(&me, &key, &Digest([7; 32]))
        .await?;
    let answer = puppet.result(&request, puppet.upload.clone()).await;
    let (url, task) = (puppet.url().to_owned(), puppet.task.clone());
    let number = RoundNumber(puppet.round);
    let u3 = super::field::until("u3", || async {
        let view = field.peers.round_view(&url, &task, number).await.ok()?;
        view.u3.or_else(|| view.ended.map(|_| Vec::new()))
    })
    .await?;
    let counted = u3.contains(&me);
    puppet.leave(1).await?;
    let answered = match answer {
        Ok(()) => "the upload was stored, and left out of u3".to_owned(),
        Err(e) => e.message().to_owned(),
    };
    Ok(Outcome::new(!counted, answered))
}

async fn replaced(field: &Field) -> anyhow::Result<Outcome> {
    let (mut puppet, commitment, request) = before_upload(field).await?;
    let again = request.clone();
    let len = puppet.upload.len() as u64;
    puppet
        .carry_out(RunnerEffect::Upload {
            commitment,
            len,
            request,
        })
        .await?;
    let mut content = puppet.upload.clone();
    if let Some(byte) = content.last_mut() {
        *byte ^= 1;
    }
    let second = puppet.sign(SignedRequest {
        body: RequestBody::Result {
            digest: Digest::of(&content),
            len,
        },
        ..again
    })?;
    let answer = puppet.result(&second, content).await;
    let outcome = refused(&answer);
    // Its first result counts: what is in u3 must be unmasked with the others' help alone.
    puppet.stay(1).await?;
    Ok(Outcome::new(outcome.0, outcome.1))
}

async fn late(field: &Field) -> anyhow::Result<Outcome> {
    let (puppet, _, request) = before_upload(field).await?;
    let content = puppet.upload.clone();
    let (url, peers) = (puppet.url().to_owned(), field.peers.clone());
    puppet.leave(1).await?;
    let len = content.len() as u64;
    let answer = peers
        .result(&url, &request, len, crate::app::runner::pieces(content))
        .await;
    let (refused, answered) = refused(&answer);
    Ok(Outcome::new(refused, answered))
}

fn plain(shares: &[(Address, crate::domain::secret::SecretBytes)]) -> Vec<(Address, String)> {
    shares
        .iter()
        .map(|(a, s)| (a.clone(), encode_hex(s.expose())))
        .collect()
}

async fn reveal(
    puppet: &Puppet<'_>,
    kind: ShareKind,
    shares: Vec<(Address, String)>,
) -> anyhow::Result<()> {
    if shares.is_empty() {
        return Ok(());
    }
    let key = puppet.key();
    puppet
        .field
        .connector
        .reveal_shares(&puppet.address, &key, kind, &shares)
        .await?;
    Ok(())
}

async fn wrong_reveal(field: &Field) -> anyhow::Result<Outcome> {
    let mut puppet = Puppet::enter(field, 1).await?;
    puppet.next_round().await?;
    let RunnerEffect::Reveal { seeds, notify, .. } = puppet.until("reveal").await? else {
        bail!("nothing to reveal")
    };
    let mut wrong = plain(&seeds);
    // Every share is another owner's.
    let first = wrong.first().map(|(_, share)| share.clone());
    ensure!(first.is_some(), "nothing to reveal");
    wrong.rotate_left(1);
    let wrong: Vec<(Address, String)> = seeds
        .iter()
        .zip(wrong)
        .map(|((owner, _), (_, share))| (owner.clone(), share))
        .collect();
    reveal(&puppet, ShareKind::SelfMaskSeed, wrong).await?;
    puppet.send(&notify).await?;
    puppet.stay(1).await?;
    Ok(Outcome::new(
        true,
        "its shares were set aside; the sum is right without them",
    ))
}

async fn stranger_model(field: &Field) -> anyhow::Result<Outcome> {
    let mut puppet = Puppet::enter(field, 1).await?;
    puppet.next_round().await?;
    // Has keys, and never joins: nobody knows them.
    let RunnerEffect::Join { notify, .. } = puppet.until("join").await? else {
        bail!("nothing to join")
    };
    let request = puppet.sign(SignedRequest {
        body: RequestBody::Variable { name: "w".parse()? },
        ..notify
    })?;
    let answer = field.peers.variable(puppet.url(), &request, 1 << 20).await;
    judged(puppet, 1, refused(&answer)).await
}
