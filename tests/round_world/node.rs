//! One machine with its outbox and inbox, and the laws that every single step of it must obey (docs/protocol/secagg.md, Laws of the two state machines).

use std::cell::Cell;
use std::fmt::Debug;

use delta_node::domain::ids::Address;
use delta_node::domain::round::Rejection;
use delta_node::domain::round::coordinator::{
    CoordinatorEffect, CoordinatorInput, CoordinatorRound,
};
use delta_node::domain::round::runner::{RunnerEffect, RunnerInput, RunnerRound};
use delta_node::domain::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What both machines have in common.
pub trait Machine: Clone + Serialize + DeserializeOwned {
    type Input: Clone + Debug;
    type Effect: Clone + Debug + Serialize;
    fn handle(
        &mut self,
        now: Timestamp,
        input: Self::Input,
    ) -> Result<Vec<Self::Effect>, Rejection>;
    fn deadline(&self) -> Option<Timestamp>;
    fn is_over(&self) -> bool;
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

thread_local! {
    /// How far the clocks of this test's runners are from the coordinator's, in milliseconds: half of them ahead, half behind.
    pub static SKEW: Cell<i64> = const { Cell::new(0) };
}

/// How far this runner's clock is ahead.
pub fn skew(runner: &Address) -> i64 {
    let skew = SKEW.get();
    if runner
        .as_str()
        .bytes()
        .next_back()
        .unwrap()
        .is_multiple_of(2)
    {
        skew
    } else {
        -skew
    }
}

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
        let now = ahead(now, skew(&self.context().me));
        Self::handle(self, now, input)
    }
    fn deadline(&self) -> Option<Timestamp> {
        Self::deadline(self).map(|at| ahead(at, -skew(&self.context().me)))
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
    pub id: u64,
    pub effect: E,
    pub not_before: Timestamp,
    /// Carried out; its input is under way. A crash makes this false again.
    pub answered: bool,
    pub tries: u32,
}

/// One machine and what surrounds it.
pub struct Node<M: Machine> {
    pub machine: M,
    first: M,
    log: Vec<(Timestamp, M::Input, String)>,
    /// Survives a crash.
    pub outbox: Vec<Task<M::Effect>>,
    /// Does not survive a crash. The task is the one that the input finishes.
    pub inbox: Vec<(M::Input, Option<u64>)>,
    pub alive: bool,
    pub rejections: Vec<Rejection>,
    /// Whether each step is also repeated and sent through a snapshot: most of the time that a world takes.
    pub thorough: bool,
    next_id: u64,
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

impl<M: Machine> Node<M> {
    pub fn new(now: Timestamp, machine: M, effects: Vec<M::Effect>) -> Self {
        let mut node = Self {
            first: machine.clone(),
            machine,
            log: Vec::new(),
            outbox: Vec::new(),
            inbox: Vec::new(),
            alive: true,
            rejections: Vec::new(),
            thorough: true,
            next_id: 0,
        };
        node.add(now, effects);
        node
    }

    /// One step, with every law checked.
    pub fn feed(&mut self, now: Timestamp, input: M::Input) -> Result<Vec<M::Effect>, Rejection> {
        if !self.thorough {
            let result = self.machine.handle(now, input);
            if let Ok(effects) = &result {
                self.add(now, effects.clone());
            }
            return result;
        }
        let before = json(&self.machine);
        let was_over = self.machine.is_over();
        let result = self.machine.handle(now, input.clone());
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
                self.machine.deadline().is_none_or(|d| d > now),
                "a tick at the deadline leaves the deadline in the past: busy loop"
            );
        } else {
            let again = self.machine.clone().handle(now, input.clone());
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
            let result = machine.handle(*now, input.clone());
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

    pub fn die(&mut self) {
        self.alive = false;
        self.inbox.clear();
        self.outbox.clear();
    }

    pub fn finish(&mut self, task: u64) {
        self.outbox.retain(|t| t.id != task);
    }

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
