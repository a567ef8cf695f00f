//! How much the record takes: lengths of texts and lists, rows of one address, and how long what is over stays (docs/limits.md).
//!
//! Every number has room for what honest nodes of this and the original program send. A call beyond one is refused with its name; what is
//! dead or old makes room for what is new.

use super::change::Change;
use super::command::{Command, RoundRef};
use super::rejection::{Rejection, RejectionReason as Why, refuse};
use super::state::{Record, Task};

/// Bytes of a url.
pub const URL_BYTES: usize = 512;
/// Bytes of a node's display name, and of a data block's.
pub const NAME_BYTES: usize = 256;
/// Bytes of an address or an id: 66 are used.
pub const ID_BYTES: usize = 128;
/// Bytes of a commitment, or of the type of a task: 66 are used.
pub const COMMITMENT_BYTES: usize = 256;
/// Bytes of the dataset names of a task together.
pub const DATASETS_BYTES: usize = 8 << 10;
/// Bytes of a public key or of a share: a few hundred are used.
pub const KEY_BYTES: usize = 2 << 10;
/// Bytes of a proof (`hlr`): snarkjs writes about 1,000.
pub const PROOF_BYTES: usize = 16 << 10;
/// Entries of a list; public signals of a proof are two for each weight.
pub const LIST_ENTRIES: usize = 10_000;
/// Members of a round.
pub const ROUND_MEMBERS: usize = 10_000;
/// Rounds of a task, failed attempts included.
pub const TASK_ROUNDS: usize = 20_000;
/// Data blocks of an address.
pub const DATA_BLOCKS: usize = 20_000;
/// Unfinished tasks of an address.
pub const OPEN_TASKS: usize = 1_000;
/// Finished tasks of an address; the oldest makes room.
pub const FINISHED_TASKS: usize = 1_000;
/// Tasks of all addresses; above it, finished ones leave before their time, and where there is none no task is created.
pub const TASKS: usize = 50_000;
/// Living nodes.
pub const LIVING_NODES: usize = 10_000;
/// Living and dead nodes; above it, those that have been dead longest leave before their time.
pub const NODES: usize = 20_000;
/// Nodes in one answer: with the longest names and urls it is below the 4 MiB of a gRPC message.
pub const PAGE_NODES: usize = 4_000;
/// Seconds that a dead node stays on record: a week.
pub const DEAD_SECONDS: u64 = 7 * 86_400;
/// Seconds that a finished task stays on record after its last round began: a week.
pub const FINISHED_SECONDS: u64 = 7 * 86_400;
/// Seconds after which a task in which nothing begins counts as abandoned: thirty days.
pub const IDLE_SECONDS: u64 = 30 * 86_400;

/// Rows of each kind that one call takes off the record: more than it makes, and no more than a moment's work.
const SWEEP: usize = 8;

