//! A whole secure sum of up to six members, built from the primitives alone: masks cancel for every pattern of dropouts that
//! leaves the threshold, and nothing comes out below it (docs/protocol/secagg.md, Unmasking; Bonawitz et al., CCS 2017).
//!
//! Member i contributes 4^i, so that each base-4 digit of the sum says how often that member was counted.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    missing_docs
)]

use std::collections::BTreeMap;

use delta_node::domain::ids::{Address, Digest, RoundNumber, TaskId};
use delta_node::domain::secagg::encoding::Encoding;
use delta_node::domain::secagg::masked_input::{HEADER_BYTES, write_le_words};
use delta_node::domain::secagg::{
    CombineError, Curve, Interpolator, KeyPair, MaskGenerator, MaskSeed, MaskedInputHeader, Masker,
    PublicKey, SealContext, SealError, SealKey, Share, ShareKind, Sign, StreamAdder, Word,
    commit_share, pairwise_seed, shamir, sign_for, verify_share,
};
use delta_node::domain::secret::Secret;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

const TRANSCRIPT: Digest = Digest([3; 32]);
const ROUND: RoundNumber = RoundNumber(3);
const PRECISION: u8 = 4;

fn task() -> TaskId {
    format!("0x{}", "5a".repeat(32)).parse().unwrap()
}

/// Addresses whose order is not that of the members, and of both cases.
fn address(i: usize) -> Address {
    let digit = ["b", "A", "f", "0", "D", "9"][i];
    format!("0x{}", digit.repeat(40)).parse().unwrap()
}

struct Member {
    address: Address,
    cipher: KeyPair,
    mask: KeyPair,
    seed: MaskSeed,
}

/// What one member holds of another: an opened share of each kind.
type Held = BTreeMap<(Address, ShareKind), Share>;

struct Setup {
    members: Vec<Member>,
    held: Vec<Held>,
    threshold: usize,
}

fn kinds() -> [ShareKind; 2] {
    [ShareKind::SelfMaskSeed, ShareKind::MaskKey]
}

/// AdvertiseKeys and ShareKeys, through sealing, opening and commitments.
fn share_keys(n: usize, threshold: usize, curve: Curve, rng: &mut ChaCha20Rng) -> Setup {
    let members: Vec<Member> = (0..n)
        .map(|i| {
            let mut seed = [0; 32];
            rng.fill_bytes(&mut seed);
            let (cipher, mask) = (KeyPair::generate(curve, rng), KeyPair::generate(curve, rng));
            Member {
                address: address(i),
                cipher,
                mask,
                seed: Secret::new(seed),
            }
        })
        .collect();
    let mut held = vec![Held::new(); n];
    for sender in &members {
        for kind in kinds() {
            let secret = match kind {
                ShareKind::SelfMaskSeed => sender.seed.expose().to_vec(),
                ShareKind::MaskKey => sender.mask.secret_bytes().to_vec(),
            };
            let shares = shamir::split(&secret, threshold, n, rng).unwrap();
            for ((receiver, share), held) in members.iter().zip(&shares).zip(&mut held) {
                let context = SealContext {
                    transcript: &TRANSCRIPT,
                    sender: &sender.address,
                    receiver: &receiver.address,
                };
                let encoded = share.encode();
                let commitment = commit_share(&encoded);
                let sealed = SealKey::new(&sender.cipher, receiver.cipher.public_ref(), None)
                    .unwrap()
                    .seal(context, &encoded)
                    .unwrap();
                let opened = SealKey::new(&receiver.cipher, sender.cipher.public_ref(), None)
                    .unwrap()
                    .open(context, &sealed)
                    .unwrap();
                assert!(verify_share(&opened, &commitment));
                held.insert(
                    (sender.address.clone(), kind),
                    Share::decode(&opened).unwrap(),
                );
            }
        }
    }
    Setup {
        members,
        held,
        threshold,
    }
}

