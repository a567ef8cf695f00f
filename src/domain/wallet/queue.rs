//! The calls that wait for a wallet, and the one that is under way.

use std::collections::VecDeque;
use std::time::Duration;

use super::Need;
use crate::connector_record::Command;
use crate::time::Timestamp;

/// Calls that may wait. A node with the most tasks and members that it can have does not come near.
const LONGEST: usize = 2_000;
/// How often a call is overtaken by calls that are needed more. Then it is its turn.
const OVERTAKEN: u32 = 8;
/// After so long a registration, which lasts for 120 s, is no call that may wait.
const LAPSING: Duration = Duration::from_secs(60);
/// Answers that nobody was there for, and that somebody may come back for.
const UNCLAIMED: usize = 64;

/// One call, for as long as the queue knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId(u64);

/// What becomes of a call that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked<A> {
    /// It waits for its turn, or is under way, with everybody who has asked for the same.
    Waits(CallId),
    /// It was answered while nobody was there for it.
    Answered(A),
}

/// So many calls wait that no more are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{LONGEST} calls wait for the connector already")]
pub struct Full;

#[derive(Debug, Clone)]
struct Call {
    id: CallId,
    command: Command,
    /// Who waits for its answer.
    askers: u32,
    overtaken: u32,
}

/// The calls of a wallet. `A`: what a call is answered with.
///
/// One call is under way at a time, until it is [`answered`](Self::answered): a caller who gives up does not end it. The same command
/// asked for again is the same call as long as it is in here. Two new tasks may be the same in every word, so a task that is being
/// created is only taken for another's once nobody waits for it any more.
#[derive(Debug, Clone)]
pub struct Queue<A> {
    waiting: Vec<Call>,
    sent: Option<Call>,
    next_id: u64,
    registered: Option<Timestamp>,
    unclaimed: VecDeque<(Command, A)>,
}

impl<A> Default for Queue<A> {
    fn default() -> Self {
        Self {
            waiting: Vec::new(),
            sent: None,
            next_id: 0,
            registered: None,
            unclaimed: VecDeque::new(),
        }
    }
}

impl<A> Queue<A> {
    /// Somebody asks for a call.
    ///
    /// # Errors
    /// [`Full`]; nothing has changed.
    pub fn ask(&mut self, command: &Command) -> Result<Asked<A>, Full> {
        if let Some(at) = self.unclaimed.iter().position(|(c, _)| c == command)
            && let Some((_, answer)) = self.unclaimed.remove(at)
        {
            return Ok(Asked::Answered(answer));
        }
        let one_each = is_one_each(command);
        let mut known = self.sent.iter_mut().chain(&mut self.waiting);
        if let Some(call) =
            known.find(|call| call.command == *command && (!one_each || call.askers == 0))
        {
            call.askers += 1;
            return Ok(Asked::Waits(call.id));
        }
        if self.waiting.len() >= LONGEST {
            return Err(Full);
        }
        let id = CallId(self.next_id);
        self.next_id += 1;
        self.waiting.push(Call {
            id,
            command: command.clone(),
            askers: 1,
            overtaken: 0,
        });
        Ok(Asked::Waits(id))
    }

    /// The call to send now; `None` while one is under way, or when none waits.
    pub fn send(&mut self, now: Timestamp) -> Option<(CallId, &Command)> {
        if self.sent.is_some() {
            return None;
        }
        // The first of those that are needed most; `waiting` is in the order in which they came.
        let turn = |c: &Call| c.overtaken >= OVERTAKEN;
        let its_turn = self.waiting.iter().position(turn);
        let first = its_turn.or_else(|| {
            let places = 0..self.waiting.len();
            places.min_by_key(|place| self.need(&self.waiting[*place].command, now))
        })?;
        match its_turn {
            // One of those that wait for their turn, and not all of them: rounds would wait for these.
            Some(_) => self.waiting.iter_mut().for_each(|call| call.overtaken = 0),
            None => {
                for passed in &mut self.waiting[..first] {
                    passed.overtaken += 1;
                }
            }
        }
        let call = self.sent.insert(self.waiting.remove(first));
        Some((call.id, &call.command))
    }

    fn need(&self, command: &Command, now: Timestamp) -> Need {
        let fresh = |at: Timestamp| now < at + LAPSING;
        match command {
            Command::Join { .. } | Command::JoinAs { .. }
                if !self.registered.is_some_and(fresh) =>
            {
                Need::Membership
            }
            _ => Need::of(command),
        }
    }

    /// The connector has answered the call that is under way; `None` where it has not taken it, or nobody knows.
    pub fn answered(&mut self, id: CallId, now: Timestamp, answer: Option<A>) {
        let Some(call) = self.sent.take_if(|call| call.id == id) else {
            return;
        };
        let Some(answer) = answer else { return };
        if matches!(call.command, Command::Join { .. } | Command::JoinAs { .. }) {
            self.registered = Some(now);
        }
        // What else is on record is found by looking; which task was created is not.
        if call.askers == 0 && is_one_each(&call.command) {
            if self.unclaimed.len() >= UNCLAIMED {
                self.unclaimed.pop_front();
            }
            self.unclaimed.push_back((call.command, answer));
        }
    }

    /// Somebody waits no longer. A call that nobody waits for is not sent any more. True when it is in here no longer.
    pub fn leave(&mut self, id: CallId) -> bool {
        if let Some(call) = self.sent.as_mut().filter(|call| call.id == id) {
            call.askers = call.askers.saturating_sub(1);
            return false;
        }
        let Some(place) = self.waiting.iter().position(|call| call.id == id) else {
            return true;
        };
        let call = &mut self.waiting[place];
        call.askers = call.askers.saturating_sub(1);
        let nobody = call.askers == 0;
        if nobody {
            self.waiting.remove(place);
        }
        nobody
    }

    /// How many calls wait or are under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len() + usize::from(self.sent.is_some())
    }

    /// Whether nothing waits and nothing is under way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Whether each who asks for it asks for one of his own.
fn is_one_each(command: &Command) -> bool {
    matches!(command, Command::CreateTask(_))
}

#[cfg(test)]
mod tests;
