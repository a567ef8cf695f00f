//! The contract of `ports::blob::BlobStore`, on the store in memory and on files alike; and what only one of them can do wrong.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use delta_node::adapters::system::FileBlobs;
use delta_node::domain::ids::{Address, Name, RoundNumber, TaskId};
use delta_node::ports::blob::{BlobName, BlobStore};
use delta_node::ports::{PortError, PortErrorKind};
use delta_testing::contract_tests;
use delta_testing::contracts::blob::Subject;
use delta_testing::contracts::blob::moves::{
    content, member, pattern, pieces, put, read, stream_of, task,
};
use delta_testing::memory::{MemoryBlobs, When};

struct Files {
    dir: tempfile::TempDir,
    store: FileBlobs,
}

impl Files {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = FileBlobs::open(&dir.path().join("task")).await.unwrap();
        Self { dir, store }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("task")
    }

    fn path(&self, name: &BlobName) -> PathBuf {
        self.root().join(name.as_str())
    }
}

#[async_trait::async_trait]
impl Subject for Files {
    fn store(&self) -> &dyn BlobStore {
        &self.store
    }

    fn damage(&self, name: &BlobName) {
        let mut bytes = fs::read(self.path(name)).unwrap();
        bytes[0] ^= 1;
        fs::write(self.path(name), bytes).unwrap();
    }

    async fn restart(self) -> Self {
        let Self { dir, store } = self;
        drop(store);
        let store = FileBlobs::open(&dir.path().join("task")).await.unwrap();
        Self { dir, store }
    }
}

contract_tests!(blob, memory, MemoryBlobs::new());
contract_tests!(blob, files, Files::new().await);

/// Names are made of checked parts; the parts cannot climb out of the folder.
#[test]
fn no_part_of_a_name_can_climb() {
    for bad in [
        "..",
        "../x",
        "a/../b",
        "a..b",
        "/etc/passwd",
        ".hidden",
        "a/b",
        "a\\b",
        "",
    ] {
        assert!(bad.parse::<Name>().is_err(), "{bad}");
        assert!(bad.parse::<TaskId>().is_err(), "{bad}");
        assert!(bad.parse::<Address>().is_err(), "{bad}");
    }
    let name: Name = "w.0-a_b".parse().unwrap();
    let names = [
        BlobName::submitted(i64::MIN),
        BlobName::server_variable(&task(1), u32::MAX, &name),
        BlobName::masked_result(&task(1), RoundNumber(u32::MAX), &member(1)),
        BlobName::client_state(&task(1), 0),
    ];
    for name in names {
        assert!(
            name.as_str()
                .split('/')
                .all(|part| !part.is_empty() && !part.starts_with('.')),
            "{name}"
        );
    }
}

#[tokio::test]
async fn planned_failures_strike_once_before_or_after_the_effect() {
    let s = MemoryBlobs::new();
    let name = BlobName::submitted(1);
    s.fail_next("blob.put", When::Before, PortErrorKind::Exhausted);
    s.fail_next("blob.put", When::After, PortErrorKind::Timeout);
    assert_eq!(
        s.put(&name, content(b"a"), 9).await.unwrap_err().kind(),
        PortErrorKind::Exhausted
    );
    assert!(!s.exists(&name).await.unwrap());
    assert_eq!(
        s.put(&name, content(b"a"), 9).await.unwrap_err().kind(),
        PortErrorKind::Timeout
    );
    assert_eq!(read(&s, &name).await.unwrap(), b"a");
    assert_eq!(s.faults().pending(), 0);
}

/// What only files can do wrong.
mod on_disk {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;

