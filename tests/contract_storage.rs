//! What `ports::storage::Storage` promises, checked on the database in memory and on SQLite alike.
//!
//! One function an obligation; the macro at the end runs each on both. What only a file can do wrong is at the very end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation
)]

#[path = "contract_storage/fake.rs"]
mod fake;
#[path = "contract_storage/file.rs"]
mod file;
#[path = "contract_storage/journal.rs"]
mod journal;

use std::sync::{Arc, Mutex};

use delta_node::adapters::memory::{MemoryStorage, When};
use delta_node::adapters::sqlite::SqliteStorage;
use delta_node::domain::ids::{Address, TaskId, TxHash};
use delta_node::domain::task::{TaskKind, TaskStatus};
use delta_node::domain::time::Timestamp;
use delta_node::ports::PortErrorKind;
use delta_node::ports::storage::{
    LogLevel, MachineChange, MachineKey, MachineKind, NewLog, NewTaskRow, OutboxEntry, StateChange,
    Storage, TaskUpdate,
};

/// A database that can be opened again and again.
#[async_trait::async_trait]
trait Backend: Send + Sync {
    /// Another handle of the same process.
    async fn open(&self) -> Arc<dyn Storage>;
    /// What the next process sees.
    async fn restart(&self) -> Arc<dyn Storage>;
}

struct Memory(Mutex<MemoryStorage>);

#[async_trait::async_trait]
impl Backend for Memory {
    async fn open(&self) -> Arc<dyn Storage> {
        Arc::new(self.0.lock().unwrap().clone())
    }

    async fn restart(&self) -> Arc<dyn Storage> {
        let mut current = self.0.lock().unwrap();
        *current = current.restart();
        Arc::new(current.clone())
    }
}

struct Sqlite(tempfile::TempDir);

impl Sqlite {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn url(&self) -> String {
        format!(
            "sqlite+aiosqlite:///{}",
            self.0.path().join("db/delta.db").display()
        )
    }

    async fn storage(&self) -> SqliteStorage {
        SqliteStorage::open(&self.url()).await.unwrap()
    }
}

#[async_trait::async_trait]
impl Backend for Sqlite {
    async fn open(&self) -> Arc<dyn Storage> {
        Arc::new(self.storage().await)
    }

    async fn restart(&self) -> Arc<dyn Storage> {
        self.open().await
    }
}

fn task(n: u8) -> TaskId {
    format!("0x{}", format!("{n:02x}").repeat(32))
        .parse()
        .unwrap()
}

fn key(n: u8, round: u32) -> MachineKey {
    MachineKey {
        kind: MachineKind::RunnerRound,
        task: task(n),
        round,
    }
}

fn effect(id: u64) -> OutboxEntry {
    OutboxEntry {
        id,
        effect: format!("effect {id}").into_bytes(),
    }
}

fn put(key: &MachineKey, expected: u64, snapshot: &str) -> MachineChange {
    let state = StateChange::Snapshot(snapshot.as_bytes().to_vec());
    MachineChange {
        key: key.clone(),
        expected,
        state,
        enqueue: vec![],
        done: vec![],
    }
}

fn delete(key: &MachineKey, expected: u64) -> MachineChange {
    MachineChange {
        key: key.clone(),
        expected,
        state: StateChange::Deleted,
        enqueue: vec![],
        done: vec![],
    }
}

use journal::{
    a_deleted_machine_leaves_no_journal_behind,
    a_stale_entry_conflicts_and_a_machine_begins_with_a_snapshot,
    entries_follow_the_snapshot_until_the_next_one,
};

fn log(n: u8, message: &str) -> NewLog {
    NewLog {
        created_at: Timestamp(1_700_000_000_000),
        task: task(n),
        level: LogLevel::Info,
        message: message.to_owned(),
        tx_hash: None,
    }
}

fn new_task(name: &str) -> NewTaskRow {
    NewTaskRow {
        created_at: Timestamp(5),
        name: name.to_owned(),
        kind: TaskKind::Hlr,
        enable_verify: true,
    }
}

async fn commit(
    storage: &Arc<dyn Storage>,
    changes: Vec<MachineChange>,
) -> Result<(), PortErrorKind> {
    storage.commit(changes, vec![]).await.map_err(|e| e.kind())
}

