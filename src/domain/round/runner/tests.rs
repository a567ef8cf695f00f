//! Whole rounds among members alone, relayed as coordinator and connector would, with what one attack needs changed.

use std::collections::BTreeMap;

use super::*;
use crate::identity::NodeKey;
use crate::round::Acquaintance;
use crate::round::message::SealedShares;
use crate::secagg::seal::TAG_BYTES;

const NOW: Timestamp = Timestamp(0);

fn node(i: usize) -> Address {
    format!("0x{i:040x}").parse().unwrap()
}

#[test]
fn a_member_gives_up_later_than_a_coordinator_with_the_same_blocks() {
    let mut play = Play::joined(2, |_, _| ());
    let block = Duration::from_secs(12);
    let pacing = Pacing { block, waiting: 4 };
    let round = &mut play.rounds[0];
    let before = round.deadline().unwrap();
    for _ in 0..2 {
        round.handle(NOW, RunnerInput::Paced(pacing)).unwrap();
    }
    assert_eq!(round.deadline().unwrap(), before + block * 55);
    assert!(pacing.of_a_member() > pacing.of_a_phase());
}

/// Members of a round, and what lies between them.
struct Play {
    members: Vec<Address>,
    rounds: Vec<RunnerRound>,
    keys: Vec<RawPublicKeys>,
    records: BTreeMap<(Address, Address), RawShareRecord>,
    sealed: Vec<SealedShares>,
}

impl Play {
    /// So many members have joined; `change` gives one (by number) another idea of the round.
    fn joined(n: usize, change: impl Fn(usize, &mut RunnerContext)) -> Self {
        let members: Vec<Address> = (0..n).map(node).collect();
        let (mut rounds, mut keys) = (Vec::new(), Vec::new());
        for (i, me) in members.iter().enumerate() {
            let mut context = RunnerContext {
                me: me.clone(),
                announcement: Announcement {
                    task: format!("0x{}", "07".repeat(32)).parse().unwrap(),
                    round: RoundNumber(1),
                    step: 0,
                    variables: BTreeMap::new(),
                },
                bundle: Digest([1; 32]),
                strategy: Strategy {
                    min_clients: 2,
                    ..Strategy::default()
                },
                floor: 2,
                privacy: PrivacyFloor::default(),
            };
            change(i, &mut context);
            let seed = Secret::new([u8::try_from(i + 40).unwrap(); 32]);
            let (round, effects) = RunnerRound::join(NOW, context, seed);
            let Some(RunnerEffect::Join { keys: own, .. }) = effects.first() else {
                panic!("{effects:?}")
            };
            keys.push(own.clone());
            rounds.push(round);
        }
        Self {
            members,
            rounds,
            keys,
            records: BTreeMap::new(),
            sealed: Vec::new(),
        }
    }

    /// u1 is everybody, and everybody knows everybody; only the members `vouched` are on rosters. Shares what they share.
    fn share(&mut self, vouched: std::ops::Range<usize>) {
        let identity = |i: usize| NodeKey::new(&Secret::new([u8::try_from(i + 1).unwrap(); 32]));
        for i in 0..self.members.len() {
            let u1 = self.members.clone();
            self.give(i, RunnerInput::Selected { u1 });
            let own = identity(i).unwrap();
            let others = (0..self.members.len()).filter(|j| *j != i).map(|j| {
                let common = own.common(identity(j).unwrap().public()).unwrap();
                let vouched = vouched.contains(&j);
                (node(j), Acquaintance { common, vouched })
            });
            let others = Acquaintances {
                known: others.collect(),
                anchored: vouched.contains(&i),
                ..Acquaintances::default()
            };
            let keys = self.keys.clone();
            let effects = self.give(i, RunnerInput::PublicKeys { keys, others });
            let Some(RunnerEffect::PublishCommitments { seed, key }) = effects.first() else {
                continue;
            };
            for ((to, seed), (_, key)) in seed.iter().zip(key) {
                let record = RawShareRecord {
                    seed_commitment: Some(seed.to_string()),
                    secret_key_commitment: Some(key.to_string()),
                    ..RawShareRecord::default()
                };
                self.records.insert((node(i), to.clone()), record);
            }
            let effects = self.give(i, RunnerInput::CommitmentsPublished);
            let Some(RunnerEffect::PostShares { request }) = effects.first() else {
                panic!("{effects:?}")
            };
            let RequestBody::Shares { shares } = &request.body else {
                panic!("{request:?}")
            };
            self.sealed.extend(shares.iter().cloned());
        }
    }

