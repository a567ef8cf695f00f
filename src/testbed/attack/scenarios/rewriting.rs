//! A connector in the middle that changes one field after the other of what it passes on: for one reader, and for all but the one concerned.
//!
//! These run on a connector like the original's, which knows no signatures: there it keeps nothing but its own word between the nodes and the
//! record. The nodes pin each other's keys.

use crate::testbed::attack::case::{Attack, Outcome, attacks};
use crate::testbed::attack::scenarios::connectors::{SOMEBODY, under_lies};
use crate::testbed::attack::target::Targets;
use delta_domain::connector_record::{Answer, Command, RecordEvent};
use delta_domain::identity::{CLAIM_INDEX, DATA_NAME, NodeKey, claim};
use delta_domain::secret::Secret;

pub(in crate::testbed::attack) const ATTACKS: &[Attack] = attacks! { "connector", true;
    "rewrite-pk1", "a member's pk1" => pk1;
    "rewrite-pk2", "a member's pk2" => pk2;
    "rewrite-url", "the url of a node" => url;
    "rewrite-address", "the address of a node, and of a task's owner" => address;
    "rewrite-u1", "a member of u1 exchanged for a stranger" => u1;
    "rewrite-u2", "a member of u2 exchanged for a stranger" => u2;
    "rewrite-u3", "a member of u3 exchanged for a stranger" => u3;
    "rewrite-share-commitments", "the commitments to a member's shares" => share_commitments;
    "rewrite-shares", "the shares that are revealed" => shares;
    "rewrite-result-commitment", "the commitment to a member's masked result" => result_commitment;
    "rewrite-task-commitment", "the commitment to a task's bundle" => task_commitment;
    "rewrite-identity", "a node's claim to its address: a good one, of another key" => identity;
    "hide-identity", "a node's claim to its address, hidden" => hidden_identity;
    "rewrite-round", "the number of a round" => round;
};

/// Of what is shown, what is changed.
struct Scene {
    /// Whom the lie is about.
    victim: String,
    /// What stands in its place.
    stranger: String,
}

/// Changes an answer and an event in place.
struct Rewrite {
    answer: fn(&Scene, &Command, &mut Answer),
    event: fn(&Scene, &mut RecordEvent),
}

impl Rewrite {
    const NOTHING: Self = Self {
        answer: |_, _, _| {},
        event: |_, _| {},
    };
}

const NOWHERE: &str = "http://127.0.0.1:9";
const DIGEST: &str = "0x0707070707070707070707070707070707070707070707070707070707070707";

/// A task under the lie: shown to one other node, and to all but the one that it is about. Right numbers or none.
async fn under(field: &Targets, rewrite: &'static Rewrite) -> anyhow::Result<Outcome> {
    const VICTIM: usize = 2;
    let everybody = 0..field.targets.len();
    let all_but_it: Vec<usize> = everybody.filter(|reader| *reader != VICTIM).collect();
    let mut stories = Vec::new();
    let mut safe = true;
    for (readers, whom) in [(vec![1], "one"), (all_but_it, "all but itself")] {
        for reader in readers {
            let rogue = field.rogue(reader)?;
            let scene = |field: &Targets| Scene {
                victim: field.targets[VICTIM].address.as_str().to_owned(),
                stranger: format!("0x{}", "77".repeat(20)),
            };
            let shown = scene(field);
            rogue.answers(move |command, mut answer| {
                (rewrite.answer)(&shown, command, &mut answer);
                answer
            });
            let shown = scene(field);
            rogue.events(move |mut event| {
                (rewrite.event)(&shown, &mut event);
                vec![event]
            });
        }
        let after = under_lies(field, 1).await?;
        field.calm();
        safe &= !after.wrong;
        stories.push(format!("shown to {whom}: {}", after.story));
    }
    Ok(Outcome::new(safe, stories.join("; ")))
}

fn in_list(scene: &Scene, list: &mut [String]) {
    for member in list.iter_mut().filter(|m| **m == scene.victim) {
        scene.stranger.clone_into(member);
    }
}

fn of_keys(scene: &Scene, command: &Command, answer: &mut Answer, first: bool) {
    if let (Command::PublicKeys { clients, .. }, Answer::Keys(keys)) = (command, answer) {
        let theirs = clients.iter().zip(keys);
        for (_, key) in theirs.filter(|(client, _)| **client == scene.victim) {
            let place = if first { &mut key.0 } else { &mut key.1 };
            SOMEBODY.clone_into(place);
        }
    }
}

async fn pk1(field: &Targets) -> anyhow::Result<Outcome> {
    const LIE: &Rewrite = &Rewrite {
        answer: |scene, command, answer| of_keys(scene, command, answer, true),
        ..Rewrite::NOTHING
    };
    under(field, LIE).await
}

async fn pk2(field: &Targets) -> anyhow::Result<Outcome> {
    const LIE: &Rewrite = &Rewrite {
        answer: |scene, command, answer| of_keys(scene, command, answer, false),
        ..Rewrite::NOTHING
    };
    under(field, LIE).await
}

async fn url(field: &Targets) -> anyhow::Result<Outcome> {
    const LIE: &Rewrite = &Rewrite {
        answer: |_, _, answer| match answer {
            Answer::Node(node) => NOWHERE.clone_into(&mut node.url),
            Answer::Nodes(nodes, _) => {
                nodes
                    .iter_mut()
                    .for_each(|n| NOWHERE.clone_into(&mut n.url));
            }
            Answer::Task(task) => NOWHERE.clone_into(&mut task.url),
            _ => {}
        },
        event: |_, event| {
            if let RecordEvent::TaskCreated { url, .. } = event {
                NOWHERE.clone_into(url);
            }
        },
    };
    under(field, LIE).await
}

