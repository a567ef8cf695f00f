//! What a queue must do, whatever is asked of it in which order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::connector_record::{NewTaskEntry, RoundRef, SecretKind};
use crate::task::TaskKind;

const NOW: Timestamp = Timestamp(1_000_000);

fn at(round: i32) -> RoundRef {
    RoundRef {
        kind: TaskKind::Horizontal,
        task: "0x1".into(),
        round,
    }
}

fn reveal(round: i32) -> Command {
    Command::UploadShares {
        secret: SecretKind::Seed,
        at: at(round),
        address: "me".into(),
        senders: vec!["you".into()],
        shares: vec!["0x1".into()],
    }
}

fn opening(round: i32) -> Command {
    Command::StartRound {
        at: at(round),
        address: "me".into(),
        weight_commitment: String::new(),
    }
}

fn task() -> Command {
    Command::CreateTask(NewTaskEntry {
        kind: TaskKind::Horizontal,
        address: "me".into(),
        dataset: "a".into(),
        commitment: "0x1".into(),
        task_type: "horizontal".into(),
        enable_verify: false,
        tolerance: 0,
    })
}

fn farewell(task: &str) -> Command {
    Command::FinishTask {
        kind: TaskKind::Horizontal,
        address: "me".into(),
        task: task.into(),
    }
}

fn join() -> Command {
    Command::Join {
        url: "http://me".into(),
        name: "me".into(),
    }
}

fn waits<A: std::fmt::Debug>(asked: Result<Asked<A>, Full>) -> CallId {
    match asked {
        Ok(Asked::Waits(id)) => id,
        other => panic!("{other:?}"),
    }
}

/// Sends and answers everything, in the order that the queue chooses.
fn drain(queue: &mut Queue<()>) -> Vec<Command> {
    let mut order = Vec::new();
    while let Some((id, command)) = queue.send(NOW).map(|(id, c)| (id, c.clone())) {
        order.push(command);
        queue.answered(id, NOW, Some(()));
    }
    order
}

#[test]
fn what_is_needed_most_goes_first_and_else_who_came_first() {
    let mut queue = Queue::<()>::default();
    queue.ask(&join()).unwrap();
    assert_eq!(drain(&mut queue), [join()], "registered from here on");
    let asked = [
        farewell("0x1"),
        join(),
        task(),
        opening(2),
        reveal(1),
        reveal(2),
    ];
    for command in &asked {
        queue.ask(command).unwrap();
    }
    let order = [
        reveal(1),
        reveal(2),
        opening(2),
        task(),
        farewell("0x1"),
        join(),
    ];
    assert_eq!(drain(&mut queue), order);
}

#[test]
fn a_registration_that_lapses_goes_before_everything() {
    let mut queue = Queue::<()>::default();
    queue.ask(&join()).unwrap();
    queue.ask(&opening(1)).unwrap();
    assert_eq!(drain(&mut queue), [join(), opening(1)]);
    queue.ask(&reveal(1)).unwrap();
    queue.ask(&opening(2)).unwrap();
    queue.ask(&join()).unwrap();
    let later = NOW + LAPSING;
    assert_eq!(queue.send(later).unwrap().1, &join());
}

#[test]
fn one_call_is_under_way_whoever_gives_up_on_it() {
    let mut queue = Queue::<u8>::default();
    let id = waits(queue.ask(&reveal(1)));
    assert_eq!(queue.send(NOW).unwrap().0, id);
    assert!(!queue.leave(id), "it is under way");
    waits(queue.ask(&reveal(2)));
    assert!(queue.send(NOW).is_none());
    assert_eq!(waits(queue.ask(&reveal(1))), id, "the same call");
    queue.answered(id, NOW, None);
    assert_eq!(queue.send(NOW).unwrap().1, &reveal(2));
}

#[test]
fn a_call_that_nobody_waits_for_is_not_sent() {
    let mut queue = Queue::<u8>::default();
    let id = waits(queue.ask(&reveal(1)));
    assert_eq!(waits(queue.ask(&reveal(1))), id);
    assert!(!queue.leave(id), "one still waits");
    assert!(queue.leave(id));
    assert!(queue.is_empty() && queue.send(NOW).is_none());
}

