//! Attacks by the connector, which may tell each node something else.

use std::sync::{Arc, Mutex, PoisonError};

use crate::testbed::attack::case::{Attack, Outcome, attacks};
use crate::testbed::attack::rogue_coordinator::RogueCoordinator;
use crate::testbed::attack::target::{Targets, until};
use crate::testbed::attack::{bundles, told};
use delta_domain::connector_record::{Answer, Command, RecordEvent};
use delta_domain::ids::{Digest, RoundNumber};
use delta_domain::task::TaskKind;
use delta_ports::connector::RoundKey;

pub(in crate::testbed::attack) const ATTACKS: &[Attack] = attacks! { "connector", true;
    "key-replaced-for-one", "another public key of one member, shown to one other" => key_replaced;
    "own-key-replaced", "a member's own key replaced on its record" => own_key;
    "u1-differs-for-one", "a u1 without one member, shown to one other" => u1_differs;
    "u3-differs-for-one", "a u3 without one member, shown to one other" => u3_differs;
    "u2-grown-for-one", "a u2 with a stranger, shown to one member" => u2_grown;
    "share-commitment-replaced", "another commitment to a share, shown to its receiver" => commitment;
    "task-commitment-replaced", "another commitment to the bundle, shown to one node" => task_commitment;
    "bundle-differs-for-one", "another task for one member than for the others, by its coordinator and its connector" => other_bundle_for_one;
    "events-repeated", "every event three times" => repeated;
    "events-reordered", "every two events exchanged" => reordered;
    "events-omitted", "no event of a running round to one node" => omitted;
    "round-restarted", "a round announced again after it is over" => restarted;
};

/// How a task went under a lying connector.
pub(in crate::testbed::attack) struct Aftermath {
    /// It ended with a sum that is wrong.
    pub(in crate::testbed::attack) wrong: bool,
    /// It ended right, or not at all because somebody noticed.
    fair: bool,
    /// Somebody declined.
    noticed: bool,
    pub(in crate::testbed::attack) story: String,
}

/// Runs a task under a lying connector. Two of three members are enough, so the task must end right, one way or another.
pub(in crate::testbed::attack) async fn under_lies(
    field: &Targets,
    rounds: u32,
) -> anyhow::Result<Aftermath> {
    let members = u32::try_from(field.targets.len())?;
    let bundle = bundles::task(|m| {
        m.strategy.min_clients = 2;
        m.strategy.max_clients = members;
        m.strategy.wait_timeout = 3.0;
        m.strategy.retries = 1;
        m.rounds[0].repeat = rounds;
    })?;
    let (id, task) = field
        .submit_heard(&field.coordinator().address, &bundle)
        .await?;
    for round in 1..=rounds + 1 {
        field.touch(&RoundKey {
            kind: TaskKind::Horizontal,
            task: task.clone(),
            round: RoundNumber(round),
        });
    }
    let ended = field.numbers(id).await;
    let log = field.task_log(id).await?;
    let mut declines = told::declines(&log);
    declines.dedup();
    let noticed = !declines.is_empty();
    let right = vec![bundles::expected(rounds); bundles::VALUES];
    let wrong = matches!(&ended, Ok(numbers) if *numbers != right);
    let (fair, end) = match ended {
        Ok(numbers) if numbers == right => (true, "ended right".to_owned()),
        Ok(numbers) => (false, format!("ended wrong: {numbers:?}")),
        // No sum is a fair answer to a lie; a wrong one is not.
        Err(e) => (noticed, format!("{e:#}")),
    };
    let before: String = declines.iter().map(|text| format!("{text}; ")).collect();
    Ok(Aftermath {
        wrong,
        fair,
        noticed,
        story: format!("{before}the task {end}"),
    })
}

async fn judged(field: &Targets, rounds: u32) -> anyhow::Result<Outcome> {
    let Aftermath { fair, story, .. } = under_lies(field, rounds).await?;
    Ok(Outcome::new(fair, story))
}

/// A task under lies that somebody must have noticed.
pub(in crate::testbed::attack) async fn noticed(field: &Targets) -> anyhow::Result<Outcome> {
    let Aftermath {
        fair,
        noticed,
        story,
        ..
    } = under_lies(field, 1).await?;
    Ok(Outcome::new(fair && noticed, story))
}

/// The generator of secp256k1: a good point that belongs to nobody here.
pub(in crate::testbed::attack) const SOMEBODY: &str =
    "0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

fn replace_key(field: &Targets, shown_to: usize, whose: usize) -> anyhow::Result<()> {
    let victim = field.targets[whose].address.as_str().to_owned();
    field.rogue(shown_to)?.answers(move |command, mut answer| {
        if let (Command::PublicKeys { clients, .. }, Answer::Keys(keys)) = (command, &mut answer) {
            for (client, key) in clients.iter().zip(keys) {
                if *client == victim {
                    key.0 = SOMEBODY.into();
                }
            }
        }
        answer
    });
    Ok(())
}

async fn key_replaced(field: &Targets) -> anyhow::Result<Outcome> {
    replace_key(field, 1, 2)?;
    noticed(field).await
}

async fn own_key(field: &Targets) -> anyhow::Result<Outcome> {
    replace_key(field, 1, 1)?;
    noticed(field).await
}