/// Refuses a call with a text or a list that is too long.
pub(super) fn check(command: &Command) -> Result<(), Rejection> {
    let place = |at: &RoundRef| text("task id", &at.task, ID_BYTES);
    let address = |value: &str| text("address", value, ID_BYTES);
    let commitment = |value: &str| text("commitment", value, COMMITMENT_BYTES);
    match command {
        Command::Join { url, name } => {
            text("url", url, URL_BYTES)?;
            text("name", name, NAME_BYTES)
        }
        Command::JoinAs {
            address: a,
            url,
            name,
        } => {
            address(a)?;
            text("url", url, URL_BYTES)?;
            text("name", name, NAME_BYTES)
        }
        Command::UpdateUrl { address: a, url } => {
            address(a)?;
            text("url", url, URL_BYTES)
        }
        Command::UpdateName { address: a, name } => {
            address(a)?;
            text("name", name, NAME_BYTES)
        }
        Command::Leave { address: a } | Command::Node { address: a } => address(a),
        Command::Nodes { .. } => Ok(()),
        Command::RegisterData {
            address: a,
            name,
            commitment: c,
            ..
        } => {
            address(a)?;
            text("name", name, NAME_BYTES)?;
            commitment(c)
        }
        Command::DataCommitment {
            address: a, name, ..
        } => {
            address(a)?;
            text("name", name, NAME_BYTES)
        }
        Command::CreateTask(entry) => {
            address(&entry.address)?;
            text("dataset", &entry.dataset, DATASETS_BYTES)?;
            commitment(&entry.commitment)?;
            text("task type", &entry.task_type, COMMITMENT_BYTES)
        }
        Command::FinishTask {
            address: a, task, ..
        }
        | Command::Confirm { address: a, task } => {
            address(a)?;
            text("task id", task, ID_BYTES)
        }
        Command::Task { task, .. }
        | Command::WeightCommitment { task, .. }
        | Command::VerifierState { task } => text("task id", task, ID_BYTES),
        Command::StartRound {
            at,
            address: a,
            weight_commitment,
        } => {
            place(at)?;
            address(a)?;
            commitment(weight_commitment)
        }
        Command::JoinRound {
            at,
            address: a,
            pk1,
            pk2,
        } => {
            place(at)?;
            address(a)?;
            text("public key", pk1, KEY_BYTES)?;
            text("public key", pk2, KEY_BYTES)
        }
        Command::Round { at } => place(at),
        Command::Advance {
            at,
            address: a,
            clients,
            ..
        } => {
            place(at)?;
            address(a)?;
            list("clients", clients, ID_BYTES)
        }
        Command::UploadCommitments {
            at,
            address: a,
            receivers,
            commitments,
            ..
        } => {
            place(at)?;
            address(a)?;
            list("receivers", receivers, ID_BYTES)?;
            list("commitments", commitments, COMMITMENT_BYTES)
        }
        Command::PublicKeys { at, clients } => {
            place(at)?;
            list("clients", clients, ID_BYTES)
        }
        Command::UploadResult {
            at,
            address: a,
            commitment: c,
        } => {
            place(at)?;
            address(a)?;
            commitment(c)
        }
        Command::ResultCommitment { at, client } => {
            place(at)?;
            address(client)
        }
        Command::UploadShares {
            at,
            address: a,
            senders,
            shares,
            ..
        } => {
            place(at)?;
            address(a)?;
            list("senders", senders, ID_BYTES)?;
            list("shares", shares, KEY_BYTES)
        }
        Command::ShareRecords {
            at,
            senders,
            receiver,
        } => {
            place(at)?;
            list("senders", senders, ID_BYTES)?;
            address(receiver)
        }
        Command::EndRound { at, address: a } => {
            place(at)?;
            address(a)
        }
        Command::Verify(proof) => {
            address(&proof.address)?;
            text("task id", &proof.task, ID_BYTES)?;
            text("proof", &proof.proof, PROOF_BYTES)?;
            list("public signals", &proof.pub_signals, COMMITMENT_BYTES)
        }
    }
}

fn text(what: &str, value: &str, bytes: usize) -> Result<(), Rejection> {
    if value.len() <= bytes {
        return Ok(());
    }
    let len = value.len();
    refuse(
        Why::Other,
        format!("the {what} has {len} bytes, the connector takes {bytes}"),
    )
}

fn list(what: &str, values: &[String], bytes: usize) -> Result<(), Rejection> {
    if values.len() > LIST_ENTRIES {
        let len = values.len();
        return refuse(
            Why::Other,
            format!("the list of {what} has {len} entries, the connector takes {LIST_ENTRIES}"),
        );
    }
    values
        .iter()
        .try_for_each(|value| text(&format!("entry of the list of {what}"), value, bytes))
}

impl Record {
    /// Refuses a new node where too many are alive.
    pub(super) fn room_for_node(&self, now: u64) -> Result<(), Rejection> {
        if self.nodes.len() >= LIVING_NODES && self.deaths.range((now, 0)..).count() >= LIVING_NODES
        {
            return refuse(
                Why::Other,
                format!("{LIVING_NODES} nodes have joined, the most that the connector takes"),
            );
        }
        Ok(())
    }

