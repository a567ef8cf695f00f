//! The owner's journal, `delta audit 1`: what was decided and what left, as signed lines that hang together.
//!
//! Each line is one JSON object. It holds its number, the SHA-256 of the line before (without the line's end; zeros in the first), what
//! happened, and last the signature of the node's identity key over everything in front of it. A line has exactly one form: what does not
//! read and write back to the same bytes is damaged. So no line can be changed, left out, added or moved without a trace.
//!
//! What a chain cannot show by itself is that lines are missing at its end: whoever keeps a [`Head`] can compare.

use serde::{Deserialize, Serialize};

use super::approval::{Approval, ApprovalBook};
use super::judge::Decision;
use super::question::Author;
use super::rule::Rule;
use crate::identity::{Fingerprint, NodeKey};
use crate::ids::{DatasetName, Digest, TaskId, decode_hex, encode_hex};
use crate::round::message::Encoder;
use crate::secagg::keys::PublicKey;
use crate::time::Timestamp;

/// The only value of `format` that this program reads.
pub const AUDIT_FORMAT: &str = "delta audit 1";
/// The longest line that is read, in bytes.
pub const MAX_LINE_BYTES: usize = 64 << 10;

const LABEL: &str = "delta audit 1";
/// Bytes of a signature on [`NodeKey::CURVE`].
const SIGNATURE_BYTES: usize = 64;
const SIGNATURE_KEY: &str = ",\"signature\":\"";
const END: &str = "\"}";

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum AuditEvent {
    /// The policies were read, at the start or after a change.
    Policy {
        /// SHA-256 of what was read.
        digest: Digest,
        /// Datasets with rules of their own.
        datasets: Vec<DatasetName>,
    },
    /// A task was judged.
    Judged {
        /// The task.
        task: TaskId,
        /// Who asked.
        author: Author,
        /// What was asked.
        question: Digest,
        /// The verdict.
        decision: Decision,
        /// By which rules.
        by: Vec<Rule>,
    },
    /// The owner decided.
    Decided(Approval),
    /// The owner took a decision back.
    Revoked {
        /// [`Approval::id`].
        approval: Digest,
        /// With which of the node's tokens.
        with: String,
    },
    /// A round's contribution left the node.
    Released {
        /// The task.
        task: TaskId,
        /// The round, as the network counts.
        round: u64,
        /// Of which datasets.
        datasets: Vec<DatasetName>,
        /// How many numbers.
        outputs: u64,
        /// What the period's tasks cost together after it, where there is a budget.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        epsilon: Option<f64>,
    },
}

/// A line but for its signature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    format: String,
    number: u64,
    at: Timestamp,
    before: Digest,
    node: String,
    event: AuditEvent,
}

/// The end of a chain: what the next line hangs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Lines so far.
    pub lines: u64,
    /// SHA-256 of the last one; zeros when there is none.
    pub last: Digest,
}

impl Head {
    /// The head of an empty journal.
    pub const EMPTY: Self = Self {
        lines: 0,
        last: Digest([0; 32]),
    };
}

/// One entry that was read and checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// When it was written, in unix ms.
    pub at: Timestamp,
    /// What happened.
    pub event: AuditEvent,
}

/// What is wrong with a journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct AuditFault {
    /// Which line, from 1.
    pub line: u64,
    /// What is wrong.
    pub why: AuditWhy,
}

/// Why a line is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuditWhy {
    /// It has another form.
    #[error("is damaged: it is no entry of a journal in the format \"delta audit 1\"")]
    Form,
    /// It has another number than its place.
    #[error("has another number: lines are missing, added or moved")]
    Number,
    /// It does not hang on the line before.
    #[error("does not follow the line before: one of the two was changed")]
    Chain,
    /// It names another node.
    #[error("was written by another node")]
    Node,
    /// The signature does not hold.
    #[error("is not signed by this node's key: it was changed")]
    Signature,
}

