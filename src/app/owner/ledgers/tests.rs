//! Accounts over crashes, renewals and other budgets: too much may be charged, too little never.

use delta_memory::{MemoryStorage, When};

use super::*;
use delta_domain::policy::Unit;
use delta_domain::privacy::rdp::Rdp;

/// 2026-11-29, UTC.
const NOW: Timestamp = Timestamp(1_795_910_400_000);
/// In January of the year after.
const NEXT_YEAR: Timestamp = Timestamp(1_798_800_000_000);
const FIRST: &str = "task 0x55 round 1";
const SECOND: &str = "task 0x55 round 2";

fn policy(epsilon: f64) -> Policy {
    Policy {
        privacy: Some(Privacy {
            unit: Unit::Record,
            epsilon,
            delta: 1e-6,
            renew: Renews::Yearly,
        }),
        ..Policy::default()
    }
}

fn cost() -> Cost {
    Cost::same(Rdp::gaussian(16.0).unwrap())
}

/// Epsilon of so many releases.
fn epsilon(releases: u32) -> f64 {
    cost().repeated(releases).colluding.epsilon(1e-6)
}

/// The accounts of one node, whose rules allow an epsilon.
struct World {
    storage: MemoryStorage,
    ledgers: Ledgers,
    policy: Policy,
}

impl World {
    fn new(epsilon: f64) -> Self {
        let storage = MemoryStorage::new();
        Self {
            ledgers: Ledgers::new(Arc::new(storage.clone())),
            storage,
            policy: policy(epsilon),
        }
    }

    /// The node's next process.
    fn restart(&mut self) {
        self.storage = self.storage.restart();
        self.ledgers = Ledgers::new(Arc::new(self.storage.clone()));
    }

    async fn reserve(&self, dataset: &str, purpose: &str) -> Result<(), PortError> {
        let (dataset, cost) = (dataset.parse().unwrap(), cost());
        self.ledgers
            .reserve(&dataset, &self.policy, purpose, &cost, NOW)
            .await
    }

    async fn charge(&self, dataset: &str, purpose: &str) -> Result<Option<f64>, PortError> {
        let dataset = dataset.parse().unwrap();
        self.ledgers
            .charge(&dataset, &self.policy, purpose, NOW)
            .await
    }

    async fn ledger(&self, dataset: &str, now: Timestamp) -> Ledger {
        let dataset = dataset.parse().unwrap();
        self.ledgers.of(&dataset, &self.policy, now).await.unwrap()
    }

    /// What counts against the budget: spent and reserved.
    async fn committed(&self, dataset: &str) -> f64 {
        let ledger = self.ledger(dataset, NOW).await;
        ledger.committed_epsilons().colluding.unwrap()
    }
}

#[tokio::test]
async fn what_a_budget_does_not_pay_for_is_refused_and_changes_nothing() {
    let world = World::new(epsilon(2));
    world.reserve("a.csv", FIRST).await.unwrap();
    world.reserve("a.csv", SECOND).await.unwrap();
    let error = world.reserve("a.csv", "task 0x66 round 1").await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Denied);
    assert!(error.message().contains("a.csv"), "{error}");
    assert_eq!(world.committed("a.csv").await, epsilon(2));
    // A reservation that is charged makes no room.
    world.charge("a.csv", FIRST).await.unwrap();
    assert!(world.reserve("a.csv", "task 0x66 round 1").await.is_err());
}

#[tokio::test]
async fn a_round_is_reserved_and_charged_once_however_often_it_is_computed() {
    let world = World::new(3.0);
    for _ in 0..3 {
        world.reserve("a.csv", FIRST).await.unwrap();
        let spent = world.charge("a.csv", FIRST).await.unwrap();
        assert_eq!(spent, Some(epsilon(1)));
    }
    assert_eq!(world.committed("a.csv").await, epsilon(1));
    let ledger = world.ledger("a.csv", NOW).await;
    assert_eq!((ledger.open().count(), ledger.charged().count()), (0, 1));
}

#[tokio::test]
async fn what_is_not_reserved_must_not_leave() {
    let world = World::new(3.0);
    assert!(world.charge("a.csv", FIRST).await.is_err());
    world.reserve("a.csv", FIRST).await.unwrap();
    assert!(world.charge("a.csv", SECOND).await.is_err());
    assert!(world.charge("b.csv", FIRST).await.is_err());
    let ledger = world.ledger("a.csv", NOW).await;
    assert_eq!(ledger.spent().colluding, Some(0.0));
}

