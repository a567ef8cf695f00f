//! Nodes that will not take part say so, and nobody waits for them.

use crate::task;
use crate::world::{Kind, World};

/// No deadline can pass while the test lives: only a refusal that is heard lets the round go on.
fn the_others_go_on_without(kind: Kind) {
    let world = World::of(&[Kind::Usual, Kind::Usual, kind]);
    let id = world.submit(&task::wages(task::endless(2)));
    assert_eq!(task::members(&world.result(id)), [0, 1]);
    let decline = format!("{} ", world.address(2));
    let messages = world.messages(id);
    assert!(
        messages
            .iter()
            .any(|m| m.contains(&decline) && m.contains("decline")),
        "{messages:#?}"
    );
}

#[test]
fn a_node_that_accepts_nothing_is_not_waited_for() {
    the_others_go_on_without(Kind::Refusing);
}

#[test]
fn a_node_without_the_dataset_is_not_waited_for() {
    the_others_go_on_without(Kind::WithoutData);
}

#[test]
fn a_node_that_accepts_nothing_still_submits_its_own() {
    let world = World::of(&[Kind::Refusing, Kind::Usual, Kind::Usual]);
    let id = world.submit(&task::wages(task::endless(2)));
    let members = task::members(&world.result(id));
    assert!(members.contains(&1) && members.contains(&2), "{members:?}");
}
