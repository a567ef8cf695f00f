//! The real clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;

use delta_domain::time::Timestamp;
use delta_ports::clock::Clock;

/// Wall-clock time as of the start, moved on by the monotonic clock.
///
/// That way a step of the wall clock (an operator, a time server) neither ends a round early nor makes it hang, and [`Clock::sleep`],
/// which is monotonic too, reaches every deadline computed from [`Clock::now`]. The price: such a step shows after a restart only.
#[derive(Debug, Clone)]
pub struct SystemClock {
    epoch: Timestamp,
    started: Instant,
}

impl SystemClock {
    /// Reads the wall clock, once. A time before 1970 counts as 1970.
    #[must_use]
    pub fn new() -> Self {
        Self {
            epoch: wall(),
            started: Instant::now(),
        }
    }
}

/// What the machine takes for the time.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that everybody else asks"
)]
fn wall() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp::default() + since_1970.unwrap_or_default()
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        self.epoch + self.started.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn was_set_by(&self) -> i64 {
        let (wall, own) = (wall().0, self.now().0);
        let behind = i64::try_from(own.saturating_sub(wall)).unwrap_or(i64::MAX);
        i64::try_from(wall.saturating_sub(own)).unwrap_or(i64::MAX) - behind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_today_and_does_not_go_back() {
        let clock = SystemClock::new();
        let (a, b) = (clock.now(), clock.now());
        assert!(a <= b);
        // 2025-01-01: this code is younger.
        assert!(a > Timestamp(1_735_689_600_000), "{a}");
        assert!(clock.was_set_by().abs() < 60_000, "nobody has set it");
        let late = SystemClock {
            epoch: Timestamp(clock.epoch.0 - 3_600_000),
            ..clock
        };
        assert!((late.was_set_by() - 3_600_000).abs() < 60_000);
    }

    #[tokio::test]
    async fn a_slept_deadline_has_passed() {
        let clock = SystemClock::new();
        let deadline = clock.now() + Duration::from_millis(5);
        clock
            .sleep(deadline.remaining(clock.now()) + Duration::from_millis(1))
            .await;
        assert!(clock.now() >= deadline);
    }
}
