//! Which class a task has under an owner's rules: what was found out about its graphs, held against the roles of columns.

use std::collections::BTreeSet;

use super::proof::{Joined, ProofRule, ReleaseProof, StepProof, identifiers};
use crate::ids::DatasetName;
use crate::manifest::{Driver, Manifest, Records};
use crate::policy::{Class, Policies, Rule, Spend, Unit};

/// The `records` steps of a task, in the order of its [`ReleaseProof`].
#[must_use]
pub fn records_steps(manifest: &Manifest) -> Vec<Records> {
    let steps = manifest.rounds.iter().flat_map(|round| &round.map.steps);
    let records = steps.filter_map(|step| match &step.driver {
        Driver::Records(records) => Some(records.clone()),
        Driver::Once | Driver::Batches(_) | Driver::Solve(_) => None,
    });
    records.collect()
}

/// Whom a task protects whose every round has noise for whole members, at the largest of the deltas; `None` for any other.
#[must_use]
pub fn member_spend(manifest: &Manifest) -> Option<Spend> {
    let deltas = manifest
        .rounds
        .iter()
        .map(|round| Some(round.map.noise.as_ref()?.delta));
    let all: Option<Vec<f64>> = deltas.collect();
    let delta = all?.into_iter().reduce(f64::max)?;
    Some(Spend {
        unit: Unit::Member,
        delta,
    })
}

/// The class of a task, and why it is no better than free: sentences without a full stop, for the owner. A task that is not free has none.
///
/// `certified`: whether members prove something of their tables; such a task is free. `member`: [`member_spend`]; what is under noise for
/// members is private whatever its graphs are. `steps`: its `records` steps, as [`records_steps`] has them. Private is what has noise on every
/// step, controlled what has it on none.
#[must_use]
pub fn classify(
    certified: bool,
    member: Option<&Spend>,
    proof: &ReleaseProof,
    steps: &[Records],
    policies: &Policies,
) -> (Class, Vec<String>) {
    if certified {
        // Whether every cell lies within bounds that the author has chosen is told by who takes part: no rule for sums covers that.
        let why = "members prove something of their tables, and who takes part tells whether all cells lie within the author's bounds";
        return (Class::Free, vec![why.to_owned()]);
    }
    if let Some(spend) = member {
        return (Class::Private(spend.clone()), Vec::new());
    }
    let proven = match proof {
        ReleaseProof::Proven(proven) => proven,
        ReleaseProof::Unproven(reasons) if reasons.is_empty() => {
            return (Class::Free, vec!["its graphs were not followed".to_owned()]);
        }
        ReleaseProof::Unproven(reasons) => {
            let told = reasons.iter().map(ToString::to_string);
            return (Class::Free, told.collect());
        }
    };
    if proven.is_empty() {
        let why = "nothing of it runs under the driver records".to_owned();
        return (Class::Free, vec![why]);
    }
    let objections = proven.iter().flat_map(|step| objections(step, policies));
    let units = steps.iter().filter_map(|step| other_unit(step, policies));
    let joined = { steps.iter().zip(proven) }
        .flat_map(|(step, proof)| other_persons(step, &proof.joined, policies));
    let units = units.chain(joined);
    let against: Vec<String> = objections.chain(units).collect();
    if !against.is_empty() {
        return (Class::Free, against);
    }
    if let Some(against) = mixed(steps) {
        return (Class::Free, vec![against.to_owned()]);
    }
    (noised(steps).unwrap_or(Class::Controlled), against)
}

/// Why the steps together protect nobody in particular, although each protects somebody.
fn mixed(steps: &[Records]) -> Option<&'static str> {
    let noised = steps.iter().filter(|step| step.noise.is_some()).count();
    if noised > 0 && noised < steps.len() {
        return Some("some of its sums have noise and some have none");
    }
    let units: BTreeSet<Option<&str>> = steps
        .iter()
        .map(|step| step.unit.as_ref().map(|unit| unit.key.trim()))
        .collect();
    (units.len() > 1)
        .then_some("its steps count persons by different columns, or some records and some persons")
}

/// Why a step is not safe under these rules although its records are kept apart.
fn objections(step: &StepProof, policies: &Policies) -> Vec<String> {
    let own = [(&step.dataset, &step.columns)];
    let joined = step.joined.iter().map(|j| (&j.dataset, &j.columns));
    own.into_iter()
        .chain(joined)
        .filter_map(|(name, columns)| objection(name, columns, policies))
        .collect()
}