/// Version and snapshot of a machine.
async fn state(storage: &Arc<dyn Storage>, key: &MachineKey) -> Option<(u64, String)> {
    let machine = storage.machine(key).await.unwrap()?;
    assert_eq!(&machine.key, key);
    Some((
        machine.version,
        String::from_utf8(machine.snapshot).unwrap(),
    ))
}

async fn outbox(storage: &Arc<dyn Storage>, key: &MachineKey) -> Vec<OutboxEntry> {
    storage.machine(key).await.unwrap().unwrap().outbox
}

async fn versions_count_from_one(backend: impl Backend) {
    let s = backend.open().await;
    assert_eq!(state(&s, &key(1, 1)).await, None);
    commit(&s, vec![put(&key(1, 1), 0, "a")]).await.unwrap();
    assert_eq!(state(&s, &key(1, 1)).await, Some((1, "a".to_owned())));
    commit(&s, vec![put(&key(1, 1), 1, "b")]).await.unwrap();
    assert_eq!(state(&s, &key(1, 1)).await, Some((2, "b".to_owned())));
}

async fn a_stale_version_conflicts_and_changes_nothing(backend: impl Backend) {
    let s = backend.open().await;
    commit(&s, vec![put(&key(1, 1), 0, "a")]).await.unwrap();
    for wrong in [0, 2, u64::MAX] {
        assert_eq!(
            commit(&s, vec![put(&key(1, 1), wrong, "b")]).await,
            Err(PortErrorKind::Conflict),
            "{wrong}"
        );
        assert_eq!(
            commit(&s, vec![delete(&key(1, 1), wrong)]).await,
            Err(PortErrorKind::Conflict),
            "{wrong}"
        );
    }
    assert_eq!(
        commit(&s, vec![put(&key(1, 2), 1, "b")]).await,
        Err(PortErrorKind::Conflict),
        "absent is version 0"
    );
    assert_eq!(state(&s, &key(1, 1)).await, Some((1, "a".to_owned())));
    assert_eq!(state(&s, &key(1, 2)).await, None);
}

async fn a_commit_is_all_or_nothing(backend: impl Backend) {
    let s = backend.open().await;
    let setup = MachineChange {
        enqueue: vec![effect(1)],
        ..put(&key(1, 1), 0, "a")
    };
    s.commit(vec![setup], vec![log(1, "first")]).await.unwrap();
    let good = MachineChange {
        enqueue: vec![effect(2)],
        done: vec![1],
        ..put(&key(1, 1), 1, "b")
    };
    // The last of three is stale: the first two and the log record must not happen either.
    let changes = vec![good, put(&key(2, 1), 0, "new"), put(&key(3, 1), 9, "stale")];
    let error = s.commit(changes, vec![log(1, "second")]).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Conflict);
    assert_eq!(state(&s, &key(1, 1)).await, Some((1, "a".to_owned())));
    assert_eq!(outbox(&s, &key(1, 1)).await, vec![effect(1)]);
    assert_eq!(state(&s, &key(2, 1)).await, None);
    assert_eq!(s.logs(&task(1), 0, 10).await.unwrap().len(), 1);
    // And a deletion that came before the failure.
    assert_eq!(
        commit(&s, vec![delete(&key(1, 1), 1), put(&key(3, 1), 9, "stale")]).await,
        Err(PortErrorKind::Conflict)
    );
    assert_eq!(outbox(&s, &key(1, 1)).await, vec![effect(1)]);
}

async fn several_machines_change_together(backend: impl Backend) {
    let s = backend.open().await;
    commit(&s, vec![put(&key(1, 1), 0, "a"), put(&key(1, 2), 0, "b")])
        .await
        .unwrap();
    commit(
        &s,
        vec![
            delete(&key(1, 1), 1),
            put(&key(1, 2), 1, "c"),
            put(&key(1, 3), 0, "d"),
        ],
    )
    .await
    .unwrap();
    assert_eq!(state(&s, &key(1, 1)).await, None);
    assert_eq!(state(&s, &key(1, 2)).await, Some((2, "c".to_owned())));
    assert_eq!(state(&s, &key(1, 3)).await, Some((1, "d".to_owned())));
}

