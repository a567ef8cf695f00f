//! The pk1 that this node has for a task: drawn with its first round, sealed on disk until the task is over, and gone with it.
//!
//! It is a row of its own, because what is deleted is overwritten and what is changed may stay in the database's log.

use super::Membership;
use crate::machine::{erase, open_value, seal};
use delta_domain::secagg::keys::Curve;
use delta_domain::secagg::sealing::SealingPair;
use delta_ports::storage::{MachineChange, MachineKey, MachineKind, StateChange, StoredMachine};
use delta_ports::{PortError, report};

impl Membership {
    /// The pk1 of the task; when it is new, with the change that keeps it, which belongs into the transaction of the round that it is
    /// for: nothing is said under a key that a restart would lose.
    ///
    /// # Errors
    /// The database cannot be read, or there is no randomness.
    pub(super) async fn pair(
        &mut self,
        curve: Curve,
    ) -> Result<(SealingPair, Option<MachineChange>), PortError> {
        let right = |pair: &SealingPair| pair.pair().curve() == curve;
        if let Some(pair) = self.pair.clone().filter(right) {
            return Ok((pair, None));
        }
        let stored = self.stored_pair().await?;
        if let Some(pair) = stored.as_ref().and_then(|s| self.opened(s)).filter(right) {
            self.pair = Some(pair.clone());
            return Ok((pair, None));
        }
        let ports = self.context.machine_ports();
        let pair = SealingPair::generate(curve, &mut ports.entropy.rng()?);
        let key = self.pair_key();
        let change = MachineChange {
            state: StateChange::Snapshot(seal(&ports, &key, &pair)?),
            expected: stored.map_or(0, |stored| stored.version),
            key,
            enqueue: Vec::new(),
            done: Vec::new(),
        };
        Ok((pair, Some(change)))
    }

    /// After a restart: rounds that go on and those that follow remember together what they agree.
    pub(super) async fn resume_pair(&mut self) {
        // Of a task that its owner has left none stays, even if the node was killed right after.
        if let Some(Err(_)) = self.state.verdict {
            return self.forget_pair().await;
        }
        match self.stored_pair().await {
            Ok(stored) => self.pair = stored.and_then(|stored| self.opened(&stored)),
            Err(e) => tracing::warn!(task = %self.state.task, "{}", report(&e)),
        }
    }

    /// Deletes it. Rounds that are open have it until they are over.
    pub(super) async fn forget_pair(&mut self) {
        self.pair = None;
        let (ports, key) = (self.context.machine_ports(), self.pair_key());
        let erased = self.context.retry_transient(|| erase(&ports, &key)).await;
        if let Err(e) = erased {
            tracing::warn!(task = %self.state.task, "the task's key stays until the next start: {}", report(&e));
        }
    }

    async fn stored_pair(&self) -> Result<Option<StoredMachine>, PortError> {
        let (storage, key) = (&self.context.ports.storage, self.pair_key());
        self.retry_transient(|| storage.machine(&key)).await
    }

    /// One that cannot be read is replaced: no round needs the one before.
    fn opened(&self, stored: &StoredMachine) -> Option<SealingPair> {
        match open_value(&self.context.machine_ports(), stored) {
            Ok(pair) => Some(pair),
            Err(e) => {
                tracing::warn!(task = %self.state.task, "another key is drawn for the task: {}", report(&e));
                None
            }
        }
    }

    fn pair_key(&self) -> MachineKey {
        MachineKey {
            kind: MachineKind::RunnerKeys,
            task: self.state.task.clone(),
            round: 0,
        }
    }
}
