//! What a coordinator keeps of a task between rounds, and what it shows of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::arrays::{halved_digest, hashed, npy_stream, read_npy};
use crate::context::{Context, Settings};
use delta_domain::bundle::Bundle;
use delta_domain::ids::{Address, Digest, Name, RoundNumber, TaskId};
use delta_domain::manifest::Location;
use delta_domain::round::RoundFailure;
use delta_domain::round::coordinator::CoordinatorContext;
use delta_domain::round::message::{Announcement, RoundEnd};
use delta_domain::task::TaskKind;
use delta_domain::tensor::Tensor;
use delta_domain::time::Timestamp;
use delta_ports::author_api::{PhaseSpan, RoundReport, TaskProgress};
use delta_ports::blob::BlobName;
use delta_ports::connector::RoundKey;
use delta_ports::storage::{
    LocalTaskId, MachineChange, MachineKey, MachineKind, StateChange, StoredMachine,
};
use delta_ports::{PortError, PortErrorKind, report};

/// A server variable as of some step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The step at whose beginning it was written.
    pub(super) step: u32,
    /// SHA-256 of its `.npy` form.
    pub(super) digest: Digest,
    /// SHA-256 of the form in which it travels, where that is half precision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) half: Option<Digest>,
}

impl Kept {
    /// SHA-256 of what members download.
    pub(super) fn travels_as(&self) -> Digest {
        self.half.unwrap_or(self.digest)
    }
}

/// What a coordinator keeps of a task between rounds. No secrets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RunState {
    pub(super) local_id: LocalTaskId,
    pub(super) task: TaskId,
    pub(super) kind: TaskKind,
    pub(super) owner: Address,
    /// The bundle's SHA-256; states of an earlier version have none.
    #[serde(default)]
    pub(super) bundle: Option<Digest>,
    #[serde(skip)]
    pub(super) version: u64,
    /// The step to attempt next, from 0.
    pub(super) step: u32,
    /// The last round number given out.
    pub(super) round: u32,
    /// Failed attempts at this step.
    pub(super) failures: u32,
    pub(super) variables: BTreeMap<Name, Kept>,
    /// u3 of the last round that succeeded.
    pub(super) previous: Vec<Address>,
    /// How many of them could not compute.
    #[serde(default)]
    pub(super) previous_failed: u32,
    /// Members that were dropped and have not contributed since.
    #[serde(default)]
    pub(super) silent: std::collections::BTreeSet<Address>,
    /// Members of the task's rounds so far.
    #[serde(default)]
    pub(super) came: std::collections::BTreeSet<Address>,
    /// Members whose owners have been asked; a later round does not wait for their word again.
    #[serde(default)]
    pub(super) asked: std::collections::BTreeSet<Address>,
    pub(super) rounds: Vec<RoundReport>,
    /// When the running round was started.
    pub(super) round_started: Timestamp,
    /// All steps are done; the result is being written.
    pub(super) complete: bool,
    /// What members' tables are committed to on the data hub, each as it was first seen; of certified tasks alone.
    #[serde(default)]
    pub(super) tables: BTreeMap<Address, Digest>,
    /// What became of the certificate, once the step in which members prove is over.
    #[serde(default)]
    pub(super) certified: Option<Certified>,
    /// What opens the door to the certificate, where there is one.
    #[serde(default)]
    pub(super) certificate_key: Option<Digest>,
    /// The task is over, the record knows, and nothing is left to do about it.
    #[serde(default)]
    pub(super) wound_up: bool,
}

/// Writes the first value of every server variable of a submission, before its task is on record.
pub(super) async fn keep_initial(
    context: &Context,
    id: LocalTaskId,
    bundle: &Bundle,
) -> Result<BTreeMap<Name, Kept>, PortError> {
    let mut kept = BTreeMap::new();
    let variables = bundle.manifest().variables.iter();
    for (name, spec) in variables.filter(|(_, v)| v.location == Location::Server) {
        let given = bundle.initial(name).cloned();
        let value = given.or_else(|| Tensor::zeros(spec.dtype, spec.shape.clone()));
        let value = value
            .ok_or_else(|| super::internal("coordinator.variables", "a variable is too large"))?;
        let blob = BlobName::submitted_variable(id, name);
        let halves = bundle.manifest().travels_in_half(name);
        let written = write(context, &blob, 0, value, halves).await;
        kept.insert(name.clone(), written.map_err(|e| of(name, e))?);
    }
    Ok(kept)
}

/// Writes a server variable of a task as of `step`.
pub(super) async fn keep(
    context: &Context,
    task: &TaskId,
    step: u32,
    name: &Name,
    value: Tensor,
    halves: bool,
) -> Result<Kept, PortError> {
    let blob = BlobName::server_variable(task, step, name);
    let written = write(context, &blob, step, value, halves).await;
    written.map_err(|e| of(name, e))
}

