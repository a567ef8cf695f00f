//! A member dies: after each phase, for good or for a moment.

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
