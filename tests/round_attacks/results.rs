//! Attacks on masked results, and messages after the end.

use super::*;

#[test]
fn a_result_under_anothers_address_is_refused() {
    let mut w = World::new(Setup::new(3, 3));
    let mut request = request_of(&at_effect(&mut w, 0, "upload"));
    assert!(w.coordinator.machine.authorise_result(&request).is_ok());
    request.sender = address(1);
    let answer = w.coordinator.machine.authorise_result(&request);
    assert!(
        matches!(answer, Err(Rejection::BadSignature { .. })),
        "{answer:?}"
    );
    request.sender = stranger();
    let answer = w.coordinator.machine.authorise_result(&request);
    assert!(
        matches!(answer, Err(Rejection::NotAMember { .. })),
        "{answer:?}"
    );
    let input = CoordinatorInput::ResultUploaded {
        member: stranger(),
        digest: Digest([1; 32]),
    };
    let now = w.now;
    let answer = w.coordinator.feed(now, input);
    assert!(
        matches!(answer, Err(Rejection::NotAMember { .. })),
        "{answer:?}"
    );
}

#[test]
fn a_second_result_of_a_member_is_refused() {
    let mut w = World::new(Setup::new(3, 3));
    at_effect(&mut w, 0, "compute");
    let mut twin = w.runner(0).machine.clone();
    at_effect(&mut w, 0, "upload");
    assert!(!w.run_until(|w| w.uploads.contains_key(&address(0))));
    let now = w.now;
    let masked = RunnerInput::Masked {
        digest: Digest([1; 32]),
        len: 168,
        point: None,
    };
    let other = request_of(&twin.handle(now, masked.clone()).unwrap()[0]);
    let answer = w.coordinator.machine.authorise_result(&other);
    assert!(
        matches!(answer, Err(Rejection::Conflict { .. })),
        "{answer:?}"
    );
    let input = CoordinatorInput::ResultUploaded {
        member: address(0),
        digest: Digest([1; 32]),
    };
    let answer = w.coordinator.feed(now, input);
    assert!(
        matches!(answer, Err(Rejection::Conflict { .. })),
        "{answer:?}"
    );
    // Nor does an honest member send a second vector under the same masks.
    let answer = w.feed_runner(0, masked);
    assert!(
        matches!(answer, Err(Rejection::Conflict { .. })),
        "{answer:?}"
    );
    w.run();
    assert_eq!(w.record.u3.as_ref().map(Vec::len), Some(3));
}

#[test]
fn a_result_other_than_the_committed_one_does_not_count() {
    for commitment in [Digest([1; 32]).to_string(), "garbage".into()] {
        let mut w = World::new(Setup::new(4, 3));
        w.tamper.result = Some(Box::new(move |member, on_record| {
            if member == address(1) {
                *on_record = Some(commitment.clone());
            }
        }));
        w.run();
        assert_sum_without(&w, 1);
    }
}

#[test]
fn a_result_without_a_commitment_does_not_count_and_does_not_block() {
    let mut w = World::new(Setup::new(4, 3));
    w.tamper.result = Some(Box::new(|member, on_record| {
        if member == address(1) {
            *on_record = None;
        }
    }));
    w.run();
    assert_sum_without(&w, 1);
}

#[test]
fn late_messages_of_a_finished_round_change_nothing() {
    for dies in [false, true] {
        let mut w = World::new(Setup::new(3, 3));
        if dies {
            w.last_effect.insert(address(0), "join");
            w.last_effect.insert(address(1), "join");
        }
        w.run();
        assert_eq!(w.aggregated(), !dies);
        // `feed` asserts that a finished machine neither changes nor acts.
        let now = w.now;
        for input in w.coordinator.inputs() {
            let _answer = w.coordinator.feed(now, input);
        }
        for node in w.runners.values_mut().filter(|n| n.alive) {
            for input in node.inputs() {
                assert!(node.feed(now, input).is_ok());
            }
            let end = RunnerInput::Ended(RoundEnd::Failed(FailureCode::DeadlinePassed));
            assert!(node.feed(now, end).is_ok());
        }
    }
}
