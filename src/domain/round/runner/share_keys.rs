//! The share-keys phase: splitting and sealing this member's secrets, opening and checking the others'.

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::RunnerContext;
use super::phase::{HeldShares, Sharing};
use crate::ids::{Address, Digest};
use crate::round::NeighbourGraph;
use crate::round::message::{SealedShares, ShareDelivery};
use crate::round::record::RawShareRecord;
use crate::secagg::commitment::{commit_share, verify};
use crate::secagg::shamir::{Share, split};
use crate::secret::{Secret, SecretBytes};

/// What this member gives the others.
pub(super) struct Shared {
    pub(super) self_mask: Secret<32>,
    pub(super) sealed: Vec<SealedShares>,
    pub(super) seed_commitments: Vec<(Address, Digest)>,
    pub(super) key_commitments: Vec<(Address, Digest)>,
}

/// A generator for one purpose, derived from the round's seed.
pub(super) fn rng(seed: &Secret<32>, purpose: &str) -> ChaCha20Rng {
    let derived = Sha256::new()
        .chain_update(b"delta runner randomness 1")
        .chain_update(seed.expose())
        .chain_update(purpose)
        .finalize();
    ChaCha20Rng::from_seed(derived.into())
}

/// Draws the self-mask seed, splits it and the mask key over the holders, seals every share.
pub(super) fn share(
    context: &RunnerContext,
    seed: &Secret<32>,
    sharing: &Sharing,
) -> Result<Shared, String> {
    let self_mask = Secret::draw(&mut rng(seed, "self mask"));
    let holders = sharing.graph().holders(&context.me);
    let mut coefficients = rng(seed, "coefficients");
    let seed_shares = split(
        self_mask.expose(),
        sharing.threshold(),
        holders.len(),
        &mut coefficients,
    )
    .map_err(|e| e.to_string())?;
    let key_shares = split(
        &sharing.mask.secret_bytes(),
        sharing.threshold(),
        holders.len(),
        &mut coefficients,
    )
    .map_err(|e| e.to_string())?;
    let mut shared = Shared {
        self_mask,
        sealed: Vec::new(),
        seed_commitments: Vec::new(),
        key_commitments: Vec::new(),
    };
    for ((receiver, seed_share), key_share) in holders.iter().zip(&seed_shares).zip(&key_shares) {
        let key = sharing.seal_key(receiver)?;
        let (seed, sk) = (seed_share.encode(), key_share.encode());
        let sealed = key
            .seal(sharing.place(&context.me, receiver), &both(&seed, &sk))
            .map_err(|e| e.to_string())?;
        shared.sealed.push(SealedShares {
            sender: context.me.clone(),
            receiver: receiver.clone(),
            sealed,
        });
        let commit = |share: &[u8]| (receiver.clone(), commit_share(share));
        shared.seed_commitments.push(commit(&seed));
        shared.key_commitments.push(commit(&sk));
    }
    Ok(shared)
}

/// Both shares for one receiver: the length of the first in a byte, and then the two.
fn both(seed: &[u8], key: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(1 + seed.len() + key.len()));
    // A share has at most 69 bytes.
    out.push(u8::try_from(seed.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(seed);
    out.extend_from_slice(key);
    out
}

/// What [`both`] put together.
fn apart(both: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = both.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

/// Opens the shares of all senders in u2 and checks each against its commitment.
pub(super) fn open_shares(
    context: &RunnerContext,
    sharing: &Sharing,
    senders: Vec<Address>,
    delivery: &ShareDelivery,
    records: &[RawShareRecord],
) -> Result<BTreeMap<Address, HeldShares>, String> {
    let graph = sharing.graph();
    if records.len() != senders.len() {
        return Err(format!(
            "{} share records for {} senders",
            records.len(),
            senders.len()
        ));
    }
    let mut sealed: BTreeMap<&Address, &SealedShares> = BTreeMap::new();
    for shares in delivery.shares.iter().filter(|s| s.receiver == context.me) {
        if sealed.insert(&shares.sender, shares).is_some() {
            return Err(format!(
                "two sets of shares from {} were relayed",
                shares.sender
            ));
        }
    }
    let mut held = BTreeMap::new();
    for (sender, record) in senders.into_iter().zip(records) {
        let shares = sealed
            .get(&sender)
            .ok_or_else(|| format!("no shares from {sender} were relayed"))?;
        let opened = sharing
            .seal_key(&sender)?
            .open(sharing.place(&sender, &context.me), &shares.sealed)
            .map_err(|_| {
                format!(
                    "the shares of {sender} do not open: they were changed, or it sees another bundle, other members, keys, step or variables than this \
                     node, or another key was put in its place or in this node's"
                )
            })?;
        let (seed, key) =
            apart(&opened).ok_or_else(|| format!("the shares of {sender} are malformed"))?;
        let check = |what: &str, share: &[u8], commitment: Option<&String>| {
            checked(graph, context, &sender, what, share, commitment)
        };
        let seed = check("seed share", seed, record.seed_commitment.as_ref())?;
        let key = check("key share", key, record.secret_key_commitment.as_ref())?;
        held.insert(sender, HeldShares { seed, key });
    }
    Ok(held)
}

/// A share that is this member's, in its one form, and the one that its sender committed to.
fn checked(
    graph: &NeighbourGraph,
    context: &RunnerContext,
    sender: &Address,
    what: &str,
    share: &[u8],
    commitment: Option<&String>,
) -> Result<SecretBytes, String> {
    let decoded =
        Share::decode(share).map_err(|e| format!("the {what} of {sender} is malformed: {e}"))?;
    if graph.place(&context.me, sender) != Some(decoded.x()) {
        return Err(format!("the {what} of {sender} is another holder's"));
    }
    let commitment: Digest = commitment
        .and_then(|c| c.parse().ok())
        .ok_or_else(|| format!("there is no valid commitment to the {what} of {sender}"))?;
    if !verify(share, &commitment) {
        return Err(format!(
            "the {what} of {sender} does not match its commitment"
        ));
    }
    Ok(SecretBytes::new(share.to_vec()))
}
