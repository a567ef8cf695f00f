//! A coordinator's round as a machine of the host: how it is stored, and what a failed effect means to it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use delta_domain::round::coordinator::{
    CoordinatorEffect, CoordinatorInput, CoordinatorOutcome, CoordinatorRound,
};
use delta_domain::round::{FailureCode, Pacing, Rejection};
use delta_domain::time::Timestamp;
use delta_ports::PortError;
use delta_ports::storage::MachineKind;

/// A coordinator's round as a machine that outlives restarts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct RoundMachine(pub(crate) CoordinatorRound);

impl Machine for RoundMachine {
    type Input = CoordinatorInput;
    type Effect = CoordinatorEffect;
    const KIND: MachineKind = MachineKind::CoordinatorRound;

    fn handle(
        &mut self,
        now: Timestamp,
        input: CoordinatorInput,
    ) -> Result<Vec<CoordinatorEffect>, Rejection> {
        self.0.handle(now, input)
    }

    fn deadline(&self) -> Option<Timestamp> {
        self.0.deadline()
    }

    fn is_over(&self) -> bool {
        self.0.is_over()
    }

    fn phase(&self) -> &'static str {
        self.0.phase_name()
    }

    fn outcome(&self) -> Option<&'static str> {
        Some(match self.0.outcome()? {
            CoordinatorOutcome::Aggregated { .. } => "aggregated",
            CoordinatorOutcome::Failed(failure) => failure.code.name(),
        })
    }

    fn tick() -> CoordinatorInput {
        CoordinatorInput::Tick
    }

    fn postponed(by: Duration) -> CoordinatorInput {
        CoordinatorInput::Postponed { by }
    }

    fn taken_up() -> CoordinatorInput {
        CoordinatorInput::TakenUp
    }

    fn paced(&self, seen: Pacing) -> Option<CoordinatorInput> {
        let news = self.0.pacing().is_slower(seen);
        news.then_some(CoordinatorInput::Paced(seen))
    }

    // The state grows with every member's shares, and there is a request of each in every phase.
    fn journalled(input: &CoordinatorInput) -> Option<Result<Vec<u8>, serde_json::Error>> {
        Some(serde_json::to_vec(input))
    }

    fn replayed(entry: &[u8]) -> Result<CoordinatorInput, serde_json::Error> {
        serde_json::from_slice(entry)
    }

    fn effect_failed(effect: &CoordinatorEffect, error: &PortError) -> Option<CoordinatorInput> {
        let code = match effect {
            // The next poll looks again.
            CoordinatorEffect::ReadJoins
            | CoordinatorEffect::ReadReveals { .. }
            | CoordinatorEffect::ReadResultCommitment { .. } => return None,
            CoordinatorEffect::Unmask { .. } => FailureCode::Computation,
            _ => FailureCode::Infrastructure,
        };
        let reason = format!("{}: {}", effect.name(), error.message());
        Some(CoordinatorInput::EffectFailed { code, reason })
    }
}
