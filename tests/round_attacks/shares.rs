//! Attacks on shares and their commitments.

use super::*;

#[test]
fn a_tampered_share_is_noticed() {
    for at in [0, 20, 90, 140] {
        let mut w = World::new(Setup::new(4, 3));
        w.tamper.delivery = Some(Box::new(move |to, delivery| {
            if to == address(0) {
                let mut shares = delivery.shares.iter_mut();
                shares.find(|s| s.sender == address(1)).unwrap().sealed[at] ^= 1;
            }
        }));
        w.run();
        assert_violation(&w, 0, "do not open");
        assert_violation(&w, 0, address(1).as_str());
        assert_sum_without(&w, 0);
    }
}

#[test]
fn a_share_of_another_receiver_is_noticed() {
    let theirs = deliveries(Setup::new(4, 3), |_| {});
    let mut w = World::new(Setup::new(4, 3));
    w.tamper.delivery = Some(Box::new(move |to, delivery| {
        if to == address(0) {
            let mut shares = theirs[&address(1)].shares.clone();
            shares.iter_mut().for_each(|s| s.receiver = address(0));
            delivery.shares = shares;
        }
    }));
    w.run();
    assert_violation(&w, 0, "do not open");
    assert_sum_without(&w, 0);
}

#[test]
fn what_a_member_sealed_for_another_is_not_taken_back_as_the_others() {
    let theirs = deliveries(Setup::new(4, 3), |_| {});
    let mut w = World::new(Setup::new(4, 3));
    w.tamper.delivery = Some(Box::new(move |to, delivery| {
        if to == address(0) {
            for s in delivery.shares.iter_mut().filter(|s| s.sender != to) {
                let back = theirs[&s.sender].shares.iter().find(|b| b.sender == to);
                s.sealed = back.unwrap().sealed.clone();
            }
        }
    }));
    w.run();
    assert_violation(&w, 0, "do not open");
    assert_sum_without(&w, 0);
}

#[test]
fn a_missing_share_is_noticed() {
    let mut w = World::new(Setup::new(4, 3));
    w.tamper.delivery = Some(Box::new(|to, delivery| {
        if to == address(0) {
            delivery.shares.retain(|s| s.sender != address(2));
        }
    }));
    w.run();
    assert_violation(&w, 0, "no shares from");
    assert_violation(&w, 0, address(2).as_str());
    assert_sum_without(&w, 0);
}

#[test]
fn shares_of_another_round_are_refused_even_under_the_same_keys() {
    // The same seed gives the same keys and shares; only the number of the round differs.
    let mut other = Setup::new(4, 3);
    other.round = 4;
    let theirs = deliveries(other, |_| {});
    let mut w = World::new(Setup::new(4, 3));
    w.tamper.delivery = Some(Box::new(move |to, delivery| {
        if to == address(0) {
            delivery.shares = theirs[&to].shares.clone();
        }
    }));
    w.run();
    assert_violation(&w, 0, "do not open");
    assert_sum_without(&w, 0);
}

#[test]
fn one_pk1_serves_many_rounds_and_no_share_serves_two() {
    // Everything but pk1 is another in the next round; what was agreed under it is remembered.
    let first = Setup::new(4, 3).next();
    let second = first.clone().next();
    let keys_of = |setup: &Setup| {
        let mut w = World::new(setup.clone());
        w.run();
        assert!(w.sum.is_some(), "{}", w.story());
        w.record.public_keys(&[0, 1, 2, 3].map(address))
    };
    for (before, after) in keys_of(&first).iter().zip(keys_of(&second)) {
        assert!(before.pk1 == after.pk1 && before.pk2 != after.pk2);
    }
    let theirs = deliveries(first, |_| {});
    let mut w = World::new(second);
    w.tamper.delivery = Some(Box::new(move |to, delivery| {
        if to == address(0) {
            delivery.shares = theirs[&to].shares.clone();
        }
    }));
    w.run();
    assert_violation(&w, 0, "do not open");
    assert_sum_without(&w, 0);
}

