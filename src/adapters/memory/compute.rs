//! Work done where it is asked for: with one thread and virtual time, runs repeat exactly.

use async_trait::async_trait;

use delta_ports::PortError;
use delta_ports::compute::{Compute, Work};

/// Runs everything in place. Everything else on the thread waits meanwhile, virtual time included; a panic goes to the caller.
#[derive(Debug, Clone, Copy, Default)]
pub struct InPlace;

#[async_trait]
impl Compute for InPlace {
    async fn run(&self, _op: &'static str, work: Work) -> Result<(), PortError> {
        work();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use delta_ports::PortErrorKind;

    use super::*;

    #[tokio::test]
    async fn work_stays_on_this_thread_and_its_failure_comes_back() {
        let compute: Box<dyn Compute> = Box::new(InPlace);
        let here = std::thread::current().id();
        let there = compute.blocking("test", || Ok(std::thread::current().id()));
        assert_eq!(there.await.unwrap(), here);
        let no = || Err::<(), _>(PortError::new(PortErrorKind::Rejected, "test", "no"));
        let error = compute.blocking("test", no).await.unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Rejected);
    }
}
