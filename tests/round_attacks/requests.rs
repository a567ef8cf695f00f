//! Attacks by requests: forged, replayed, of strangers, with another view; declines that nobody meant.

use super::*;

/// A request of runner 0 in the state in which the coordinator takes it.
fn fetch_request(w: &mut World) -> SignedRequest {
    let request = request_of(&at_effect(w, 0, "collect_shares"));
    assert!(w.coordinator.machine.deliver(&request).is_ok());
    request
}

#[test]
fn a_forged_request_is_refused() {
    let mut w = World::new(Setup::new(3, 3));
    let good = fetch_request(&mut w);
    let forged: [fn(&mut SignedRequest); 5] = [
        |r| r.signature[5] ^= 1,
        |r| r.signature.clear(),
        |r| r.sender = address(1),
        |r| r.view = Digest([1; 32]),
        |r| {
            r.body = RequestBody::Variable {
                name: "model".parse().unwrap(),
            }
        },
    ];
    for forge in forged {
        let mut request = good.clone();
        forge(&mut request);
        let answer = w.coordinator.machine.deliver(&request);
        assert!(
            matches!(answer, Err(Rejection::BadSignature { .. })),
            "{answer:?}"
        );
        let answer = w.coordinator.machine.authorise_variable(&request);
        assert!(answer.is_err());
    }
    w.run();
    assert!(w.aggregated());
}

#[test]
fn a_request_is_good_for_one_kind_of_call() {
    // A signature over one thing must not buy another: a captured FetchShares is no Result and no Revealed.
    let mut w = World::new(Setup::new(3, 3));
    let good = fetch_request(&mut w);
    assert!(w.coordinator.machine.authorise_result(&good).is_err());
    assert!(matches!(
        w.request(good.clone()),
        Err(Rejection::Malformed { .. })
    ));
    for body in [
        RequestBody::Revealed,
        RequestBody::Result {
            digest: Digest([0; 32]),
            len: 1,
        },
    ] {
        let request = SignedRequest {
            body,
            ..good.clone()
        };
        assert!(w.coordinator.machine.deliver(&request).is_err());
        assert!(w.coordinator.machine.authorise_result(&request).is_err());
    }
}

#[test]
fn a_request_of_another_round_is_refused() {
    let mut other = Setup::new(3, 3);
    other.round = 4;
    let mut there = World::new(other);
    let request = fetch_request(&mut there);
    let mut w = World::new(Setup::new(3, 3));
    fetch_request(&mut w);
    let answer = w.coordinator.machine.deliver(&request);
    assert!(
        matches!(answer, Err(Rejection::Malformed { .. })),
        "{answer:?}"
    );
    // Written over, it is forged: the keys are the same, the signature is over the number.
    let request = SignedRequest {
        round: RoundNumber(3),
        ..request
    };
    let answer = w.coordinator.machine.deliver(&request);
    assert!(
        matches!(answer, Err(Rejection::BadSignature { .. })),
        "{answer:?}"
    );
}

#[test]
fn a_stranger_gets_nothing() {
    let mut w = World::new(Setup::new(3, 3));
    let request = SignedRequest {
        sender: stranger(),
        ..fetch_request(&mut w)
    };
    let answer = w.coordinator.machine.deliver(&request);
    assert!(
        matches!(answer, Err(Rejection::NotAMember { .. })),
        "{answer:?}"
    );
    let answer = w.coordinator.machine.authorise_variable(&request);
    assert!(
        matches!(answer, Err(Rejection::NotAMember { .. })),
        "{answer:?}"
    );
}

#[test]
fn a_member_that_is_not_in_u2_gets_nothing() {
    let mut w = World::new(Setup::new(4, 3));
    w.tamper.list = Some(Box::new(|(to, list), members| {
        if to == address(3) && list == List::U2 {
            *members = everybody(4);
        }
    }));
    at_effect(&mut w, 3, "post_shares");
    // It declines and then changes its mind.
    let mut twin = w.runner(3).machine.clone();
    let now = w.now;
    let broken = RunnerInput::EffectFailed {
        code: FailureCode::Computation,
        reason: "no".into(),
    };
    let decline = request_of(&twin.handle(now, broken).unwrap()[0]);
    assert!(w.request(decline).is_ok());
    let request = request_of(&at_effect(&mut w, 3, "collect_shares"));
    let answer = w.coordinator.machine.deliver(&request);
    assert!(answer.is_err(), "{answer:?}");
    w.run();
    assert_sum_without(&w, 3);
}

