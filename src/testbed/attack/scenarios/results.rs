//! Attacks by a member with what it hands in: its masked result, and the shares that it reveals.

use anyhow::{bail, ensure};

use super::members::{another, judged, plain, reveal};
use crate::testbed::attack::case::{Attack, Outcome, attacks};
use crate::testbed::attack::rogue_member::{RogueMember, refused};
use crate::testbed::attack::target::Targets;
use delta_domain::ids::{Address, Digest};
use delta_domain::round::message::{RequestBody, SignedRequest};
use delta_domain::round::runner::RunnerEffect;
use delta_domain::secagg::commitment::commit_upload;
use delta_ports::PortError;
use delta_ports::blob::pieces;
use delta_ports::connector::ShareKind;
use delta_ports::peer::PeerCalls as _;

pub(in crate::testbed::attack) const ATTACKS: &[Attack] = attacks! { "member", false;
    "result-early", "a result before the computation has started" => early;
    "result-longer", "a result longer than the task's" => longer;
    "result-shorter", "a result cut in the middle" => shorter;
    "result-other-content", "a result other than announced" => other_content;
    "result-anothers", "a result under another member's address" => anothers_result;
    "result-uncommitted", "a result other than committed to on the record" => uncommitted;
    "result-replaced", "a second result after the first" => replaced;
    "result-late", "a result after the round is over" => late;
    "reveal-wrong", "revealed shares that match no commitment" => wrong_reveal;
};

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
            digest: commit_upload(&content),
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
            digest: commit_upload(&content),
            len: content.len() as u64,
        },
        ..request
    })?;
    let (me, key) = (rogue.address.clone(), rogue.key());
    let commitment = commit_upload(&content);
    rogue
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
    rogue
        .connector
        .upload_result_commitment(&me, &key, &Digest([7; 32]))
        .await?;
    let answer = rogue.result(&request, rogue.upload.clone()).await;
    let counted = rogue.shown(|view| view.u3).await?.contains(&me);
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
            digest: commit_upload(&content),
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
    let answer = peers.result(&url, &request, pieces(content)).await;
    let (refused, answered) = refused(&answer);
    Ok(Outcome::new(refused, answered))
}

async fn wrong_reveal(field: &Targets) -> anyhow::Result<Outcome> {
    let mut rogue = RogueMember::enter_needed_once(field).await?;
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
    // The others' shares are out: a second sum without this member would give its contribution away, had it kept its own to the coordinator.
    let why = rogue.stay_to_the_error("wrong share").await?;
    Ok(Outcome::new(
        true,
        format!(
            "its shares were set aside; no sum was made, and the author is told who is to blame: {why}"
        ),
    ))
}