/// Writes the next line, without a line's end, and says what the one after it hangs on.
///
/// # Errors
/// The event cannot be written as JSON (a number that is not finite).
pub fn append(
    head: Head,
    at: Timestamp,
    event: AuditEvent,
    key: &NodeKey,
) -> Result<(String, Head), serde_json::Error> {
    let body = Body {
        format: AUDIT_FORMAT.to_owned(),
        number: head.lines.saturating_add(1),
        at,
        before: head.last,
        node: key.fingerprint().to_string(),
        event,
    };
    let text = serde_json::to_string(&body)?;
    // JSON has no word for them: what was written would not be read back.
    if serde_json::from_str::<Body>(&text)? != body {
        return Err(serde::de::Error::custom("a number is not finite"));
    }
    let signature = encode_hex(&key.sign(&signed(&text)));
    let open = text.strip_suffix('}').unwrap_or(&text);
    let line = format!("{open}{SIGNATURE_KEY}{signature}{END}");
    let head = Head {
        lines: body.number,
        last: Digest::of(line.as_bytes()),
    };
    Ok((line, head))
}

/// Checks one line that follows on `head`.
///
/// # Errors
/// [`AuditFault`], with the line's place by `head`.
pub fn follow(head: Head, line: &str, key: &PublicKey) -> Result<(Entry, Head), AuditFault> {
    check(head, line, key, |_| true)
}

/// The same for the node's own file at its start: every line must hang on the one before, and decisions of the owner need their
/// signature; those of other lines are not checked, which would cost a long journal seconds.
///
/// # Errors
/// As [`follow`].
pub fn read(head: Head, line: &str, key: &PublicKey) -> Result<(Entry, Head), AuditFault> {
    let decides =
        |event: &AuditEvent| matches!(event, AuditEvent::Decided(_) | AuditEvent::Revoked { .. });
    check(head, line, key, decides)
}

fn check(
    head: Head,
    line: &str,
    key: &PublicKey,
    signed_by_owner: impl Fn(&AuditEvent) -> bool,
) -> Result<(Entry, Head), AuditFault> {
    let number = head.lines.saturating_add(1);
    let fault = |why| AuditFault { line: number, why };
    let (text, signature) = split(line).ok_or(fault(AuditWhy::Form))?;
    let body: Body = serde_json::from_str(&text).map_err(|_| fault(AuditWhy::Form))?;
    let again = serde_json::to_string(&body).map_err(|_| fault(AuditWhy::Form))?;
    if again != text || body.format != AUDIT_FORMAT {
        return Err(fault(AuditWhy::Form));
    }
    if body.node != Fingerprint::of(key).to_string() {
        return Err(fault(AuditWhy::Node));
    }
    if signed_by_owner(&body.event) {
        key.verify(&signed(&text), &signature)
            .map_err(|_| fault(AuditWhy::Signature))?;
    }
    if body.number != number {
        return Err(fault(AuditWhy::Number));
    }
    if body.before != head.last {
        return Err(fault(AuditWhy::Chain));
    }
    let head = Head {
        lines: number,
        last: Digest::of(line.as_bytes()),
    };
    let Body { at, event, .. } = body;
    Ok((Entry { at, event }, head))
}

/// Checks a whole journal from its first line on.
///
/// # Errors
/// The first [`AuditFault`].
pub fn verify<'l>(
    lines: impl IntoIterator<Item = &'l str>,
    key: &PublicKey,
) -> Result<Head, AuditFault> {
    lines.into_iter().try_fold(Head::EMPTY, |head, line| {
        follow(head, line, key).map(|(_, head)| head)
    })
}

impl ApprovalBook {
    /// Does again what an entry of the journal tells.
    pub fn replay(&mut self, entry: &Entry) {
        match &entry.event {
            AuditEvent::Decided(approval) => self.decide(approval.clone()),
            AuditEvent::Revoked { approval, .. } => {
                self.revoke(approval, entry.at);
            }
            AuditEvent::Policy { .. } | AuditEvent::Judged { .. } | AuditEvent::Released { .. } => {
            }
        }
    }
}

fn signed(text: &str) -> Vec<u8> {
    let mut e = Encoder::new(LABEL);
    e.text(text);
    e.finish()
}

/// A line's content, as it was before the signature was put into it, and the signature.
fn split(line: &str) -> Option<(String, Vec<u8>)> {
    if line.len() > MAX_LINE_BYTES {
        return None;
    }
    let rest = line.strip_suffix(END)?;
    let at = rest.len().checked_sub(2 + 2 * SIGNATURE_BYTES)?;
    let (rest, hex) = rest.split_at_checked(at)?;
    let open = rest.strip_suffix(SIGNATURE_KEY)?;
    let signature = decode_hex(hex).ok()?;
    (encode_hex(&signature) == hex).then(|| (format!("{open}}}"), signature))
}

#[cfg(test)]
mod tests;
