//! Laws of the ledger: what is spent, held and let go.

use proptest::prelude::*;

use super::super::rdp::Rdp;
use super::*;

const DAY: u64 = 24 * 3600 * 1000;

fn at(day: u64) -> Timestamp {
    Timestamp(day * DAY)
}

fn cost(z: f64) -> Cost {
    Cost {
        nobody: Rdp::gaussian(z * 1.5).unwrap(),
        colluding: Rdp::gaussian(z).unwrap(),
        alone: Rdp::gaussian(z / 2.0).unwrap(),
    }
}

fn ledger(epsilon: f64, renewal: Renewal) -> Ledger {
    Ledger::new(at(0), Budget::new(epsilon, 1e-6, renewal).unwrap())
}

#[test]
fn a_release_is_reserved_then_charged() {
    let mut ledger = ledger(3.0, Renewal::Never);
    let id = ledger.reserve(at(1), "task 7, round 1", cost(5.0)).unwrap();
    assert_eq!(ledger.spent().colluding, Some(0.0));
    let reserved = ledger.committed_epsilons();
    ledger.charge(at(1), id).unwrap();
    assert_eq!(ledger.spent(), reserved);
    assert_eq!(ledger.lifetime(), reserved);
    assert!(reserved.nobody < reserved.colluding && reserved.colluding < reserved.alone);
    let charge = ledger.charged().next().unwrap();
    assert_eq!(
        (charge.id, charge.purpose.as_str()),
        (id, "task 7, round 1")
    );
    assert_eq!(charge.epsilons, reserved);
}

#[test]
fn charging_again_charges_once_and_is_never_taken_back() {
    let mut ledger = ledger(3.0, Renewal::Never);
    let id = ledger.reserve(at(1), "x", cost(5.0)).unwrap();
    ledger.charge(at(1), id).unwrap();
    let spent = ledger.spent();
    ledger.charge(at(2), id).unwrap();
    assert_eq!(ledger.spent(), spent);
    assert_eq!(ledger.release(id), Err(SettleError::Charged));
    assert_eq!(ledger.charge(at(2), EntryId(77)), Err(SettleError::Unknown));
    assert_eq!(ledger.release(EntryId(77)), Err(SettleError::Unknown));
}

#[test]
fn what_was_released_cannot_be_charged() {
    let mut ledger = ledger(3.0, Renewal::Never);
    let id = ledger.reserve(at(1), "x", cost(5.0)).unwrap();
    ledger.release(id).unwrap();
    assert_eq!(ledger.committed_epsilons().alone, Some(0.0));
    assert_eq!(ledger.charge(at(1), id), Err(SettleError::Unknown));
    assert_ne!(ledger.reserve(at(1), "y", cost(5.0)).unwrap(), id);
}

#[test]
fn reservations_count_until_they_are_released() {
    let mut ledger = ledger(3.0, Renewal::Never);
    let mut ids = Vec::new();
    let refused = loop {
        match ledger.reserve(at(1), "x", cost(5.0)) {
            Ok(id) => ids.push(id),
            Err(refused) => break refused,
        }
    };
    let ReserveError::OverBudget { needed, budget } = refused else {
        panic!("{refused}");
    };
    assert!(needed > budget && budget == 3.0);
    assert_eq!(ids.len() as u32, ledger.budget().affords(&cost(5.0)));
    ledger.release(ids[0]).unwrap();
    assert!(ledger.reserve(at(1), "x", cost(5.0)).is_ok());
}

#[test]
fn renewals_follow_the_calendar_and_keep_reservations() {
    for (renewal, first) in [(Renewal::Monthly, 31), (Renewal::Yearly, 365)] {
        let mut ledger = ledger(3.0, renewal);
        let spent = ledger.reserve(at(1), "spent", cost(5.0)).unwrap();
        ledger.charge(at(1), spent).unwrap();
        let open = ledger.reserve(at(2), "open", cost(7.0)).unwrap();
        ledger.renew(at(first - 1));
        assert!(ledger.spent().colluding > Some(0.0));
        ledger.renew(at(first));
        assert_eq!(ledger.spent().colluding, Some(0.0));
        assert!(ledger.committed_epsilons().colluding > Some(0.0));
        assert!(ledger.lifetime().colluding > Some(0.0));
        ledger.charge(at(first), open).unwrap();
        // Back in the old period: nothing is renewed, now or when it is over again.
        let spent = ledger.spent();
        ledger.renew(at(1));
        ledger.renew(at(first));
        assert_eq!(ledger.spent(), spent);
    }
}

#[test]
fn another_budget_forgets_nothing() {
    let mut ledger = ledger(3.0, Renewal::Yearly);
    let id = ledger.reserve(at(40), "x", cost(3.0)).unwrap();
    ledger.charge(at(40), id).unwrap();
    let spent = ledger.spent();
    for renewal in [
        Renewal::Monthly,
        Renewal::Yearly,
        Renewal::Never,
        Renewal::Monthly,
    ] {
        ledger.set_budget(at(41), Budget::new(1.0, 1e-6, renewal).unwrap());
        ledger.renew(at(42));
        assert_eq!(ledger.spent(), spent, "{renewal:?}");
    }
    assert!(ledger.reserve(at(43), "y", cost(100.0)).is_err());
}

