//! A hostile connector: one for each node, honest until an attack tells it what to say.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bootstrap::Intercept;
use delta_domain::connector_record::{Answer, Command, RecordEvent, SecretKind};

type EventLie = Arc<dyn Fn(RecordEvent) -> Vec<RecordEvent> + Send + Sync>;
type AnswerLie = Arc<dyn Fn(&Command, Answer) -> Answer + Send + Sync>;

/// What a node wanted on record of others' secrets, whether the honest record took it or not: one owner's share of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) task: String,
    pub(super) secret: SecretKind,
    pub(super) owner: String,
}

/// What speaks to one node as its connector.
#[derive(Default)]
pub(super) struct RogueConnector {
    told: Mutex<Vec<Told>>,
    lies: Mutex<(Option<EventLie>, Option<AnswerLie>)>,
}

impl RogueConnector {
    fn lies(&self) -> MutexGuard<'_, (Option<EventLie>, Option<AnswerLie>)> {
        self.lies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on every event leaves as this says.
    pub(super) fn events(
        &self,
        lie: impl Fn(RecordEvent) -> Vec<RecordEvent> + Send + Sync + 'static,
    ) {
        self.lies().0 = Some(Arc::new(lie));
    }

    /// From now on every answer leaves as this says.
    pub(super) fn answers(&self, lie: impl Fn(&Command, Answer) -> Answer + Send + Sync + 'static) {
        self.lies().1 = Some(Arc::new(lie));
    }

    /// Every share that the node has told its connector.
    pub(super) fn told(&self) -> Vec<Told> {
        self.told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Honest again.
    pub(super) fn honest(&self) {
        *self.lies() = (None, None);
        self.told
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

impl Intercept for RogueConnector {
    fn call(&self, command: Command) -> Command {
        if let Command::UploadShares {
            secret,
            at,
            senders,
            ..
        } = &command
        {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.extend(senders.iter().map(|owner| Told {
                task: at.task.clone(),
                secret: *secret,
                owner: owner.clone(),
            }));
        }
        command
    }

    fn answer(&self, command: &Command, answer: Answer) -> Answer {
        let lie = self.lies().1.clone();
        match lie {
            Some(lie) => lie(command, answer),
            None => answer,
        }
    }

    fn event(&self, event: RecordEvent) -> Vec<RecordEvent> {
        let lie = self.lies().0.clone();
        match lie {
            Some(lie) => lie(event),
            None => vec![event],
        }
    }
}
