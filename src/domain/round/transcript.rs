//! What all members of a round must see alike, and how each finds out.
//!
//! Shares are sealed under keys that are bound to the transcript: task, round, u1 and its keys, the bundle, what is computed. Whoever sees another one
//! cannot open what its neighbours sealed, and leaves the round before it computes anything; the graph being connected, all of u2 then see
//! the same. Before anything is revealed each member tells its neighbours, by tags under the same keys, which u2 and u3 it was shown.
//! This stands in for the paper's consistency check, and stops a coordinator that shows different tasks, models or members to different nodes
//! (docs/protocol/secagg.md, Transcript).

use super::Members;
use super::message::{Announcement, Encoder, SignedRequest};
use super::{Directory, Rejection};
use crate::ids::{Address, Digest};

/// Task, round, members and their keys, and what is computed, in bytes; `bundle` is the SHA-256 of the task's bundle.
#[must_use]
pub fn transcript_bytes(
    announcement: &Announcement,
    bundle: &Digest,
    directory: &Directory,
) -> Vec<u8> {
    let mut e = Encoder::new("delta transcript 1");
    e.text(announcement.task.as_str());
    e.number(u64::from(announcement.round.0));
    e.bytes(&directory.digest().0);
    e.bytes(&announcement.digest(bundle).0);
    e.finish()
}

/// SHA-256 of [`transcript_bytes`]: what every seal, tag and request of a round is bound to.
#[must_use]
pub fn transcript_digest(
    announcement: &Announcement,
    bundle: &Digest,
    directory: &Directory,
) -> Digest {
    Digest::of(&transcript_bytes(announcement, bundle, directory))
}

/// What each member of u3 says to its neighbours before it reveals anything: which lists it was shown (the paper's consistency check).
#[must_use]
pub fn confirmation_digest(transcript: &Digest, u2: &Members, u3: &Members) -> Digest {
    let mut e = Encoder::new("delta u3 3");
    e.bytes(&transcript.0);
    encode_members(&mut e, u2);
    encode_members(&mut e, u3);
    e.digest()
}

fn encode_members(e: &mut Encoder, list: &Members) {
    e.number(list.len() as u64);
    for address in list {
        e.text(address.as_str());
    }
}

/// Digest of what a request's sender believes in: the transcript, and u2 once it is known.
#[must_use]
pub fn view_digest(transcript: &Digest, u2: Option<&Members>) -> Digest {
    let mut e = Encoder::new("delta view 2");
    e.bytes(&transcript.0);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RoundNumber;
    use crate::round::record::RawPublicKeys;
    use crate::secagg::keys::{Curve, KeyPair};

    /// The examples of docs/protocol/secagg.md, computed by another implementation from that page alone.
    #[test]
    fn the_examples_of_the_protocol() {
        let member =
            |digits: &str| -> Address { format!("0x{}", digits.repeat(20)).parse().unwrap() };
        let (a, b) = (member("11"), member("22"));
        let wire = |byte: u8| {
            let pair = KeyPair::from_secret_bytes(Curve::Secp256k1, &[byte; 32]).unwrap();
            pair.public_ref().to_wire()
        };
        let keys = |pk1, pk2| RawPublicKeys {
            pk1: wire(pk1),
            pk2: wire(pk2),
        };
        let both = [a.clone(), b.clone()];
        let directory = Directory::judge(Curve::Secp256k1, &both, &[keys(1, 2), keys(3, 4)]);
        let announcement = Announcement {
            task: format!("0x{}", "07".repeat(32)).parse().unwrap(),
            round: RoundNumber(3),
            step: 0,
            variables: [("w".parse().unwrap(), Digest::of(b"w"))].into(),
        };
        let bundle = Digest::of(b"bundle");
        let bytes = transcript_bytes(&announcement, &bundle, &directory);
        assert_eq!(bytes.len(), 188);
        let transcript = transcript_digest(&announcement, &bundle, &directory);
        let all: Members = both.into();
        for (digest, expected) in [
            (
                transcript,
                "aa991863a30bba82cbac6b56964e59948ac2d3fb138cb7e06771276f0fa72d92",
            ),
            (
                view_digest(&transcript, None),
                "e2f0d8839cbc596369b26f2bbe125d7a3c02e930dba79e12dfd3cf53528b2fde",
            ),
            (
                view_digest(&transcript, Some(&all)),
                "750f0f721e05ccdf982e40a43ae554cc95ed52343616fcedee66f84c884f81e5",
            ),
            (
                confirmation_digest(&transcript, &all, &all),
                "1c71607ef95616b58874e37b43bff342f373799fc01cdba3d5f7c129cbb09ad0",
            ),
        ] {
            assert_eq!(digest.to_string(), format!("0x{expected}"));
        }
    }
}
