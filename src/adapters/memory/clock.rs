//! A wall clock that follows tokio's: under `start_paused` both stand still together and jump together.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use delta_domain::time::Timestamp;
use delta_ports::clock::Clock;

/// `epoch + time since it was made + skew`. Clones and skewed copies share the beginning: they are the clocks of one world.
#[derive(Debug, Clone)]
pub struct PausedClock {
    epoch: Timestamp,
    started: Instant,
    skew_ms: i64,
}

impl PausedClock {
    /// A clock that shows `epoch` now.
    #[must_use]
    pub fn new(epoch: Timestamp) -> Self {
        Self {
            epoch,
            started: Instant::now(),
            skew_ms: 0,
        }
    }

    /// The same clock as a node sees it whose own is ahead by `ms` milliseconds, or behind.
    #[must_use]
    pub fn skewed(&self, ms: i64) -> Self {
        Self {
            skew_ms: ms,
            ..self.clone()
        }
    }
}

#[async_trait]
impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        let true_time = self.epoch + self.started.elapsed();
        Timestamp(true_time.0.saturating_add_signed(self.skew_ms))
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn sleeping_moves_the_clock_by_exactly_that_much() {
        let clock = PausedClock::new(Timestamp(1_000));
        let ahead = clock.skewed(500);
        let behind = clock.skewed(-2_000);
        clock.sleep(Duration::from_secs(60)).await;
        assert_eq!(clock.now(), Timestamp(61_000));
        assert_eq!(ahead.now(), Timestamp(61_500));
        assert_eq!(behind.now(), Timestamp(59_000));
    }
}
