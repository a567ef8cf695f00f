//! The fake's own script: a planned failure strikes once, before or after the effect; a dead process's handle can do nothing.

use std::sync::Arc;

use delta_node::ports::PortErrorKind;
use delta_node::ports::storage::Storage;
use delta_testing::contracts::storage::moves::{commit, key, put, state};
use delta_testing::memory::{MemoryStorage, When};

#[tokio::test]
async fn planned_failures_strike_once_before_or_after_the_effect() {
    let memory = MemoryStorage::new();
    let s: Arc<dyn Storage> = Arc::new(memory.clone());
    memory.fail_next("storage.commit", When::Before, PortErrorKind::Unavailable);
    memory.fail_next("storage.commit", When::After, PortErrorKind::Timeout);
    assert_eq!(
        commit(&s, vec![put(&key(1, 1), 0, "a")]).await,
        Err(PortErrorKind::Unavailable)
    );
    assert_eq!(state(&s, &key(1, 1)).await, None);
    assert_eq!(
        commit(&s, vec![put(&key(1, 1), 0, "a")]).await,
        Err(PortErrorKind::Timeout)
    );
    assert_eq!(state(&s, &key(1, 1)).await, Some((1, "a".to_owned())));
    assert_eq!(commit(&s, vec![put(&key(1, 1), 1, "b")]).await, Ok(()));
    assert_eq!(memory.faults().pending(), 0);
}

#[tokio::test]
async fn a_dead_process_writes_nothing() {
    let old = MemoryStorage::new();
    let new: Arc<dyn Storage> = Arc::new(old.restart());
    let old: Arc<dyn Storage> = Arc::new(old);
    assert_eq!(
        commit(&old, vec![put(&key(1, 1), 0, "a")]).await,
        Err(PortErrorKind::Unavailable)
    );
    assert_eq!(state(&new, &key(1, 1)).await, None);
}
