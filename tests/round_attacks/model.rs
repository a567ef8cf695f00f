//! Attacks by showing different members different rounds.

use super::*;

#[test]
fn a_member_that_was_announced_another_model_computes_nothing() {
    let mut w = World::with(Setup::new(4, 3), |i, context| {
        if i == 0 {
            let name = "model".parse().unwrap();
            context
                .announcement
                .variables
                .insert(name, Digest::of(b"another model"));
        }
    });
    w.run();
    assert!(!w.masked.contains_key(&address(0)), "{}", w.story());
    assert_sum_without(&w, 0);
}

#[test]
fn a_member_with_another_bundle_computes_nothing() {
    // Coordinator and connector agree on another one for it: its own record says so.
    let mut w = World::with(Setup::new(4, 3), |i, context| {
        if i == 0 {
            context.bundle = Digest::of(b"another bundle");
        }
    });
    w.run();
    assert!(!w.masked.contains_key(&address(0)), "{}", w.story());
    assert_sum_without(&w, 0);
}

#[test]
fn another_model_for_the_others_is_noticed_even_if_the_coordinator_helps() {
    let mut other = Setup::new(4, 3);
    other.model = b"another model".to_vec();
    let theirs = deliveries(other, |_| {});
    let mut w = World::new(Setup::new(4, 3));
    w.tamper.delivery = Some(Box::new(move |to, delivery| {
        if to == address(0) {
            delivery.shares = theirs[&to].shares.clone();
        }
    }));
    w.run();
    assert_violation(&w, 0, "do not open");
    assert!(!w.masked.contains_key(&address(0)));
    assert_sum_without(&w, 0);
}