#[tokio::test]
async fn a_crash_between_the_two_leaves_the_round_paid_for() {
    let mut world = World::new(epsilon(1));
    world.reserve("a.csv", FIRST).await.unwrap();
    world.restart();
    assert_eq!(world.committed("a.csv").await, epsilon(1));
    assert!(world.reserve("a.csv", SECOND).await.is_err());
    // The same round goes on, for what it paid.
    world.reserve("a.csv", FIRST).await.unwrap();
    let spent = world.charge("a.csv", FIRST).await.unwrap();
    assert_eq!(spent, Some(epsilon(1)));
    world.restart();
    assert_eq!(
        world.charge("a.csv", FIRST).await.unwrap(),
        Some(epsilon(1))
    );
}

#[tokio::test]
async fn what_is_not_on_disk_is_not_allowed() {
    let mut world = World::new(3.0);
    let op = "storage.set_setting";
    world
        .storage
        .fail_next(op, When::Before, PortErrorKind::Unavailable);
    assert!(world.reserve("a.csv", FIRST).await.is_err());
    assert!(world.charge("a.csv", FIRST).await.is_err());
    // Written, and the answer is lost: asked again, it is the same reservation.
    world
        .storage
        .fail_next(op, When::After, PortErrorKind::Unavailable);
    assert!(world.reserve("a.csv", FIRST).await.is_err());
    world.restart();
    world.reserve("a.csv", FIRST).await.unwrap();
    assert_eq!(world.committed("a.csv").await, epsilon(1));
}

#[tokio::test]
async fn datasets_have_accounts_of_their_own() {
    let world = World::new(epsilon(1));
    world.reserve("a.csv", FIRST).await.unwrap();
    world.reserve("b.csv", FIRST).await.unwrap();
    world.charge("a.csv", FIRST).await.unwrap();
    let (a, b) = (
        world.ledger("a.csv", NOW).await,
        world.ledger("b.csv", NOW).await,
    );
    assert_eq!((a.open().count(), b.open().count()), (0, 1));
    assert!(world.reserve("a.csv", SECOND).await.is_err());
    assert_eq!(world.committed("c.csv").await, 0.0);
}

#[tokio::test]
async fn a_new_year_renews_and_another_budget_does_not() {
    let mut world = World::new(3.0);
    world.reserve("a.csv", FIRST).await.unwrap();
    world.charge("a.csv", FIRST).await.unwrap();
    world.policy = policy(epsilon(1) / 2.0);
    assert_eq!(world.committed("a.csv").await, epsilon(1));
    assert!(world.reserve("a.csv", SECOND).await.is_err());
    world.policy = Policy::default();
    world.reserve("a.csv", SECOND).await.unwrap();
    world.policy = policy(3.0);
    world.reserve("a.csv", "task 0x55 round 3").await.unwrap();
    let later = world.ledger("a.csv", NEXT_YEAR).await;
    assert_eq!(later.spent().colluding, Some(0.0));
    assert_eq!(later.lifetime().colluding, Some(epsilon(1)));
    assert_eq!(
        later.committed_epsilons().colluding,
        Some(epsilon(2)),
        "reservations count in the new year"
    );
}

#[tokio::test]
async fn a_report_has_every_account_and_every_budget() {
    let world = World::new(3.0);
    world.reserve("a.csv", FIRST).await.unwrap();
    world.charge("a.csv", FIRST).await.unwrap();
    let name = |text: &str| text.parse::<DatasetName>().unwrap();
    // Rules for b.csv alone: the account of a.csv is of a dataset whose rules are gone.
    let policies = Policies::new(
        [
            (name("b.csv"), world.policy.clone()),
            (name("c.csv"), Policy::default()),
        ]
        .into(),
    );
    let storage = Arc::new(world.storage.clone());
    let reports = privacy_report(storage, &policies, NOW).await.unwrap();
    let names: Vec<&str> = reports.iter().map(|r| r.dataset.as_str()).collect();
    assert_eq!(names, ["a.csv", "b.csv"]);
    assert_eq!(reports[0].budget, None);
    assert_eq!(reports[0].spent.colluding, Some(epsilon(1)));
    assert_eq!(reports[1].budget.unwrap().epsilon(), 3.0);
    assert_eq!(reports[1].spent.colluding, Some(0.0));
}

#[tokio::test]
async fn a_damaged_account_is_no_empty_one() {
    let world = World::new(3.0);
    world
        .storage
        .set_setting("privacy/a.csv", b"{}")
        .await
        .unwrap();
    let error = world.reserve("a.csv", FIRST).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Corrupt);
}
