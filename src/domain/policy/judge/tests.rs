//! Every rule by itself, and how rules come together.

use super::*;
use crate::ids::Digest;

use crate::policy::{Author, Kind, Privacy, Renewal, Spend, Unit, Who};
use crate::strategy::Strategy;

const NOW: Timestamp = Timestamp(1_000);

fn data() -> DatasetName {
    "a.csv".parse().unwrap()
}

/// A plain question: statistics on two columns by an unknown author, 4 numbers a round.
pub(in crate::policy) fn question() -> Question {
    Question {
        author: Author::default(),
        kind: Kind::Statistics,
        strategy: Strategy {
            min_clients: 3,
            max_clients: 5,
            ..Strategy::default()
        },
        rounds: 1,
        outputs: 4,
        reads: BTreeMap::from([(
            data(),
            Reads::of(
                BTreeSet::from(["age".to_owned(), "wage".to_owned()]),
                TableForm::Names,
            ),
        )]),
        certified: None,
        class: Class::Free,
        digest: Digest([1; 32]),
    }
}

fn known() -> Facts {
    let all = DatasetFacts {
        rows: Some(100),
        rounds: Some(0),
        refused: 0,
        epsilon: Some(1.0),
    };
    Facts {
        datasets: BTreeMap::from([(data(), all)]),
        members: None,
        standing: Standing::Open,
    }
}

fn verdict(policy: Policy, question: &Question, facts: &Facts) -> Verdict {
    let policies = Policies::new(BTreeMap::from([(data(), policy)]));
    judge(&policies, question, facts, NOW)
}

fn one(policy: Policy) -> (Decision, Vec<Rule>) {
    let verdict = verdict(policy, &question(), &known());
    (verdict.decision, verdict.by())
}

fn refused(rule: Rule) -> (Decision, Vec<Rule>) {
    (Decision::Refused, vec![rule])
}

fn asks(rules: &[Rule]) -> (Decision, Vec<Rule>) {
    (Decision::Asks, rules.to_vec())
}

fn columns(all: &[(&str, Role)]) -> Policy {
    let all = all.iter().map(|(name, role)| ((*name).to_owned(), *role));
    Policy {
        columns: Some(all.collect()),
        ..Policy::default()
    }
}

fn budget() -> Option<Privacy> {
    Some(Privacy {
        unit: Unit::Record,
        epsilon: 3.0,
        delta: 1e-6,
        renew: Renewal::Yearly,
    })
}

fn noised(unit: Unit, delta: f64) -> Question {
    question().proven(Class::Private(Spend { unit, delta }))
}

#[test]
fn a_dataset_without_rules_asks() {
    let verdict = judge(&Policies::default(), &question(), &known(), NOW);
    assert_eq!(verdict.decision, Decision::Asks);
    assert_eq!(verdict.by(), [Rule::Asks]);
    assert_eq!(
        verdict.answer(),
        Some(Answer::Decline(DeclineCode::AsksOwner))
    );
}

#[test]
fn a_task_without_data_asks() {
    let mut question = question();
    question.reads.clear();
    let verdict = judge(&Policies::default(), &question, &Facts::default(), NOW);
    assert_eq!(verdict.by(), [Rule::NoData]);
    assert_eq!(verdict.decision, Decision::Asks);
    question.author.own = true;
    let verdict = judge(&Policies::default(), &question, &Facts::default(), NOW);
    assert_eq!((verdict.by(), verdict.answer()), (vec![Rule::Own], None));
}

#[test]
fn a_policy_ends() {
    let until = |until| Policy {
        until: Some(Timestamp(until)),
        ..Policy::default()
    };
    assert_eq!(one(until(1_000)), refused(Rule::Until));
    assert_eq!(one(until(1_001)), asks(&[Rule::Asks]));
}

#[test]
fn only_those_may_ask_who_are_named() {
    let policy = Policy {
        who: Some(BTreeSet::from(["org:A".parse::<Who>().unwrap()])),
        ..Policy::default()
    };
    assert_eq!(one(policy.clone()), refused(Rule::Who));
    let mut question = question();
    question.author.organisation = Some("A".to_owned());
    let of = |question: &Question| verdict(policy.clone(), question, &known()).by();
    assert_eq!(of(&question), [Rule::Asks]);
    question.author = Author {
        own: true,
        ..Author::default()
    };
    assert_eq!(of(&question), [Rule::Own]);
}

