//! What happens next: drawn from the seed, and time moves when nothing else is left.

use std::time::Duration;

use delta_domain::ids::Address;
use delta_domain::round::coordinator::CoordinatorInput;
use delta_domain::round::message::RoundEnd;
use delta_domain::round::runner::RunnerInput;
use delta_domain::time::Timestamp;
use rand_core::Rng as _;

use super::node::{Machine, Node};
use super::tamper::List;
use super::{PATIENCE, World};

/// How often a runner asks the coordinator where the round stands.
pub(super) const CATCH_UP: Duration = Duration::from_secs(5);

impl World {
    /// One thing that can happen, drawn at random. Answers whether there was one.
    pub(super) fn step(&mut self) -> bool {
        self.reap();
        let mut choices: Vec<(Option<Address>, bool, usize)> = Vec::new();
        if self.coordinator.alive {
            choices.extend(ready(&self.coordinator, self.now).map(|(out, i)| (None, out, i)));
        }
        for (address, node) in &self.runners {
            if node.alive {
                choices
                    .extend(ready(node, self.now).map(|(out, i)| (Some(address.clone()), out, i)));
            }
        }
        if choices.is_empty() {
            return self.advance();
        }
        let (who, out, i) = choices.swap_remove(self.below(choices.len()));
        self.misfortune(who.as_ref());
        match who {
            None if out && i < self.coordinator.outbox.len() => self.carry_out_coordinator(i),
            None if !out && i < self.coordinator.inbox.len() => {
                let (input, task) = self.coordinator.inbox.swap_remove(i);
                // A rejection finishes the effect all the same: asking again would give the same answer.
                let _answer = self.coordinator.feed(self.now, input);
                task.into_iter().for_each(|t| self.coordinator.finish(t));
            }
            Some(who) => {
                let node = self.runners.get_mut(&who).unwrap();
                if out && i < node.outbox.len() {
                    self.carry_out_runner(&who, i);
                } else if !out && i < node.inbox.len() {
                    let (input, task) = node.inbox.swap_remove(i);
                    let _answer = node.feed(self.now, input);
                    task.into_iter().for_each(|t| node.finish(t));
                }
            }
            None => {}
        }
        true
    }

    /// Crashes and deaths, before a node does the next thing.
    fn misfortune(&mut self, who: Option<&Address>) {
        if self.happens(self.faults.crash) {
            self.trace.push(format!("crash {who:?}"));
            match who {
                None => self.coordinator.crash(),
                Some(a) => self.runners.get_mut(a).unwrap().crash(),
            }
        }
        match who {
            None if self.happens(self.faults.coordinator_dies) => self.kill_coordinator(),
            Some(a) if self.happens(self.faults.runner_dies) => self.kill(a),
            _ => {}
        }
    }

    /// A runner is gone for ever.
    pub fn kill(&mut self, who: &Address) {
        self.trace.push(format!("{who} dies"));
        self.runners.get_mut(who).unwrap().die();
    }

    /// A runner's machine, or the way to it, is gone for a while; its disk stays, and the coordinator notices.
    pub fn part_with(&mut self, who: &Address) {
        self.trace.push(format!("{who} is away"));
        let node = self.runners.get_mut(who).unwrap();
        node.crash();
        node.alive = false;
        self.notice();
    }

    /// It is back.
    pub fn take_back(&mut self, who: &Address) {
        self.trace.push(format!("{who} is back"));
        let now = self.now;
        let node = self.runners.get_mut(who).unwrap();
        node.alive = true;
        node.feed(now, RunnerInput::TakenUp).unwrap();
        self.notice();
    }

    /// The coordinator sees who is not there.
    fn notice(&mut self) {
        let lost = self.runners.iter().filter(|(_, node)| !node.alive);
        let members = lost.map(|(who, _)| who.clone()).collect();
        let input = CoordinatorInput::Lost { members };
        self.coordinator.feed(self.now, input).unwrap();
    }

    /// The coordinator is gone for ever.
    pub fn kill_coordinator(&mut self) {
        self.trace.push("the coordinator dies".into());
        self.coordinator.die();
    }

    /// Finished machines do nothing more, except saying that they will not take part.
    fn reap(&mut self) {
        if self.coordinator.machine.is_over() {
            self.coordinator.outbox.clear();
        }
        for node in self.runners.values_mut() {
            if node.machine.is_over() {
                node.outbox
                    .retain(|t| t.effect.name() == "decline" && t.tries < 5);
            }
        }
    }

