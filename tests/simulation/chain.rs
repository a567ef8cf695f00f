//! Whole nodes on a blockchain under a random schedule of faults: processes, connectors, links to the chain, single calls, wallets.
//!
//! `DELTA_SIM_SEEDS` as for the schedules without a chain. The laws are the same, and one is added: no statement of a member is on
//! record twice. Seeds go through block times of 0, 1, 5 and 12 s.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use delta_node::domain::connector_record::Command;
use delta_node::domain::task::TaskStatus;
use delta_node::ports::PortErrorKind;
use delta_testing::cluster::{Cluster, Recipe, run};
use delta_testing::memory::{ChainOptions, ChainTrouble, Subscriptions, When};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::{CONNECTOR, Dice, PATIENCE, Story};

const BLOCKS: [u64; 4] = [0, 1, 5, 12];
const TROUBLES: [ChainTrouble; 4] = [
    ChainTrouble::LinkDown,
    ChainTrouble::Nonce,
    ChainTrouble::ReceiptUnknown,
    ChainTrouble::EmptyWallet,
];

/// What happens to a world on a chain.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Op {
    Crash(usize),
    Start(usize),
    CutLink(usize, bool),
    MendLink(usize),
    RestartConnector(usize),
    Trouble(usize, &'static str, ChainTrouble),
    Lost(usize, &'static str, When),
    Funded(usize, bool),
    Advance(u64),
}

fn draw(dice: &mut Dice, n: usize) -> Op {
    let node = dice.below(n);
    match dice.below(100) {
        0..8 => Op::Crash(node),
        8..18 => Op::Start(node),
        18..24 => Op::CutLink(node, dice.below(2) == 0),
        24..30 => Op::MendLink(node),
        30..38 => Op::RestartConnector(node),
        38..48 => Op::Trouble(node, dice.pick(&CONNECTOR), dice.pick(&TROUBLES)),
        48..62 => {
            let when = dice.pick(&[When::Before, When::After, When::After]);
            Op::Lost(node, dice.pick(&CONNECTOR), when)
        }
        62..64 => Op::Funded(node, false),
        64..67 => Op::Funded(node, true),
        _ => Op::Advance(dice.pick(&[10, 100, 500, 1_000, 2_000, 5_000, 12_000, 30_000])),
    }
}

async fn apply(world: &mut Cluster, op: Op) {
    let connector = |node: usize| world.hosts[node].connector.clone();
    match op {
        Op::Crash(node) => world.crash(node).await,
        Op::Start(node) => world.start(node).await,
        Op::CutLink(node, ends) => connector(node).cut_link(match ends {
            true => Subscriptions::End,
            false => Subscriptions::FallSilent,
        }),
        Op::MendLink(node) => connector(node).mend_link(),
        Op::RestartConnector(node) => connector(node).restart_connector(),
        Op::Trouble(node, op, trouble) => connector(node).trouble_next(op, trouble),
        Op::Lost(node, op, when) => {
            connector(node).fail_next(op, when, PortErrorKind::Timeout);
        }
        Op::Funded(node, funded) => connector(node).fund(funded),
        Op::Advance(time) => tokio::time::sleep(Duration::from_millis(time)).await,
    }
}

async fn heal(world: &mut Cluster) {
    for index in 0..world.hosts.len() {
        let connector = world.hosts[index].connector.clone();
        connector.faults().clear();
        connector.forget_troubles();
        connector.fund(true);
        connector.mend_link();
        connector.restart_connector();
        world.start(index).await;
    }
}

/// No statement of a member in a round was taken twice.
fn once_each(world: &Cluster) {
    let mut said: BTreeMap<String, u32> = BTreeMap::new();
    for one in world.connector.mined() {
        let what = match &one.command {
            Command::StartRound { at, .. } => format!("start {at:?}"),
            Command::JoinRound { at, address, .. } => format!("join {at:?} {address}"),
            Command::UploadResult { at, address, .. } => format!("result {at:?} {address}"),
            Command::UploadCommitments {
                secret,
                at,
                address,
                ..
            } => format!("commitments {secret:?} {at:?} {address}"),
            Command::UploadShares {
                secret,
                at,
                address,
                ..
            } => format!("shares {secret:?} {at:?} {address}"),
            _ => continue,
        };
        if one.accepted {
            *said.entry(what).or_default() += 1;
        }
    }
    let twice: Vec<_> = said.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{twice:#?}");
}

/// One world from its seed to its rest. The text in `story` is there even when this panics.
async fn live(seed: u64, story: &mut Story) {
    let mut dice = Dice(ChaCha20Rng::seed_from_u64(seed));
    let block = BLOCKS[usize::try_from(seed % 4).unwrap()];
    let recipe = Recipe {
        rounds: 1 + u32::try_from(dice.below(2)).unwrap(),
        min_clients: dice.pick(&[2, 2, 3]),
        retries: 3,
        ..Recipe::default()
    };
    writeln!(story.text, "seed {seed}: blocks of {block} s, {recipe:?}").unwrap();
    let mut world = Cluster::on_chain(3, seed, recipe, ChainOptions::every(block)).await;
    let id = world.submit(0).await;
    for _ in 0..5 + dice.below(20) {
        for _ in 0..dice.below(60) {
            tokio::task::yield_now().await;
        }
        let op = draw(&mut dice, 3);
        writeln!(story.text, "{:9.3} {op:?}", world.seconds()).unwrap();
        apply(&mut world, op).await;
        world.facts.check();
    }
    writeln!(story.text, "{:9.3} healed", world.seconds()).unwrap();
    heal(&mut world).await;
    let row = world.wait_for_end(0, id, PATIENCE).await;
    story.finished = row.status == TaskStatus::Finished;
    assert!(story.finished || row.error.is_some_and(|e| !e.is_empty()));
    tokio::time::sleep(Duration::from_secs(1200)).await;
    world.facts.check();
    let left = world.unfinished_business();
    story.text.push_str(&world.describe());
    assert!(left.is_empty(), "left over: {left:#?}");
    once_each(&world);
    world.stop().await;
}

fn simulate(seed: u64) -> Story {
    let mut story = Story::default();
    let result = catch_unwind(AssertUnwindSafe(|| run(live(seed, &mut story))));
    if let Err(panic) = result {
        eprintln!("SEED {seed} ON A CHAIN FAILS\n{}", story.text);
        resume_unwind(panic);
    }
    story
}

#[test]
fn every_schedule_on_a_chain_ends_well_or_with_a_reason() {
    super::play(simulate);
}

#[test]
fn a_seed_on_a_chain_repeats_exactly() {
    for seed in [1, 6] {
        assert_eq!(simulate(seed), simulate(seed), "seed {seed}");
    }
}
