//! The laws of a round (docs/protocol/secagg.md, Laws of the two state machines) over every dropout pattern and many schedules.
//!
//! Each step of each machine is checked where it happens, in `delta_testing::round::node`; here are the patterns and the ends.
//! A failing run prints its seed: put it into [`replay_one`] to see it alone.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failed step is a failed test"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use delta_node::domain::round::coordinator::{CoordinatorInput, CoordinatorOutcome};
use delta_node::domain::round::runner::RunnerOutcome;
use delta_node::domain::round::{FailureCode, Members, Neighbourhood};
use delta_node::domain::secagg::keys::Curve;
use delta_node::domain::secagg::mask::MaskGenerator;
use delta_node::domain::secagg::word::Ring;
use delta_node::domain::strategy::RingWidth;
use delta_testing::round::{Faults, Setup, World, address};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// When a member vanishes for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Vanishes {
    BeforeJoining,
    AfterJoining,
    AfterSharing,
    AfterUploading,
    Never,
}

use Vanishes::{AfterJoining, AfterSharing, AfterUploading, BeforeJoining, Never};

const ALL: [Vanishes; 5] = [
    BeforeJoining,
    AfterJoining,
    AfterSharing,
    AfterUploading,
    Never,
];

fn world(setup: Setup, pattern: &[Vanishes]) -> World {
    // Every law is checked at every step in the small worlds and in the rough ones.
    let n = setup.n;
    let mut world = World::new(setup);
    if n > 3 {
        world = world.briefly();
    }
    for (i, vanishes) in pattern.iter().enumerate() {
        let last = match vanishes {
            BeforeJoining => {
                world.kill(&address(i));
                continue;
            }
            AfterJoining => "join",
            AfterSharing => "post_shares",
            AfterUploading => "upload",
            Never => continue,
        };
        world.last_effect.insert(address(i), last);
    }
    world
}

/// Members who lived to see the end of the phase after which `since` would have vanished.
fn who(pattern: &[Vanishes], since: Vanishes) -> Members {
    (0..pattern.len())
        .filter(|i| pattern[*i] >= since)
        .map(address)
        .collect()
}

/// Runs a pattern without other faults and compares the end with what docs/protocol/secagg.md promises.
fn check(setup: &Setup, pattern: &[Vanishes]) {
    let mut w = world(setup.clone(), pattern);
    w.run();
    let story = || format!("{pattern:?}\n{}", w.story());
    let (u1, u2, u3, u5) = (
        who(pattern, AfterJoining),
        who(pattern, AfterSharing),
        who(pattern, AfterUploading),
        who(pattern, Never),
    );
    let floor = setup.floor.max(setup.strategy.min_clients as usize);
    let graph = (u1.len() >= floor).then(|| w.graph());
    // Every secret of `owners` can be rebuilt by those of its holders who are in `here`.
    let enough = |owners: &Members, here: &Members| {
        let graph = graph.as_ref().unwrap();
        owners.iter().all(|a| {
            let needed = Neighbourhood::of(&setup.strategy, u1.len()).threshold;
            graph.holders(a).intersection(here).count() >= needed
        })
    };
    let failed = if u1.len() < floor {
        Some((FailureCode::TooFewMembers, BTreeSet::new()))
    } else if u2.len() < floor {
        Some((FailureCode::TooFewMembers, &u1 - &u2))
    } else if !enough(&u2, &u2) {
        Some((FailureCode::TooFewShares, &u1 - &u2))
    } else if u3.len() < floor {
        Some((FailureCode::TooFewMembers, &u2 - &u3))
    } else if !enough(&u2, &u3) {
        Some((FailureCode::TooFewShares, &u2 - &u3))
    } else if !enough(&u2, &u5) {
        Some((FailureCode::TooFewShares, &u3 - &u5))
    } else {
        None
    };
    match failed {
        None => {
            let expected = CoordinatorOutcome::Aggregated {
                u3: u3.clone(),
                dropped: &u1 - &u3,
            };
            assert_eq!(*w.outcome(), expected, "{}", story());
            assert!(w.sum.is_some());
            for i in (0..setup.n).filter(|i| pattern[*i] == Never) {
                assert_eq!(
                    w.runner(i).machine.outcome(),
                    Some(&RunnerOutcome::Contributed),
                    "{}",
                    story()
                );
            }
        }
        Some((code, silent)) => {
            assert!(w.sum.is_none(), "{}", story());
            let failure = w.failure();
            assert_eq!(failure.code, code, "{failure}\n{}", story());
            for member in &silent {
                assert!(
                    failure.reason.contains(member.as_str()),
                    "{member} is not named: {failure}\n{}",
                    story()
                );
            }
            if u1.len() >= floor && !enough(&u2, &u3) {
                assert_eq!(w.revealed(), (0, 0), "a lost round reveals nothing");
            }
        }
    }
}

