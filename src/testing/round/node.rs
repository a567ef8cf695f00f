//! One machine with its outbox and inbox, and the laws that every single step of it must obey (docs/protocol/secagg.md, Laws of the two state machines).

use std::fmt::Debug;

use delta_domain::round::Rejection;
use delta_domain::round::coordinator::{CoordinatorEffect, CoordinatorInput, CoordinatorRound};
use delta_domain::round::runner::{RunnerEffect, RunnerInput, RunnerRound};
use delta_domain::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What both machines have in common.
pub trait Machine: Clone + Serialize + DeserializeOwned {
    /// What it is told.
    type Input: Clone + Debug;
    /// What it wants done.
    type Effect: Clone + Debug + Serialize;
    /// One step.
    ///
    /// # Errors
    /// A rejection, which has changed nothing.
    fn handle(
        &mut self,
        now: Timestamp,
        input: Self::Input,
    ) -> Result<Vec<Self::Effect>, Rejection>;
    /// When it wants to be told the time.
    fn deadline(&self) -> Option<Timestamp>;
    /// Whether it has come to an end.
    fn is_over(&self) -> bool;
    /// Whether this is nothing but the time.
    fn is_tick(input: &Self::Input) -> bool;
}

impl Machine for CoordinatorRound {
    type Input = CoordinatorInput;
    type Effect = CoordinatorEffect;
    fn handle(
        &mut self,
        now: Timestamp,
        input: CoordinatorInput,
    ) -> Result<Vec<CoordinatorEffect>, Rejection> {
        Self::handle(self, now, input)
    }
    fn deadline(&self) -> Option<Timestamp> {
        Self::deadline(self)
    }
    fn is_over(&self) -> bool {
        Self::is_over(self)
    }
    fn is_tick(input: &CoordinatorInput) -> bool {
        matches!(input, CoordinatorInput::Tick)
    }
}

/// A time on a clock that is `by` milliseconds ahead.
#[must_use]
pub fn ahead(time: Timestamp, by: i64) -> Timestamp {
    Timestamp(time.0.saturating_add_signed(by))
}

impl Machine for RunnerRound {
    type Input = RunnerInput;
    type Effect = RunnerEffect;
    fn handle(
        &mut self,
        now: Timestamp,
        input: RunnerInput,
    ) -> Result<Vec<RunnerEffect>, Rejection> {
        Self::handle(self, now, input)
    }
    fn deadline(&self) -> Option<Timestamp> {
        Self::deadline(self)
    }
    fn is_over(&self) -> bool {
        Self::is_over(self)
    }
    fn is_tick(input: &RunnerInput) -> bool {
        matches!(input, RunnerInput::Tick)
    }
}

/// An effect that is not finished.
#[derive(Debug, Clone)]
pub struct Task<E> {
    /// Its number in the outbox.
    pub id: u64,
    /// What is to be done.
    pub effect: E,
    /// When it may be tried next.
    pub not_before: Timestamp,
    /// Carried out; its input is under way. A crash makes this false again.
    pub answered: bool,
    /// How often it was tried.
    pub tries: u32,
}

/// One machine and what surrounds it.
pub struct Node<M: Machine> {
    /// The machine.
    pub machine: M,
    first: M,
    log: Vec<(Timestamp, M::Input, String)>,
    /// Survives a crash.
    pub outbox: Vec<Task<M::Effect>>,
    /// Does not survive a crash. The task is the one that the input finishes.
    pub inbox: Vec<(M::Input, Option<u64>)>,
    /// A node that is dead does nothing any more.
    pub alive: bool,
    /// Everything that the machine has not taken.
    pub rejections: Vec<Rejection>,
    /// Whether each step is also repeated and sent through a snapshot: most of the time that a world takes.
    pub thorough: bool,
    /// How far this node's clock is ahead of the coordinator's, in milliseconds.
    skew: i64,
    next_id: u64,
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

impl<M: Machine> Node<M> {
    /// A machine that has just begun, with its first effects; its clock is `skew` milliseconds ahead of `now`.
    #[must_use]
    pub fn new(now: Timestamp, skew: i64, machine: M, effects: Vec<M::Effect>) -> Self {
        let mut node = Self {
            first: machine.clone(),
            machine,
            log: Vec::new(),
            outbox: Vec::new(),
            inbox: Vec::new(),
            alive: true,
            rejections: Vec::new(),
            thorough: true,
            skew,
            next_id: 0,
        };
        node.add(now, effects);
        node
    }

