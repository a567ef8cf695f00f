//! What all members of a round must see alike, and how each proves it.
//!
//! Every member signs (task, round, u1 and keys, announcement) under its `pk1` and the coordinator relays the signatures with the sealed
//! shares; nobody computes or reveals before all its neighbours in u2 signed the same, and so, the graph being connected, all of u2. This stands in for the paper's consistency check, and stops a
//! coordinator that shows different models or different members to different nodes (docs/protocol/secagg.md, Transcript).

use super::Members;
use super::message::{Announcement, Encoder, SignedRequest};
use super::{Directory, Rejection};
use crate::ids::{Address, Digest};

/// The bytes that each member signs.
#[must_use]
pub fn transcript_bytes(announcement: &Announcement, directory: &Directory) -> Vec<u8> {
    let mut e = Encoder::new("delta transcript 1");
    e.text(announcement.task.as_str());
    e.number(u64::from(announcement.round.0));
    e.bytes(&directory.digest().0);
    e.bytes(&announcement.digest().0);
    e.finish()
}

/// The bytes that each member of u3 signs before it reveals anything: which lists it was shown (the paper's consistency check).
#[must_use]
pub fn confirmation_bytes(
    announcement: &Announcement,
    directory: &Directory,
    u2: &Members,
    u3: &Members,
) -> Vec<u8> {
    let mut e = Encoder::new("delta u3 2");
    e.bytes(&transcript_bytes(announcement, directory));
    // Short, however many members there are: each signature hashes it again.
    for list in [u2, u3] {
        let mut members = Encoder::new("delta members 1");
        encode_members(&mut members, list);
        e.bytes(&members.digest().0);
    }
    e.finish()
}

fn encode_members(e: &mut Encoder, list: &Members) {
    e.number(list.len() as u64);
    for address in list {
        e.text(address.as_str());
    }
}

/// Digest of the members and keys that a request's sender believes in: u1 with its keys, and u2 once it is known.
#[must_use]
pub fn view_digest(directory: &Directory, u2: Option<&Members>) -> Digest {
    let mut e = Encoder::new("delta view 1");
    e.bytes(&directory.digest().0);
    if let Some(u2) = u2 {
        encode_members(&mut e, u2);
    }
    e.digest()
}

/// Checks that `request` was signed by its sender, a usable member of u1, who sees what this node sees: `view`.
///
/// # Errors
/// `NotAMember`, `BadSignature` or `InconsistentView`.
pub fn authenticate(
    request: &SignedRequest,
    directory: &Directory,
    view: Digest,
) -> Result<(), Rejection> {
    let what = request.body.name();
    let sender: &Address = &request.sender;
    let keys = directory
        .keys(sender)
        .ok_or_else(|| Rejection::NotAMember {
            sender: sender.clone(),
            what,
        })?;
    keys.cipher
        .verify(&request.signed_bytes(), &request.signature)
        .map_err(|_| Rejection::BadSignature {
            sender: sender.clone(),
            what,
        })?;
    if request.view == view {
        Ok(())
    } else {
        Err(Rejection::InconsistentView {
            sender: sender.clone(),
        })
    }
}