fn objection(
    name: &DatasetName,
    columns: &BTreeSet<String>,
    policies: &Policies,
) -> Option<String> {
    let Some(roles) = &policies.of(name).columns else {
        return Some(format!(
            "{name}: the rules do not say what its columns are, so nobody knows which of them point at one person ({})",
            ProofRule::Identifier
        ));
    };
    let found = identifiers(columns, roles);
    (!found.is_empty()).then(|| {
        let columns: Vec<String> = found.iter().map(|c| format!("{c:?}")).collect();
        let verb = if columns.len() == 1 {
            "points at one person and reaches"
        } else {
            "point at one person each and reach"
        };
        format!(
            "{name}: {} {verb} what leaves ({})",
            columns.join(", "),
            ProofRule::Identifier
        )
    })
}

/// Why a step counts others than the owner's rules do. Of one without noise alone: what noise protects is judged with the budget.
fn other_unit(step: &Records, policies: &Policies) -> Option<String> {
    let Unit::Person(key) = &policies.of(&step.dataset).privacy.as_ref()?.unit else {
        return None;
    };
    let counted = step.unit.as_ref().map(|unit| unit.key.trim());
    let same = step.noise.is_some() || counted == Some(key);
    (!same).then(|| {
        format!(
            "{}: a unit is a person by {key:?}, and the task counts {} ({})",
            step.dataset,
            counted.map_or_else(|| "records".to_owned(), |key| format!("by {key:?}")),
            Rule::PrivacyUnit
        )
    })
}

/// Why a step counts others than the owner's rules of a joined dataset do: a person there must be a person here. Of one without noise alone.
fn other_persons(step: &Records, joined: &[Joined], policies: &Policies) -> Vec<String> {
    let counted = step.unit.as_ref().map(|unit| unit.key.trim());
    let against = |join: &Joined| {
        let Unit::Person(key) = &policies.of(&join.dataset).privacy.as_ref()?.unit else {
            return None;
        };
        let same = counted == Some(join.key.as_str()) && *key == join.other_key;
        (step.noise.is_none() && !same).then(|| {
            format!(
                "{}: a unit is a person by {key:?}; join by it, and count persons of {} by {:?} ({})",
                join.dataset,
                step.dataset,
                join.key,
                Rule::PrivacyUnit
            )
        })
    };
    joined.iter().filter_map(against).collect()
}

