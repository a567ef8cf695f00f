//! Attacks on the keys on record.

use super::*;

#[test]
fn a_runner_notices_that_its_own_key_on_record_was_replaced() {
    for both in [true, false] {
        let mut w = World::new(Setup::new(4, 3));
        w.tamper.keys = Some(Box::new(move |(_, members), keys| {
            let at = members.iter().position(|m| *m == address(0)).unwrap();
            keys[at].pk2 = other_keys().pk2;
            if both {
                keys[at].pk1 = other_keys().pk1;
            }
        }));
        w.run();
        assert_violation(&w, 0, "are not this node's");
        assert!(
            !w.record
                .seed_commitments
                .keys()
                .any(|(sender, _)| *sender == address(0))
        );
        assert_sum_without(&w, 0);
    }
}

#[test]
fn a_key_shown_differently_to_one_member_is_noticed_by_an_honest_coordinator() {
    let mut w = World::new(Setup::new(4, 3));
    w.tamper.keys = Some(Box::new(|(reader, members), keys| {
        if reader == Some(address(0)) {
            let at = members.iter().position(|m| *m == address(1)).unwrap();
            keys[at].pk2 = other_keys().pk2;
        }
    }));
    w.run();
    assert!(
        w.runner_failure(0)
            .reason
            .contains("sees other members or keys")
    );
    assert!(!w.masked.contains_key(&address(0)));
    assert_sum_without(&w, 0);
}

#[test]
fn a_key_shown_differently_with_a_colluding_coordinator_is_noticed_by_what_does_not_open() {
    // In the other world the others were shown another key of member 3; the coordinator relays what they sealed there.
    let theirs = deliveries(Setup::new(5, 3), |w| {
        w.tamper.keys = Some(Box::new(|(_, members), keys| {
            let at = members.iter().position(|m| *m == address(3)).unwrap();
            keys[at].pk2 = other_keys().pk2;
        }));
    });
    let mut w = World::new(Setup::new(5, 3));
    w.tamper.delivery = Some(Box::new(move |to, delivery| {
        if to == address(0) {
            for mine in &mut delivery.shares {
                let other = theirs[&to].shares.iter().find(|s| s.sender == mine.sender);
                if let (true, Some(other)) = (mine.sender == address(1), other) {
                    *mine = other.clone();
                }
            }
        }
    }));
    w.run();
    assert_violation(&w, 0, "do not open");
    assert_violation(&w, 0, address(1).as_str());
    assert!(!w.masked.contains_key(&address(0)));
    assert_sum_without(&w, 0);
}

#[test]
fn a_member_whose_key_is_no_point_is_excluded_and_nobody_else() {
    let identity = "0x00".to_owned();
    let off_curve = format!("0x02{}05", "00".repeat(31));
    let too_large = format!("0x02{}", "ff".repeat(32));
    let uncompressed_tag = format!("0x04{}", "11".repeat(32));
    for bad in [
        identity,
        off_curve,
        too_large,
        uncompressed_tag,
        String::new(),
        "x".repeat(1_000_000),
    ] {
        for first in [true, false] {
            let bad = bad.clone();
            let mut w = World::new(Setup::new(4, 3)).briefly();
            w.tamper.keys = Some(Box::new(move |(_, members), keys| {
                let at = members.iter().position(|m| *m == address(2)).unwrap();
                *(if first {
                    &mut keys[at].pk1
                } else {
                    &mut keys[at].pk2
                }) = bad.clone();
            }));
            w.run();
            assert_violation(&w, 2, "unusable");
            assert_sum_without(&w, 2);
        }
    }
}

#[test]
fn members_with_equal_keys_are_excluded() {
    for (from, to) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
        let mut w = World::new(Setup::new(5, 3)).briefly();
        w.tamper.keys = Some(Box::new(move |(_, members), keys| {
            let at = |i| members.iter().position(|m| *m == address(i)).unwrap();
            let key = if from == 1 {
                keys[at(0)].pk1.clone()
            } else {
                keys[at(0)].pk2.clone()
            };
            *(if to == 1 {
                &mut keys[at(1)].pk1
            } else {
                &mut keys[at(1)].pk2
            }) = key;
        }));
        w.run();
        for i in [0, 1] {
            assert_violation(&w, i, "used twice");
        }
        assert_eq!(w.record.u3.as_ref().map(Vec::len), Some(3), "{}", w.story());
        assert!(w.aggregated());
    }
}

#[test]
fn a_member_whose_two_keys_are_one_is_excluded() {
    let mut w = World::new(Setup::new(4, 3));
    w.tamper.keys = Some(Box::new(|(_, members), keys| {
        let at = members.iter().position(|m| *m == address(1)).unwrap();
        keys[at].pk2 = keys[at].pk1.clone();
    }));
    w.run();
    assert_sum_without(&w, 1);
}

#[test]
fn a_double_join_counts_for_nothing() {
    let mut w = World::new(Setup::new(4, 3));
    assert!(!w.run_until(|w| w.record.has_joined(&address(1))));
    assert!(w.record.join(&address(1), other_keys()));
    w.run();
    assert!(!w.record.u1.as_ref().unwrap().contains(&address(1)));
    assert_sum_without(&w, 1);
}
