//! Keys against the original's vectors, RFC 6979, and hostile encodings.

use super::*;
use crate::ids::{Digest, decode_hex};
use crate::secagg::vectors;

const CURVES: [Curve; 3] = [Curve::Secp256k1, Curve::Secp256r1, Curve::Secp384r1];

fn pair(curve: Curve, secret: &[u8]) -> KeyPair {
    let mut padded = vec![0; curve.secret_bytes() - secret.len()];
    padded.extend_from_slice(secret);
    KeyPair::from_secret_bytes(curve, &padded).unwrap()
}

#[test]
fn key_agreement_is_the_original_s() {
    let file = vectors::load(include_str!("../../../../tests/vectors/ecdhe/ecdhe.json"));
    for curve in CURVES {
        let section = &file["curves"][curve.name()];
        for case in section["random"].as_array().unwrap() {
            let a = pair(curve, &vectors::bytes(&case["sk_a"]));
            let b = pair(curve, &vectors::bytes(&case["sk_b"]));
            assert_eq!(a.public().as_bytes(), vectors::bytes(&case["pk_a"]));
            assert_eq!(
                b.public().to_wire(),
                format!("0x{}", vectors::text(&case["pk_b"]))
            );
            let x = a.agree(b.public_ref()).unwrap();
            assert_eq!(*x, vectors::bytes(&case["ecdh_raw_x"]));
            assert_eq!(*b.agree(a.public_ref()).unwrap(), *x);
            assert_eq!(Digest::of(&x).0, *vectors::bytes(&case["shared_key"]));
        }
        let first =
            PublicKey::from_bytes(curve, &vectors::bytes(&section["random"][0]["pk_a"])).unwrap();
        for case in section["fixed_private_keys"].as_array().unwrap() {
            let own = pair(curve, &vectors::bytes(&case["sk"]));
            assert_eq!(own.public().as_bytes(), vectors::bytes(&case["pk"]));
            assert_eq!(
                Digest::of(&own.agree(&first).unwrap()).0,
                *vectors::bytes(&case["shared_with_first_pk_a"])
            );
        }
        let case = &section["leading_zero_x"];
        let x = pair(curve, &vectors::bytes(&case["sk_a"]))
            .agree(&PublicKey::from_bytes(curve, &vectors::bytes(&case["pk_b"])).unwrap())
            .unwrap();
        assert_eq!(x[0], 0);
        assert_eq!(*x, vectors::bytes(&case["ecdh_raw_x"]));
        assert_eq!(
            curve.public_bytes() as u64,
            section["pk_len"].as_u64().unwrap()
        );
    }
}

#[test]
fn many_agreements_at_once_are_the_same() {
    let mut rng = vectors::rng(21);
    for curve in CURVES {
        let own = KeyPair::generate(curve, &mut rng);
        let theirs: Vec<PublicKey> = (0..35)
            .map(|_| KeyPair::generate(curve, &mut rng).public())
            .collect();
        for count in [0, 1, 15, 16, 17, 35] {
            let some: Vec<&PublicKey> = theirs.iter().take(count).collect();
            let one_by_one: Vec<_> = some.iter().map(|t| own.agree(t).unwrap()).collect();
            assert_eq!(own.agree_each(&some).unwrap(), one_by_one);
        }
        let other = CURVES.into_iter().find(|c| *c != curve).unwrap();
        let stranger = KeyPair::generate(other, &mut rng).public();
        assert_eq!(
            own.agree_each(&[&theirs[0], &stranger]).unwrap_err(),
            own.agree(&stranger).unwrap_err()
        );
    }
}

#[test]
fn bad_public_keys_are_errors() {
    let file = vectors::load(include_str!(
        "../../../../tests/vectors/ecdhe/bad_public_keys.json"
    ));
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.len() > 60);
    for case in cases {
        let curve = Curve::from_name(vectors::text(&case["curve"])).unwrap();
        assert!(
            PublicKey::parse(curve, vectors::text(&case["wire"])).is_err(),
            "{case}"
        );
    }
    assert!(matches!(
        PublicKey::parse(Curve::Secp256k1, &"02".repeat(1 << 20)),
        Err(KeyError::PublicLength { .. })
    ));
}

#[test]
fn a_key_reads_in_either_case_and_writes_one_form() {
    let mut rng = vectors::rng(1);
    for curve in CURVES {
        let wire = KeyPair::generate(curve, &mut rng).public().to_wire();
        let key = PublicKey::parse(curve, &wire).unwrap();
        for other in [
            wire.to_uppercase().replace("0X", "0x"),
            wire[2..].to_owned(),
        ] {
            assert_eq!(PublicKey::parse(curve, &other).unwrap(), key);
        }
        assert_eq!(key.to_wire(), wire);
    }
}

#[test]
fn secrets_out_of_range_are_errors() {
    for curve in CURVES {
        let n = curve.secret_bytes();
        assert_eq!(
            KeyPair::from_secret_bytes(curve, &vec![0; n]).unwrap_err(),
            KeyError::SecretRange { curve }
        );
        assert_eq!(
            KeyPair::from_secret_bytes(curve, &vec![0xff; n]).unwrap_err(),
            KeyError::SecretRange { curve }
        );
        for wrong in [0, 1, n - 1, n + 1] {
            assert_eq!(
                KeyPair::from_secret_bytes(curve, &vec![1; wrong]).unwrap_err(),
                KeyError::SecretLength {
                    curve,
                    bytes: wrong
                }
            );
        }
    }
}

