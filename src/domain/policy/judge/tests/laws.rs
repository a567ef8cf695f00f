//! The law: a tighter policy never allows more.

use proptest::option::of;
use proptest::prelude::*;
use proptest::strategy::Strategy as Strategy2;

use super::*;

fn roles() -> impl Strategy2<Value = Role> {
    prop_oneof![
        Just(Role::Value),
        Just(Role::Quasi),
        Just(Role::Identifier),
        Just(Role::Hidden)
    ]
}

fn privacy() -> impl Strategy2<Value = Privacy> {
    let unit = prop_oneof![
        Just(Unit::Record),
        Just(Unit::Person("id".to_owned())),
        Just(Unit::Member)
    ];
    (unit, 0.5..4.0_f64, 1e-7..1e-5_f64).prop_map(|(unit, epsilon, delta)| Privacy {
        unit,
        epsilon,
        delta,
        renew: Renewal::Never,
    })
}

fn who() -> impl Strategy2<Value = BTreeSet<Who>> {
    let all: Vec<Who> = ["org:A", "org:B", "author:anna@org:A"]
        .map(|text| text.parse().unwrap())
        .to_vec();
    proptest::sample::subsequence(all, 1..=3).prop_map(|some| some.into_iter().collect())
}

fn kinds() -> impl Strategy2<Value = BTreeSet<Kind>> {
    let all = vec![Kind::Statistics, Kind::Regression, Kind::Learning];
    proptest::sample::subsequence(all, 1..=3).prop_map(|some| some.into_iter().collect())
}

fn policies() -> impl Strategy2<Value = Policy> {
    let column = prop_oneof![Just("age"), Just("wage"), Just("name")].prop_map(str::to_owned);
    let limits = (
        of(2..8_u32),
        of(0..4_u32),
        of(50..150_u64),
        of(0.01..0.1_f64),
        of(1..5_u32),
    );
    let modes = prop_oneof![
        Just(ApprovalMode::Ask),
        Just(ApprovalMode::Private),
        Just(ApprovalMode::Controlled),
        Just(ApprovalMode::Never)
    ];
    let columns = of(proptest::collection::btree_map(column, roles(), 1..4));
    let rest = (modes, of(privacy()), of(900..1_100_u64));
    (columns, of(who()), of(kinds()), limits, rest).prop_map(
        |(columns, who, kinds, limits, (approval, privacy, until))| Policy {
            records: None,
            columns,
            joins: BTreeSet::new(),
            who,
            kinds,
            members: limits.0,
            colluders: limits.1,
            rows: limits.2,
            outputs_per_row: limits.3,
            rounds_per_day: limits.4,
            approval,
            privacy,
            verify: None,
            until: until.map(Timestamp),
        },
    )
}

fn questions() -> impl Strategy2<Value = Question> {
    let class = prop_oneof![
        Just(Class::Free),
        Just(Class::Controlled),
        (privacy(), 1e-7..1e-5_f64).prop_map(|(p, delta)| Class::Private(Spend {
            unit: p.unit,
            delta
        }))
    ];
    let author = (
        any::<bool>(),
        of(prop_oneof![Just("A"), Just("B")]),
        any::<bool>(),
    );
    let form = prop_oneof![
        4 => Just(TableForm::Names),
        1 => Just(TableForm::Places),
        1 => Just(TableForm::NoTable)
    ];
    let fraction = of(0.1..=1.0_f64);
    (class, author, 0..3_u8, 0..8_u64, form, fraction).prop_map(
        |(class, (own, organisation, named), kind, outputs, form, fraction)| {
            let mut question = question().proven(class);
            question.author = Author {
                own,
                organisation: organisation.map(str::to_owned),
                name: named.then(|| "anna".to_owned()),
                node: None,
            };
            question.kind = [Kind::Statistics, Kind::Regression, Kind::Learning][usize::from(kind)];
            question.outputs = outputs;
            let reads = question.reads.get_mut(&data()).unwrap();
            (reads.form, reads.fraction) = (form, fraction);
            question
        },
    )
}

