//! Attacks on the one answer of a member: both kinds of share of one node, other lists for other nodes, a coordinator that asks again.

use super::*;

#[test]
fn key_shares_of_a_node_are_not_followed_by_its_seed_shares() {
    for first_without in [true, false] {
        let mut w = at_u3(5);
        let (all, fewer) = (everybody(5), without(5, 4));
        let (first, second) = if first_without {
            (fewer, all)
        } else {
            (all, fewer)
        };
        assert_eq!(
            w.feed_runner(0, RunnerInput::AggregationStarted { u3: first.clone() }),
            Ok(1)
        );
        let before = w.runner(0).snapshot();
        for _ in 0..2 {
            let again = w.feed_runner(0, RunnerInput::AggregationStarted { u3: second.clone() });
            assert!(
                matches!(again, Err(Rejection::Conflict { .. })),
                "{again:?}"
            );
            // The answer was given for ever: a restart forgets nothing.
            w.runners.get_mut(&address(0)).unwrap().crash();
        }
        assert_eq!(
            w.feed_runner(0, RunnerInput::AggregationStarted { u3: first }),
            Ok(0)
        );
        assert_eq!(w.runner(0).snapshot(), before);
        w.run();
        let pair = (address(4), address(0));
        assert_eq!(w.record.keys.contains_key(&pair), first_without);
        assert_eq!(w.record.seeds.contains_key(&pair), !first_without);
    }
}

#[test]
fn different_u3_for_two_halves_give_neither_threshold() {
    let mut w = World::new(Setup::new(6, 5));
    let told_less = [address(0), address(1), address(2)];
    w.tamper.list = Some(Box::new(move |(to, list), members| {
        if list == List::U3 && told_less.contains(&to) {
            members.retain(|m| *m != address(5));
        }
    }));
    w.run();
    assert_eq!(w.record.revealed_of(&address(5)), (3, 3));
    let failure = w.failure();
    assert_eq!(failure.code, FailureCode::TooFewShares, "{failure}");
    assert!(failure.reason.contains(address(5).as_str()), "{failure}");
    assert!(w.sum.is_none());
}

#[test]
fn a_runner_in_its_last_phase_does_not_begin_again() {
    // A coordinator that lost its database.
    let mut w = at_u3(4);
    w.feed_runner(0, RunnerInput::AggregationStarted { u3: everybody(4) })
        .unwrap();
    for input in [
        RunnerInput::Selected { u1: without(4, 3) },
        RunnerInput::CalculationStarted { u2: without(4, 3) },
    ] {
        let answer = w.feed_runner(0, input);
        assert!(
            matches!(answer, Err(Rejection::Conflict { .. })),
            "{answer:?}"
        );
    }
    assert_eq!(
        w.feed_runner(0, RunnerInput::Selected { u1: everybody(4) }),
        Ok(0)
    );
    assert_eq!(w.feed_runner(0, RunnerInput::CommitmentsPublished), Ok(0));
    w.run();
    assert!(w.aggregated());
}
