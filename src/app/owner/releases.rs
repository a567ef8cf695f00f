//! What leaves the node by the owner's word: what must hold of it, what it costs, and that it is written down first.

use std::collections::BTreeMap;

use super::{Case, Owner};
use delta_domain::ids::{DatasetName, TaskId};
use delta_domain::policy::{Author, Question, Rule, Verdict};
use delta_domain::privacy::cost::Cost;
use delta_domain::records::{ReleaseRules, ReleasedRows};
use delta_domain::round::runner::Release;
use delta_ports::{PortError, PortErrorKind};

/// A round whose contribution is about to leave.
pub(crate) struct Left<'l> {
    pub(crate) task: &'l TaskId,
    /// As the network counts.
    pub(crate) round: u64,
    /// What it costs each dataset, where it has noise.
    pub(crate) costs: BTreeMap<DatasetName, Cost>,
}

impl Owner {
    /// The fewest members, and the colluders to be withstood, that the rules of what is read ask for.
    pub(crate) fn floor(&self, question: &Question) -> (usize, Option<u32>) {
        let (members, colluders) = self.policies.rules().policies.floor(question);
        (usize::try_from(members).unwrap_or(usize::MAX), colluders)
    }

    /// What must hold of the sums of a task that runs because it is safe by construction; `None` where it runs for another reason.
    pub(crate) fn release_rules(&self, case: &Case, verdict: &Verdict) -> Option<ReleaseRules> {
        let controlled = verdict.by().contains(&Rule::Controlled);
        let policies = self.policies.rules().policies;
        let of = case.question.reads.keys();
        let all = of.map(|name| policies.of(name).release_rules());
        all.reduce(ReleaseRules::and).filter(|_| controlled)
    }

    /// Writes down that a round's contribution leaves. Before it does.
    ///
    /// # Errors
    /// The journal takes no entry: then it must not leave.
    pub(crate) async fn released(
        &self,
        left: &Left<'_>,
        question: &Question,
        outputs: u64,
    ) -> Result<(), PortError> {
        let now = self.clock.now();
        let policies = self.policies.rules().policies;
        let mut records = self.records().await;
        records
            .released(now, left, &policies, question, outputs)
            .await
    }

    /// Writes down that zeros leave in place of a contribution. Before they do.
    ///
    /// # Errors
    /// As [`Self::released`].
    pub(crate) async fn failed(
        &self,
        left: &Left<'_>,
        question: &Question,
    ) -> Result<(), PortError> {
        let now = self.clock.now();
        let policies = self.policies.rules().policies;
        let mut records = self.records().await;
        records.failed(now, left, &policies, question).await
    }

    /// A round is over: what is still set aside for it is spent.
    ///
    /// # Errors
    /// The database's.
    pub(crate) async fn settle(&self, task: &TaskId, round: u64) -> Result<(), PortError> {
        let now = self.clock.now();
        let policies = self.policies.rules().policies;
        let records = self.records().await;
        records.settle(now, task, round, &policies).await
    }

    /// Sets aside what a round costs, where it has noise. Before data are read.
    ///
    /// # Errors
    /// `Denied` when a budget does not suffice; the database's.
    pub(crate) async fn reserve(&self, left: &Left<'_>) -> Result<(), PortError> {
        let now = self.clock.now();
        let policies = self.policies.rules().policies;
        let records = self.records().await;
        records.reserve(now, left, &policies).await
    }
}

impl Owner {
    /// Compares which rows a release counts with those of earlier ones to this author, and remembers them. Before it leaves.
    ///
    /// # Errors
    /// In the operation [`OVERLAP`](super::OVERLAP) when two differ by too few; the database's.
    pub(crate) async fn compare(
        &self,
        author: &Author,
        rows: Vec<ReleasedRows>,
        threshold: u64,
    ) -> Result<(), PortError> {
        self.history.compare(author, rows, threshold).await
    }

    /// Whether this may be released to this cohort; with `now`, remembers that it is.
    ///
    /// # Errors
    /// `Denied` when another cohort got it; the database's.
    pub(crate) async fn release_to(&self, release: &Release, now: bool) -> Result<(), PortError> {
        self.history.release_to(release, now).await
    }
}

/// Why a node computes nothing, when its owner's word does not allow it. For the owner's log.
pub(crate) fn withheld(verdict: &Verdict) -> PortError {
    let rules: Vec<&str> = verdict.by().iter().map(|rule| rule.name()).collect();
    let text = format!(
        "its owner's rules do not allow it now: {}",
        rules.join(", ")
    );
    PortError::new(PortErrorKind::Denied, "runner.permit", text)
}