async fn address(field: &Targets) -> anyhow::Result<Outcome> {
    const LIE: &Rewrite = &Rewrite {
        answer: |scene, _, answer| match answer {
            Answer::Nodes(nodes, _) => {
                for node in nodes.iter_mut().filter(|n| n.address == scene.victim) {
                    scene.stranger.clone_into(&mut node.address);
                }
            }
            Answer::Task(task) => scene.victim.clone_into(&mut task.address),
            _ => {}
        },
        event: |scene, event| {
            if let RecordEvent::TaskCreated { address, .. } = event {
                scene.victim.clone_into(address);
            }
        },
    };
    under(field, LIE).await
}

async fn u1(field: &Targets) -> anyhow::Result<Outcome> {
    const LIE: &Rewrite = &Rewrite {
        answer: |scene, _, answer| {
            if let Answer::Round(round) = answer {
                in_list(scene, &mut round.joined);
            }
        },
        event: |scene, event| {
            if let RecordEvent::PartnerSelected { addrs, .. } = event {
                in_list(scene, addrs);
            }
        },
    };
    under(field, LIE).await
}

async fn u2(field: &Targets) -> anyhow::Result<Outcome> {
    const LIE: &Rewrite = &Rewrite {
        event: |scene, event| {
            if let RecordEvent::CalculationStarted { addrs, .. } = event {
                in_list(scene, addrs);
            }
        },
        ..Rewrite::NOTHING
    };
    under(field, LIE).await
}

async fn u3(field: &Targets) -> anyhow::Result<Outcome> {
    const LIE: &Rewrite = &Rewrite {
        answer: |scene, _, answer| {
            if let Answer::Round(round) = answer {
                in_list(scene, &mut round.finished);
            }
        },
        event: |scene, event| {
            if let RecordEvent::AggregationStarted { addrs, .. } = event {
                in_list(scene, addrs);
            }
        },
    };
    under(field, LIE).await
}

async fn share_commitments(field: &Targets) -> anyhow::Result<Outcome> {
    const LIE: &Rewrite = &Rewrite {
        answer: |_, _, answer| {
            if let Answer::Shares(shares) = answer {
                for share in shares {
                    share.seed_commitment = Some(DIGEST.into());
                    share.secret_key_commitment = Some(DIGEST.into());
                }
            }
        },
        ..Rewrite::NOTHING
    };
    under(field, LIE).await
}

async fn shares(field: &Targets) -> anyhow::Result<Outcome> {
    const LIE: &Rewrite = &Rewrite {
        answer: |_, _, answer| {
            if let Answer::Shares(shares) = answer {
                for share in shares {
                    let revealed = [&mut share.seed, &mut share.secret_key];
                    for text in revealed.into_iter().flatten() {
                        "0x010105".clone_into(text);
                    }
                }
            }
        },
        ..Rewrite::NOTHING
    };
    under(field, LIE).await
}

async fn result_commitment(field: &Targets) -> anyhow::Result<Outcome> {
    const LIE: &Rewrite = &Rewrite {
        answer: |_, command, answer| {
            if let (Command::ResultCommitment { .. }, Answer::Commitment(text)) = (command, answer)
            {
                DIGEST.clone_into(text);
            }
        },
        ..Rewrite::NOTHING
    };
    under(field, LIE).await
}

async fn task_commitment(field: &Targets) -> anyhow::Result<Outcome> {
    const LIE: &Rewrite = &Rewrite {
        answer: |_, _, answer| {
            if let Answer::Task(task) = answer {
                DIGEST.clone_into(&mut task.commitment);
            }
        },
        event: |_, event| {
            if let RecordEvent::TaskCreated { commitment, .. } = event {
                DIGEST.clone_into(commitment);
            }
        },
    };
    under(field, LIE).await
}

/// Whether the command asks for the victim's claim.
fn asks_for_claim(scene: &Scene, command: &Command) -> bool {
    matches!(command, Command::DataCommitment { address, name, index }
        if *address == scene.victim && name == DATA_NAME && *index == CLAIM_INDEX)
}

async fn identity(field: &Targets) -> anyhow::Result<Outcome> {
    const LIE: &Rewrite = &Rewrite {
        answer: |scene, command, answer| {
            if asks_for_claim(scene, command)
                && let Answer::Commitment(text) = answer
                && let Ok(key) = NodeKey::new(&Secret::new([7; 32]))
                && let Ok(victim) = scene.victim.parse()
            {
                *text = claim(&key, &victim);
            }
        },
        ..Rewrite::NOTHING
    };
    under(field, LIE).await
}

async fn hidden_identity(field: &Targets) -> anyhow::Result<Outcome> {
    const LIE: &Rewrite = &Rewrite {
        answer: |scene, command, answer| {
            if asks_for_claim(scene, command)
                && let Answer::Commitment(text) = answer
            {
                DIGEST.clone_into(text);
            }
        },
        ..Rewrite::NOTHING
    };
    under(field, LIE).await
}

async fn round(field: &Targets) -> anyhow::Result<Outcome> {
    const LIE: &Rewrite = &Rewrite {
        event: |_, event| match event {
            RecordEvent::RoundStarted { round, .. } | RecordEvent::RoundEnded { round, .. } => {
                *round = round.saturating_add(1);
            }
            _ => {}
        },
        ..Rewrite::NOTHING
    };
    under(field, LIE).await
}