#[test]
fn two_tasks_that_are_alike_are_two_and_one_that_was_given_up_is_found_again() {
    let mut queue = Queue::<u8>::default();
    let (first, second) = (waits(queue.ask(&task())), waits(queue.ask(&task())));
    assert_ne!(first, second);
    assert_eq!(queue.send(NOW).unwrap().0, first);
    // Its caller was told that it takes too long, and comes back before the answer, or after it.
    queue.leave(first);
    assert_eq!(waits(queue.ask(&task())), first);
    queue.leave(first);
    queue.answered(first, NOW, Some(7));
    assert_eq!(queue.ask(&task()), Ok(Asked::Answered(7)));
    assert_eq!(queue.send(NOW).unwrap().0, second);
    queue.answered(second, NOW, Some(8));
    assert_ne!(waits(queue.ask(&task())), second, "each has its own");
}

#[test]
fn a_full_queue_says_so_and_still_lets_others_join_what_waits() {
    let mut queue = Queue::<u8>::default();
    for round in 0..i32::try_from(LONGEST).unwrap() {
        queue.ask(&reveal(round)).unwrap();
    }
    assert_eq!(queue.ask(&reveal(-1)), Err(Full));
    waits(queue.ask(&reveal(5)));
    queue.send(NOW).unwrap();
    waits(queue.ask(&reveal(-1)));
}

#[derive(Debug, Clone)]
enum Move {
    Ask(u8),
    Leave(usize),
    Send,
    Answer(bool),
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        4 => (0_u8..12).prop_map(Move::Ask),
        2 => (0_usize..40).prop_map(Move::Leave),
        3 => Just(Move::Send),
        3 => any::<bool>().prop_map(Move::Answer),
    ]
}

fn command(n: u8) -> Command {
    match n {
        0..4 => reveal(n.into()),
        4..6 => opening(n.into()),
        6 => task(),
        7..11 => farewell(&n.to_string()),
        _ => join(),
    }
}

proptest! {
    #[test]
    fn one_at_a_time_never_the_same_twice_and_nobody_is_forgotten(
        moves in prop::collection::vec(any_move(), 0..200),
    ) {
        let mut queue = Queue::<()>::default();
        // Who waits for which call: the model.
        let mut askers = BTreeMap::<CallId, u32>::new();
        let mut sent: Option<CallId> = None;
        let mut once = BTreeSet::new();
        for step in moves {
            match step {
                Move::Ask(n) => if let Asked::Waits(id) = queue.ask(&command(n)).unwrap() {
                    *askers.entry(id).or_default() += 1;
                },
                Move::Leave(n) => {
                    let waiting: Vec<CallId> = askers.iter().filter(|(_, n)| **n > 0).map(|(id, _)| *id).collect();
                    let Some(id) = waiting.get(n % waiting.len().max(1)) else { continue };
                    let left = askers.get_mut(id).unwrap();
                    *left -= 1;
                    let gone = queue.leave(*id);
                    prop_assert_eq!(gone, *left == 0 && sent != Some(*id));
                    if gone { askers.remove(id); }
                }
                Move::Send => {
                    let next = queue.send(NOW).map(|(id, _)| id);
                    match (sent, next) {
                        (Some(_), next) => prop_assert_eq!(next, None),
                        (None, Some(id)) => {
                            prop_assert!(once.insert(id), "sent twice");
                            prop_assert!(askers[&id] > 0);
                            sent = Some(id);
                        }
                        (None, None) => prop_assert!(askers.is_empty()),
                    }
                }
                Move::Answer(taken) => if let Some(id) = sent.take() {
                    queue.answered(id, NOW, taken.then_some(()));
                    askers.remove(&id);
                },
            }
            prop_assert_eq!(queue.len(), askers.len());
        }
        if let Some(id) = sent { queue.answered(id, NOW, Some(())); askers.remove(&id); }
        let left = askers.len();
        prop_assert_eq!(drain(&mut queue).len(), left);
    }

    #[test]
    fn a_call_that_may_wait_still_goes(urgent in 1_usize..4) {
        let mut queue = Queue::<()>::default();
        let idle = waits(queue.ask(&farewell("0x1")));
        let mut round = 0;
        for sent in 0.. {
            // More of what is needed more comes than can be sent.
            for _ in 0..urgent {
                queue.ask(&reveal(round)).unwrap();
                round += 1;
            }
            let id = queue.send(NOW).unwrap().0;
            queue.answered(id, NOW, Some(()));
            if id == idle { break; }
            prop_assert!(sent <= OVERTAKEN, "overtaken for ever");
        }
    }
}
