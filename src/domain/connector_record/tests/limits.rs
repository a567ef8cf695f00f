//! Every limit of the record, filled; and what is dead or old, leaving.

use super::super::limits::{
    COMMITMENT_BYTES, DATA_BLOCKS, DATASETS_BYTES, DEAD_SECONDS, FINISHED_SECONDS, FINISHED_TASKS,
    ID_BYTES, IDLE_SECONDS, KEY_BYTES, LIST_ENTRIES, LIVING_NODES, NAME_BYTES, NODES, OPEN_TASKS,
    PAGE_NODES, PROOF_BYTES, ROUND_MEMBERS, TASK_ROUNDS, URL_BYTES,
};
use super::*;

fn long(bytes: usize) -> String {
    "x".repeat(bytes)
}

fn join(url: impl Into<String>) -> Command {
    Command::Join {
        url: url.into(),
        name: "n".into(),
    }
}

fn create(owner: &str) -> Command {
    Command::CreateTask(NewTaskEntry {
        address: owner.into(),
        ..entry()
    })
}

fn finish(owner: &str, task: &str) -> Command {
    Command::FinishTask {
        kind: TaskKind::Horizontal,
        address: owner.into(),
        task: task.into(),
    }
}

fn created(answer: (Answer, Option<RecordEvent>)) -> String {
    match answer.0 {
        Answer::Created(task) => task,
        other => panic!("{other:?}"),
    }
}

/// A call with a text of a length; with the bytes that it may have.
type Shaped = (usize, Box<dyn Fn(String) -> Command>);

fn texts() -> Vec<Shaped> {
    fn shaped(bytes: usize, make: impl Fn(String) -> Command + 'static) -> Shaped {
        (bytes, Box::new(make))
    }
    let place = || at("t", 1);
    vec![
        shaped(URL_BYTES, join),
        shaped(NAME_BYTES, |name| Command::Join {
            url: "u".into(),
            name,
        }),
        shaped(URL_BYTES, |url| Command::UpdateUrl {
            address: "a".into(),
            url,
        }),
        shaped(NAME_BYTES, |name| Command::UpdateName {
            address: "a".into(),
            name,
        }),
        shaped(ID_BYTES, |address| Command::UpdateUrl {
            address,
            url: "u".into(),
        }),
        shaped(ID_BYTES, |address| Command::UpdateName {
            address,
            name: "n".into(),
        }),
        shaped(ID_BYTES, |address| Command::Leave { address }),
        shaped(ID_BYTES, |address| Command::Node { address }),
        shaped(NAME_BYTES, |name| Command::RegisterData {
            address: "a".into(),
            name,
            index: 0,
            commitment: "c".into(),
        }),
        shaped(COMMITMENT_BYTES, |commitment| Command::RegisterData {
            address: "a".into(),
            name: "n".into(),
            index: 0,
            commitment,
        }),
        shaped(NAME_BYTES, |name| Command::DataCommitment {
            address: "a".into(),
            name,
            index: 0,
        }),
        shaped(DATASETS_BYTES, |dataset| {
            Command::CreateTask(NewTaskEntry { dataset, ..entry() })
        }),
        shaped(COMMITMENT_BYTES, |commitment| {
            Command::CreateTask(NewTaskEntry {
                commitment,
                ..entry()
            })
        }),
        shaped(COMMITMENT_BYTES, |task_type| {
            Command::CreateTask(NewTaskEntry {
                task_type,
                ..entry()
            })
        }),
        shaped(ID_BYTES, |address| {
            Command::CreateTask(NewTaskEntry { address, ..entry() })
        }),
        shaped(ID_BYTES, |task| finish("a", &task)),
        shaped(ID_BYTES, |task| Command::Task {
            kind: TaskKind::Hlr,
            task,
        }),
        shaped(ID_BYTES, |task| Command::WeightCommitment {
            task,
            round: 1,
        }),
        shaped(ID_BYTES, |task| Command::VerifierState { task }),
        shaped(ID_BYTES, |task| Command::Confirm {
            address: "a".into(),
            task,
        }),
        shaped(COMMITMENT_BYTES, move |weight_commitment| {
            Command::StartRound {
                at: place(),
                address: "a".into(),
                weight_commitment,
            }
        }),
        shaped(KEY_BYTES, move |pk1| Command::JoinRound {
            at: place(),
            address: "a".into(),
            pk1,
            pk2: "k".into(),
        }),
        shaped(KEY_BYTES, move |pk2| Command::JoinRound {
            at: place(),
            address: "a".into(),
            pk1: "k".into(),
            pk2,
        }),
        shaped(ID_BYTES, |task| Command::Round { at: at(&task, 1) }),
        shaped(ID_BYTES, |task| Command::EndRound {
            at: at(&task, 1),
            address: "a".into(),
        }),
        shaped(ID_BYTES, move |client| Command::Advance {
            step: Step::Select,
            at: place(),
            address: "a".into(),
            clients: vec![client],
        }),
        shaped(ID_BYTES, move |client| Command::PublicKeys {
            at: place(),
            clients: vec![client],
        }),
        shaped(ID_BYTES, move |sender| Command::ShareRecords {
            at: place(),
            senders: vec![sender],
            receiver: "a".into(),
        }),
        shaped(COMMITMENT_BYTES, move |commitment| Command::UploadResult {
            at: place(),
            address: "a".into(),
            commitment,
        }),
        shaped(ID_BYTES, move |client| Command::ResultCommitment {
            at: place(),
            client,
        }),
        shaped(COMMITMENT_BYTES, move |c| Command::UploadCommitments {
            secret: SecretKind::Seed,
            at: place(),
            address: "a".into(),
            receivers: vec!["r".into()],
            commitments: vec![c],
        }),
        shaped(KEY_BYTES, move |share| Command::UploadShares {
            secret: SecretKind::Seed,
            at: place(),
            address: "a".into(),
            senders: vec!["s".into()],
            shares: vec![share],
        }),
        shaped(PROOF_BYTES, |proof| {
            Command::Verify(ProofEntry {
                address: "a".into(),
                task: "t".into(),
                weight_size: 1,
                proof,
                pub_signals: Vec::new(),
                block_index: 0,
                samples: 1,
                verdict: None,
            })
        }),
    ]
}