/// Private, when every step has noise, at the largest of the deltas. All have one unit.
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
        Some(Spend {
            unit: sum.unit,
            delta: sum.delta.max(next.delta),
        })
    })?;
    Some(Class::Private(spend))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::bundle::{Bundle, BundleLimits};
    use crate::manifest::MemberNoise;
    use crate::policy::{Policy, Role};
    use crate::records::proof::Unproven;

    fn dataset() -> DatasetName {
        "a.csv".parse().unwrap()
    }

    fn policies(roles: Option<&[(&str, Role)]>) -> Policies {
        let columns = roles.map(|roles| {
            let of = roles.iter().map(|(name, role)| ((*name).to_owned(), *role));
            of.collect::<BTreeMap<_, _>>()
        });
        let policy = Policy {
            columns,
            ..Policy::default()
        };
        Policies::new([(dataset(), policy)].into())
    }

    fn known() -> Policies {
        policies(Some(&[
            ("wage", Role::Value),
            ("age", Role::Quasi),
            ("id", Role::Identifier),
            ("card", Role::Identifier),
        ]))
    }

    fn proven(columns: &[&str]) -> ReleaseProof {
        ReleaseProof::Proven(vec![StepProof {
            round: 0,
            step: 0,
            dataset: dataset(),
            columns: columns.iter().map(|c| (*c).to_owned()).collect(),
            joined: Vec::new(),
            outputs: 1,
        }])
    }

    /// A step with a key and a delta, as far as it has them.
    fn step(key: Option<&str>, delta: Option<f64>) -> Records {
        let mut form = json!({"dataset": "a.csv", "clip": {"l2": 1.0}});
        if let Some(key) = key {
            form["unit"] = json!({"key": key});
        }
        if let Some(delta) = delta {
            form["noise"] = json!({"multiplier": "2", "delta": delta});
        }
        serde_json::from_value(form).unwrap()
    }

    fn private(unit: Unit, delta: f64) -> Class {
        Class::Private(Spend { unit, delta })
    }

    #[test]
    fn what_members_prove_is_free_whatever_else_holds() {
        let of = |certified, member| {
            let steps = [step(None, None)];
            classify(certified, member, &proven(&["wage"]), &steps, &known())
        };
        assert_eq!(of(false, None).0, Class::Controlled);
        let spend = Spend {
            unit: Unit::Member,
            delta: 1e-6,
        };
        for member in [None, Some(&spend)] {
            let (class, why) = of(true, member);
            assert_eq!((class, why.len()), (Class::Free, 1));
        }
    }

    #[test]
    fn records_kept_apart_are_controlled_and_with_noise_private() {
        let of =
            |steps: &[Records]| classify(false, None, &proven(&["wage", "age"]), steps, &known());
        assert_eq!(of(&[step(None, None)]), (Class::Controlled, vec![]));
        assert_eq!(
            of(&[step(None, Some(1e-6))]),
            (private(Unit::Record, 1e-6), vec![])
        );
        // What protects a part of what leaves protects nothing.
        let half = [step(None, Some(1e-6)), step(None, None)];
        assert_eq!(of(&half).0, Class::Free);
    }

    #[test]
    fn several_steps_protect_what_each_of_them_does() {
        let person = |key: &str| Unit::Person(key.to_owned());
        for (steps, expected) in [
            (
                [step(Some("id"), Some(1e-6)), step(Some(" id"), Some(1e-8))],
                private(person("id"), 1e-6),
            ),
            (
                [step(None, Some(1e-8)), step(None, Some(1e-6))],
                private(Unit::Record, 1e-6),
            ),
            (
                [step(Some("id"), Some(1e-8)), step(Some("card"), Some(1e-6))],
                Class::Free,
            ),
            (
                [step(Some("id"), Some(1e-8)), step(None, Some(1e-8))],
                Class::Free,
            ),
            ([step(Some("id"), None), step(None, None)], Class::Free),
        ] {
            assert_eq!(
                classify(false, None, &proven(&["wage"]), &steps, &known()).0,
                expected
            );
        }
    }

    #[test]
    fn noise_for_members_makes_any_graph_private() {
        let bytes = include_bytes!("../../../tests/fixtures/wide-means.delta");
        let bundle = Bundle::open(bytes, &BundleLimits::default()).unwrap();
        let mut manifest = bundle.manifest().clone();
        assert_eq!(member_spend(&manifest), None);
        let noise = |delta| MemberNoise {
            l2: 1.0,
            multiplier: "2".to_owned(),
            delta,
        };
        manifest.rounds.push(manifest.rounds[0].clone());
        manifest.rounds[0].map.noise = Some(noise(1e-8));
        assert_eq!(member_spend(&manifest), None, "one round has none");
        manifest.rounds[1].map.noise = Some(noise(1e-6));
        let spend = member_spend(&manifest).unwrap();
        assert_eq!((&spend.unit, spend.delta), (&Unit::Member, 1e-6));
        let unproven = ReleaseProof::Unproven(Vec::new());
        let (class, reasons) = classify(false, Some(&spend), &unproven, &[], &Policies::default());
        assert_eq!((class, reasons), (private(Unit::Member, 1e-6), vec![]));
    }

    #[test]
    fn where_persons_count_records_do_not() {
        let mut policy = known().of(&dataset()).clone();
        policy.privacy = Some(crate::policy::Privacy {
            unit: Unit::Person("id".to_owned()),
            epsilon: 1.0,
            delta: 1e-6,
            renew: crate::policy::Renewal::Never,
        });
        let policies = Policies::new([(dataset(), policy)].into());
        let of = |key, delta| {
            classify(
                false,
                None,
                &proven(&["wage"]),
                &[step(key, delta)],
                &policies,
            )
        };
        assert_eq!(of(Some(" id"), None).0, Class::Controlled);
        assert_eq!(of(None, Some(1e-6)).0, private(Unit::Record, 1e-6));
        for key in [None, Some("card")] {
            let (class, reasons) = of(key, None);
            assert_eq!(class, Class::Free);
            assert!(reasons[0].contains("policy.privacy.unit"), "{reasons:?}");
        }
    }

    #[test]
    fn what_keeps_a_task_free_is_told() {
        let steps = [step(None, Some(1e-6))];
        let unproven = ReleaseProof::Unproven;
        let mixed = Unproven {
            rule: ProofRule::RowsMixed,
            place: "rounds[0].map.steps[0]".to_owned(),
            operator: None,
            why: "the graph sums over records".to_owned(),
        };
        for (proof, policies, words) in [
            (unproven(vec![mixed]), known(), "records.rows_mixed"),
            (unproven(vec![]), known(), "were not followed"),
            (
                ReleaseProof::Proven(vec![]),
                known(),
                "nothing of it runs under",
            ),
            (
                proven(&["wage", "id"]),
                known(),
                "\"id\" points at one person",
            ),
            (
                proven(&["card", "id"]),
                known(),
                "\"card\", \"id\" point at one person",
            ),
            (proven(&["wage"]), policies(None), "do not say what"),
            (proven(&["wage"]), Policies::default(), "do not say what"),
        ] {
            let (class, reasons) = classify(false, None, &proof, &steps, &policies);
            assert_eq!(class, Class::Free, "{proof:?}");
            assert_eq!(reasons.len(), 1, "{reasons:?}");
            assert!(reasons[0].contains(words), "{words:?} in {reasons:?}");
        }
    }

    #[test]
    fn what_is_looked_up_is_judged_by_the_rules_of_its_own_dataset() {
        let of = |column: &str, unit: Unit, key: Option<&str>| {
            let ReleaseProof::Proven(mut steps) = proven(&["wage"]) else {
                panic!("it is proven");
            };
            steps[0].joined = vec![Joined {
                dataset: "b.csv".parse().unwrap(),
                columns: [column.to_owned()].into(),
                key: "id".to_owned(),
                other_key: "person".to_owned(),
            }];
            let roles = [("city", Role::Quasi), ("person", Role::Identifier)];
            let roles = roles.map(|(name, role)| (name.to_owned(), role));
            let policy = Policy {
                columns: Some(roles.into()),
                privacy: Some(crate::policy::Privacy {
                    unit,
                    epsilon: 1.0,
                    delta: 1e-6,
                    renew: crate::policy::Renewal::Never,
                }),
                ..Policy::default()
            };
            let own = known().of(&dataset()).clone();
            let both = [(dataset(), own), ("b.csv".parse().unwrap(), policy)];
            let policies = Policies::new(both.into());
            classify(
                false,
                None,
                &ReleaseProof::Proven(steps),
                &[step(key, None)],
                &policies,
            )
        };
        let person = |key: &str| Unit::Person(key.to_owned());
        assert_eq!(of("city", Unit::Record, None), (Class::Controlled, vec![]));
        assert_eq!(
            of("city", person("person"), Some("id")).0,
            Class::Controlled
        );
        for (column, unit, key, words) in [
            (
                "person",
                Unit::Record,
                None,
                "b.csv: \"person\" points at one person",
            ),
            (
                "city",
                person("person"),
                None,
                "count persons of a.csv by \"id\"",
            ),
            (
                "city",
                person("person"),
                Some("card"),
                "count persons of a.csv by \"id\"",
            ),
            ("city", person("other"), Some("id"), "a person by \"other\""),
        ] {
            let (class, reasons) = of(column, unit, key);
            assert_eq!((class, reasons.len()), (Class::Free, 1), "{reasons:?}");
            assert!(reasons[0].contains(words), "{words:?} in {reasons:?}");
        }
    }

    proptest! {
        /// Reasons are given exactly when the class is free, and another identifier among the columns never makes it better.
        #[test]
        fn free_is_what_has_reasons(
            columns in proptest::sample::subsequence(vec!["wage", "age", "id", "other"], 0..=4),
            noise in proptest::collection::vec(any::<bool>(), 0..3),
            roles in any::<bool>(),
        ) {
            let steps: Vec<Records> = noise.iter().map(|n| step(None, n.then_some(1e-6))).collect();
            let policies = if roles { known() } else { Policies::default() };
            let (class, reasons) = classify(false, None, &proven(&columns), &steps, &policies);
            prop_assert_eq!(class == Class::Free, !reasons.is_empty());
            let half = noise.contains(&true) && noise.contains(&false);
            prop_assert_eq!(class == Class::Free, half || !roles || columns.contains(&"id"));
            let more: Vec<&str> = columns.iter().copied().chain(["card"]).collect();
            prop_assert_eq!(classify(false, None, &proven(&more), &steps, &policies).0, Class::Free);
        }
    }
}