    fn walk(folder: &Path, visit: &mut impl FnMut(&fs::DirEntry)) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            visit(&entry);
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), visit);
            }
        }
    }

    fn leftovers(root: &Path) -> usize {
        let mut count = 0;
        walk(root, &mut |e| {
            count += usize::from(e.file_name().to_str().unwrap().starts_with(".tmp-"))
        });
        count
    }

    #[tokio::test]
    async fn files_and_folders_are_private() {
        let files = Files::new().await;
        put(
            &files.store,
            &BlobName::masked_result(&task(1), RoundNumber(1), &member(1)),
            b"x",
        )
        .await;
        let mut seen = 0;
        walk(files.dir.path(), &mut |e| {
            let meta = e.metadata().unwrap();
            let expected = if meta.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(
                meta.permissions().mode() & 0o777,
                expected,
                "{:?}",
                e.path()
            );
            seen += 1;
        });
        assert!(seen >= 6);
    }

    #[tokio::test]
    async fn failed_writes_leave_no_file_behind() {
        let files = Files::new().await;
        let name = BlobName::submitted(1);
        let failing = pieces(vec![
            Ok(Bytes::from(vec![1; 2_000_000])),
            Err(PortError::new(PortErrorKind::Timeout, "test", "gone")),
        ]);
        files.store.put(&name, failing, u64::MAX).await.unwrap_err();
        files
            .store
            .put(&name, content(&pattern(3_000_000)), 2_000_000)
            .await
            .unwrap_err();
        assert_eq!(leftovers(&files.root()), 0);
    }

    #[tokio::test]
    async fn leftovers_of_a_crash_go_unless_somebody_else_is_at_work() {
        let files = Files::new().await;
        let name = BlobName::submitted(1);
        put(&files.store, &name, b"kept").await;
        fs::write(files.root().join("submitted/.tmp-1-1"), b"half").unwrap();
        fs::write(files.root().join(".tmp-1-2"), b"half").unwrap();
        let second = FileBlobs::open(&files.root()).await.unwrap();
        assert_eq!(
            leftovers(&files.root()),
            2,
            "the first store may be writing them"
        );
        drop(second);
        let files = files.restart().await;
        assert_eq!(leftovers(&files.root()), 0);
        assert_eq!(read(&files.store, &name).await.unwrap(), b"kept");
    }

    #[tokio::test]
    async fn every_changed_byte_and_every_cut_is_noticed() {
        let files = Files::new().await;
        let name = BlobName::submitted(1);
        put(&files.store, &name, b"twelve bytes").await;
        let good = fs::read(files.path(&name)).unwrap();
        for i in 0..good.len() {
            let mut bad = good.clone();
            bad[i] ^= 0x80;
            fs::write(files.path(&name), &bad).unwrap();
            assert_eq!(
                read(&files.store, &name).await,
                Err(PortErrorKind::Corrupt),
                "byte {i}"
            );
            fs::write(files.path(&name), &good[..i]).unwrap();
            assert_eq!(
                stream_of(&files.store, &name).await.1,
                Err(PortErrorKind::Corrupt),
                "{i} bytes"
            );
        }
        fs::write(files.path(&name), [good.as_slice(), b"more"].concat()).unwrap();
        assert_eq!(read(&files.store, &name).await, Err(PortErrorKind::Corrupt));
        fs::write(files.path(&name), &good).unwrap();
        assert_eq!(read(&files.store, &name).await.unwrap(), b"twelve bytes");
    }

    #[tokio::test]
    async fn other_tools_read_the_content_from_its_beginning() {
        let files = Files::new().await;
        let name = BlobName::task_result(&task(1));
        put(&files.store, &name, b"content").await;
        assert!(fs::read(files.path(&name)).unwrap().starts_with(b"content"));
    }

    #[tokio::test]
    async fn removing_follows_no_link() {
        let files = Files::new().await;
        let outside = files.dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("precious"), b"x").unwrap();
        put(
            &files.store,
            &BlobName::own_masked_result(&task(1), RoundNumber(1)),
            b"x",
        )
        .await;
        let link = files.path(&BlobName::runner_task(&task(1))).join("link");
        std::os::unix::fs::symlink(&outside, &link).unwrap();
        files
            .store
            .remove(&BlobName::runner_task(&task(1)))
            .await
            .unwrap();
        assert!(!link.exists());
        assert!(outside.join("precious").exists());
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_made_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), b"x").unwrap();
        assert!(
            FileBlobs::open(&dir.path().join("file/below"))
                .await
                .is_err()
        );
    }
}
