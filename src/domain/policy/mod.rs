//! What the owner of a node allows tasks to ask of the data, as values.
//!
//! A [`Policy`] holds the rules of one dataset. A [`Question`] is what a task asks, taken from its checked bundle and from what is known of
//! its author. [`judge`] answers with a [`Verdict`]: allowed, asks the owner, or refused, and by which [`Rule`]s.
//! An [`Approval`] is what the owner said to one question; an [`audit`] journal keeps every decision in a signed chain.
//! Keys and rules are described for owners in docs/policy.md.
//!
//! Not here: reading files, waiting for the owner, and the proof that a task is safe by construction; its outcome comes in as a [`Class`].
//!
//! What must stay true: a dataset without rules asks; what is not known never allows; a tighter policy never allows more; an approval
//! takes the place of asking, and of no limit.

mod approval;
pub mod audit;
mod form;
mod judge;
mod question;
mod rule;
mod rules;
#[cfg(feature = "schema")]
mod schema;
mod verify;

pub use approval::{Approval, ApprovalBook, ApprovalScope, OwnerDecision, Standing};
pub use form::{FieldFault, PolicyFile, PolicyForm, PrivacyForm, ReleaseForm};
pub use judge::{Answer, DatasetFacts, Decision, Facts, Finding, Verdict, judge};
pub use question::{Author, Class, Question, Reads, Spend, TableForm};
pub use rule::Rule;
pub use rules::{
    ApprovalMode, Kind, Policies, Policy, Privacy, Renewal, Role, Unit, Who, WhoError,
};
#[cfg(feature = "schema")]
pub use schema::schema_json;
pub use verify::{Bounds, CertifiedColumns, VerifyForm, VerifyRules};
