//! What the deadlines of a round allow for a record that takes calls in blocks.
//!
//! A phase is over when everybody has been heard, and its deadline is only the last moment; so what is allowed for costs a round nothing
//! unless somebody is silent. With a record that answers at once all of this is zero.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Blocks until what a phase begins with is on record and heard of, until the last call of a member is, and one that came out empty.
const A_PHASE: u32 = 3;
/// Calls of a member in a phase, each as long as two blocks: wallets may be slower than this one.
const CALLS: u32 = 2;
/// How much later than a coordinator with a busy wallet a member gives up. It costs nobody anything: a coordinator that is gone is
/// noticed in other ways.
const LATER: u32 = 40;
/// Calls that are allowed for before one of a round, at most.
const MOST_WAITING: u32 = 30;

/// How the calls of this node's wallet are getting on, as far as deadlines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Pacing {
    /// About how long a block is; zero where the record answers at once.
    pub block: Duration,
    /// Calls that wait or are under way: other tasks' go in between.
    pub waiting: u32,
}

impl Pacing {
    /// The slower of both in each respect.
    #[must_use]
    pub fn slower(self, other: Self) -> Self {
        Self {
            block: self.block.max(other.block),
            waiting: self.waiting.max(other.waiting).min(MOST_WAITING),
        }
    }

    /// Whether `seen` takes so much longer that deadlines should know: not every look is another number.
    #[must_use]
    pub fn is_slower(self, seen: Self) -> bool {
        let known = self.of_a_phase();
        self.slower(seen).of_a_phase() > known + known / 4
    }

    /// What a coordinator's deadline allows for beyond the strategy's timeout.
    pub(super) fn of_a_phase(self) -> Duration {
        let waiting = self.waiting.min(MOST_WAITING);
        self.block.saturating_mul(A_PHASE + CALLS * (2 + waiting))
    }

    /// What a member's deadline allows for beyond the strategy's timeout.
    pub(super) fn of_a_member(self) -> Duration {
        self.of_a_phase() + self.block.saturating_mul(LATER)
    }

    /// How long a call may take that has to wait for its turn first.
    #[must_use]
    pub fn of_a_turn(self) -> Duration {
        let waiting = self.waiting.min(MOST_WAITING);
        self.block.saturating_mul(2 * (1 + waiting))
    }

    /// How long somebody may take whose call is already on its way.
    pub(super) fn of_a_call(self) -> Duration {
        self.block.saturating_mul(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_counts_and_only_what_is_much_slower_is_news() {
        let block = Duration::from_secs(5);
        let of = |waiting| Pacing { block, waiting };
        assert_eq!(of(0).of_a_phase(), block * 7);
        assert_eq!(of(10).of_a_phase(), block * 27);
        assert_eq!(of(10_000).of_a_phase(), block * 67, "bounded");
        assert!(Pacing::default().is_slower(of(0)));
        assert!(!of(10).is_slower(of(11)) && of(10).is_slower(of(20)));
        assert!(!of(20).is_slower(of(0)) && !of(0).is_slower(of(0)));
        let none = Pacing {
            block: Duration::ZERO,
            waiting: 9,
        };
        assert_eq!(none.of_a_member(), Duration::ZERO);
        assert!(!Pacing::default().is_slower(none));
    }
}
