//! Shares against the original's vectors, in both directions, and hostile encodings.

use proptest::prelude::*;

use super::*;
use crate::secagg::vectors::{self, Scripted};

const FILE: &str = include_str!("../../../../tests/vectors/shamir/shamir.json");

fn shares_of(case: &serde_json::Value) -> Vec<Vec<u8>> {
    case["shares"]
        .as_array()
        .unwrap()
        .iter()
        .map(vectors::bytes)
        .collect()
}

#[test]
fn splits_as_the_original_with_the_same_coefficients() {
    let file = vectors::load(FILE);
    let mut checked = 0;
    for case in file["cases"].as_array().unwrap() {
        let secret = vectors::bytes(&case["value"]);
        let (t, n) = (
            case["t"].as_u64().unwrap() as usize,
            case["n"].as_u64().unwrap() as usize,
        );
        let mut script = Vec::new();
        for c in case["coeffs_hex"].as_array().unwrap() {
            let bytes = vectors::bytes(c);
            script.extend(std::iter::repeat_n(0, ELEMENT_BYTES - bytes.len()).chain(bytes));
        }
        let made = split(&secret, t, n, &mut Scripted(script));
        if secret.len() > MAX_SECRET_BYTES {
            assert_eq!(made.unwrap_err(), ShamirError::SecretTooLong { bytes: 66 });
            continue;
        }
        let encoded: Vec<Vec<u8>> = made.unwrap().iter().map(|s| s.encode().to_vec()).collect();
        assert_eq!(encoded, shares_of(case), "{}", case["note"]);
        checked += 1;
    }
    assert_eq!(checked, 15);
}

#[test]
fn rebuilds_the_original_s_secrets_with_their_leading_zeros() {
    let file = vectors::load(FILE);
    for case in file["cases"].as_array().unwrap() {
        let secret = vectors::bytes(&case["value"]);
        if secret.len() > MAX_SECRET_BYTES {
            continue;
        }
        let t = case["t"].as_u64().unwrap() as usize;
        let shares: Vec<Share> = shares_of(case)
            .iter()
            .map(|b| Share::decode(b).unwrap())
            .collect();
        for (share, bytes) in shares.iter().zip(shares_of(case)) {
            assert_eq!(*share.encode(), bytes);
        }
        let subset: Vec<Share> = case["subset"]
            .as_array()
            .unwrap()
            .iter()
            .map(|i| shares[i.as_u64().unwrap() as usize].clone())
            .collect();
        assert_eq!(*combine(&subset, t, secret.len()).unwrap(), secret);
        let reversed: Vec<Share> = shares.iter().rev().cloned().collect();
        assert_eq!(*combine(&reversed, t, secret.len()).unwrap(), secret);
        let lost = combine(&shares[..t - 1], t, secret.len());
        assert_eq!(
            lost.unwrap_err(),
            CombineError::TooFew {
                have: t - 1,
                need: t
            }
        );
    }
}

#[test]
fn encodings_are_the_original_s() {
    for case in vectors::load(FILE)["share_encoding"].as_array().unwrap() {
        let bytes = vectors::bytes(&case["bytes"]);
        let x = case["x"].as_u64().unwrap();
        match Share::decode(&bytes) {
            Ok(share) => {
                assert_eq!(u64::from(share.x()), x);
                assert_eq!(*share.encode(), bytes);
                assert_eq!(
                    share.y.to_be_bytes().as_slice(),
                    &*Element::from_be_bytes(
                        &vectors::bytes(&case["y_hex"])
                            .into_iter()
                            .skip_while(|b| *b == 0)
                            .collect::<Vec<_>>()
                    )
                    .unwrap()
                    .to_be_bytes()
                );
            }
            Err(error) => {
                assert_eq!((x, error), (0, ShareDecodeError::ZeroX));
            }
        }
    }
}

#[test]
fn bad_encodings_are_errors_by_name() {
    let file = vectors::load(include_str!(
        "../../../../tests/vectors/shamir/bad_shares.json"
    ));
    for case in file["cases"].as_array().unwrap() {
        let error = Share::decode(&vectors::bytes(&case["bytes"])).unwrap_err();
        assert_eq!(
            format!("{error:?}"),
            vectors::text(&case["error"]),
            "{}",
            case["case"]
        );
    }
}

