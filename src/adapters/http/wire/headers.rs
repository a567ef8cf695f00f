//! What both ends of `/v1/coord` must agree on: header names and JSON bodies. Shares in fewer bytes are in `compact.rs`.
//!
//! Bodies and query strings keep the original's fields. What is new (who signs, and over what) travels in headers, the same ones for
//! every request, so that a signed request is rebuilt exactly: task, round, sender and content from their old places, the rest from here.

use serde::Serialize;

use delta_domain::ids::{Address, RoundNumber, TaskId};
use delta_domain::round::message::{Confirmation, SealedShares, SignedRequest};

/// Digest of the members and keys that the sender believes in: `0x` and 64 hex digits. Absent means all zeros.
pub(crate) const VIEW: &str = "x-delta-view";
/// Signature under the sender's `pk1`: `0x` and hex. Absent means none.
pub(crate) const SIGNATURE: &str = "x-delta-signature";
/// Commitment to an uploaded result, or the statement that is confirmed: `0x` and 64 hex digits.
pub(crate) const DIGEST: &str = "x-delta-digest";
/// Length in bytes, decimal: of an uploaded result, or of a streamed answer.
pub(crate) const LENGTH: &str = "x-delta-length";
/// Steps of a task that are done, decimal: of a checkpoint.
pub(crate) const STEPS: &str = "x-delta-steps";

/// Longest body with shares, in either form and direction.
pub(crate) const MAX_SHARES: usize = 16 << 20;
/// Longest other body in JSON, and of a confirmation.
pub(crate) const MAX_SMALL_JSON: usize = 64 << 10;

/// Body of `POST joined`, `decline` and `revealed`.
#[derive(Serialize)]
pub(crate) struct NoticeBody<'a> {
    address: &'a Address,
    task_id: &'a TaskId,
    round: RoundNumber,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl<'a> NoticeBody<'a> {
    /// The body of `request`; `reason` is for a decline.
    pub(crate) fn new(request: &'a SignedRequest, reason: Option<&'a str>) -> Self {
        Self {
            address: &request.sender,
            task_id: &request.task,
            round: request.round,
            reason,
        }
    }
}

/// Answer to `GET confirmations` in JSON.
#[derive(Serialize)]
pub(crate) struct ConfirmationsBody {
    /// What members of u3 say to the asking one about it.
    pub(crate) confirmations: Vec<Confirmation>,
}

/// Answer to `GET secret_shares` in JSON.
#[derive(Serialize)]
pub(crate) struct DeliveryBody {
    /// The receiver.
    pub(crate) address: Address,
    /// The task.
    pub(crate) task_id: TaskId,
    /// The round.
    pub(crate) round: RoundNumber,
    /// Shares sealed for the receiver.
    pub(crate) shares: Vec<SealedShares>,
}
