//! The share-keys phase: splitting and sealing this member's secrets, opening and checking the others'.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sha2::{Digest as _, Sha256};

use super::RunnerContext;
use super::phase::{HeldShares, Sharing};
use crate::ids::{Address, Digest};
use crate::round::Directory;
use crate::round::message::{SealedShares, ShareDelivery};
use crate::round::record::RawShareRecord;
use crate::secagg::commitment::{commit_share, verify};
use crate::secagg::keys::all_signed;
use crate::secagg::seal::{SealContext, SealKey, ShareKind};
use crate::secagg::shamir::{Share, split};
use crate::secret::{Secret, SecretBytes};

/// What this member gives the others.
pub(super) struct Shared {
    pub(super) self_mask: Secret<32>,
    pub(super) sealed: Vec<SealedShares>,
    pub(super) seed_commitments: Vec<(Address, Digest)>,
    pub(super) key_commitments: Vec<(Address, Digest)>,
    pub(super) seal_keys: BTreeMap<Address, Arc<SealKey>>,
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
    let mut nonces = rng(seed, "nonces");
    let mut shared = Shared {
        self_mask,
        sealed: Vec::new(),
        seed_commitments: Vec::new(),
        key_commitments: Vec::new(),
        seal_keys: BTreeMap::new(),
    };
    for ((receiver, seed_share), key_share) in holders.iter().zip(&seed_shares).zip(&key_shares) {
        let key = sharing.seal_key(receiver)?;
        let mut seal = |kind: ShareKind, share: &Share| {
            let encoded = share.encode();
            let context = seal_context(context, &context.me, receiver, kind);
            key.seal(context, &encoded, &mut nonces)
                .map(|sealed| (sealed, commit_share(&encoded)))
                .map_err(|e| e.to_string())
        };
        let (seed_share, seed_commitment) = seal(ShareKind::SelfMaskSeed, seed_share)?;
        let (sk_share, key_commitment) = seal(ShareKind::MaskKey, key_share)?;
        shared.sealed.push(SealedShares {
            sender: context.me.clone(),
            receiver: receiver.clone(),
            seed_share,
            sk_share,
        });
        shared
            .seed_commitments
            .push((receiver.clone(), seed_commitment));
        shared
            .key_commitments
            .push((receiver.clone(), key_commitment));
        shared.seal_keys.insert(receiver.clone(), key);
    }
    Ok(shared)
}

/// Checks that all of `signers`, this member's neighbours in u2, signed the same round.
///
/// In a ring that is enough for all: who signed nothing but what its own neighbours signed agrees with theirs, and the ring
/// without colluding and dropped members hangs together (see `neighbourhood`).
pub(super) fn check_transcripts(
    signed: &[u8],
    directory: &Directory,
    signers: &[Address],
    delivery: &ShareDelivery,
    seed: &Secret<32>,
) -> Result<(), String> {
    let relayed: BTreeMap<&Address, &[u8]> = delivery
        .transcripts
        .iter()
        .map(|t| (&t.signer, t.signature.as_slice()))
        .collect();
    let mut signatures = Vec::with_capacity(signers.len());
    for member in signers {
        let signature = relayed
            .get(member)
            .ok_or_else(|| format!("no transcript signature of {member} was relayed"))?;
        let keys = directory
            .keys(member)
            .ok_or_else(|| format!("{member} has no keys"))?;
        signatures.push((&keys.cipher, *signature));
    }
    // A wrong one ends the round for this member: nobody gets a second try against the same randomness.
    all_signed(signed, &signatures, &mut rng(seed, "transcripts")).map_err(|at| {
        let member = &signers[at];
        format!("{member} signed another round: other members, keys, step or variables than this node sees")
    })
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
        let key = sharing.seal_key(&sender)?;
        let open = |kind,
                    sealed: &[u8],
                    commitment: Option<&String>|
         -> Result<SecretBytes, String> {
            let what = match kind {
                ShareKind::SelfMaskSeed => "seed share",
                ShareKind::MaskKey => "key share",
            };
            let opened = key
                .open(seal_context(context, &sender, &context.me, kind), sealed)
                .map_err(|_| format!("the {what} of {sender} cannot be opened: it was tampered with or is for somebody else"))?;
            let share = Share::decode(&opened)
                .map_err(|e| format!("the {what} of {sender} is malformed: {e}"))?;
            if graph.place(&context.me, &sender) != Some(share.x()) {
                return Err(format!("the {what} of {sender} is another holder's"));
            }
            let commitment: Digest = commitment
                .and_then(|c| c.parse().ok())
                .ok_or_else(|| format!("there is no valid commitment to the {what} of {sender}"))?;
            if !verify(&opened, &commitment) {
                return Err(format!(
                    "the {what} of {sender} does not match its commitment"
                ));
            }
            Ok(SecretBytes::new(opened.to_vec()))
        };
        let seed = open(
            ShareKind::SelfMaskSeed,
            &shares.seed_share,
            record.seed_commitment.as_ref(),
        )?;
        let key_share = open(
            ShareKind::MaskKey,
            &shares.sk_share,
            record.secret_key_commitment.as_ref(),
        )?;
        held.insert(
            sender,
            HeldShares {
                seed,
                key: key_share,
            },
        );
    }
    Ok(held)
}

fn seal_context<'a>(
    context: &'a RunnerContext,
    sender: &'a Address,
    receiver: &'a Address,
    kind: ShareKind,
) -> SealContext<'a> {
    SealContext {
        task: context.task(),
        round: context.round(),
        sender,
        receiver,
        kind,
    }
}
