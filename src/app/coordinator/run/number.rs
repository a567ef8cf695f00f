//! The number of the next attempt.

use super::TaskRun;
use crate::backoff::Backoff;
use delta_domain::round::message::RoundEnd;
use delta_ports::author_api::RoundReport;

/// Looks at a record that answers, and does not say whether a round is there.
const MOST_LOOKS: u32 = 12;

impl TaskRun {
    /// The number of the next attempt: one that was given out is given out again where the round never got on record. A blockchain
    /// takes no round whose number does not follow the last one there, so that a gap would be the end of the task.
    pub(super) async fn next_number(&self) -> u32 {
        let last = self.state.round;
        let failed =
            |report: &RoundReport| report.round == last && report.end != RoundEnd::Finished;
        if !self.state.rounds.last().is_some_and(failed) {
            return last + 1;
        }
        let (connector, contact) = (&self.context.ports.connector, &self.context.contact);
        let clock = &self.context.ports.clock;
        let mut backoff = Backoff::STEPS;
        for _ in 0..MOST_LOOKS {
            match connector.round(&self.state.on_record()).await {
                Ok(None) => return last,
                Err(e) if contact.is_to_blame(&e, clock.now()) => {
                    self.wait_for_connector().await;
                    clock.sleep(backoff.pause()).await;
                }
                Ok(Some(_)) => return last + 1,
                // Neither there nor absent: it may say so a moment later.
                Err(_) => clock.sleep(backoff.pause()).await,
            }
        }
        last + 1
    }
}
