//! What the network's contracts keep, and what they take back: as they are deployed, not as the record of the house is.
//!
//! A pure value. A transaction is judged by [`Contracts::transact`] at the block that it is mined in, a question is answered by
//! [`Contracts::call`]. Who is stricter and who is laxer than the record, and why: docs/protocol/connector.md, On a blockchain.

mod identity;
mod rounds;
mod values;
mod views;

use std::collections::BTreeMap;

use delta_domain::connector_record::{Answer, Command, RecordEvent, Status};
use delta_domain::task::TaskKind;

use identity::Identity;
pub(super) use values::mixed_case;
pub(super) use views::NO_RESULT;

/// Why a contract, or the library that speaks to it, does not do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum No {
    /// The contract takes it back, for this reason, which only a question's answer tells.
    Reverted(&'static str),
    /// It was never sent: a value does not fit the contract's types.
    Invalid(String),
}

/// What a transaction did.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) answer: Answer,
    pub(super) event: Option<RecordEvent>,
}

impl Done {
    fn quietly() -> Self {
        Self {
            answer: Answer::Done,
            event: None,
        }
    }

    fn told(event: RecordEvent) -> Self {
        Self {
            answer: Answer::Done,
            event: Some(event),
        }
    }
}

/// Where and when a transaction is mined.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    pub(super) number: u64,
    /// Unix seconds.
    pub(super) time: u64,
}

/// One task, as its creator wrote it.
#[derive(Debug)]
struct Task {
    creator: String,
    url: String,
    dataset: String,
    commitment: String,
    task_type: String,
    finished: bool,
    enable_verify: bool,
    tolerance: i32,
    /// From round 1 on.
    rounds: Vec<Round>,
}

/// One round. Addresses are in small letters.
#[derive(Debug)]
struct Round {
    status: Status,
    weight_commitment: String,
    joined: Vec<String>,
    keys: BTreeMap<String, (String, String)>,
    results: BTreeMap<String, String>,
    /// By sender and receiver.
    pairs: BTreeMap<(String, String), Pair>,
}

/// What one member has told another in public; empty is absent.
#[derive(Debug, Default)]
struct Pair {
    seed: String,
    seed_commitment: String,
    secret_key: String,
    secret_key_commitment: String,
}

/// All contracts of a network.
#[derive(Debug)]
pub(super) struct Contracts {
    identity: Identity,
    /// By owner and name; a place that was jumped over holds zeros.
    data: BTreeMap<(String, String), Vec<String>>,
    tasks: BTreeMap<(TaskKind, String), Task>,
    /// What a proof check says.
    pub(super) verdict: Option<bool>,
}

impl Contracts {
    /// With nothing on record. An `older` identity contract takes no second registration.
    pub(super) fn new(older: bool) -> Self {
        Self {
            identity: Identity::new(older),
            data: BTreeMap::new(),
            tasks: BTreeMap::new(),
            verdict: None,
        }
    }

    /// Whether a call can be put into a transaction at all: what the library says before it sends anything.
    pub(super) fn encodable(command: &Command) -> Result<(), No> {
        values::check(command)
    }

    /// Carries out a transaction of `sender`, whose address is in small letters.
    pub(super) fn transact(
        &mut self,
        block: Block,
        sender: &str,
        command: &Command,
    ) -> Result<Done, No> {
        match command {
            Command::Join { url, name } | Command::JoinAs { url, name, .. } => {
                self.identity.join(block, sender, url, name)
            }
            Command::UpdateUrl { url, .. } => self.identity.update(block, sender, Some(url), None),
            Command::UpdateName { name, .. } => {
                self.identity.update(block, sender, None, Some(name))
            }
            Command::Leave { .. } => self.identity.leave(sender),
            Command::RegisterData {
                name,
                index,
                commitment,
                ..
            } => self.register(sender, name, *index, commitment),
            Command::CreateTask(entry) => self.create_task(block, sender, entry),
            Command::FinishTask { kind, task, .. } => self.finish_task(*kind, sender, task),
            Command::StartRound {
                at,
                weight_commitment,
                ..
            } => self.start_round(sender, at, weight_commitment),
            Command::JoinRound { at, pk1, pk2, .. } => self.join_round(sender, at, pk1, pk2),
            Command::Advance {
                step, at, clients, ..
            } => self.advance(sender, *step, at, clients),
            Command::UploadCommitments {
                secret,
                at,
                receivers,
                commitments,
                ..
            } => self.commit(sender, *secret, at, receivers, commitments),
            Command::UploadResult { at, commitment, .. } => {
                self.commit_result(sender, at, commitment)
            }
            Command::UploadShares {
                secret,
                at,
                senders,
                shares,
                ..
            } => self.reveal(sender, *secret, at, senders, shares),
            Command::EndRound { at, .. } => self.end_round(sender, at),
            Command::Verify(proof) => self.verify(sender, proof),
            Command::Confirm { task, .. } => self.confirm(sender, task),
            Command::Node { .. }
            | Command::Nodes { .. }
            | Command::DataCommitment { .. }
            | Command::Task { .. }
            | Command::Round { .. }
            | Command::PublicKeys { .. }
            | Command::ResultCommitment { .. }
            | Command::ShareRecords { .. }
            | Command::WeightCommitment { .. }
            | Command::VerifierState { .. } => Err(No::Invalid("it only asks".to_owned())),
        }
    }

    fn register(
        &mut self,
        sender: &str,
        name: &str,
        index: i32,
        commitment: &str,
    ) -> Result<Done, No> {
        let place = usize::try_from(index).map_err(|_| values::out_of_bounds("index"))?;
        let key = (sender.to_owned(), name.to_owned());
        let blocks = self.data.entry(key).or_default();
        if blocks.len() <= place {
            blocks.resize(place + 1, values::ZEROS.to_owned());
        }
        let commitment = values::bytes32(commitment)?;
        blocks[place].clone_from(&commitment);
        Ok(Done::told(RecordEvent::DataRegistered {
            owner: mixed_case(sender),
            name: name.to_owned(),
            index,
            commitment,
        }))
    }
}

/// `require` of a contract.
fn require(holds: bool, reason: &'static str) -> Result<(), No> {
    if holds {
        Ok(())
    } else {
        Err(No::Reverted(reason))
    }
}