async fn one_machine_may_change_twice_in_a_commit(backend: impl Backend) {
    let s = backend.open().await;
    commit(&s, vec![put(&key(1, 1), 0, "a"), put(&key(1, 1), 1, "b")])
        .await
        .unwrap();
    assert_eq!(state(&s, &key(1, 1)).await, Some((2, "b".to_owned())));
    assert_eq!(
        commit(&s, vec![put(&key(1, 1), 2, "c"), put(&key(1, 1), 2, "d")]).await,
        Err(PortErrorKind::Conflict)
    );
    commit(&s, vec![delete(&key(1, 1), 2), put(&key(1, 1), 0, "e")])
        .await
        .unwrap();
    assert_eq!(state(&s, &key(1, 1)).await, Some((1, "e".to_owned())));
}

async fn effects_come_in_the_order_of_their_numbers(backend: impl Backend) {
    let s = backend.open().await;
    let k = key(1, 1);
    commit(
        &s,
        vec![MachineChange {
            enqueue: vec![effect(10), effect(2)],
            ..put(&k, 0, "a")
        }],
    )
    .await
    .unwrap();
    commit(
        &s,
        vec![MachineChange {
            enqueue: vec![effect(9), effect(100)],
            done: vec![2],
            ..put(&k, 1, "b")
        }],
    )
    .await
    .unwrap();
    assert_eq!(
        outbox(&s, &k).await,
        vec![effect(9), effect(10), effect(100)]
    );
    // Done twice, or never decided: nothing to do.
    commit(
        &s,
        vec![MachineChange {
            done: vec![2, 9, 77],
            ..put(&k, 2, "c")
        }],
    )
    .await
    .unwrap();
    assert_eq!(outbox(&s, &k).await, vec![effect(10), effect(100)]);
    assert_eq!(state(&s, &k).await, Some((3, "c".to_owned())));
}

async fn a_number_used_twice_is_a_bug(backend: impl Backend) {
    let s = backend.open().await;
    let k = key(1, 1);
    commit(
        &s,
        vec![MachineChange {
            enqueue: vec![effect(1)],
            ..put(&k, 0, "a")
        }],
    )
    .await
    .unwrap();
    let again = MachineChange {
        enqueue: vec![effect(1)],
        ..put(&k, 1, "b")
    };
    assert_eq!(commit(&s, vec![again]).await, Err(PortErrorKind::Internal));
    let too_large = MachineChange {
        enqueue: vec![effect(u64::MAX)],
        ..put(&k, 1, "b")
    };
    assert_eq!(
        commit(&s, vec![too_large]).await,
        Err(PortErrorKind::Internal)
    );
    let lost = MachineChange {
        enqueue: vec![effect(2)],
        ..delete(&k, 1)
    };
    assert_eq!(
        commit(&s, vec![lost]).await,
        Err(PortErrorKind::Internal),
        "an effect of a deleted machine would be lost"
    );
    assert_eq!(state(&s, &k).await, Some((1, "a".to_owned())));
    // Another machine has numbers of its own.
    commit(
        &s,
        vec![MachineChange {
            enqueue: vec![effect(1)],
            ..put(&key(1, 2), 0, "a")
        }],
    )
    .await
    .unwrap();
}

async fn deleting_a_machine_deletes_its_outbox(backend: impl Backend) {
    let s = backend.open().await;
    let k = key(1, 1);
    commit(
        &s,
        vec![MachineChange {
            enqueue: vec![effect(1), effect(2)],
            ..put(&k, 0, "a")
        }],
    )
    .await
    .unwrap();
    commit(&s, vec![delete(&k, 1)]).await.unwrap();
    assert_eq!(state(&s, &k).await, None);
    commit(&s, vec![delete(&k, 0)])
        .await
        .expect("deleting what is absent is fine");
    commit(&s, vec![put(&k, 0, "again")]).await.unwrap();
    assert_eq!(state(&s, &k).await, Some((1, "again".to_owned())));
    assert_eq!(outbox(&s, &k).await, vec![]);
}

