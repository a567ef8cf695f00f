//! What rests on disk: ids of effects over restarts, and forms of before.

use serde::Deserialize;

use delta_domain::secret::Secret;
use delta_memory::{MemoryConnector, MemoryStorage, PausedClock, SeededEntropy};
use delta_ports::metrics::NoMetrics;

use super::stored::{cannot_seal, entry};
use super::*;

/// Adds what it is told, and asks for as many effects; a hundred ends it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Adder {
    sum: u32,
}

impl Machine for Adder {
    type Input = u32;
    type Effect = u32;
    const KIND: MachineKind = MachineKind::CoordinatorRound;

    fn handle(&mut self, _now: Timestamp, input: u32) -> Result<Vec<u32>, Rejection> {
        self.sum += input;
        Ok((0..input).collect())
    }

    fn deadline(&self) -> Option<Timestamp> {
        None
    }

    fn is_over(&self) -> bool {
        self.sum >= 100
    }

    fn tick() -> u32 {
        0
    }

    fn postponed(by: Duration) -> u32 {
        u32::try_from(by.as_secs()).unwrap()
    }

    fn taken_up() -> u32 {
        0
    }

    fn journalled(input: &u32) -> Option<Result<Vec<u8>, serde_json::Error>> {
        Some(serde_json::to_vec(input))
    }

    fn replayed(entry: &[u8]) -> Result<u32, serde_json::Error> {
        serde_json::from_slice(entry)
    }

    fn effect_failed(_effect: &u32, _error: &PortError) -> Option<u32> {
        None
    }
}

/// Every effect is done at once, or none ever; or one of them ends the machine.
enum World {
    Done,
    Silent,
    Ends(u32),
}

#[async_trait]
impl Effects<Adder> for World {
    async fn carry_out(&self, effect: &u32, _again: bool) -> Result<Option<u32>, PortError> {
        match self {
            Self::Ends(last) => Ok((effect == last).then_some(99)),
            Self::Done => Ok(None),
            Self::Silent => std::future::pending().await,
        }
    }
}

fn nobody_away() -> Reach {
    Reach::new(crate::contact::Contact::presumed(), None, Duration::ZERO)
}

fn ports(storage: &MemoryStorage) -> MachinePorts {
    let clock = Arc::new(PausedClock::new(Timestamp(1_000)));
    MachinePorts {
        storage: Arc::new(storage.clone()),
        clock: clock.clone(),
        entropy: Arc::new(SeededEntropy::new(7)),
        vault: Arc::new(Vault::new(Secret::new([3; 32]))),
        lines: Arc::default(),
        connector: Arc::new(MemoryConnector::new(clock, 1)),
        metrics: Arc::new(NoMetrics),
    }
}

fn task() -> TaskId {
    format!("0x{}", "ab".repeat(32)).parse().unwrap()
}

fn key() -> MachineKey {
    MachineKey {
        kind: Adder::KIND,
        task: task(),
        round: 1,
    }
}

/// A machine that has asked for one effect.
async fn created(ports: &MachinePorts) -> StoredMachine {
    let (change, stored) = create(ports, &task(), 1, &Adder { sum: 1 }, &[0]).unwrap();
    commit(ports, vec![change]).await.unwrap();
    stored
}

async fn stored(ports: &MachinePorts) -> StoredMachine {
    ports.storage.machine(&key()).await.unwrap().unwrap()
}

async fn all_done(ports: &MachinePorts) {
    while !stored(ports).await.outbox.is_empty() {
        tokio::task::yield_now().await;
    }
}

/// Tells the stored machine `inputs`, until all of their effects are done; and stops it, or kills it.
async fn run(ports: &MachinePorts, inputs: &[u32], stop: bool) {
    let before = stored(ports).await;
    let loaded = load(ports, &before).unwrap();
    let cancel = CancellationToken::new();
    let (handle, running) = spawn(
        ports.clone(),
        Arc::new(World::Done),
        before,
        loaded,
        false,
        nobody_away(),
        cancel.clone(),
    )
    .unwrap();
    let running = tokio::spawn(running);
    for input in inputs {
        handle.give(*input).await.unwrap();
    }
    all_done(ports).await;
    if stop {
        cancel.cancel();
    } else {
        running.abort();
    }
    drop(running.await);
}