    /// When the machine wants to be told the time, on the coordinator's clock.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        let own = self.machine.deadline();
        own.map(|at| ahead(at, -self.skew))
    }

    /// One step, with every law checked.
    ///
    /// # Errors
    /// The machine's rejection, which has changed nothing.
    pub fn feed(&mut self, now: Timestamp, input: M::Input) -> Result<Vec<M::Effect>, Rejection> {
        let own = ahead(now, self.skew);
        if !self.thorough {
            let result = self.machine.handle(own, input);
            if let Ok(effects) = &result {
                self.add(now, effects.clone());
            }
            return result;
        }
        let before = json(&self.machine);
        let was_over = self.machine.is_over();
        let result = self.machine.handle(own, input.clone());
        let after = json(&self.machine);
        match &result {
            Err(rejection) => {
                assert_eq!(
                    before, after,
                    "{rejection:?} of {input:?} changed the state"
                );
                assert!(!rejection.code().is_empty() && !rejection.to_string().is_empty());
                self.rejections.push(rejection.clone());
            }
            Ok(effects) if was_over => {
                assert!(
                    effects.is_empty(),
                    "{input:?} has effects after the end: {effects:?}"
                );
                assert_eq!(before, after, "{input:?} changed a finished round");
            }
            Ok(_) => {}
        }
        assert_eq!(self.machine.is_over(), self.machine.deadline().is_none());
        if M::is_tick(&input) {
            assert!(
                self.machine.deadline().is_none_or(|d| d > own),
                "a tick at the deadline leaves the deadline in the past: busy loop"
            );
        } else {
            let again = self.machine.clone().handle(own, input.clone());
            assert!(
                again.as_ref().is_ok_and(Vec::is_empty) || again.is_err(),
                "{input:?} twice has a second effect: {again:?}"
            );
        }
        // Every step goes through a snapshot.
        self.machine = serde_json::from_str(&after).unwrap();
        assert_eq!(json(&self.machine), after, "a snapshot does not survive");
        let outcome = format!(
            "{:?} {}",
            result.as_ref().err(),
            result.as_ref().map_or_else(|_| String::new(), json)
        );
        self.log.push((now, input, outcome));
        if let Ok(effects) = &result {
            self.add(now, effects.clone());
        }
        result
    }

    /// The same inputs give the same effects and the same end.
    pub fn check_replay(&self) {
        if !self.thorough {
            return;
        }
        let mut machine = self.first.clone();
        for (now, input, outcome) in &self.log {
            let result = machine.handle(ahead(*now, self.skew), input.clone());
            let got = format!(
                "{:?} {}",
                result.as_ref().err(),
                result.as_ref().map_or_else(|_| String::new(), json)
            );
            assert_eq!(got, *outcome, "a replay differs at {input:?}");
        }
        assert_eq!(json(&machine), json(&self.machine));
    }

    /// Everything that it was ever told.
    #[must_use]
    pub fn inputs(&self) -> Vec<M::Input> {
        self.log.iter().map(|(_, input, _)| input.clone()).collect()
    }

    /// The effect of this name, not finished.
    pub fn pending(&self, is: impl Fn(&M::Effect) -> bool) -> Option<&M::Effect> {
        self.outbox.iter().map(|t| &t.effect).find(|e| is(e))
    }

    /// What was under way is lost, what was acknowledged is not.
    pub fn crash(&mut self) {
        self.inbox.clear();
        for task in &mut self.outbox {
            task.answered = false;
        }
        self.machine = serde_json::from_str(&json(&self.machine)).unwrap();
    }

    /// Nothing is left but the machine, which is told nothing any more.
    pub fn die(&mut self) {
        self.alive = false;
        self.inbox.clear();
        self.outbox.clear();
    }

    /// Takes an effect out of the outbox.
    pub fn finish(&mut self, task: u64) {
        self.outbox.retain(|t| t.id != task);
    }

    /// What would be on disk.
    #[must_use]
    pub fn snapshot(&self) -> String {
        json(&self.machine)
    }

    fn add(&mut self, now: Timestamp, effects: Vec<M::Effect>) {
        for effect in effects {
            self.next_id += 1;
            self.outbox.push(Task {
                id: self.next_id,
                effect,
                not_before: now,
                answered: false,
                tries: 0,
            });
        }
    }
}
