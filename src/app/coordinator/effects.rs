//! Carrying out the effects of a coordinator's round.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;

use super::attendance::Roll;
use super::presence::Presence;
use super::round_machine::RoundMachine;
use super::sum::Sum;
use crate::context::Context;
use crate::machine::Effects;
use delta_domain::bundle::Bundle;
use delta_domain::ids::{Address, Digest, TxHash};
use delta_domain::round::coordinator::{
    CoordinatorContext, CoordinatorEffect, CoordinatorInput, DroppedMember, Publication,
};
use delta_domain::round::runner::MaskStream;
use delta_ports::blob::BlobName;
use delta_ports::connector::{RoundKey, RoundStatus};
use delta_ports::storage::LogLevel;
use delta_ports::{PortError, PortErrorKind};

/// Everything that the effects of one coordinator's round need.
pub(super) struct RoundEffects {
    pub(super) context: Arc<Context>,
    pub(super) bundle: Arc<Bundle>,
    pub(super) round: CoordinatorContext,
    pub(super) key: RoundKey,
    /// Whom the round waits for while members join.
    pub(super) roll: Arc<Roll>,
    /// Which of the task's members are there.
    pub(super) presence: Arc<Presence>,
}

#[async_trait]
impl Effects<RoundMachine> for RoundEffects {
    async fn carry_out(
        &self,
        effect: &CoordinatorEffect,
        again: bool,
    ) -> Result<Option<CoordinatorInput>, PortError> {
        let input = match effect {
            CoordinatorEffect::StartRound => self.start(again).await?,
            CoordinatorEffect::ReadJoins => self.read_joins().await?,
            CoordinatorEffect::SelectCandidates { u1 } => self.select_candidates(u1, again).await?,
            CoordinatorEffect::ReadKeys { members } => self.read_keys(members).await?,
            CoordinatorEffect::CheckCommitments { pairs } => self.check_commitments(pairs).await?,
            CoordinatorEffect::StartCalculation { u2 } => self.start_calculation(u2, again).await?,
            CoordinatorEffect::ReadResultCommitment { member } => {
                self.read_result_commitment(member).await?
            }
            CoordinatorEffect::StartAggregation { u3 } => self.start_aggregation(u3, again).await?,
            CoordinatorEffect::ReadReveals { receiver, senders } => {
                self.read_reveals(receiver, senders).await?
            }
            CoordinatorEffect::Unmask {
                members,
                masks,
                dropped,
            } => self.unmask(members, masks, dropped).await?,
            CoordinatorEffect::EndRound => self.end(again).await?,
        };
        Ok(Some(input))
    }
}

/// One effect each.
impl RoundEffects {
    async fn start(&self, again: bool) -> Result<CoordinatorInput, PortError> {
        let connector = &self.context.ports.connector;
        let started = again
            && match connector.round(&self.key).await {
                Ok(_) => true,
                Err(e) if e.kind() == PortErrorKind::Rejected => false,
                Err(e) => return Err(e),
            };
        if !started {
            let tx = connector
                .start_round(&self.round.me, &self.key, None)
                .await?;
            self.log(format!("[Start Round] {} start", self.place()), Some(tx))
                .await;
        }
        Ok(CoordinatorInput::Started)
    }

    async fn read_joins(&self) -> Result<CoordinatorInput, PortError> {
        let connector = &self.context.ports.connector;
        let record = connector.round(&self.key).await?;
        let known = connector.nodes(1, 0).await?;
        // What is no address cannot be a member.
        let joined: Vec<Address> = record
            .joined
            .iter()
            .filter_map(|a| a.parse().ok())
            .collect();
        let all: Vec<Address> = known.nodes.into_iter().map(|n| n.address).collect();
        let now = self.context.ports.clock.now();
        let mut known = self.roll.look(now, &joined, all.clone());
        // Whoever is there is waited for, whatever it has missed before.
        let here = self.presence.here();
        let missing = |a: &Address| here.contains(a) && !known.contains(a);
        let also: Vec<Address> = all.into_iter().filter(missing).collect();
        known.extend(also);
        Ok(CoordinatorInput::Joins { joined, known })
    }

    async fn select_candidates(
        &self,
        u1: &[Address],
        again: bool,
    ) -> Result<CoordinatorInput, PortError> {
        self.roll.close();
        if !self.reached(again, RoundStatus::Running).await? {
            let connector = &self.context.ports.connector;
            let tx = connector
                .select_candidates(&self.round.me, &self.key, u1)
                .await?;
            let message = format!(
                "[Select Candidates] {} select candidates {}",
                self.place(),
                list(u1)
            );
            self.log(message, Some(tx)).await;
        }
        Ok(CoordinatorInput::Published(Publication::Selection))
    }

    async fn read_keys(&self, members: &[Address]) -> Result<CoordinatorInput, PortError> {
        let connector = &self.context.ports.connector;
        let keys = connector.public_keys(&self.key, members).await?;
        Ok(CoordinatorInput::PublicKeys(keys))
    }

