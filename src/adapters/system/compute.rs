//! The machine's processors, by way of the async runtime's threads for blocking work.

use async_trait::async_trait;

use delta_ports::compute::{Compute, Work};
use delta_ports::{PortError, PortErrorKind};

/// Work goes to tokio's blocking threads; the async threads stay free.
#[derive(Debug, Clone, Copy, Default)]
pub struct BlockingThreads;

#[async_trait]
impl Compute for BlockingThreads {
    async fn run(&self, op: &'static str, work: Work) -> Result<(), PortError> {
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| PortError::new(PortErrorKind::Internal, op, "the computation panicked"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads() -> Box<dyn Compute> {
        Box::new(BlockingThreads)
    }

    #[tokio::test]
    async fn work_is_done_on_another_thread_and_its_answer_comes_back() {
        let here = std::thread::current().id();
        let threads = threads();
        let there = threads.blocking("test", || Ok(std::thread::current().id()));
        assert_ne!(there.await.unwrap(), here);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_with_the_name_of_the_work() {
        let work = || -> Result<(), PortError> { panic!("in the work") };
        let error = threads().blocking("test.panic", work).await.unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Internal);
        assert!(error.to_string().contains("test.panic"), "{error}");
    }
}