/// Every number below `base^digits`, as digits.
fn counted(base: usize, digits: usize) -> impl Iterator<Item = Vec<usize>> {
    (0..base.pow(u32::try_from(digits).unwrap())).map(move |mut k| {
        (0..digits)
            .map(|_| {
                let digit = k % base;
                k /= base;
                digit
            })
            .collect()
    })
}

#[test]
fn masks_cancel_when_any_subset_vanishes_after_any_phase() {
    for n in 2..=5 {
        for phase in [BeforeJoining, AfterJoining, AfterSharing, AfterUploading] {
            for subset in counted(2, n) {
                let pattern: Vec<Vanishes> = subset
                    .iter()
                    .map(|gone| if *gone == 1 { phase } else { Never })
                    .collect();
                check(&Setup::new(n, 7), &pattern);
            }
        }
    }
}

#[test]
fn masks_cancel_when_three_members_vanish_whenever_they_like() {
    for digits in counted(ALL.len(), 3) {
        let pattern: Vec<Vanishes> = digits.iter().map(|d| ALL[*d]).collect();
        check(&Setup::new(3, 11), &pattern);
    }
}

/// Late phases more often than early ones, so that most rounds get somewhere.
fn random_pattern(rng: &mut ChaCha20Rng, n: usize) -> Vec<Vanishes> {
    let fate = rng.next_u32() % 50;
    (0..n)
        .map(|_| {
            if rng.next_u32() % 100 >= fate {
                Never
            } else {
                ALL[(rng.next_u32() % 5) as usize]
            }
        })
        .collect()
}

fn random_setup(rng: &mut ChaCha20Rng, seed: u64) -> Setup {
    let n = 2 + (rng.next_u32() % 11) as usize;
    let mut setup = Setup::new(n, seed);
    let s = &mut setup.strategy;
    s.ring = if rng.next_u32().is_multiple_of(2) {
        RingWidth::Z32
    } else {
        RingWidth::Z64
    };
    s.mask_generator = if rng.next_u32().is_multiple_of(2) {
        MaskGenerator::Aes128Ctr
    } else {
        MaskGenerator::ChaCha20
    };
    s.curve = [
        Curve::Secp256k1,
        Curve::Secp256k1,
        Curve::Secp256r1,
        Curve::Secp384r1,
    ][(rng.next_u32() % 4) as usize];
    s.neighbours = [None, Some(4), Some(6), Some(8)][(rng.next_u32() % 4) as usize];
    // Half of the holders and one: members of these small worlds ask for no more.
    s.threshold = s.neighbours.map(|k| k / 2 + 1);
    setup.privacy.bits = 0;
    let s = &mut setup.strategy;
    s.min_clients = 2 + rng.next_u32() % 3;
    s.max_clients = s.max_clients.max(s.min_clients);
    setup
}

