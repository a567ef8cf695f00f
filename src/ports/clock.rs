//! Wall-clock time and waiting, so that tests can own both.

use std::time::Duration;

use async_trait::async_trait;

use delta_domain::time::Timestamp;

/// The node's clock.
///
/// Obligation on implementers: `now` and `sleep` move together, so that a deadline computed from `now` is reached by sleeping.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Waits. Cancelled by dropping the future.
    async fn sleep(&self, duration: Duration);

    /// By how many milliseconds the machine's clock is ahead of this one: it was set while this process ran. 0 where there is no other.
    fn was_set_by(&self) -> i64 {
        0
    }
}