async fn machines_of_a_kind_come_in_key_order(backend: impl Backend) {
    let s = backend.open().await;
    let mut changes: Vec<_> = [(2, 1), (1, 10), (1, 9), (10, 1)]
        .into_iter()
        .map(|(n, round)| MachineChange {
            enqueue: vec![effect(2), effect(1)],
            ..put(&key(n, round), 0, "x")
        })
        .collect();
    let other = MachineKey {
        kind: MachineKind::CoordinatorRound,
        ..key(1, 9)
    };
    changes.push(put(&other, 0, "other"));
    commit(&s, changes).await.unwrap();
    let found = s.machines(MachineKind::RunnerRound).await.unwrap();
    let keys: Vec<_> = found.iter().map(|m| m.key.clone()).collect();
    assert_eq!(keys, vec![key(1, 9), key(1, 10), key(2, 1), key(10, 1)]);
    assert!(keys.is_sorted());
    assert!(
        found
            .iter()
            .all(|m| m.version == 1 && m.outbox == vec![effect(1), effect(2)])
    );
    let found = s.machines(MachineKind::CoordinatorRound).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0].key, found[0].outbox.len()), (&other, 0));
    assert_eq!(s.machines(MachineKind::RunnerTask).await.unwrap(), vec![]);
    assert_eq!(state(&s, &other).await, Some((1, "other".to_owned())));
}

async fn large_and_binary_snapshots_come_back_whole(backend: impl Backend) {
    let s = backend.open().await;
    let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i * 7 + i / 256) as u8).collect();
    let change = MachineChange {
        state: StateChange::Snapshot(bytes.clone()),
        enqueue: vec![OutboxEntry {
            id: 0,
            effect: vec![0, 255],
        }],
        ..put(&key(1, u32::MAX), 0, "")
    };
    commit(&s, vec![change]).await.unwrap();
    let found = s.machine(&key(1, u32::MAX)).await.unwrap().unwrap();
    assert!(found.snapshot == bytes);
    assert_eq!(found.outbox[0].effect, vec![0, 255]);
    commit(&s, vec![put(&key(1, u32::MAX), 1, "")])
        .await
        .unwrap();
    assert_eq!(state(&s, &key(1, u32::MAX)).await, Some((2, String::new())));
}

async fn log_numbers_are_global_and_ascend(backend: impl Backend) {
    let s = backend.open().await;
    let special = NewLog {
        created_at: Timestamp(42),
        task: task(2),
        level: LogLevel::Error,
        message: "it's \"over\"; DROP TABLE dn_logs; é\n".to_owned(),
        tx_hash: Some("0xabc".parse::<TxHash>().unwrap()),
    };
    s.commit(vec![], vec![log(1, "a"), special.clone(), log(1, "b")])
        .await
        .unwrap();
    s.commit(
        vec![],
        vec![
            NewLog {
                level: LogLevel::Warn,
                ..log(2, "c")
            },
            log(1, "d"),
        ],
    )
    .await
    .unwrap();
    let one = s.logs(&task(1), 0, 10).await.unwrap();
    let two = s.logs(&task(2), i64::MIN, 10).await.unwrap();
    assert_eq!(
        one.iter()
            .map(|l| l.log.message.as_str())
            .collect::<Vec<_>>(),
        vec!["a", "b", "d"]
    );
    assert_eq!(two[0].log, special);
    assert_eq!(two[1].log.level, LogLevel::Warn);
    let ids = |rows: &[_]| {
        rows.iter()
            .map(|l: &delta_node::ports::storage::LogRow| l.id)
            .collect::<Vec<_>>()
    };
    assert_eq!((ids(&one), ids(&two)), (vec![1, 3, 5], vec![2, 4]));
    // From a number on, at most so many.
    assert_eq!(ids(&s.logs(&task(1), 2, 1).await.unwrap()), vec![3]);
    assert_eq!(ids(&s.logs(&task(1), 3, 10).await.unwrap()), vec![3, 5]);
    assert_eq!(s.logs(&task(1), 6, 10).await.unwrap(), vec![]);
    assert_eq!(s.logs(&task(1), 0, 0).await.unwrap(), vec![]);
    assert_eq!(s.logs(&task(3), 0, 10).await.unwrap(), vec![]);
}