#[test]
fn every_text_has_a_bound_that_honest_ones_keep() {
    let mut k = Keeper::new();
    for (number, (bytes, make)) in texts().into_iter().enumerate() {
        let refused = text(k.run(&make(long(bytes + 1))).unwrap_err());
        assert!(
            refused.contains(&format!("takes {bytes}")),
            "{number}: {refused}"
        );
        // Whatever else is wrong with it: it is not its length.
        if let Err(Rejection::ByRule(_, other)) = k.run(&make(long(bytes))) {
            assert!(!other.contains("the connector takes"), "{number}: {other}");
        }
    }
}

#[test]
fn every_list_has_a_bound() {
    let many = vec![String::from("m"); LIST_ENTRIES + 1];
    let address = String::from("a");
    let lists = [
        Command::Advance {
            step: Step::Select,
            at: at("t", 1),
            address: address.clone(),
            clients: many.clone(),
        },
        Command::PublicKeys {
            at: at("t", 1),
            clients: many.clone(),
        },
        Command::ShareRecords {
            at: at("t", 1),
            senders: many.clone(),
            receiver: address.clone(),
        },
        Command::UploadCommitments {
            secret: SecretKind::Seed,
            at: at("t", 1),
            address: address.clone(),
            receivers: many.clone(),
            commitments: Vec::new(),
        },
        Command::UploadShares {
            secret: SecretKind::Seed,
            at: at("t", 1),
            address,
            senders: Vec::new(),
            shares: many,
        },
    ];
    for command in lists {
        let refused = text(Keeper::new().run(&command).unwrap_err());
        assert!(refused.contains("10001 entries"), "{refused}");
    }
}