#[test]
fn secrets_keep_their_leading_zeros() {
    for curve in CURVES {
        let mut secret = vec![0; curve.secret_bytes()];
        secret[curve.secret_bytes() - 1] = 9;
        assert_eq!(
            *KeyPair::from_secret_bytes(curve, &secret)
                .unwrap()
                .secret_bytes(),
            secret
        );
    }
}

/// RFC 6979 A.2.5 and A.2.6, message "sample"; s is the lower of the two.
#[test]
fn signatures_follow_rfc_6979_with_low_s() {
    let p256 = KeyPair::from_secret_bytes(
        Curve::Secp256r1,
        &decode_hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721").unwrap(),
    )
    .unwrap();
    let signature = p256.sign(b"sample");
    assert_eq!(
        signature[..32],
        decode_hex("EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716").unwrap()
    );
    // The RFC's s, F7CB1C94..., is in the upper half; this is the order minus it.
    assert_eq!(
        signature[32..],
        decode_hex("0834E36AD29A83BF2BC9385E491D6099C8FDF9D1ED67AA7EA5F51F93782857A9").unwrap()
    );
    let p384 = KeyPair::from_secret_bytes(
        Curve::Secp384r1,
        &decode_hex("6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5").unwrap(),
    )
    .unwrap();
    assert_eq!(
        p384.sign(b"sample")[..48],
        decode_hex("94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C81A648152E44ACF96E36DD1E80FABE46").unwrap()
    );
}

#[test]
fn signatures_hold_for_their_key_message_and_form_only() {
    let mut rng = vectors::rng(2);
    for curve in CURVES {
        let (own, other) = (
            KeyPair::generate(curve, &mut rng),
            KeyPair::generate(curve, &mut rng),
        );
        for n in 0..20_u8 {
            let signature = own.sign(&[n]);
            assert_eq!(signature.len(), curve.signature_bytes());
            assert_eq!(signature, own.sign(&[n]));
            own.public().verify(&[n], &signature).unwrap();
            assert!(own.public().verify(&[n, 0], &signature).is_err());
            assert!(other.public().verify(&[n], &signature).is_err());
            assert!(own.public().verify(&[n], &signature[1..]).is_err());
            assert!(
                own.public()
                    .verify(&[n], &[&signature[..], &[0]].concat())
                    .is_err()
            );
            assert_eq!(
                own.public().verify(&[n], &high_s(curve, &signature)),
                Err(KeyError::BadSignature)
            );
        }
        assert!(
            own.public()
                .verify(b"", &vec![0; curve.signature_bytes()])
                .is_err()
        );
        assert!(own.public().verify(b"", &[]).is_err());
    }
}

/// The other s that plain ECDSA accepts: the order minus s.
fn high_s(curve: Curve, signature: &[u8]) -> Vec<u8> {
    macro_rules! negate {
        ($ec:ident) => {{
            let parsed = $ec::ecdsa::Signature::from_slice(signature).unwrap();
            let (r, s) = parsed.split_scalars();
            let high = $ec::ecdsa::Signature::from_scalars(r, -s).unwrap();
            let digest: Vec<u8> = high.to_vec();
            assert_ne!(digest, signature);
            digest
        }};
    }
    match curve {
        Curve::Secp256k1 => negate!(k256),
        Curve::Secp256r1 => negate!(p256),
        Curve::Secp384r1 => negate!(p384),
    }
}

#[test]
fn the_high_s_is_valid_plain_ecdsa() {
    use p256::ecdsa::signature::Verifier as _;
    let own = KeyPair::generate(Curve::Secp256r1, &mut vectors::rng(3));
    let high = high_s(Curve::Secp256r1, &own.sign(b"m"));
    let verifier = p256::ecdsa::VerifyingKey::from_sec1_bytes(own.public().as_bytes()).unwrap();
    verifier
        .verify(b"m", &p256::ecdsa::Signature::from_slice(&high).unwrap())
        .unwrap();
    assert!(own.public().verify(b"m", &high).is_err());
}

#[test]
fn keys_of_two_curves_do_not_agree() {
    let mut rng = vectors::rng(4);
    let pairs = CURVES.map(|curve| KeyPair::generate(curve, &mut rng));
    for a in &pairs {
        for b in &pairs {
            assert_eq!(a.agree(b.public_ref()).is_ok(), a.curve() == b.curve());
        }
    }
}

#[test]
fn snapshots_keep_key_and_curve() {
    let mut rng = vectors::rng(5);
    for curve in CURVES {
        let own = KeyPair::generate(curve, &mut rng);
        let json = serde_json::to_string(&(&own, own.public())).unwrap();
        let (back, public): (KeyPair, PublicKey) = serde_json::from_str(&json).unwrap();
        assert_eq!(*back.secret_bytes(), *own.secret_bytes());
        assert_eq!(public, own.public());
        assert_eq!(public.curve(), curve);
    }
    for bad in [
        r#""0x02""#,
        r#""secp256k1:0x00""#,
        r#""secp192r1:0x02""#,
        r#""secp256k1""#,
    ] {
        assert!(serde_json::from_str::<PublicKey>(bad).is_err());
        assert!(serde_json::from_str::<KeyPair>(bad).is_err());
    }
}

#[test]
fn generated_keys_are_uniform_enough_to_differ_and_debug_shows_no_secret() {
    let mut rng = vectors::rng(6);
    let a = KeyPair::generate(Curve::Secp256k1, &mut rng);
    let b = KeyPair::generate(Curve::Secp256k1, &mut rng);
    assert_ne!(a.public(), b.public());
    assert_eq!(format!("{a:?}"), "KeyPair(secp256k1)");
    assert_eq!(
        serde_json::to_string(&CURVES).unwrap(),
        r#"["secp256k1","secp256r1","secp384r1"]"#
    );
}
