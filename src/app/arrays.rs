//! Arrays on their way to a disk, and from a disk or a connection into memory: made and read piece by piece, held once.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::sync::oneshot;

use delta_domain::hash::HashFunction;
use delta_domain::ids::Digest;
use delta_domain::npy::{self, NpyError, NpzWriter};
use delta_domain::tensor::half::{Halving, TooLarge};
use delta_domain::tensor::{DType, Tensor, element_count};
use delta_ports::blob::{BlobName, BlobStore, ByteStream};
use delta_ports::{PortError, PortErrorKind};

/// Elements of a piece: a quarter of a megabyte to two.
const PIECE: usize = 256 * 1024;

/// An array as an `.npy` file, and the file's length in bytes.
pub(crate) fn npy_stream(tensor: &Arc<Tensor>) -> (u64, ByteStream) {
    let prefix = npy::prefix(tensor.dtype(), tensor.shape());
    let len = (prefix.len() as u64).saturating_add(tensor.byte_len() as u64);
    let tensor = tensor.clone();
    let elements = stream::iter((0..tensor.len()).step_by(PIECE)).map(move |at| {
        let mut piece = Vec::new();
        tensor.extend_le_bytes(at..at.saturating_add(PIECE), &mut piece);
        Ok(Bytes::from(piece))
    });
    let head = stream::once(std::future::ready(Ok(Bytes::from(prefix))));
    (len, Box::pin(head.chain(elements)))
}

/// A stream, and the SHA-256 of what has passed once it is at its end.
pub(crate) fn hashed(content: ByteStream) -> (ByteStream, oneshot::Receiver<Digest>) {
    let (tell, told) = oneshot::channel();
    let start = (content, HashFunction::Sha256.start(), tell);
    let pieces = stream::unfold(start, |(mut content, mut digest, tell)| async move {
        match content.next().await {
            Some(Ok(piece)) => {
                digest.update(&piece);
                Some((Ok(piece), (content, digest, tell)))
            }
            Some(Err(e)) => Some((Err(e), (content, digest, tell))),
            None => {
                // Nobody may want to know.
                let _nobody = tell.send(digest.finish());
                None
            }
        }
    });
    (Box::pin(pieces), told)
}

/// The file that [`npy_stream`] makes of an array of single precision, as one of half precision, and that file's length.
pub(crate) fn halved(
    shape: &[usize],
    digest: &Digest,
    content: ByteStream,
) -> Result<(u64, ByteStream), PortError> {
    let beyond = || PortError::new(PortErrorKind::Internal, "arrays.half", "it is too large");
    let elements = element_count(shape).ok_or_else(beyond)?;
    let prefix = npy::half_prefix(shape);
    let len = (elements as u64).saturating_mul(2);
    let len = len.saturating_add(prefix.len() as u64);
    let state = Halved {
        content,
        skip: npy::prefix(DType::F32, shape).len(),
        halving: Halving::of(digest),
        partial: Vec::new(),
    };
    let pieces = stream::try_unfold(state, |mut state| async move {
        let Some(piece) = state.content.next().await.transpose()? else {
            return Ok(None);
        };
        let piece = state.narrow(&piece).map_err(too_large)?;
        Ok(Some((Bytes::from(piece), state)))
    });
    let head = stream::once(std::future::ready(Ok(Bytes::from(prefix))));
    Ok((len, Box::pin(head.chain(pieces))))
}

/// A file of single precision on its way to half of it.
struct Halved {
    content: ByteStream,
    /// Bytes of its header that have not passed.
    skip: usize,
    halving: Halving,
    /// The bytes of an element that has not come whole.
    partial: Vec<u8>,
}

impl Halved {
    fn narrow(&mut self, piece: &[u8]) -> Result<Vec<u8>, TooLarge> {
        let skipped = self.skip.min(piece.len());
        self.skip -= skipped;
        let mut out = Vec::new();
        let rest = &piece[skipped..];
        // Pieces are rarely cut within an element.
        let rest = if self.partial.is_empty() {
            rest
        } else {
            let missing = (4 - self.partial.len()).min(rest.len());
            let (head, rest) = rest.split_at(missing);
            self.partial.extend_from_slice(head);
            if let Some(element) = self.partial.first_chunk() {
                self.halving.narrow(&[*element], &mut out)?;
                self.partial.clear();
            }
            rest
        };
        let (elements, partial) = rest.as_chunks();
        self.halving.narrow(elements, &mut out)?;
        self.partial.extend_from_slice(partial);
        Ok(out)
    }
}

