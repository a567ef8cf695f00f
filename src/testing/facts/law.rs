//! The record as it grows, and the laws of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use delta_domain::connector_record::{Command, RoundRef, SecretKind, Step};
use delta_domain::ids::{Address, Digest};
use delta_domain::strategy::Strategy;

use super::At;

#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) joins: BTreeMap<String, u32>,
    pub(super) lists: BTreeMap<&'static str, BTreeSet<String>>,
    /// Who has revealed which of a member's shares.
    pub(super) revealed: BTreeMap<(String, SecretKind), BTreeSet<String>>,
    pub(super) results: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) seen: usize,
    pub(super) rounds: BTreeMap<At, Round>,
    pub(super) members: BTreeMap<usize, Address>,
    pub(super) arrived: BTreeSet<(String, u32, Address, &'static str)>,
    pub(super) reduces: Vec<(u32, Vec<usize>)>,
    /// The members of each sum, by its step and what it came to.
    pub(super) sums: BTreeMap<(u32, [u64; 2]), Vec<usize>>,
    /// Maps, by node.
    pub(super) computed: BTreeMap<usize, u32>,
    pub(super) broken: Vec<String>,
    pub(super) story: String,
}

fn key(at: &RoundRef) -> At {
    (at.task.clone(), at.round)
}

/// One line of the story.
pub(super) fn tell(story: &mut String, command: &Command, verdict: &str) {
    // Long values say nothing to a reader.
    let line = match command {
        Command::JoinRound { at, address, .. } => format!("join {} {address}", at.round),
        Command::UploadCommitments {
            secret,
            at,
            address,
            ..
        } => format!("commitments {secret:?} {} {address}", at.round),
        Command::UploadShares {
            secret,
            at,
            address,
            senders,
            ..
        } => format!("reveal {secret:?} {} {address} of {senders:?}", at.round),
        Command::UploadResult { at, address, .. } => format!("result {} {address}", at.round),
        Command::Advance {
            step, at, clients, ..
        } => format!("{step:?} {} {clients:?}", at.round),
        other => format!("{other:?}"),
    };
    writeln!(story, "{line}{verdict}").unwrap();
}

/// Takes in a command that the record has accepted, and holds it against the laws.
pub(super) fn take(strategy: &Strategy, state: &mut State, command: Command) {
    let (rounds, broken) = (&mut state.rounds, &mut state.broken);
    match command {
        Command::JoinRound { at, address, .. } => {
            let round = rounds.entry(key(&at)).or_default();
            let times = round.joins.entry(address.clone()).or_default();
            *times += 1;
            if *times > 1 {
                broken.push(format!("{address} joined round {} twice", at.round));
            }
        }
        Command::Advance {
            step, at, clients, ..
        } => {
            let round = rounds.entry(key(&at)).or_default();
            let (name, before) = match step {
                Step::Select => ("u1", None),
                Step::Calculate => ("u2", Some("u1")),
                Step::Aggregate => ("u3", Some("u2")),
            };
            let list: BTreeSet<String> = clients.iter().cloned().collect();
            if list.len() != clients.len() {
                broken.push(format!("{name} of round {} lists a member twice", at.round));
            }
            if let Some(before) = before
                && !round
                    .lists
                    .get(before)
                    .is_some_and(|larger| list.is_subset(larger))
            {
                broken.push(format!(
                    "{name} of round {} is no part of {before}",
                    at.round
                ));
            }
            if round
                .lists
                .insert(name, list.clone())
                .is_some_and(|old| old != list)
            {
                broken.push(format!("{name} of round {} changed", at.round));
            }
        }
        Command::UploadResult {
            at,
            address,
            commitment,
        } => {
            let round = rounds.entry(key(&at)).or_default();
            let digest = commitment
                .parse::<Digest>()
                .map_or(commitment, |d| d.to_string());
            round.results.entry(address).or_default().insert(digest);
        }
        Command::UploadShares {
            secret,
            at,
            address,
            senders,
            ..
        } => {
            let round = rounds.entry(key(&at)).or_default();
            for sender in senders {
                round
                    .revealed
                    .entry((sender, secret))
                    .or_default()
                    .insert(address.clone());
            }
            let members = round.lists.get("u1").map_or(0, BTreeSet::len);
            let threshold = strategy.threshold_for(members);
            for ((owner, _), by) in round
                .revealed
                .iter()
                .filter(|((_, kind), _)| *kind == SecretKind::Seed)
            {
                let empty = BTreeSet::new();
                let keys = round
                    .revealed
                    .get(&(owner.clone(), SecretKind::SecretKey))
                    .unwrap_or(&empty);
                if by.len() >= threshold && keys.len() >= threshold {
                    broken.push(format!(
                        "round {}: both secrets of {owner} can be rebuilt",
                        at.round
                    ));
                }
                if let Some(both) = by.intersection(keys).next() {
                    broken.push(format!(
                        "round {}: {both} revealed both shares of {owner}",
                        at.round
                    ));
                }
            }
        }
        _ => {}
    }
    for ((_, number), round) in rounds.iter() {
        for (who, digests) in &round.results {
            if digests.len() > 1 {
                broken.push(format!("round {number}: two different results left {who}"));
            }
        }
    }
}
