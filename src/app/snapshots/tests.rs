//! When databases are asked, and what becomes of it.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::*;
use delta_domain::ids::TaskId;
use delta_domain::query::QueryForm;
use delta_memory::{MemoryPolicies, PausedClock};
use delta_ports::policy::OwnerRules;
use delta_ports::snapshots::MayReplace;

const HOUR: Duration = Duration::from_secs(3600);

/// What is kept, and of which query.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Option<(Query, Timestamp)>>>);

#[async_trait]
impl Snapshots for Shelf {
    async fn take(
        &self,
        _: &DatasetName,
        _: &Query,
        _: MayReplace<'_>,
    ) -> Result<Snapshot, PortError> {
        unreachable!("the loop asks, not its keeper")
    }

    async fn kept(&self, _: &DatasetName, query: &Query) -> Result<Kept, PortError> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match &*kept {
            None => Kept::Nothing,
            Some((of, at)) if of == query => Kept::Answer(*at),
            Some(_) => Kept::Another,
        })
    }

    async fn withdraw(&self, _: &DatasetName, query: &Query) -> Result<(), PortError> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.take_if(|(of, _)| of != query);
        Ok(())
    }
}

struct World {
    keeper: Keeper,
    policies: MemoryPolicies,
    shelf: Shelf,
    reading: Arc<Reading>,
    /// How far the clock of the file system is ahead, in milliseconds.
    ahead: u64,
}

impl World {
    fn new(refresh: Option<&str>) -> Self {
        let clock = PausedClock::new(Timestamp(1_795_824_000_000));
        let (policies, shelf) = (MemoryPolicies::default(), Shelf::default());
        let reading = Arc::<Reading>::default();
        let keeper = Keeper {
            policies: Arc::new(policies.clone()),
            snapshots: Arc::new(shelf.clone()),
            clock: Arc::new(clock.clone()),
            reading: reading.clone(),
            patience: 3 * HOUR,
            of: BTreeMap::new(),
        };
        let world = Self {
            keeper,
            policies,
            shelf,
            reading,
            ahead: 0,
        };
        world.say(refresh, "SELECT a FROM t ORDER BY a");
        world
    }

    fn say(&self, refresh: Option<&str>, sql: &str) {
        let form = QueryForm {
            database: "sqlite:///t.db".to_owned(),
            sql: sql.to_owned(),
            refresh: refresh.map(str::to_owned),
            ..QueryForm::default()
        };
        let query = form.check("t.parquet").unwrap();
        self.policies.set(OwnerRules {
            queries: Arc::new([(name(), query)].into()),
            ..OwnerRules::default()
        });
    }

    async fn due(&mut self) -> bool {
        !self.keeper.due().await.is_empty()
    }

    /// Whether it is to be asked though a task reads.
    async fn overdue(&mut self) -> Option<bool> {
        self.keeper.due().await.first().map(|due| due.overdue)
    }

    /// The database has answered, or not.
    fn answers(&mut self, well: bool) {
        let query = self.keeper.policies.rules().queries[&name()].clone();
        let answer = match well {
            true => {
                let taken = Timestamp(self.keeper.clock.now().0 + self.ahead);
                *self.shelf.0.lock().unwrap() = Some((query, taken));
                Ok(Snapshot {
                    rows: 1,
                    columns: Vec::new(),
                    bytes: 1,
                    changed: true,
                })
            }
            false => Err(PortError::new(PortErrorKind::Unavailable, "t", "away")),
        };
        self.keeper.answered(&name(), answer);
    }
}