/// A number that cannot travel is of a variable that has a name.
fn of(name: &Name, error: PortError) -> PortError {
    match error.kind() {
        PortErrorKind::Rejected => {
            let text = format!(
                "variable {name}: {}; leave strategy.transport out",
                error.message()
            );
            PortError::new(PortErrorKind::Rejected, "coordinator.variables", text)
        }
        _ => error,
    }
}

/// Writes a variable as of `step`; `halves`: it will travel as half precision.
async fn write(
    context: &Context,
    blob: &BlobName,
    step: u32,
    value: Tensor,
    halves: bool,
) -> Result<Kept, PortError> {
    let value = Arc::new(value);
    let blobs = &context.ports.blobs;
    let put = || async {
        let (len, file) = npy_stream(&value);
        let (file, digest) = hashed(file);
        blobs.put(blob, file, len).await?;
        digest.await.map_err(|_| {
            super::internal(
                "coordinator.variables",
                "a variable was not read to its end",
            )
        })
    };
    let digest = context.retry_transient(put).await?;
    let half = match halves {
        true => Some(
            context
                .ports
                .compute
                .blocking("coordinator.variables", move || {
                    halved_digest(&value, &digest)
                })
                .await?,
        ),
        false => None,
    };
    Ok(Kept { step, digest, half })
}

/// What became of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Certified {
    /// All proofs hold, and the answer leaves no more open than its author allows.
    Confirmed,
    /// It is not so, or there is no certificate: why, for the author.
    Not(String),
}

/// How a round ended.
pub(super) enum Ended {
    /// With a sum.
    Summed(Contributors),
    /// Without.
    Failed(RoundFailure),
}

/// Whose sum it is, and what was made of it.
#[derive(Default)]
pub(super) struct Contributors {
    /// The step that is over.
    pub(super) step: u32,
    pub(super) clients: Vec<Address>,
    pub(super) dropped: Vec<Address>,
    pub(super) failed: u32,
    pub(super) metrics: BTreeMap<String, f64>,
}

impl RunState {
    pub(super) fn new(
        local_id: LocalTaskId,
        task: TaskId,
        owner: Address,
        bundle: &Bundle,
        variables: BTreeMap<Name, Kept>,
    ) -> Self {
        Self {
            local_id,
            task,
            kind: bundle.manifest().kind,
            owner,
            bundle: Some(bundle.commitment()),
            version: 0,
            step: 0,
            round: 0,
            failures: 0,
            variables,
            previous: Vec::new(),
            previous_failed: 0,
            silent: std::collections::BTreeSet::new(),
            came: std::collections::BTreeSet::new(),
            asked: std::collections::BTreeSet::new(),
            rounds: Vec::new(),
            round_started: Timestamp::default(),
            complete: false,
            tables: BTreeMap::new(),
            certified: None,
            certificate_key: None,
            wound_up: false,
        }
    }

    pub(super) fn restore(stored: &StoredMachine) -> Result<Self, PortError> {
        let mut state: Self = serde_json::from_slice(&stored.snapshot).map_err(|e| {
            PortError::new(
                PortErrorKind::Corrupt,
                "coordinator.restore",
                "the stored task cannot be read",
            )
            .with_source(e)
        })?;
        state.version = stored.version;
        Ok(state)
    }

    /// Gives what was prepared under the names of a submission the names of the task that it has become. After a crash in the midst of it
    /// the rest is moved: what is not there any more has been.
    pub(super) async fn move_in(&self, context: &Context) -> Result<(), PortError> {
        let (id, task) = (self.local_id, &self.task);
        let bundle = (BlobName::submitted(id), BlobName::coordinator_bundle(task));
        let initial = self.variables.iter().filter(|(_, kept)| kept.step == 0);
        let values = initial.map(|(name, _)| {
            let moved = BlobName::server_variable(task, 0, name);
            (BlobName::submitted_variable(id, name), moved)
        });
        let blobs = &context.ports.blobs;
        for (from, to) in values.chain([bundle]) {
            let moved = context.retry_transient(|| blobs.rename(&from, &to)).await;
            match moved {
                Err(e) if e.kind() == PortErrorKind::NotFound => {}
                other => other?,
            }
        }
        if let Err(e) = blobs.remove(&BlobName::submitted_files(id)).await {
            tracing::warn!(%task, "an empty folder stays: {}", report(&e));
        }
        Ok(())
    }