#[test]
fn kinds_members_and_colluders_are_limits() {
    let kinds = Policy {
        kinds: Some(BTreeSet::from([Kind::Learning])),
        ..Policy::default()
    };
    assert_eq!(one(kinds), refused(Rule::Kinds));
    let members = |n| Policy {
        members: Some(n),
        ..Policy::default()
    };
    assert_eq!(one(members(5)), asks(&[Rule::Asks]));
    assert_eq!(one(members(6)), refused(Rule::Members));
    let mut facts = known();
    facts.members = Some(4);
    let few = verdict(members(5), &question(), &facts);
    assert_eq!(few.by(), [Rule::Members]);
    assert_eq!(
        few.answer(),
        Some(Answer::Decline(DeclineCode::TooFewMembers))
    );
    let colluders = |n| Policy {
        colluders: Some(n),
        ..Policy::default()
    };
    // Five members, of whom one is reckoned with: t = 4, 2 t - 5 = 3.
    assert_eq!(one(colluders(2)), asks(&[Rule::Asks]));
    assert_eq!(one(colluders(3)), refused(Rule::Colluders));
}

#[test]
fn every_limit_in_rows_counts_the_rows_that_are_read() {
    let rows = |n| Policy {
        rows: Some(n),
        ..Policy::default()
    };
    assert_eq!(one(rows(100)), asks(&[Rule::Asks]));
    assert_eq!(one(rows(101)), refused(Rule::Rows));
    let mut half = question();
    half.reads.get_mut(&data()).unwrap().fraction = Some(0.5);
    assert_eq!(verdict(rows(51), &half, &known()).by(), [Rule::Rows]);
    assert_eq!(verdict(rows(50), &half, &known()).by(), [Rule::Asks]);
    let outputs = |share| Policy {
        outputs_per_row: Some(share),
        ..Policy::default()
    };
    assert_eq!(one(outputs(0.04)), asks(&[Rule::Asks]));
    assert_eq!(one(outputs(0.039)), refused(Rule::Outputs));
    assert_eq!(
        verdict(outputs(0.04), &half, &known()).by(),
        [Rule::Outputs]
    );
}

#[test]
fn what_would_tell_of_the_data_is_not_told() {
    let small = Policy {
        rows: Some(1_000),
        ..Policy::default()
    };
    let hidden = columns(&[("age", Role::Hidden), ("wage", Role::Value)]);
    for policy in [small.clone(), hidden] {
        let verdict = verdict(policy, &question(), &known());
        assert_eq!(verdict.answer(), Some(Answer::Zeros));
    }
    // Another reason, which does not: that is what is told.
    let both = Policy {
        until: Some(NOW),
        ..small
    };
    assert_eq!(
        verdict(both, &question(), &known()).answer(),
        Some(Answer::Decline(DeclineCode::NotAllowed))
    );
}

#[test]
fn what_is_not_known_asks() {
    let policy = Policy {
        rows: Some(1),
        outputs_per_row: Some(100.0),
        rounds_per_day: Some(9),
        privacy: budget(),
        approval: ApprovalMode::Private,
        ..Policy::default()
    };
    let nothing = Facts::default();
    let free = verdict(policy.clone(), &question(), &nothing);
    assert_eq!(
        free.by(),
        [Rule::Rows, Rule::Outputs, Rule::Rounds, Rule::Asks]
    );
    let private = verdict(policy, &noised(Unit::Record, 1e-6), &nothing);
    assert_eq!(
        private.by(),
        [Rule::Rows, Rule::Rounds, Rule::PrivacyBudget]
    );
}

#[test]
fn rounds_of_a_day_are_counted() {
    let policy = Policy {
        rounds_per_day: Some(2),
        ..Policy::default()
    };
    for (before, expected) in [(0, Rule::Asks), (1, Rule::Asks), (2, Rule::Rounds)] {
        let mut facts = known();
        facts.datasets.get_mut(&data()).unwrap().rounds = Some(before);
        assert_eq!(
            verdict(policy.clone(), &question(), &facts).by(),
            [expected]
        );
    }
}

