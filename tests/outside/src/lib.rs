//! Four adapters that the house does not know, as somebody else would write them; `tests/contracts.rs` holds them against the ports.

mod audited;
mod ledger;
mod shelf;
mod switchboard;

pub use audited::Audited;
pub use ledger::Ledger;
pub use shelf::Shelf;
pub use switchboard::Switchboard;
