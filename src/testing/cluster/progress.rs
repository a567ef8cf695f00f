//! How far everything has come, and waiting for it.

use std::collections::BTreeMap;
use std::time::Duration;

use delta_domain::ids::{Address, TaskId};
use delta_domain::npy::{NpzLimits, decode_npz};
use delta_domain::round::message::RoundEnd;
use delta_domain::task::TaskStatus;
use delta_domain::tensor::Tensor;
use delta_ports::author_api::{AuthorApi as _, RoundReport};
use delta_ports::clock::Clock as _;
use delta_ports::storage::{LocalTaskId, MachineKind, TaskRow};
use futures_util::StreamExt as _;

use super::{Cluster, EPOCH};

impl Cluster {
    /// A task as its coordinator's database has it.
    pub async fn row(&self, index: usize, id: LocalTaskId) -> TaskRow {
        // Faults are for the nodes, not for the observer.
        let rows = self.hosts[index].storage.peek_tasks();
        rows.into_iter().find(|row| row.id == id).unwrap()
    }

    /// Lets the world go on until `done`; panics with `what` after `limit` of virtual time.
    pub async fn until(&self, what: &str, limit: Duration, mut done: impl FnMut(&Self) -> bool) {
        let started = self.clock.now();
        let mut turns = 0u32;
        while !done(self) {
            turns += 1;
            // Virtual time stands still while somebody has something to do, so turns come first.
            if turns.is_multiple_of(500) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            } else {
                tokio::task::yield_now().await;
            }
            self.facts.check();
            assert!(
                self.clock.now() - started < limit,
                "after {limit:?} still waiting for {what}\n{}",
                self.describe()
            );
        }
    }

    /// Waits in large steps: for ends, not for moments.
    pub async fn wait_for_end(&self, index: usize, id: LocalTaskId, limit: Duration) -> TaskRow {
        let started = self.clock.now();
        loop {
            let row = self.row(index, id).await;
            self.facts.check();
            if row.status.is_terminal() {
                return row;
            }
            assert!(
                self.clock.now() - started < limit,
                "after {limit:?} the task is still {:?}\n{}",
                row.status,
                self.describe()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Seconds since the world began.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        (self.clock.now() - EPOCH).as_secs_f64()
    }

    /// What is still under way on running or stopped nodes, in words; nothing when all have come to rest.
    #[must_use]
    pub fn unfinished_business(&self) -> Vec<String> {
        let mut found = Vec::new();
        for host in &self.hosts {
            let i = host.index;
            for key in host.storage.peek_machines() {
                match key.kind {
                    MachineKind::CoordinatorRound
                    | MachineKind::RunnerRound
                    | MachineKind::RunnerKeys => found.push(format!(
                        "node {i}: {} {} round {}",
                        key.kind.name(),
                        key.task,
                        key.round
                    )),
                    MachineKind::CoordinatorTask | MachineKind::RunnerTask => {}
                }
            }
            for row in host.storage.peek_tasks() {
                if !row.status.is_terminal() {
                    found.push(format!("node {i}: task {} is {:?}", row.id, row.status));
                }
                if row.status == TaskStatus::Error && row.error.is_none() {
                    found.push(format!("node {i}: task {} failed without a reason", row.id));
                }
            }
            if let Some(node) = &host.node
                && node.running_tasks() > 0
            {
                found.push(format!("node {i}: {} tasks run", node.running_tasks()));
            }
        }
        found
    }

    /// Where everything stands: logs, open machines, the record. For people and for comparing runs.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for host in &self.hosts {
            let runs = if host.node.is_some() { "" } else { " (down)" };
            text.push_str(&format!("--- node {}{runs}\n", host.index));
            for log in host.storage.peek_logs() {
                text.push_str(&format!(
                    "{:10.3} {:?} {}\n",
                    (log.log.created_at - EPOCH).as_secs_f64(),
                    log.log.level,
                    log.log.message
                ));
            }
            for row in host.storage.peek_tasks() {
                text.push_str(&format!(
                    "task {}: {:?} {:?}\n",
                    row.id, row.status, row.error
                ));
            }
        }
        text.push_str(&format!(
            "--- unfinished: {:#?}\n",
            self.unfinished_business()
        ));
        text.push_str(&format!("--- record\n{}", self.facts.describe()));
        for host in &self.hosts {
            let address = self.facts.address(host.index);
            text = text.replace(address.as_str(), &format!("<{}>", host.index));
        }
        text
    }

    /// The task on the network of a local id.
    pub async fn task_id(&self, index: usize, id: LocalTaskId) -> Option<TaskId> {
        self.row(index, id).await.task
    }

    /// The arrays of a finished task, by the names of the manifest's outputs.
    pub async fn result(&self, index: usize, id: LocalTaskId) -> BTreeMap<String, Tensor> {
        let (_, mut content) = self.node(index).task_result(id).await.unwrap();
        let mut bytes = Vec::new();
        while let Some(piece) = content.next().await {
            bytes.extend_from_slice(&piece.unwrap());
        }
        decode_npz(&bytes, &NpzLimits::default()).unwrap()
    }

    /// What the coordinator says of each round of a task so far.
    pub async fn reports(&self, index: usize, id: LocalTaskId) -> Vec<RoundReport> {
        let progress = self.node(index).task_progress(id).await;
        progress
            .ok()
            .and_then(|(_, p)| p)
            .map(|p| p.rounds)
            .unwrap_or_default()
    }

    /// The members, by index, whose contributions are in each finished round.
    pub async fn counted(&self, index: usize, id: LocalTaskId) -> Vec<Vec<usize>> {
        let by_address: BTreeMap<Address, usize> = self
            .hosts
            .iter()
            .map(|h| (self.address(h.index), h.index))
            .collect();
        self.reports(index, id)
            .await
            .into_iter()
            .filter(|r| r.end == RoundEnd::Finished)
            .map(|r| {
                let mut list: Vec<usize> = r.clients.iter().map(|a| by_address[a]).collect();
                list.sort_unstable();
                list
            })
            .collect()
    }
}
