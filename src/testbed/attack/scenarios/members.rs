//! Attacks by a member, or by somebody who says to be one, on an honest coordinator and its other members.

use anyhow::{bail, ensure};

use crate::adapters::http::UserClient;
use crate::testbed::attack::rogue_member::{RogueMember, refused};
use crate::testbed::attack::target::Targets;
use crate::testbed::attack::{Attack, Outcome, attacks};
use delta_domain::ids::{Address, Digest, RoundNumber, encode_hex};
use delta_domain::round::message::{RequestBody, SignedRequest};
use delta_domain::round::record::RawPublicKeys;
use delta_domain::round::runner::RunnerEffect;
use delta_ports::PortError;
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

fn another(field: &Targets) -> anyhow::Result<Address> {
    match field.targets.last() {
        Some(target) => Ok(target.address.clone()),
        None => bail!("nobody to attack"),
    }
}

async fn judged(
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
            reason: "goodbye".into(),
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
            if let Some(byte) = share.seed_share.last_mut() {
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

/// The coordinator cannot see into sealed shares: the others notice, name the sender, and the round is done again without it.
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

async fn replayed(field: &Targets) -> anyhow::Result<Outcome> {
    let mut rogue = RogueMember::enter(field, 2).await?;
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
    let (id, culprit) = (rogue.id, rogue.address.clone());
    rogue.leave(1).await?;
    let lines = UserClient::new(&field.coordinator().url)?
        .logs(id, 0)
        .await?;
    let took = lines
        .iter()
        .any(|l| l.message.contains(culprit.as_str()) && l.message.contains("upload"));
    Ok(Outcome::new(outcome.is_err() && !took, answered))
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
    field.connector.join_round(&me, &key, &keys).await?;
    let swapped = RawPublicKeys {
        pk1: keys.pk2,
        pk2: keys.pk1,
    };
    let second = field.connector.join_round(&me, &key, &swapped).await;
    rogue.send(&notify).await?;
    let outcome = rogue.until("post_shares").await;
    let answered = match (&second, &outcome) {
        (Err(e), _) => format!("the connector: {e:#}"),
        (Ok(_), Err(e)) => format!("{e:#}"),
        (Ok(_), Ok(_)) => "it takes part with both".into(),
    };
    judged(rogue, 1, (second.is_err() || outcome.is_err(), answered)).await
}

/// Plays up to the upload of the result.
pub(in crate::testbed::attack) async fn before_upload<'a>(
    field: &'a Targets,
) -> anyhow::Result<(RogueMember<'a>, Digest, SignedRequest)> {
    let mut rogue = RogueMember::enter(field, 1).await?;
    rogue.next_round().await?;
    let effect = rogue.until("upload").await?;
    let RunnerEffect::Upload {
        commitment,
        request,
        ..
    } = effect
    else {
        bail!("no result")
    };
    Ok((rogue, commitment, request))
}

async fn early(field: &Targets) -> anyhow::Result<Outcome> {
    let mut rogue = RogueMember::enter(field, 1).await?;
    rogue.next_round().await?;
    let RunnerEffect::PostShares { request } = rogue.until("post_shares").await? else {
        bail!("no shares")
    };
    let content = vec![0; 160];
    let early = rogue.sign(SignedRequest {
        body: RequestBody::Result {
            digest: Digest::of(&content),
            len: content.len() as u64,
        },
        ..request
    })?;
    let answer = rogue.result(&early, content).await;
    judged(rogue, 1, refused(&answer)).await
}

/// Announces `content` under its own signature, with what it really is.
pub(in crate::testbed::attack) async fn announce(
    rogue: &RogueMember<'_>,
    request: SignedRequest,
    content: Vec<u8>,
) -> anyhow::Result<Result<(), PortError>> {
    let request = rogue.sign(SignedRequest {
        body: RequestBody::Result {
            digest: Digest::of(&content),
            len: content.len() as u64,
        },
        ..request
    })?;
    let (me, key) = (rogue.address.clone(), rogue.key());
    let commitment = Digest::of(&content);
    rogue
        .field
        .connector
        .upload_result_commitment(&me, &key, &commitment)
        .await?;
    Ok(rogue.result(&request, content).await)
}

async fn longer(field: &Targets) -> anyhow::Result<Outcome> {
    let (rogue, _, request) = before_upload(field).await?;
    let mut content = rogue.upload.clone();
    content.resize(content.len() + (1 << 20), 0);
    let answer = announce(&rogue, request, content).await?;
    judged(rogue, 1, refused(&answer)).await
}

async fn shorter(field: &Targets) -> anyhow::Result<Outcome> {
    let (rogue, _, request) = before_upload(field).await?;
    let content = rogue.upload[..rogue.upload.len() / 2].to_vec();
    let answer = announce(&rogue, request, content).await?;
    judged(rogue, 1, refused(&answer)).await
}

async fn other_content(field: &Targets) -> anyhow::Result<Outcome> {
    let (rogue, _, request) = before_upload(field).await?;
    let mut content = rogue.upload.clone();
    if let Some(byte) = content.last_mut() {
        *byte ^= 1;
    }
    let answer = rogue.result(&request, content).await;
    judged(rogue, 1, refused(&answer)).await
}

async fn anothers_result(field: &Targets) -> anyhow::Result<Outcome> {
    let (rogue, _, request) = before_upload(field).await?;
    let forged = rogue.sign(SignedRequest {
        sender: another(field)?,
        ..request
    })?;
    let answer = rogue.result(&forged, rogue.upload.clone()).await;
    judged(rogue, 1, refused(&answer)).await
}

/// The upload is what was announced; the record says something else. It must not count.
async fn uncommitted(field: &Targets) -> anyhow::Result<Outcome> {
    let (rogue, _, request) = before_upload(field).await?;
    let (me, key) = (rogue.address.clone(), rogue.key());
    field
        .connector
        .upload_result_commitment(&me, &key, &Digest([7; 32]))
        .await?;
    let answer = rogue.result(&request, rogue.upload.clone()).await;
    let (url, task) = (rogue.url().to_owned(), rogue.task.clone());
    let number = RoundNumber(rogue.round);
    let u3 = crate::testbed::attack::target::until("u3", || async {
        let view = field.peers.round_view(&url, &task, number).await.ok()?;
        view.u3.or_else(|| view.ended.map(|_| Vec::new()))
    })
    .await?;
    let counted = u3.contains(&me);
    rogue.leave(1).await?;
    let answered = match answer {
        Ok(()) => "the upload was stored, and left out of u3".to_owned(),
        Err(e) => e.message().to_owned(),
    };
    Ok(Outcome::new(!counted, answered))
}

async fn replaced(field: &Targets) -> anyhow::Result<Outcome> {
    let (mut rogue, commitment, request) = before_upload(field).await?;
    let again = request.clone();
    let len = rogue.upload.len() as u64;
    rogue
        .carry_out(RunnerEffect::Upload {
            commitment,
            len,
            request,
        })
        .await?;
    let mut content = rogue.upload.clone();
    if let Some(byte) = content.last_mut() {
        *byte ^= 1;
    }
    let second = rogue.sign(SignedRequest {
        body: RequestBody::Result {
            digest: Digest::of(&content),
            len,
        },
        ..again
    })?;
    let answer = rogue.result(&second, content).await;
    let outcome = refused(&answer);
    // Its first result counts: what is in u3 must be unmasked with the others' help alone.
    rogue.stay(1).await?;
    Ok(Outcome::new(outcome.0, outcome.1))
}

async fn late(field: &Targets) -> anyhow::Result<Outcome> {
    let (rogue, _, request) = before_upload(field).await?;
    let content = rogue.upload.clone();
    let (url, peers) = (rogue.url().to_owned(), field.peers.clone());
    rogue.leave(1).await?;
    let answer = peers
        .result(&url, &request, delta_ports::blob::pieces(content))
        .await;
    let (refused, answered) = refused(&answer);
    Ok(Outcome::new(refused, answered))
}

fn plain(shares: &[(Address, delta_domain::secret::SecretBytes)]) -> Vec<(Address, String)> {
    shares
        .iter()
        .map(|(a, s)| (a.clone(), encode_hex(s.expose())))
        .collect()
}

async fn reveal(
    rogue: &RogueMember<'_>,
    kind: ShareKind,
    shares: Vec<(Address, String)>,
) -> anyhow::Result<()> {
    if shares.is_empty() {
        return Ok(());
    }
    let key = rogue.key();
    rogue
        .field
        .connector
        .reveal_shares(&rogue.address, &key, kind, &shares)
        .await?;
    Ok(())
}

async fn wrong_reveal(field: &Targets) -> anyhow::Result<Outcome> {
    let mut rogue = RogueMember::enter(field, 1).await?;
    rogue.next_round().await?;
    let RunnerEffect::Reveal { seeds, notify, .. } = rogue.until("reveal").await? else {
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
    reveal(&rogue, ShareKind::SelfMaskSeed, wrong).await?;
    rogue.send(&notify).await?;
    rogue.stay(1).await?;
    Ok(Outcome::new(
        true,
        "its shares were set aside; the sum is right without them",
    ))
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