fn encoding<W: Word>(setup: &Setup) -> Encoding {
    Encoding::new(W::RING, PRECISION, setup.members.len())
}

/// MaskedInput: the upload of one member, header and words.
fn upload<W: Word>(
    setup: &Setup,
    i: usize,
    u2: &[usize],
    generator: MaskGenerator,
    values: &[f64],
) -> Vec<u8> {
    let own = &setup.members[i];
    let mut words: Vec<W> = Vec::new();
    encoding::<W>(setup).encode(values, &mut words).unwrap();
    let pairwise: Vec<(MaskSeed, Sign)> = u2
        .iter()
        .filter(|j| **j != i)
        .map(|j| {
            let other = &setup.members[*j];
            (
                pairwise_seed(&own.mask, other.mask.public_ref(), &task(), ROUND).unwrap(),
                sign_for(&own.address, &other.address),
            )
        })
        .collect();
    let mut masks: Vec<(&MaskSeed, Sign)> =
        pairwise.iter().map(|(seed, sign)| (seed, *sign)).collect();
    masks.push((&own.seed, Sign::Plus));
    let before = words.clone();
    Masker::new(generator, &masks).apply(0, &mut words);
    assert!(
        words.iter().zip(&before).filter(|(a, b)| a == b).count() <= 1,
        "a value left in clear"
    );
    let header = header::<W>(i, values.len());
    let mut bytes = header.encode().to_vec();
    write_le_words::<_, ()>(&words, |part| {
        bytes.extend_from_slice(part);
        Ok(())
    })
    .unwrap();
    assert_eq!(Some(bytes.len() as u64), header.total_bytes());
    bytes
}

fn header<W: Word>(i: usize, length: usize) -> MaskedInputHeader {
    MaskedInputHeader {
        task: task(),
        round: ROUND,
        sender: address(i),
        ring: W::RING,
        length: length as u64,
    }
}

/// Unmasking: what the coordinator computes from the uploads of u3 and the answers of `answering`.
fn unmask<W: Word>(
    setup: &Setup,
    uploads: &BTreeMap<usize, Vec<u8>>,
    u2: &[usize],
    answering: &[usize],
    generator: MaskGenerator,
    length: usize,
) -> Result<Vec<f64>, CombineError> {
    let mut sum = vec![W::default(); length];
    for (i, bytes) in uploads {
        MaskedInputHeader::decode_expecting(bytes, &header::<W>(*i, length)).unwrap();
        let mut adder = StreamAdder::new(Sign::Plus);
        for chunk in bytes[HEADER_BYTES..].chunks(7) {
            adder.push(&mut sum, chunk).unwrap();
        }
        adder.finish(&sum).unwrap();
    }
    let xs: Vec<u16> = answering
        .iter()
        .map(|h| setup.held[*h].values().next().unwrap().x())
        .collect();
    let interpolator = Interpolator::new(&xs, setup.threshold)?;
    let rebuild = |of: usize, kind: ShareKind, len: usize| {
        let key = (setup.members[of].address.clone(), kind);
        let shares: Vec<&Share> = answering
            .iter()
            .take(setup.threshold)
            .map(|h| &setup.held[*h][&key])
            .collect();
        interpolator.combine(&shares, len).unwrap()
    };
    let mut seeds: Vec<(MaskSeed, Sign)> = Vec::new();
    for &i in uploads.keys() {
        seeds.push((
            Secret::new(
                rebuild(i, ShareKind::SelfMaskSeed, 32)
                    .as_slice()
                    .try_into()
                    .unwrap(),
            ),
            Sign::Minus,
        ));
    }
    for &dropped in u2.iter().filter(|i| !uploads.contains_key(i)) {
        let published: PublicKey = setup.members[dropped].mask.public();
        let curve = published.curve();
        let secret = rebuild(dropped, ShareKind::MaskKey, curve.secret_bytes());
        let key = KeyPair::from_secret_bytes(curve, &secret).unwrap();
        assert_eq!(key.public(), published);
        for &i in uploads.keys() {
            let other = &setup.members[i];
            let seed = pairwise_seed(&key, other.mask.public_ref(), &task(), ROUND).unwrap();
            seeds.push((
                seed,
                sign_for(&other.address, &setup.members[dropped].address).opposite(),
            ));
        }
    }
    let masks: Vec<(&MaskSeed, Sign)> = seeds.iter().map(|(seed, sign)| (seed, *sign)).collect();
    Masker::new(generator, &masks).apply(0, &mut sum);
    let mut out = Vec::new();
    encoding::<W>(setup).decode(&sum, &mut out);
    Ok(out)
}

