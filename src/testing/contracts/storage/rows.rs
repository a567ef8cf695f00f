//! Clauses about what people read: tasks, logs and settings.

use delta_domain::ids::{Address, TxHash};
use delta_domain::task::{TaskKind, TaskStatus};
use delta_domain::time::Timestamp;
use delta_ports::PortErrorKind;
use delta_ports::storage::{LogLevel, NewLog, TaskQuery, TaskUpdate};

use super::Subject;
use super::moves::{log, new_task, task};

/// Log records are numbered from 1 over all tasks, and read from a number on, at most so many.
pub async fn log_numbers_are_global_and_ascend(subject: impl Subject) {
    let s = subject.open().await;
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
            .map(|l: &delta_ports::storage::LogRow| l.id)
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

/// Tasks are found by parts of their words, whatever signs are in them, by status and kind, the newest first; counts are those of all statuses.
pub async fn tasks_are_found(subject: impl Subject) {
    let s = subject.open().await;
    for name in [
        "Wages 100%",
        "wages_means",
        "wagesXmeans",
        "\u{5de5}\u{8d44} \u{5747}\u{503c}",
        "Other!",
    ] {
        s.insert_task(&new_task(name)).await.unwrap();
    }
    for (id, status) in [(2, TaskStatus::Running), (3, TaskStatus::Error)] {
        let update = TaskUpdate {
            task: Some(task(u8::try_from(id).unwrap())),
            status: Some(status),
            ..TaskUpdate::default()
        };
        s.update_task(id, &update).await.unwrap();
    }
    let all = TaskQuery {
        text: String::new(),
        statuses: Vec::new(),
        kind: None,
        before: None,
        limit: 100,
    };
    let text = |text: &str| TaskQuery {
        text: text.to_owned(),
        ..all.clone()
    };
    let cases: Vec<(TaskQuery, Vec<i64>)> = vec![
        (all.clone(), vec![5, 4, 3, 2, 1]),
        (text("WAGES"), vec![3, 2, 1]),
        (text("%"), vec![1]),
        (text("s_m"), vec![2]),
        (text("!"), vec![5]),
        (text("\u{5747}"), vec![4]),
        (text("author of other"), vec![5]),
        (text("0x0303"), vec![3]),
        (text("4"), vec![4]),
        (text("' OR 1=1 --"), vec![]),
        (
            TaskQuery {
                statuses: vec![TaskStatus::Pending, TaskStatus::Error],
                ..all.clone()
            },
            vec![5, 4, 3, 1],
        ),
        (
            TaskQuery {
                kind: Some(TaskKind::Horizontal),
                ..all.clone()
            },
            vec![],
        ),
        (
            TaskQuery {
                before: Some(5),
                limit: 2,
                ..all.clone()
            },
            vec![4, 3],
        ),
        (
            TaskQuery {
                limit: 0,
                ..all.clone()
            },
            vec![],
        ),
    ];
    for (query, ids) in cases {
        let found = s.find_tasks(&query).await.unwrap();
        let rows: Vec<i64> = found.tasks.iter().map(|row| row.id).collect();
        assert_eq!(rows, ids, "{query:?}");
    }
    let query = TaskQuery {
        statuses: vec![TaskStatus::Finished],
        before: Some(1),
        ..text("wages")
    };
    let counts = s.find_tasks(&query).await.unwrap().counts;
    let expected = [
        (TaskStatus::Pending, 1),
        (TaskStatus::Running, 1),
        (TaskStatus::Error, 1),
    ];
    assert_eq!(counts, expected);
}

/// What a task is given stays until it is replaced; one id on the network belongs to one local task.
pub async fn a_task_lives_through_its_states(subject: impl Subject) {
    let s = subject.open().await;
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
    assert_eq!(row.author.as_deref(), Some("author of first"));
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

/// Pages count from 1, carry the whole number of tasks, and may lie beyond the end.
pub async fn pages_cut_the_list_in_either_direction(subject: impl Subject) {
    let s = subject.open().await;
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

/// What a node takes up again when it starts.
pub async fn unfinished_tasks_are_pending_or_running(subject: impl Subject) {
    let s = subject.open().await;
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

/// Settings are bytes by name; the last write counts.
pub async fn settings_are_replaced(subject: impl Subject) {
    let s = subject.open().await;
    assert_eq!(s.setting("address").await.unwrap(), None);
    s.set_setting("address", b"one").await.unwrap();
    s.set_setting("other", b"").await.unwrap();
    s.set_setting("address", &[0, 255]).await.unwrap();
    assert_eq!(s.setting("address").await.unwrap(), Some(vec![0, 255]));
    assert_eq!(s.setting("other").await.unwrap(), Some(vec![]));
    for name in ["k/b", "k/a", "k_c", "K/d", "k%"] {
        s.set_setting(name, name.as_bytes()).await.unwrap();
    }
    let under = async |prefix: &str| {
        let found = s.settings(prefix).await.unwrap();
        assert!(found.iter().all(|(n, v)| n.len() < 4 && n.as_bytes() == v));
        found.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(under("k/").await, ["k/a", "k/b"]);
    assert_eq!(under("k%").await, ["k%"]);
    assert_eq!(under("x").await, [""; 0]);
}