    /// Moves time to the next moment at which something is due.
    fn advance(&mut self) -> bool {
        let mut due: Vec<Timestamp> = Vec::new();
        let mut waiting = false;
        if self.coordinator.alive {
            due.extend(self.coordinator.deadline());
            due.extend(
                self.coordinator
                    .outbox
                    .iter()
                    .filter(|t| !t.answered)
                    .map(|t| t.not_before),
            );
        }
        for node in self.runners.values().filter(|n| n.alive) {
            due.extend(node.deadline());
            due.extend(
                node.outbox
                    .iter()
                    .filter(|t| !t.answered)
                    .map(|t| t.not_before),
            );
            waiting |= !node.machine.is_over();
        }
        if waiting && self.coordinator.alive {
            due.push(self.catch_up_at);
        }
        let Some(next) = due.into_iter().min() else {
            return false;
        };
        assert!(next <= self.began + PATIENCE, "it hangs: {}", self.story());
        self.now = self.now.max(next);
        let now = self.now;
        if self.coordinator.alive && self.coordinator.deadline().is_some_and(|d| d <= now) {
            let tick = CoordinatorInput::Tick;
            self.coordinator.feed(now, tick).unwrap();
        }
        for node in self.runners.values_mut().filter(|n| n.alive) {
            if node.deadline().is_some_and(|d| d <= now) {
                node.feed(now, RunnerInput::Tick).unwrap();
            }
        }
        if self.now >= self.catch_up_at {
            self.catch_up_at = self.now + CATCH_UP;
            self.catch_up();
        }
        true
    }

    /// Every waiting runner reads where the round stands.
    fn catch_up(&mut self) {
        if !self.coordinator.alive {
            return;
        }
        let view = self.coordinator.machine.view();
        let waiting: Vec<Address> = self
            .runners
            .iter()
            .filter(|(_, n)| n.alive && !n.machine.is_over())
            .map(|(a, _)| a.clone())
            .collect();
        for who in waiting {
            let node = self.runners.get_mut(&who).unwrap();
            if node.machine.is_open(&view) {
                node.inbox.push((RunnerInput::StillOpen, None));
            }
            for (list, members) in [
                (List::U1, &view.u1),
                (List::U2, &view.u2),
                (List::U3, &view.u3),
            ] {
                if let Some(members) = members {
                    self.tell(&who, list, members);
                }
            }
            if let Some(end) = &view.ended {
                let input = RunnerInput::Ended(end.clone());
                self.runners
                    .get_mut(&who)
                    .unwrap()
                    .inbox
                    .push((input, None));
            }
        }
    }

    /// A list on its way to a runner.
    pub fn tell(&mut self, who: &Address, list: List, members: &[Address]) {
        let mut members = members.to_vec();
        if let Some(tamper) = &mut self.tamper.list {
            tamper((who.clone(), list), &mut members);
        }
        let input = match list {
            List::U1 => RunnerInput::Selected { u1: members },
            List::U2 => RunnerInput::CalculationStarted { u2: members },
            List::U3 => RunnerInput::AggregationStarted { u3: members },
        };
        self.runners.get_mut(who).unwrap().inbox.push((input, None));
    }

    pub(super) fn broadcast(&mut self, list: List, members: &[Address]) {
        let all: Vec<Address> = self.runners.keys().cloned().collect();
        for who in all {
            if self.runners[&who].alive && !self.happens(self.faults.event_lost) {
                self.tell(&who, list, members);
                if self.happens(self.faults.duplicate) {
                    self.tell(&who, list, members);
                }
            }
        }
    }

    pub(super) fn broadcast_end(&mut self) {
        let all: Vec<Address> = self.runners.keys().cloned().collect();
        for who in all {
            if self.runners[&who].alive && !self.happens(self.faults.event_lost) {
                let input = RunnerInput::Ended(RoundEnd::Finished);
                self.runners
                    .get_mut(&who)
                    .unwrap()
                    .inbox
                    .push((input, None));
            }
        }
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.rng.next_u64() % n as u64).unwrap()
    }

    /// Whether something happens that does so many times in a thousand. Draws only where it may.
    pub fn happens(&mut self, per_mille: u64) -> bool {
        per_mille > 0 && self.rng.next_u64() % 1000 < per_mille
    }
}

/// Effects that can be carried out now (`true`) and inputs that can be handled (`false`), by position.
fn ready<M: Machine>(
    node: &Node<M>,
    now: Timestamp,
) -> impl Iterator<Item = (bool, usize)> + use<'_, M> {
    let effects = node
        .outbox
        .iter()
        .enumerate()
        .filter(move |(_, t)| !t.answered && t.not_before <= now)
        .map(|(i, _)| (true, i));
    effects.chain((0..node.inbox.len()).map(|i| (false, i)))
}
