//! Carrying out the effects of a coordinator's round.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::sum::Sum;
use crate::context::Context;
use crate::machine::{Effects, Machine};
use delta_domain::bundle::Bundle;
use delta_domain::ids::{Address, Digest, TxHash};
use delta_domain::npy::encode_npz;
use delta_domain::round::coordinator::{
    CoordinatorContext, CoordinatorEffect, CoordinatorInput, CoordinatorRound, Publication,
};
use delta_domain::round::{FailureCode, Rejection};
use delta_domain::tensor::Tensor;
use delta_domain::time::Timestamp;
use delta_ports::blob::BlobName;
use delta_ports::blob::pieces;
use delta_ports::connector::{RoundKey, RoundStatus};
use delta_ports::storage::{LogLevel, MachineKind};
use delta_ports::{PortError, PortErrorKind};

/// A coordinator's round as a machine that outlives restarts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct RoundMachine(pub(crate) CoordinatorRound);

impl Machine for RoundMachine {
    type Input = CoordinatorInput;
    type Effect = CoordinatorEffect;
    const KIND: MachineKind = MachineKind::CoordinatorRound;

    fn handle(
        &mut self,
        now: Timestamp,
        input: CoordinatorInput,
    ) -> Result<Vec<CoordinatorEffect>, Rejection> {
        self.0.handle(now, input)
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.0.deadline()
    }

    fn is_over(&self) -> bool {
        self.0.is_over()
    }

    fn tick() -> CoordinatorInput {
        CoordinatorInput::Tick
    }

    // The state grows with every member's shares, and there is a request of each in every phase.
    fn journalled(input: &CoordinatorInput) -> Option<Result<Vec<u8>, serde_json::Error>> {
        Some(serde_json::to_vec(input))
    }

    fn replayed(entry: &[u8]) -> Result<CoordinatorInput, serde_json::Error> {
        serde_json::from_slice(entry)
    }

    fn effect_failed(effect: &CoordinatorEffect, error: &PortError) -> Option<CoordinatorInput> {
        let code = match effect {
            // The next poll looks again.
            CoordinatorEffect::ReadJoins
            | CoordinatorEffect::ReadReveals { .. }
            | CoordinatorEffect::ReadResultCommitment { .. } => return None,
            CoordinatorEffect::Unmask { .. } => FailureCode::Computation,
            _ => FailureCode::Infrastructure,
        };
        let reason = format!("{}: {}", effect.name(), error.message());
        Some(CoordinatorInput::EffectFailed { code, reason })
    }
}

/// Everything that the effects of one coordinator's round need.
pub(super) struct RoundEffects {
    pub(super) context: Arc<Context>,
    pub(super) bundle: Arc<Bundle>,
    pub(super) round: CoordinatorContext,
    pub(super) key: RoundKey,
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
            CoordinatorEffect::SelectCandidates { u1 } => {
                if !self.reached(again, RoundStatus::Running).await? {
                    let tx = self
                        .context
                        .ports
                        .connector
                        .select_candidates(&self.round.me, &self.key, u1)
                        .await?;
                    self.log(
                        format!(
                            "[Select Candidates] {} select candidates {}",
                            self.place(),
                            list(u1)
                        ),
                        Some(tx),
                    )
                    .await;
                }
                CoordinatorInput::Published(Publication::Selection)
            }
            CoordinatorEffect::ReadKeys { members } => CoordinatorInput::PublicKeys(
                self.context
                    .ports
                    .connector
                    .public_keys(&self.key, members)
                    .await?,
            ),
            CoordinatorEffect::CheckCommitments { pairs } => self.check_commitments(pairs).await?,
            CoordinatorEffect::StartCalculation { u2 } => {
                if !self.reached(again, RoundStatus::Calculating).await? {
                    let tx = self
                        .context
                        .ports
                        .connector
                        .start_calculation(&self.round.me, &self.key, u2)
                        .await?;
                    self.log(
                        format!(
                            "[Start Calculation] {} {} start calculation",
                            self.place(),
                            list(u2)
                        ),
                        Some(tx),
                    )
                    .await;
                }
                CoordinatorInput::Published(Publication::Calculation)
            }
            CoordinatorEffect::ReadResultCommitment { member } => {
                let commitment = match self
                    .context
                    .ports
                    .connector
                    .result_commitment(&self.key, member)
                    .await
                {
                    Ok(text) => Some(text),
                    Err(e) if e.kind() == PortErrorKind::Rejected => None,
                    Err(e) => return Err(e),
                };
                CoordinatorInput::ResultCommitment {
                    member: member.clone(),
                    commitment,
                }
            }
            CoordinatorEffect::StartAggregation { u3 } => {
                if !self.reached(again, RoundStatus::Aggregating).await? {
                    self.log(format!("{} alive members {}", self.place(), list(u3)), None)
                        .await;
                    let tx = self
                        .context
                        .ports
                        .connector
                        .start_aggregation(&self.round.me, &self.key, u3)
                        .await?;
                    self.log(
                        format!(
                            "[Start Aggregation] {} {} start aggregation",
                            self.place(),
                            list(u3)
                        ),
                        Some(tx),
                    )
                    .await;
                }
                CoordinatorInput::Published(Publication::Aggregation)
            }
            CoordinatorEffect::ReadReveals { receiver, senders } => {
                let records = self
                    .context
                    .ports
                    .connector
                    .share_records(&self.key, senders, receiver)
                    .await?;
                CoordinatorInput::Reveals {
                    receiver: receiver.clone(),
                    records,
                }
            }
            CoordinatorEffect::Unmask {
                members,
                masks,
                dropped,
            } => {
                let step = self.round.announcement.step;
                let manifest = self.bundle.manifest();
                let (Some(spec), Some(length)) =
                    (manifest.round_spec(step), manifest.contribution_len(step))
                else {
                    return Err(super::internal(
                        "coordinator.unmask",
                        "the step is not in the task",
                    ));
                };
                let sum = Sum {
                    context: &self.context,
                    task: &self.key.task,
                    round: self.key.round,
                    strategy: &self.round.strategy,
                    contributions: &spec.map.contribute,
                    length,
                };
                let sums = sum.unmask(members, masks, dropped).await?;
                let arrays: Vec<(&str, &Tensor)> =
                    sums.iter().map(|(n, t)| (n.as_str(), t)).collect();
                let bytes = encode_npz(&arrays)
                    .map_err(|e| super::internal("coordinator.unmask", e.to_string()))?;
                let len = bytes.len() as u64;
                let name = BlobName::aggregate(&self.key.task, self.key.round);
                self.context
                    .ports
                    .blobs
                    .put(&name, pieces(bytes), len)
                    .await?;
                CoordinatorInput::Unmasked
            }
            CoordinatorEffect::EndRound => {
                if !self.reached(again, RoundStatus::Finished).await? {
                    let tx = self
                        .context
                        .ports
                        .connector
                        .end_round(&self.round.me, &self.key)
                        .await?;
                    self.log(format!("[End Round] {} end", self.place()), Some(tx))
                        .await;
                }
                CoordinatorInput::Published(Publication::End)
            }
        };
        Ok(Some(input))
    }
}

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
        let joined = record
            .joined
            .iter()
            .filter_map(|a| a.parse().ok())
            .collect();
        let known = known.nodes.into_iter().map(|n| n.address).collect();
        Ok(CoordinatorInput::Joins { joined, known })
    }

    /// Whether the record has got there already: after a lost answer or a restart.
    async fn reached(&self, again: bool, status: RoundStatus) -> Result<bool, PortError> {
        Ok(again && self.context.ports.connector.round(&self.key).await?.status >= status)
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
