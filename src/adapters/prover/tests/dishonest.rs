//! Members that run the prover on something else than they should.

use curve25519_dalek::scalar::Scalar;
use delta_ports::certifier::{Certifier as _, Model, Peer};

use super::world::World;
use crate::committed::Committed;
use crate::encoding::claim_bytes;
use crate::field::wide;
use crate::generators::Cache;
use crate::hiding::Hiding;
use crate::masks::Masks;
use crate::prove::Prover;
use crate::verify::verify;
use crate::witness::Rows;

/// Everything that a prover starts from, to be tampered with.
struct Lies {
    rows: Rows,
    masks: Masks,
    sums: Vec<Scalar>,
    points: Vec<u8>,
    blindings: Vec<Scalar>,
}

/// The verifier's word on a proof by the first member, who has done `what` before.
fn after(world: &World, what: impl FnOnce(&mut Lies)) -> Result<(), String> {
    let (claim, witness) = (&world.claim, world.witness(0));
    let cache = Cache::default();
    let owner = (&claim.task, witness.member);
    let committed = Committed::new(
        &cache,
        &claim.schema,
        owner,
        witness.rows,
        witness.capacity,
        witness.salt,
    )
    .unwrap();
    let Committed {
        layout,
        table,
        bits,
        key,
        blindings,
        points,
    } = committed;
    let rows = Rows::new(layout, table, bits, &claim.weights);
    let generators = cache.at_least(layout.generators());
    let peers: Vec<&Peer> = witness.peers.iter().collect();
    let masks = Masks::new(
        &generators,
        &claim_bytes(claim),
        witness.member,
        &peers,
        layout.signals(),
    );
    let sums = rows
        .sums(&claim.weights)
        .iter()
        .map(|sum| wide(*sum))
        .collect();
    let blindings = blindings.to_vec();
    let mut lies = Lies {
        rows,
        masks,
        sums,
        points,
        blindings,
    };
    what(&mut lies);
    let prover = Prover {
        generators: &generators,
        claim,
        member: witness.member,
        rows: &lies.rows,
        hiding: Hiding::new(&[3; 64], &key, &lies.masks.part(&claim_bytes(claim))),
    };
    let message = prover.run(&lies.masks, &lies.sums, &lies.blindings, &lies.points);
    verify(&cache, claim, &message)
        .map(|_| ())
        .map_err(|e| e.to_string())
}

fn refused(world: &World, why: &str, what: impl FnOnce(&mut Lies)) {
    let error = after(world, what).unwrap_err();
    assert!(error.contains(why), "{error}");
}

const ROUNDS: &str = "the rounds do not lead";
const OPENED: &str = "what is opened is not";

#[test]
fn nothing_changed_is_believed() {
    for model in [Model::Logistic, Model::Linear, Model::Mean] {
        after(&World::new(model, 3, 12, 2), |_| ()).unwrap();
    }
}

#[test]
fn other_sums_are_refused() {
    for model in [Model::Logistic, Model::Linear, Model::Mean] {
        let world = World::new(model, 3, 12, 2);
        for at in 0..world.claim.weights.len() + 1 {
            refused(&world, ROUNDS, |lies| lies.sums[at] += Scalar::ONE);
        }
    }
}

#[test]
fn a_table_changed_after_its_commitment_is_refused() {
    for model in [Model::Logistic, Model::Linear, Model::Mean] {
        let world = World::new(model, 2, 12, 2);
        let columns = world.data_columns();
        for column in (0..columns).step_by(5).chain([columns - 2, columns - 1]) {
            assert!(
                after(&world, |lies| lies.rows.data.flip(4, column)).is_err(),
                "{model:?} {column}"
            );
        }
        // The row is left out everywhere: in the table, in what is opened and in the sums.
        let mut fewer = World::new(model, 2, 12, 2);
        fewer.members[0].features.truncate(22);
        fewer.members[0].labels.truncate(11);
        let mut swapped = None;
        after(&world, |lies| swapped = Some(lies.points.clone())).unwrap();
        refused(&fewer, OPENED, |lies| lies.points = swapped.unwrap());
    }
}

#[test]
fn every_changed_cell_of_the_second_matrix_is_refused() {
    let world = World::new(Model::Logistic, 2, 12, 2);
    for column in 0..crate::layout::aux::BITS {
        refused(&world, ROUNDS, |lies| {
            if let Some((bits, _)) = &mut lies.rows.aux {
                bits.flip(5, column);
            }
        });
    }
    refused(&world, ROUNDS, |lies| {
        if let Some((_, heights)) = &mut lies.rows.aux {
            heights.0[5] += 1;
        }
    });
}

#[test]
fn masks_other_than_the_published_ones_are_refused() {
    let world = World::new(Model::Logistic, 3, 12, 2);
    // Added to the sums and nowhere else: the sums over members would be off by it.
    refused(&world, OPENED, |lies| lies.masks.total[0] += Scalar::ONE);
    refused(&world, OPENED, |lies| *lies.masks.blinding += Scalar::ONE);
    refused(&world, OPENED, |lies| {
        let (first, second) = (lies.masks.published[0].1, lies.masks.published[1].1);
        (lies.masks.published[0].1, lies.masks.published[1].1) = (second, second);
        assert_ne!(first, second);
    });
}

#[test]
fn blindings_of_another_table_are_refused() {
    let world = World::new(Model::Linear, 2, 12, 2);
    refused(&world, OPENED, |lies| lies.blindings[0] += Scalar::ONE);
}

#[test]
fn a_witness_that_does_not_fit_is_refused_by_the_prover() {
    let check = |why: &str, change: &dyn Fn(&mut World)| {
        let mut world = World::new(Model::Logistic, 3, 12, 2);
        change(&mut world);
        let error = world
            .certifier
            .prove(&world.claim, &world.witness(0), &mut super::world::rng(1))
            .unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    };
    check("0 peers", &|world| world.members[0].peers.clear());
    check("a peer is there twice", &|world| {
        world.members[0].peers[1] = world.members[0].peers[0].clone()
    });
    check("a peer is there twice", &|world| {
        world.members[0].peers[0].address = world.members[0].address.clone()
    });
    check("no power of two", &|world| world.members[0].capacity = 24);
    check("outside 2^4 to 2^17", &|world| {
        world.members[0].capacity = 8
    });
    check("above 1,024", &|world| world.claim.weights[0] = i64::MIN);
    check("2 weights where the answer has 3", &|world| {
        world.claim.weights.truncate(2)
    });
    check("labels", &|world| world.members[0].labels.truncate(11));
    check("not two numbers", &|world| {
        world.claim.schema.features[1].high = f64::NAN
    });
    check("65 features", &|world| {
        let bounds = world.claim.schema.features[0];
        world.claim.schema.features.resize(65, bounds);
        world.claim.weights.resize(66, 0);
    });
}
