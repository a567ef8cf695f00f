//! Clauses about what is in a blob: limits, streams that fail, readers, damage.

use bytes::Bytes;
use delta_domain::ids::RoundNumber;
use delta_ports::blob::{BlobName, ByteStream};
use delta_ports::{PortError, PortErrorKind};
use futures_util::{StreamExt as _, stream};

use super::Subject;
use super::moves::{content, member, pattern, pieces, put, read, stream_of, task};

/// Content of any length, whole and in pieces, with its length and digest.
pub async fn what_is_put_comes_back(subject: impl Subject) {
    let s = subject.store();
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

/// A limit is inclusive, is kept while reading and writing, and stops endless streams.
pub async fn more_than_the_limit_is_refused_and_the_old_content_stays(subject: impl Subject) {
    let s = subject.store();
    let name = BlobName::task_result(&task(1));
    let fresh = s
        .put(&name, content(&pattern(2001)), 2000)
        .await
        .unwrap_err();
    assert_eq!(fresh.kind(), PortErrorKind::Rejected);
    assert!(!s.exists(&name).await.unwrap());
    put(s, &name, b"old").await;
    // An endless stream: it must stop at the limit, not at the end.
    let endless: ByteStream = Box::pin(stream::repeat_with(|| Ok(Bytes::from(vec![7; 100_000]))));
    assert_eq!(
        s.put(&name, endless, 3_000_000).await.unwrap_err().kind(),
        PortErrorKind::Rejected
    );
    assert_eq!(read(s, &name).await.unwrap(), b"old");
    s.put(&name, content(&pattern(2000)), 2000)
        .await
        .expect("exactly the limit");
    assert_eq!(
        s.read(&name, 1999).await.unwrap_err().kind(),
        PortErrorKind::Rejected
    );
    assert_eq!(s.read(&name, 2000).await.unwrap().len(), 2000);
}

/// A failing stream's error is the answer, and nothing has happened.
pub async fn a_stream_that_fails_leaves_the_old_content(subject: impl Subject) {
    let s = subject.store();
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

/// A put whose future is dropped has not happened.
pub async fn a_put_that_is_dropped_leaves_the_old_content(subject: impl Subject) {
    let s = subject.store();
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

/// A replacement is for those who open later.
pub async fn a_reader_keeps_what_it_opened(subject: impl Subject) {
    let s = subject.store();
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

/// Nobody gets the whole of a blob whose bytes have changed: `Corrupt` comes first.
pub async fn damage_is_noticed_before_the_end(subject: impl Subject) {
    let name = BlobName::client_state(&task(1), 4);
    for len in [1, 100, 2_500_000] {
        put(subject.store(), &name, &pattern(len)).await;
        subject.damage(&name);
        assert_eq!(
            read(subject.store(), &name).await,
            Err(PortErrorKind::Corrupt),
            "{len} bytes"
        );
        let (bytes, end) = stream_of(subject.store(), &name).await;
        assert_eq!(end, Err(PortErrorKind::Corrupt), "{len} bytes");
        assert!(bytes.len() < len, "nobody gets the whole of a damaged blob");
    }
    put(subject.store(), &name, b"mended").await;
    assert_eq!(read(subject.store(), &name).await.unwrap(), b"mended");
}