#[test]
fn budgets_without_meaning_are_refused() {
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(Budget::new(bad, 1e-6, Renewal::Never).is_err());
    }
    for bad in [0.0, 1.0, -1.0, f64::NAN] {
        assert!(Budget::new(1.0, bad, Renewal::Never).is_err());
    }
    let text = r#"{"epsilon": 3.0, "delta": 1e-6, "renew": "yearly"}"#;
    let budget: Budget = serde_json::from_str(text).unwrap();
    assert_eq!(budget, Budget::new(3.0, 1e-6, Renewal::Yearly).unwrap());
    assert!(
        serde_json::from_str::<Budget>(r#"{"epsilon": 3.0, "delta": 2, "renew": "never"}"#)
            .is_err()
    );
    let mut ledger = ledger(1e300, Renewal::Never);
    let endless = Cost::same(Rdp::gaussian(1e-3).unwrap());
    assert!(ledger.reserve(at(0), "x", endless).is_err());
}

#[test]
fn lists_are_bounded_and_sums_are_not_cut() {
    let mut ledger = ledger(3.0, Renewal::Never);
    let small = cost(10_000.0);
    for _ in 0..MAX_LISTED + 5 {
        let id = ledger
            .reserve(at(1), &"ö".repeat(300), small.clone())
            .unwrap();
        ledger.charge(at(1), id).unwrap();
    }
    assert_eq!(ledger.charged().count(), MAX_LISTED);
    assert!(
        ledger
            .charged()
            .all(|charge| charge.purpose.len() <= MAX_PURPOSE)
    );
    let all = small.repeated(MAX_LISTED as u32 + 5).epsilons(1e-6);
    assert_eq!(ledger.spent(), all);
    for _ in 0..MAX_OPEN {
        ledger.reserve(at(1), "x", small.clone()).unwrap();
    }
    assert_eq!(
        ledger.reserve(at(1), "x", small),
        Err(ReserveError::TooManyOpen)
    );
}

#[derive(Debug, Clone)]
enum Op {
    Reserve(u8),
    Charge(u8),
    Release(u8),
    Later(u8),
    Restart,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        3 => (1..60_u8).prop_map(Op::Reserve),
        2 => any::<u8>().prop_map(Op::Charge),
        1 => any::<u8>().prop_map(Op::Release),
        1 => any::<u8>().prop_map(Op::Later),
        1 => Just(Op::Restart),
    ];
    prop::collection::vec(op, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// The laws of the ledger, against a model that only remembers what was asked.
    #[test]
    fn laws_hold(ops in ops()) {
        let mut ledger = ledger(4.0, Renewal::Yearly);
        let (mut now, mut ids) = (at(0), Vec::new());
        let (mut open, mut spent, mut lifetime) = (BTreeMap::new(), Cost::zero(), Cost::zero());
        for op in ops {
            let before = ledger.clone();
            match op {
                Op::Reserve(z) => {
                    let cost = cost(f64::from(z));
                    match ledger.reserve(now, "x", cost.clone()) {
                        Ok(id) => {
                            prop_assert!(!ids.contains(&id));
                            ids.push(id);
                            open.insert(id, cost);
                        }
                        Err(_) => prop_assert_eq!(&ledger, &before),
                    }
                }
                Op::Charge(n) if !ids.is_empty() => {
                    let id = ids[usize::from(n) % ids.len()];
                    let was_open = open.remove(&id);
                    let charged = ledger.charge(now, id);
                    match was_open {
                        Some(cost) => {
                            prop_assert_eq!(charged, Ok(()));
                            spent += &cost;
                            lifetime += &cost;
                        }
                        None => prop_assert_eq!(&ledger, &before),
                    }
                    prop_assert!(ledger.spent().colluding >= before.spent().colluding);
                }
                Op::Release(n) if !ids.is_empty() => {
                    let id = ids[usize::from(n) % ids.len()];
                    let was_open = open.remove(&id).is_some();
                    prop_assert_eq!(ledger.release(id).is_ok(), was_open);
                    prop_assert_eq!(ledger.spent(), before.spent());
                }
                Op::Later(days) => {
                    let year = now.0 / (365 * DAY);
                    now = Timestamp(now.0 + u64::from(days) * DAY);
                    // The first two years have 365 days each; more than that is not in these runs' laws.
                    prop_assume!(now.0 < 730 * DAY);
                    if now.0 / (365 * DAY) > year {
                        spent = Cost::zero();
                    }
                    ledger.renew(now);
                }
                Op::Restart => {
                    let text = serde_json::to_string(&ledger).unwrap();
                    ledger = serde_json::from_str(&text).unwrap();
                    // Numbers for display may lose their last digit in the text, costs nothing.
                    prop_assert_eq!(&ledger.spent, &before.spent);
                    prop_assert_eq!(&ledger.open, &before.open);
                }
                Op::Charge(_) | Op::Release(_) => {}
            }
            prop_assert_eq!(&ledger.spent, &spent);
            prop_assert_eq!(&ledger.lifetime, &lifetime);
            let mut all = spent.clone();
            open.values().for_each(|cost| all += cost);
            prop_assert!(all.epsilons(1e-6).colluding <= Some(4.0));
            prop_assert_eq!(ledger.committed_epsilons(), all.epsilons(1e-6));
        }
    }
}