    /// Reads every receiver's records; where that is rejected or malformed, finds the senders to blame one by one.
    async fn check_commitments(
        &self,
        pairs: &[(Address, Vec<Address>)],
    ) -> Result<CoordinatorInput, PortError> {
        let mut missing = BTreeSet::new();
        for (receiver, senders) in pairs {
            if !self.committed(senders, receiver).await? {
                for sender in senders {
                    if !self
                        .committed(std::slice::from_ref(sender), receiver)
                        .await?
                    {
                        missing.insert(sender.clone());
                    }
                }
            }
        }
        Ok(CoordinatorInput::CommitmentsChecked {
            missing: missing.into_iter().collect(),
        })
    }

    async fn start_calculation(
        &self,
        u2: &[Address],
        again: bool,
    ) -> Result<CoordinatorInput, PortError> {
        if !self.reached(again, RoundStatus::Calculating).await? {
            let connector = &self.context.ports.connector;
            let tx = connector
                .start_calculation(&self.round.me, &self.key, u2)
                .await?;
            let message = format!(
                "[Start Calculation] {} {} start calculation",
                self.place(),
                list(u2)
            );
            self.log(message, Some(tx)).await;
        }
        Ok(CoordinatorInput::Published(Publication::Calculation))
    }

    async fn read_result_commitment(
        &self,
        member: &Address,
    ) -> Result<CoordinatorInput, PortError> {
        let connector = &self.context.ports.connector;
        let commitment = match connector.result_commitment(&self.key, member).await {
            Ok(text) => Some(text),
            Err(e) if e.kind() == PortErrorKind::Rejected => None,
            Err(e) => return Err(e),
        };
        Ok(CoordinatorInput::ResultCommitment {
            member: member.clone(),
            commitment,
        })
    }

    async fn start_aggregation(
        &self,
        u3: &[Address],
        again: bool,
    ) -> Result<CoordinatorInput, PortError> {
        if !self.reached(again, RoundStatus::Aggregating).await? {
            self.log(format!("{} alive members {}", self.place(), list(u3)), None)
                .await;
            let connector = &self.context.ports.connector;
            let tx = connector
                .start_aggregation(&self.round.me, &self.key, u3)
                .await?;
            let message = format!(
                "[Start Aggregation] {} {} start aggregation",
                self.place(),
                list(u3)
            );
            self.log(message, Some(tx)).await;
        }
        Ok(CoordinatorInput::Published(Publication::Aggregation))
    }

    async fn read_reveals(
        &self,
        receiver: &Address,
        senders: &[Address],
    ) -> Result<CoordinatorInput, PortError> {
        let connector = &self.context.ports.connector;
        let records = connector
            .share_records(&self.key, senders, receiver)
            .await?;
        Ok(CoordinatorInput::Reveals {
            receiver: receiver.clone(),
            records,
        })
    }

    /// Adds up the results, takes the masks away, and keeps the sums as a file for the reduce.
    async fn unmask(
        &self,
        members: &[Address],
        masks: &[MaskStream],
        dropped: &[DroppedMember],
    ) -> Result<CoordinatorInput, PortError> {
        let step = self.round.announcement.step;
        let numbers = self.bundle.manifest().contribution_len(step);
        let sum = Sum {
            context: &self.context,
            task: &self.key.task,
            round: self.key.round,
            strategy: &self.round.strategy,
            numbers: numbers.ok_or_else(|| {
                super::internal("coordinator.unmask", "the step is not in the task")
            })?,
        };
        let (len, content) = sum.unmask(members, masks, dropped).await?;
        let name = BlobName::aggregate(&self.key.task, self.key.round);
        self.context.ports.blobs.put(&name, content, len).await?;
        Ok(CoordinatorInput::Unmasked)
    }

    async fn end(&self, again: bool) -> Result<CoordinatorInput, PortError> {
        if !self.reached(again, RoundStatus::Finished).await? {
            let connector = &self.context.ports.connector;
            let tx = connector.end_round(&self.round.me, &self.key).await?;
            self.log(format!("[End Round] {} end", self.place()), Some(tx))
                .await;
        }
        Ok(CoordinatorInput::Published(Publication::End))
    }
}

/// What several effects need.
impl RoundEffects {
    /// Whether the record has got there already: after a lost answer or a restart.
    async fn reached(&self, again: bool, status: RoundStatus) -> Result<bool, PortError> {
        Ok(again && self.context.ports.connector.round(&self.key).await?.status >= status)
    }

    async fn committed(&self, senders: &[Address], receiver: &Address) -> Result<bool, PortError> {
        match self
            .context
            .ports
            .connector
            .share_records(&self.key, senders, receiver)
            .await
        {
            Ok(records) => Ok(records.iter().all(|r| {
                let valid =
                    |c: &Option<String>| c.as_ref().is_some_and(|c| c.parse::<Digest>().is_ok());
                valid(&r.seed_commitment) && valid(&r.secret_key_commitment)
            })),
            Err(e) if e.kind() == PortErrorKind::Rejected => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn place(&self) -> String {
        format!("task {} round {}", self.key.task, self.key.round)
    }

    async fn log(&self, message: String, tx: Option<TxHash>) {
        self.context
            .log(LogLevel::Info, &self.key.task, message, tx)
            .await;
    }
}

/// Members in the form of the original's log lines.
fn list(members: &[Address]) -> String {
    let quoted: Vec<String> = members.iter().map(|a| format!("'{a}'")).collect();
    format!("[{}]", quoted.join(", "))
}