async fn a_task_lives_through_its_states(backend: impl Backend) {
    let s = backend.open().await;
    assert_eq!(s.insert_task(&new_task("first")).await.unwrap(), 1);
    assert_eq!(s.insert_task(&new_task("second")).await.unwrap(), 2);
    let row = s.task(1).await.unwrap().unwrap();
    assert_eq!(
        (
            row.id,
            row.created_at,
            row.name.as_str(),
            row.kind,
            row.enable_verify
        ),
        (1, Timestamp(5), "first", TaskKind::Hlr, true)
    );
    assert_eq!(
        (
            row.creator.clone(),
            row.task.clone(),
            row.status,
            row.error.clone()
        ),
        (None, None, TaskStatus::Pending, None)
    );
    let creator: Address = format!("0x{}", "Ab".repeat(20)).parse().unwrap();
    let running = TaskUpdate {
        creator: Some(creator.clone()),
        task: Some(task(7)),
        status: Some(TaskStatus::Running),
        error: None,
    };
    s.update_task(1, &running).await.unwrap();
    s.update_task(
        1,
        &TaskUpdate {
            status: Some(TaskStatus::Error),
            error: Some("why".to_owned()),
            ..TaskUpdate::default()
        },
    )
    .await
    .unwrap();
    s.update_task(1, &TaskUpdate::default())
        .await
        .expect("no change is a change");
    let row = s.task_by_network_id(&task(7)).await.unwrap().unwrap();
    assert_eq!(
        (
            row.id,
            row.creator,
            row.task,
            row.status,
            row.error.as_deref()
        ),
        (
            1,
            Some(creator),
            Some(task(7)),
            TaskStatus::Error,
            Some("why")
        )
    );
    assert_eq!(
        s.task(2).await.unwrap().unwrap().status,
        TaskStatus::Pending
    );
    assert_eq!(s.task(3).await.unwrap(), None);
    assert_eq!(s.task_by_network_id(&task(8)).await.unwrap(), None);
    assert_eq!(
        s.update_task(3, &TaskUpdate::default())
            .await
            .unwrap_err()
            .kind(),
        PortErrorKind::NotFound
    );
    // Two local tasks cannot be the same one on the network.
    let taken = TaskUpdate {
        task: Some(task(7)),
        ..TaskUpdate::default()
    };
    assert_eq!(
        s.update_task(2, &taken).await.unwrap_err().kind(),
        PortErrorKind::Conflict
    );
    s.update_task(1, &taken).await.expect("its own id again");
}

async fn pages_cut_the_list_in_either_direction(backend: impl Backend) {
    let s = backend.open().await;
    let empty = s.task_page(1, 10, true).await.unwrap();
    assert_eq!((empty.tasks.len(), empty.total), (0, 0));
    for i in 0..5 {
        s.insert_task(&new_task(&i.to_string())).await.unwrap();
    }
    let page = async |page, size, ascending| {
        let found = s.task_page(page, size, ascending).await.unwrap();
        assert_eq!(found.total, 5);
        found.tasks.iter().map(|t| t.id).collect::<Vec<_>>()
    };
    assert_eq!(page(1, 2, true).await, vec![1, 2]);
    assert_eq!(page(3, 2, true).await, vec![5]);
    assert_eq!(page(4, 2, true).await, Vec::<i64>::new());
    assert_eq!(page(1, 2, false).await, vec![5, 4]);
    assert_eq!(page(3, 2, false).await, vec![1]);
    assert_eq!(
        page(0, 3, true).await,
        vec![1, 2, 3],
        "page 0 is the first one"
    );
    assert_eq!(page(1, 0, true).await, Vec::<i64>::new());
    assert_eq!(page(u32::MAX, u32::MAX, false).await, Vec::<i64>::new());
}

async fn unfinished_tasks_are_pending_or_running(backend: impl Backend) {
    let s = backend.open().await;
    for status in [
        TaskStatus::Finished,
        TaskStatus::Running,
        TaskStatus::Error,
        TaskStatus::Pending,
        TaskStatus::Confirmed,
    ] {
        let id = s.insert_task(&new_task("t")).await.unwrap();
        s.update_task(
            id,
            &TaskUpdate {
                status: Some(status),
                ..TaskUpdate::default()
            },
        )
        .await
        .unwrap();
        assert_eq!(s.task(id).await.unwrap().unwrap().status, status);
    }
    let ids: Vec<_> = s
        .unfinished_tasks()
        .await
        .unwrap()
        .iter()
        .map(|t| t.id)
        .collect();
    assert_eq!(ids, vec![2, 4]);
}

async fn settings_are_replaced(backend: impl Backend) {
    let s = backend.open().await;
    assert_eq!(s.setting("address").await.unwrap(), None);
    s.set_setting("address", b"one").await.unwrap();
    s.set_setting("other", b"").await.unwrap();
    s.set_setting("address", &[0, 255]).await.unwrap();
    assert_eq!(s.setting("address").await.unwrap(), Some(vec![0, 255]));
    assert_eq!(s.setting("other").await.unwrap(), Some(vec![]));
}

