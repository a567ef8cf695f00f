//! Carrying out the effects of a coordinator's round.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::attendance::Roll;
use super::presence::Presence;
use super::round_machine::RoundMachine;
use super::run::{Ahead, Reduce};
use super::sum::Sum;
use super::sum::aggregate::overheard;
use crate::context::Context;
use crate::machine::Effects;
use crate::once::{Call, Lead, OnRecord, once};
use crate::runner::tables::shown_table;
use delta_domain::bundle::Bundle;
use delta_domain::ids::{Address, Digest, TxHash};
use delta_domain::round::Pacing;
use delta_domain::round::coordinator::{
    CoordinatorContext, CoordinatorEffect, CoordinatorInput, DroppedMember, Publication,
};
use delta_domain::round::runner::MaskStream;
use delta_ports::blob::BlobName;
use delta_ports::connector::{RoundKey, WalletView};
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
    /// What follows from the sum.
    pub(super) reduce: Reduce,
    pub(super) ahead: Arc<Ahead>,
    /// What members' tables are committed to as far as earlier rounds have seen it; `None` where nothing is certified.
    pub(super) tables: Option<BTreeMap<Address, Digest>>,
    /// Who has been named in the log as one without a commitment.
    pub(super) uncommitted: Mutex<BTreeSet<Address>>,
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
        let announcement = &self.round.announcement;
        let certify = self.bundle.manifest().certified_in(announcement.step);
        // Members read there which answer all of them are shown.
        let weights = certify.and_then(|certify| announcement.variables.get(&certify.answer));
        let tx = self.lead(again, Lead::Start(weights)).await?;
        self.log(format!("[Start Round] {} start", self.place()), tx)
            .await;
        Ok(CoordinatorInput::Started)
    }

    async fn read_joins(&self) -> Result<CoordinatorInput, PortError> {
        let connector = &self.context.ports.connector;
        let record = connector.round(&self.key).await?;
        let record = record.ok_or_else(|| {
            // It was started: whoever answers is behind, and is asked again.
            let text = "the round is not on record yet";
            PortError::new(PortErrorKind::Unavailable, "coordinator.read_joins", text)
        })?;
        let known = connector.all_nodes().await?;
        // What is no address cannot be a member.
        let joined: Vec<Address> = record
            .joined
            .iter()
            .filter_map(|a| a.parse().ok())
            .collect();
        let all: Vec<Address> = known.into_iter().map(|n| n.address).collect();
        let now = self.context.ports.clock.now();
        let mut known = self.roll.look(now, self.turn(), &joined, all.clone());
        // Whoever is there is waited for, whatever it has missed before.
        let here = self.presence.here();
        let missing = |a: &Address| here.contains(a) && !known.contains(a);
        let also: Vec<Address> = all.into_iter().filter(missing).collect();
        known.extend(also);
        let (joined, tables) = self.committed(joined).await?;
        Ok(CoordinatorInput::Joins {
            joined,
            known,
            tables,
        })
    }

    /// Those who have committed to their tables, and to what, where the answer is certified: nobody else is selected.
    async fn committed(
        &self,
        joined: Vec<Address>,
    ) -> Result<(Vec<Address>, BTreeMap<Address, Digest>), PortError> {
        let mut tables = BTreeMap::new();
        let Some(before) = &self.tables else {
            return Ok((joined, tables));
        };
        let mut committed = Vec::with_capacity(joined.len());
        for member in joined {
            if before.contains_key(&member) {
                committed.push(member);
                continue;
            }
            match shown_table(&self.context, &self.key.task, &member).await? {
                Some(table) => {
                    tables.insert(member.clone(), table);
                    committed.push(member);
                }
                None => self.name_uncommitted(&member).await,
            }
        }
        Ok((committed, tables))
    }

    async fn name_uncommitted(&self, member: &Address) {
        let news = {
            let named = self.uncommitted.lock();
            let mut named = named.unwrap_or_else(PoisonError::into_inner);
            named.insert(member.clone())
        };
        if news {
            let text = format!(
                "{} {member} has joined without a commitment to its table on the data hub: it is not selected before there is one",
                self.place()
            );
            self.context
                .log(LogLevel::Warn, &self.key.task, text, None)
                .await;
        }
    }

    async fn select_candidates(
        &self,
        u1: &[Address],
        again: bool,
    ) -> Result<CoordinatorInput, PortError> {
        self.roll.close();
        let tx = self.lead(again, Lead::Select(u1)).await?;
        let message = format!(
            "[Select Candidates] {} select candidates {}",
            self.place(),
            list(u1)
        );
        self.log(message, tx).await;
        Ok(CoordinatorInput::Published(Publication::Selection))
    }

    async fn read_keys(&self, members: &[Address]) -> Result<CoordinatorInput, PortError> {
        let connector = &self.context.ports.connector;
        let keys = connector.public_keys(&self.key, members).await?;
        Ok(CoordinatorInput::PublicKeys(keys))
    }

    /// Reads every receiver's records, and finds the senders to blame.
    async fn check_commitments(
        &self,
        pairs: &[(Address, Vec<Address>)],
    ) -> Result<CoordinatorInput, PortError> {
        let mut missing = BTreeSet::new();
        for (receiver, senders) in pairs {
            let connector = &self.context.ports.connector;
            let records = connector
                .share_records(&self.key, senders, receiver)
                .await?;
            let valid =
                |c: &Option<String>| c.as_ref().is_some_and(|c| c.parse::<Digest>().is_ok());
            let of_all = senders.iter().zip(&records);
            let without = of_all
                .filter(|(_, r)| !(valid(&r.seed_commitment) && valid(&r.secret_key_commitment)));
            missing.extend(without.map(|(sender, _)| sender.clone()));
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
        let tx = self.lead(again, Lead::Calculate(u2)).await?;
        let message = format!(
            "[Start Calculation] {} {} start calculation",
            self.place(),
            list(u2)
        );
        self.log(message, tx).await;
        Ok(CoordinatorInput::Published(Publication::Calculation))
    }

    async fn read_result_commitment(
        &self,
        member: &Address,
    ) -> Result<CoordinatorInput, PortError> {
        let connector = &self.context.ports.connector;
        let commitment = connector.result_commitment(&self.key, member).await?;
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
        let tx = self.lead(again, Lead::Aggregate(u3)).await?;
        self.log(format!("{} alive members {}", self.place(), list(u3)), None)
            .await;
        let message = format!(
            "[Start Aggregation] {} {} start aggregation",
            self.place(),
            list(u3)
        );
        self.log(message, tx).await;
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

    /// Adds up the results, takes the masks away, and keeps the sums as a file for the reduce, which begins meanwhile.
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
        let round = self.bundle.manifest().round_spec(step);
        let contributions = round.map_or(&[][..], |round| &round.map.contribute);
        let (len, content) = sum.unmask(members, masks, dropped, contributions).await?;
        let (content, sums) = overheard(content, contributions)?;
        let contributed = u32::try_from(members.len()).unwrap_or(u32::MAX);
        self.ahead.begin(self.reduce.clone(), contributed, sums);
        let name = BlobName::aggregate(&self.key.task, self.key.round);
        self.context.ports.blobs.put(&name, content, len).await?;
        Ok(CoordinatorInput::Unmasked)
    }

    async fn end(&self, again: bool) -> Result<CoordinatorInput, PortError> {
        let tx = self.lead(again, Lead::End).await?;
        self.log(format!("[End Round] {} end", self.place()), tx)
            .await;
        Ok(CoordinatorInput::Published(Publication::End))
    }
}

/// What several effects need.
impl RoundEffects {
    /// Leads the round a step on, unless it is there already: where an earlier try did it, the transaction is not known.
    async fn lead(&self, again: bool, lead: Lead<'_>) -> Result<Option<TxHash>, PortError> {
        let ports = &self.context.ports;
        let mut leading = OnRecord {
            connector: &*ports.connector,
            clock: &*ports.clock,
            call: Call::Lead(&self.round.me, &self.key, lead),
        };
        Ok(once(&mut leading, again).await?.now())
    }

    /// How long a call may have to wait for its turn: others' wallets may be as busy as this one.
    fn turn(&self) -> Duration {
        let WalletView { block, waiting, .. } = self.context.ports.connector.wallet();
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        Pacing { block, waiting }.of_a_turn()
    }

    fn place(&self) -> String {
        format!("task {} round {}", self.key.task, self.key.round)
    }

    async fn log(&self, message: String, tx: Option<TxHash>) {
        self.context.step(&self.key.task, message, tx).await;
    }
}

/// Members in the form of the original's log lines.
fn list(members: &[Address]) -> String {
    let quoted: Vec<String> = members.iter().map(|a| format!("'{a}'")).collect();
    format!("[{}]", quoted.join(", "))
}
