//! Each step once, and in order: what a member remembers of a task's steps, and what it takes next.
//!
//! A coordinator that could ask for a step again, or go back to one, would get sums of different cohorts over the same data.

use serde::{Deserialize, Serialize};

/// The steps of a task as one member has seen them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StepsSeen {
    /// The first step that the member may still take part in.
    next: u32,
}

impl StepsSeen {
    /// Whether a step may be joined.
    ///
    /// # Errors
    /// Why not, for the node's owner.
    pub fn check(self, step: u32) -> Result<(), String> {
        if step >= self.next {
            return Ok(());
        }
        Err(format!(
            "the coordinator goes back to step {step}; this node has been at step {} and takes each step once, in order",
            self.next.saturating_sub(1).max(step)
        ))
    }

    /// A round of this step was joined: earlier steps are over. The step itself may be attempted again.
    pub fn joined(&mut self, step: u32) {
        self.next = self.next.max(step);
    }

    /// A round was lost of which nobody knows any more whether this node's shares are out: what was joined last is over.
    pub fn lost(&mut self) {
        self.contributed(self.next);
    }

    /// This node's contribution to this step is in a sum, or may be: the step is over too.
    pub fn contributed(&mut self, step: u32) {
        self.next = self.next.max(step.saturating_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_failed_may_be_attempted_again_and_one_that_is_in_a_sum_may_not() {
        let mut seen = StepsSeen::default();
        seen.joined(0);
        assert_eq!(seen.check(0), Ok(()));
        seen.contributed(0);
        assert!(seen.check(0).unwrap_err().contains("step 0"));
        assert_eq!(seen.check(1), Ok(()));
    }

    #[test]
    fn nobody_goes_back_and_a_member_that_was_left_out_goes_on_later() {
        let mut seen = StepsSeen::default();
        seen.joined(0);
        seen.joined(5);
        assert_eq!(seen.check(5), Ok(()));
        for earlier in 0..5 {
            assert!(seen.check(earlier).is_err(), "{earlier}");
        }
        assert_eq!(seen.check(9), Ok(()));
        seen.contributed(u32::MAX);
        assert!(seen.check(u32::MAX - 1).is_err());
    }

    #[test]
    fn a_lost_round_closes_the_step_that_was_joined_last() {
        let mut seen = StepsSeen::default();
        seen.joined(4);
        seen.lost();
        assert!(seen.check(4).is_err());
        assert_eq!(seen.check(5), Ok(()));
    }
}
