//! When a registration is renewed, and what is made of a contract that takes none twice.
//!
//! On a record that answers at once it is renewed every minute. On a blockchain each renewal is paid for and stands in the queue of the
//! same wallet as the calls of rounds: there it is renewed when its 120 s are nearly over, and when nothing else waits.

use std::time::Duration;

use crate::context::Context;
use delta_domain::ids::Address;
use delta_domain::time::Timestamp;
use delta_ports::{ChainTrouble, PortError, report};

/// How long the record believes in a registration (docs/protocol/connector.md).
const LIFE: Duration = Duration::from_secs(120);
/// What is left of it when it is renewed, at least.
const LEFT: Duration = Duration::from_secs(20);
/// The same, in blocks: until the call is sent, until it is on record, and as much again.
const LEFT_BLOCKS: u32 = 6;
/// Blocks for which a renewal lets other calls go first.
const POLITE_BLOCKS: u32 = 2;
/// Between two looks at a registration that cannot be renewed: whoever finds that it has lapsed registers at once.
const LOOK_AGAIN: Duration = Duration::from_secs(15);
/// Between two looks at whether other calls wait.
const LOOK: Duration = Duration::from_secs(1);

/// For how long a registration is left alone where a call takes about `block`; never shorter than `usual`.
fn left_alone(usual: Duration, block: Duration) -> Duration {
    if block.is_zero() {
        return usual;
    }
    let left = block.saturating_mul(LEFT_BLOCKS).max(LEFT);
    LIFE.saturating_sub(left).max(usual.min(LIFE / 2))
}

/// For how long a renewal lets other calls go first; never so long that it could lapse before it is sent and on record.
fn polite(usual: Duration, block: Duration) -> Duration {
    let left = LIFE.saturating_sub(left_alone(usual, block));
    let needed = block.saturating_mul(2).max(LEFT);
    block
        .saturating_mul(POLITE_BLOCKS)
        .min(left.saturating_sub(needed))
}

/// Waits until the registration, which is on record since `since`, should be renewed, or looked at.
pub(super) async fn until_due(context: &Context, registration: &Registration, since: Timestamp) {
    let clock = &context.ports.clock;
    let wallet = || context.ports.connector.wallet();
    let block = wallet().block;
    if registration.once_only {
        return clock.sleep(LOOK_AGAIN).await;
    }
    let due = since + left_alone(context.settings.rejoin, block);
    clock.sleep(due.remaining(clock.now())).await;
    let latest = clock.now() + polite(context.settings.rejoin, block);
    while wallet().waiting > 0 && clock.now() < latest {
        clock.sleep(LOOK.min(latest.remaining(clock.now()))).await;
    }
}

/// How this node registers.
#[derive(Default)]
pub(super) struct Registration {
    /// The contract has taken a renewal back, though it knew this node.
    once_only: bool,
}

impl Registration {
    /// Registers this node, or renews its registration; `known` is the address that it has on record, if it has one. Answers with that.
    pub(super) async fn renew(
        &mut self,
        context: &Context,
        known: Option<&Address>,
    ) -> Result<Address, PortError> {
        let (connector, settings) = (&context.ports.connector, &context.settings);
        if self.once_only
            && let Some(address) = known
            && is_on_record(context, address).await?
        {
            return Ok(address.clone());
        }
        match connector.join(&settings.url, &settings.name).await {
            Ok(joined) => Ok(joined.address),
            Err(e) if e.trouble() == Some(ChainTrouble::Reverted) => {
                let Some(address) = known else { return Err(e) };
                if !is_on_record(context, address).await? {
                    // It has lapsed, and is in its own way all the same: the next try finds it gone.
                    connector.leave(address).await?;
                    return Err(e);
                }
                if !std::mem::replace(&mut self.once_only, true) {
                    tracing::info!(
                        "the connector's contract takes no registration twice: from here on this node looks whether it is registered, and registers when it is not: {}",
                        report(&e)
                    );
                }
                Ok(address.clone())
            }
            Err(e) => Err(e),
        }
    }
}

/// Whether this node is among the living on record.
async fn is_on_record(context: &Context, address: &Address) -> Result<bool, PortError> {
    let node = context.ports.connector.node(address).await?;
    Ok(node.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_registration_is_renewed_in_time_at_any_block_time() {
        let usual = SECOND * 60;
        assert_eq!(left_alone(usual, Duration::ZERO), usual);
        for block in [1, 2, 5, 12, 15, 30] {
            let block = SECOND * block;
            let alone = left_alone(usual, block);
            assert!(alone >= usual, "{block:?}");
            // Politeness, the call that is under way, and its own.
            let on_record = alone + polite(usual, block) + block * 2;
            assert!(on_record <= LIFE, "{block:?}: {on_record:?}");
        }
        assert_eq!(left_alone(usual, SECOND), SECOND * 100);
        assert_eq!(left_alone(SECOND * 5, SECOND * 60), SECOND * 5);
    }
}
