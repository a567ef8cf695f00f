//! How long the record takes to answer a call, learnt from those that it has answered.

use std::time::Duration;

/// The shortest time that is allowed for a call.
const LEAST: Duration = Duration::from_secs(20);
/// The longest.
const MOST: Duration = Duration::from_secs(300);
/// A call is held this many times as long as its deadline allows: the connector may be about to answer.
const HELD: u32 = 4;
/// The longest that a call is held. The library of connectors on a blockchain gives up after 750 s, and says so.
const MOST_HELD: Duration = Duration::from_secs(800);
/// Answers that come sooner are those of a database, not of blocks.
const AT_ONCE: Duration = Duration::from_millis(500);
/// The longest block that deadlines are made to allow for: who claims to be slower must not keep rounds open for ever.
const LONGEST_BLOCK: Duration = Duration::from_secs(60);
/// How often in a row a deadline that was too short is doubled.
const DOUBLINGS: u32 = 4;

/// Mean and mean deviation of the times that calls took, kept as RFC 6298 (section 2) keeps those of round trips.
///
/// The waits of a wallet with one call at a time lie between nothing and one block, and are a whole block where one call follows the
/// other: in both cases a block is about the mean and two deviations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    seen: Option<(Duration, Duration)>,
    doubled: u32,
}

impl Pace {
    /// A call was answered after so long.
    pub fn answered(&mut self, took: Duration) {
        self.doubled = 0;
        self.seen = Some(match self.seen {
            None => (took, took / 2),
            Some((mean, deviation)) => (
                (mean * 7 + took) / 8,
                (deviation * 3 + mean.abs_diff(took)) / 4,
            ),
        });
    }

    /// A call was not answered within [`Self::deadline`]: the next have twice as long, until one is.
    pub fn overdue(&mut self) {
        self.doubled = (self.doubled + 1).min(DOUBLINGS);
    }

    /// About how long a block is; zero where calls are answered at once, or none has been.
    #[must_use]
    pub fn block(&self) -> Duration {
        match self.seen {
            Some((mean, deviation)) if mean + deviation * 2 >= AT_ONCE => {
                (mean + deviation * 2).min(LONGEST_BLOCK)
            }
            _ => Duration::ZERO,
        }
    }

    /// How long to wait for the answer to a call, from when it is sent: between 20 s and 300 s.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        let (mean, deviation) = self.seen.unwrap_or_default();
        let usual = mean.saturating_add(deviation.saturating_mul(4));
        let usual = usual.saturating_mul(3).clamp(LEAST, MOST);
        usual.saturating_mul(1 << self.doubled).min(MOST)
    }

    /// How long a call that is overdue is held before it is given up for lost.
    #[must_use]
    pub fn held(&self) -> Duration {
        self.deadline().saturating_mul(HELD).min(MOST_HELD)
    }

    /// The longest that [`Self::held`] can be.
    #[must_use]
    pub fn longest() -> Duration {
        MOST_HELD
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn after(times: impl IntoIterator<Item = Duration>) -> Pace {
        let mut pace = Pace::default();
        times.into_iter().for_each(|took| pace.answered(took));
        pace
    }

    #[test]
    fn a_block_is_found_from_waits_within_it_and_from_whole_ones() {
        assert_eq!(Pace::default().block(), Duration::ZERO);
        assert_eq!(Pace::default().deadline(), LEAST);
        for block in [1, 5, 12] {
            let whole = after((0..40).map(|_| SECOND * block)).block();
            assert!(whole >= SECOND * block && whole < SECOND * block * 11 / 10);
            // Evenly spread, in an order that repeats nothing.
            let part = |n: u32| SECOND * block * (n * 37 % 100) / 100;
            let spread = after((0..200).map(part)).block();
            assert!(
                spread > SECOND * block * 7 / 10 && spread < SECOND * block * 3 / 2,
                "{spread:?} of {block} s"
            );
        }
    }

    #[test]
    fn answers_at_once_are_no_blocks() {
        let pace = after((0..20).map(|n| Duration::from_millis(5 + n)));
        assert_eq!(pace.block(), Duration::ZERO);
        assert_eq!(pace.deadline(), LEAST);
        assert_eq!(pace.held(), LEAST * HELD);
    }

    #[test]
    fn an_overdue_call_gives_the_next_more_time_until_one_is_answered() {
        let mut pace = Pace::default();
        pace.overdue();
        assert_eq!(pace.deadline(), LEAST * 2);
        (0..10).for_each(|_| pace.overdue());
        assert_eq!(pace.deadline(), MOST);
        pace.answered(SECOND);
        assert_eq!(pace.deadline(), LEAST);
    }

    proptest! {
        #[test]
        fn deadlines_are_within_bounds_and_no_call_as_usual_is_overdue(
            times in prop::collection::vec(0_u64..2_000_000, 0..40),
            usual in 0_u64..90_000,
            overdue in 0_usize..8,
        ) {
            let mut pace = after(times.into_iter().map(Duration::from_millis));
            (0..overdue).for_each(|_| pace.overdue());
            prop_assert!((LEAST..=MOST).contains(&pace.deadline()));
            prop_assert!(pace.held() > pace.deadline() && pace.held() <= Pace::longest());
            prop_assert!(pace.block() <= LONGEST_BLOCK);
            let usual = Duration::from_millis(usual);
            (0..40).for_each(|_| pace.answered(usual));
            prop_assert!(pace.deadline() > usual && (pace.block() >= usual.min(LONGEST_BLOCK) || usual < AT_ONCE));
        }
    }
}