#[test]
fn a_wrong_or_missing_commitment_is_noticed_by_the_receiver() {
    let wrong = [
        Some(Digest([3; 32]).to_string()),
        Some("0xZZ".to_owned()),
        None,
    ];
    for commitment in wrong {
        for kind in 0..2 {
            let commitment = commitment.clone();
            let mut w = World::new(Setup::new(4, 3));
            w.tamper.records = Some(Box::new(move |(reader, _, senders), records| {
                if reader == Some(address(0)) {
                    let at = senders.iter().position(|s| *s == address(2)).unwrap();
                    let place = if kind == 0 {
                        &mut records[at].seed_commitment
                    } else {
                        &mut records[at].secret_key_commitment
                    };
                    *place = commitment.clone();
                }
            }));
            w.run();
            assert_violation(&w, 0, "commitment");
            assert_violation(&w, 0, address(2).as_str());
            assert_sum_without(&w, 0);
        }
    }
}

#[test]
fn a_member_without_commitments_on_record_is_left_out_and_named() {
    let mut w = World::new(Setup::new(4, 3));
    assert!(!w.run_until(|w| {
        w.coordinator
            .pending(|e| e.name() == "check_commitments")
            .is_some()
    }));
    w.record
        .seed_commitments
        .remove(&(address(1), address(2)))
        .unwrap();
    w.run();
    assert_sum_without(&w, 1);

    let mut w = World::new(Setup::new(2, 3));
    assert!(!w.run_until(|w| {
        w.coordinator
            .pending(|e| e.name() == "check_commitments")
            .is_some()
    }));
    w.record
        .key_commitments
        .insert((address(1), address(0)), "garbage".into());
    w.run();
    assert!(
        w.failure().reason.contains(address(1).as_str()),
        "{}",
        w.failure()
    );
    assert!(
        w.failure().reason.contains("commitments"),
        "{}",
        w.failure()
    );
}

/// What `receivers` reveal is replaced on its way to the coordinator.
fn world_with_wrong_reveals(receivers: &[usize]) -> World {
    let mut w = World::new(Setup::new(4, 3));
    let liars: Vec<Address> = receivers.iter().map(|i| address(*i)).collect();
    w.tamper.records = Some(Box::new(move |(reader, receiver, _), records| {
        if reader.is_none() && liars.contains(&receiver) {
            for seed in records.iter_mut().filter_map(|r| r.seed.as_mut()) {
                *seed = encode_hex(&[1, 1, 42]);
            }
        }
    }));
    w.run();
    w
}

#[test]
fn a_wrong_revealed_share_is_not_used() {
    let w = world_with_wrong_reveals(&[2]);
    assert!(w.aggregated() && w.sum.is_some());
}

#[test]
fn too_many_wrong_revealed_shares_fail_the_round_and_name_their_revealers() {
    let w = world_with_wrong_reveals(&[1, 2]);
    let failure = w.failure();
    assert_eq!(failure.code, FailureCode::TooFewShares);
    for i in [1, 2] {
        let named = format!("{}: it revealed a wrong share", address(i));
        assert!(failure.reason.contains(&named), "{failure}");
    }
}

#[test]
fn a_share_at_another_holders_place_is_not_used() {
    // Both share and commitment are those of another holder: only the place tells.
    for liars in [vec![1_usize], vec![1, 2]] {
        let mut w = World::new(Setup::new(4, 3));
        let copy: Rc<RefCell<BTreeMap<Address, String>>> = Rc::default();
        let names: Vec<Address> = liars.iter().map(|i| address(*i)).collect();
        w.tamper.records = Some(Box::new(move |(reader, receiver, senders), records| {
            if reader.is_some() {
                return;
            }
            for (sender, record) in senders.iter().zip(records) {
                if names.contains(&receiver) && record.seed.is_some() {
                    let share = [&[1, 200][..], &[7; 66][1..]].concat();
                    copy.borrow_mut().insert(sender.clone(), encode_hex(&share));
                    record.seed = Some(encode_hex(&share));
                    record.seed_commitment = Some(Digest::of(&share).to_string());
                }
            }
        }));
        w.run();
        if liars.len() == 1 {
            assert!(w.aggregated());
        } else {
            assert!(
                w.failure().reason.contains("another holder's"),
                "{}",
                w.failure()
            );
        }
    }
}
