//! How a task gets onto the record once, though nothing there can be asked by what it commits to: the event of its creation tells.
//!
//! An answer to a creation may be lost, or come when nobody waits for it any more. The network announces every task, also to its
//! coordinator: who does not know what became of a creation takes the task that was announced, and creates none a second time. What was
//! announced while this node did not run, or was not subscribed, is not known here: then a task stays on record that nobody starts.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Coordinator;
use crate::context::Context;
use crate::once::{Put, Standing, Statement, once, wait_to_look};
use delta_domain::event::NetworkEvent;
use delta_domain::identity::same_address;
use delta_domain::ids::{Address, Digest, TaskId, TxHash};
use delta_ports::connector::{CreatedTask, NewTask};
use delta_ports::storage::{MachineKey, MachineKind};
use delta_ports::{PortError, PortErrorKind};

/// The most announcements that are kept.
const KEPT: usize = 256;

/// The most answers to earlier creations that are passed over.
const MOST_OLDER: u32 = 16;

/// Tasks of this node that were announced, the latest last: what each commits to, and its id.
#[derive(Debug, Default)]
pub(crate) struct Announced {
    heard: Mutex<Heard>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Heard {
    tasks: VecDeque<(u64, Digest, TaskId)>,
    number: u64,
}

/// A moment among announcements: one that came before it is of an earlier creation, which was given up and came onto the record all the
/// same. Members have asked for its bundle, found none, and refused it for good.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment(u64);

impl Announced {
    /// Takes note of a task that `me` has created.
    pub(crate) fn hear(&self, event: &NetworkEvent, me: &Address) {
        let NetworkEvent::TaskCreated {
            task,
            owner,
            commitment,
            ..
        } = event
        else {
            return;
        };
        let Ok(commitment) = commitment.parse::<Digest>() else {
            return;
        };
        if !same_address(owner, me) {
            return;
        }
        let mut heard = self.heard();
        if heard.tasks.iter().any(|(_, _, id)| id == task) {
            return;
        }
        if heard.tasks.len() >= KEPT {
            heard.tasks.pop_front();
        }
        let number = heard.number;
        heard.number += 1;
        heard.tasks.push_back((number, commitment, task.clone()));
        drop(heard);
        self.news.notify_waiters();
    }

    /// Waits until a task that commits to this has been announced since `begun`.
    pub(super) async fn until(&self, commitment: &Digest, begun: Moment) {
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            if !self.of(commitment, begun).is_empty() {
                return;
            }
            news.await;
        }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Now.
    pub(super) fn moment(&self) -> Moment {
        Moment(self.heard().number)
    }

    /// Tasks that commit to this and were announced after `begun`, the oldest first.
    fn of(&self, commitment: &Digest, begun: Moment) -> Vec<TaskId> {
        let heard = self.heard();
        let of = heard.tasks.iter();
        let of = of.filter(|(number, digest, _)| *number >= begun.0 && digest == commitment);
        of.map(|(_, _, id)| id.clone()).collect()
    }

    /// Whether a task was announced before `begun`.
    fn is_older(&self, task: &TaskId, begun: Moment) -> bool {
        let heard = self.heard();
        let mut older = heard.tasks.iter().filter(|(number, ..)| *number < begun.0);
        older.any(|(_, _, id)| id == task)
    }
}

/// A task that is to be created.
struct Creation<'a> {
    context: &'a Context,
    new: &'a NewTask,
    begun: Moment,
    found: Option<TaskId>,
}