    pub(super) fn change(&self) -> Result<MachineChange, PortError> {
        let snapshot = serde_json::to_vec(self).map_err(|e| {
            PortError::new(
                PortErrorKind::Internal,
                "coordinator.state",
                "cannot be written",
            )
            .with_source(e)
        })?;
        Ok(MachineChange {
            key: MachineKey {
                kind: MachineKind::CoordinatorTask,
                task: self.task.clone(),
                round: 0,
            },
            expected: self.version,
            state: StateChange::Snapshot(snapshot),
            enqueue: Vec::new(),
            done: Vec::new(),
        })
    }

    /// The key under which the last round is stored, if it is.
    pub(super) fn round_key(&self) -> MachineKey {
        MachineKey {
            kind: MachineKind::CoordinatorRound,
            task: self.task.clone(),
            round: self.round,
        }
    }

    /// The last round as the connector's record names it.
    pub(super) fn on_record(&self) -> RoundKey {
        RoundKey {
            kind: self.kind,
            task: self.task.clone(),
            round: RoundNumber(self.round),
        }
    }

    /// What there is to show of a task that is taken up.
    pub(super) fn starting(&self, bundle: &Bundle) -> TaskProgress {
        TaskProgress {
            step: self.step,
            total: bundle.manifest().total_rounds(),
            round: self.round,
            phase: "Starting".into(),
            waiting_for: Vec::new(),
            asking: Vec::new(),
            deadline: self.round_started,
            phases: Vec::new(),
            phase_since: self.round_started,
            connector_away: None,
            rounds: self.rounds.clone(),
        }
    }

    /// What there is to show of a task that does not run any more.
    pub(super) fn done(self) -> TaskProgress {
        TaskProgress {
            step: self.step,
            total: self.step,
            round: self.round,
            phase: "Done".into(),
            waiting_for: Vec::new(),
            asking: Vec::new(),
            deadline: self.round_started,
            phases: Vec::new(),
            phase_since: self.round_started,
            connector_away: None,
            rounds: self.rounds,
        }
    }

    /// Remembers how the last round ended. After a round that finished, this state's step is a later one already.
    pub(super) fn remember(&mut self, now: Timestamp, ended: Ended, phases: Vec<PhaseSpan>) {
        let (end, reason, sum) = match ended {
            Ended::Summed(sum) => (RoundEnd::Finished, None, sum),
            Ended::Failed(RoundFailure { code, reason }) => (
                RoundEnd::Failed(code),
                Some(reason),
                Contributors::default(),
            ),
        };
        let step = if end == RoundEnd::Finished {
            sum.step
        } else {
            self.step
        };
        let report = RoundReport {
            round: self.round,
            step,
            end,
            reason,
            seconds: (now - self.round_started).as_secs_f64(),
            clients: sum.clients,
            dropped: sum.dropped,
            failed: sum.failed,
            metrics: sum.metrics,
            phases,
        };
        self.rounds.push(report);
    }

    /// What a round for the current step is run with, at a node of these settings.
    pub(super) fn round_context(&self, bundle: &Bundle, settings: &Settings) -> CoordinatorContext {
        CoordinatorContext {
            me: self.owner.clone(),
            kind: self.kind,
            announcement: self.announcement(bundle),
            bundle: bundle.commitment(),
            strategy: bundle.manifest().strategy.clone(),
            floor: settings.min_clients,
            patience: settings.patience,
            previous: self.previous.clone(),
            bound: bundle.manifest().is_bound(self.step),
            silent: self.silent.iter().cloned().collect(),
            came: self.came.iter().cloned().collect(),
            asked: self.asked.iter().cloned().collect(),
        }
    }

    /// What the next attempt at the current step computes.
    fn announcement(&self, bundle: &Bundle) -> Announcement {
        let variables = bundle
            .manifest()
            .server_inputs(self.step)
            .into_iter()
            .filter_map(|name| {
                self.variables
                    .get(name)
                    .map(|kept| (name.clone(), kept.travels_as()))
            })
            .collect();
        Announcement {
            task: self.task.clone(),
            round: RoundNumber(self.round),
            step: self.step,
            variables,
        }
    }

    /// Where a server variable lies.
    pub(super) fn blob_of(&self, name: &Name) -> Result<BlobName, PortError> {
        let kept = self.variables.get(name).ok_or_else(|| {
            super::internal(
                "coordinator.variables",
                format!("variable {name} was never written"),
            )
        })?;
        Ok(BlobName::server_variable(&self.task, kept.step, name))
    }

    /// Reads a server variable.
    pub(super) async fn read(&self, context: &Context, name: &Name) -> Result<Tensor, PortError> {
        let blobs = &context.ports.blobs;
        let (len, content) = blobs.open(&self.blob_of(name)?).await?;
        let limit = usize::try_from(len).unwrap_or(usize::MAX);
        let (value, _) = read_npy(content, limit, "coordinator.variables").await?;
        Ok(value)
    }
}
