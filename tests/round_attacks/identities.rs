//! Attacks on who the members are: keys put in their place by whoever is between, members that nobody vouches for, identities that change.

use super::*;

/// Member 1's pk1 replaced on the record by one whose secret the attacker has, for everybody but member 1.
fn between(w: &mut World) {
    w.tamper.keys = Some(Box::new(|(reader, members), keys| {
        if reader != Some(address(1)) {
            let at = members.iter().position(|m| *m == address(1)).unwrap();
            keys[at].pk1 = other_keys().pk1;
        }
    }));
}

#[test]
fn a_pk1_put_in_a_members_place_opens_nothing_and_is_noticed_before_anything_is_computed() {
    let mut w = World::new(Setup::new(4, 3));
    between(&mut w);
    let sealed = request_of(&at_effect(&mut w, 0, "post_shares"));
    let RequestBody::Shares { shares } = sealed.body else {
        panic!("no shares")
    };
    let to_victim = shares.iter().find(|s| s.receiver == address(1)).unwrap();
    // The attacker has the secret of the pk1 that member 0 sealed for, knows every key on record, and not the identities.
    let [attacker, _] = other_pairs();
    let keys = w.record.public_keys(&[address(0)]);
    let their = PublicKey::parse(Curve::Secp256k1, &keys[0].pk1).unwrap();
    let transcript = transcript_as_member_0_sees_it(&w);
    let (sender, receiver) = (address(0), address(1));
    let place = SealContext {
        transcript: &transcript,
        sender: &sender,
        receiver: &receiver,
    };
    let unidentified = SealKey::new(&attacker, &their, None).unwrap();
    assert!(unidentified.open(place, &to_victim.sealed).is_err());
    // Where member 0 does not know member 1, the same attacker reads it: that is what identities are for.
    let mut strangers = World::new(Setup::new(4, 3));
    between(&mut strangers);
    strangers.tamper.others = Some(Box::new(|_, others| *others = Acquaintances::default()));
    let sealed = request_of(&at_effect(&mut strangers, 0, "post_shares"));
    let RequestBody::Shares { shares } = sealed.body else {
        panic!("no shares")
    };
    let to_victim = shares.iter().find(|s| s.receiver == address(1)).unwrap();
    assert!(unidentified.open(place, &to_victim.sealed).is_ok());
    w.run();
    assert!(!w.masked.contains_key(&address(1)), "{}", w.story());
}

fn transcript_as_member_0_sees_it(w: &World) -> Digest {
    let members: Vec<Address> = (0..4).map(address).collect();
    let mut keys = w.record.public_keys(&members);
    keys[1].pk1 = other_keys().pk1;
    let directory = Directory::judge(Curve::Secp256k1, &members, &keys);
    transcript_digest(&w.setup.announcement(), &bundle(), &directory)
}

#[test]
fn a_member_that_one_side_alone_knows_is_not_trusted_by_the_other() {
    // Whoever is between hides member 1's identity from member 0, so that member 0 would seal for any pk1.
    let mut w = World::new(Setup::new(4, 3));
    w.tamper.others = Some(Box::new(|who, others| {
        if who == address(0) {
            others.known.remove(&address(1));
            others.anchored = false;
        }
    }));
    w.run();
    assert_violation(&w, 1, "do not open");
    assert_violation(&w, 1, address(0).as_str());
}

#[test]
fn sybils_do_not_count_towards_a_floor() {
    // Two of a roster; the rest came by themselves.
    let mut setup = Setup::new(5, 3);
    setup.floor = 3;
    let mut w = World::new(setup);
    w.tamper.others = Some(Box::new(|_, others| {
        for (address_, other) in &mut others.known {
            other.vouched = [address(0), address(1)].contains(address_);
        }
    }));
    w.run();
    for i in 0..2 {
        let failure = w.runner_failure(i);
        assert_eq!(failure.code, FailureCode::TooFewMembers, "{failure}");
        assert!(failure.reason.contains("vouched for"), "{failure}");
    }
    assert!(
        w.record
            .seed_commitments
            .keys()
            .all(|(sender, _)| *sender != address(0))
    );
}

#[test]
fn members_that_nobody_vouches_for_are_taken_to_collude() {
    // The floor is met; with six strangers among nine the default threshold protects nobody from them.
    let mut setup = Setup::new(9, 3);
    setup.floor = 2;
    let mut w = World::new(setup);
    w.tamper.others = Some(Box::new(|_, others| {
        for (address_, other) in &mut others.known {
            other.vouched = [address(0), address(1), address(2)].contains(address_);
        }
    }));
    w.run();
    for i in 0..3 {
        let failure = w.runner_failure(i);
        assert_eq!(failure.code, FailureCode::TooWeak, "{failure}");
    }
}

#[test]
fn a_member_with_another_identity_than_before_is_an_alarm_and_nothing_is_shared() {
    let mut w = World::new(Setup::new(4, 3));
    w.tamper.others = Some(Box::new(|who, others| {
        if who == address(0) {
            others.known.remove(&address(2));
            others.changed.insert(address(2));
        }
    }));
    w.run();
    assert_violation(&w, 0, "another key than before");
    assert_violation(&w, 0, address(2).as_str());
    assert!(
        w.record
            .seed_commitments
            .keys()
            .all(|(sender, _)| *sender != address(0))
    );
    assert_sum_without(&w, 0);
}
