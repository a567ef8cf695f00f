//! The rules of the record that neither the recorded transcripts nor the port's contract suite reach.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::*;
use crate::task::TaskKind;

mod limits;

struct Keeper {
    record: Record,
    rng: ChaCha20Rng,
    log: Vec<Change>,
}

const NOW: u64 = 1_700_000_000;

impl Keeper {
    fn new() -> Self {
        Self {
            record: Record::default(),
            rng: ChaCha20Rng::from_seed([7; 32]),
            log: Vec::new(),
        }
    }

    fn run(&mut self, command: &Command) -> Result<(Answer, Option<RecordEvent>), Rejection> {
        self.run_at(NOW, command)
    }

    fn run_at(
        &mut self,
        now: u64,
        command: &Command,
    ) -> Result<(Answer, Option<RecordEvent>), Rejection> {
        let decision = self.record.decide(now, &mut self.rng, command)?;
        for change in decision.changes {
            self.log.push(change.clone());
            self.record.apply(change).unwrap();
        }
        Ok((decision.answer, decision.event))
    }

    fn join(&mut self, url: &str, name: &str) -> String {
        match self
            .run(&Command::Join {
                url: url.into(),
                name: name.into(),
            })
            .unwrap()
            .0
        {
            Answer::Joined(address) => address,
            other => panic!("{other:?}"),
        }
    }

    fn task(&mut self, owner: &str) -> String {
        let entry = NewTaskEntry {
            kind: TaskKind::Hlr,
            address: owner.into(),
            dataset: "mnist".into(),
            commitment: String::new(),
            task_type: "hlr".into(),
            enable_verify: true,
            tolerance: 6,
        };
        match self.run(&Command::CreateTask(entry)).unwrap().0 {
            Answer::Created(id) => id,
            other => panic!("{other:?}"),
        }
    }

    /// A finished `hlr` task whose final round ended with all `members`.
    fn finished(&mut self, owner: &str, members: &[String], weights: &str) -> String {
        let task = self.task(owner);
        let at = at(&task, 1);
        let address = owner.to_owned();
        self.run(&Command::StartRound {
            at: at.clone(),
            address: address.clone(),
            weight_commitment: weights.into(),
        })
        .unwrap();
        for member in members {
            let command = Command::JoinRound {
                at: at.clone(),
                address: member.clone(),
                pk1: "1".into(),
                pk2: "2".into(),
            };
            self.run(&command).unwrap();
        }
        for step in [Step::Select, Step::Calculate, Step::Aggregate] {
            let clients = members.to_vec();
            self.run(&Command::Advance {
                step,
                at: at.clone(),
                address: address.clone(),
                clients,
            })
            .unwrap();
        }
        self.run(&Command::EndRound {
            at,
            address: address.clone(),
        })
        .unwrap();
        self.run(&Command::FinishTask {
            kind: TaskKind::Hlr,
            address,
            task: task.clone(),
        })
        .unwrap();
        task
    }
}

fn at(task: &str, round: i32) -> RoundRef {
    RoundRef {
        kind: TaskKind::Hlr,
        task: task.into(),
        round,
    }
}

fn text(declined: Rejection) -> String {
    let Rejection::ByRule(_, text) = declined else {
        panic!("{declined:?}")
    };
    text
}

#[test]
fn an_address_follows_its_first_row_only() {
    let mut k = Keeper::new();
    let first = k.join("http://a", "n");
    k.run(&Command::UpdateUrl {
        address: first.clone(),
        url: "http://moved".into(),
    })
    .unwrap();
    assert_eq!(
        k.join("http://a", "n"),
        first,
        "a second row with the same address"
    );
    k.run(&Command::Leave {
        address: first.clone(),
    })
    .unwrap();
    let declined = k
        .run(&Command::Node {
            address: first.clone(),
        })
        .unwrap_err();
    assert_eq!(
        text(declined),
        format!("node of address {first} is not alive"),
        "although the second row lives"
    );
    assert_eq!(k.join("http://moved", ""), first);
    k.run(&Command::Node { address: first }).unwrap();
}

#[test]
fn urls_and_names_are_hashed_without_a_separator() {
    let mut k = Keeper::new();
    assert_eq!(k.join("http://h/ab", "c"), k.join("http://h/a", "bc"));
    assert_eq!(k.join("", ""), "0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4");
}

#[test]
fn the_lower_row_answers_for_a_url_that_two_nodes_have() {
    let mut k = Keeper::new();
    let (a, b) = (k.join("http://a", "n"), k.join("http://b", "n"));
    k.run(&Command::UpdateUrl {
        address: b,
        url: "http://a".into(),
    })
    .unwrap();
    assert_eq!(k.join("http://a", ""), a);
    k.run(&Command::UpdateUrl {
        address: a,
        url: "http://c".into(),
    })
    .unwrap();
    assert_ne!(k.join("http://a", ""), k.join("http://c", ""));
}

