//! From facts and limits to a verdict: which rules a release breaks.

use serde::Serialize;

use super::accumulate::Units;
use super::facts::{Facts, MAX_AUDITED, OutputFacts};
use super::rule::RecordsRule;
use super::rules::ReleaseRules;

/// One broken rule. For the owner's log only: it names numbers of the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule.
    pub rule: RecordsRule,
    /// Why, in words; a sentence without a full stop.
    pub why: String,
}

impl Finding {
    pub(super) fn new(rule: RecordsRule, why: impl Into<String>) -> Self {
        Self {
            rule,
            why: why.into(),
        }
    }
}

/// What the rules say of a release.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Verdict {
    /// What speaks against it; nothing: it may leave.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// Whether it may leave. If not, the member contributes zeros, and nobody learns why.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.findings.is_empty()
    }

    /// The rules that are broken, each once, in the order of [`RecordsRule::ALL`].
    #[must_use]
    pub fn broken(&self) -> Vec<RecordsRule> {
        let mut rules: Vec<RecordsRule> = self.findings.iter().map(|f| f.rule).collect();
        rules.sort_unstable();
        rules.dedup();
        rules
    }
}

/// Measures the units and judges the release of their sums: every rule but overlap and cohort, which compare releases.
#[must_use]
pub fn audit(units: &Units, rules: &ReleaseRules) -> Verdict {
    judge(rules, &Facts::of(units))
}

/// Judges a release by what was measured. A rule is named once, with the first output that breaks it.
#[must_use]
pub fn judge(rules: &ReleaseRules, facts: &Facts) -> Verdict {
    let (n, d) = (facts.units, facts.outputs.len());
    let mut findings = Vec::new();
    let mut broken = |rule, why: String| findings.push(Finding::new(rule, why));
    if n < rules.threshold {
        broken(
            RecordsRule::Rows,
            format!("{n} units, and at least {} are needed", rules.threshold),
        );
    }
    let most = rules.outputs_per_row * float(n);
    if wide(d) > most {
        let share = rules.outputs_per_row;
        broken(
            RecordsRule::Outputs,
            format!("{d} numbers of {n} units, more than {share} a unit"),
        );
    }
    let first = |breaks: &dyn Fn(&OutputFacts) -> bool| {
        facts
            .outputs
            .iter()
            .enumerate()
            .find(|(_, output)| breaks(output))
    };
    if let Some((i, output)) = first(&|o| o.nonzero != 0 && o.nonzero < rules.threshold) {
        let why = format!(
            "{} units contribute to output {i}, and 0 or at least {} may",
            output.nonzero, rules.threshold
        );
        broken(RecordsRule::Cells, why);
    }
    if let Some((i, why)) = facts
        .outputs
        .iter()
        .enumerate()
        .find_map(|(i, o)| Some((i, dominated(rules, o)?)))
    {
        broken(RecordsRule::Dominance, format!("output {i}: {why}"));
    }
    match facts.spread {
        Some(spread) => {
            let left = n.saturating_sub(u64::try_from(spread.rank).unwrap_or(u64::MAX));
            if left < rules.freedom {
                let why = format!(
                    "{left} residual degrees of freedom, and at least {} are needed",
                    rules.freedom
                );
                broken(RecordsRule::Freedom, why);
            }
            if spread.leverage > rules.leverage {
                let why = format!(
                    "one unit has {:.3} of a combination of the outputs, and at most {} is allowed",
                    spread.leverage, rules.leverage
                );
                broken(RecordsRule::Leverage, why);
            }
        }
        None => {
            let why = format!(
                "{d} numbers are too many to audit together, or too nearly dependent; the most is {MAX_AUDITED}"
            );
            broken(RecordsRule::Leverage, why);
        }
    }
    Verdict { findings }
}

/// Why one or two units give away too much of a sum. A count cannot: all its units contribute the same.
fn dominated(rules: &ReleaseRules, output: &OutputFacts) -> Option<String> {
    if output.indicator || output.total == 0 {
        return None;
    }
    let (first, second) = (float(output.first), float(output.second));
    let two = u128::from(output.first) + u128::from(output.second);
    let (total, rest) = (large(output.total), large(output.total - two));
    if first + second >= rules.dominance * total {
        let share = (first + second) / total;
        return Some(format!(
            "the two largest are {share:.3} of the sum of magnitudes"
        ));
    }
    (rest < rules.p_percent * first)
        .then(|| format!("the rest is {:.3} of the largest", rest / first))
}

#[expect(clippy::cast_precision_loss, reason = "magnitudes are below 2^53")]
fn float(n: u64) -> f64 {
    n as f64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "compared with a share of itself"
)]
fn large(n: u128) -> f64 {
    n as f64
}

#[expect(clippy::cast_precision_loss, reason = "widths are at most 2^20")]
fn wide(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests;