#[test]
fn a_request_with_another_view_of_u2_is_refused() {
    let mut w = World::new(Setup::new(5, 3));
    w.tamper.list = Some(Box::new(|(to, list), members| {
        if to == address(0) && list == List::U2 {
            members.retain(|m| *m != address(4));
        }
    }));
    let request = request_of(&at_effect(&mut w, 0, "collect_shares"));
    let answer = w.coordinator.machine.deliver(&request);
    assert!(
        matches!(answer, Err(Rejection::InconsistentView { .. })),
        "{answer:?}"
    );
    w.run();
    assert!(!w.masked.contains_key(&address(0)));
    assert_sum_without(&w, 0);
}

#[test]
fn shares_posted_in_anothers_name_or_twice_differently_are_refused() {
    let mut w = World::new(Setup::new(4, 3));
    let good = request_of(&at_effect(&mut w, 0, "post_shares"));
    let RequestBody::Shares { shares } = good.body.clone() else {
        panic!("no shares");
    };
    let mut fewer = shares;
    fewer.pop();
    let body = RequestBody::Shares { shares: fewer };
    let changed = SignedRequest {
        body,
        ..good.clone()
    };
    assert!(!w.run_until(|w| w.coordinator.machine.waiting_for().contains(&address(0))));
    let answer = w.request(changed);
    assert!(
        matches!(answer, Err(Rejection::BadSignature { .. })),
        "{answer:?}"
    );
    let stolen = SignedRequest {
        sender: address(1),
        ..good.clone()
    };
    let answer = w.request(stolen);
    assert!(
        matches!(answer, Err(Rejection::BadSignature { .. })),
        "{answer:?}"
    );
    w.run();
    assert!(w.aggregated());
}

#[test]
fn a_repeated_post_or_upload_is_welcome_after_its_phase() {
    let mut w = World::new(Setup::new(3, 3));
    let post = request_of(&at_effect(&mut w, 0, "post_shares"));
    let upload = request_of(&at_effect(&mut w, 0, "upload"));
    assert_eq!(w.request(post.clone()), Ok(0));
    assert!(!w.run_until(|w| w.coordinator.machine.phase_name() == "Unmasking"));
    assert_eq!(w.request(post), Ok(0));
    let answer = w.coordinator.machine.authorise_result(&upload);
    assert!(matches!(answer, Ok((_, _, true))), "{answer:?}");
    w.run();
    assert!(w.aggregated());
}

fn decline_of(sender: Address, like: &SignedRequest) -> SignedRequest {
    SignedRequest {
        sender,
        view: Digest([0; 32]),
        body: RequestBody::Decline {
            reason: DeclineCode::Left,
        },
        signature: Vec::new(),
        ..like.clone()
    }
}

#[test]
fn declines_of_strangers_and_forged_declines_cost_nobody_the_round() {
    let mut w = World::new(Setup::new(3, 3));
    let like = request_of(&at_effect(&mut w, 0, "join"));
    assert!(
        !w.run_until(|w| w.coordinator.machine.phase_name() == "AdvertiseKeys"
            && w.record.status == Status::Started
            && w.record.joins.len() == 2)
    );
    for i in 0..50 {
        assert_eq!(w.request(decline_of(address(100 + i), &like)), Ok(0));
    }
    at_effect(&mut w, 0, "post_shares");
    for sender in [address(0), address(1), address(2)] {
        let answer = w.request(decline_of(sender, &like));
        assert!(answer.is_err(), "{answer:?}");
    }
    let answer = w.request(decline_of(stranger(), &like));
    assert!(answer.is_err(), "{answer:?}");
    at_effect(&mut w, 0, "upload");
    let answer = w.request(decline_of(address(1), &like));
    assert!(
        matches!(answer, Err(Rejection::BadSignature { .. })),
        "{answer:?}"
    );
    w.run();
    assert_eq!(w.record.u3.as_ref().map(Vec::len), Some(3), "{}", w.story());
    assert!(w.aggregated());
}

#[test]
fn a_forged_decline_of_a_member_that_has_joined_is_not_believed() {
    let mut w = World::new(Setup::new(3, 3));
    let like = request_of(&at_effect(&mut w, 0, "join"));
    assert!(
        !w.run_until(|w| w.record.status == Status::Started && w.record.has_joined(&address(0)))
    );
    if w.coordinator.machine.phase_name() == "AdvertiseKeys" {
        w.request(decline_of(address(0), &like)).unwrap();
    }
    w.run();
    assert!(w.record.u1.as_ref().unwrap().contains(&address(0)));
    assert!(w.aggregated());
}