#[test]
fn masks_cancel_in_random_patterns_with_both_generators_rings_and_graphs() {
    for seed in 0..24 {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let setup = random_setup(&mut rng, seed);
        let pattern = random_pattern(&mut rng, setup.n);
        eprintln!("seed {seed}: {setup:?} {pattern:?}");
        check(&setup, &pattern);
    }
}

#[test]
fn both_generators_and_both_rings_are_exact_with_a_dropped_member() {
    for ring in [Ring::Z32, Ring::Z64] {
        for generator in [MaskGenerator::Aes128Ctr, MaskGenerator::ChaCha20] {
            let mut setup = Setup::new(4, 3);
            setup.strategy.ring = ring.into();
            setup.strategy.mask_generator = generator;
            setup.length = 10_000;
            check(&setup, &[Never, AfterSharing, Never, Never]);
        }
    }
}

#[test]
fn a_regular_graph_recovers_members_that_vanish() {
    for seed in 0..6 {
        let mut setup = Setup::new(12, seed);
        setup.strategy.neighbours = Some(4);
        setup.strategy.threshold = Some(3);
        setup.privacy.bits = 0;
        for gone in [AfterJoining, AfterSharing, AfterUploading] {
            let mut pattern = vec![Never; 12];
            pattern[usize::try_from(seed).unwrap()] = gone;
            check(&setup, &pattern);
        }
    }
}

/// Above thirty members the graph is a ring without being asked for: 35 have 26 neighbours or so, and members check it themselves.
#[test]
fn an_automatic_ring_sums_what_is_left_or_fails_cleanly() {
    const N: usize = 35;
    let neighbourhood = Neighbourhood::of(&Setup::new(N, 0).strategy, N);
    assert!(neighbourhood.degree.is_some_and(|k| k < N - 1));
    // Anybody may vanish at any time; then so many that somebody's shares cannot be put together again.
    for (seed, gone) in [(1, 0), (2, 6), (3, 10), (4, 17), (5, 21)] {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut pattern = vec![Never; N];
        for fate in pattern.iter_mut().take(gone) {
            *fate = ALL[1 + (rng.next_u32() % 3) as usize];
        }
        for i in (1..N).rev() {
            pattern.swap(i, usize::try_from(rng.next_u32()).unwrap() % (i + 1));
        }
        check(&Setup::new(N, seed), &pattern);
    }
}

/// Faults of every kind: wrong sums, hangs and broken laws are failures, failed rounds are not.
fn rough_run(seed: u64) -> World {
    let mut rng = ChaCha20Rng::seed_from_u64(seed ^ 0x0bad_5eed);
    let mut setup = random_setup(&mut rng, seed);
    setup.n = setup.n.min(6);
    let mut w = World::new(setup);
    w.faults = Faults::rough();
    match seed % 4 {
        0 => {}
        1 => w.faults.runner_dies = 5,
        2 => w.faults.runner_dies = 20,
        _ => {
            w.faults.coordinator_dies = 4;
            w.faults.runner_dies = 2;
        }
    }
    w.run();
    w
}

#[test]
fn no_schedule_hangs_or_breaks_a_law() {
    let mut sums = 0;
    for seed in 0..60 {
        eprintln!("seed {seed}");
        sums += u32::from(rough_run(seed).aggregated());
    }
    assert!(
        sums > 20,
        "only {sums} of 60 rounds made a sum: the test is too rough to mean much"
    );
}

#[test]
fn crashes_and_lost_messages_alone_never_cost_a_round() {
    for seed in 1000..1020 {
        eprintln!("seed {seed}");
        let n = 2 + usize::try_from(seed % 5).unwrap();
        let mut w = World::new(Setup::new(n, seed));
        w.faults = Faults::rough();
        w.run();
        assert!(w.aggregated(), "seed {seed}: {}", w.story());
        assert_eq!(w.record.u3.as_ref().unwrap().len(), n, "{}", w.story());
        assert!(
            w.runners
                .values()
                .all(|r| r.machine.outcome() == Some(&RunnerOutcome::Contributed)
                    || r.machine.outcome().is_some()),
        );
    }
}