#[tokio::test(start_paused = true)]
async fn ids_go_on_after_a_restart_though_every_effect_is_done() {
    let ports = ports(&MemoryStorage::new());
    created(&ports).await;
    // Killed: three entries of a journal, behind the one that says that it was taken up.
    run(&ports, &[2, 0, 3], false).await;
    let killed = stored(&ports).await;
    assert_eq!(killed.journal.len(), 4);
    let loaded: Loaded<Adder> = load(&ports, &killed).unwrap();
    assert_eq!((loaded.machine.sum, loaded.next_id), (6, 7));
    // Stopped: a snapshot.
    run(&ports, &[4], true).await;
    let stopped = stored(&ports).await;
    assert_eq!(stopped.journal.len(), 0);
    let loaded: Loaded<Adder> = load(&ports, &stopped).unwrap();
    assert_eq!((loaded.machine.sum, loaded.next_id), (10, 11));
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_recorded_has_used_no_id() {
    let storage = MemoryStorage::new();
    let ports = ports(&storage);
    let before = created(&ports).await;
    let loaded = load(&ports, &before).unwrap();
    let (handle, running) = spawn(
        ports.clone(),
        Arc::new(World::Silent),
        before,
        loaded,
        true,
        nobody_away(),
        CancellationToken::new(),
    )
    .unwrap();
    let running = tokio::spawn(running);
    handle.give(1).await.unwrap();
    storage.fail_next(
        "storage.commit",
        delta_memory::When::Before,
        delta_ports::PortErrorKind::Corrupt,
    );
    assert!(matches!(handle.give(5).await, Err(HandleError::Port(_))));
    handle.give(3).await.unwrap();
    running.abort();
    drop(running.await);
    let killed = stored(&ports).await;
    let ids: Vec<u64> = killed.outbox.iter().map(|e| e.id).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5]);
    let loaded: Loaded<Adder> = load(&ports, &killed).unwrap();
    assert_eq!((loaded.machine.sum, loaded.next_id), (5, 6));
}

/// Deadlines stand still for what is away while a machine runs, and for as long as there is patience, however often it comes and goes.
#[tokio::test(start_paused = true)]
async fn what_an_effect_brings_is_not_lost_while_the_disk_is_full() {
    let storage = MemoryStorage::new();
    let ports = ports(&storage);
    let (change, before) = create(&ports, &task(), 1, &Adder { sum: 1 }, &[1000]).unwrap();
    commit(&ports, vec![change]).await.unwrap();
    let loaded = load(&ports, &before).unwrap();
    for _ in 0..20 {
        storage.fail_next(
            "storage.commit",
            delta_memory::When::Before,
            delta_ports::PortErrorKind::Exhausted,
        );
    }
    let (_handle, running) = spawn(
        ports.clone(),
        Arc::new(World::Ends(1000)),
        before,
        loaded,
        true,
        nobody_away(),
        CancellationToken::new(),
    )
    .unwrap();
    // It has no deadline: nothing else would ever come.
    let hour = Duration::from_secs(3600);
    tokio::time::timeout(hour, running).await.unwrap();
    let ended = stored(&ports).await;
    assert!(ended.outbox.is_empty());
    let loaded: Loaded<Adder> = load(&ports, &ended).unwrap();
    assert!(loaded.machine.is_over());
}

#[tokio::test(start_paused = true)]
async fn a_machine_stands_still_for_its_own_time_and_no_longer_than_patience() {
    const SECOND: Duration = Duration::from_secs(1);
    let ports = ports(&MemoryStorage::new());
    let (clock, contact) = (ports.clock.clone(), crate::contact::Contact::presumed());
    let before = created(&ports).await;
    let loaded = load(&ports, &before).unwrap();
    // Long before there was anything to stand still.
    contact.lost(clock.now());
    clock.sleep(SECOND * 50).await;
    let (handle, running) = spawn(
        ports.clone(),
        Arc::new(World::Done),
        before,
        loaded,
        true,
        Reach::new(contact.clone(), None, SECOND * 10),
        CancellationToken::new(),
    )
    .unwrap();
    let running = tokio::spawn(running);
    let mut sums = Vec::new();
    for away in [4, 8, 5] {
        contact.lost(clock.now());
        clock.sleep(SECOND * away).await;
        contact.known(clock.now());
        clock.sleep(SECOND).await;
        sums.push(handle.state().sum);
    }
    assert_eq!(sums, [5, 11, 11]);
    running.abort();
    drop(running.await);
}

/// As programs wrote it that did not keep the next id: the machine and nothing else. They read ours in the same way.
#[tokio::test]
async fn a_snapshot_without_ids_is_read_and_its_ids_are_passed_over() {
    let ports = ports(&MemoryStorage::new());
    let ours = created(&ports).await;
    let theirs = StoredMachine {
        version: 5,
        snapshot: seal(&ports, &key(), &Adder { sum: 9 }).unwrap(),
        ..ours.clone()
    };
    let loaded: Loaded<Adder> = load(&ports, &theirs).unwrap();
    assert_eq!((loaded.machine.sum, loaded.next_id), (9, 5 << 20));
    let as_they_read: Adder = open(&ports, &key(), &context(&key()), &ours.snapshot).unwrap();
    assert_eq!(as_they_read.sum, 1);
}

