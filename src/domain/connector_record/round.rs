//! Rounds and who is in them (docs/protocol/connector.md, Rounds).
//!
//! Tighter than the reference, where that page has an (E): a node joins once, a round starts once, only the owner moves it,
//! lists are neither empty nor repeated, and a finished task takes no new round, member or step.
//! An identical repeat by the same caller is answered as the first time and publishes nothing.

use std::collections::BTreeSet;

use super::body::Body;
use super::change::Change;
use super::command::{Command, RoundRef, Step};
use super::decision::{Answer, Decision, RoundEntry};
use super::event::RecordEvent;
use super::limits::ROUND_MEMBERS;
use super::rejection::{Rejection, RejectionReason as Why, refuse};
use super::state::{Record, Round};
use super::status::{RoundId, Status};
use crate::task::TaskKind;

impl Record {
    pub(super) fn start_round(
        &self,
        now: u64,
        at: &RoundRef,
        address: &str,
        weight_commitment: &str,
    ) -> Result<Decision, Rejection> {
        self.alive(now, address)?;
        let Ok((index, task)) = self.task_of(at.kind, &at.task, Some(address)) else {
            return refuse(
                Why::NoSuchTask,
                format!("task of id {} doesn't exist", at.task),
            );
        };
        if task.finished {
            return already_finished(at);
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
            return refuse_in(Why::AlreadyThere, at, "already exists");
        }
        self.room_for_round(task)?;
        let change = Change::Round {
            id: self.next_round(),
            task: index,
            number: at.round,
            weight_commitment: weight_commitment.to_owned(),
            at: now,
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
    ) -> Result<Decision, Rejection> {
        self.alive(now, address)?;
        let (id, round) = self.round_of(at, None)?;
        if round.status != Status::Started {
            return refuse_in(Why::WrongPhase, at, "status is not Started");
        }
        self.refuse_if_finished(at, round)?;
        match self.body_of(id)?.member(address) {
            Some((_, m)) if m.pk1 == pk1 && m.pk2 == pk2 => Ok(Decision::repeated()),
            Some(_) => refuse_in(
                Why::AlreadyThere,
                at,
                &format!("member {address} has already joined"),
            ),
            None if self.body_of(id)?.members.len() >= ROUND_MEMBERS => refuse_in(
                Why::Other,
                at,
                &format!("has {ROUND_MEMBERS} members already, the most that a round may have"),
            ),
            None => Ok(Decision::done(Change::Member {
                round: id,
                address: address.to_owned(),
                status: Status::Started,
                pk1: pk1.to_owned(),
                pk2: pk2.to_owned(),
            })),
        }
    }

    pub(super) fn round(&self, at: &RoundRef) -> Result<Decision, Rejection> {
        let (id, round) = self.round_of(at, None)?;
        let body = self.body_of(id)?;
        Ok(Decision::read(Answer::Round(RoundEntry {
            round: at.round,
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
    ) -> Result<Decision, Rejection> {
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
            return refuse(Why::WrongPhase, step.wrong_status(at));
        }
        self.refuse_if_finished(at, round)?;
        let mut members = Vec::with_capacity(clients.len());
        for client in clients {
            match body.member(client) {
                Some((place, member)) if member.status == from => members.push(place),
                _ => return refuse(Why::NoSuchMember, step.wrong_client(client)),
            }
        }
        if clients.is_empty() {
            return refuse_in(Why::BadList, at, "the list of clients is empty");
        }
        if listed.len() != clients.len() {
            return refuse_in(Why::BadList, at, "a client is listed twice");
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
    ) -> Result<Decision, Rejection> {
        if clients.is_empty() {
            return Ok(Decision::read(Answer::Keys(Vec::new())));
        }
        let missing = || {
            rejection_in(
                Why::NoSuchMember,
                at,
                "some member in clients doesn't exist",
            )
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
            return refuse(
                Why::NoSuchMember,
                format!("member {} hasn't join this round", m.address),
            );
        }
        Ok(Decision::read(Answer::Keys(
            members
                .into_iter()
                .map(|(_, m)| (m.pk1.clone(), m.pk2.clone()))
                .collect(),
        )))
    }

    pub(super) fn end_round(&self, at: &RoundRef, address: &str) -> Result<Decision, Rejection> {
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
            Status::Started | Status::Running | Status::Calculating => refuse(
                Why::WrongPhase,
                format!("round {} status is not in aggregationg status", at.round),
            ),
        }
    }

    pub(super) fn weight_commitment(&self, task: &str, round: i32) -> Result<Decision, Rejection> {
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
    ) -> Result<(RoundId, &Round), Rejection> {
        self.task_of(at.kind, &at.task, owner)
            .ok()
            .and_then(|(_, task)| task.rounds.get(&at.round))
            .and_then(|&id| Some((id, self.round_at(id)?)))
            .ok_or_else(|| rejection_in(Why::NoSuchRound, at, "doesn't exist"))
    }

    pub(super) fn body_of(&self, id: RoundId) -> Result<&Body, Rejection> {
        self.body(id).ok_or(Rejection::NeedsBody(id))
    }

    fn refuse_if_finished(&self, at: &RoundRef, round: &Round) -> Result<(), Rejection> {
        match self.task_at(round.task) {
            Some(task) if task.finished => already_finished(at),
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

fn already_finished<T>(at: &RoundRef) -> Result<T, Rejection> {
    refuse(
        Why::TaskFinished,
        format!("task {} is already finished", at.task),
    )
}

fn rejection_in(why: Why, at: &RoundRef, text: &str) -> Rejection {
    Rejection::ByRule(why, format!("task {} round {} {text}", at.task, at.round))
}

/// A refusal whose words begin with the round.
pub(super) fn refuse_in<T>(why: Why, at: &RoundRef, text: &str) -> Result<T, Rejection> {
    Err(rejection_in(why, at, text))
}
