//! Attacks by the neighbour graph: too few neighbours, another graph than the record gives, a cut of the ring.

use super::*;

/// A ring of `n` members with `degree` neighbours each, under the members' own rules.
fn ring(n: usize, degree: u32, threshold: Option<u32>) -> Setup {
    let mut setup = Setup::new(n, 5);
    setup.strategy.neighbours = Some(degree);
    setup.strategy.threshold = threshold;
    setup
}

#[test]
fn a_neighbourhood_that_is_too_small_is_refused_before_any_share_leaves() {
    for threshold in [None, Some(3), Some(5)] {
        let mut w = World::new(ring(9, 4, threshold));
        w.run();
        assert!(w.record.u1.is_some() && w.record.seed_commitments.is_empty());
        assert!(w.masked.is_empty() && w.revealed() == (0, 0));
        for i in 0..9 {
            assert_too_weak(&w, i, "4 neighbours");
            assert_too_weak(&w, i, "complete graph is needed");
        }
        assert!(
            w.failure().reason.contains(DeclineCode::TooWeak.meaning()),
            "{}",
            w.failure()
        );
    }
}

#[test]
fn a_threshold_that_colluders_reach_is_refused_whatever_the_degree() {
    let mut w = World::new(ring(40, 18, Some(10)));
    w.run_until(|w| w.runner(0).machine.is_over());
    assert_too_weak(&w, 0, "holding enough shares of somebody");
    assert!(w.masked.is_empty() && w.revealed() == (0, 0));
}

#[test]
fn one_careful_member_refuses_and_the_others_go_on_without_it() {
    let mut setup = ring(9, 6, Some(4));
    setup.privacy.bits = 0;
    let mut w = World::with(setup, |i, context| {
        if i == 3 {
            context.privacy = PrivacyFloor::default();
        }
    });
    w.run();
    assert_too_weak(&w, 3, "6 neighbours");
    assert_sum_without(&w, 3);
}

#[test]
fn a_coordinator_with_another_graph_than_the_record_gives_gets_no_sum() {
    // It works with a ring, its members with the graph of the strategy that they were shown.
    let mut setup = ring(9, 6, Some(4));
    setup.privacy.bits = 0;
    let mut w = World::with(setup, |_, context| context.strategy.neighbours = None);
    w.run();
    assert!(w.masked.is_empty() && w.revealed() == (0, 0) && w.sum.is_none());
}

#[test]
fn a_member_with_another_ring_is_left_out_before_it_computes() {
    let mut setup = ring(9, 6, Some(4));
    setup.privacy.bits = 0;
    let mut w = World::with(setup, |i, context| {
        if i == 2 {
            context.strategy.neighbours = Some(4);
        }
    });
    w.run();
    assert!(!w.masked.contains_key(&address(2)));
    assert_sum_without(&w, 2);
}

#[test]
fn a_coordinator_that_calls_most_of_a_neighbourhood_dropped_gets_no_share() {
    let mut setup = ring(12, 6, Some(5));
    setup.privacy.bits = 0;
    let mut w = World::new(setup);
    at_effect(&mut w, 0, "upload");
    // Three of its six neighbours and itself are left: four holders of five.
    let graph = w.graph();
    let mut gone: Vec<Address> = graph.neighbours(&address(0)).cloned().collect();
    gone.truncate(3);
    let u3 = everybody(12)
        .into_iter()
        .filter(|a| !gone.contains(a))
        .collect();
    w.feed_runner(0, RunnerInput::AggregationStarted { u3 })
        .unwrap();
    let failure = w.runner_failure(0);
    assert!(failure.reason.contains("only 4 holders"), "{failure}");
    assert_eq!(w.revealed(), (0, 0));
}
