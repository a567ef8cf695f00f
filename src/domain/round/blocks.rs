//! What the deadlines of a round allow for a record that takes calls in blocks.
//!
//! A phase is over when everybody has been heard, and its deadline is only the last moment; so what is allowed for costs a round nothing
//! unless somebody is silent. With a record that answers at once all of this is zero.

use std::time::Duration;

/// Blocks until what a phase begins with is on record and heard of, until the last call of a member is, and one that came out empty.
const A_PHASE: u32 = 3;
/// Calls of a member in a phase, of either kind of secret, each of which may wait behind another of its wallet's.
const CALLS: u32 = 4;
/// What a coordinator does on record between two phases, and what it waits for before: a member gives up later than that.
const BETWEEN: u32 = 4;

/// What a coordinator's deadline allows for beyond the strategy's timeout, where a block is about so long.
pub(super) fn of_a_phase(block: Duration) -> Duration {
    block.saturating_mul(A_PHASE + CALLS)
}

/// What a member's deadline allows for beyond the strategy's timeout.
pub(super) fn of_a_member(block: Duration) -> Duration {
    block.saturating_mul(A_PHASE + CALLS + BETWEEN)
}

/// How long somebody may take whose call is already on its way.
pub(super) fn of_a_call(block: Duration) -> Duration {
    block.saturating_mul(2)
}
