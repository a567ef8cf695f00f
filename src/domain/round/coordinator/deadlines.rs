//! How long phases last, and when to look at the connector.

use std::time::Duration;

use super::phase::Phase;
use super::{CoordinatorRound, Pacing};
use crate::time::Timestamp;

/// The shortest time between two looks at the connector when nobody has given notice.
pub(super) const FIRST_POLL: Duration = Duration::from_millis(200);
/// The longest time between two such looks.
const LAST_POLL: Duration = Duration::from_secs(3);
/// The longest pause between two looks at who has joined: whom the round still waits for depends on the time (`attendance`).
const LAST_JOIN_POLL: Duration = Duration::from_millis(750);
/// How long the sum may take: our own work, which no member can hold up.
pub(super) const SUMMING: Duration = Duration::from_secs(3600);

impl CoordinatorRound {
    /// How long the phase may last.
    pub(super) fn phase_time(&self) -> Duration {
        match self.phase {
            Phase::Starting | Phase::AdvertiseKeys(_) => self.joining_time(),
            Phase::Summing(_) => SUMMING,
            Phase::MaskedInput(_) if self.proof => {
                self.context.strategy.verify_timeout() + self.pacing.of_a_phase()
            }
            _ => self.waiting_time(),
        }
    }

    /// How long members may take to join.
    pub(super) fn joining_time(&self) -> Duration {
        self.context.strategy.connection_timeout() + self.pacing.of_a_phase()
    }

    /// How long every other phase may last.
    pub(super) fn waiting_time(&self) -> Duration {
        self.context.strategy.wait_timeout() + self.pacing.of_a_phase()
    }

    /// What its deadlines allow for, as far as this round has been told.
    #[must_use]
    pub fn pacing(&self) -> Pacing {
        self.pacing
    }

    /// A slower wallet moves the deadline by what that allows for; a faster one is no news.
    pub(super) fn keep_pace(&mut self, seen: Pacing) {
        let before = self.pacing.of_a_phase();
        self.pacing = self.pacing.slower(seen);
        self.deadline = self.deadline + (self.pacing.of_a_phase() - before);
    }

    pub(super) fn postpone(&mut self, by: Duration) {
        self.deadline = self.deadline + by;
        if let Some(begun) = self.phase.begun() {
            *begun = *begun + by;
        }
        if let Phase::AdvertiseKeys(joining) = &mut self.phase {
            joining.missed_at = joining.missed_at.map(|at| at + by);
            joining.refused_at = joining.refused_at.map(|at| at + by);
        }
    }

    /// Nothing is farther away than it can be: the wall clock may have been set back while this node's process was away.
    pub(super) fn not_beyond(&mut self, now: Timestamp) {
        self.deadline = self.deadline.min(now + self.phase_time());
        self.poll_at = self.poll_at.min(now + self.poll_every);
        if let Some(begun) = self.phase.begun() {
            *begun = (*begun).min(now);
        }
    }

    /// Who was waited for is not seen yet, and has the phase's time to be.
    pub(super) fn joining_is_taken_up(&mut self, now: Timestamp) {
        if let Phase::AdvertiseKeys(joining) = &mut self.phase {
            joining.missed_at = Some(now);
        }
    }

    pub(super) fn wait(&mut self, now: Timestamp, timeout: Duration) {
        self.deadline = now + timeout;
        self.poll_every = FIRST_POLL;
        self.poll_at = now + FIRST_POLL;
    }

    pub(super) fn poll_again(&mut self, now: Timestamp) {
        let longest = match self.phase {
            Phase::AdvertiseKeys(_) => LAST_JOIN_POLL,
            _ => LAST_POLL,
        };
        self.poll_every = (self.poll_every * 3 / 2).min(longest);
        self.poll_at = now + self.poll_every;
    }
}
