//! Versions one after the other, answers of the connector that are lost, and a hub that shows something else.

use delta_memory::{
    MemoryConnector, MemoryStorage, PausedClock, ScriptedExecutor, SeededEntropy, When,
};

use super::*;
use delta_domain::time::Timestamp;

struct World {
    connector: MemoryConnector,
    storage: MemoryStorage,
    executor: ScriptedExecutor,
    clock: PausedClock,
    address: Address,
    registrations: Registrations,
}

fn name() -> DatasetName {
    "patients.csv".parse().unwrap()
}

impl World {
    async fn new() -> Self {
        let clock = PausedClock::new(Timestamp(1_795_824_000_000));
        let connector = MemoryConnector::new(Arc::new(clock.clone()), 1);
        let joined = connector.join("http://n1", "n1").await.unwrap();
        let executor = ScriptedExecutor::new("n1", |_, _| Vec::new());
        let storage = MemoryStorage::new();
        let registrations = over(&connector, &storage, &executor, &clock);
        let world = Self {
            connector,
            storage,
            executor,
            clock,
            address: joined.address,
            registrations,
        };
        world.hold(1);
        world
    }

    /// The node's next process.
    fn restart(&mut self) {
        self.storage = self.storage.restart();
        self.registrations = over(&self.connector, &self.storage, &self.executor, &self.clock);
    }

    fn hold(&self, content: u8) {
        self.executor.hold(name(), Digest([content; 32]));
    }

    async fn register(&self) -> Result<RegisteredVersion, UserError> {
        self.registrations.register(&self.address, &name()).await
    }

    async fn history(&self) -> Vec<(u32, u8, Option<OnHub>)> {
        let all = self.registrations.history(&self.address, &name()).await;
        let all = all.unwrap();
        all.iter()
            .map(|v| (v.index, v.version.0[0], v.on_hub))
            .collect()
    }

    async fn shown(&self, index: i32) -> Option<String> {
        let name = name();
        let (hub, address) = (&self.connector, &self.address);
        let found = hub.data_commitment(address, name.as_str(), index).await;
        found.unwrap()
    }
}

fn over(
    connector: &MemoryConnector,
    storage: &MemoryStorage,
    executor: &ScriptedExecutor,
    clock: &PausedClock,
) -> Registrations {
    Registrations {
        storage: Arc::new(storage.clone()),
        connector: Arc::new(connector.clone()),
        executor: Arc::new(executor.clone()),
        clock: Arc::new(clock.clone()),
        entropy: Arc::new(SeededEntropy::new(5)),
        turn: Turn::default(),
    }
}

#[tokio::test]
async fn each_content_is_a_version_once() {
    let world = World::new().await;
    let first = world.register().await.unwrap();
    assert_eq!(
        (first.index, first.confirmed, first.current),
        (0, true, Some(true))
    );
    assert_eq!(world.shown(0).await, Some(first.commitment.to_string()));
    assert_eq!(world.register().await.unwrap(), first, "the same content");
    world.hold(2);
    let second = world.register().await.unwrap();
    assert_eq!(second.index, 1);
    // What it held before is a version of its own, with a salt of its own.
    world.hold(1);
    let third = world.register().await.unwrap();
    assert_eq!((third.index, third.version), (2, first.version));
    assert_ne!(third.commitment, first.commitment);
    let same = Some(OnHub::Same);
    assert_eq!(
        world.history().await,
        [(0, 1, same), (1, 2, same), (2, 1, same)]
    );
    let last = world.registrations.last().await.unwrap();
    assert_eq!(last.len(), 1);
    assert_eq!((last[0].index, last[0].current), (2, Some(true)));
}

#[tokio::test]
async fn a_lost_answer_costs_no_version_and_no_number() {
    for (when, kind) in [
        (When::Before, PortErrorKind::Unavailable),
        (When::After, PortErrorKind::Timeout),
    ] {
        let mut world = World::new().await;
        world
            .connector
            .fail_next("connector.register_data", when, kind);
        assert!(
            matches!(world.register().await, Err(UserError::Unavailable(_))),
            "{when:?}"
        );
        assert!(!world.registrations.last().await.unwrap()[0].confirmed);
        world.restart();
        let version = world.register().await.unwrap();
        assert_eq!((version.index, version.confirmed), (0, true), "{when:?}");
        assert_eq!(world.history().await, [(0, 1, Some(OnHub::Same))]);
        assert_eq!(world.shown(1).await, None);
    }
}

#[tokio::test]
async fn what_was_under_way_when_the_content_changed_is_a_version_too() {
    let mut world = World::new().await;
    let kind = PortErrorKind::Unavailable;
    world
        .connector
        .fail_next("connector.register_data", When::Before, kind);
    world.register().await.unwrap_err();
    world.restart();
    world.hold(2);
    assert_eq!(world.register().await.unwrap().index, 1);
    let same = Some(OnHub::Same);
    assert_eq!(world.history().await, [(0, 1, same), (1, 2, same)]);
}

#[tokio::test]
async fn a_node_without_memory_writes_over_nothing() {
    let mut world = World::new().await;
    let first = world.register().await.unwrap();
    world.storage = MemoryStorage::new();
    world.restart();
    let again = world.register().await.unwrap();
    assert_eq!(again.index, 1);
    assert_eq!(world.shown(0).await, Some(first.commitment.to_string()));
}

#[tokio::test]
async fn a_hub_that_was_written_over_is_seen() {
    let world = World::new().await;
    world.register().await.unwrap();
    let (address, name) = (&world.address, name());
    let other = "0x77";
    world
        .connector
        .register_data(address, name.as_str(), 0, other)
        .await
        .unwrap();
    assert_eq!(world.history().await, [(0, 1, Some(OnHub::Another))]);
}

#[tokio::test]
async fn tasks_on_other_data_than_registered_are_named() {
    let world = World::new().await;
    let reads = BTreeSet::from([name(), "other.csv".parse().unwrap()]);
    let differences = async || world.registrations.differences(&reads).await.unwrap();
    assert!(differences().await.is_empty(), "nothing is registered");
    world.register().await.unwrap();
    assert!(differences().await.is_empty());
    world.hold(9);
    let found = differences().await;
    assert_eq!(found.len(), 1);
    assert!(
        found[0].contains("patients.csv") && found[0].contains("version 0"),
        "{found:?}"
    );
    let others = BTreeSet::from(["other.csv".parse().unwrap()]);
    assert!(
        world
            .registrations
            .differences(&others)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn what_is_not_there_has_no_version() {
    let world = World::new().await;
    let other: DatasetName = "other.csv".parse().unwrap();
    let error = world.registrations.register(&world.address, &other).await;
    assert!(matches!(error, Err(UserError::Invalid(text)) if text.contains("other.csv")));
    assert!(world.registrations.last().await.unwrap().is_empty());
}
