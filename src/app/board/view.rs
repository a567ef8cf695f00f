//! What is known of others, as it is shown.

use crate::identities::Identity;
use delta_domain::identity::{Fingerprint, Trust, same_address};
use delta_domain::ids::Address;
use delta_ports::board_api::KnownNode;
use delta_ports::connector::NodeRecord;

/// A node on the record. `own`: where this node stands on it.
pub(super) fn node(
    record: NodeRecord,
    identity: Identity,
    seen: Option<bool>,
    own: Option<&Address>,
) -> KnownNode {
    let card = identity.card.as_ref();
    let organisation = match &identity.trust {
        Trust::Rostered { organisation } => Some(organisation.clone()),
        Trust::Pinned { .. } | Trust::FirstUse | Trust::Changed | Trust::Unknown => {
            card.map(|card| card.organisation().to_owned())
        }
    };
    let own = own.is_some_and(|own| same_address(own, &record.address));
    KnownNode {
        own,
        organisation,
        fingerprint: identity.key.as_ref().map(Fingerprint::of),
        card_until: card.map(|card| card.not_after()),
        tls: card.is_some_and(|card| card.tls_key().is_some()),
        trust: identity.trust,
        seen: if own { Some(true) } else { seen },
        address: record.address,
        name: record.name,
        url: record.url,
    }
}
