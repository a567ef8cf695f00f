//! What the owner said to a question, how long that holds, and for which other questions.
//!
//! An approval is for one author and one digest of a question: the very graphs, values, columns and rounds that the owner was shown. What
//! was said last about a question is what counts: a newer decision, a revocation or an end leave nothing of older ones.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::question::{Author, Question};
use crate::ids::{Digest, TaskId};
use crate::round::message::Encoder;
use crate::time::Timestamp;

/// What the owner says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OwnerDecision {
    /// It may run.
    Allow,
    /// It may not.
    Deny,
}

/// For which tasks, and how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalScope {
    /// This task only.
    Once(TaskId),
    /// Every task of this author with this digest.
    Always,
    /// The same, before this moment.
    Until(Timestamp),
}

/// One decision of the owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The author who asked.
    pub author: Author,
    /// What was asked: [`Question::digest`].
    pub question: Digest,
    /// For which tasks.
    pub scope: ApprovalScope,
    /// What was decided.
    pub decision: OwnerDecision,
    /// When, in unix ms.
    pub decided_at: Timestamp,
    /// With which of the node's tokens, for the owner to read.
    pub decided_with: String,
}

/// What the owner's decisions say to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// Nothing that still holds.
    #[default]
    Open,
    /// It may run.
    Allowed,
    /// It may not.
    Denied,
}

impl Approval {
    /// What names it in lists, revocations and the journal: SHA-256 over its parts.
    #[must_use]
    pub fn id(&self) -> Digest {
        let mut e = Encoder::new("delta approval 1");
        let Author {
            own,
            node,
            organisation,
            name,
        } = &self.author;
        e.number(u64::from(*own));
        for text in [
            node.map(|print| print.to_string()),
            organisation.clone(),
            name.clone(),
        ] {
            e.number(u64::from(text.is_some()));
            e.text(&text.unwrap_or_default());
        }
        e.bytes(&self.question.0);
        match &self.scope {
            ApprovalScope::Once(task) => e.text(task.as_str()),
            ApprovalScope::Always => e.text("always"),
            ApprovalScope::Until(end) => {
                e.text("until");
                e.number(end.0);
            }
        }
        e.number(u64::from(self.decision == OwnerDecision::Allow));
        e.number(self.decided_at.0);
        e.text(&self.decided_with);
        e.digest()
    }

    /// Whether it speaks about `question`, asked as `task`. That it has ended does not matter here.
    #[must_use]
    pub fn is_about(&self, question: &Question, task: &TaskId) -> bool {
        if self.question != question.digest {
            return false;
        }
        match &self.scope {
            ApprovalScope::Once(only) => only == task,
            ApprovalScope::Always | ApprovalScope::Until(_) => {
                same_author(&self.author, &question.author)
            }
        }
    }
}

/// Whether two authors are one beyond doubt: the same name at the same proven key. Who proves no key is nobody twice.
fn same_author(a: &Author, b: &Author) -> bool {
    a.node.is_some() && a.node == b.node && a.name == b.name
}

/// All decisions of an owner, in the order in which they were made.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalBook {
    approvals: Vec<Approval>,
    revoked: BTreeMap<Digest, Timestamp>,
}

impl ApprovalBook {
    /// Adds a decision. From now on it is what was said last.
    pub fn decide(&mut self, approval: Approval) {
        self.approvals.push(approval);
    }

    /// Takes back what was said under this id. `false` when there is no such approval, or it was revoked before.
    pub fn revoke(&mut self, id: &Digest, now: Timestamp) -> bool {
        let there = self.approvals.iter().any(|a| a.id() == *id);
        if !there || self.revoked.contains_key(id) {
            return false;
        }
        self.revoked.insert(*id, now);
        true
    }

    /// Every decision, and when it was revoked.
    pub fn approvals(&self) -> impl Iterator<Item = (&Approval, Option<Timestamp>)> {
        let of = |a: &Approval| self.revoked.get(&a.id()).copied();
        self.approvals.iter().map(move |a| (a, of(a)))
    }

    /// What the owner said last about `question`, asked as `task`, if it still holds.
    #[must_use]
    pub fn standing(&self, question: &Question, task: &TaskId, now: Timestamp) -> Standing {
        let mut latest = self.approvals.iter().rev();
        // Each run of a certified task tells something else: no word of earlier times allows one.
        let speaks = |a: &&Approval| {
            let allows_more = a.decision == OwnerDecision::Allow
                && !matches!(a.scope, ApprovalScope::Once(_))
                && question.certified.is_some();
            a.is_about(question, task) && !allows_more
        };
        let Some(last) = latest.find(speaks) else {
            return Standing::Open;
        };
        let over = matches!(last.scope, ApprovalScope::Until(end) if end <= now);
        if over || self.revoked.contains_key(&last.id()) {
            return Standing::Open;
        }
        match last.decision {
            OwnerDecision::Allow => Standing::Allowed,
            OwnerDecision::Deny => Standing::Denied,
        }
    }
}

#[cfg(test)]
mod tests;
