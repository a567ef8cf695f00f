//! What is done with a stranger's bundle before it is trusted with a turn: unpacking, and the check of its graphs. Both in workers with
//! budgets of their own, in turns of their own.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::answer::{tensors_of, wrong_answer};
use super::config::ExecutorConfig;
use super::data;
use crate::frame::{Blob, Blobs};
use crate::job::{Job, Reply, RuntimeChoice, Setup, Work};
use crate::process::{Launcher, LimitNames};
use delta_domain::bundle::{Bundle, BundleLimits};
use delta_domain::ids::Digest;
use delta_ports::executor::Whose;
use delta_ports::{PortError, PortErrorKind, report};

/// What the limits are called where a task's author reads of them.
pub(super) const LIMITS: LimitNames = LimitNames {
    time: "for the check of a task",
    memory: "for the check of a task",
};

/// A task that cannot be checked within its budget is refused for good: another try would cost as much.
pub(super) fn beyond(error: PortError) -> PortError {
    match error.kind() {
        PortErrorKind::Timeout | PortErrorKind::Exhausted => {
            let text = error.message().to_owned();
            PortError::new(PortErrorKind::Rejected, "executor.judge", text).with_source(error)
        }
        _ => error,
    }
}

/// Bundles that may wait for one kind of turn; whoever comes later is told so at once.
const WAITING: usize = 64;

/// Address space that a worker takes before it has done anything.
const BASE_BYTES: u64 = 256 << 20;

/// Bytes that a manifest and the names around it may add to an answer.
const HEADER_BYTES: u64 = 64 << 20;

/// How long anybody's task is looked at before it has to wait for its turn among those that take longer.
const BRIEF: Duration = Duration::from_secs(3);

/// Which turn a bundle waits for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Turn {
    /// The node's own authors'.
    Own,
    /// Everybody else's, for a moment: a task that takes long does not keep the others waiting.
    Brief,
    /// Everybody else's, of tasks that were not done in a moment.
    Long,
}

impl From<Whose> for Turn {
    fn from(whose: Whose) -> Self {
        match whose {
            Whose::Own => Self::Own,
            Whose::Others => Self::Long,
        }
    }
}

/// How a task of somebody else's is checked first; `None` where there is no shorter way.
pub(super) fn quick(launcher: &Launcher, whose: Whose) -> Option<Launcher> {
    match whose {
        Whose::Others if launcher.time_limit > BRIEF => Some(Launcher {
            time_limit: BRIEF,
            ..launcher.clone()
        }),
        Whose::Own | Whose::Others => None,
    }
}

/// One bundle at a time for the node's own authors, one for everybody else, and beside it one that takes long.
pub(super) struct Turns {
    own: Lane,
    brief: Lane,
    long: Lane,
}

struct Lane {
    slot: Semaphore,
    waiting: Semaphore,
}

impl Default for Turns {
    fn default() -> Self {
        let lane = || Lane {
            slot: Semaphore::new(1),
            waiting: Semaphore::new(WAITING),
        };
        Self {
            own: lane(),
            brief: lane(),
            long: lane(),
        }
    }
}

impl Turns {
    /// A turn; fails at once when too many wait already.
    pub(super) async fn take(
        &self,
        op: &'static str,
        turn: Turn,
    ) -> Result<(SemaphorePermit<'_>, SemaphorePermit<'_>), PortError> {
        let lane = match turn {
            Turn::Own => &self.own,
            Turn::Brief => &self.brief,
            Turn::Long => &self.long,
        };
        let waiting = lane.waiting.try_acquire().map_err(|_| {
            let text = format!("{WAITING} tasks wait to be checked already");
            PortError::new(PortErrorKind::Exhausted, op, text)
        })?;
        let slot = lane.slot.acquire().await;
        let slot = slot
            .map_err(|_| PortError::new(PortErrorKind::Internal, op, "the executor is closed"))?;
        Ok((waiting, slot))
    }
}

