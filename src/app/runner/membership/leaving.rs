//! This node's owner leaves a task: written down first, then said in every round that is open.

use super::Membership;
use crate::machine::commit;
use delta_domain::round::DeclineCode;
use delta_domain::round::runner::RunnerInput;
use delta_ports::PortError;
use delta_ports::storage::LogLevel;

impl Membership {
    /// Takes no further part in the task, for good. Rounds that follow are declined; the task is followed until it is over.
    ///
    /// # Errors
    /// It could not be written down, so it has not happened.
    pub(super) async fn leave(&mut self) -> Result<(), PortError> {
        let mut state = self.state.clone();
        state.verdict = Some(Err(DeclineCode::Left));
        commit(&self.context.machine_ports(), vec![state.change()?]).await?;
        state.version += 1;
        self.state = state;
        let task = &self.state.task;
        let text = format!("task {task}: this node has left it, as its owner decided");
        self.context.log(LogLevel::Warn, task, text, None).await;
        for handle in self.rounds.values() {
            // One that has stopped is over.
            drop(handle.give(RunnerInput::Leave).await);
        }
        // It holds the pair, too.
        self.attending = None;
        self.forget_pair().await;
        self.stop.cancel();
        Ok(())
    }
}
