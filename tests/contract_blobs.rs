//! What `ports::blob::BlobStore` promises, checked on the store in memory and on files alike.
//!
//! One function an obligation; the macro near the end runs each on both. What only files can do wrong is at the very end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation
)]

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use delta_node::adapters::memory::{MemoryBlobs, When};
use delta_node::adapters::system::FileBlobs;
use delta_node::domain::ids::{Address, Digest, Name, RoundNumber, TaskId};
use delta_node::ports::blob::{BlobName, BlobStore, ByteStream};
use delta_node::ports::{PortError, PortErrorKind};
use futures_util::{StreamExt as _, stream};

/// A store with somebody behind its back.
#[async_trait::async_trait]
trait Backend: Send + Sync {
    fn store(&self) -> &dyn BlobStore;
    /// Changes a byte of the content.
    fn damage(&self, name: &BlobName);
    /// The store as the next process sees it.
    async fn restart(self) -> Self;
}

#[async_trait::async_trait]
impl Backend for MemoryBlobs {
    fn store(&self) -> &dyn BlobStore {
        self
    }

    fn damage(&self, name: &BlobName) {
        assert!(MemoryBlobs::damage(self, name));
    }

    async fn restart(self) -> Self {
        MemoryBlobs::restart(&self)
    }
}

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
impl Backend for Files {
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

fn task(n: u8) -> TaskId {
    format!("0x{}", format!("{n:02x}").repeat(32))
        .parse()
        .unwrap()
}

fn member(n: u8) -> Address {
    format!("0x{}", format!("{n:02x}").repeat(20))
        .parse()
        .unwrap()
}

fn pieces(pieces: Vec<Result<Bytes, PortError>>) -> ByteStream {
    Box::pin(stream::iter(pieces))
}

/// In pieces of 1000 bytes, with an empty one in front.
fn content(bytes: &[u8]) -> ByteStream {
    let chunks = bytes.chunks(1000).map(|c| Ok(Bytes::copy_from_slice(c)));
    pieces(std::iter::once(Ok(Bytes::new())).chain(chunks).collect())
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + i / 251) as u8).collect()
}

async fn put(s: &dyn BlobStore, name: &BlobName, bytes: &[u8]) {
    let info = s
        .put(name, content(bytes), bytes.len() as u64)
        .await
        .unwrap();
    assert_eq!(
        (info.len, info.digest),
        (bytes.len() as u64, Digest::of(bytes))
    );
}

async fn read(s: &dyn BlobStore, name: &BlobName) -> Result<Vec<u8>, PortErrorKind> {
    s.read(name, u64::MAX).await.map_err(|e| e.kind())
}

/// What a reader gets before the stream ends, and how it ends.
async fn stream_of(s: &dyn BlobStore, name: &BlobName) -> (Vec<u8>, Result<(), PortErrorKind>) {
    let (len, mut content) = match s.open(name).await {
        Ok(opened) => opened,
        Err(e) => return (vec![], Err(e.kind())),
    };
    let mut bytes = Vec::new();
    while let Some(piece) = content.next().await {
        match piece {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(e) => {
                assert!(content.next().await.is_none(), "an error is the last item");
                return (bytes, Err(e.kind()));
            }
        }
    }
    assert_eq!(len, bytes.len() as u64);
    (bytes, Ok(()))
}

async fn what_is_put_comes_back(backend: impl Backend) {
    let s = backend.store();
    let name = BlobName::submitted(1);
    for len in [0, 1, 47, 48, 49, 999, 4096, 2_500_000] {
        let bytes = pattern(len);
        put(s, &name, &bytes).await;
        assert!(s.exists(&name).await.unwrap());
        assert!(read(s, &name).await.unwrap() == bytes, "{len} bytes");
        let (streamed, end) = stream_of(s, &name).await;
        assert!(streamed == bytes && end == Ok(()), "{len} bytes");
    }
}