#[test]
fn an_address_has_a_bounded_number_of_unfinished_tasks_and_others_are_not_concerned() {
    let mut k = Keeper::new();
    let (flood, honest) = (k.join("http://flood", "n"), k.join("http://honest", "n"));
    for _ in 0..OPEN_TASKS {
        k.run(&create(&flood)).unwrap();
    }
    let refused = text(k.run(&create(&flood)).unwrap_err());
    assert!(refused.contains("1000 unfinished tasks"), "{refused}");
    let task = created(k.run(&create(&honest)).unwrap());
    k.run(&finish(&honest, &task)).unwrap();
}

#[test]
fn of_an_addresss_finished_tasks_the_oldest_make_room() {
    let mut k = Keeper::new();
    let owner = k.join("http://a", "n");
    let mut tasks = Vec::new();
    for _ in 0..FINISHED_TASKS + 3 {
        let task = created(k.run(&create(&owner)).unwrap());
        k.run(&finish(&owner, &task)).unwrap();
        tasks.push(task);
    }
    assert_eq!(k.record.task_count(), FINISHED_TASKS);
    let known = |k: &mut Keeper, task: &str| {
        let task = task.to_owned();
        k.run(&Command::Task {
            kind: TaskKind::Horizontal,
            task,
        })
        .is_ok()
    };
    assert!(tasks[..3].iter().all(|task| !known(&mut k, task)));
    assert!(tasks[3..].iter().all(|task| known(&mut k, task)));
}

#[test]
fn an_addresss_data_blocks_are_bounded_and_may_be_registered_anew() {
    let mut k = Keeper::new();
    let owner = k.join("http://a", "n");
    let block = |index| Command::RegisterData {
        address: owner.clone(),
        name: "mnist".into(),
        index,
        commitment: "c".into(),
    };
    for index in 0..i32::try_from(DATA_BLOCKS).unwrap() {
        k.run(&block(index)).unwrap();
    }
    assert!(text(k.run(&block(-1)).unwrap_err()).contains("data blocks"));
    k.run(&block(7)).unwrap();
}

fn listed(k: &mut Keeper, page: i32, page_size: i32) -> (usize, i32) {
    match k.run(&Command::Nodes { page, page_size }).unwrap().0 {
        Answer::Nodes(nodes, total) => (nodes.len(), total),
        other => panic!("no nodes: {other:?}"),
    }
}

#[test]
fn living_nodes_are_bounded_those_on_record_go_on_and_a_page_is_too() {
    let mut k = Keeper::new();
    for number in 0..LIVING_NODES {
        k.join(&format!("http://{number}"), "n");
    }
    assert!(text(k.run(&join("http://new")).unwrap_err()).contains("10000 nodes"));
    k.run(&join("http://7")).unwrap();
    for (page, expected) in [
        (1, PAGE_NODES),
        (2, PAGE_NODES),
        (3, LIVING_NODES - 2 * PAGE_NODES),
    ] {
        let size = i32::try_from(PAGE_NODES).unwrap();
        for page_size in [size, i32::MAX] {
            assert_eq!(listed(&mut k, page, page_size), (expected, 10_000));
        }
        assert_eq!(listed(&mut k, page, 0), (PAGE_NODES, 10_000));
    }
}

#[test]
fn ghosts_that_come_and_die_do_not_pile_up() {
    let mut k = Keeper::new();
    let honest = k.join("http://honest", "n");
    for wave in 0..3u64 {
        let now = NOW + wave * (LIFE_SECONDS + 1);
        k.run_at(now, &join("http://honest")).unwrap();
        for number in 0..LIVING_NODES - 1 {
            k.run_at(now, &join(format!("http://{wave}-{number}")))
                .unwrap();
        }
    }
    assert!(
        k.record.nodes.len() <= NODES + 1,
        "{}",
        k.record.nodes.len()
    );
    let now = NOW + 2 * (LIFE_SECONDS + 1);
    assert!(k.run_at(now, &Command::Node { address: honest }).is_ok());
}

