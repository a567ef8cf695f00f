//! Whom a coordinator waits for while members join: those who have answered before, and newcomers only briefly.
//!
//! The connector lists every node that has joined the network lately, also one that nobody runs. Such a ghost answers no round, and
//! whoever waited for it would wait in every one. Nobody is kept out by what stands here: who joins in time is in the round.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ids::Address;
use crate::time::Timestamp;

/// Shortest wait for nodes that have not answered before, once enough have joined.
const NEWCOMERS: Duration = Duration::from_millis(1500);

/// Newcomers are waited for this many times as long as it took until enough had joined.
const TIMES: u32 = 3;

/// Rounds that a node must answer in a row, for each one that it has missed, before it is waited for again.
const REDEEMS: u32 = 3;

/// Nodes that are remembered.
const REMEMBERED: usize = 20_000;

/// What a coordinator remembers of the nodes that it has waited for.
#[derive(Debug, Clone, Default)]
pub struct Attendance(BTreeMap<Address, Seen>);

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// Rounds answered since the last one that was missed.
    answered: u32,
    missed: u32,
}

impl Seen {
    /// Whether it may be expected to answer.
    fn is_reliable(self) -> bool {
        self.answered >= 1 && self.answered >= self.missed.saturating_mul(REDEEMS)
    }
}

impl Attendance {
    /// Of the nodes that the connector knows, those that a round which began at `begun` still waits for, and those that are here.
    ///
    /// `enough_at` is when enough had joined to go on: until then everybody is waited for. `turn`: how long a call may have to wait for its
    /// turn, which is no sign that nobody is there.
    #[must_use]
    pub fn expected(
        &self,
        now: Timestamp,
        begun: Timestamp,
        enough_at: Option<Timestamp>,
        turn: Duration,
        here: &BTreeSet<Address>,
        known: Vec<Address>,
    ) -> Vec<Address> {
        let Some(enough_at) = enough_at else {
            return known;
        };
        let patience = (enough_at - begun).saturating_mul(TIMES).max(NEWCOMERS) + turn;
        let for_newcomers = now < begun + patience;
        let waited_for = |address: &Address| match self.0.get(address) {
            Some(seen) if seen.missed > 0 => seen.is_reliable(),
            Some(seen) => seen.is_reliable() || for_newcomers,
            None => for_newcomers,
        };
        known
            .into_iter()
            .filter(|a| here.contains(a) || waited_for(a))
            .collect()
    }

    /// A round goes on: who has answered, by joining or declining, and who of those that the connector knows has not.
    pub fn close(&mut self, answered: &BTreeSet<Address>, known: &BTreeSet<Address>) {
        if self.0.len() > REMEMBERED {
            // Ghosts come and go; whoever is still known is learnt again.
            self.0.retain(|address, _| known.contains(address));
        }
        for address in answered {
            let seen = self.0.entry(address.clone()).or_default();
            seen.answered = seen.answered.saturating_add(1);
        }
        for address in known.difference(answered) {
            let seen = self.0.entry(address.clone()).or_default();
            seen.missed = seen.missed.saturating_add(1);
            seen.answered = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u32) -> Address {
        format!("0x{n:040x}").parse().unwrap()
    }

    fn set(nodes: &[u32]) -> BTreeSet<Address> {
        nodes.iter().map(|n| node(*n)).collect()
    }

    /// Whom a round waits for, so many milliseconds after it began.
    fn waits(
        a: &Attendance,
        ms: u64,
        enough: Option<u64>,
        here: &[u32],
        known: &[u32],
    ) -> Vec<Address> {
        let at = |ms| Timestamp(1_000_000 + ms);
        let known = known.iter().map(|n| node(*n)).collect();
        a.expected(
            at(ms),
            at(0),
            enough.map(at),
            Duration::ZERO,
            &set(here),
            known,
        )
    }

    #[test]
    fn until_enough_are_here_everybody_is_waited_for() {
        let a = Attendance::default();
        assert_eq!(waits(&a, 60_000, None, &[1], &[1, 2, 9]).len(), 3);
    }

    #[test]
    fn newcomers_are_waited_for_briefly_and_longer_where_all_are_slow() {
        let a = Attendance::default();
        assert_eq!(waits(&a, 1_400, Some(300), &[1, 2], &[1, 2, 9]).len(), 3);
        assert_eq!(waits(&a, 1_500, Some(300), &[1, 2], &[1, 2, 9]).len(), 2);
        assert_eq!(waits(&a, 5_900, Some(2_000), &[1, 2], &[1, 2, 9]).len(), 3);
    }

    #[test]
    fn who_answered_before_is_waited_for_and_a_ghost_is_not() {
        let mut a = Attendance::default();
        a.close(&set(&[1, 2, 3]), &set(&[1, 2, 3, 9]));
        let waited = waits(&a, 15_000, Some(100), &[1, 2], &[1, 2, 3, 9]);
        assert_eq!(waited, [node(1), node(2), node(3)]);
        let waited = waits(&a, 0, Some(0), &[1, 2, 3], &[1, 2, 3, 9]);
        assert_eq!(waited.len(), 3, "not for a moment");
    }

    #[test]
    fn an_answer_now_and_then_buys_no_waiting() {
        let mut a = Attendance::default();
        a.close(&set(&[1, 2]), &set(&[1, 2, 9]));
        a.close(&set(&[1, 2, 9]), &set(&[1, 2, 9]));
        assert_eq!(waits(&a, 2_000, Some(100), &[1, 2], &[1, 2, 9]).len(), 2);
        for _ in 0..2 {
            a.close(&set(&[1, 2, 9]), &set(&[1, 2, 9]));
        }
        assert_eq!(waits(&a, 2_000, Some(100), &[1, 2], &[1, 2, 9]).len(), 3);
    }

    #[test]
    fn ten_thousand_ghosts_at_a_time_are_not_remembered_for_ever() {
        let mut a = Attendance::default();
        for wave in 0..5 {
            let ghosts: Vec<u32> = (0..10_000).map(|n| 100 + wave * 10_000 + n).collect();
            let mut known = set(&ghosts);
            known.extend(set(&[1, 2, 3]));
            a.close(&set(&[1, 2, 3]), &known);
        }
        assert!(a.0.len() <= REMEMBERED + 10_003, "{}", a.0.len());
    }
}
