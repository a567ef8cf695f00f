//! Clauses about names: what is absent, renames, removal, the next process.

use delta_domain::ids::{Name, RoundNumber};
use delta_ports::PortErrorKind;
use delta_ports::blob::BlobName;

use super::Subject;
use super::moves::{member, put, read, task};

/// Absent are a name that was never put, a folder, and a name below a blob.
pub async fn what_is_absent_is_not_found(subject: impl Subject) {
    let s = subject.store();
    put(s, &BlobName::aggregate(&task(1), RoundNumber(1)), b"x").await;
    // Nothing at all; a folder; a name below a blob.
    for name in [
        BlobName::submitted(1),
        BlobName::coordinator_round(&task(1), RoundNumber(1)),
        BlobName::runner_task(&task(1)),
    ] {
        assert!(!s.exists(&name).await.unwrap(), "{name}");
        assert_eq!(read(s, &name).await, Err(PortErrorKind::NotFound), "{name}");
        assert_eq!(
            s.open(&name).await.err().map(|e| e.kind()),
            Some(PortErrorKind::NotFound),
            "{name}"
        );
        assert_eq!(
            s.rename(&name, &BlobName::submitted(2))
                .await
                .unwrap_err()
                .kind(),
            PortErrorKind::NotFound,
            "{name}"
        );
    }
}

/// A rename takes the old name away and replaces what the new one had.
pub async fn a_rename_moves_and_replaces(subject: impl Subject) {
    let s = subject.store();
    let (from, to) = (
        BlobName::submitted(7),
        BlobName::coordinator_bundle(&task(1)),
    );
    put(s, &from, b"new").await;
    s.rename(&from, &to).await.unwrap();
    assert!(!s.exists(&from).await.unwrap());
    assert_eq!(read(s, &to).await.unwrap(), b"new");
    put(s, &from, b"newer").await;
    s.rename(&from, &to).await.unwrap();
    assert_eq!(read(s, &to).await.unwrap(), b"newer");
    assert_eq!(
        s.rename(&from, &to).await.unwrap_err().kind(),
        PortErrorKind::NotFound
    );
    assert_eq!(read(s, &to).await.unwrap(), b"newer");
}

/// A name of a folder removes what is below it and nothing beside it; removing what is absent is fine.
pub async fn removal_takes_one_blob_or_everything_below(subject: impl Subject) {
    let s = subject.store();
    let (one, ten) = (RoundNumber(1), RoundNumber(10));
    let kept = [
        BlobName::aggregate(&task(1), ten),
        BlobName::coordinator_bundle(&task(1)),
        BlobName::aggregate(&task(2), one),
        BlobName::own_masked_result(&task(1), one),
    ];
    let below = [
        BlobName::aggregate(&task(1), one),
        BlobName::masked_result(&task(1), one, &member(1)),
        BlobName::masked_result(&task(1), one, &member(2)),
    ];
    for name in kept.iter().chain(&below) {
        put(s, name, b"x").await;
    }
    s.remove(&BlobName::coordinator_round(&task(1), one))
        .await
        .unwrap();
    for name in &below {
        assert!(!s.exists(name).await.unwrap(), "{name}");
    }
    for name in &kept {
        assert!(s.exists(name).await.unwrap(), "{name}");
    }
    s.remove(&kept[0]).await.unwrap();
    assert!(!s.exists(&kept[0]).await.unwrap());
    s.remove(&kept[0]).await.expect("nothing there is fine");
    s.remove(&BlobName::runner_task(&task(9)))
        .await
        .expect("nothing there is fine");
    put(s, &below[0], b"again").await;
    assert_eq!(read(s, &below[0]).await.unwrap(), b"again");
}

/// The next process reads what this one has put.
pub async fn a_restart_keeps_everything(subject: impl Subject) {
    let variable: Name = "weights.0".parse().unwrap();
    let name = BlobName::server_variable(&task(1), 2, &variable);
    put(subject.store(), &name, b"kept").await;
    let subject = subject.restart().await;
    assert_eq!(read(subject.store(), &name).await.unwrap(), b"kept");
}

/// Writers at the same time: one of them wins, whole.
pub async fn writers_of_one_name_leave_one_whole_content(subject: impl Subject) {
    let s = subject.store();
    let name = BlobName::task_result(&task(1));
    let contents: Vec<Vec<u8>> = (0..8).map(|i| vec![i; 200_000]).collect();
    futures_util::future::join_all(contents.iter().map(|c| put(s, &name, c))).await;
    let found = read(s, &name).await.unwrap();
    assert!(contents.contains(&found));
}
