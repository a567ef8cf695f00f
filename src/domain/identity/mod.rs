//! Who a node is for longer than one round: its long-term key, the card that it shows, and why others believe it.
//!
//! Exact byte forms are in docs/protocol/identity.md. A *card* says which organisation runs a node, where it is and which key it has, signed
//! by that key. A *document* is a card with the node's signature over its address on the connector. A *roster* lists the keys
//! that count, signed by its organisations. Everything here is a pure check: fetching, keeping and alarms are `delta_app::identities`.
//!
//! What must stay true: a value has exactly one signed form, every length is bounded before anything is computed on it, and no
//! signature of this folder can be taken for another one, because each signed form begins with a label of its own.

mod author;
mod call;
mod card;
mod claim;
mod day;
mod document;
mod key;
mod proof;
mod roster;
mod roster_file;
mod trust;
#[cfg(test)]
mod vectors;
mod words;

pub use author::AuthorWord;
pub use call::{CallFault, ReplayLimits, ReplayWindow, SignedCall};
pub use card::{Card, CardError, CardForm, MAX_URL_BYTES};
pub use claim::{
    CLAIM_PIECES, claim, claim_in_pieces, claim_of_pieces, claimed_key, is_claim_piece,
};
pub use day::{day_of, end_of as end_of_day, minute_of};
pub use document::{AddressClaim, Document, Expected, IdentityFault, MAX_DOCUMENT_BYTES};
pub use key::{ADDRESS_MARK, Fingerprint, FingerprintError, NodeKey, is_key_address};
pub use proof::Proof;
pub use roster::{Roster, RosterEntry, RosterError, VerifiedRoster};
pub use roster_file::{MAX_ROSTER_BYTES, RosterEntryForm, RosterFile, RosterSignature};
pub use trust::{Known, Pin, PinError, Trust, TrustAnchors, same_address};
pub(crate) use words::deceives;
pub use words::{MAX_WORD_BYTES, presentable};

/// The name under which the digest of a node's card stands on the connector's data hub, at index 0.
pub const DATA_NAME: &str = "delta-identity";

/// Where a node's [`claim`] stands under that name.
pub const CLAIM_INDEX: i32 = 1;