#[test]
fn columns_are_what_the_policy_says() {
    use Role::{Hidden, Identifier, Quasi, Value};
    let all = columns(&[("age", Quasi), ("wage", Identifier)]);
    assert_eq!(one(all), asks(&[Rule::Asks]));
    let hidden = columns(&[("age", Hidden), ("wage", Value)]);
    assert_eq!(one(hidden), refused(Rule::ColumnHidden));
    let unlisted = columns(&[("wage", Value)]);
    assert_eq!(one(unlisted), asks(&[Rule::ColumnUnlisted, Rule::Asks]));
    let none = columns(&[]);
    assert_eq!(one(none), asks(&[Rule::ColumnUnlisted, Rule::Asks]));
}

#[test]
fn names_cannot_be_got_past() {
    let named = columns(&[("name", Role::Hidden), ("wage", Role::Value)]);
    let placed = columns(&[("0", Role::Hidden), ("1", Role::Value)]);
    let of = |policy: &Policy, form, column: &str| {
        let mut question = question();
        let reads = question.reads.get_mut(&data()).unwrap();
        reads.form = form;
        reads.columns = BTreeSet::from([column.to_owned()]);
        verdict(policy.clone(), &question, &known()).by()
    };
    let form = Rule::ColumnForm;
    assert_eq!(of(&named, TableForm::Places, "wage"), [form]);
    assert_eq!(of(&named, TableForm::NoTable, "wage"), [form]);
    assert_eq!(of(&placed, TableForm::Names, "1"), [form]);
    assert_eq!(of(&named, TableForm::Names, "wage"), [Rule::Asks]);
    assert_eq!(of(&placed, TableForm::Places, "1"), [Rule::Asks]);
}

#[test]
fn approval_rules_let_pass_what_they_name_and_nothing_else() {
    use ApprovalMode::{Ask, Controlled, Never, Private};
    let controlled = question().proven(Class::Controlled);
    let private = noised(Unit::Record, 1e-6);
    let of = |approval, question: &Question| {
        let policy = Policy {
            approval,
            privacy: budget(),
            ..Policy::default()
        };
        verdict(policy, question, &known()).by()
    };
    for (mode, free, by_rule, by_noise) in [
        (Ask, Rule::Asks, Rule::Asks, Rule::Asks),
        (Private, Rule::Asks, Rule::Asks, Rule::Private),
        (Controlled, Rule::Asks, Rule::Controlled, Rule::Asks),
        (Never, Rule::Never, Rule::Never, Rule::Never),
    ] {
        assert_eq!(of(mode, &question()), [free]);
        assert_eq!(of(mode, &controlled), [by_rule]);
        assert_eq!(of(mode, &private), [by_noise]);
    }
}

#[test]
fn after_some_refusals_controlled_tasks_ask() {
    let policy = Policy {
        approval: ApprovalMode::Controlled,
        ..Policy::default()
    };
    let of = |refused| {
        let mut facts = known();
        facts.datasets.get_mut(&data()).unwrap().refused = refused;
        let controlled = question().proven(Class::Controlled);
        verdict(policy.clone(), &controlled, &facts)
    };
    assert_eq!(of(4).by(), [Rule::Controlled]);
    assert_eq!(of(5).by(), [Rule::Refusals]);
    assert_eq!(of(5).decision, Decision::Asks);
}

#[test]
fn a_private_task_stays_within_the_budget() {
    let policy = Policy {
        approval: ApprovalMode::Private,
        privacy: budget(),
        ..Policy::default()
    };
    let of = |question: &Question, epsilon| {
        let mut facts = known();
        facts.datasets.get_mut(&data()).unwrap().epsilon = Some(epsilon);
        verdict(policy.clone(), question, &facts)
    };
    let question = noised(Unit::Record, 1e-6);
    assert_eq!(of(&question, 3.0).decision, Decision::Allowed);
    for epsilon in [3.001, f64::NAN, f64::INFINITY] {
        let over = of(&question, epsilon);
        assert_eq!(over.by(), [Rule::PrivacyBudget]);
        assert_eq!(
            over.answer(),
            Some(Answer::Decline(DeclineCode::OverBudget))
        );
    }
    let loose = noised(Unit::Record, 1e-5);
    assert_eq!(of(&loose, 1.0).by(), [Rule::PrivacyDelta]);
    let member = Policy {
        privacy: Some(Privacy {
            unit: Unit::Member,
            ..budget().unwrap()
        }),
        ..policy.clone()
    };
    assert_eq!(
        verdict(member, &question, &known()).by(),
        [Rule::PrivacyUnit]
    );
}

