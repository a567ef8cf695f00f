//! Tasks under noise, and members that are killed at any moment: what left is paid for.
//!
//! Laws, after every operation: a round whose numbers are about to leave a member stands in its owner's journal; if data were read for
//! it, it is charged in the ledger, and what the ledger says is spent is no less than what so many releases cost by the plain formula of
//! the Gaussian. A sum that counts a member was charged at that member. Nobody goes over the budget.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use delta_node::domain::ids::Digest;
use delta_node::domain::policy::audit::{AuditEvent, Head, follow};
use delta_node::domain::policy::{ApprovalMode, Policies, Policy, Privacy, Renewal, Role, Unit};
use delta_node::domain::privacy::rdp::Rdp;
use delta_node::ports::journal::Journal as _;
use delta_node::ports::policy::OwnerRules;
use delta_testing::cluster::{Cluster, NOISE, Recipe, run};
use delta_testing::memory::When;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::{Dice, Op, PATIENCE, apply, heal, seeds};

const DELTA: f64 = 1e-6;
const FAULTS: [&str; 4] = [
    "storage.set_setting",
    "storage.setting",
    "storage.commit",
    "blob.put",
];

/// Epsilon of so many releases, by the Gaussian's formula alone.
fn epsilon(releases: usize) -> f64 {
    let one = Rdp::gaussian(f64::from(NOISE)).unwrap();
    match u32::try_from(releases).unwrap() {
        0 => 0.0,
        n => one.repeated(n).epsilon(DELTA),
    }
}

fn rules(budget: f64) -> OwnerRules {
    let policy = Policy {
        columns: Some([("a".to_owned(), Role::Value)].into()),
        approval: ApprovalMode::Private,
        privacy: Some(Privacy {
            unit: Unit::Record,
            epsilon: budget,
            delta: DELTA,
            renew: Renewal::Never,
        }),
        ..Policy::default()
    };
    let digest = Digest::of(format!("{policy:?}").as_bytes());
    let datasets = BTreeMap::from([("any.csv".parse().unwrap(), policy)]);
    OwnerRules {
        policies: Arc::new(Policies::new(datasets)),
        digest,
        ..OwnerRules::default()
    }
}

/// What a member's journal says has left: rounds, and whether data were read for them.
async fn journalled(world: &Cluster, index: usize) -> BTreeMap<(String, u64), bool> {
    let host = &world.hosts[index];
    let (mut head, mut rounds) = (Head::EMPTY, BTreeMap::new());
    for line in host.journal.read(0, usize::MAX).await.unwrap() {
        let (entry, next) = follow(head, &line, host.node_key.public()).unwrap();
        head = next;
        if let AuditEvent::Released {
            task,
            round,
            outputs,
            ..
        } = entry.event
        {
            let read = rounds.entry((task.to_string(), round)).or_default();
            *read |= outputs > 0;
        }
    }
    rounds
}

async fn check(world: &Cluster, budget: f64) {
    world.facts.check();
    let counted = world.facts.sums();
    for index in 0..world.hosts.len() {
        let journal = journalled(world, index).await;
        let ledger = world.ledger(index);
        let charged: BTreeSet<String> = ledger
            .iter()
            .flat_map(|l| l.charged().map(|c| c.purpose.clone()))
            .collect();
        let left = world.facts.rounds_left(index);
        for at in &left {
            assert!(
                journal.contains_key(at),
                "node {index}: {at:?} left and is not in its journal"
            );
        }
        let mut paid = 0;
        for ((task, round), _) in journal.iter().filter(|(_, read)| **read) {
            let purpose = format!("task {task} round {round}");
            assert!(
                charged.contains(&purpose),
                "node {index}: {purpose} is not charged"
            );
            paid += 1;
        }
        let sums = counted.iter().filter(|who| who.contains(&index));
        let sums = sums.count();
        assert!(
            sums <= paid,
            "node {index} is in {sums} sums and paid {paid}"
        );
        let spent = ledger.map_or(0.0, |l| l.spent().colluding.unwrap_or(f64::INFINITY));
        assert!(spent >= epsilon(paid), "node {index}: {spent} for {paid}");
        assert!(spent <= budget, "node {index}: {spent} of {budget}");
    }
}

async fn live(seed: u64, story: &mut String) -> usize {
    let mut dice = Dice(ChaCha20Rng::seed_from_u64(seed));
    let n = 3 + dice.below(2);
    let recipe = Recipe {
        rounds: 1 + u32::try_from(dice.below(3)).unwrap(),
        min_clients: 3,
        retries: 3,
        connection_timeout: 20.0,
        wait_timeout: 20.0,
        noise: true,
        ..Recipe::default()
    };
    // For all rounds and some that fail, or for fewer than all.
    let affords = dice.pick(&[1, 2, 3, 8, 8, 8]);
    let budget = epsilon(affords) * 1.001;
    writeln!(
        story,
        "seed {seed}: {n} nodes, {recipe:?}, {affords} rounds"
    )
    .unwrap();
    let mut world = Cluster::new(n, seed, recipe).await;
    for index in 0..n {
        world.hosts[index].policies.set(rules(budget));
        world.hosts[index].agreeable = false;
        world.node(index).agree_to_everything(false);
    }
    let id = world.submit(0).await;
    for _ in 0..8 + dice.below(16) {
        for _ in 0..dice.below(60) {
            tokio::task::yield_now().await;
        }
        if dice.below(2) == 0 {
            let time = Duration::from_millis(dice.pick(&[1, 50, 100]));
            tokio::time::sleep(time).await;
        }
        let node = dice.below(n);
        let when = dice.pick(&[When::Before, When::After]);
        let op = match dice.below(4) {
            0 => Op::Crash(node),
            1 => Op::Restart(node),
            2 => Op::StorageFails(node, dice.pick(&FAULTS), when),
            _ => dice.op(n),
        };
        writeln!(story, "{:9.3} {op:?}", world.seconds()).unwrap();
        apply(&mut world, &op).await;
        check(&world, budget).await;
    }
    writeln!(story, "{:9.3} healed", world.seconds()).unwrap();
    heal(&mut world).await;
    let row = world.wait_for_end(0, id, PATIENCE).await;
    writeln!(story, "{:?} {:?}", row.status, row.error).unwrap();
    tokio::time::sleep(Duration::from_secs(600)).await;
    check(&world, budget).await;
    story.push_str(&world.describe());
    world.stop().await;
    world.facts.reduces().len()
}

#[test]
fn what_left_is_paid_for_whenever_a_member_is_killed() {
    let (mut sums, mut failing) = (0, Vec::new());
    for seed in seeds() {
        let mut story = String::new();
        match catch_unwind(AssertUnwindSafe(|| run(live(seed, &mut story)))) {
            Ok(reduces) => sums += u64::try_from(reduces).unwrap(),
            Err(panic) => {
                eprintln!("SEED {seed} FAILS\n{story}");
                failing.push(seed);
                if failing.len() > 3 {
                    resume_unwind(panic);
                }
            }
        }
    }
    let worlds = seeds().end - seeds().start;
    eprintln!("{sums} sums in {worlds} worlds");
    assert!(failing.is_empty(), "failing seeds: {failing:?}");
    // A simulation in which nothing is released tests nothing.
    assert!(sums > worlds / 2, "{sums}");
}
