//! Rows that are matched with those of another dataset.

use super::*;

fn joined(found_by: &[&str], direct: bool) -> Question {
    let mut question = noised(Unit::Person("id".to_owned()), 1e-6);
    for reads in question.reads.values_mut() {
        reads.keys = ["id".to_owned()].into();
        reads.found_by = found_by.iter().map(|key| (*key).to_owned()).collect();
        reads.direct = direct;
    }
    question
}

#[test]
fn rows_are_matched_by_columns_that_the_policy_lists() {
    let question = joined(&[], true);
    let of = |keys: &[&str], all: &[(&str, Role)]| {
        let policy = Policy {
            joins: keys.iter().map(|key| (*key).to_owned()).collect(),
            ..columns(all)
        };
        verdict(policy, &question, &known())
    };
    let known = [
        ("age", Role::Quasi),
        ("wage", Role::Value),
        ("id", Role::Identifier),
    ];
    assert_eq!(of(&["id"], &known).by(), [Rule::Asks]);
    assert_eq!(of(&["id"], &known[..2]).by(), [Rule::Asks]);
    for keys in [&[][..], &["age"]] {
        let asks = of(keys, &known);
        assert_eq!(asks.decision, Decision::Asks);
        assert_eq!(asks.by(), [Rule::Joins, Rule::Asks]);
    }
    let hidden = [known[0], known[1], ("id", Role::Hidden)];
    let refused = of(&["id"], &hidden);
    assert_eq!(refused.by(), [Rule::ColumnHidden]);
    assert_eq!(refused.answer(), Some(Answer::Zeros));
}

#[test]
fn noise_protects_persons_by_the_key_of_each_side() {
    let policy = |key: &str| Policy {
        joins: ["id".to_owned()].into(),
        approval: ApprovalMode::Private,
        privacy: Some(Privacy {
            unit: Unit::Person(key.to_owned()),
            ..budget().unwrap()
        }),
        ..Policy::default()
    };
    let of = |key: &str, found_by: &[&str], direct| {
        verdict(policy(key), &joined(found_by, direct), &known()).by()
    };
    assert_eq!(of("id", &[], true), [Rule::Private]);
    assert_eq!(of("patient", &["patient"], false), [Rule::Private]);
    for (key, found_by, direct) in [
        ("patient", &[][..], true),
        ("id", &["patient"], false),
        ("patient", &["patient"], true),
        ("patient", &["patient", "mother"], false),
    ] {
        assert_eq!(of(key, found_by, direct), [Rule::PrivacyUnit], "{key}");
    }
}

#[test]
fn no_more_rows_are_read_than_look_for_them() {
    let mut question = joined(&[], true);
    let (looking, other): (DatasetName, DatasetName) = (
        "visits.csv".parse().unwrap(),
        "patients.csv".parse().unwrap(),
    );
    let mut found = Reads::of(BTreeSet::new(), TableForm::Names);
    found.found_from = [looking.clone()].into();
    found.direct = false;
    question.reads = [
        (
            looking.clone(),
            Reads::of(BTreeSet::new(), TableForm::Names),
        ),
        (other.clone(), found),
    ]
    .into();
    let policy = Policy {
        rows: Some(500),
        ..Policy::default()
    };
    let policies = Policies::new([(other.clone(), policy)].into());
    let by = |visits: u64| {
        let mut facts = known();
        let of = |rows| DatasetFacts {
            rows: Some(rows),
            ..DatasetFacts::default()
        };
        facts.datasets = [(looking.clone(), of(visits)), (other.clone(), of(1000))].into();
        judge(&policies, &question, &facts, NOW).by()
    };
    assert!(by(3).contains(&Rule::Rows));
    assert!(!by(500).contains(&Rule::Rows));
}
