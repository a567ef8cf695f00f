//! Masks against the plain ciphers, at every alignment, and pinned.

use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use proptest::prelude::*;
use rand_core::SeedableRng as _;

use super::*;
use crate::ids::encode_hex;

const GENERATORS: [MaskGenerator; 2] = [MaskGenerator::Aes128Ctr, MaskGenerator::ChaCha20];

/// The keystream by the plain crates, without any of the code under test but the key derivation.
fn plain(generator: MaskGenerator, seed: &MaskSeed, bytes: usize) -> Vec<u8> {
    let material = expand(&extract(LABEL, seed.expose()), generator.name().as_bytes());
    let mut out = vec![0; bytes];
    match generator {
        MaskGenerator::Aes128Ctr => {
            let mut iv = [0; 16];
            iv[8..].copy_from_slice(&material[16..24]);
            ctr::Ctr64LE::<aes::Aes128>::new((&material[..16]).try_into().unwrap(), &iv.into())
                .apply_keystream(&mut out);
        }
        MaskGenerator::ChaCha20 => {
            rand_chacha::ChaCha20Rng::from_seed(*material).fill_bytes(&mut out)
        }
    }
    out
}

/// Keyed anew each time: what a [`Masker`] remembers between two parts is not what makes them fit.
fn add<W: Word>(
    offset: usize,
    values: &mut [W],
    generator: MaskGenerator,
    masks: &[(&MaskSeed, Sign)],
) {
    Masker::new(generator, masks).apply(offset, values);
}

fn words<W: Word>(bytes: &[u8]) -> Vec<W> {
    W::chunks(bytes).0.iter().map(|b| W::from_le(*b)).collect()
}

fn check<W: Word>(generator: MaskGenerator, offset: usize, len: usize) {
    let (one, two) = (Secret::new([1; 32]), Secret::new([2; 32]));
    let masker = Masker::new(generator, &[(&one, Sign::Plus), (&two, Sign::Minus)]);
    let mut got = vec![W::from_signed(-5); len];
    masker.apply(offset, &mut got);
    let bytes = (offset + len) * W::BYTES;
    let plus: Vec<W> = words(&plain(generator, &one, bytes));
    let minus: Vec<W> = words(&plain(generator, &two, bytes));
    for i in 0..len {
        let want = W::from_signed(-5)
            .plus(plus[offset + i])
            .minus(minus[offset + i]);
        assert_eq!(
            got[i], want,
            "{generator:?} offset {offset} len {len} value {i}"
        );
    }
}

#[test]
fn equals_the_plain_keystream_at_every_alignment() {
    for generator in GENERATORS {
        for offset in [0, 1, 2, 3, 5, 7, 8, 15, 16, 17, 255, 256, 257] {
            for len in [
                0, 1, 2, 3, 7, 15, 16, 17, 31, 127, 128, 129, 255, 256, 257, 1000,
            ] {
                check::<u32>(generator, offset, len);
                check::<u64>(generator, offset, len);
            }
        }
        check::<u32>(generator, 3, 20_000);
        check::<u64>(generator, 3, 20_000);
    }
}

#[test]
fn a_whole_and_its_parts_agree_in_both_rings() {
    let (one, two) = (Secret::new([3; 32]), Secret::new([4; 32]));
    let masks = [(&one, Sign::Plus), (&two, Sign::Minus)];
    for generator in GENERATORS {
        let mut whole = vec![9_u64; 1001];
        add(0, &mut whole, generator, &masks);
        let mut parts = vec![9_u64; 1001];
        let (a, b) = parts.split_at_mut(333);
        add(333, b, generator, &masks);
        add(0, a, generator, &masks);
        assert_eq!(whole, parts);
        let mut whole = vec![9_u32; 1001];
        add(0, &mut whole, generator, &masks);
        let mut parts = vec![9_u32; 1001];
        let (a, b) = parts.split_at_mut(334);
        add(334, b, generator, &masks);
        add(0, a, generator, &masks);
        assert_eq!(whole, parts);
    }
}

#[test]
fn far_offsets_need_no_keystream_before_them() {
    // 2^40 values: nothing could be expanded up to there.
    for generator in GENERATORS {
        let seed = Secret::new([5; 32]);
        let masker = Masker::new(generator, &[(&seed, Sign::Plus)]);
        let mut long = [0_u64; 40];
        masker.apply(1 << 40, &mut long);
        let mut late = [0_u64; 20];
        masker.apply((1 << 40) + 20, &mut late);
        assert_eq!(long[20..], late);
        assert_ne!(long[..20], late);
    }
}

/// Computed by a Python script with hmac and the openssl command, not by this code.
#[test]
fn mask_bytes_are_pinned() {
    let seed = Secret::new([0x42; 32]);
    let first = |generator| {
        let mut v = [0_u64; 3];
        add(0, &mut v, generator, &[(&seed, Sign::Plus)]);
        let mut narrow = [0_u32; 6];
        add(0, &mut narrow, generator, &[(&seed, Sign::Plus)]);
        let wide: Vec<u8> = v.iter().flat_map(|w| w.to_le_bytes()).collect();
        let same: Vec<u8> = narrow.iter().flat_map(|w| w.to_le_bytes()).collect();
        assert_eq!(wide, same);
        encode_hex(&wide)
    };
    assert_eq!(
        first(MaskGenerator::Aes128Ctr),
        "0xed9c8c9068520ace2edae3d66cc675576d871259bf5a0a2e"
    );
    assert_eq!(
        first(MaskGenerator::ChaCha20),
        "0x462137d76088de20d96235f4b9cb8c081ec8b40fe5490631"
    );
}

#[test]
fn names_on_the_wire_are_fixed() {
    assert_eq!(
        serde_json::to_string(&GENERATORS).unwrap(),
        r#"["aes128-ctr","chacha20"]"#
    );
    for generator in GENERATORS {
        assert_eq!(serde_json::to_value(generator).unwrap(), generator.name());
    }
}

proptest! {
    #[test]
    fn opposite_signs_cancel(seed in any::<[u8; 32]>(), offset in 0_usize..1 << 20, mut values in prop::collection::vec(any::<u64>(), 0..300)) {
        let seed = Secret::new(seed);
        let before = values.clone();
        for generator in GENERATORS {
            add(offset, &mut values, generator, &[(&seed, Sign::Plus)]);
            add(offset, &mut values, generator, &[(&seed, Sign::Plus.opposite())]);
            prop_assert_eq!(&values, &before);
        }
    }
}