#[test]
fn a_nul_is_refused_everywhere() {
    let mut k = Keeper::new();
    let command = Command::PublicKeys {
        at: at("0x", 1),
        clients: vec!["a".into(), "b\0".into()],
    };
    assert_eq!(
        text(k.run(&command).unwrap_err()),
        "a string of the request holds U+0000"
    );
}

#[test]
fn a_refusal_leaves_nothing_behind() {
    let mut k = Keeper::new();
    let a = k.join("http://a", "n");
    let before = k.log.len();
    let _refused = k
        .run(&Command::FinishTask {
            kind: TaskKind::Hlr,
            address: a.clone(),
            task: "0x".into(),
        })
        .unwrap_err();
    let _refused = k
        .run(&Command::StartRound {
            at: at("0x", 1),
            address: a,
            weight_commitment: String::new(),
        })
        .unwrap_err();
    assert_eq!(k.log.len(), before);
}

#[test]
fn replaying_the_changes_gives_the_same_record() {
    let mut k = Keeper::new();
    let members = [k.join("http://a", "n"), k.join("http://b", "n")];
    let task = k.finished(&members[0], &members, "0x");
    let mut again = Record::default();
    for change in k.log.clone() {
        again.apply(change).unwrap();
    }
    let ask = Command::Round { at: at(&task, 1) };
    assert_eq!(
        again.decide(NOW, &mut k.rng, &ask),
        k.record.decide(NOW, &mut k.rng, &ask)
    );
}

#[test]
fn a_dropped_body_is_asked_for_and_restored() {
    let mut k = Keeper::new();
    let members = [k.join("http://a", "n")];
    let task = k.finished(&members[0], &members, "0x");
    let ask = Command::Round { at: at(&task, 1) };
    let before = k.run(&ask).unwrap();
    assert!(k.record.body_bytes(0) > 0);
    k.record.drop_body(0);
    assert_eq!(k.run(&ask).unwrap_err(), Rejection::NeedsBody(0));
    let member = |c: &&Change| matches!(c, Change::Member { .. });
    let mut stored: Vec<Change> = k.log.iter().filter(member).cloned().collect();
    let Some(Change::Member { status, .. }) = stored.first_mut() else {
        panic!("no member")
    };
    *status = Status::Aggregating;
    k.record.restore_body(0, stored).unwrap();
    assert_eq!(k.run(&ask).unwrap(), before);
}

#[test]
fn damaged_changes_are_refused_without_a_panic() {
    let mut record = Record::default();
    let bad = [
        Change::NodeGone { id: 5 },
        Change::TaskGone { index: 3 },
        Change::TaskFinished { index: 0 },
        Change::Round {
            id: 0,
            task: 9,
            number: 1,
            weight_commitment: String::new(),
            at: 0,
        },
        Change::RoundStatus {
            id: 0,
            status: Status::Running,
            members: vec![4],
        },
        Change::Result {
            round: 0,
            member: 0,
            commitment: String::new(),
        },
    ];
    for change in bad {
        assert!(record.apply(change.clone()).is_err(), "{change:?}");
    }
}

fn entry() -> NewTaskEntry {
    NewTaskEntry {
        kind: TaskKind::Horizontal,
        address: String::new(),
        dataset: String::new(),
        commitment: String::new(),
        task_type: String::new(),
        enable_verify: false,
        tolerance: 0,
    }
}

mod verification {
    use super::*;

    const WEIGHTS: &str = "0x00000000000000000000000000000000000000000000000000000000000000ff";

    fn proof(task: &str, member: &str, verdict: Option<bool>) -> ProofEntry {
        ProofEntry {
            address: member.into(),
            task: task.into(),
            weight_size: 3,
            proof: "{}".into(),
            pub_signals: ["5", "8", "255", "16"].map(String::from).to_vec(),
            block_index: 0,
            samples: 10,
            verdict,
        }
    }

    fn world() -> (Keeper, [String; 2], String) {
        let mut k = Keeper::new();
        let members = [k.join("http://a", "n"), k.join("http://b", "n")];
        for member in &members {
            let commitment = format!("0x{:0>64}", "10");
            let (address, name) = (member.clone(), "mnist".to_owned());
            k.run(&Command::RegisterData {
                address,
                name,
                index: 0,
                commitment,
            })
            .unwrap();
        }
        let task = k.finished(&members[0], &members, WEIGHTS);
        (k, members, task)
    }