async fn a_restart_keeps_everything(backend: impl Backend) {
    let s = backend.open().await;
    s.commit(
        vec![MachineChange {
            enqueue: vec![effect(1)],
            ..put(&key(1, 1), 0, "a")
        }],
        vec![log(1, "a")],
    )
    .await
    .unwrap();
    s.insert_task(&new_task("t")).await.unwrap();
    s.set_setting("k", b"v").await.unwrap();
    // As after kill -9: the old handle is simply gone.
    drop(s);
    let s = backend.restart().await;
    assert_eq!(state(&s, &key(1, 1)).await, Some((1, "a".to_owned())));
    assert_eq!(outbox(&s, &key(1, 1)).await, vec![effect(1)]);
    assert_eq!(s.logs(&task(1), 0, 10).await.unwrap().len(), 1);
    assert_eq!(s.setting("k").await.unwrap(), Some(b"v".to_vec()));
    assert_eq!(s.insert_task(&new_task("u")).await.unwrap(), 2, "ids go on");
    s.commit(vec![put(&key(1, 1), 1, "b")], vec![log(1, "b")])
        .await
        .unwrap();
    assert_eq!(s.logs(&task(1), 2, 10).await.unwrap()[0].id, 2);
}

/// Eight writers over two handles count one machine up, each retrying on `Conflict`: no step is lost and none happens twice.
async fn handles_that_write_at_once_lose_nothing(backend: impl Backend) {
    const WRITERS: u64 = 8;
    const STEPS: u64 = 10;
    let handles = [backend.open().await, backend.open().await];
    let k = key(1, 1);
    commit(&handles[0], vec![put(&k, 0, "start")])
        .await
        .unwrap();
    let writers: Vec<_> = (0..WRITERS)
        .map(|w| {
            let (s, k) = (
                Arc::clone(&handles[usize::try_from(w % 2).unwrap()]),
                k.clone(),
            );
            tokio::spawn(async move {
                for step in 0..STEPS {
                    let id = w * STEPS + step;
                    loop {
                        let version = s.machine(&k).await.unwrap().unwrap().version;
                        let change = MachineChange {
                            enqueue: vec![effect(id)],
                            ..put(&k, version, "x")
                        };
                        match s.commit(vec![change], vec![log(1, &id.to_string())]).await {
                            Ok(()) => break,
                            Err(e) => assert_eq!(e.kind(), PortErrorKind::Conflict, "{e}"),
                        }
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let machine = handles[1].machine(&k).await.unwrap().unwrap();
    assert_eq!(machine.version, 1 + WRITERS * STEPS);
    assert_eq!(
        machine.outbox,
        (0..WRITERS * STEPS).map(effect).collect::<Vec<_>>()
    );
    let logs = handles[0].logs(&task(1), 0, 1000).await.unwrap();
    assert_eq!(
        logs.iter().map(|l| l.id).collect::<Vec<_>>(),
        (1..=80).collect::<Vec<_>>()
    );
}

macro_rules! contract {
    ($($case:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() {
                super::$case(super::Memory(super::Mutex::default())).await;
            })*
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $case() {
                super::$case(super::Sqlite::new()).await;
            })*
        }
    };
}

contract!(
    versions_count_from_one,
    a_stale_version_conflicts_and_changes_nothing,
    a_commit_is_all_or_nothing,
    several_machines_change_together,
    one_machine_may_change_twice_in_a_commit,
    effects_come_in_the_order_of_their_numbers,
    a_number_used_twice_is_a_bug,
    deleting_a_machine_deletes_its_outbox,
    machines_of_a_kind_come_in_key_order,
    large_and_binary_snapshots_come_back_whole,
    log_numbers_are_global_and_ascend,
    a_task_lives_through_its_states,
    pages_cut_the_list_in_either_direction,
    unfinished_tasks_are_pending_or_running,
    settings_are_replaced,
    a_restart_keeps_everything,
    handles_that_write_at_once_lose_nothing,
    entries_follow_the_snapshot_until_the_next_one,
    a_stale_entry_conflicts_and_a_machine_begins_with_a_snapshot,
    a_deleted_machine_leaves_no_journal_behind,
);