    /// Refuses a task of an address that has too many; answers what must go to make room.
    pub(super) fn room_for_task(&self, owner: &str) -> Result<Option<Change>, Rejection> {
        let finished = self.tasks_of(owner).filter(|(_, t)| t.finished).count();
        let open = self.tasks_of(owner).count() - finished;
        if open >= OPEN_TASKS {
            return refuse(
                Why::Other,
                format!(
                    "node {owner} has {OPEN_TASKS} unfinished tasks, the most that a node may have"
                ),
            );
        }
        let full = self.task_count() >= TASKS;
        if full && self.ages.range((true, 0, 0)..).next().is_none() {
            return refuse(
                Why::Other,
                format!("{TASKS} tasks are unfinished, the most that the connector takes"),
            );
        }
        if finished < FINISHED_TASKS {
            return Ok(None);
        }
        let oldest = self.tasks_of(owner).find(|(_, t)| t.finished);
        Ok(oldest.map(|(index, _)| Change::TaskGone { index }))
    }

    pub(super) fn room_for_round(&self, task: &Task) -> Result<(), Rejection> {
        if task.rounds.len() < TASK_ROUNDS {
            return Ok(());
        }
        refuse(
            Why::Other,
            format!(
                "task {} has {TASK_ROUNDS} rounds, the most that a task may have",
                task.id
            ),
        )
    }

    /// What has been dead or over for so long that it leaves the record, a few rows of each kind, but what `changes` touch.
    pub(super) fn outlived(&self, now: u64, changes: &[Change]) -> Vec<Change> {
        let mut gone = Vec::new();
        self.outlived_nodes(now, changes, &mut gone);
        self.outlived_tasks(now, changes, &mut gone);
        gone
    }

    fn outlived_nodes(&self, now: u64, changes: &[Change], gone: &mut Vec<Change>) {
        let surplus = self.nodes.len().saturating_sub(NODES);
        let touched = |id: usize| {
            changes
                .iter()
                .any(|c| matches!(c, Change::Node { id: other, .. } if *other == id))
        };
        for (place, &(until, id)) in self.deaths.iter().take(SWEEP).enumerate() {
            let long_dead = until.saturating_add(DEAD_SECONDS) <= now;
            let in_the_way = place < surplus && until < now;
            if !(long_dead || in_the_way) {
                break;
            }
            let Some(node) = self.nodes.get(&id).filter(|_| !touched(id)) else {
                continue;
            };
            gone.push(Change::NodeGone { id });
            // Another row of the same address would still answer for the data.
            let answers = self.node_by_address(&node.address).map(|(first, _)| first);
            if answers == Some(id) && self.data_blocks(&node.address) > 0 {
                gone.push(Change::DataGone {
                    owner: node.address.clone(),
                });
            }
        }
    }

    fn outlived_tasks(&self, now: u64, changes: &[Change], gone: &mut Vec<Change>) {
        let surplus = self.task_count().saturating_sub(TASKS - 1);
        let going = |index: usize| {
            changes
                .iter()
                .any(|c| matches!(c, Change::TaskGone { index: other } if *other == index))
        };
        let finished = self.ages.range((true, 0, 0)..);
        for (place, &(_, touched, index)) in finished.take(SWEEP).enumerate() {
            if touched.saturating_add(FINISHED_SECONDS) > now && place >= surplus {
                break;
            }
            if !going(index) {
                gone.push(Change::TaskGone { index });
            }
        }
        let open = self.ages.range(..(true, 0, 0));
        for &(_, touched, index) in open.take(SWEEP) {
            if touched.saturating_add(IDLE_SECONDS) > now {
                break;
            }
            gone.push(Change::TaskGone { index });
        }
    }
}
