//! The one writer: decides calls in the order they come, stores, applies, publishes, answers.
//!
//! Calls that wait together share one transaction, so that a wait for the disk is shared too. Nothing of a group is published or
//! answered before it is committed, reads included: they may have seen its changes. If storing fails, the whole group fails and
//! the record is read again from the file.

use std::sync::Arc;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::broadcast::Broadcast;
use super::resident::Resident;
use super::store::Store;
use delta_domain::connector_record::{
    Command, Decision, Record, RecordEvent, Rejection, fresh_hex,
};
use delta_ports::clock::Clock;
use delta_ports::connector::{Receipt, rejected};
use delta_ports::{PortError, PortErrorKind};

/// Largest group of calls in one transaction.
const GROUP: usize = 128;

/// One call on its way.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) op: &'static str,
    pub(super) command: Command,
    pub(super) reply: oneshot::Sender<Result<Receipt, PortError>>,
}

pub(super) struct Writer {
    record: Record,
    store: Store,
    clock: Arc<dyn Clock>,
    rng: ChaCha20Rng,
    broadcast: Arc<Broadcast>,
    resident: Resident,
    /// The record in memory is not what the file says: read it before the next call.
    stale: bool,
}

impl Writer {
    pub(super) fn new(
        record: Record,
        store: Store,
        clock: Arc<dyn Clock>,
        broadcast: Arc<Broadcast>,
        memory: usize,
    ) -> Result<Self, PortError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|e| {
            PortError::new(
                PortErrorKind::Unavailable,
                "connector.open",
                "the system has no randomness",
            )
            .with_source(e)
        })?;
        let rng = ChaCha20Rng::from_seed(seed);
        Ok(Self {
            record,
            store,
            clock,
            rng,
            broadcast,
            resident: Resident::new(memory),
            stale: false,
        })
    }

    /// Serves calls until `stop`, then those that wait, then closes the file.
    pub(super) async fn run(mut self, mut jobs: mpsc::Receiver<Job>, stop: CancellationToken) {
        loop {
            let first = tokio::select! {
                biased;
                job = jobs.recv() => job,
                () = stop.cancelled(), if !jobs.is_closed() => {
                    jobs.close();
                    continue;
                }
            };
            let Some(first) = first else { break };
            let mut group = vec![first];
            while group.len() < GROUP
                && let Ok(job) = jobs.try_recv()
            {
                group.push(job);
            }
            self.serve(group).await;
        }
        self.store.close().await;
    }

    async fn serve(&mut self, group: Vec<Job>) {
        let mut answered = Vec::with_capacity(group.len());
        let mut events = Vec::new();
        let outcome = self.work(group, &mut answered, &mut events).await;
        if let Err(error) = outcome {
            tracing::error!(
                error = delta_ports::report(&error),
                "the connector's record could not be stored"
            );
            self.stale = true;
            for Answered { op, reply, .. } in answered {
                let failed = PortError::new(
                    error.kind(),
                    op,
                    "the connector's record could not be stored",
                );
                let _nobody_waits = reply.send(Err(failed));
            }
            return;
        }
        for event in events {
            if let RecordEvent::DataRegistered {
                owner,
                name,
                index,
                commitment,
            } = &event
            {
                // A later one takes its place on the record, as in the original: these lines are the history.
                tracing::info!(owner, name, index, commitment, "data are registered");
            }
            self.broadcast.publish(event);
        }
        for Answered { reply, outcome, .. } in answered {
            let _nobody_waits = reply.send(outcome);
        }
        self.resident.shrink(&mut self.record);
    }

    /// On error every job of the group is in `answered` all the same, so that none is left without a reply.
    async fn work(
        &mut self,
        group: Vec<Job>,
        answered: &mut Vec<Answered>,
        events: &mut Vec<RecordEvent>,
    ) -> Result<(), PortError> {
        let alone = group.len() == 1;
        let mut trouble = if self.stale {
            self.reload().await.err()
        } else {
            None
        };
        let now = self.clock.now().0 / 1000;
        let mut in_transaction = false;
        for Job { op, command, reply } in group {
            let mut outcome = Err(PortError::new(PortErrorKind::Internal, op, "not decided"));
            if trouble.is_none() {
                match self
                    .one(op, now, &command, alone, &mut in_transaction, events)
                    .await
                {
                    Ok(answer) => outcome = answer,
                    Err(error) => trouble = Some(error),
                }
            }
            answered.push(Answered { op, reply, outcome });
        }
        match trouble {
            None if in_transaction => self.store.commit().await,
            None => Ok(()),
            Some(error) => {
                if in_transaction {
                    self.store.roll_back().await;
                }
                Err(error)
            }
        }
    }

    /// The outer error is the store's, the inner one the caller's.
    async fn one(
        &mut self,
        op: &'static str,
        now: u64,
        command: &Command,
        alone: bool,
        in_transaction: &mut bool,
        events: &mut Vec<RecordEvent>,
    ) -> Result<Result<Receipt, PortError>, PortError> {
        let Decision {
            answer,
            changes,
            event,
        } = match self.decide(now, command).await? {
            Ok(decision) => decision,
            Err(rejection) => return Ok(Err(rejected(op, rejection))),
        };
        let writes = !command.is_read();
        let atomic = changes.is_empty() || (alone && Store::is_one_statement(&changes));
        if !atomic && !*in_transaction {
            self.store.begin().await?;
            *in_transaction = true;
        }
        for change in &changes {
            self.store.write(change).await?;
        }
        for change in changes {
            self.record.apply(change).map_err(|bad| {
                PortError::new(
                    PortErrorKind::Internal,
                    op,
                    "a decision does not fit the record",
                )
                .with_source(bad)
            })?;
        }
        events.extend(event);
        let tx_hash = if writes {
            fresh_hex(&mut self.rng)
        } else {
            String::new()
        };
        Ok(Ok(Receipt { tx_hash, answer }))
    }

    /// Decides, loading the members of the rounds that the call is about.
    async fn decide(
        &mut self,
        now: u64,
        command: &Command,
    ) -> Result<Result<Decision, Rejection>, PortError> {
        loop {
            let decided = self.record.decide(now, &mut self.rng, command);
            if let Some(id) = self.record.round_named(command) {
                self.resident.touch(id);
            }
            match decided {
                Err(Rejection::NeedsBody(id)) => {
                    let changes = self.store.body(id).await?;
                    self.record.restore_body(id, changes).map_err(|bad| {
                        PortError::new(
                            PortErrorKind::Corrupt,
                            "connector.load",
                            "a round is damaged",
                        )
                        .with_source(bad)
                    })?;
                    self.resident.touch(id);
                }
                decided => return Ok(decided),
            }
        }
    }

    #[cfg(test)]
    pub(super) fn broadcast(&self) -> &Broadcast {
        &self.broadcast
    }

    /// Runs the calls as one group.
    #[cfg(test)]
    pub(super) async fn run_group(
        &mut self,
        commands: Vec<Command>,
    ) -> Vec<Result<Receipt, PortError>> {
        let (jobs, replies): (Vec<_>, Vec<_>) = commands
            .into_iter()
            .map(|command| {
                let (reply, answer) = oneshot::channel();
                (
                    Job {
                        op: "test",
                        command,
                        reply,
                    },
                    answer,
                )
            })
            .unzip();
        self.serve(jobs).await;
        replies
            .into_iter()
            .map(|mut reply| reply.try_recv().unwrap())
            .collect()
    }

    async fn reload(&mut self) -> Result<(), PortError> {
        self.record = self.store.load().await?;
        self.resident.clear();
        self.stale = false;
        Ok(())
    }
}

struct Answered {
    op: &'static str,
    reply: oneshot::Sender<Result<Receipt, PortError>>,
    outcome: Result<Receipt, PortError>,
}
