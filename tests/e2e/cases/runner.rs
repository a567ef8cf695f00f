//! A member dies: after each phase, for good or for a moment.

use crate::process::{living, wait_until};
use crate::task;
use crate::world::World;

const VICTIM: usize = 2;

/// The coordinator's log line that ends a phase; some name the member whose message was the last of its kind.
#[derive(Clone, Copy)]
enum After {
    Phase(&'static str),
    /// `ADDRESS TEXT` of the victim itself.
    Own(&'static str),
}

/// Submits a task and kills the victim at the very moment when the coordinator says that the phase is over.
fn killed(after: After, least: u32) -> (World, u64, String) {
    let mut world = World::new();
    let victim = world.address(VICTIM);
    let id = world.submit(&task::wages(task::short(least)));
    let line = match after {
        After::Phase(line) => line.to_owned(),
        After::Own(text) => format!("{victim} {text}"),
    };
    world.nodes[0].wait_for(0, &[&line]);
    world.nodes[VICTIM].kill();
    (world, id, victim)
}

/// Everybody who stayed is in the result, and the victim exactly if its contribution had arrived.
fn assert_who_is_in(world: &World, id: u64, victim: &str) {
    let members = task::members(&world.result(id));
    let messages = world.messages(id);
    let round = messages
        .iter()
        .find_map(|m| {
            m.contains(" finished with ")
                .then(|| m.split(" finished").next().unwrap().to_owned())
        })
        .unwrap_or_else(|| panic!("no round finished: {messages:#?}"));
    let arrived = messages
        .iter()
        .any(|m| m.starts_with(&round) && m.contains(&format!("{victim} upload result")));
    let expected: &[usize] = if arrived { &[0, 1, 2] } else { &[0, 1] };
    assert_eq!(members, expected, "{messages:#?}");
}

fn the_others_finish(after: After) {
    let (world, id, victim) = killed(after, 2);
    assert_who_is_in(&world, id, &victim);
}

fn everybody_finishes(after: After) {
    let (mut world, id, _) = killed(after, 3);
    world.nodes[VICTIM].restart();
    // The task wants all three, so nothing else than the whole sum can come out.
    assert_eq!(task::members(&world.result(id)), [0, 1, 2]);
}

macro_rules! phases {
    ($($name:ident: $after:expr;)*) => {
        mod killed_for_good {
            use super::*;
            $(#[test] fn $name() { the_others_finish($after); })*
        }
        mod killed_and_restarted {
            use super::*;
            $(#[test] fn $name() { everybody_finishes($after); })*
        }
    };
}

phases! {
    after_the_round_began: After::Phase("[Start Round]");
    after_the_selection: After::Phase("[Select Candidates]");
    after_its_shares: After::Own("upload secret shares");
    after_the_calculation_began: After::Phase("[Start Calculation]");
    after_it_took_its_shares: After::Own("get secret shares");
    after_its_contribution: After::Own("upload result");
    after_the_aggregation_began: After::Phase("[Start Aggregation]");
    after_the_round: After::Phase("[End Round]");
}

/// Training takes long enough that the worker certainly computes when its node dies, and long enough to be stopped in the middle of it.
#[test]
fn a_member_killed_while_it_computes_leaves_no_worker_behind() {
    let mut world = World::new();
    let images = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/digits.npz")).unwrap();
    for node in 0..3 {
        std::fs::write(world.home(node).join("data/digits"), &images).unwrap();
    }
    let bundle = task::task("digits-cnn.delta", Some(2), task::short(2));
    let id = world.submit(&bundle);
    let at = world.nodes[0].wait_for(0, &["[Start Calculation]"]);
    let group = world.nodes[VICTIM].group();
    wait_until("the victim's worker", || (living(group) > 1).then_some(()));
    world.nodes[VICTIM].kill();
    wait_until("the victim's worker to end", || {
        (living(group) == 0).then_some(())
    });
    let at = world.nodes[0].wait_for(at, &["round 1 finished with 2 members"]);

    // The second round stops with the coordinator, in time, and goes on when it is back.
    world.nodes[0].wait_for(at, &["[Start Calculation]", "round 2"]);
    let group = world.nodes[0].group();
    wait_until("the coordinator's worker", || {
        (living(group) > 1).then_some(())
    });
    let (status, took) = world.nodes[0].terminate();
    assert_eq!(status.code(), Some(0));
    assert!(took < std::time::Duration::from_secs(5), "{took:?}");
    wait_until("the coordinator's worker to end", || {
        (living(group) == 0).then_some(())
    });
    world.nodes[0].restart();
    world.result(id);
    let messages = world.messages(id);
    let finished = messages
        .iter()
        .filter(|m| m.contains(" finished with 2 members"));
    assert_eq!(finished.count(), 3, "{messages:#?}");
}
