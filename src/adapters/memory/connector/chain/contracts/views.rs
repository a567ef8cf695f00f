//! Questions: what is not there reads as nothing, and seldom as an error.

use super::values::{small, smalls};
use super::{Block, Contracts, No, Round, Task, mixed_case, require};
use delta_domain::connector_record::{
    Answer, Command, RoundEntry, RoundRef, ShareEntry, TaskEntry,
};
use delta_domain::task::TaskKind;

/// What the connector makes of a result commitment that is not there: it looks for a text and finds none.
pub(in crate::connector::chain) const NO_RESULT: &str =
    "getClientPublickeys return type error null";

/// How an absent value of any length reads.
const NOTHING: &str = "0x";

impl Contracts {
    /// Answers a question as of `block`.
    pub(in crate::connector::chain) fn call(
        &self,
        block: Block,
        command: &Command,
    ) -> Result<Answer, No> {
        match command {
            Command::Node { address } => {
                let node = self.identity.node(block, address, &small(address)?)?;
                Ok(Answer::Node(node))
            }
            Command::Nodes { page, page_size } => {
                let number = |n: i32| u32::try_from(n).unwrap_or(0);
                let (nodes, total) =
                    self.identity
                        .nodes(block, number(*page), number(*page_size))?;
                Ok(Answer::Nodes(nodes, total))
            }
            Command::DataCommitment {
                address,
                name,
                index,
            } => {
                let blocks = self.data.get(&(small(address)?, name.clone()));
                let place = usize::try_from(*index).unwrap_or(usize::MAX);
                let value = blocks.and_then(|blocks| blocks.get(place));
                value
                    .cloned()
                    .map(Answer::Commitment)
                    .ok_or(No::Reverted(""))
            }
            Command::Task { kind, task } => Ok(Answer::Task(self.task(*kind, task)?.shown())),
            Command::Round { at } => Ok(Answer::Round(self.round(at)?.shown(at.round))),
            Command::PublicKeys { at, clients } => self.public_keys(at, clients),
            Command::ResultCommitment { at, client } => {
                let found = self.round(at)?.results.get(&small(client)?);
                found
                    .cloned()
                    .map(Answer::Commitment)
                    .ok_or_else(|| No::Invalid(NO_RESULT.to_owned()))
            }
            Command::ShareRecords {
                at,
                senders,
                receiver,
            } => self.share_records(at, senders, receiver),
            Command::WeightCommitment { task, round } => {
                let at = RoundRef {
                    kind: TaskKind::Hlr,
                    task: task.clone(),
                    round: *round,
                };
                let commitment = self.round(&at)?.weight_commitment.clone();
                Ok(Answer::Commitment(commitment))
            }
            Command::VerifierState { task } => {
                self.task(TaskKind::Hlr, task)?;
                Ok(Answer::Verifier {
                    unfinished: Vec::new(),
                    invalid: Vec::new(),
                    valid: self.verdict.unwrap_or(false),
                })
            }
            _ => Err(No::Invalid("it is no question".to_owned())),
        }
    }

    fn public_keys(&self, at: &RoundRef, clients: &[String]) -> Result<Answer, No> {
        let round = self.round(at)?;
        let of = |address: String| {
            let keys = round.keys.get(&address).cloned();
            keys.unwrap_or_else(|| (NOTHING.to_owned(), NOTHING.to_owned()))
        };
        Ok(Answer::Keys(smalls(clients)?.into_iter().map(of).collect()))
    }

    fn share_records(
        &self,
        at: &RoundRef,
        senders: &[String],
        receiver: &str,
    ) -> Result<Answer, No> {
        let (round, receiver) = (self.round(at)?, small(receiver)?);
        let shown = |value: Option<&String>| {
            let value = value.filter(|v| !v.is_empty());
            Some(value.map_or_else(|| NOTHING.to_owned(), Clone::clone))
        };
        let of = |sender: String| {
            let pair = round.pairs.get(&(sender, receiver.clone()));
            ShareEntry {
                seed: shown(pair.map(|p| &p.seed)),
                seed_commitment: shown(pair.map(|p| &p.seed_commitment)),
                secret_key: shown(pair.map(|p| &p.secret_key)),
                secret_key_commitment: shown(pair.map(|p| &p.secret_key_commitment)),
            }
        };
        Ok(Answer::Shares(
            smalls(senders)?.into_iter().map(of).collect(),
        ))
    }

    fn task(&self, kind: TaskKind, id: &str) -> Result<&Task, No> {
        let found = self.tasks.get(&(kind, id.to_ascii_lowercase()));
        found.ok_or(No::Reverted("Task not exists"))
    }

    fn round(&self, at: &RoundRef) -> Result<&Round, No> {
        let task = self.task(at.kind, &at.task).ok();
        let place = usize::try_from(at.round)
            .ok()
            .and_then(|n| n.checked_sub(1));
        let round = place.and_then(|place| task?.rounds.get(place));
        require(round.is_some(), "this round does not exist")?;
        round.ok_or(No::Reverted(""))
    }
}

impl Task {
    /// The connector leaves the id out.
    fn shown(&self) -> TaskEntry {
        TaskEntry {
            address: mixed_case(&self.creator),
            url: self.url.clone(),
            task: String::new(),
            dataset: self.dataset.clone(),
            commitment: self.commitment.clone(),
            task_type: self.task_type.clone(),
            finished: self.finished,
            enable_verify: self.enable_verify,
            tolerance: self.tolerance,
        }
    }
}

impl Round {
    /// Who has finished is never shown: the connector reads a field that the contract does not have.
    fn shown(&self, number: i32) -> RoundEntry {
        RoundEntry {
            round: number,
            status: self.status,
            joined: self.joined.iter().map(|a| mixed_case(a)).collect(),
            finished: Vec::new(),
        }
    }
}
