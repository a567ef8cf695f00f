//! Rebuilding seeds and keys from revealed shares, and what follows from them for the sum.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::phase::Unmasking;
use crate::domain::ids::{Address, Digest, RoundNumber, TaskId, decode_hex};
use crate::domain::round::record::RawShareRecord;
use crate::domain::round::runner::MaskStream;
use crate::domain::secagg::commitment::verify;
use crate::domain::secagg::keys::{Curve, KeyPair};
use crate::domain::secagg::mask::Sign;
use crate::domain::secagg::pairwise::{pairwise_seed, sign_for};
use crate::domain::secagg::shamir::{Share, combine};
use crate::domain::secret::{Secret, SecretBytes};

/// Shares revealed so far: by owner of the secret, then by the share's x. Seeds are of u3, keys of u2 minus u3.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Reveals {
    pub(super) shares: BTreeMap<Address, BTreeMap<u16, SecretBytes>>,
}

/// What one member's record says.
pub(super) enum Reveal {
    /// Everything that was asked for, right.
    Complete(Vec<(Address, u16, SecretBytes)>),
    /// Something is not there yet.
    Partial,
    /// A share is wrong: its revealer is named and not used.
    Wrong(String),
}

/// Judges what `receiver` has revealed about `senders`.
pub(super) fn judge(
    state: &Unmasking,
    receiver: &Address,
    senders: &[Address],
    records: &[RawShareRecord],
) -> Reveal {
    let graph = state.sharing.graph();
    let mut found = Vec::new();
    for (sender, record) in senders.iter().zip(records) {
        let (what, share, commitment) = if state.u3.contains(sender) {
            ("seed share", &record.seed, &record.seed_commitment)
        } else {
            (
                "key share",
                &record.secret_key,
                &record.secret_key_commitment,
            )
        };
        let Some(share) = share else {
            return Reveal::Partial;
        };
        let Some(commitment) = commitment.as_ref().and_then(|c| c.parse::<Digest>().ok()) else {
            return Reveal::Wrong(format!("the {what} of {sender} has no valid commitment"));
        };
        let Ok(encoded) = decode_hex(share) else {
            return Reveal::Wrong(format!("the {what} of {sender} is not hex"));
        };
        let encoded = SecretBytes::new(encoded);
        if !verify(encoded.expose(), &commitment) {
            return Reveal::Wrong(format!(
                "the {what} of {sender} does not match its commitment"
            ));
        }
        match Share::decode(encoded.expose()) {
            // A share at another's place would keep that one's share out.
            Ok(decoded) if graph.place(receiver, sender) != Some(decoded.x()) => {
                return Reveal::Wrong(format!("the {what} of {sender} is another holder's"));
            }
            Ok(decoded) => found.push((sender.clone(), decoded.x(), encoded)),
            Err(e) => return Reveal::Wrong(format!("the {what} of {sender} is malformed: {e}")),
        }
    }
    Reveal::Complete(found)
}

impl Unmasking {
    /// Secrets that still lack shares: owner, shares there, shares needed.
    pub(super) fn lacking(
        &self,
        threshold_for: impl Fn(usize) -> usize,
    ) -> Vec<(Address, usize, usize)> {
        let graph = self.sharing.graph();
        self.u2
            .iter()
            .filter_map(|owner| {
                let have = self.reveals.shares.get(owner).map_or(0, BTreeMap::len);
                let need = threshold_for(graph.holders(owner).len());
                (have < need).then(|| (owner.clone(), have, need))
            })
            .collect()
    }

    /// Every stream that is in the sum of u3, with the sign under which it must be added to vanish.
    ///
    /// The self masks of u3; and for each dropped member its pairwise masks with those of u3.
    pub(super) fn streams(
        &self,
        task: &TaskId,
        round: RoundNumber,
        curve: Curve,
        threshold_for: impl Fn(usize) -> usize,
    ) -> Result<Vec<MaskStream>, String> {
        let graph = self.sharing.graph();
        let rebuild =
            |owner: &Address, len: usize| -> Result<zeroize::Zeroizing<Vec<u8>>, String> {
                let shares: Result<Vec<Share>, _> = self
                    .reveals
                    .shares
                    .get(owner)
                    .into_iter()
                    .flat_map(BTreeMap::values)
                    .map(|s| Share::decode(s.expose()))
                    .collect();
                let shares = shares.map_err(|e| format!("a share of {owner} is malformed: {e}"))?;
                combine(&shares, threshold_for(graph.holders(owner).len()), len)
                    .map_err(|e| format!("the secret of {owner} cannot be rebuilt: {e}"))
            };
        let mut streams = Vec::new();
        for owner in &self.u3 {
            let bytes = rebuild(owner, 32)?;
            let seed: [u8; 32] = bytes
                .as_slice()
                .try_into()
                .map_err(|_| format!("the seed of {owner} has a wrong length"))?;
            streams.push(MaskStream {
                seed: Secret::new(seed),
                sign: Sign::Minus,
            });
        }
        for dropped in self.u2.difference(&self.u3) {
            let bytes = rebuild(dropped, curve.secret_bytes())?;
            let key = KeyPair::from_secret_bytes(curve, &bytes)
                .map_err(|e| format!("the rebuilt key of {dropped} is invalid: {e}"))?;
            if self
                .sharing
                .directory
                .keys(dropped)
                .is_none_or(|k| k.mask != key.public())
            {
                return Err(format!(
                    "the rebuilt key of {dropped} is not the one it published: it shared something else"
                ));
            }
            for other in graph.neighbours(dropped).filter(|a| self.u3.contains(*a)) {
                let theirs = self
                    .sharing
                    .directory
                    .keys(other)
                    .ok_or_else(|| format!("{other} has no keys"))?;
                let seed = pairwise_seed(&key, &theirs.mask, task, round)
                    .map_err(|e| format!("no pairwise mask of {dropped} and {other}: {e}"))?;
                streams.push(MaskStream {
                    seed,
                    sign: sign_for(other, dropped).opposite(),
                });
            }
        }
        Ok(streams)
    }
}
