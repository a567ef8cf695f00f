//! Rounds and who is in them (CONNECTOR.md section 6).
//!
//! Tighter than the reference, as its section 14 allows: a node joins once, a round starts once, only the owner moves it,
//! lists are neither empty nor repeated, and a finished task takes no new round, member or step.
//! An identical repeat by the same caller is answered as the first time and publishes nothing.

use std::collections::BTreeSet;

use super::change::Change;
use super::command::{Command, RoundRef, Step};
use super::decision::{Answer, Decision, Decline, RoundView, refuse};
use super::event::RecordEvent;
use super::state::{Body, Record, Round, RoundId, Status};
use crate::task::TaskKind;

impl Record {
    pub(super) fn start_round(
        &self,
        now: u64,
        at: &RoundRef,
        address: &str,
        weight_commitment: &str,
    ) -> Result<Decision, Decline> {
        self.alive(now, address)?;
        let Ok((index, task)) = self.task_of(at.kind, &at.task, Some(address)) else {
            return refuse(format!("task of id {} doesn't exist", at.task));
        };
        if task.finished {
            return refuse(already_finished(at));
        }
        if let Some(round) = task.rounds.get(&at.round).and_then(|&id| self.round_at(id)) {
            let latest = task
                .rounds
                .last_key_value()
                .is_some_and(|(&n, _)| n == at.round);
            if latest
                && round.status == Status::Started
                && round.weight_commitment == weight_commitment
            {
                return Ok(Decision::repeated());
            }
            return refuse(format!(
                "task {} round {} already exists",
                at.task, at.round
            ));
        }
        let change = Change::Round {
            id: self.next_round(),
            task: index,
            number: at.round,
            weight_commitment: weight_commitment.to_owned(),
        };
        Ok(
            Decision::done(change).and_publish(RecordEvent::RoundStarted {
                task: at.task.clone(),
                round: at.round,
            }),
        )
    }

    pub(super) fn join_round(
        &self,
        now: u64,
        at: &RoundRef,
        address: &str,
        pk1: &str,
        pk2: &str,
    ) -> Result<Decision, Decline> {
        self.alive(now, address)?;
        let (id, round) = self.round_of(at, None)?;
        if round.status != Status::Started {
            return refuse(format!(
                "task {} round {} status is not Started",
                at.task, at.round
            ));
        }
        self.refuse_if_finished(at, round)?;
        match self.body_of(id)?.member(address) {
            Some((_, m)) if m.pk1 == pk1 && m.pk2 == pk2 => Ok(Decision::repeated()),
            Some(_) => refuse(format!(
                "task {} round {} member {address} has already joined",
                at.task, at.round
            )),
            None => Ok(Decision::done(Change::Member {
                round: id,
                address: address.to_owned(),
                status: Status::Started,
                pk1: pk1.to_owned(),
                pk2: pk2.to_owned(),
            })),
        }
    }

    pub(super) fn round(&self, at: &RoundRef) -> Result<Decision, Decline> {
        let (id, round) = self.round_of(at, None)?;
        let body = self.body_of(id)?;
        Ok(Decision::read(Answer::Round(RoundView {
            status: round.status,
            joined: body.members.iter().map(|m| m.address.clone()).collect(),
            finished: body
                .at(Status::Aggregating)
                .map(|(address, _)| address.to_owned())
                .collect(),
        })))
    }

    pub(super) fn advance(
        &self,
        now: u64,
        step: Step,
        at: &RoundRef,
        address: &str,
        clients: &[String],
    ) -> Result<Decision, Decline> {
        if step == Step::Select {
            self.alive(now, address)?;
        }
        let (id, round) = self.round_of(at, Some(address))?;
        let body = self.body_of(id)?;
        let (from, to) = step.statuses();
        let listed: BTreeSet<&str> = clients.iter().map(String::as_str).collect();
        if round.status == to
            && listed.len() == clients.len()
            && body.at(to).map(|(a, _)| a).collect::<BTreeSet<_>>() == listed
        {
            return Ok(Decision::repeated());
        }
        if round.status != from {
            return refuse(step.wrong_status(at));
        }
        self.refuse_if_finished(at, round)?;
        let mut members = Vec::with_capacity(clients.len());
        for client in clients {
            match body.member(client) {
                Some((place, member)) if member.status == from => members.push(place),
                _ => return refuse(step.wrong_client(client)),
            }
        }
        if clients.is_empty() {
            return refuse(format!(
                "task {} round {} the list of clients is empty",
                at.task, at.round
            ));
        }
        if listed.len() != clients.len() {
            return refuse(format!(
                "task {} round {} a client is listed twice",
                at.task, at.round
            ));
        }
        let (task, round, addrs) = (at.task.clone(), at.round, clients.to_vec());
        let event = match step {
            Step::Select => RecordEvent::PartnerSelected { task, round, addrs },
            Step::Calculate => RecordEvent::CalculationStarted { task, round, addrs },
            Step::Aggregate => RecordEvent::AggregationStarted { task, round, addrs },
        };
        Ok(Decision::done(Change::RoundStatus {
            id,
            status: to,
            members,
        })
        .and_publish(event))
    }

