//! Attacks on the one answer of a member: both kinds of share of one node, other lists for other nodes, a coordinator that asks again.

use super::*;
use delta_node::domain::secagg::seal::TAG_BYTES;

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
        // A list that nobody else was shown gets no answer at all; the others' list gets the one kind.
        assert!(!w.record.keys.contains_key(&pair));
        assert!(!first_without || !w.record.seeds.contains_key(&pair));
    }
}

#[test]
fn different_u3_for_two_halves_reveal_nothing() {
    let mut w = World::new(Setup::new(6, 5));
    let told_less = [address(0), address(1), address(2)];
    w.tamper.list = Some(Box::new(move |(to, list), members| {
        if list == List::U3 && told_less.contains(&to) {
            members.retain(|m| *m != address(5));
        }
    }));
    w.run();
    assert_eq!(w.revealed(), (0, 0));
    let failure = w.failure();
    assert_eq!(failure.code, FailureCode::TooFewShares, "{failure}");
    assert!(failure.reason.contains(address(5).as_str()), "{failure}");
    assert!(w.sum.is_none());
}

/// What runner `i` says to everybody, in address order, when it is shown this list.
fn says(w: &mut World, i: usize, u3: Vec<Address>) -> Vec<Vec<u8>> {
    w.feed_runner(i, RunnerInput::AggregationStarted { u3 })
        .unwrap();
    let effect = at_effect(w, i, "confirm");
    let RunnerEffect::Confirm { request, .. } = effect else {
        panic!("{}", effect.name())
    };
    let RequestBody::Confirm { tags, .. } = request.body else {
        panic!("no confirmation")
    };
    tags.chunks(TAG_BYTES).map(<[u8]>::to_vec).collect()
}

/// All that was said to runner `to`.
fn told(said: &[Vec<Vec<u8>>], to: usize) -> Vec<Confirmation> {
    let word = |(i, tags): (usize, &Vec<Vec<u8>>)| {
        let mut order = everybody(tags.len());
        order.sort();
        let place = order.iter().position(|a| *a == address(to)).unwrap();
        Confirmation {
            member: address(i),
            tag: tags[place].clone(),
        }
    };
    said.iter().enumerate().map(word).collect()
}

/// Every list is large enough for the one who is shown it. Together, unsigned, they would give the sum of two.
#[test]
fn a_list_of_its_own_for_every_member_reveals_nothing_though_the_coordinator_relays_everything() {
    let mut w = at_u3(5);
    let lists = [
        [0, 1, 2, 3],
        [0, 1, 2, 3],
        [2, 0, 1, 3],
        [3, 0, 1, 4],
        [4, 0, 1, 2],
    ];
    let said: Vec<_> = (0..5)
        .map(|i| says(&mut w, i, lists[i].map(address).to_vec()))
        .collect();
    // The first three agree; the others are alone.
    for i in 3..5 {
        w.feed_runner(i, RunnerInput::Confirmed(told(&said, i)))
            .unwrap();
        assert_violation(&w, i, "holders of this node's shares confirmed the u3");
        assert!(w.runner(i).pending(|e| e.name() == "reveal").is_none());
    }
    assert_eq!(w.revealed(), (0, 0));
}

#[test]
fn confirmations_are_counted_once_for_each_holder_in_u3_and_only_under_its_key() {
    let mut w = at_u3(5);
    let own = says(&mut w, 0, everybody(5));
    let mut padded = vec![told(std::slice::from_ref(&own), 0)[0].clone(); 5];
    for i in 1..5 {
        // Its own words to others, and to itself, in others' names.
        for tag in [&own[0], &own[i]] {
            padded.push(Confirmation {
                member: address(i),
                tag: tag.clone(),
            });
        }
    }
    w.feed_runner(0, RunnerInput::Confirmed(padded)).unwrap();
    assert_violation(&w, 0, "1 holders of this node's shares confirmed");
    assert_eq!(w.revealed(), (0, 0));
}

#[test]
fn a_member_that_vanishes_after_u3_costs_nobody_the_round() {
    let mut w = World::new(Setup::new(7, 41));
    for i in 0..2 {
        w.last_effect.insert(address(i), "upload");
    }
    w.run();
    assert!(w.aggregated(), "{}", w.story());
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

#[test]
fn a_member_whose_list_nobody_signs_gives_up_at_its_deadline_and_says_what_it_waited_for() {
    let mut w = at_u3(4);
    says(&mut w, 0, everybody(4));
    w.last_effect.insert(address(0), "upload");
    let deadline = w.runner(0).machine.deadline().unwrap();
    let mut machine = w.runner(0).machine.clone();
    let early = delta_node::domain::time::Timestamp(deadline.0 - 1);
    assert_eq!(machine.handle(early, RunnerInput::Tick).unwrap().len(), 0);
    assert!(!machine.is_over());
    let effects = machine.handle(deadline, RunnerInput::Tick).unwrap();
    assert_eq!(effects.len(), 1, "it says goodbye, and nothing else");
    let Some(RunnerOutcome::Failed(failure)) = machine.outcome() else {
        panic!("{:?}", machine.outcome())
    };
    assert_eq!(failure.code, FailureCode::DeadlinePassed);
    assert!(failure.reason.contains("confirmations of u3"), "{failure}");
}

#[test]
fn nobody_waits_for_a_member_that_leaves_after_u3() {
    // Three of three are needed; the third is shown another list, and leaves.
    let mut setup = Setup::new(3, 6);
    setup.strategy.threshold = Some(3);
    let mut w = World::new(setup);
    w.tamper.confirmations = Some(Box::new(|to, said| {
        if to == address(2) {
            said.truncate(1);
        }
    }));
    let begun = w.now;
    w.run();
    let failure = w.failure();
    assert_eq!(failure.code, FailureCode::TooFewShares, "{failure}");
    assert!(failure.reason.contains("excluded"), "{failure}");
    assert!(failure.reason.contains(address(2).as_str()), "{failure}");
    assert!(
        w.now - begun < std::time::Duration::from_secs(60),
        "{:?}",
        w.now - begun
    );
}
