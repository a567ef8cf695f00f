//! Which class a task has under the owner's rules: what was found out about its graphs, held against the roles of columns.

use super::Case;
use delta_domain::manifest::Records;
use delta_domain::policy::{Class, Policies, Spend, Unit};
use delta_domain::records::proof::{ProofRule, ReleaseProof, StepProof, identifiers};

/// The class, and why it is no better one, in sentences for the owner.
pub(super) fn of(case: &Case, policies: &Policies) -> (Class, Vec<String>) {
    let steps = match &case.proof {
        ReleaseProof::Proven(steps) => steps,
        ReleaseProof::Unproven(reasons) => {
            let told = reasons.iter().map(ToString::to_string);
            return (Class::Free, told.collect());
        }
    };
    let against: Vec<String> = steps
        .iter()
        .filter_map(|step| objection(step, policies))
        .collect();
    if !against.is_empty() || steps.is_empty() {
        return (Class::Free, against);
    }
    (noised(&case.steps).unwrap_or(Class::Controlled), against)
}

/// Why a step is not safe under these rules although its records are kept apart.
fn objection(step: &StepProof, policies: &Policies) -> Option<String> {
    let name = &step.dataset;
    let Some(roles) = &policies.of(name).columns else {
        return Some(format!(
            "{name}: the rules do not say what its columns are, so nobody knows which of them point at one person ({})",
            ProofRule::Identifier
        ));
    };
    let found = identifiers(step, roles);
    (!found.is_empty()).then(|| {
        let columns: Vec<String> = found.iter().map(|c| format!("{c:?}")).collect();
        format!(
            "{name}: {} points at one person and reaches what leaves ({})",
            columns.join(", "),
            ProofRule::Identifier
        )
    })
}

/// Private, when every step has noise: for the narrowest of the units, at the largest of the deltas.
fn noised(steps: &[Records]) -> Option<Class> {
    let mut all = steps.iter().map(|step| {
        let unit = match &step.unit {
            None => Unit::Record,
            Some(unit) => Unit::Person(unit.key.trim().to_owned()),
        };
        Some(Spend {
            unit,
            delta: step.noise.as_ref()?.delta,
        })
    });
    let first = all.next()??;
    let spend = all.try_fold(first, |sum, next| {
        let next = next?;
        let unit = match sum.unit == next.unit {
            true => sum.unit,
            false => Unit::Record,
        };
        Some(Spend {
            unit,
            delta: sum.delta.max(next.delta),
        })
    })?;
    Some(Class::Private(spend))
}
