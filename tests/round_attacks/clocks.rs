//! Clocks that are wrong: nothing on the wire has a time in it, and every deadline counts from what a node's own clock said before.

use super::*;

const HOURS: i64 = 5 * 3_600_000;

#[test]
fn clocks_hours_apart_change_nothing() {
    let mut setup = Setup::new(5, 31);
    setup.skew = HOURS;
    let mut w = World::new(setup);
    w.run();
    assert!(w.aggregated(), "{}", w.story());
}

/// The silence of a member lasts as long as it does among nodes that agree on the time.
#[test]
fn a_member_that_vanishes_is_missed_as_soon_whatever_the_clocks_say() {
    let ended = |skew: i64| {
        let mut setup = Setup::new(5, 32);
        setup.skew = skew;
        let mut w = World::new(setup).briefly();
        let began = w.now;
        w.last_effect.insert(address(4), "post_shares");
        w.run();
        assert!(w.aggregated(), "{}", w.story());
        w.now - began
    };
    assert_eq!(ended(HOURS), ended(0));
}
