//! Secrets are gone when their owners are: as far as safe Rust can tell, which on Linux is all of this process's own memory.
//!
//! `/proc/self/mem` shows what a dropped value has left behind, without `unsafe`. Looked at is the heap; moves leave copies on stacks,
//! which no destructor can reach (SECURITY.md says so). The tests hold what they look for only in disguise, or they would find themselves.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::sync::{Mutex, PoisonError};

use delta_node::domain::ids::{Digest, RoundNumber};
use delta_node::domain::round::PrivacyFloor;
use delta_node::domain::round::message::Announcement;
use delta_node::domain::round::runner::{MaskStream, RunnerContext, RunnerRound};
use delta_node::domain::secagg::keys::{Curve, KeyPair};
use delta_node::domain::secagg::seal::SealKey;
use delta_node::domain::secagg::shamir::{Share, split};
use delta_node::domain::secret::{Secret, SecretBytes};
use delta_node::domain::strategy::Strategy;
use delta_node::domain::time::Timestamp;
use delta_node::domain::vault::Vault;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use zeroize::{ZeroizeOnDrop, Zeroizing};

/// One at a time: a secret of one test must not be found by another.
static ALONE: Mutex<()> = Mutex::new(());
/// Kept values differ from the real ones by this.
const DISGUISE: u8 = 0xa5;

/// What to look for: 32 bytes, disguised.
struct Needle(Vec<u8>);

impl Needle {
    fn of(secret: &[u8]) -> Self {
        Self(secret.iter().map(|b| b ^ DISGUISE).collect())
    }

    /// The same number with its bytes the other way round, as it lies in memory.
    fn reversed(&self) -> Self {
        Self(self.0.iter().rev().copied().collect())
    }

    fn is_in(&self, memory: &[u8]) -> bool {
        let first = self.0[0] ^ DISGUISE;
        memory.windows(self.0.len()).any(|window| {
            window[0] == first && window.iter().zip(&self.0).all(|(a, b)| a ^ DISGUISE == *b)
        })
    }
}

/// A secret that is nowhere written down.
fn draw(seed: u8) -> Zeroizing<[u8; 32]> {
    let mut bytes = Zeroizing::new([0; 32]);
    ChaCha20Rng::from_seed([seed; 32]).fill_bytes(bytes.as_mut_slice());
    bytes
}

/// Wiped too: while a secret lives, this is a copy of it.
fn memory(from: usize, len: usize) -> Zeroizing<Vec<u8>> {
    let mut file = File::open("/proc/self/mem").unwrap();
    file.seek(SeekFrom::Start(from as u64)).unwrap();
    let mut bytes = Zeroizing::new(vec![0; len]);
    // The map may have changed since it was listed: what cannot be read holds nothing.
    drop(file.read_exact(&mut bytes));
    bytes
}

/// Whether any of these lies anywhere on the heap: in all writable anonymous memory but this thread's stack.
fn on_the_heap(needles: &[Needle]) -> bool {
    let here = 0_u8;
    let stack = std::ptr::from_ref(&here) as usize;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let anonymous = fields.get(5).is_none_or(|name| *name == "[heap]");
        if !anonymous || !fields[1].starts_with("rw") {
            return false;
        }
        let (from, to) = fields[0].split_once('-').unwrap();
        let from = usize::from_str_radix(from, 16).unwrap();
        let to = usize::from_str_radix(to, 16).unwrap();
        if (from..to).contains(&stack) {
            return false;
        }
        let bytes = memory(from, to - from);
        needles.iter().any(|needle| needle.is_in(&bytes))
    })
}

/// Overwrites what calls before this one left below: a copy there, of this test's making, could be moved to the heap with the unused
/// bytes of some enum.
#[inline(never)]
fn wipe_the_stack() {
    std::hint::black_box(&mut [0_u8; 64 * 1024]);
}

/// A value with a secret is made, is found while it lives, and not afterwards.
fn lives_and_vanishes<T>(needles: &[Needle], make: impl FnOnce() -> T) {
    let value = make();
    assert!(on_the_heap(needles), "the search finds nothing at all");
    drop(value);
    assert!(!on_the_heap(needles), "the secret outlives its owner");
}

#[test]
fn every_type_that_holds_a_secret_wipes_it() {
    fn wipes<T: ZeroizeOnDrop>() {}
    wipes::<Secret<32>>();
    wipes::<SecretBytes>();
    wipes::<Share>();
    wipes::<KeyPair>();
    wipes::<SealKey>();
    wipes::<Vault>();
    wipes::<MaskStream>();
}

#[test]
fn a_dropped_secret_is_gone() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let needle = [Needle::of(draw(1).as_slice())];
    lives_and_vanishes(&needle, || Box::new(Secret::new(*draw(1))));
    lives_and_vanishes(&needle, || SecretBytes::new(draw(1).to_vec()));
    lives_and_vanishes(&needle, || vec![MaskStream::own(Secret::new(*draw(1)))]);
    lives_and_vanishes(&needle, || Box::new(Vault::new(Secret::new(*draw(1)))));
}

#[test]
fn a_plain_vector_would_be_found_so_the_search_works() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let needle = [Needle::of(draw(2).as_slice())];
    // In the middle of many blocks: the allocator keeps notes in some, and the search itself takes others.
    let plain: Vec<Vec<u8>> = (0..256)
        .map(|_| {
            let mut block = vec![0_u8; 1024];
            block[512..544].copy_from_slice(draw(2).as_slice());
            block
        })
        .collect();
    drop(plain);
    assert!(on_the_heap(&needle));
}

#[test]
fn dropped_keys_are_gone() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let make = || KeyPair::generate(Curve::Secp256k1, &mut ChaCha20Rng::from_seed([3; 32]));
    let big_endian = Needle::of(&make().secret_bytes());
    let needles = [big_endian.reversed(), big_endian];
    lives_and_vanishes(&needles, || Box::new(make()));
}

#[test]
fn dropped_shares_are_gone() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let shares = || {
        split(
            draw(4).as_slice(),
            2,
            3,
            &mut ChaCha20Rng::from_seed([4; 32]),
        )
        .unwrap()
    };
    // The last 32 bytes of y, as the wire has them and as they lie in memory.
    let encoded = shares()[1].encode();
    let y = Needle::of(&encoded[encoded.len() - 32..]);
    drop(encoded);
    lives_and_vanishes(&[y.reversed(), y], shares);
}

#[test]
fn a_dropped_round_leaves_nothing_on_the_heap() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let context = || RunnerContext {
        me: format!("0x{}", "cd".repeat(20)).parse().unwrap(),
        announcement: Announcement {
            task: format!("0x{}", "ab".repeat(32)).parse().unwrap(),
            round: RoundNumber(1),
            step: 0,
            variables: std::collections::BTreeMap::new(),
        },
        bundle: Digest([2; 32]),
        strategy: Strategy::default(),
        floor: 2,
        privacy: PrivacyFloor::default(),
    };
    let join = || {
        let seed = Secret::new(*draw(5));
        wipe_the_stack();
        RunnerRound::join(Timestamp(0), context(), seed)
    };
    let needle = [Needle::of(draw(5).as_slice())];
    lives_and_vanishes(&needle, || Box::new(join()));
}