fn name() -> DatasetName {
    "t.parquet".parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_database_is_asked_at_once_and_then_when_it_is_time() {
    let mut world = World::new(Some("1h"));
    assert!(world.due().await);
    assert!(!world.due().await, "it is being asked");
    world.answers(true);
    tokio::time::advance(HOUR - Duration::from_secs(1)).await;
    assert!(!world.due().await);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(world.due().await);
}

#[tokio::test(start_paused = true)]
async fn without_a_time_it_is_asked_by_hand_only() {
    let mut world = World::new(None);
    tokio::time::advance(1000 * HOUR).await;
    assert!(!world.due().await);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_away_is_asked_in_growing_pauses_and_a_new_query_at_once() {
    let mut world = World::new(Some("1h"));
    assert!(world.due().await);
    world.answers(false);
    tokio::time::advance(Duration::from_secs(29)).await;
    assert!(!world.due().await);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(world.due().await);
    world.answers(false);
    tokio::time::advance(Duration::from_secs(59)).await;
    assert!(!world.due().await);
    world.say(Some("1h"), "SELECT b FROM t ORDER BY b");
    assert!(world.due().await);
}

#[tokio::test(start_paused = true)]
async fn a_task_reads_one_answer_from_end_to_end() {
    let mut world = World::new(Some("1h"));
    assert!(world.due().await);
    world.answers(true);
    let task: TaskId = format!("0x{:064x}", 1).parse().unwrap();
    // Tasks may leave the ending out.
    let held = world.reading.hold(&task, ["t".parse().unwrap()].into());
    tokio::time::advance(2 * HOUR).await;
    assert!(!world.due().await);
    drop(held);
    assert!(world.due().await);
    world.answers(true);
    // One that never ends is not waited for without end.
    let held = world.reading.hold(&task, [name()].into());
    tokio::time::advance(2 * HOUR).await;
    assert!(!world.due().await);
    tokio::time::advance(3 * HOUR).await;
    assert_eq!(world.overdue().await, Some(true));
    // That holds until there is an answer, whichever task reads meanwhile.
    world.answers(false);
    drop(held);
    let _other = world.reading.hold(&task, [name()].into());
    tokio::time::advance(HOUR).await;
    assert_eq!(world.overdue().await, Some(true));
    world.answers(true);
    tokio::time::advance(HOUR).await;
    assert_eq!(world.overdue().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_file_system_with_another_clock_changes_nothing() {
    for ahead in [0, 1, 86_400_000] {
        let mut world = World::new(Some("1h"));
        world.ahead = ahead;
        assert!(world.due().await);
        world.answers(true);
        for _ in 0..3 {
            tokio::time::advance(HOUR - Duration::from_secs(1)).await;
            assert!(!world.due().await, "{ahead}");
            tokio::time::advance(Duration::from_secs(1)).await;
            assert!(world.due().await, "{ahead}");
            world.answers(true);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_by_hand_counts() {
    let mut world = World::new(Some("1h"));
    assert!(world.due().await);
    world.answers(true);
    tokio::time::advance(HOUR / 2).await;
    assert!(!world.due().await);
    let now = world.keeper.clock.now();
    if let Some((_, taken)) = &mut *world.shelf.0.lock().unwrap() {
        *taken = now;
    }
    assert!(!world.due().await, "somebody has asked");
    tokio::time::advance(HOUR / 2).await;
    assert!(!world.due().await);
    tokio::time::advance(HOUR / 2).await;
    // What waited before waits anew, for the task of then.
    let task: TaskId = format!("0x{:064x}", 1).parse().unwrap();
    let _held = world.reading.hold(&task, [name()].into());
    assert!(!world.due().await);
    tokio::time::advance(2 * HOUR).await;
    let now = world.keeper.clock.now();
    if let Some((_, taken)) = &mut *world.shelf.0.lock().unwrap() {
        *taken = now;
    }
    assert!(!world.due().await);
    tokio::time::advance(HOUR).await;
    assert!(!world.due().await);
    tokio::time::advance(2 * HOUR).await;
    assert!(!world.due().await);
    tokio::time::advance(HOUR).await;
    assert_eq!(world.overdue().await, Some(true));
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_another_query_is_removed_and_this_one_asked() {
    let mut world = World::new(Some("24h"));
    assert!(world.due().await);
    world.answers(true);
    assert!(!world.due().await);
    world.say(Some("24h"), "SELECT a FROM t WHERE a > 0 ORDER BY a");
    assert!(world.due().await);
    assert!(world.shelf.0.lock().unwrap().is_none());
    // By hand it is removed as well.
    world.answers(true);
    world.say(None, "SELECT a FROM t WHERE a > 1 ORDER BY a");
    assert!(!world.due().await);
    assert!(world.shelf.0.lock().unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_came_too_late_for_a_task_is_asked_for_again() {
    let mut world = World::new(Some("1h"));
    assert!(world.due().await);
    let late = PortError::new(PortErrorKind::Conflict, "t", "a task reads");
    world.keeper.answered(&name(), Err(late));
    assert!(world.due().await);
}