#[test]
fn the_long_dead_leave_with_their_data_and_come_back_under_the_same_address() {
    let mut k = Keeper::new();
    let dead = k.join("http://dead", "n");
    let register = Command::RegisterData {
        address: dead.clone(),
        name: "d".into(),
        index: 0,
        commitment: "c".into(),
    };
    k.run(&register).unwrap();
    let then = NOW + LIFE_SECONDS + DEAD_SECONDS;
    k.run_at(then - 1, &join("http://other")).unwrap();
    assert_eq!(k.record.nodes.len(), 2, "a week is not over");
    k.run_at(then, &join("http://other")).unwrap();
    assert_eq!((k.record.nodes.len(), k.record.data_blocks(&dead)), (1, 0));
    let Answer::Joined(again) = k.run_at(then, &join("http://dead")).unwrap().0 else {
        panic!("not joined")
    };
    assert_eq!(again, dead);
    // Whoever comes back at that very moment keeps his row.
    k.run_at(then * 2, &join("http://dead")).unwrap();
    assert!(k.record.node_by_url("http://dead").is_some());
}

#[test]
fn old_tasks_leave_with_their_rounds_and_those_in_use_stay() {
    let mut k = Keeper::new();
    let owner = k.join("http://a", "n");
    let done = created(k.run(&create(&owner)).unwrap());
    let idle = created(k.run(&create(&owner)).unwrap());
    let busy = created(k.run(&create(&owner)).unwrap());
    k.run(&finish(&owner, &done)).unwrap();
    let round = |task: &str, number| Command::StartRound {
        at: RoundRef {
            kind: TaskKind::Horizontal,
            task: task.to_owned(),
            round: number,
        },
        address: owner.clone(),
        weight_commitment: String::new(),
    };
    k.run(&round(&idle, 1)).unwrap();
    k.run_at(NOW + FINISHED_SECONDS, &join("http://a")).unwrap();
    let has = |k: &Keeper, task: &str| k.record.find_task(TaskKind::Horizontal, task).is_some();
    assert_eq!(
        [&done, &idle, &busy].map(|t| has(&k, t)),
        [false, true, true]
    );
    let later = NOW + IDLE_SECONDS - 1;
    k.run_at(later, &join("http://a")).unwrap();
    k.run_at(later, &round(&busy, 1)).unwrap();
    k.run_at(later + 1, &join("http://a")).unwrap();
    assert_eq!([&idle, &busy].map(|t| has(&k, t)), [false, true]);
    assert_eq!(
        k.record.next_round(),
        2,
        "the round of the idle one is gone, the other's is the last"
    );
}

#[test]
fn a_task_has_a_bounded_number_of_rounds_and_a_round_of_members() {
    let mut k = Keeper::new();
    let owner = k.join("http://a", "n");
    let task = created(k.run(&create(&owner)).unwrap());
    let place = |round| RoundRef {
        kind: TaskKind::Horizontal,
        task: task.clone(),
        round,
    };
    let start = |round| Command::StartRound {
        at: place(round),
        address: owner.clone(),
        weight_commitment: String::new(),
    };
    for round in 0..i32::try_from(TASK_ROUNDS).unwrap() {
        k.run(&start(round)).unwrap();
    }
    assert!(text(k.run(&start(-1)).unwrap_err()).contains("20000 rounds"));
    for number in 0..LIVING_NODES - 1 {
        let address = k.join(&format!("http://{number}"), "n");
        let (pk1, pk2) = ("1".into(), "2".into());
        k.run(&Command::JoinRound {
            at: place(0),
            address,
            pk1,
            pk2,
        })
        .unwrap();
    }
    let (pk1, pk2) = (String::from("1"), String::from("2"));
    let own = |address: &str| Command::JoinRound {
        at: place(0),
        address: address.to_owned(),
        pk1: pk1.clone(),
        pk2: pk2.clone(),
    };
    k.run(&own(&owner)).unwrap();
    assert_eq!(ROUND_MEMBERS, LIVING_NODES);
    // One that joins after another has died.
    let later = NOW + 1;
    let late = k.run_at(later + LIFE_SECONDS, &join("http://late")).ok();
    let Some((Answer::Joined(late), _)) = late else {
        panic!("no room")
    };
    let refused = k.run_at(later + LIFE_SECONDS, &own(&late)).unwrap_err();
    assert!(text(refused).contains("10000 members"));
}
