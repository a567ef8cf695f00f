//! What an attacker changes on the way.

use delta_domain::ids::Address;
use delta_domain::round::Acquaintances;
use delta_domain::round::message::{Confirmation, ShareDelivery, SignedRequest};
use delta_domain::round::record::{RawPublicKeys, RawShareRecord};

/// Which list of members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum List {
    /// Selected.
    U1,
    /// Have shared.
    U2,
    /// Have uploaded.
    U3,
}

/// Changes a `B` on its way; `A` says whose it is.
pub type Tamperer<A, B> = Option<Box<dyn FnMut(A, &mut B)>>;

/// What a hostile coordinator, connector or peer changes on the way. `None` as the reader is the coordinator.
#[derive(Default)]
pub struct Tamper {
    /// Lists as a runner reads them.
    pub list: Tamperer<(Address, List), Vec<Address>>,
    /// Keys as read.
    pub keys: Tamperer<(Option<Address>, Vec<Address>), Vec<RawPublicKeys>>,
    /// Whom a runner knows; without this all others, vouched for.
    pub others: Tamperer<Address, Acquaintances>,
    /// Sealed shares as relayed to a runner.
    pub delivery: Tamperer<Address, ShareDelivery>,
    /// What others say about u3, as relayed to a runner.
    pub confirmations: Tamperer<Address, Vec<Confirmation>>,
    /// Share records as read: reader, receiver, senders.
    pub records: Tamperer<(Option<Address>, Address, Vec<Address>), Vec<RawShareRecord>>,
    /// Requests on their way to the coordinator.
    pub request: Tamperer<(), SignedRequest>,
    /// Joins as the coordinator reads them.
    pub joins: Tamperer<(), Vec<Address>>,
    /// Commitments of results as the coordinator reads them.
    pub result: Tamperer<Address, Option<String>>,
}
