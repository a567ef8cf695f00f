//! A task's variables as its last finished step left them: for its author, while it runs and after it has failed.
//!
//! They are the coordinator's own: what the reduce made of sums over the members. What a member keeps never comes here.

use futures_util::StreamExt as _;

use super::Coordinator;
use super::state::{Certified, RunState};
use crate::arrays::{Packed, npz_stream};
use delta_domain::ids::TaskId;
use delta_ports::author_api::Checkpoint;
use delta_ports::blob::BlobName;
use delta_ports::storage::{MachineKey, MachineKind};
use delta_ports::{PortError, PortErrorKind};

/// How often files are looked for again whose task has moved on meanwhile.
const TRIES: usize = 5;
/// Files that are opened before the first byte is sent, so that they stay readable when the task moves on; the others of a model with
/// very many are opened in their turn, and the answer is cut short where one is gone by then.
const OPEN_AT_ONCE: usize = 256;
/// Checkpoints that are fetched at the same time: each holds its files open.
pub(super) const AT_ONCE: usize = 8;

impl Coordinator {
    /// The server variables of a task, and how many steps are done; `None` before the first one is.
    pub(crate) async fn checkpoint(&self, task: &TaskId) -> Result<Option<Checkpoint>, PortError> {
        let place = self.checkpoints.clone().try_acquire_owned().map_err(|e| {
            let text = format!("{AT_ONCE} checkpoints are being fetched already");
            PortError::new(PortErrorKind::Unavailable, "coordinator.checkpoint", text)
                .with_source(e)
        })?;
        let mut tries = 1;
        loop {
            let Some(state) = self.run_on_disk(task).await? else {
                return Ok(None);
            };
            if state.step == 0 {
                return Ok(None);
            }
            match self.packed(&state).await {
                Err(e) if e.kind() == PortErrorKind::NotFound && tries < TRIES => tries += 1,
                Err(e) => return Err(e),
                Ok(variables) => {
                    let (_, variables) = npz_stream(self.context.ports.blobs.clone(), variables);
                    // The place is taken until the last byte is fetched, or nobody wants it any more.
                    let held = variables.inspect(move |_| {
                        let _held = &place;
                    });
                    return Ok(Some(Checkpoint {
                        steps: state.step,
                        variables: Box::pin(held),
                    }));
                }
            }
        }
    }

    /// Why a task has no certificate; `None` where it asks for none, or is not that far.
    pub(crate) async fn why_uncertified(&self, task: &TaskId) -> Result<Option<String>, PortError> {
        let state = self.run_on_disk(task).await?;
        Ok(match state.and_then(|state| state.certified) {
            Some(Certified::Not(why)) => Some(why),
            Some(Certified::Confirmed) | None => None,
        })
    }

    async fn packed(&self, state: &RunState) -> Result<Vec<(String, Packed)>, PortError> {
        let mut packed = Vec::with_capacity(state.variables.len());
        for (i, (name, kept)) in state.variables.iter().enumerate() {
            let blob = BlobName::server_variable(&state.task, kept.step, name);
            let array = if i < OPEN_AT_ONCE {
                let (len, content) = self.context.ports.blobs.open(&blob).await?;
                Packed::Open(len, content)
            } else {
                Packed::Kept(blob, u64::MAX)
            };
            packed.push((name.to_string(), array));
        }
        Ok(packed)
    }

    /// What is on disk of a task between its rounds.
    pub(super) async fn run_on_disk(&self, task: &TaskId) -> Result<Option<RunState>, PortError> {
        let key = MachineKey {
            kind: MachineKind::CoordinatorTask,
            task: task.clone(),
            round: 0,
        };
        let stored = self.context.ports.storage.machine(&key).await?;
        stored.as_ref().map(RunState::restore).transpose()
    }
}