    fn state(k: &mut Keeper, task: &str) -> (Vec<String>, Vec<String>, bool) {
        match k
            .run(&Command::VerifierState { task: task.into() })
            .unwrap()
            .0
        {
            Answer::Verifier {
                unfinished,
                invalid,
                valid,
            } => (unfinished, invalid, valid),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn all_members_prove_and_the_owner_confirms_once() {
        let (mut k, [a, b], task) = world();
        let confirm = |k: &mut Keeper, who: &str| {
            k.run(&Command::Confirm {
                address: who.into(),
                task: task.clone(),
            })
        };
        assert_eq!(
            text(confirm(&mut k, &a).unwrap_err()),
            format!("task {task} verification is not finished")
        );
        for member in [&a, &b] {
            let (answer, event) = k
                .run(&Command::Verify(proof(&task, member, Some(true))))
                .unwrap();
            assert_eq!(answer, Answer::Verified(true));
            let verified = RecordEvent::MemberVerified {
                task: task.clone(),
                address: member.clone(),
                verified: true,
            };
            assert_eq!(event, Some(verified));
        }
        let again = k
            .run(&Command::Verify(proof(&task, &a, Some(true))))
            .unwrap_err();
        assert_eq!(text(again), format!("{a} has already verified"));
        assert_eq!(state(&mut k, &task), (Vec::new(), Vec::new(), true));
        assert_eq!(
            text(confirm(&mut k, &b).unwrap_err()),
            format!("task {task} doesn't exist")
        );
        assert_eq!(
            confirm(&mut k, &a).unwrap().1,
            Some(RecordEvent::VerificationConfirmed { task: task.clone() })
        );
        let twice = format!("task {task} verification has already been confirmed");
        assert_eq!(text(confirm(&mut k, &a).unwrap_err()), twice);
    }

    #[test]
    fn a_failed_proof_is_listed_and_final() {
        let (mut k, [a, b], task) = world();
        assert_eq!(
            k.run(&Command::Verify(proof(&task, &a, Some(false))))
                .unwrap()
                .0,
            Answer::Verified(false)
        );
        assert_eq!(state(&mut k, &task), (vec![b.clone()], vec![a], false));
        let late = k
            .run(&Command::Verify(proof(&task, &b, Some(true))))
            .unwrap_err();
        assert_eq!(
            text(late),
            format!("task {task} verfication is already failed")
        );
    }

    #[test]
    fn a_valid_proof_of_other_weights_or_data_is_invalid() {
        for wrong in [2, 3] {
            let (mut k, [a, _], task) = world();
            let mut entry = proof(&task, &a, Some(true));
            entry.pub_signals[wrong] = "7".into();
            assert_eq!(
                k.run(&Command::Verify(entry)).unwrap().0,
                Answer::Verified(false)
            );
        }
    }

    #[test]
    fn nothing_is_recorded_before_all_checks_are_over() {
        let (mut k, [a, _], task) = world();
        let mut unregistered = proof(&task, &a, Some(true));
        unregistered.block_index = 4;
        assert_eq!(
            text(k.run(&Command::Verify(unregistered)).unwrap_err()),
            format!("{a} doesn't have dataset mnist")
        );
        let mut imprecise = proof(&task, &a, Some(true));
        imprecise.pub_signals[1] = "5".into();
        let too_low = format!("{task} gradient precision is lower than tolerance");
        assert_eq!(
            text(k.run(&Command::Verify(imprecise)).unwrap_err()),
            too_low
        );
        let mut short = proof(&task, &a, Some(true));
        short.pub_signals.clear();
        assert_eq!(
            text(k.run(&Command::Verify(short)).unwrap_err()),
            format!("{task} gradient precision is not consistent")
        );
        assert!(matches!(
            k.run(&Command::Verify(proof(&task, &a, None))),
            Err(Rejection::Unsupported(_))
        ));
        assert_eq!(
            k.run(&Command::Verify(proof(&task, &a, Some(true))))
                .unwrap()
                .0,
            Answer::Verified(true)
        );
    }
}

#[test]
fn an_address_of_a_key_is_kept_apart_from_its_url() {
    let mut world = Keeper::new();
    let key = format!("0xde17a1d0{}", "11".repeat(16));
    let join_as = |url: &str| Command::JoinAs {
        address: key.clone(),
        url: url.into(),
        name: "a".into(),
    };
    let joined = (Answer::Joined(key.clone()), None);
    assert_eq!(world.run(&join_as("http://a")), Ok(joined.clone()));
    // Whoever does not sign gets a row of his own for the same url, and does not keep the key's alive.
    let stranger = world.join("http://a", "a");
    assert_ne!(stranger, key);
    assert_eq!(world.join("http://a", "other"), stranger);
    let node = |world: &mut Keeper| match world.run(&Command::Node {
        address: key.clone(),
    }) {
        Ok((Answer::Node(node), _)) => node.url,
        other => panic!("{other:?}"),
    };
    assert_eq!(node(&mut world), "http://a");
    // The key moves: one row, no second one.
    assert_eq!(world.run(&join_as("http://b")), Ok(joined));
    assert_eq!(node(&mut world), "http://b");
    assert_eq!(world.join("http://b", "x"), world.join("http://b", "y"));
    match world.run(&Command::Nodes {
        page: 1,
        page_size: 0,
    }) {
        Ok((Answer::Nodes(nodes, total), _)) => assert_eq!((nodes.len(), total), (3, 3)),
        other => panic!("{other:?}"),
    }
}