    /// u2 is everybody: each gets the shares for it. Gives who computes.
    fn collect(&mut self) -> Vec<usize> {
        let u2 = self.members.clone();
        let mut computing = Vec::new();
        for i in 0..u2.len() {
            self.give(i, RunnerInput::CalculationStarted { u2: u2.clone() });
            let mine = self.sealed.iter().filter(|s| s.receiver == node(i));
            let delivery = ShareDelivery {
                shares: mine.cloned().collect(),
            };
            let record = |from: &Address| self.records[&(from.clone(), node(i))].clone();
            let records = u2.iter().map(record).collect();
            let effects = self.give(i, RunnerInput::SharesCollected { delivery, records });
            if matches!(effects.first(), Some(RunnerEffect::Compute { .. })) {
                computing.push(i);
            }
        }
        computing
    }

    /// All have computed, u3 is everybody, and each says so. Gives what each is told of it.
    fn confirm(&mut self) -> Vec<Vec<Confirmation>> {
        let u3 = self.members.clone();
        let mut said = Vec::new();
        for i in 0..u3.len() {
            let digest = Digest([2; 32]);
            self.give(
                i,
                RunnerInput::Masked {
                    digest,
                    len: 1,
                    point: None,
                },
            );
            let effects = self.give(i, RunnerInput::AggregationStarted { u3: u3.clone() });
            let Some(RunnerEffect::Confirm { request, .. }) = effects.first() else {
                panic!("{effects:?}")
            };
            let RequestBody::Confirm { tags, .. } = &request.body else {
                panic!("{request:?}")
            };
            said.push(tags.clone());
        }
        let told = |i: usize| {
            let of = |j: usize| Confirmation {
                member: node(j),
                tag: said[j][TAG_BYTES * i..TAG_BYTES * (i + 1)].to_vec(),
            };
            (0..u3.len()).map(of).collect()
        };
        (0..u3.len()).map(told).collect()
    }

    fn give(&mut self, i: usize, input: RunnerInput) -> Vec<RunnerEffect> {
        self.rounds[i].handle(NOW, input).unwrap()
    }

    fn failure(&self, i: usize) -> &RoundFailure {
        match self.rounds[i].outcome() {
            Some(RunnerOutcome::Failed(failure)) => failure,
            other => panic!("{i}: {other:?}"),
        }
    }
}

/// Everybody is of the roster.
const ALL: std::ops::Range<usize> = 0..9;

#[test]
fn honest_members_reveal_to_their_end() {
    let mut play = Play::joined(4, |_, _| {});
    play.share(ALL);
    assert_eq!(play.collect(), [0, 1, 2, 3]);
    for (i, told) in play.confirm().into_iter().enumerate() {
        let effects = play.give(i, RunnerInput::Confirmed(told));
        let Some(RunnerEffect::Reveal { seeds, keys, .. }) = effects.first() else {
            panic!("{effects:?}")
        };
        assert_eq!((seeds.len(), keys.len()), (4, 0));
    }
}

#[test]
fn nobody_computes_for_two_bundles() {
    // Member 0's record has another bundle than the others': another graph, another precision, and the sum would be its vector alone.
    let mut play = Play::joined(4, |i, context| {
        if i == 0 {
            context.bundle = Digest([9; 32]);
        }
    });
    play.share(ALL);
    assert_eq!(play.collect(), [0_usize; 0]);
    for i in 0..4 {
        let failure = play.failure(i);
        assert_eq!(failure.code, FailureCode::ProtocolViolation);
        assert!(failure.reason.contains("another bundle"), "{failure}");
    }
}

