//! Certificates whose members do not fit together, and bytes that are none.

use delta_domain::ids::Address;
use delta_domain::secret::Secret;
use delta_ports::PortErrorKind;
use delta_ports::certificates::certified;
use delta_ports::certifier::{Certifier as _, Model};
use rand_core::Rng as _;

use super::world::{World, address, rng};

fn small() -> World {
    World::new(Model::Logistic, 3, 12, 2)
}

fn judged(world: &World, messages: &[Vec<u8>]) -> String {
    let certificate = world
        .certifier
        .assemble(&world.claim, 1e-4, messages)
        .unwrap();
    world.certifier.judge(&certificate).unwrap_err().to_string()
}

#[test]
fn masks_that_do_not_cancel_are_named() {
    let mut world = small();
    let mut messages = world.messages();
    world.members[1].peers[0].key = Secret::new([0xee; 32]);
    messages[1] = world.prove(1);
    // Each proof holds by itself.
    for message in &messages {
        world.certifier.verify(&world.claim, message).unwrap();
    }
    let error = judged(&world, &messages);
    let pair = format!("{} and {} published different", address(0), address(1));
    assert!(error.contains(&pair), "{error}");
}

#[test]
fn a_member_that_is_missing_is_named() {
    let world = small();
    let error = judged(&world, &world.messages()[..2]);
    assert!(
        error.contains(&format!("shares masks with {}", address(2))),
        "{error}"
    );
}

#[test]
fn a_member_is_in_it_once() {
    let world = small();
    let messages = world.messages();
    let twice = [
        messages[0].clone(),
        messages[1].clone(),
        messages[0].clone(),
    ];
    let error = world
        .certifier
        .assemble(&world.claim, 1e-4, &twice)
        .unwrap_err()
        .to_string();
    assert!(error.contains("a second message"), "{error}");
    let error = world
        .certifier
        .assemble(&world.claim, 1e-4, &messages[..1])
        .unwrap_err()
        .to_string();
    assert!(error.contains("1 members"), "{error}");
    for tolerance in [0.0, -1.0, 9e-6, 0.11, f64::NAN, f64::INFINITY] {
        assert!(
            world
                .certifier
                .assemble(&world.claim, tolerance, &messages)
                .is_err(),
            "{tolerance}"
        );
    }
}

#[test]
fn a_message_of_another_attempt_is_named() {
    let mut world = small();
    let mut messages = world.messages();
    world.claim.round.0 += 1;
    let later = world.messages();
    messages[1] = later[1].clone();
    world.claim.round.0 -= 1;
    let error = judged(&world, &messages);
    assert!(
        error.contains(&format!("{}: the rounds", address(1))),
        "{error}"
    );
}

/// Whose name is inside is the author's of the bytes to choose; whoever handed them in is known.
#[test]
fn the_one_who_handed_a_wrong_proof_in_is_named() {
    let world = small();
    let members: Vec<Address> = (0..3).map(address).collect();
    let honest = world.messages();
    let made = |messages: &[Vec<u8>]| {
        let (certifier, claim) = (&world.certifier, &world.claim);
        certified(certifier, claim, 1e-4, &members, messages)
    };
    let (certificate, verdict) = made(&honest).unwrap();
    assert_eq!(world.certifier.judge(&certificate).unwrap(), verdict);
    assert!(verdict.members.iter().map(|p| &p.member).eq(&members));
    let error = |messages: &[Vec<u8>]| made(messages).unwrap_err().message().to_owned();
    let copied = [honest[0].clone(), honest[0].clone(), honest[2].clone()];
    let told = format!(
        "{}: it has handed in the proof of {}",
        address(1),
        address(0)
    );
    assert_eq!(error(&copied), told);
    // Broken bytes under another member's name.
    let mut broken = copied;
    *broken[1].last_mut().unwrap() ^= 1;
    assert!(error(&broken).starts_with(&format!("{}: ", address(1))));
    let mut alone = small();
    alone.members[1].peers[0].key = Secret::new([0xee; 32]);
    let apart = [honest[0].clone(), alone.prove(1), honest[2].clone()];
    assert!(error(&apart).starts_with("each proof holds alone"));
}

#[test]
fn weights_of_a_dishonest_coordinator_are_seen() {
    // It shows one member other weights than the others.
    let mut world = small();
    let mut messages = world.messages();
    world.claim.weights[0] += 1;
    messages[2] = world.prove(2);
    world.claim.weights[0] -= 1;
    let error = judged(&world, &messages);
    assert!(error.contains(&address(2).to_string()), "{error}");
}

#[test]
fn members_of_different_sizes_are_certified_together() {
    let mut world = small();
    world.members[1].capacity = 64;
    world.members[2].features.truncate(8);
    world.members[2].labels.truncate(4);
    world.claim.weights = world.claim.schema.scaled(&world.answer()).unwrap();
    let verdict = world.certifier.judge(&world.certificate()).unwrap();
    assert_eq!(verdict.rows, 28);
    assert!(verdict.holds(), "{}", verdict.norm);
}

#[test]
fn no_rows_at_all_are_refused() {
    let mut world = small();
    for member in &mut world.members {
        member.features.clear();
        member.labels.clear();
    }
    let error = judged(&world, &world.messages());
    assert!(error.contains("out of range"), "{error}");
}

#[test]
fn changed_certificates_are_refused_without_a_panic() {
    let world = small();
    let certificate = world.certificate();
    let mut rng = rng(11);
    // The tolerance is what the author says, not what is proven.
    let claim = 2 + 2 * 16 + 66 + 32 + 4 + 3 * 8;
    let tolerance = 10 + claim..10 + claim + 8;
    let mut changed = 0;
    while changed < 150 {
        let at = usize::try_from(rng.next_u64()).unwrap() % certificate.len();
        if tolerance.contains(&at) {
            continue;
        }
        let mut bytes = certificate.clone();
        bytes[at] ^= 1 << (changed % 8);
        let error = world.certifier.judge(&bytes).unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Corrupt, "byte {at}");
        changed += 1;
    }
    for length in (0..certificate.len()).step_by(997) {
        assert!(
            world.certifier.judge(&certificate[..length]).is_err(),
            "{length}"
        );
    }
    let longer = [certificate.as_slice(), &[0]].concat();
    assert!(
        world
            .certifier
            .judge(&longer)
            .unwrap_err()
            .to_string()
            .contains("1 bytes too many")
    );
}

#[test]
fn lengths_that_lie_take_no_memory() {
    let world = small();
    let mut bytes = world.certificate();
    let claim = 2 + 2 * 16 + 66 + 32 + 4 + 3 * 8;
    let count = 10 + claim + 8;
    bytes[count..count + 2].copy_from_slice(&1000u16.to_be_bytes());
    assert!(world.certifier.judge(&bytes).is_err());
    bytes[count..count + 2].copy_from_slice(&3u16.to_be_bytes());
    bytes[count + 2..count + 6].copy_from_slice(&u32::MAX.to_be_bytes());
    let error = world.certifier.judge(&bytes).unwrap_err().to_string();
    assert!(error.contains("message 0 is larger than"), "{error}");
}