impl Statement for Creation<'_> {
    type Receipt = CreatedTask;
    type Error = PortError;

    fn is_refusal(error: &PortError) -> bool {
        error.kind() == PortErrorKind::Rejected
    }

    /// An announced task that runs here already is another one with the same bundle.
    async fn look(&mut self) -> Result<Standing, PortError> {
        for task in self.context.announced.of(&self.new.commitment, self.begun) {
            let key = MachineKey {
                kind: MachineKind::CoordinatorTask,
                task: task.clone(),
                round: 0,
            };
            let storage = &self.context.ports.storage;
            let known = self.context.retry_transient(|| storage.machine(&key));
            if known.await?.is_none() {
                self.found = Some(task);
                return Ok(Standing::There);
            }
        }
        Ok(Standing::Absent)
    }

    async fn put(&mut self) -> Result<CreatedTask, PortError> {
        let connector = &self.context.ports.connector;
        let mut created = connector.create_task(self.new).await?;
        // The queue of calls may still have answers to creations that were given up; it gives each once.
        for _ in 0..MOST_OLDER {
            if !self.context.announced.is_older(&created.task, self.begun) {
                break;
            }
            created = connector.create_task(self.new).await?;
        }
        Ok(created)
    }

    async fn wait_to_look(&mut self, looks: u32) -> bool {
        wait_to_look(&*self.context.ports.clock, looks).await
    }
}

impl Coordinator {
    /// Puts a task on record, unless an earlier try has: its id, and its transaction where that is known. Until the task is committed to
    /// disk nobody else may create one: the two could not be told apart.
    pub(super) async fn put_on_record(
        &self,
        new: &NewTask,
        begun: Moment,
        again: bool,
    ) -> Result<(TaskId, Option<TxHash>), PortError> {
        let mut creation = Creation {
            context: &self.context,
            new,
            begun,
            found: None,
        };
        match (once(&mut creation, again).await?, creation.found) {
            (Put::Now(created), _) => Ok((created.task, Some(created.tx_hash))),
            (Put::Found, Some(task)) => Ok((task, None)),
            (Put::Found, None) => Err(super::internal(
                "coordinator.create",
                "a task was found and is not known",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use delta_domain::task::TaskKind;

    fn created(number: u8, owner: &str, commitment: &str) -> NetworkEvent {
        NetworkEvent::TaskCreated {
            task: format!("0x{}", format!("{number:02x}").repeat(32))
                .parse()
                .unwrap(),
            owner: owner.parse().unwrap(),
            url: String::new(),
            dataset: String::new(),
            commitment: commitment.to_owned(),
            kind: TaskKind::Horizontal,
            enable_verify: false,
            tolerance: 0,
        }
    }

    #[test]
    fn only_own_tasks_are_kept_each_once_and_not_for_ever() {
        let (me, other) = (
            "0x00000000000000000000000000000000000000aB",
            "0x1111111111111111111111111111111111111111",
        );
        let (digest, announced) = (Digest::of(b"bundle"), Announced::default());
        let text = digest.to_string();
        let address: Address = me.to_ascii_lowercase().parse().unwrap();
        for event in [
            created(1, me, &text),
            created(1, me, &text),
            created(2, other, &text),
            created(3, me, "0x12"),
            created(4, me, &text),
        ] {
            announced.hear(&event, &address);
        }
        assert_eq!(announced.of(&digest, Moment(0)).len(), 2);
        let begun = announced.moment();
        let [first, _] = &announced.of(&digest, Moment(0))[..] else {
            unreachable!()
        };
        assert!(announced.is_older(first, begun) && !announced.is_older(first, Moment(0)));
        assert!(announced.of(&digest, begun).is_empty());
        announced.hear(&created(6, me, &text), &address);
        assert_eq!(announced.of(&digest, begun).len(), 1);
        assert!(announced.of(&Digest::of(b"another"), Moment(0)).is_empty());
        let other = Digest::of(b"another").to_string();
        for number in 0..KEPT {
            let mut event = created(5, me, &other);
            let NetworkEvent::TaskCreated { task, .. } = &mut event else {
                unreachable!()
            };
            *task = format!("0x{number:064x}").parse().unwrap();
            announced.hear(&event, &address);
        }
        assert!(announced.of(&digest, Moment(0)).is_empty());
    }
}