/// Whatever is said after the shares are out, the step is over for this member; before that it is not.
#[test]
fn who_has_revealed_has_done_the_step_whatever_end_is_said() {
    let later = NOW + Duration::from_secs(1_000_000);
    let ends = || {
        [
            RunnerInput::Ended(RoundEnd::Failed(FailureCode::DeadlinePassed)),
            RunnerInput::Ended(RoundEnd::Finished),
            RunnerInput::Tick,
            RunnerInput::Leave,
            RunnerInput::EffectFailed {
                code: FailureCode::Abandoned,
                reason: "the record cannot be written".into(),
            },
        ]
    };
    let mut play = Play::joined(4, |_, _| {});
    play.share(ALL);
    play.collect();
    let told = play.confirm();
    for (i, told) in told.into_iter().enumerate() {
        for end in ends() {
            let finished = matches!(end, RunnerInput::Ended(RoundEnd::Finished));
            let mut round = play.rounds[i].clone();
            assert!(!round.closes_step());
            round.handle(later, end).unwrap();
            // Somebody may say that there is a sum before this member has seen one word of its neighbours.
            assert_eq!(round.closes_step(), finished);
            assert_ne!(round.outcome(), Some(&RunnerOutcome::Contributed));
        }
        let effects = play.give(i, RunnerInput::Confirmed(told));
        assert!(matches!(effects[..], [RunnerEffect::Reveal { .. }]));
        assert!(play.rounds[i].closes_step());
        for end in ends() {
            let finished = matches!(end, RunnerInput::Ended(RoundEnd::Finished));
            let mut round = play.rounds[i].clone();
            round.handle(later, end).unwrap();
            assert!(round.is_over() && round.closes_step());
            let contributed = round.outcome() == Some(&RunnerOutcome::Contributed);
            assert_eq!(contributed, finished);
        }
    }
}

/// Node 0, node 1 (which colludes) and node 2 are of the roster, node 3 of nobody's. With a threshold of 3, node 0 would be unmasked by
/// two lists, {0, 1, 3} and {1, 2, 3}.
#[test]
fn a_stranger_does_not_take_the_place_of_the_colluder_that_the_owner_assumes() {
    let mut play = Play::joined(4, |_, context| context.privacy.colluders = Some(1));
    play.share(0..3);
    for i in 0..3 {
        assert_eq!(play.failure(i).code, FailureCode::TooWeak);
        let reason = &play.failure(i).reason;
        assert!(reason.contains("vouch for 1 of them"), "{reason}");
    }
    assert!(play.sealed.iter().all(|s| s.sender == node(3)));
    let mut known = Play::joined(4, |_, context| context.privacy.colluders = Some(1));
    known.share(ALL);
    assert_eq!(known.collect().len(), 4);
}

/// A coordinator that chooses the members of the second of two sums gets a number of those who differ: nobody shares with it.
#[test]
fn a_bound_round_is_with_the_cohort_of_the_sum_before_or_not_at_all() {
    let everybody: Vec<Address> = (0..4).map(node).collect();
    let cohort = cohort_digest(&everybody);
    let select = |u1: Vec<Address>| {
        let mut play = Play::joined(4, |_, _| {});
        play.rounds[0].bind_to(cohort);
        play.give(0, RunnerInput::Selected { u1 });
        play.rounds[0].clone()
    };
    assert!(!select(everybody.clone()).is_over());
    let fewer = select(everybody[..3].to_vec());
    let Some(RunnerOutcome::Failed(failure)) = fewer.outcome() else {
        panic!("{:?}", fewer.outcome())
    };
    assert_eq!(failure.code, FailureCode::ProtocolViolation);
    assert!(
        failure
            .reason
            .contains("not of the members of the sum before")
    );
}

/// What a member would prove under, when it is shown these keys: its peers, and its keys with them.
fn ground(play: &mut Play, i: usize, keys: Vec<RawPublicKeys>) -> Vec<PairKey> {
    let u1 = play.members.clone();
    play.give(i, RunnerInput::Selected { u1: u1.clone() });
    // u2 overtakes the keys: nothing lies between them at the coordinator.
    let early = play.give(i, RunnerInput::CalculationStarted { u2: u1 });
    assert!(early.is_empty(), "{early:?}");
    let others = Acquaintances {
        known: BTreeMap::new(),
        anchored: true,
        ..Acquaintances::default()
    };
    let effects = play.give(i, RunnerInput::PublicKeys { keys, others });
    let Some(RunnerEffect::Prove { ground, .. }) = effects.first() else {
        panic!("{effects:?} {:?}", play.rounds[i].outcome())
    };
    ground.peers.clone()
}