/// The SHA-256 of the file that [`halved`] makes of an array of single precision whose own file has this digest.
///
/// # Errors
/// `Rejected` when a number is too large.
pub(crate) fn halved_digest(tensor: &Tensor, digest: &Digest) -> Result<Digest, PortError> {
    npy::half_digest(tensor, digest).map_err(too_large)
}

fn too_large(error: TooLarge) -> PortError {
    PortError::new(PortErrorKind::Rejected, "arrays.half", error.to_string())
}

/// Bytes that an array in an `.npz` file may take beside its own `.npy` file.
const AROUND_ARRAY: u64 = 4096;

/// An array as it goes into an `.npz` file.
pub(crate) enum Packed {
    Held(Arc<Tensor>),
    /// An `.npy` file of at most so many bytes; opened when it is its turn.
    Kept(BlobName, u64),
    /// An `.npy` file of so many bytes, which is open.
    Open(u64, ByteStream),
}

impl Packed {
    fn limit(&self) -> u64 {
        match self {
            Self::Held(tensor) => tensor.byte_len() as u64,
            Self::Kept(_, limit) | Self::Open(limit, _) => *limit,
        }
    }

    async fn open(self, blobs: &dyn BlobStore) -> Result<(u64, ByteStream), PortError> {
        match self {
            Self::Held(tensor) => Ok(npy_stream(&tensor)),
            Self::Kept(name, _) => blobs.open(&name).await,
            Self::Open(len, file) => Ok((len, file)),
        }
    }
}

/// An `.npz` file of these arrays, and a bound of its length in bytes.
pub(crate) fn npz_stream(
    blobs: Arc<dyn BlobStore>,
    arrays: Vec<(String, Packed)>,
) -> (u64, ByteStream) {
    let limit = arrays.iter().fold(AROUND_ARRAY, |sum, (_, array)| {
        sum.saturating_add(array.limit())
            .saturating_add(AROUND_ARRAY)
    });
    let start = Some((NpzWriter::default(), VecDeque::from(arrays), None));
    let pieces = stream::try_unfold((start, blobs), |(state, blobs)| async move {
        let state: Option<Packing> = state;
        let Some((mut writer, mut left, mut open)) = state else {
            return Ok(None);
        };
        loop {
            let piece = match &mut open {
                Some(file) => file.next().await.transpose()?,
                None => None,
            };
            if let Some(piece) = piece {
                writer.write(&piece).map_err(unwritten)?;
            } else if let Some((name, array)) = left.pop_front() {
                let (len, file) = array.open(&*blobs).await?;
                writer.begin(&name, len).map_err(unwritten)?;
                open = Some(file);
            } else {
                let last = writer.finish().map_err(unwritten)?;
                return Ok(Some((Bytes::from(last), (None, blobs))));
            }
            let made = writer.take();
            if !made.is_empty() {
                let state = Some((writer, left, open));
                return Ok(Some((Bytes::from(made), (state, blobs))));
            }
        }
    });
    (limit, Box::pin(pieces))
}

/// The file as far as it is written, the arrays to come, and what is left of the one that is being written.
type Packing = (NpzWriter, VecDeque<(String, Packed)>, Option<ByteStream>);

fn unwritten(error: NpyError) -> PortError {
    PortError::new(PortErrorKind::Internal, "arrays.npz", error.to_string())
}

