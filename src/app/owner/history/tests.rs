//! What was released before, over restarts.

use delta_memory::{InPlace, MemoryStorage};

use super::*;
use delta_domain::identity::NodeKey;
use delta_domain::secret::Secret;

struct World {
    storage: MemoryStorage,
    history: History,
}

impl World {
    fn new() -> Self {
        Self::over(MemoryStorage::new())
    }

    fn over(storage: MemoryStorage) -> Self {
        Self {
            history: History::over(Arc::new(storage.clone()), Arc::new(InPlace)),
            storage,
        }
    }

    /// The node's next process.
    fn restart(&self) -> Self {
        Self::over(self.storage.restart())
    }

    /// Releases the first `n` of 200 rows.
    async fn release(&self, author: &Author, dataset: &str, n: usize) -> Result<(), PortError> {
        let rows = ReleasedRows {
            dataset: dataset.parse().unwrap(),
            version: Digest::default(),
            unit_of: None,
            sets: vec![RowSet::new(200, |i| i < n)],
        };
        self.history.compare(author, vec![rows], 10).await
    }

    async fn remembered(&self) -> usize {
        self.storage.settings(ROWS).await.unwrap().len()
    }
}

fn author(organisation: &str) -> Author {
    Author {
        organisation: Some(organisation.to_owned()),
        ..Author::default()
    }
}

#[tokio::test]
async fn releases_that_differ_by_few_rows_are_refused_for_ever() {
    let world = World::new();
    let (one, other) = (author("one"), author("other"));
    world.release(&one, "a.csv", 100).await.unwrap();
    world.release(&one, "a.csv", 100).await.unwrap();
    let error = world.release(&one, "a.csv", 97).await.unwrap_err();
    assert_eq!(error.op(), OVERLAP);
    assert!(error.message().contains("records.overlap"), "{error}");
    assert_eq!(world.remembered().await, 1, "what was refused has not left");
    world.release(&one, "a.csv", 90).await.unwrap();
    // Of others, and for others, nothing is known.
    world.release(&one, "b.csv", 97).await.unwrap();
    world.release(&other, "a.csv", 97).await.unwrap();
    let world = world.restart();
    assert!(world.release(&one, "a.csv", 97).await.is_err());
    assert!(world.release(&other, "a.csv", 100).await.is_err());
    assert_eq!(world.remembered().await, 4);
}

#[tokio::test]
async fn another_name_makes_no_other_author() {
    let world = World::new();
    let named = |name: &str| Author {
        name: Some(name.to_owned()),
        ..author("one")
    };
    world.release(&named("ann"), "a.csv", 100).await.unwrap();
    assert!(world.release(&named("bob"), "a.csv", 97).await.is_err());
    // A key costs nothing: who has none in a roster is compared with everybody, and everybody with those.
    for (first, second) in [
        (named("ann"), Author::default()),
        (Author::default(), author("new")),
    ] {
        let world = World::new();
        world.release(&first, "a.csv", 100).await.unwrap();
        assert!(world.release(&second, "a.csv", 97).await.is_err());
    }
    let world = World::new();
    let stranger = |byte| {
        let key = NodeKey::new(&Secret::new([byte; 32])).unwrap();
        Author {
            node: Some(key.fingerprint()),
            ..Author::default()
        }
    };
    world.release(&stranger(1), "a.csv", 100).await.unwrap();
    for other in [stranger(2), Author::default(), author("other")] {
        assert!(world.release(&other, "a.csv", 97).await.is_err());
    }
}

#[tokio::test]
async fn a_higher_threshold_looks_again() {
    let world = World::new();
    let one = author("one");
    world.release(&one, "a.csv", 100).await.unwrap();
    world.release(&one, "a.csv", 85).await.unwrap();
    let rows = ReleasedRows {
        dataset: "a.csv".parse().unwrap(),
        version: Digest::default(),
        unit_of: None,
        sets: vec![RowSet::new(200, |i| i < 85)],
    };
    let again = world.history.compare(&one, vec![rows.clone()], 10).await;
    again.unwrap();
    assert!(world.history.compare(&one, vec![rows], 20).await.is_err());
}

#[tokio::test]
async fn steps_of_one_release_are_compared() {
    let world = World::new();
    let rows = |n: usize| ReleasedRows {
        dataset: "a.csv".parse().unwrap(),
        version: Digest::default(),
        unit_of: None,
        sets: vec![RowSet::new(200, |i| i < n)],
    };
    let of = |sizes: [usize; 2]| sizes.map(rows).to_vec();
    let one = author("one");
    assert!(
        world
            .history
            .compare(&one, of([100, 95]), 10)
            .await
            .is_err()
    );
    assert!(world.history.compare(&one, of([100, 90]), 10).await.is_ok());
}

#[tokio::test]
async fn more_than_can_be_compared_is_refused() {
    let world = World::new();
    let one = author("one");
    let (place, _) = places(&one, &"a.csv".parse().unwrap());
    for i in 0..MOST_SETS {
        let name = format!("{place}{i}");
        world.storage.set_setting(&name, &[]).await.unwrap();
    }
    let error = world.release(&one, "a.csv", 100).await.unwrap_err();
    assert_eq!(error.op(), OVERLAP);
}

#[tokio::test]
async fn numbers_go_to_one_cohort() {
    let release = |point: &[u8], cohort: &[u8]| Release {
        point: Digest::of(point),
        cohort: Digest::of(cohort),
    };
    let world = World::new();
    let (first, second) = (release(b"mean", b"abc"), release(b"mean", b"ab"));
    // Asked about, not released: a round may fail before it reveals.
    world.history.release_to(&first, false).await.unwrap();
    world.history.release_to(&second, true).await.unwrap();
    world.history.release_to(&second, true).await.unwrap();
    let world = world.restart();
    for now in [false, true] {
        let error = world.history.release_to(&first, now).await.unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Denied);
        assert!(error.message().contains("records.cohort"), "{error}");
        let other = release(b"count", b"abc");
        world.history.release_to(&other, now).await.unwrap();
    }
}