/// Changes the list of one kind of event for one node.
pub(super) fn change_list(
    field: &Targets,
    shown_to: usize,
    kind: &'static str,
    change: impl Fn(&mut Vec<String>) + Send + Sync + 'static,
) -> anyhow::Result<()> {
    field.rogue(shown_to)?.events(move |mut event| {
        match (&mut event, kind) {
            (RecordEvent::PartnerSelected { addrs, .. }, "u1")
            | (RecordEvent::CalculationStarted { addrs, .. }, "u2")
            | (RecordEvent::AggregationStarted { addrs, .. }, "u3") => change(addrs),
            _ => {}
        }
        vec![event]
    });
    Ok(())
}

pub(super) fn without(
    field: &Targets,
    node: usize,
) -> impl Fn(&mut Vec<String>) + Send + Sync + 'static {
    let gone = field.targets[node].address.as_str().to_owned();
    move |list| list.retain(|a| *a != gone)
}

async fn u1_differs(field: &Targets) -> anyhow::Result<Outcome> {
    change_list(field, 1, "u1", without(field, 2))?;
    judged(field, 1).await
}

async fn u3_differs(field: &Targets) -> anyhow::Result<Outcome> {
    change_list(field, 1, "u3", without(field, 2))?;
    judged(field, 1).await
}

async fn u2_grown(field: &Targets) -> anyhow::Result<Outcome> {
    let stranger = format!("0x{}", "5a".repeat(20));
    change_list(field, 1, "u2", move |list| list.push(stranger.clone()))?;
    noticed(field).await
}

async fn commitment(field: &Targets) -> anyhow::Result<Outcome> {
    field.rogue(1)?.answers(|_, mut answer| {
        if let Answer::Shares(shares) = &mut answer
            && let Some(share) = shares.first_mut()
            && share.seed_commitment.is_some()
        {
            share.seed_commitment = Some(format!("0x{}", "77".repeat(32)));
        }
        answer
    });
    noticed(field).await
}

async fn task_commitment(field: &Targets) -> anyhow::Result<Outcome> {
    field.rogue(1)?.events(|mut event| {
        if let RecordEvent::TaskCreated { commitment, .. } = &mut event {
            *commitment = format!("0x{}", "77".repeat(32));
        }
        vec![event]
    });
    noticed(field).await
}

/// The victim hears of the task last, with another commitment on its record, and by then the coordinator serves the bundle to match.
///
/// Its numbers would be ten thousand times as large as the others': the sum would be its vector, and only what the seals are bound to can tell.
async fn other_bundle_for_one(field: &Targets) -> anyhow::Result<Outcome> {
    const VICTIM: usize = 1;
    let theirs = bundles::task(|_| {})?;
    let other = bundles::task(|m| m.strategy.precision += 4)?;
    let commitment = Digest::of(&other).to_string();
    let rogue = field.rogue(VICTIM)?;
    rogue.events(|event| match event {
        RecordEvent::TaskCreated { .. } => Vec::new(),
        event => vec![event],
    });
    rogue.answers(move |_, mut answer| {
        if let Answer::Task(task) = &mut answer {
            commitment.clone_into(&mut task.commitment);
        }
        answer
    });
    let coordinator = RogueCoordinator::create(field, theirs, None).await?;
    let others = field.targets.len() - 1;
    until("the others to fetch the bundle", || async {
        (coordinator.papers().bundles_fetched >= others).then_some(())
    })
    .await?;
    coordinator.papers().bundle = other;
    coordinator.noticed_by_all().await
}

async fn repeated(field: &Targets) -> anyhow::Result<Outcome> {
    for node in 0..field.targets.len() {
        field
            .rogue(node)?
            .events(|event| vec![event.clone(), event.clone(), event]);
    }
    judged(field, 2).await
}

async fn reordered(field: &Targets) -> anyhow::Result<Outcome> {
    for node in 0..field.targets.len() {
        let held: Arc<Mutex<Option<RecordEvent>>> = Arc::default();
        field.rogue(node)?.events(move |event| {
            let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
            // What creates a task comes first, or there is nothing to hear about it.
            if matches!(event, RecordEvent::TaskCreated { .. }) {
                return vec![event];
            }
            match held.take() {
                Some(before) => vec![event, before],
                None => {
                    *held = Some(event);
                    Vec::new()
                }
            }
        });
    }
    judged(field, 1).await
}

async fn omitted(field: &Targets) -> anyhow::Result<Outcome> {
    field.rogue(1)?.events(|event| match event {
        event @ (RecordEvent::TaskCreated { .. } | RecordEvent::RoundStarted { .. }) => vec![event],
        _ => Vec::new(),
    });
    judged(field, 1).await
}

async fn restarted(field: &Targets) -> anyhow::Result<Outcome> {
    for node in 0..field.targets.len() {
        field.rogue(node)?.events(|event| match &event {
            RecordEvent::RoundEnded { task, round } => vec![
                event.clone(),
                RecordEvent::RoundStarted {
                    task: task.clone(),
                    round: *round,
                },
            ],
            _ => vec![event],
        });
    }
    judged(field, 2).await
}
