//! Rebuilding seeds and keys from revealed shares, and what follows from them for the sum.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::phase::Unmasking;
use zeroize::Zeroizing;

use super::effect::DroppedMember;
use crate::ids::{Address, Digest, decode_hex};
use crate::round::record::RawShareRecord;
use crate::round::runner::MaskStream;
use crate::secagg::commitment::verify;
use crate::secagg::keys::{Curve, KeyPair};
use crate::secagg::mask::Sign;
use crate::secagg::pairwise::sign_for;
use crate::secagg::shamir::{CombineError, Interpolator, Share};
use crate::secret::{Secret, SecretBytes};

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
    /// Keeps one share; the first for each place counts, and all are the committed ones anyway.
    pub(super) fn take(&mut self, owner: Address, x: u16, share: SecretBytes) {
        let shares = self.reveals.shares.entry(owner).or_default();
        let before = shares.len();
        shares.entry(x).or_insert(share);
        if shares.len() > before && shares.len() == self.sharing.threshold() {
            self.lacking = self.lacking.saturating_sub(1);
        }
    }

    /// Secrets that still lack shares: owner, shares there, shares needed.
    pub(super) fn owners_lacking_shares(&self) -> Vec<(Address, usize, usize)> {
        let need = self.sharing.threshold();
        self.u2
            .iter()
            .map(|owner| {
                let have = self.reveals.shares.get(owner).map_or(0, BTreeMap::len);
                (owner.clone(), have, need)
            })
            .filter(|(_, have, need)| have < need)
            .collect()
    }

    /// Everything that is in the sum of u3 and must go: the self masks of u3, and the keys of the dropped, checked against what
    /// they published, with those of u3 whom each shares a mask with.
    pub(super) fn rebuild(
        &self,
        curve: Curve,
    ) -> Result<(Vec<MaskStream>, Vec<DroppedMember>), String> {
        let mut rebuilder = Rebuilder {
            threshold: self.sharing.threshold(),
            reveals: &self.reveals,
            coefficients: BTreeMap::new(),
        };
        let mut masks = Vec::with_capacity(self.u3.len());
        for owner in &self.u3 {
            let bytes = rebuilder.secret(owner, 32)?;
            let seed: [u8; 32] = bytes
                .as_slice()
                .try_into()
                .map_err(|_| format!("the seed of {owner} has a wrong length"))?;
            masks.push(MaskStream {
                seed: Secret::new(seed),
                sign: Sign::Minus,
            });
        }
        let mut dropped = Vec::new();
        for owner in self.u2.difference(&self.u3) {
            let bytes = rebuilder.secret(owner, curve.secret_bytes())?;
            dropped.push(self.dropped(owner, curve, &bytes)?);
        }
        Ok((masks, dropped))
    }

    fn dropped(
        &self,
        owner: &Address,
        curve: Curve,
        secret: &[u8],
    ) -> Result<DroppedMember, String> {
        let directory = &self.sharing.directory;
        let key = KeyPair::from_secret_bytes(curve, secret)
            .map_err(|e| format!("the rebuilt key of {owner} is invalid: {e}"))?;
        if directory
            .keys(owner)
            .is_none_or(|k| k.mask != *key.public_ref())
        {
            return Err(format!(
                "the rebuilt key of {owner} is not the one it published: it shared something else"
            ));
        }
        let mut peers = Vec::new();
        for other in self.sharing.graph().neighbours(owner) {
            if self.u3.contains(other) {
                let keys = directory
                    .keys(other)
                    .ok_or_else(|| format!("{other} has no keys"))?;
                peers.push((keys.mask.clone(), sign_for(other, owner).opposite()));
            }
        }
        Ok(DroppedMember { key, peers })
    }
}

/// Puts secrets together; coefficients are computed once for each set of holders.
struct Rebuilder<'a> {
    threshold: usize,
    reveals: &'a Reveals,
    coefficients: BTreeMap<Vec<u16>, Interpolator>,
}

impl Rebuilder<'_> {
    fn secret(&mut self, owner: &Address, len: usize) -> Result<Zeroizing<Vec<u8>>, String> {
        let wrong = |e: CombineError| format!("the secret of {owner} cannot be rebuilt: {e}");
        let shares = self.reveals.shares.get(owner).into_iter().flatten();
        let (mut xs, mut points) = (Vec::new(), Vec::new());
        for (x, share) in shares.take(self.threshold) {
            let share = Share::decode(share.expose())
                .map_err(|e| format!("a share of {owner} is malformed: {e}"))?;
            xs.push(*x);
            points.push(share);
        }
        let points: Vec<&Share> = points.iter().collect();
        if !self.coefficients.contains_key(&xs) {
            let fresh = Interpolator::new(&xs, self.threshold).map_err(wrong)?;
            self.coefficients.insert(xs.clone(), fresh);
        }
        self.coefficients
            .get(&xs)
            .ok_or_else(|| format!("the secret of {owner} cannot be rebuilt"))?
            .combine(&points, len)
            .map_err(wrong)
    }
}
