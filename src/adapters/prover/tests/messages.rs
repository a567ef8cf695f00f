//! Messages that were changed, cut, replayed, or are somebody else's.

use delta_domain::ids::{Digest, RoundNumber};
use delta_ports::certifier::{Bounds, Certifier as _, Claim, Model};

use super::world::World;

fn small(model: Model) -> World {
    World::new(model, 3, 12, 2)
}

#[test]
fn every_changed_word_is_refused() {
    for model in [Model::Logistic, Model::Linear, Model::Mean] {
        let world = small(model);
        let message = world.prove(0);
        let header = 55 + 2 * 74;
        let words = (header..message.len()).step_by(32).map(|at| at + at % 29);
        for at in (0..header).chain(words) {
            let mut changed = message.clone();
            changed[at] ^= 1 << (at % 7);
            assert!(
                world.certifier.verify(&world.claim, &changed).is_err(),
                "{model:?}: byte {at}"
            );
        }
        world.certifier.verify(&world.claim, &message).unwrap();
    }
}

#[test]
fn cut_and_longer_messages_are_refused() {
    let world = small(Model::Logistic);
    let message = world.prove(0);
    for length in (0..message.len()).step_by(61).chain([message.len() - 1]) {
        assert!(
            world
                .certifier
                .verify(&world.claim, &message[..length])
                .is_err(),
            "{length}"
        );
    }
    assert!(
        world
            .refusal(&[message.as_slice(), &[0]].concat())
            .contains("bytes, where this claim takes")
    );
    assert!(world.refusal(b"").contains("it ends early"));
}

#[test]
fn proofs_of_other_versions_are_refused() {
    let world = small(Model::Mean);
    let mut message = world.prove(0);
    message[9] = 2;
    assert!(
        world
            .refusal(&message)
            .contains("version 2, where this program reads 1")
    );
    message[0] = b'X';
    assert!(
        world
            .refusal(&message)
            .contains("does not begin as a proof")
    );
}

#[test]
fn a_proof_holds_for_its_own_claim_only() {
    let world = small(Model::Logistic);
    let message = world.prove(0);
    type Change = fn(&mut Claim);
    let others: [(&str, Change); 8] = [
        ("task", |claim| {
            claim.task = format!("0x{:064x}", 1).parse().unwrap()
        }),
        ("bundle", |claim| claim.bundle = Digest([8; 32])),
        ("round", |claim| claim.round = RoundNumber(10)),
        ("weights", |claim| claim.weights[0] += 1),
        ("intercept", |claim| claim.weights[2] -= 1),
        ("bounds", |claim| claim.schema.features[1].high += 1.0),
        ("model", |claim| {
            claim.schema.model = Model::Mean;
            claim.weights.pop();
        }),
        ("order of columns", |claim| claim.schema.features.swap(0, 1)),
    ];
    for (what, change) in others {
        let mut claim = world.claim.clone();
        change(&mut claim);
        assert!(world.certifier.verify(&claim, &message).is_err(), "{what}");
    }
}

#[test]
fn bounds_that_are_none_are_refused() {
    let world = small(Model::Logistic);
    let message = world.prove(0);
    for (low, high) in [
        (1.0, 1.0),
        (2.0, 1.0),
        (f64::NAN, 1.0),
        (0.0, f64::INFINITY),
        (0.0, 5e-324),
    ] {
        let mut claim = world.claim.clone();
        claim.schema.features[0] = Bounds { low, high };
        let error = world
            .certifier
            .verify(&claim, &message)
            .unwrap_err()
            .to_string();
        assert!(error.contains("bounds of column 0"), "{error}");
    }
}

#[test]
fn a_proof_is_its_members_own() {
    let world = small(Model::Logistic);
    let mut message = world.prove(0);
    let other = world.members[1].address.as_str().as_bytes();
    message[11..53].copy_from_slice(other);
    // Its own peer now: put the first member in that place.
    message[55..97].copy_from_slice(world.members[0].address.as_str().as_bytes());
    assert!(world.refusal(&message).contains("the rounds do not lead"));
}

#[test]
fn commitments_of_another_member_are_refused() {
    let world = small(Model::Logistic);
    let (mut message, other) = (world.prove(0), world.prove(1));
    let table = 55 + 2 * 74 + 4 * 32;
    message[table..table + 32].copy_from_slice(&other[table..table + 32]);
    assert!(world.certifier.verify(&world.claim, &message).is_err());
}

#[test]
fn numbers_that_are_written_in_another_way_are_refused() {
    let world = small(Model::Logistic);
    let message = world.prove(0);
    // The group's order, added to the last scalar: the same number, no canonical bytes.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut scalar = message.clone();
    let at = message.len() - 32;
    let mut carry = 0u16;
    for (byte, add) in scalar[at..].iter_mut().zip(ORDER) {
        carry += u16::from(*byte) + u16::from(add);
        *byte = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    assert!(world.refusal(&scalar).contains("a scalar is not below"));
    let mut point = message;
    let table = 55 + 2 * 74 + 4 * 32;
    point[table..table + 32].copy_from_slice(&[0xff; 32]);
    assert!(world.certifier.verify(&world.claim, &point).is_err());
}

#[test]
fn peers_must_be_in_order_and_others() {
    let world = small(Model::Logistic);
    let message = world.prove(0);
    let (first, second, end) = (55, 55 + 74, 55 + 148);
    let mut swapped = message.clone();
    swapped[first..second].copy_from_slice(&message[second..end]);
    swapped[second..end].copy_from_slice(&message[first..second]);
    assert!(world.refusal(&swapped).contains("ascending order"));
    let mut own = message.clone();
    own.copy_within(11..53, first);
    assert!(world.refusal(&own).contains("the member's own"));
    let mut none = message;
    none[53..55].copy_from_slice(&[0, 0]);
    assert!(world.refusal(&none).contains("0 peers"));
}