fn facts() -> impl Strategy2<Value = Facts> {
    let standing = prop_oneof![
        Just(Standing::Open),
        Just(Standing::Allowed),
        Just(Standing::Denied)
    ];
    let numbers = (of(20..200_u64), of(0..6_u32), of(0.0..5.0_f64));
    (numbers, of(1..9_u32), standing).prop_map(|((rows, rounds, epsilon), members, standing)| {
        let all = DatasetFacts {
            rows,
            rounds,
            refused: 0,
            epsilon,
        };
        Facts {
            datasets: BTreeMap::from([(data(), all)]),
            members,
            standing,
        }
    })
}

/// `policy` with some of its rules tightened, by the bits of `which` and with the limits of `by`.
fn tightened(policy: &Policy, by: &Policy, which: u16) -> Policy {
    let bit = |n: u16| which & (1 << n) != 0;
    let mut tight = policy.clone();
    if bit(0)
        && let Some(columns) = &mut tight.columns
    {
        for (name, role) in columns.iter_mut() {
            let other = by.columns.as_ref().and_then(|all| all.get(name));
            *role = (*role).max(other.copied().unwrap_or(Role::Hidden));
        }
    }
    if bit(1) {
        tight.who = match (&tight.who, &by.who) {
            (Some(a), Some(b)) => Some(a & b),
            (a, b) => a.clone().or_else(|| b.clone()),
        };
    }
    if bit(2) {
        tight.kinds = match (&tight.kinds, &by.kinds) {
            (Some(a), Some(b)) => Some(a & b),
            (a, b) => a.clone().or_else(|| b.clone()),
        };
    }
    if bit(3) {
        tight.members = tight.members.max(by.members);
        tight.colluders = tight.colluders.max(by.colluders);
        tight.rows = tight.rows.max(by.rows);
    }
    if bit(4) {
        tight.outputs_per_row = match (tight.outputs_per_row, by.outputs_per_row) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        tight.rounds_per_day = match (tight.rounds_per_day, by.rounds_per_day) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    if bit(5) {
        tight.approval = match (tight.approval, by.approval) {
            (_, ApprovalMode::Never) | (ApprovalMode::Never, _) => ApprovalMode::Never,
            _ => ApprovalMode::Ask,
        };
    }
    if bit(6)
        && let (Some(own), Some(other)) = (&mut tight.privacy, &by.privacy)
    {
        own.epsilon = own.epsilon.min(other.epsilon);
        own.delta = own.delta.min(other.delta);
        if other.unit.covers(&own.unit) {
            own.unit = other.unit.clone();
        }
    }
    if bit(7) {
        tight.until = match (tight.until, by.until) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    tight
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_tighter_policy_never_allows_more(
        policy in policies(), by in policies(), which in any::<u16>(), question in questions(), facts in facts()
    ) {
        let tight = verdict(tightened(&policy, &by, which), &question, &facts);
        let loose = verdict(policy, &question, &facts);
        prop_assert!(tight.decision >= loose.decision, "{tight:?}\n{loose:?}");
    }

    #[test]
    fn knowing_less_never_allows_more(policy in policies(), question in questions(), facts in facts()) {
        let mut less = facts.clone();
        less.datasets.clear();
        let before = verdict(policy.clone(), &question, &facts).decision;
        let after = verdict(policy, &question, &less).decision;
        // It may ask where it was refused; it never runs where it did not, unless the owner said so or is the author.
        let said = facts.standing == Standing::Allowed || question.author.own;
        prop_assert!(said || after > Decision::Allowed || before == Decision::Allowed);
    }

    #[test]
    fn a_free_task_never_runs_unasked(policy in policies(), mut question in questions(), mut facts in facts()) {
        question.class = Class::Free;
        question.author.own = false;
        if facts.standing == Standing::Allowed {
            facts.standing = Standing::Open;
        }
        prop_assert!(verdict(policy, &question, &facts).decision > Decision::Allowed);
    }

    #[test]
    fn a_verdict_names_its_rules(policy in policies(), question in questions(), facts in facts()) {
        let verdict = verdict(policy, &question, &facts);
        prop_assert!(!verdict.by().is_empty());
        prop_assert_eq!(verdict.answer().is_none(), verdict.decision == Decision::Allowed);
    }
}