async fn what_is_absent_is_not_found(backend: impl Backend) {
    let s = backend.store();
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

async fn more_than_the_limit_is_refused_and_the_old_content_stays(backend: impl Backend) {
    let s = backend.store();
    let name = BlobName::task_result(&task(1));
    let fresh = s
        .put(&name, content(&pattern(2001)), 2000)
        .await
        .unwrap_err();
    assert_eq!(fresh.kind(), PortErrorKind::Refused);
    assert!(!s.exists(&name).await.unwrap());
    put(s, &name, b"old").await;
    // An endless stream: it must stop at the limit, not at the end.
    let endless: ByteStream = Box::pin(stream::repeat_with(|| Ok(Bytes::from(vec![7; 100_000]))));
    assert_eq!(
        s.put(&name, endless, 3_000_000).await.unwrap_err().kind(),
        PortErrorKind::Refused
    );
    assert_eq!(read(s, &name).await.unwrap(), b"old");
    s.put(&name, content(&pattern(2000)), 2000)
        .await
        .expect("exactly the limit");
    assert_eq!(
        s.read(&name, 1999).await.unwrap_err().kind(),
        PortErrorKind::Refused
    );
    assert_eq!(s.read(&name, 2000).await.unwrap().len(), 2000);
}

async fn a_stream_that_fails_leaves_the_old_content(backend: impl Backend) {
    let s = backend.store();
    let name = BlobName::masked_result(&task(1), RoundNumber(3), &member(1));
    let failing = |len| {
        pieces(vec![
            Ok(Bytes::from(vec![1; len])),
            Err(PortError::new(PortErrorKind::Timeout, "test", "gone")),
        ])
    };
    for len in [10, 2_000_000] {
        assert_eq!(
            s.put(&name, failing(len), u64::MAX)
                .await
                .unwrap_err()
                .kind(),
            PortErrorKind::Timeout
        );
        assert!(!s.exists(&name).await.unwrap());
    }
    put(s, &name, b"old").await;
    for len in [10, 2_000_000] {
        assert_eq!(
            s.put(&name, failing(len), u64::MAX)
                .await
                .unwrap_err()
                .kind(),
            PortErrorKind::Timeout
        );
        assert_eq!(read(s, &name).await.unwrap(), b"old");
    }
}

async fn a_put_that_is_dropped_leaves_the_old_content(backend: impl Backend) {
    let s = backend.store();
    let name = BlobName::runner_bundle(&task(1));
    put(s, &name, b"old").await;
    let stuck: ByteStream = Box::pin(
        stream::once(async { Ok(Bytes::from(vec![1; 2_000_000])) }).chain(stream::pending()),
    );
    let mut waiting = Box::pin(s.put(&name, stuck, u64::MAX));
    for _ in 0..10 {
        assert!(futures_util::poll!(&mut waiting).is_pending());
        tokio::task::yield_now().await;
    }
    drop(waiting);
    assert_eq!(read(s, &name).await.unwrap(), b"old");
}

async fn a_reader_keeps_what_it_opened(backend: impl Backend) {
    let s = backend.store();
    let name = BlobName::task_result(&task(1));
    let old = pattern(3_000_000);
    put(s, &name, &old).await;
    let (len, mut content) = s.open(&name).await.unwrap();
    let mut bytes = content.next().await.unwrap().unwrap().to_vec();
    put(s, &name, b"new").await;
    while let Some(piece) = content.next().await {
        bytes.extend_from_slice(&piece.unwrap());
    }
    assert!(len == 3_000_000 && bytes == old);
    assert_eq!(read(s, &name).await.unwrap(), b"new");
}

async fn damage_is_noticed_before_the_end(backend: impl Backend) {
    let name = BlobName::client_state(&task(1), 4);
    for len in [1, 100, 2_500_000] {
        put(backend.store(), &name, &pattern(len)).await;
        backend.damage(&name);
        assert_eq!(
            read(backend.store(), &name).await,
            Err(PortErrorKind::Corrupt),
            "{len} bytes"
        );
        let (bytes, end) = stream_of(backend.store(), &name).await;
        assert_eq!(end, Err(PortErrorKind::Corrupt), "{len} bytes");
        assert!(bytes.len() < len, "nobody gets the whole of a damaged blob");
    }
    put(backend.store(), &name, b"mended").await;
    assert_eq!(read(backend.store(), &name).await.unwrap(), b"mended");
}

async fn a_rename_moves_and_replaces(backend: impl Backend) {
    let s = backend.store();
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

async fn removal_takes_one_blob_or_everything_below(backend: impl Backend) {
    let s = backend.store();
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

async fn a_restart_keeps_everything(backend: impl Backend) {
    let variable: Name = "weights.0".parse().unwrap();
    let name = BlobName::server_variable(&task(1), 2, &variable);
    put(backend.store(), &name, b"kept").await;
    let backend = backend.restart().await;
    assert_eq!(read(backend.store(), &name).await.unwrap(), b"kept");
}

async fn writers_of_one_name_leave_one_whole_content(backend: impl Backend) {
    let s = backend.store();
    let name = BlobName::task_result(&task(1));
    let contents: Vec<Vec<u8>> = (0..8).map(|i| vec![i; 200_000]).collect();
    futures_util::future::join_all(contents.iter().map(|c| put(s, &name, c))).await;
    let found = read(s, &name).await.unwrap();
    assert!(contents.contains(&found));
}

macro_rules! contract {
    ($($case:ident),* $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() {
                super::$case(super::MemoryBlobs::new()).await;
            })*
        }
        mod files {
            $(#[tokio::test]
            async fn $case() {
                super::$case(super::Files::new().await).await;
            })*
        }
    };
}

contract!(
    what_is_put_comes_back,
    what_is_absent_is_not_found,
    more_than_the_limit_is_refused_and_the_old_content_stays,
    a_stream_that_fails_leaves_the_old_content,
    a_put_that_is_dropped_leaves_the_old_content,
    a_reader_keeps_what_it_opened,
    damage_is_noticed_before_the_end,
    a_rename_moves_and_replaces,
    removal_takes_one_blob_or_everything_below,
    a_restart_keeps_everything,
    writers_of_one_name_leave_one_whole_content,
);

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
