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
}
