//! Clauses about more than one handle: the next process, and writers at the same time.

use std::sync::Arc;

use delta_ports::PortErrorKind;
use delta_ports::storage::MachineChange;

use super::Subject;
use super::moves::{commit, effect, key, log, new_task, outbox, put, state, task};

/// The next process reads machines, logs, tasks and settings, and goes on with their numbers.
pub async fn a_restart_keeps_everything(subject: impl Subject) {
    let s = subject.open().await;
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
    let s = subject.restart().await;
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
pub async fn handles_that_write_at_once_lose_nothing(subject: impl Subject) {
    const WRITERS: u64 = 8;
    const STEPS: u64 = 10;
    let handles = [subject.open().await, subject.open().await];
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
