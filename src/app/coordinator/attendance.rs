//! Who has answered a round while members join, and whom it still waits for.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use delta_domain::attendance::Attendance;
use delta_domain::ids::Address;
use delta_domain::time::Timestamp;

/// Declines that are believed before it is known who is on the network.
const EARLY: usize = 64;

/// One round's look at the attendance of all.
pub(crate) struct Roll {
    all: Arc<Mutex<Attendance>>,
    begun: Timestamp,
    enough: usize,
    seen: Mutex<Look>,
}

/// What the last look at the record showed.
#[derive(Default)]
struct Look {
    enough_at: Option<Timestamp>,
    answered: BTreeSet<Address>,
    declined: BTreeSet<Address>,
    known: BTreeSet<Address>,
    closed: bool,
}

impl Roll {
    /// `enough` is the number of members with which the round may go on.
    pub(super) fn new(all: Arc<Mutex<Attendance>>, begun: Timestamp, enough: usize) -> Self {
        Self {
            all,
            begun,
            enough,
            seen: Mutex::default(),
        }
    }

    /// Whom of `known` the round waits for, now that these have joined; a call may wait for `turn`.
    pub(super) fn look(
        &self,
        now: Timestamp,
        turn: Duration,
        joined: &[Address],
        known: Vec<Address>,
    ) -> Vec<Address> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.answered.extend(joined.iter().cloned());
        seen.known = known.iter().cloned().collect();
        if joined.len() >= self.enough {
            seen.enough_at.get_or_insert(now);
        }
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.expected(now, self.begun, seen.enough_at, turn, &seen.answered, known)
    }

    /// Whether the connector knows of this node; `None` before the first look at the record.
    pub(super) fn knows(&self, node: &Address) -> Option<bool> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        (!seen.known.is_empty()).then(|| seen.known.contains(node))
    }

    /// A node says that it will not join. Whether that is news: it is known to the connector, and has not said so before.
    pub(super) fn declined(&self, member: &Address) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the first look at the record nobody is known, and a few may be early.
        let early = seen.known.is_empty() && seen.declined.len() < EARLY;
        if !early && !seen.known.contains(member) {
            return false;
        }
        seen.answered.insert(member.clone());
        seen.declined.insert(member.clone())
    }

    /// The members are selected: who has not answered by now has missed it.
    pub(super) fn close(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // The effect that says so may be carried out again.
        if !std::mem::replace(&mut seen.closed, true) {
            let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
            all.close(&seen.answered, &seen.known);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u32) -> Address {
        format!("0x{n:040x}").parse().unwrap()
    }

    #[test]
    fn a_decline_is_news_once_and_only_of_a_known_node() {
        let roll = Roll::new(Arc::default(), Timestamp(0), 2);
        roll.look(Timestamp(0), Duration::ZERO, &[], vec![node(1), node(2)]);
        let news = (0..3_000).filter(|n| roll.declined(&node(n % 100))).count();
        assert_eq!(news, 2, "of 3,000 declines in a hundred names");
    }

    #[test]
    fn a_selection_that_is_carried_out_twice_is_counted_once() {
        let all: Arc<Mutex<Attendance>> = Arc::default();
        let roll = Roll::new(all.clone(), Timestamp(0), 1);
        roll.look(
            Timestamp(0),
            Duration::ZERO,
            &[node(1)],
            vec![node(1), node(9)],
        );
        roll.close();
        roll.close();
        let next = Roll::new(all, Timestamp(100), 1);
        let waited = next.look(
            Timestamp(100),
            Duration::ZERO,
            &[node(2)],
            vec![node(1), node(2), node(9)],
        );
        assert_eq!(waited, [node(1), node(2)]);
    }
}