fn contribution(i: usize) -> Vec<f64> {
    let own = f64::from(4_u32.pow(i as u32));
    vec![own, -own, own / 8.0, 0.0, -0.5]
}

fn every_pattern<W: Word>(n: usize, threshold: usize, curve: Curve, generator: MaskGenerator) {
    let mut rng = ChaCha20Rng::seed_from_u64((n * 10 + threshold) as u64);
    let setup = share_keys(n, threshold, curve, &mut rng);
    let u2: Vec<usize> = (0..n).collect();
    let uploads: BTreeMap<usize, Vec<u8>> = (0..n)
        .map(|i| (i, upload::<W>(&setup, i, &u2, generator, &contribution(i))))
        .collect();
    for pattern in 1_u32..1 << n {
        let u3: Vec<usize> = (0..n).filter(|i| pattern >> i & 1 == 1).collect();
        let arrived: BTreeMap<usize, Vec<u8>> =
            u3.iter().map(|i| (*i, uploads[i].clone())).collect();
        let result = unmask::<W>(&setup, &arrived, &u2, &u3, generator, 5);
        if u3.len() < threshold {
            assert_eq!(
                result.unwrap_err(),
                CombineError::TooFew {
                    have: u3.len(),
                    need: threshold
                }
            );
            continue;
        }
        let counted: f64 = u3.iter().map(|i| f64::from(4_u32.pow(*i as u32))).sum();
        let members = u3.len() as f64;
        assert_eq!(
            result.unwrap(),
            [counted, -counted, counted / 8.0, 0.0, -0.5 * members],
            "pattern {pattern:b}"
        );
    }
}

#[test]
fn masks_cancel_for_every_dropout_pattern_at_the_threshold_or_above() {
    for n in 2..=6 {
        for threshold in n / 2 + 1..=n {
            every_pattern::<u64>(n, threshold, Curve::Secp256k1, MaskGenerator::Aes128Ctr);
        }
    }
}

#[test]
fn every_ring_curve_and_generator_gives_the_same_sum() {
    for curve in [Curve::Secp256k1, Curve::Secp256r1, Curve::Secp384r1] {
        for generator in [MaskGenerator::Aes128Ctr, MaskGenerator::ChaCha20] {
            every_pattern::<u32>(3, 2, curve, generator);
            every_pattern::<u64>(3, 2, curve, generator);
        }
    }
}

#[test]
fn a_missing_mask_leaves_noise_and_not_the_sum() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let setup = share_keys(3, 2, Curve::Secp256k1, &mut rng);
    let u2 = [0, 1, 2];
    let uploads: BTreeMap<usize, Vec<u8>> = [0, 1]
        .map(|i| {
            (
                i,
                upload::<u64>(&setup, i, &u2, MaskGenerator::ChaCha20, &contribution(i)),
            )
        })
        .into();
    let right = unmask::<u64>(&setup, &uploads, &u2, &[0, 1], MaskGenerator::ChaCha20, 5).unwrap();
    // The dropped third member forgotten: its pairwise masks stay in.
    let wrong = unmask::<u64>(
        &setup,
        &uploads,
        &[0, 1],
        &[0, 1],
        MaskGenerator::ChaCha20,
        5,
    )
    .unwrap();
    assert_eq!(right[0], 5.0);
    assert!(right.iter().zip(&wrong).all(|(a, b)| a != b));
}

