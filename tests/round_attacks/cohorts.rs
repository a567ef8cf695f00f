//! Attacks by lists: too few, too many, twice, strangers.

use super::*;

#[test]
fn a_cohort_of_one_is_not_coordinated() {
    let mut setup = Setup::new(3, 1);
    setup.strategy.min_clients = 1;
    setup.strategy.max_clients = 1;
    setup.strategy.threshold = Some(1);
    let mut w = World::new(setup);
    w.run();
    assert_eq!(w.failure().code, FailureCode::TooFewMembers);
    assert!(w.record.u1.is_none());
}

#[test]
fn a_cohort_of_one_is_refused_by_its_member_before_any_share_leaves() {
    let mut setup = Setup::new(3, 1);
    setup.strategy.min_clients = 1;
    setup.strategy.max_clients = 1;
    setup.strategy.threshold = Some(1);
    setup.floor = 1;
    let mut w = World::with(setup, |_, context| context.floor = 2);
    w.run();
    assert_eq!(w.record.u1.as_ref().map(Vec::len), Some(1));
    assert!(w.record.seed_commitments.is_empty() && w.masked.is_empty());
    let failure = w.failure();
    assert_eq!(failure.code, FailureCode::TooFewMembers);
    // The member says a word and no more.
    let word = DeclineCode::TooFewMembers.meaning();
    assert!(failure.reason.ends_with(word), "{failure}");
}

#[test]
fn a_u2_or_u3_of_one_is_refused() {
    let mut w = World::new(Setup::new(3, 1));
    at_effect(&mut w, 0, "post_shares");
    w.feed_runner(
        0,
        RunnerInput::CalculationStarted {
            u2: vec![address(0)],
        },
    )
    .unwrap();
    assert_eq!(w.runner_failure(0).code, FailureCode::TooFewMembers);

    let mut w = at_u3(3);
    w.feed_runner(
        0,
        RunnerInput::AggregationStarted {
            u3: vec![address(0)],
        },
    )
    .unwrap();
    assert_eq!(w.runner_failure(0).code, FailureCode::TooFewMembers);
    assert_eq!(w.revealed(), (0, 0));
}

#[test]
fn a_threshold_of_one_is_raised_to_what_withstands_a_colluder() {
    let mut setup = Setup::new(5, 2);
    setup.strategy.threshold = Some(1);
    setup.strategy.min_clients = 1;
    assert_eq!(setup.strategy.threshold_for(5), 4);
    let mut w = World::new(setup);
    for i in 0..3 {
        w.last_effect.insert(address(i), "upload");
    }
    w.run();
    assert_eq!(w.failure().code, FailureCode::TooFewShares);
    for i in 0..3 {
        assert!(
            w.failure().reason.contains(address(i).as_str()),
            "{}",
            w.failure()
        );
    }
    assert!(w.sum.is_none());
}

#[test]
fn a_u2_below_the_threshold_is_refused_before_anything_is_computed() {
    let mut w = World::new(Setup::new(5, 2));
    w.tamper.list = Some(Box::new(|(to, list), members| {
        if list == List::U2 {
            members.retain(|m| *m == to || *m == address(0));
        }
    }));
    w.run();
    assert!(w.masked.is_empty() && w.revealed() == (0, 0));
    assert_eq!(w.runner_failure(1).code, FailureCode::TooFewMembers);
}

#[test]
fn a_u3_below_the_threshold_is_refused_before_anything_is_revealed() {
    // Two are enough for the floor, not for the four shares that a secret needs.
    let mut w = at_u3(5);
    let u3 = vec![address(0), address(1)];
    w.feed_runner(0, RunnerInput::AggregationStarted { u3 })
        .unwrap();
    let failure = w.runner_failure(0);
    assert_eq!(failure.code, FailureCode::TooFewMembers, "{failure}");
    assert!(failure.reason.contains("the threshold is 4"), "{failure}");
    assert_eq!(w.revealed(), (0, 0));
}

#[test]
fn a_member_added_between_u1_and_u2_is_noticed() {
    let mut w = World::new(Setup::new(4, 3));
    w.tamper.list = Some(Box::new(|(_, list), members| {
        if list == List::U2 {
            members.push(stranger());
        }
    }));
    w.run();
    for i in 0..4 {
        assert_violation(&w, i, stranger().as_str());
    }
    assert!(w.masked.is_empty());
    let word = DeclineCode::Protocol.meaning();
    assert!(w.failure().reason.contains(word), "{}", w.failure());
}

#[test]
fn a_member_added_between_u2_and_u3_is_noticed() {
    let mut w = at_u3(4);
    let mut u3 = everybody(4);
    u3.push(stranger());
    w.feed_runner(0, RunnerInput::AggregationStarted { u3 })
        .unwrap();
    assert_violation(&w, 0, stranger().as_str());
    assert_eq!(w.revealed(), (0, 0));
}

#[test]
fn a_u3_with_a_member_that_sent_nothing_is_noticed_by_it() {
    let mut w = World::new(Setup::new(4, 3));
    at_effect(&mut w, 0, "compute");
    w.feed_runner(0, RunnerInput::AggregationStarted { u3: everybody(4) })
        .unwrap();
    assert_violation(&w, 0, "sent no result");
}

#[test]
fn members_that_are_left_out_leave_and_say_nothing() {
    type Told = fn(Vec<Address>) -> RunnerInput;
    let lists: [(&str, Told); 3] = [
        ("join", |u1| RunnerInput::Selected { u1 }),
        ("post_shares", |u2| RunnerInput::CalculationStarted { u2 }),
        ("upload", |u3| RunnerInput::AggregationStarted { u3 }),
    ];
    for (stage, input) in lists {
        let mut w = World::new(Setup::new(4, 3));
        at_effect(&mut w, 0, stage);
        assert_eq!(w.feed_runner(0, input(without(4, 0))), Ok(0), "{stage}");
        let outcome = w.runner(0).machine.outcome();
        assert!(
            matches!(outcome, Some(RunnerOutcome::LeftOut { .. })),
            "{outcome:?}"
        );
    }
}

#[test]
fn duplicates_in_lists_are_refused() {
    let twice = || [everybody(4), vec![address(1)]].concat();
    let refused = |w: &mut World, input| {
        let answer = w.feed_runner(0, input);
        assert!(
            matches!(answer, Err(Rejection::Malformed { .. })),
            "{answer:?}"
        );
    };
    let mut w = World::new(Setup::new(4, 3));
    refused(&mut w, RunnerInput::Selected { u1: twice() });
    at_effect(&mut w, 0, "read_keys");
    let keys = RunnerInput::PublicKeys {
        keys: vec![other_keys(); 5],
        others: Acquaintances::default(),
    };
    refused(&mut w, keys);
    at_effect(&mut w, 0, "post_shares");
    refused(&mut w, RunnerInput::CalculationStarted { u2: twice() });
    at_effect(&mut w, 0, "upload");
    refused(&mut w, RunnerInput::AggregationStarted { u3: twice() });
    w.run();
    assert!(w.aggregated());
}

#[test]
fn shares_relayed_twice_are_refused() {
    let mut w = World::new(Setup::new(4, 3));
    w.tamper.delivery = Some(Box::new(|to, delivery| {
        if to == address(0) {
            let first = delivery.shares[0].clone();
            delivery.shares.push(first);
        }
    }));
    w.run();
    assert_violation(&w, 0, "two sets of shares");
    assert_sum_without(&w, 0);
}
