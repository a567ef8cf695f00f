//! Members' requests, and what becomes of rounds whose members join, refuse, ask, and are away.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::ids::{Digest, RoundNumber};
use crate::round::coordinator::{
    CoordinatorContext, CoordinatorInput, CoordinatorOutcome, Publication,
};
use crate::round::message::Announcement;
use crate::round::{FailureCode, Members, Pacing};
use crate::secret::Secret;
use crate::strategy::Strategy;
use crate::task::TaskKind;

fn address(digits: &str) -> Address {
    format!("0x{}", digits.repeat(20)).parse().unwrap()
}

const NOW: Timestamp = Timestamp(1_000_000);

/// A round of two or three that is being put on record.
fn starting(patience: Duration) -> CoordinatorRound {
    let task: crate::ids::TaskId = format!("0x{}", "ab".repeat(32)).parse().unwrap();
    let context = CoordinatorContext {
        me: address("01"),
        kind: TaskKind::Horizontal,
        announcement: Announcement {
            task,
            round: RoundNumber(1),
            step: 0,
            variables: BTreeMap::new(),
        },
        bundle: Digest([3; 32]),
        strategy: Strategy {
            max_clients: 3,
            ..Strategy::default()
        },
        floor: 2,
        bound: false,
        previous: Vec::new(),
        silent: Vec::new(),
        came: Vec::new(),
        asked: Vec::new(),
        patience,
    };
    CoordinatorRound::start(NOW, context, Secret::new([7; 32])).0
}

/// One that is on record.
fn joining(patience: Duration) -> CoordinatorRound {
    let mut round = starting(patience);
    round.handle(NOW, CoordinatorInput::Started).unwrap();
    round
}

fn decline(sender: &str, reason: DeclineCode) -> CoordinatorInput {
    CoordinatorInput::Request(SignedRequest {
        task: format!("0x{}", "ab".repeat(32)).parse().unwrap(),
        round: RoundNumber(1),
        sender: address(sender),
        view: Digest([0; 32]),
        body: RequestBody::Decline { reason },
        signature: Vec::new(),
    })
}

