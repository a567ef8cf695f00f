//! Honest members are believed, and what is published says nothing else.

use delta_ports::certifier::{Certifier as _, Model, Owner};

use super::world::{World, rng};

#[test]
fn an_optimum_is_certified() {
    for model in [Model::Logistic, Model::Linear, Model::Mean] {
        let world = World::new(model, 3, 40, 3);
        let verdict = world.certifier.judge(&world.certificate()).unwrap();
        assert_eq!((verdict.rows, verdict.members.len()), (120, 3), "{model:?}");
        assert!(
            verdict.holds() && verdict.norm < 1e-5,
            "{model:?}: {}",
            verdict.norm
        );
        assert_eq!(verdict.claim, world.claim);
        for (at, member) in world.members.iter().enumerate() {
            let owner = Owner {
                task: world.claim.task.clone(),
                member: member.address.clone(),
            };
            let witness = world.witness(at);
            let digest = world.certifier.commit(
                &world.claim.schema,
                &owner,
                witness.rows,
                witness.capacity,
                witness.salt,
            );
            assert_eq!(verdict.members[at].commitment, digest.unwrap(), "{model:?}");
        }
    }
}

#[test]
fn another_answer_is_proven_and_does_not_hold() {
    for model in [Model::Logistic, Model::Linear, Model::Mean] {
        let mut world = World::new(model, 2, 40, 3);
        world.claim.weights[1] += 40_000;
        let verdict = world.certifier.judge(&world.certificate()).unwrap();
        assert!(
            !verdict.holds() && verdict.norm < 0.1,
            "{model:?}: {}",
            verdict.norm
        );
    }
}

#[test]
fn predictions_beyond_sixteen_are_proven() {
    let mut world = World::new(Model::Logistic, 2, 40, 3);
    world.claim.weights = vec![1 << 32, -(1 << 32), 1 << 32, -(1 << 32)];
    let verdict = world.certifier.judge(&world.certificate()).unwrap();
    assert!(verdict.norm > 0.01, "{}", verdict.norm);
}

#[test]
fn two_proofs_of_the_same_share_no_hidden_word() {
    let world = World::new(Model::Logistic, 2, 20, 2);
    let prove = |seed| {
        world
            .certifier
            .prove(&world.claim, &world.witness(0), &mut rng(seed))
            .unwrap()
    };
    let (one, other) = (prove(1), prove(2));
    // Header, peers, signals and commitments to the table are alike; then nothing is.
    let first = (0..one.len()).find(|at| one[*at] != other[*at]).unwrap();
    let alike = one[first..]
        .chunks_exact(32)
        .zip(other[first..].chunks_exact(32))
        .filter(|(a, b)| a == b)
        .count();
    assert!(first > 55 && alike == 0, "{first} {alike}");
}

#[test]
fn an_answer_comes_back_in_its_own_units() {
    for model in [Model::Logistic, Model::Linear, Model::Mean] {
        let world = World::new(model, 2, 40, 3);
        let (answer, back) = (world.answer(), world.claim.coefficients());
        assert_eq!(answer.len(), back.len());
        for (one, other) in answer.iter().zip(&back) {
            assert!((one - other).abs() < 1e-4, "{model:?}: {answer:?} {back:?}");
        }
    }
}