#[test]
fn a_decline_after_the_result_was_accepted_changes_nothing() {
    let mut w = World::new(Setup::new(4, 3));
    at_effect(&mut w, 0, "upload");
    let mut twin = w.runner(0).machine.clone();
    let broken = RunnerInput::EffectFailed {
        code: FailureCode::Computation,
        reason: "changed my mind".into(),
    };
    let now = w.now;
    let decline = request_of(&twin.handle(now, broken).unwrap()[0]);
    // The last one to upload keeps the phase open until the first is accepted.
    w.last_effect.insert(address(3), "post_shares");
    w.runners.get_mut(&address(3)).unwrap().die();
    w.run_until(|w| {
        !w.coordinator.machine.waiting_for().contains(&address(0))
            && w.coordinator.machine.phase_name() == "MaskedInput"
            && w.uploads.contains_key(&address(0))
    });
    w.request(decline).unwrap();
    w.run();
    match w.outcome() {
        CoordinatorOutcome::Aggregated { u3, .. } => assert!(u3.contains(&address(0))),
        CoordinatorOutcome::Failed(f) => panic!("{f}"),
    }
}

#[test]
fn a_decline_before_the_result_is_accepted_ends_the_wait() {
    let mut w = World::new(Setup::new(4, 3));
    at_effect(&mut w, 0, "compute");
    let began = w.now;
    let broken = RunnerInput::EffectFailed {
        code: FailureCode::Computation,
        reason: "no such column".into(),
    };
    w.feed_runner(0, broken).unwrap();
    w.run();
    assert_sum_without(&w, 0);
    assert!(
        (w.now - began).as_secs() < 10,
        "somebody waited for a deadline: {}",
        w.story()
    );
}

/// What a hostile member of u1 can sign: anything, under its own key.
fn signed_by(w: &World, i: usize, view: Digest, body: RequestBody) -> SignedRequest {
    let snapshot: serde_json::Value = serde_json::from_str(&w.runner(i).snapshot()).unwrap();
    let cipher = snapshot["phase"]["share_keys"]["sharing"]["cipher"].clone();
    let key: KeyPair = serde_json::from_value(cipher).unwrap();
    let mut request = SignedRequest {
        task: w.setup.announcement().task,
        round: w.setup.announcement().round,
        sender: address(i),
        view,
        body,
        signature: Vec::new(),
    };
    request.signature = key.sign(&request.signed_bytes());
    request
}

#[test]
fn shares_of_a_hostile_member_must_be_one_for_each_holder_and_stay_the_same() {
    let mut w = World::new(Setup::new(4, 3));
    let good = request_of(&at_effect(&mut w, 0, "post_shares"));
    let RequestBody::Shares { shares } = good.body.clone() else {
        panic!("no shares");
    };
    assert!(!w.run_until(|w| w.coordinator.machine.waiting_for().contains(&address(0))));
    let changed = |change: fn(&mut Vec<SealedShares>)| {
        let mut shares = shares.clone();
        change(&mut shares);
        RequestBody::Shares { shares }
    };
    for body in [
        changed(|s| drop(s.pop())),
        changed(|s| s.push(s[0].clone())),
        changed(|s| s[1] = s[0].clone()),
        changed(|s| s[0].receiver = stranger()),
        changed(|s| s[0].sender = address(1)),
        changed(|s| s[0].sealed = vec![0; 1000]),
        changed(Vec::clear),
    ] {
        let request = signed_by(&w, 0, good.view, body);
        let answer = w.request(request);
        assert!(
            matches!(answer, Err(Rejection::Malformed { .. })),
            "{answer:?}"
        );
    }
    // Another view is no view.
    let request = signed_by(&w, 0, Digest([1; 32]), good.body.clone());
    let answer = w.request(request);
    assert!(
        matches!(answer, Err(Rejection::InconsistentView { .. })),
        "{answer:?}"
    );

    w.request(good.clone()).unwrap();
    let request = signed_by(&w, 0, good.view, changed(|s| s[0].sealed[20] ^= 1));
    let answer = w.request(request);
    // The first member to share does not end the phase: the others are still awaited or the moment has passed.
    assert!(
        matches!(
            answer,
            Err(Rejection::Conflict { .. } | Rejection::WrongPhase { .. })
        ),
        "{answer:?}"
    );
    w.run();
    assert!(w.aggregated());
}