fn grounds(play: &mut Play) -> Vec<Vec<PairKey>> {
    let keys = play.keys.clone();
    let members = 0..play.members.len();
    members.map(|i| ground(play, i, keys.clone())).collect()
}

/// A coordinator that shows one member a key of its own in another's place learns nothing that honest members mask with.
#[test]
fn provers_who_were_shown_different_keys_mask_with_different_keys() {
    let mut play = proving(3);
    let mut keys = play.keys.clone();
    keys[2] = Play::joined(4, |_, _| {}).keys[3].clone();
    let deceived = ground(&mut play, 0, keys);
    let honest = grounds(&mut proving(3));
    for pair in deceived {
        let j = (0..3).find(|j| node(*j) == pair.peer).unwrap();
        let back = honest[j].iter().find(|p| p.peer == node(0)).unwrap();
        assert_ne!(pair.key.expose(), back.key.expose(), "{}", pair.peer);
    }
}

fn proving(n: usize) -> Play {
    let mut play = Play::joined(n, |_, context| context.floor = 1);
    play.rounds.iter_mut().for_each(RunnerRound::to_prove);
    play
}

#[test]
fn provers_share_a_key_with_each_other_and_reveal_nothing() {
    let mut play = proving(3);
    let grounds = grounds(&mut play);
    for i in 0..3 {
        let peers: Vec<&Address> = grounds[i].iter().map(|p| &p.peer).collect();
        let others: Vec<Address> = (0..3).filter(|j| *j != i).map(node).collect();
        assert_eq!(peers, others.iter().collect::<Vec<_>>());
        for pair in &grounds[i] {
            let j = (0..3).find(|j| node(*j) == pair.peer).unwrap();
            let back = grounds[j].iter().find(|p| p.peer == node(i)).unwrap();
            assert_eq!(pair.key.expose(), back.key.expose());
        }
    }
    assert_ne!(grounds[0][0].key.expose(), grounds[0][1].key.expose());
    let u3 = play.members.clone();
    for i in 0..3 {
        let (digest, point) = (Digest([2; 32]), None);
        let masked = RunnerInput::Masked {
            digest,
            len: 9,
            point,
        };
        let effects = play.give(i, masked);
        assert!(matches!(effects[..], [RunnerEffect::Upload { len: 9, .. }]));
        // Another proof under the same keys is none.
        let other = RunnerInput::Masked {
            digest: Digest([3; 32]),
            len: 9,
            point,
        };
        assert!(play.rounds[i].handle(NOW, other).is_err());
        let effects = play.give(i, RunnerInput::AggregationStarted { u3: u3.clone() });
        assert!(effects.is_empty(), "{effects:?}");
        play.give(i, RunnerInput::Ended(RoundEnd::Finished));
        let outcome = play.rounds[i].outcome();
        assert_eq!(outcome, Some(&RunnerOutcome::Contributed));
    }
}

/// Masks cancel over all provers: a list without one of them, whichever list it is, ends the round before anything is built on it.
#[test]
fn provers_take_no_list_that_lacks_one_of_them() {
    let mut play = proving(3);
    let two = play.members[..2].to_vec();
    for i in 0..3 {
        let u1 = play.members.clone();
        play.give(i, RunnerInput::Selected { u1 });
        let u2 = RunnerInput::CalculationStarted { u2: two.clone() };
        play.give(i, u2);
        let (keys, others) = (play.keys.clone(), Acquaintances::default());
        let others = Acquaintances {
            anchored: true,
            ..others
        };
        let effects = play.give(i, RunnerInput::PublicKeys { keys, others });
        assert!(matches!(effects[..], [RunnerEffect::Decline { .. }]));
        assert_eq!(play.failure(i).code, FailureCode::ProtocolViolation);
    }
    let mut play = proving(3);
    grounds(&mut play);
    let (digest, point) = (Digest([2; 32]), None);
    let masked = RunnerInput::Masked {
        digest,
        len: 9,
        point,
    };
    play.give(0, masked);
    play.give(0, RunnerInput::AggregationStarted { u3: two });
    assert!(play.failure(0).reason.contains("u3 is not u2"));
}