#[test]
fn the_owners_word_takes_the_place_of_asking_and_of_no_limit() {
    let mut facts = known();
    facts.standing = Standing::Allowed;
    let given = verdict(columns(&[("wage", Role::Value)]), &question(), &facts);
    assert_eq!(
        (given.decision, given.by()),
        (Decision::Allowed, vec![Rule::Given])
    );
    for policy in [
        Policy {
            approval: ApprovalMode::Never,
            ..Policy::default()
        },
        Policy {
            until: Some(NOW),
            ..Policy::default()
        },
        columns(&[("age", Role::Hidden), ("wage", Role::Value)]),
    ] {
        let verdict = verdict(policy, &question(), &facts);
        assert_eq!(verdict.decision, Decision::Refused);
    }
    facts.standing = Standing::Denied;
    let mut own = question();
    own.author.own = true;
    let denied = verdict(Policy::default(), &own, &facts);
    assert_eq!(denied.by(), [Rule::Denied]);
}

#[test]
fn the_strictest_dataset_decides() {
    let mut question = question();
    let other: DatasetName = "b.csv".parse().unwrap();
    let reads = question.reads[&data()].clone();
    question.reads.insert(other.clone(), reads);
    question.class = Class::Controlled;
    let open = Policy {
        approval: ApprovalMode::Controlled,
        ..Policy::default()
    };
    let policies = Policies::new(BTreeMap::from([(data(), open)]));
    let verdict = judge(&policies, &question, &known(), NOW);
    assert_eq!(verdict.by(), [Rule::Asks]);
    let asking: Vec<_> = verdict
        .findings
        .iter()
        .filter(|f| f.says == Decision::Asks)
        .map(|f| f.dataset.clone())
        .collect();
    assert_eq!(asking, [Some(other)]);
}

mod joins;
mod laws;

#[test]
fn certified_tasks_keep_the_owners_bounds_and_rows() {
    let rules = |json: &str| -> Policy {
        let form: crate::policy::PolicyForm = serde_json::from_str(json).unwrap();
        form.check().unwrap()
    };
    let certified = Question {
        certified: Some(serde_json::from_str(r#"[["age", [18, 80]]]"#).unwrap()),
        ..question()
    };
    let judged = |json: &str, question: &Question| {
        let verdict = verdict(rules(json), question, &known());
        (verdict.decision, verdict.by(), verdict.answer())
    };
    for (json, rule, answer) in [
        (
            r#"{"verify": {"columns": {"age": [0, 120]}}}"#,
            Rule::VerifyColumns,
            Answer::Decline(DeclineCode::NotAllowed),
        ),
        (
            r#"{"verify": {"max_rows": 99}}"#,
            Rule::VerifyRows,
            Answer::Zeros,
        ),
    ] {
        let expected = (Decision::Refused, vec![rule], Some(answer));
        assert_eq!(judged(json, &certified), expected);
        // Other tasks prove nothing, and within the rules the owner is asked.
        assert_eq!(judged(json, &question()).0, Decision::Asks);
    }
    // A step that reads a part of the rows, or rows through few others, says nothing of the step that is proven.
    let mut narrow = certified.clone();
    narrow.reads.get_mut(&data()).unwrap().fraction = Some(1e-4);
    let rows = judged(r#"{"verify": {"max_rows": 99}}"#, &narrow);
    assert_eq!(
        (rows.0, rows.1),
        (Decision::Refused, vec![Rule::VerifyRows])
    );
    let within = r#"{"verify": {"max_rows": 100, "columns": {"age": [20, 70]}}}"#;
    assert_eq!(judged(within, &certified).0, Decision::Asks);
}
