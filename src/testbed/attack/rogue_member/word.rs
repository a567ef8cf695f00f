//! What a member would say about one list or another.

use anyhow::Context as _;

use super::RogueMember;
use delta_domain::ids::Address;
use delta_domain::round::message::{Confirmation, RequestBody};
use delta_domain::round::runner::{RunnerEffect, RunnerInput};
use delta_domain::secagg::seal::TAG_BYTES;

impl RogueMember<'_> {
    /// What this member would say to one of `members`, all of the round's, when it is shown this u3, again and again: a copy of its machine says so.
    pub(in crate::testbed::attack) fn would_say(
        &self,
        members: &[Address],
        to: &Address,
        u3: Vec<Address>,
    ) -> anyhow::Result<Confirmation> {
        let mut copy = self.machine.clone().context("not in a round")?;
        let now = self.clock.now();
        let effects = copy.handle(now, RunnerInput::AggregationStarted { u3 })?;
        let tags = effects.into_iter().find_map(|effect| match effect {
            RunnerEffect::Confirm { request, .. } => match request.body {
                RequestBody::Confirm { tags, .. } => Some(tags),
                _ => None,
            },
            _ => None,
        });
        let tags = tags.context("it does not confirm this u3")?;
        let mut order: Vec<&Address> = members.iter().collect();
        order.sort();
        let place = order.iter().position(|member| *member == to);
        let tag = place.and_then(|place| tags.chunks_exact(TAG_BYTES).nth(place));
        Ok(Confirmation {
            member: self.address.clone(),
            tag: tag.context("it says nothing to this one")?.to_vec(),
        })
    }
}