#[test]
fn the_whole_contribution_is_deterministic_given_the_seed() {
    let digest = |seed| {
        let setup = share_keys(
            2,
            2,
            Curve::Secp256k1,
            &mut ChaCha20Rng::seed_from_u64(seed),
        );
        Digest::of(&upload::<u64>(
            &setup,
            0,
            &[0, 1],
            MaskGenerator::Aes128Ctr,
            &contribution(0),
        ))
    };
    assert_eq!(digest(1), digest(1));
    assert_ne!(digest(1), digest(2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn random_vectors_sum_exactly(
        values in prop::collection::vec(prop::collection::vec(-1000_i32..1000, 40), 2..=5),
        seed in any::<u64>(),
        dropped in any::<u8>(),
    ) {
        let n = values.len();
        let threshold = n / 2 + 1;
        let setup = share_keys(n, threshold, Curve::Secp256k1, &mut ChaCha20Rng::seed_from_u64(seed));
        let u2: Vec<usize> = (0..n).collect();
        let u3: Vec<usize> = (0..n).filter(|i| dropped >> i & 1 == 0).collect();
        prop_assume!(u3.len() >= threshold);
        // Quarters are exact in binary and at four decimal places.
        let real = |i: usize| values[i].iter().map(|v| f64::from(*v) / 4.0).collect::<Vec<_>>();
        let uploads: BTreeMap<usize, Vec<u8>> =
            u3.iter().map(|i| (*i, upload::<u64>(&setup, *i, &u2, MaskGenerator::Aes128Ctr, &real(*i)))).collect();
        let sum = unmask::<u64>(&setup, &uploads, &u2, &u3, MaskGenerator::Aes128Ctr, 40).unwrap();
        let want: Vec<f64> = (0..40).map(|k| u3.iter().map(|i| real(*i)[k]).sum()).collect();
        prop_assert_eq!(sum, want);
    }

    #[test]
    fn a_tampered_or_misplaced_seal_never_opens(
        plain in prop::collection::vec(any::<u8>(), 0..80),
        seed in any::<u64>(),
        at in any::<prop::sample::Index>(),
        flip in 1_u8..,
        place in 0_u8..3,
        identified in any::<bool>(),
    ) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let (a, b) = (KeyPair::generate(Curve::Secp256k1, &mut rng), KeyPair::generate(Curve::Secp256k1, &mut rng));
        let (alice, bob, other) = (address(0), address(1), Digest([0; 32]));
        let common = identified.then(|| Secret::new([7; 32]));
        let right = SealContext { transcript: &TRANSCRIPT, sender: &alice, receiver: &bob };
        let key = SealKey::new(&a, b.public_ref(), common.as_ref()).unwrap();
        let sealed = key.seal(right, &plain).unwrap();
        prop_assert_eq!(&*key.open(right, &sealed).unwrap(), &plain);
        let wrong = match place {
            0 => SealContext { transcript: &other, ..right },
            1 => SealContext { sender: &bob, receiver: &alice, ..right },
            _ => SealContext { receiver: &alice, ..right },
        };
        prop_assert_eq!(key.open(wrong, &sealed).unwrap_err(), SealError::DoesNotOpen);
        let mut bad = sealed.clone();
        let at = at.index(bad.len());
        bad[at] ^= flip;
        prop_assert_eq!(key.open(right, &bad).unwrap_err(), SealError::DoesNotOpen);
    }

    #[test]
    fn headers_never_panic_and_are_canonical(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0..HEADER_BYTES, byte in any::<u8>()) {
        let mut likely = header::<u32>(0, 9).encode();
        likely[at] = byte;
        for bytes in [&bytes[..], &likely[..]] {
            if let Ok(header) = MaskedInputHeader::decode(bytes) {
                prop_assert_eq!(&header.encode()[..], &bytes[..HEADER_BYTES]);
            }
        }
    }
}