#[tokio::test]
async fn a_journal_of_another_form_is_foreign_even_where_it_could_be_read() {
    let ports = ports(&MemoryStorage::new());
    let ours = created(&ports).await;
    let input = serde_json::to_vec(&2_u32).map_err(cannot_seal).unwrap();
    let journal = |place: String| {
        let place = [context(&key()), place.into_bytes()].concat();
        let entry = stored::seal_bytes(&ports, &place, &entry(Timestamp(1), &input)).unwrap();
        StoredMachine {
            version: 2,
            journal: vec![(2, entry)],
            ..ours.clone()
        }
    };
    let release = env!("CARGO_PKG_VERSION");
    let loaded = load::<Adder>(&ports, &journal(format!("/2/{release}/4"))).unwrap();
    assert_eq!(loaded.machine.sum, 3);
    for place in [format!("/2/{release}"), format!("/2/{release}/3")] {
        let error = load::<Adder>(&ports, &journal(place)).err().unwrap();
        assert_eq!(error.kind(), delta_ports::PortErrorKind::Corrupt);
    }
}

/// Waits until its deadline, and remembers whether anything came later.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Waiter {
    deadline: Timestamp,
    late: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum News {
    Told,
    Postponed(Duration),
}

impl Machine for Waiter {
    type Input = News;
    type Effect = u32;
    const KIND: MachineKind = MachineKind::CoordinatorRound;

    fn handle(&mut self, now: Timestamp, input: News) -> Result<Vec<u32>, Rejection> {
        match input {
            News::Told => self.late |= now >= self.deadline,
            News::Postponed(by) => self.deadline = self.deadline + by,
        }
        Ok(Vec::new())
    }

    fn deadline(&self) -> Option<Timestamp> {
        Some(self.deadline)
    }

    fn is_over(&self) -> bool {
        self.late
    }

    fn tick() -> News {
        News::Told
    }

    fn postponed(by: Duration) -> News {
        News::Postponed(by)
    }

    fn taken_up() -> News {
        News::Postponed(Duration::ZERO)
    }

    fn journalled(input: &News) -> Option<Result<Vec<u8>, serde_json::Error>> {
        Some(serde_json::to_vec(input))
    }

    fn replayed(entry: &[u8]) -> Result<News, serde_json::Error> {
        serde_json::from_slice(entry)
    }

    fn effect_failed(_effect: &u32, _error: &PortError) -> Option<News> {
        None
    }
}

/// Nothing is asked of it.
struct Nothing;

#[async_trait]
impl Effects<Waiter> for Nothing {
    async fn carry_out(&self, _effect: &u32, _again: bool) -> Result<Option<News>, PortError> {
        Ok(None)
    }
}

/// Members go on asking, and are lost and found, while the connector is away for longer than a deadline.
#[tokio::test(start_paused = true)]
async fn what_comes_during_an_outage_is_not_late() {
    const SECOND: Duration = Duration::from_secs(1);
    let ports = ports(&MemoryStorage::new());
    let now = || ports.clock.now();
    let waiter = Waiter {
        deadline: now() + SECOND * 10,
        late: false,
    };
    let (change, stored) = create(&ports, &task(), 1, &waiter, &[]).unwrap();
    commit(&ports, vec![change]).await.unwrap();
    let loaded: Loaded<Waiter> = load(&ports, &stored).unwrap();
    let connector = crate::contact::Contact::presumed();
    let (handle, running) = spawn(
        ports.clone(),
        Arc::new(Nothing),
        stored,
        loaded,
        true,
        Reach::new(connector.clone(), None, SECOND * 3600),
        CancellationToken::new(),
    )
    .unwrap();
    let running = tokio::spawn(running);
    ports.clock.sleep(SECOND * 4).await;
    connector.lost(now());
    for _ in 0..3 {
        ports.clock.sleep(SECOND * 30).await;
        handle.give(News::Told).await.unwrap();
    }
    connector.known(now());
    // As much as it had left.
    ports.clock.sleep(SECOND * 5).await;
    handle.give(News::Told).await.unwrap();
    assert!(!handle.state().late);
    ports.clock.sleep(SECOND * 2).await;
    assert!(handle.state().late, "its deadline has passed");
    drop(running.await);
}