/// What unpacking a bundle of so many bytes may take.
fn unpacking(packed: usize, limits: &BundleLimits) -> (u64, Duration) {
    let wide = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    // The files, the tensors in them, the answer that is made of both.
    let memory = wide(limits.expanded(packed))
        .saturating_mul(3)
        .saturating_add(wide(packed).saturating_mul(2))
        .saturating_add(HEADER_BYTES)
        .saturating_add(BASE_BYTES);
    (memory, Duration::from_secs(10 + (wide(packed) >> 20)))
}

/// What checking and loading graphs of so many bytes may take, within what the operator gives to a job.
pub(super) fn checking(config: &ExecutorConfig, graphs: u64) -> (u64, Launcher) {
    let memory = graphs.saturating_mul(12).saturating_add(1 << 30);
    let launcher = Launcher {
        time_limit: config
            .check_time
            .saturating_add(Duration::from_secs(graphs >> 20))
            .min(config.time_limit),
        limits: LIMITS,
        ..config.launcher()
    };
    (memory.min(config.memory_bytes), launcher)
}

/// Opens a bundle in a worker.
pub(super) async fn open(
    config: &ExecutorConfig,
    bytes: Vec<u8>,
    limits: &BundleLimits,
) -> Result<Arc<Bundle>, PortError> {
    const OP: &str = "executor.open_bundle";
    // Longer ones are refused by the worker too, but need not travel.
    if bytes.len() > limits.bytes {
        let text = format!("the bundle is larger than {} bytes", limits.bytes);
        return Err(PortError::new(PortErrorKind::Rejected, OP, text));
    }
    let (memory, time) = unpacking(bytes.len(), limits);
    let mut setup: Setup = config.setup(RuntimeChoice::None, Vec::new());
    setup.limits.memory_bytes = memory;
    setup.limits.cpu_seconds = time.as_secs();
    let launcher = Launcher {
        time_limit: time,
        reply_bytes: memory,
        limits: LIMITS,
        ..config.launcher()
    };
    let job = Job {
        work: Work::Unpack {
            limits: limits.clone(),
        },
        graphs: vec!["bundle".to_owned()],
        variables: Vec::new(),
        sums: Vec::new(),
    };
    let (bytes, commitment) = data::blocking(OP, move || {
        let commitment = Digest::of(&bytes);
        Ok((bytes, commitment))
    })
    .await?;
    // It leaves this process as it is sent.
    let packed = vec![Blob::Bytes(Cow::Owned(bytes))];
    let answer = launcher.run(OP, &setup, &job, packed).await;
    let answer = answer.map_err(beyond)?;
    data::blocking(OP, move || Ok(assemble(OP, commitment, answer))).await?
}

/// Believes a worker's answer as far as it is a bundle.
fn assemble(
    op: &'static str,
    commitment: Digest,
    answer: (Reply, Blobs),
) -> Result<Arc<Bundle>, PortError> {
    let (
        Reply::Unpacked {
            manifest,
            graphs,
            arrays,
        },
        mut blobs,
    ) = answer
    else {
        return Err(wrong_answer(op));
    };
    if blobs.len() != graphs.len().saturating_add(arrays.len()) {
        return Err(wrong_answer(op));
    }
    let tensors = tensors_of(op, blobs.split_off(graphs.len()))?;
    let files: Option<Vec<Vec<u8>>> = blobs.into_iter().map(Blob::bytes).collect();
    let files = files.ok_or_else(|| wrong_answer(op))?;
    let graphs: BTreeMap<String, Vec<u8>> = graphs.into_iter().zip(files).collect();
    let arrays = arrays.into_iter().zip(tensors).collect();
    Bundle::assemble(commitment, *manifest, graphs, arrays)
        .map(Arc::new)
        .map_err(|e| PortError::new(PortErrorKind::Rejected, op, report(&e)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_task_is_looked_at_briefly_first_and_an_own_authors_is_not() {
        let launcher = ExecutorConfig::new("data".into(), "worker".into()).launcher();
        let brief = quick(&launcher, Whose::Others).unwrap();
        assert_eq!(brief.time_limit, BRIEF);
        assert!(quick(&launcher, Whose::Own).is_none());
        // Nothing is won by a look as long as the whole check.
        assert!(quick(&brief, Whose::Others).is_none());
    }
}