/// The array in an `.npy` file of at most `limit` bytes of elements, and the file's SHA-256.
///
/// # Errors
/// Whatever the stream fails with, and `Corrupt` when it is no such file.
pub(crate) async fn read_npy(
    mut file: ByteStream,
    limit: usize,
    op: &'static str,
) -> Result<(Tensor, Digest), PortError> {
    let unreadable = |e: npy::NpyError| PortError::new(PortErrorKind::Corrupt, op, e.to_string());
    let mut reader = npy::Reader::new(limit);
    let mut digest = HashFunction::Sha256.start();
    while let Some(piece) = file.next().await {
        let piece = piece?;
        digest.update(&piece);
        reader.push(&piece).map_err(unreadable)?;
    }
    Ok((reader.finish().map_err(unreadable)?, digest.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use delta_domain::tensor::TensorData;
    use delta_ports::blob::{collect, pieces};

    #[tokio::test]
    async fn an_npz_of_streams_is_one() {
        let blobs = Arc::new(delta_memory::MemoryBlobs::default());
        let kept = BlobName::submitted(1);
        let (len, file) = npy_stream(&array(7));
        blobs.put(&kept, file, len).await.unwrap();
        let arrays = vec![
            ("a".to_owned(), Packed::Kept(kept, len)),
            ("b".to_owned(), Packed::Held(array(2 * PIECE))),
        ];
        let (limit, file) = npz_stream(blobs.clone(), arrays);
        let bytes = collect(file, limit, "test").await.unwrap();
        let back = npy::decode_npz(&bytes, &npy::NpzLimits::default()).unwrap();
        assert_eq!(back.len(), 2);
        assert_eq!((&back["a"], &back["b"]), (&*array(7), &*array(2 * PIECE)));
        let (limit, nothing) = npz_stream(blobs, Vec::new());
        let bytes = collect(nothing, limit, "test").await.unwrap();
        let back = npy::decode_npz(&bytes, &npy::NpzLimits::default()).unwrap();
        assert!(back.is_empty());
    }

    #[tokio::test]
    async fn what_travels_in_half_the_bytes_is_what_its_digest_says() {
        let n = 150_001;
        let values = (0..n).map(|i| (i as f32 - 7e4) / 3.0).collect();
        let tensor = Arc::new(Tensor::new(vec![n], TensorData::F32(values)).unwrap());
        let digest = npy::digest(&tensor);
        let whole = npy::encode(&tensor);
        // Cut anywhere, also within the header and within elements.
        let cut: Vec<_> = whole
            .chunks(4099)
            .map(|c| Ok(Bytes::copy_from_slice(c)))
            .collect();
        let cut: ByteStream = Box::pin(stream::iter(cut));
        let (len, file) = halved(tensor.shape(), &digest, cut).unwrap();
        let bytes = collect(file, len, "test").await.unwrap();
        assert_eq!(bytes.len() as u64, len);
        assert!(len * 2 < whole.len() as u64 + 256);
        assert_eq!(Digest::of(&bytes), halved_digest(&tensor, &digest).unwrap());
        let (back, _) = read_npy(pieces(bytes), 4 * n, "test").await.unwrap();
        assert_eq!((back.dtype(), back.shape()), (DType::F32, tensor.shape()));
        let (TensorData::F32(sent), TensorData::F32(came)) = (tensor.data(), back.data()) else {
            panic!("not f32");
        };
        let mut pairs = sent.iter().zip(came);
        assert!(pairs.all(|(a, b)| (a - b).abs() <= a.abs() / 1024.0 + 6e-8));
        let large = Tensor::new(vec![1], TensorData::F32(vec![7e4])).unwrap();
        let error = halved_digest(&large, &npy::digest(&large)).unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Rejected);
        assert!(error.message().contains("65504"), "{error}");
    }

    fn array(n: usize) -> Arc<Tensor> {
        let values = (0..n).map(|i| i as f32 / 3.0).collect();
        Arc::new(Tensor::new(vec![n], TensorData::F32(values)).unwrap())
    }

    #[tokio::test]
    async fn the_file_is_numpys_and_comes_back() {
        for n in [0, 1, PIECE - 1, PIECE, 2 * PIECE + 7] {
            let tensor = array(n);
            let (len, file) = npy_stream(&tensor);
            let bytes = collect(file, len, "test").await.unwrap();
            assert_eq!(bytes, npy::encode(&tensor));
            let read = read_npy(pieces(bytes.clone()), 4 * n, "test").await;
            assert_eq!(read.unwrap(), ((*tensor).clone(), Digest::of(&bytes)));
            let wide = npy_stream(&tensor).1;
            let refused = read_npy(wide, (4 * n).saturating_sub(1), "test").await;
            assert_eq!(refused.is_err(), n > 0);
        }
    }
}
