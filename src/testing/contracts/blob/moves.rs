//! What the clauses begin with; also for the tests that are one store's own.

use bytes::Bytes;
use delta_domain::ids::{Address, TaskId};
use delta_ports::blob::{BlobName, BlobStore, ByteStream};
use delta_ports::{PortError, PortErrorKind};
use futures_util::{StreamExt as _, stream};

/// A task by number.
pub fn task(n: u8) -> TaskId {
    format!("0x{}", format!("{n:02x}").repeat(32))
        .parse()
        .unwrap()
}

/// A member by number.
pub fn member(n: u8) -> Address {
    format!("0x{}", format!("{n:02x}").repeat(20))
        .parse()
        .unwrap()
}

/// A stream of these pieces.
pub fn pieces(pieces: Vec<Result<Bytes, PortError>>) -> ByteStream {
    Box::pin(stream::iter(pieces))
}

/// In pieces of 1000 bytes, with an empty one in front.
pub fn content(bytes: &[u8]) -> ByteStream {
    let chunks = bytes.chunks(1000).map(|c| Ok(Bytes::copy_from_slice(c)));
    pieces(std::iter::once(Ok(Bytes::new())).chain(chunks).collect())
}

/// `len` bytes that are easy to tell from others.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + i / 251) as u8).collect()
}

/// Puts `bytes` with their length as the limit; the answer must be their length and digest.
pub async fn put(s: &dyn BlobStore, name: &BlobName, bytes: &[u8]) {
    let info = s
        .put(name, content(bytes), bytes.len() as u64)
        .await
        .unwrap();
    assert_eq!(
        (info.len, info.digest),
        (bytes.len() as u64, name.hash_function().of(bytes))
    );
}

/// Everything in a blob, or the kind of failure.
pub async fn read(s: &dyn BlobStore, name: &BlobName) -> Result<Vec<u8>, PortErrorKind> {
    s.read(name, u64::MAX).await.map_err(|e| e.kind())
}

/// What a reader gets before the stream ends, and how it ends.
pub async fn stream_of(s: &dyn BlobStore, name: &BlobName) -> (Vec<u8>, Result<(), PortErrorKind>) {
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
