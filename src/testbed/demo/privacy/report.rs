//! What the demonstration has found: one object for scripts, and whether everything went as it should.

use std::path::Path;

use anyhow::bail;

use super::comparison::Comparison;
use super::places::HOSPITALS;
use super::pooled::{Coefficients, Pooled};
use super::questions::{Asked, Selecting};
use super::spending::Spent;
use delta_domain::policy::{Class, Decision, Rule};
use delta_domain::records::RecordsRule;
use delta_domain::records::proof::ProofRule;
use delta_domain::round::{DeclineCode, FailureCode};

/// How far sums without noise may be from those of all patients in one place: they are kept to eight digits.
const EXACT: f64 = 1e-6;
/// How far noise of this size moves a coefficient once in a very long time.
const FAR: f64 = 0.6;

/// Everything that was found.
pub(super) struct Report {
    /// The epsilon of each hospital.
    pub(super) budget: f64,
    pub(super) pooled: Pooled,
    pub(super) comparison: Comparison,
    pub(super) spent: Spent,
    pub(super) selecting: Selecting,
    pub(super) waited: Asked,
    /// The answer to the question that waited.
    pub(super) correlation: f64,
}

/// The largest difference of two coefficients.
fn distance(a: &Coefficients, b: &Coefficients) -> f64 {
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, f64::max)
}

impl Report {
    /// One object for scripts. Rules are the owner's, codes the author's.
    pub(super) fn json(&self, ok: bool, picture: &Path) -> serde_json::Value {
        let (comparison, spent) = (&self.comparison, &self.spent);
        let (by_number, by_age) = (&self.selecting.by_number, &self.selecting.by_age);
        serde_json::json!({
            "ok": ok,
            "budget": self.budget,
            "coefficients": {
                "names": comparison.names,
                "pooled": self.pooled.coefficients,
                "controlled": comparison.controlled,
                "private": comparison.private,
            },
            "rules": { "controlled": comparison.controlled_by, "private": comparison.private_by },
            "charged": comparison.charged,
            "spent": {
                "ledger": spent.ledger,
                "open": spent.open,
                "code": spent.code,
                "declined": spent.declined,
                "rules": spent.rules,
            },
            "selecting": {
                "by_number": asked(by_number),
                "by_age": {
                    "allowed": by_age.allowed,
                    "rules": by_age.rules,
                    "logs": by_age.logs,
                    "code": by_age.code,
                    "silent": by_age.silent,
                },
            },
            "waiting": {
                "task": asked(&self.waited),
                "result": self.correlation,
                "pooled": self.pooled.correlation,
            },
            "plot_file": picture,
        })
    }

    /// Whether everything went as it should.
    pub(super) fn verdict(&self) -> anyhow::Result<()> {
        self.regression()?;
        self.budget()?;
        self.questions()
    }

    fn regression(&self) -> anyhow::Result<()> {
        let found = &self.comparison;
        let exact = distance(&found.controlled, &self.pooled.coefficients);
        if exact > EXACT {
            bail!("without noise a coefficient is {exact} away from that of all patients");
        }
        let moved = distance(&found.private, &self.pooled.coefficients);
        if !(EXACT..=FAR).contains(&moved) {
            bail!("noise has moved a coefficient by {moved}");
        }
        if found.controlled_by != [Rule::Controlled] || found.private_by != [Rule::Private] {
            bail!(
                "the regressions ran by {:?} and {:?}",
                found.controlled_by,
                found.private_by
            );
        }
        Ok(())
    }

    fn budget(&self) -> anyhow::Result<()> {
        let (charged, spent) = (&self.comparison.charged, &self.spent);
        let grows = charged.windows(2).all(|two| match two {
            [before, after] => before.epsilon < after.epsilon,
            _ => true,
        });
        if !grows || charged.iter().any(|c| c.epsilon > self.budget) {
            bail!("rounds were charged that the budget does not pay for: {charged:?}");
        }
        if charged
            .last()
            .is_none_or(|last| last.epsilon != spent.ledger)
            || spent.open != 0
        {
            bail!(
                "the ledger says {} where the journal says {charged:?}",
                spent.ledger
            );
        }
        if spent.declined.len() != HOSPITALS || spent.rules != [Rule::PrivacyBudget] {
            bail!(
                "the spent budget was refused by {:?}, with {:?}",
                spent.rules,
                spent.declined
            );
        }
        Ok(())
    }

    fn questions(&self) -> anyhow::Result<()> {
        let (by_number, by_age) = (&self.selecting.by_number, &self.selecting.by_age);
        let selects = |why: &String| why.contains(ProofRule::Identifier.name());
        if !by_number.question.unproven.iter().any(selects) || !refused(by_number) {
            bail!("the question about one number: {}", asked(by_number));
        }
        if !by_age.allowed || !by_age.silent || !by_age.rules.contains(&RecordsRule::Cells) {
            bail!("the question about few patients: {:?}", by_age.rules);
        }
        if by_age.code != Some(FailureCode::Computation) || by_age.logs != HOSPITALS {
            bail!(
                "the author of the question about few was told {:?}",
                by_age.code
            );
        }
        let off = (self.correlation - self.pooled.correlation).abs();
        if self.waited.rules != [Rule::Given] || off > EXACT {
            bail!(
                "the question that waited: {}, {off} off",
                asked(&self.waited)
            );
        }
        match [by_number, &self.waited].iter().find(|a| !waited(a)) {
            Some(asked_of) => bail!("a question did not wait: {}", asked(asked_of)),
            None => Ok(()),
        }
    }
}

/// Whether all owners were asked about a task that is free.
fn waited(of: &Asked) -> bool {
    let verdict = &of.question.verdict;
    of.asking.len() == HOSPITALS
        && of.question.question.class == Class::Free
        && (verdict.decision, verdict.by()) == (Decision::Asks, vec![Rule::Asks])
}

/// Whether the owners' no was one for the author, too.
fn refused(of: &Asked) -> bool {
    let told = of.ended.declined.get(&DeclineCode::NotAllowed);
    of.rules == [Rule::Denied] && told.is_some_and(|names| names.len() == HOSPITALS)
}

fn asked(of: &Asked) -> serde_json::Value {
    serde_json::json!({
        "class": of.question.question.class.name(),
        "unproven": of.question.unproven,
        "asked_by": of.question.verdict.by(),
        "asking": of.asking,
        "decided_by": of.rules,
        "declined": of.ended.declined,
    })
}
