//! The attack list of SECURITY.md, as far as the two machines of a round can answer it: one test for each attack.
//!
//! A hostile coordinator or connector changes what honest machines read (`Tamper`), or feeds a machine by hand. What must hold is
//! checked at the end of every run as well: no secret is out in both forms, no step breaks a law, every sum is exact.
//! Not here: uploads of wrong length, bundles, urls, HTTP; their attacks are tested where they are handled.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod clocks;
mod cohorts;
mod graph;
mod identities;
mod model;
mod public_keys;
mod requests;
mod results;
mod reveals;
mod shares;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use delta_node::domain::ids::{Address, Digest, RoundNumber, encode_hex};
use delta_node::domain::round::coordinator::{CoordinatorInput, CoordinatorOutcome};
use delta_node::domain::round::message::{
    Confirmation, RequestBody, RoundEnd, SealedShares, ShareDelivery, SignedRequest,
};
use delta_node::domain::round::record::RawPublicKeys;
use delta_node::domain::round::runner::{RunnerEffect, RunnerInput, RunnerOutcome};
use delta_node::domain::round::transcript::transcript_digest;
use delta_node::domain::round::{
    Acquaintances, DeclineCode, Directory, FailureCode, Members, PrivacyFloor, Rejection,
};
use delta_node::domain::secagg::keys::{Curve, KeyPair, PublicKey};
use delta_node::domain::secagg::{SealContext, SealKey};
use delta_testing::round::{List, Setup, Status, World, address, bundle};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

fn stranger() -> Address {
    address(77)
}

fn everybody(n: usize) -> Vec<Address> {
    (0..n).map(address).collect()
}

fn without(n: usize, i: usize) -> Vec<Address> {
    (0..n).filter(|j| *j != i).map(address).collect()
}

fn other_pairs() -> [KeyPair; 2] {
    let mut rng = ChaCha20Rng::seed_from_u64(99);
    [(); 2].map(|()| KeyPair::generate(Curve::Secp256k1, &mut rng))
}

fn other_keys() -> RawPublicKeys {
    let [pk1, pk2] = other_pairs().map(|pair| pair.public().to_wire());
    RawPublicKeys { pk1, pk2 }
}

/// Runs until every runner has uploaded and u3 is on record; nobody has heard of u3.
fn at_u3(n: usize) -> World {
    let mut w = World::new(Setup::new(n, 21));
    assert!(!w.run_until(|w| w.record.u3.is_some()));
    w
}

/// Runs until runner `i` is about to carry out an effect of this name.
fn at_effect(w: &mut World, i: usize, name: &str) -> RunnerEffect {
    assert!(
        !w.run_until(|w| w.runner(i).pending(|e| e.name() == name).is_some()),
        "{name} never came: {}",
        w.story()
    );
    w.runner(i).pending(|e| e.name() == name).cloned().unwrap()
}

fn request_of(effect: &RunnerEffect) -> SignedRequest {
    match effect {
        RunnerEffect::Join { notify, .. } | RunnerEffect::Reveal { notify, .. } => notify.clone(),
        RunnerEffect::PostShares { request }
        | RunnerEffect::CollectShares { request, .. }
        | RunnerEffect::Upload { request, .. }
        | RunnerEffect::Confirm { request, .. }
        | RunnerEffect::Decline { request } => request.clone(),
        other => panic!("{} has no request", other.name()),
    }
}

/// What every runner was delivered in a world that ran undisturbed.
fn deliveries(setup: Setup, change: impl FnOnce(&mut World)) -> BTreeMap<Address, ShareDelivery> {
    let seen = Rc::new(RefCell::new(BTreeMap::new()));
    let mut w = World::new(setup);
    change(&mut w);
    let log = Rc::clone(&seen);
    w.tamper.delivery = Some(Box::new(move |to, delivery| {
        log.borrow_mut().insert(to, delivery.clone());
    }));
    w.run_until(|_| false);
    drop(w);
    Rc::try_unwrap(seen).unwrap().into_inner()
}

fn assert_sum_without(w: &World, i: usize) {
    let expected: Members = without(w.setup.n, i).into_iter().collect();
    match w.outcome() {
        CoordinatorOutcome::Aggregated { u3, .. } => assert_eq!(*u3, expected, "{}", w.story()),
        CoordinatorOutcome::Failed(f) => panic!("the round failed: {f}\n{}", w.story()),
    }
}

fn assert_too_weak(w: &World, i: usize, words: &str) {
    let failure = w.runner_failure(i);
    assert_eq!(failure.code, FailureCode::TooWeak, "{failure}");
    assert!(failure.reason.contains(words), "{failure}");
}

fn assert_violation(w: &World, i: usize, words: &str) {
    let failure = w.runner_failure(i);
    assert_eq!(failure.code, FailureCode::ProtocolViolation, "{failure}");
    assert!(failure.reason.contains(words), "{failure}");
}