fn joins(joined: &[&str], known: &[&str]) -> CoordinatorInput {
    CoordinatorInput::Joins {
        joined: joined.iter().map(|a| address(a)).collect(),
        known: known.iter().map(|a| address(a)).collect(),
        tables: BTreeMap::new(),
    }
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_decline_before_the_round_is_surely_on_record_is_asked_for_again_and_then_counts() {
    let proven = CoordinatorInput::Refused {
        member: address("03"),
        reason: DeclineCode::NotAllowed,
    };
    for said in [decline("03", DeclineCode::Busy), proven] {
        let early = |e| matches!(e, Err(Rejection::WrongPhase { late: false, .. }));
        let mut round = starting(Duration::ZERO);
        assert!(early(round.handle(NOW, said.clone())));
        round.handle(NOW, CoordinatorInput::Started).unwrap();
        round.handle(NOW, said.clone()).unwrap();
        let effects = round
            .handle(NOW, joins(&["01", "02"], &["01", "02", "03"]))
            .unwrap();
        assert!(matches!(
            effects[..],
            [CoordinatorEffect::SelectCandidates { .. }]
        ));
        assert!(early(round.handle(NOW, said)), "it is being put on record");
    }
}

#[test]
fn deadlines_allow_for_blocks_once_and_for_none_where_there_are_none() {
    const SECOND: Duration = Duration::from_secs(1);
    let paced = |block| CoordinatorInput::Paced(Pacing { block, waiting: 0 });
    let mut round = joining(Duration::ZERO);
    let before = round.phase_deadline();
    round.handle(NOW, paced(Duration::ZERO)).unwrap();
    assert_eq!(round.phase_deadline(), before);
    round.handle(NOW, paced(SECOND * 5)).unwrap();
    assert_eq!(round.phase_deadline(), before + SECOND * 35);
    // Shorter, and the same again, are no news.
    for block in [SECOND * 5, SECOND] {
        round.handle(NOW, paced(block)).unwrap();
    }
    // Nor does a look at who has joined forget it.
    let one = joins(&["01"], &["01", "02", "03"]);
    round.handle(NOW, one).unwrap();
    assert_eq!(round.phase_deadline(), before + SECOND * 35);
    let both = joins(&["01", "02"], &["01", "02"]);
    round.handle(NOW, both).unwrap();
    let published = CoordinatorInput::Published(Publication::Selection);
    let whole = round.context().strategy.wait_timeout() + SECOND * 35;
    assert_eq!(round.phase_deadline(), NOW + whole);
    round.handle(NOW, published).unwrap();
}

#[test]
fn who_was_lost_before_a_restart_is_waited_for_after_it() {
    let mut round = joining(Duration::ZERO);
    let members = vec![address("03")];
    round
        .handle(NOW, CoordinatorInput::Lost { members })
        .unwrap();
    round.handle(NOW, CoordinatorInput::TakenUp).unwrap();
    let both = joins(&["01", "02"], &["01", "02", "03"]);
    assert!(round.handle(NOW, both).unwrap().is_empty());
}

/// A round of three that has been without the third of them for a minute and a half, which is more than joining may take.
fn one_is_away() -> (CoordinatorRound, Timestamp) {
    let mut round = joining(HOUR);
    round.context.floor = 3;
    round.context.came = vec![address("03")];
    let members = vec![address("03")];
    round
        .handle(NOW, CoordinatorInput::Lost { members })
        .unwrap();
    let later = NOW + Duration::from_secs(90);
    for at in [NOW, later] {
        let two = joins(&["01", "02"], &["01", "02", "03"]);
        assert!(round.handle(at, two).unwrap().is_empty());
        round.handle(at, CoordinatorInput::Tick).unwrap();
    }
    assert_eq!(round.waiting_for(), Members::from([address("03")]));
    (round, later)
}

#[test]
fn who_was_waited_for_and_is_back_has_the_time_to_join() {
    let back = |round: &mut CoordinatorRound, at| {
        let members = Vec::new();
        round.handle(at, CoordinatorInput::Lost { members })
    };
    let restarted = |round: &mut CoordinatorRound, at| round.handle(at, CoordinatorInput::TakenUp);
    type Happens<'a> =
        &'a dyn Fn(&mut CoordinatorRound, Timestamp) -> Result<Vec<CoordinatorEffect>, Rejection>;
    for what in [&back as Happens<'_>, &restarted] {
        let (mut round, at) = one_is_away();
        assert!(what(&mut round, at).unwrap().is_empty());
        let two = joins(&["01", "02"], &["01", "02", "03"]);
        assert!(round.handle(at, two).unwrap().is_empty());
        assert!(!round.is_over());
        let mut joined = round.clone();
        let all = joins(&["01", "02", "03"], &["01", "02", "03"]);
        let soon = at + Duration::from_secs(30);
        let effects = joined.handle(soon, all).unwrap();
        assert!(matches!(
            effects[..],
            [CoordinatorEffect::SelectCandidates { .. }]
        ));
        let late = at + Duration::from_secs(61);
        round.handle(late, CoordinatorInput::Tick).unwrap();
        assert!(round.is_over(), "who is there and does not join is not");
    }
}

#[test]
fn who_stays_away_ends_the_task_when_patience_does() {
    let (mut round, _) = one_is_away();
    round.handle(NOW + HOUR, CoordinatorInput::Tick).unwrap();
    let Some(CoordinatorOutcome::Failed(failure)) = round.outcome() else {
        panic!("it goes on: {}", round.phase_name());
    };
    assert_eq!(failure.code, FailureCode::StayedAway);
    assert!(failure.reason.contains(address("03").as_str()), "{failure}");
}

#[test]
fn an_owner_who_is_asked_is_waited_for_while_the_round_is_too_small_without_him() {
    let mut round = joining(HOUR);
    round
        .handle(NOW, joins(&["01"], &["01", "02", "03"]))
        .unwrap();
    round
        .handle(NOW, decline("02", DeclineCode::AsksOwner))
        .unwrap();
    assert_eq!(round.phase_deadline(), NOW + HOUR);
    assert_eq!(round.asking(), Members::from([address("02")]));
    assert_eq!(round.waiting_for(), Members::from([address("03")]));
    let later = NOW + Duration::from_secs(1800);
    round.handle(later, CoordinatorInput::Tick).unwrap();
    assert!(!round.is_over());
    let effects = round
        .handle(later, joins(&["01", "02"], &["01", "02", "03"]))
        .unwrap();
    assert!(matches!(
        effects[..],
        [CoordinatorEffect::SelectCandidates { .. }]
    ));
}

#[test]
fn an_owner_who_is_asked_for_the_first_time_has_until_the_deadline() {
    let mut round = joining(HOUR);
    round
        .handle(NOW, decline("03", DeclineCode::AsksOwner))
        .unwrap();
    let both = || joins(&["01", "02"], &["01", "02", "03"]);
    assert!(round.handle(NOW, both()).unwrap().is_empty());
    let deadline = NOW + Duration::from_secs(60);
    assert_eq!(round.phase_deadline(), deadline);
    let effects = round.handle(deadline, CoordinatorInput::Tick).unwrap();
    assert!(matches!(
        effects[..],
        [CoordinatorEffect::SelectCandidates { .. }]
    ));
    // In later rounds nobody waits for this owner's word.
    let mut round = joining(HOUR);
    round.context.asked = vec![address("03")];
    round
        .handle(NOW, decline("03", DeclineCode::AsksOwner))
        .unwrap();
    assert_eq!(round.handle(NOW, both()).unwrap().len(), 1);
}

#[test]
fn when_the_owner_says_no_the_usual_deadline_holds_again() {
    let mut round = joining(HOUR);
    round.handle(NOW, joins(&["01"], &["01", "02"])).unwrap();
    round
        .handle(NOW, decline("02", DeclineCode::AsksOwner))
        .unwrap();
    let later = NOW + Duration::from_secs(1800);
    round
        .handle(later, decline("02", DeclineCode::NotAllowed))
        .unwrap();
    assert!(round.is_over());
}

#[test]
fn patience_ends() {
    let mut round = joining(HOUR);
    round.handle(NOW, joins(&["01"], &["01", "02"])).unwrap();
    round
        .handle(NOW, decline("02", DeclineCode::AsksOwner))
        .unwrap();
    round.handle(NOW + HOUR, CoordinatorInput::Tick).unwrap();
    let Some(crate::round::coordinator::CoordinatorOutcome::Failed(failure)) = round.outcome()
    else {
        panic!("the round goes on");
    };
    assert!(failure.reason.contains("asks its owner"), "{failure:?}");
}