/// For a failing seed: `cargo test --no-default-features --test domain_properties replay_one -- --nocapture`.
#[test]
fn replay_one() {
    let w = rough_run(4);
    eprintln!("{}", w.story());
}

/// Members leave between u3 and the end, and come back within the coordinator's patience: there is a sum of all who were in u3, where it
/// can be had in no other way. Long after every deadline of a phase.
#[test]
fn holders_that_are_away_while_shares_are_revealed_are_waited_for() {
    for seed in 0..24 {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut draw = |below: u64| rng.next_u64() % below;
        let n = 3 + usize::try_from(draw(4)).unwrap();
        let mut setup = Setup::new(n, seed);
        // Without any of them there is no other round.
        setup.strategy.min_clients = u32::try_from(n).unwrap();
        setup.patience = Duration::from_secs(600);
        let mut w = World::new(setup).briefly();
        w.faults = Faults::rough();
        assert!(!w.run_until(|w| w.record.u3.is_some()), "{}", w.story());
        for _ in 0..draw(12) {
            w.run_until(|_| true);
        }
        let gone: Vec<_> = (0..n).filter(|_| draw(3) > 0).map(address).collect();
        gone.iter().for_each(|who| w.part_with(who));
        let back = w.now + Duration::from_secs(draw(500));
        w.run_until(|w| w.now >= back);
        if draw(2) == 0 {
            w.coordinator.crash();
            let taken_up = CoordinatorInput::TakenUp;
            w.coordinator.feed(w.now, taken_up).unwrap();
        }
        gone.iter().for_each(|who| w.take_back(who));
        w.run();
        assert!(w.aggregated(), "seed {seed}: {}", w.story());
    }
}

/// What one has revealed is out, and it is in no other round of the step: so the others are waited for, although there are enough for one.
#[test]
fn one_that_has_revealed_is_not_left_alone() {
    let ends = |patience: Duration| {
        let mut setup = Setup::new(5, 8);
        setup.patience = patience;
        let mut w = World::new(setup).briefly();
        let revealed = |w: &World| {
            (0..5)
                .filter(|i| w.record.has_revealed(&address(*i)))
                .count()
        };
        assert!(!w.run_until(|w| revealed(w) == 1), "{}", w.story());
        let silent = (0..5).map(address).filter(|a| !w.record.has_revealed(a));
        let away: Vec<_> = silent.take(3).collect();
        away.iter().for_each(|who| w.part_with(who));
        let back = w.now + Duration::from_secs(1800);
        w.run_until(|w| w.now >= back);
        away.iter().for_each(|who| w.take_back(who));
        w.run();
        w.aggregated()
    };
    assert!(ends(Duration::from_secs(3600)));
    assert!(!ends(Duration::from_secs(600)), "patience ends");
}

/// When enough is revealed the others have a second, whoever goes and comes meanwhile.
#[test]
fn who_blinks_moves_no_deadline_once_enough_is_revealed() {
    let mut setup = Setup::new(5, 9);
    setup.patience = Duration::from_secs(600);
    let mut w = World::new(setup).briefly();
    w.last_effect.insert(address(4), "upload");
    let second = Duration::from_secs(1);
    let lingers = |w: &World| {
        let revealed = (0..4).all(|i| w.record.has_revealed(&address(i)));
        revealed && w.coordinator.machine.phase_deadline() <= w.now + second
    };
    assert!(!w.run_until(lingers), "{}", w.story());
    let before = w.coordinator.machine.phase_deadline();
    for _ in 0..3 {
        w.part_with(&address(4));
        w.take_back(&address(4));
        assert_eq!(w.coordinator.machine.phase_deadline(), before);
    }
    w.run();
    assert!(w.aggregated(), "{}", w.story());
}
