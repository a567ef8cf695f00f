//! Where CPU-bound work runs, so that tests can own the threads.

use std::sync::mpsc;

use async_trait::async_trait;

use super::{PortError, PortErrorKind};

/// One piece of work.
pub type Work = Box<dyn FnOnce() + Send>;

/// Threads for work that computes long and waits for nothing.
///
/// Obligation on implementers: `work` is run to its end, once, also when the future is dropped after its first poll; async threads that
/// serve others go on meanwhile, unless the implementation says otherwise.
#[async_trait]
pub trait Compute: Send + Sync + 'static {
    /// Runs `work` and waits for its end. `op` names it in errors.
    ///
    /// # Errors
    /// `Internal` when `work` panicked.
    async fn run(&self, op: &'static str, work: Work) -> Result<(), PortError>;
}

impl dyn Compute {
    /// As [`Compute::run`], with an answer.
    ///
    /// # Errors
    /// `Internal` when `work` panicked, and whatever `work` fails with.
    pub async fn blocking<T: Send + 'static>(
        &self,
        op: &'static str,
        work: impl FnOnce() -> Result<T, PortError> + Send + 'static,
    ) -> Result<T, PortError> {
        let (give, answer) = mpsc::sync_channel(1);
        let work = move || {
            // Only a caller that has gone away does not take it.
            drop(give.send(work()));
        };
        self.run(op, Box::new(work)).await?;
        let lost = |_| PortError::new(PortErrorKind::Internal, op, "the computation was not run");
        answer.try_recv().map_err(lost)?
    }
}
