//! The second part: the task under noise again and again, until no hospital has a budget for its next round.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};

use super::Stage;
use super::bar::up;
use super::comparison::{Charged, noisy};
use super::owner::{account, named, verdicts};
use super::rules::PRIVATE;
use delta_domain::policy::{Decision, Rule};
use delta_domain::round::DeclineCode;

/// Runs that are tried: a budget that pays for more is too large for this.
const RUNS: u32 = 50;

/// What the second part has found.
pub(super) struct Spent {
    /// The word of the closed list that the author got.
    pub(super) code: DeclineCode,
    /// Hospitals that said it.
    pub(super) declined: BTreeSet<String>,
    /// The rules by which a hospital refused, as its journal has it.
    pub(super) rules: Vec<Rule>,
    /// What the ledger says is spent.
    pub(super) ledger: f64,
    /// What it says of reservations that were not charged.
    pub(super) open: usize,
}

/// Spends the budget, and says what both sides see when it is spent.
pub(super) async fn run(stage: &Stage<'_>, charged: &mut Vec<Charged>) -> anyhow::Result<Spent> {
    let place = stage.places.shown()?;
    stage.heading("2. The same task again, until the budget is spent");
    for _ in 0..RUNS {
        let run = noisy(stage, charged).await?;
        let Some(error) = &run.ended.error else {
            stage.say("that run has a result, too; once more");
            continue;
        };
        let verdict = verdicts(&run.events, &run.ended.task).pop();
        let Some((Decision::Refused, rules)) = verdict else {
            bail!("{}: {error}", place.name);
        };
        let code = DeclineCode::OverBudget;
        let declined = run.ended.declined.get(&code).cloned().unwrap_or_default();
        stage.declined(code, &declined);
        stage.owner(&format!("refused by {}", named(&rules)));
        let verdict = run.refused.map(|question| question.verdict);
        let findings = verdict.into_iter().flat_map(|verdict| verdict.findings);
        for finding in findings.filter(|f| rules.contains(&f.rule)) {
            stage.owner(&format!("  {}", finding.why));
        }
        let account = account(place, PRIVATE).await?;
        let ledger = account.spent.colluding.context("the ledger is unbounded")?;
        stage.owner(&format!(
            "delta-node privacy: epsilon {} of {} is spent",
            up(ledger),
            stage.budget
        ));
        return Ok(Spent {
            code,
            declined,
            rules,
            ledger,
            open: account.open,
        });
    }
    bail!("the budget was not spent after {RUNS} runs")
}