    pub(super) fn public_keys(
        &self,
        at: &RoundRef,
        clients: &[String],
    ) -> Result<Decision, Decline> {
        if clients.is_empty() {
            return Ok(Decision::read(Answer::Keys(Vec::new())));
        }
        let missing = || {
            Decline::Refused(format!(
                "task {} round {} some member in clients doesn't exist",
                at.task, at.round
            ))
        };
        let Ok((id, _)) = self.round_of(at, None) else {
            return Err(missing());
        };
        let body = self.body_of(id)?;
        let members = clients
            .iter()
            .map(|c| body.member(c).ok_or_else(missing))
            .collect::<Result<Vec<_>, _>>()?;
        if members
            .iter()
            .map(|(place, _)| place)
            .collect::<BTreeSet<_>>()
            .len()
            != clients.len()
        {
            return Err(missing());
        }
        // The reference looks at the members in join order, so the first one to blame is the first that joined.
        if let Some((_, m)) = members
            .iter()
            .filter(|(_, m)| m.status < Status::Running)
            .min_by_key(|(place, _)| *place)
        {
            return refuse(format!("member {} hasn't join this round", m.address));
        }
        Ok(Decision::read(Answer::Keys(
            members
                .into_iter()
                .map(|(_, m)| (m.pk1.clone(), m.pk2.clone()))
                .collect(),
        )))
    }

    pub(super) fn end_round(&self, at: &RoundRef, address: &str) -> Result<Decision, Decline> {
        let (id, round) = self.round_of(at, Some(address))?;
        match round.status {
            Status::Finished => Ok(Decision::repeated()),
            Status::Aggregating => {
                let change = Change::RoundStatus {
                    id,
                    status: Status::Finished,
                    members: Vec::new(),
                };
                Ok(Decision::done(change).and_publish(RecordEvent::RoundEnded {
                    task: at.task.clone(),
                    round: at.round,
                }))
            }
            Status::Started | Status::Running | Status::Calculating => refuse(format!(
                "round {} status is not in aggregationg status",
                at.round
            )),
        }
    }

    pub(super) fn weight_commitment(&self, task: &str, round: i32) -> Result<Decision, Decline> {
        let at = RoundRef {
            kind: TaskKind::Hlr,
            task: task.to_owned(),
            round,
        };
        let (_, round) = self.round_of(&at, None)?;
        Ok(Decision::read(Answer::Commitment(
            round.weight_commitment.clone(),
        )))
    }

    /// The round that a call names, if it is on record.
    #[must_use]
    pub fn round_named(&self, command: &Command) -> Option<RoundId> {
        self.round_of(command.round_ref()?, None)
            .ok()
            .map(|(id, _)| id)
    }

    /// A round; with `owner`, only if its task is that node's.
    pub(super) fn round_of(
        &self,
        at: &RoundRef,
        owner: Option<&str>,
    ) -> Result<(RoundId, &Round), Decline> {
        self.task_of(at.kind, &at.task, owner)
            .ok()
            .and_then(|(_, task)| task.rounds.get(&at.round))
            .and_then(|&id| Some((id, self.round_at(id)?)))
            .ok_or_else(|| {
                Decline::Refused(format!("task {} round {} doesn't exist", at.task, at.round))
            })
    }

    pub(super) fn body_of(&self, id: RoundId) -> Result<&Body, Decline> {
        self.body(id).ok_or(Decline::NeedsBody(id))
    }

    fn refuse_if_finished(&self, at: &RoundRef, round: &Round) -> Result<(), Decline> {
        match self.task_at(round.task) {
            Some(task) if task.finished => refuse(already_finished(at)),
            _ => Ok(()),
        }
    }
}

impl Step {
    fn statuses(self) -> (Status, Status) {
        match self {
            Self::Select => (Status::Started, Status::Running),
            Self::Calculate => (Status::Running, Status::Calculating),
            Self::Aggregate => (Status::Calculating, Status::Aggregating),
        }
    }

    fn wrong_status(self, at: &RoundRef) -> String {
        match self {
            Self::Select => format!(
                "task {} round {} is not in Started status",
                at.task, at.round
            ),
            Self::Calculate => format!("round {} status is not in running status", at.round),
            Self::Aggregate => format!("round {} status is not in calculating status", at.round),
        }
    }

    fn wrong_client(self, client: &str) -> String {
        match self {
            Self::Select => format!("client {client} is invalid"),
            Self::Calculate | Self::Aggregate => format!("client {client} is not valid"),
        }
    }
}

fn already_finished(at: &RoundRef) -> String {
    format!("task {} is already finished", at.task)
}