#[test]
fn numbers_that_make_no_sense_are_errors() {
    let mut rng = vectors::rng(1);
    assert_eq!(
        split(&[1], 0, 3, &mut rng).unwrap_err(),
        ShamirError::ZeroThreshold
    );
    assert_eq!(
        split(&[1], 4, 3, &mut rng).unwrap_err(),
        ShamirError::ThresholdAboveHolders {
            threshold: 4,
            holders: 3
        }
    );
    assert_eq!(
        split(&[1], 1, 65_536, &mut rng).unwrap_err(),
        ShamirError::TooManyHolders { holders: 65_536 }
    );
    assert_eq!(
        split(&[0; 66], 1, 2, &mut rng).unwrap_err(),
        ShamirError::SecretTooLong { bytes: 66 }
    );
    assert_eq!(
        Interpolator::new(&[1, 2], 0).unwrap_err(),
        CombineError::ZeroThreshold
    );
    assert_eq!(
        Interpolator::new(&[1, 0], 2).unwrap_err(),
        CombineError::ZeroX
    );
    assert_eq!(
        Interpolator::new(&[5, 1, 5], 2).unwrap_err(),
        CombineError::DuplicateX { x: 5 }
    );
    assert_eq!(
        Interpolator::new(&[], 1).unwrap_err(),
        CombineError::TooFew { have: 0, need: 1 }
    );
}

#[test]
fn a_share_of_another_secret_is_noticed() {
    let mut rng = vectors::rng(2);
    let mut shares = split(&[1; 32], 3, 5, &mut rng).unwrap();
    shares[1] = split(&[2; 32], 3, 5, &mut rng).unwrap().swap_remove(1);
    assert_eq!(
        combine(&shares, 3, 32).unwrap_err(),
        CombineError::TooLong { bytes: 32 }
    );
}

#[test]
fn an_interpolator_is_for_its_own_holders() {
    let shares = split(&[1; 32], 2, 4, &mut vectors::rng(3)).unwrap();
    let interpolator = Interpolator::new(&[1, 3], 2).unwrap();
    assert_eq!(
        *interpolator.combine(&[&shares[0], &shares[2]], 32).unwrap(),
        [1; 32]
    );
    for wrong in [
        vec![&shares[0], &shares[1]],
        vec![&shares[2], &shares[0]],
        vec![&shares[0]],
        vec![],
    ] {
        assert_eq!(
            interpolator.combine(&wrong, 32).unwrap_err(),
            CombineError::WrongHolders
        );
    }
    assert_eq!(
        interpolator
            .combine(&[&shares[0], &shares[2]], 66)
            .unwrap_err(),
        CombineError::SecretLength { bytes: 66 }
    );
}

#[test]
fn the_largest_x_works() {
    let shares = split(&[7; 48], 2, MAX_HOLDERS, &mut vectors::rng(4)).unwrap();
    let last = [shares[MAX_HOLDERS - 1].clone(), shares[255].clone()];
    assert_eq!(last[0].x(), 65_535);
    assert_eq!(*combine(&last, 2, 48).unwrap(), [7; 48]);
}

#[test]
fn debug_shows_no_y_and_snapshots_keep_it() {
    let share = split(&[7; 32], 2, 2, &mut vectors::rng(5))
        .unwrap()
        .remove(0);
    assert_eq!(format!("{share:?}"), "Share(x = 1)");
    let back: Share = serde_json::from_str(&serde_json::to_string(&share).unwrap()).unwrap();
    assert_eq!(*back.encode(), *share.encode());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_threshold_of_shares_rebuilds_and_fewer_do_not(
        secret in prop::collection::vec(any::<u8>(), 0..=MAX_SECRET_BYTES),
        holders in 1_usize..40,
        threshold in 1_usize..40,
        seed in any::<u64>(),
    ) {
        let threshold = threshold.min(holders);
        let mut rng = vectors::rng(seed);
        let mut shares = split(&secret, threshold, holders, &mut rng).unwrap();
        // Any rotation is as good as another order.
        shares.rotate_left(seed as usize % holders);
        prop_assert_eq!(&*combine(&shares, threshold, secret.len()).unwrap(), &secret);
        prop_assert_eq!(&*combine(&shares[..threshold], threshold, secret.len()).unwrap(), &secret);
        let lost = combine(&shares[..threshold - 1], threshold, secret.len());
        prop_assert_eq!(lost.unwrap_err(), CombineError::TooFew { have: threshold - 1, need: threshold });
        if threshold > 1 && secret.len() <= 32 {
            // Pretending a lower threshold gives noise, which does not even fit.
            prop_assert!(combine(&shares, threshold - 1, secret.len()).is_err());
        }
    }

    #[test]
    fn what_decodes_encodes_to_the_same_bytes(bytes in prop::collection::vec(any::<u8>(), 0..80), x in 1_u8..=255) {
        if let Ok(share) = Share::decode(&bytes) {
            prop_assert_eq!(&*share.encode(), &bytes);
        }
        let mut likely = vec![1, x];
        likely.extend_from_slice(&bytes);
        if let Ok(share) = Share::decode(&likely) {
            prop_assert_eq!(&*share.encode(), &likely);
        }
    }
}
