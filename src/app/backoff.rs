//! Growing pauses between tries of what may mend itself.
//!
//! Pure: it computes pauses and never waits. The caller sleeps on its own clock and decides what is worth another try.

use std::time::Duration;

/// Pauses that begin at `initial`, grow by `factor` and stay at `maximum` once they have come there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backoff {
    initial: Duration,
    maximum: Duration,
    factor: u32,
    next: Duration,
}

impl Backoff {
    /// For this node's own database and disk, and for members that ask a coordinator: 50 ms, doubling up to 2 s.
    pub(crate) const QUICK: Self =
        Self::doubling(Duration::from_millis(50), Duration::from_secs(2));
    /// For a member that its coordinator does not know yet: 250 ms, doubling up to 2 s.
    pub(crate) const NOTICE: Self =
        Self::doubling(Duration::from_millis(250), Duration::from_secs(2));
    /// For what an operator may have to mend, a full disk for instance: 50 ms, doubling up to 10 s.
    pub(crate) const PATIENT: Self =
        Self::doubling(Duration::from_millis(50), Duration::from_secs(10));
    /// For staying in touch with the connector: 100 ms, doubling up to 2 s, so that all nodes notice soon that it is back.
    pub(crate) const CONTACT: Self =
        Self::doubling(Duration::from_millis(100), Duration::from_secs(2));
    /// For a coordinator's steps that need the connector: 200 ms, doubling up to 10 s.
    pub(crate) const STEPS: Self =
        Self::doubling(Duration::from_millis(200), Duration::from_secs(10));

    /// `initial` must not be longer than `maximum`, `factor` not 0.
    pub(crate) const fn new(initial: Duration, factor: u32, maximum: Duration) -> Self {
        Self {
            initial,
            maximum,
            factor,
            next: initial,
        }
    }

    const fn doubling(initial: Duration, maximum: Duration) -> Self {
        Self::new(initial, 2, maximum)
    }

    /// The longest pause.
    pub(crate) const fn maximum(&self) -> Duration {
        self.maximum
    }

    /// The pause to make now; the one after it is longer.
    pub(crate) fn pause(&mut self) -> Duration {
        let now = self.next;
        self.next = now.saturating_mul(self.factor).min(self.maximum);
        now
    }

    /// Begins again with the first pause: it has worked in between.
    pub(crate) fn reset(&mut self) {
        self.next = self.initial;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn pauses(mut backoff: Backoff, count: usize) -> Vec<u128> {
        (0..count).map(|_| backoff.pause().as_millis()).collect()
    }

    #[test]
    fn pauses_grow_by_the_factor_up_to_the_maximum() {
        assert_eq!(
            pauses(Backoff::new(MS * 5, 3, MS * 100), 6),
            [5, 15, 45, 100, 100, 100]
        );
        assert_eq!(
            pauses(Backoff::QUICK, 7),
            [50, 100, 200, 400, 800, 1600, 2000]
        );
        assert_eq!(pauses(Backoff::STEPS, 7)[5..], [6400, 10_000]);
    }

    #[test]
    fn a_reset_begins_again() {
        let mut backoff = Backoff::CONTACT;
        assert_eq!(backoff.pause(), MS * 100);
        assert_eq!(backoff.pause(), MS * 200);
        backoff.reset();
        assert_eq!(backoff, Backoff::CONTACT);
    }

    #[test]
    fn no_length_overflows() {
        let mut backoff = Backoff::new(Duration::MAX, 2, Duration::MAX);
        assert_eq!(backoff.pause(), Duration::MAX);
        assert_eq!(backoff.pause(), Duration::MAX);
    }
}
