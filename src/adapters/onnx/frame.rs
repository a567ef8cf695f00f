//! What crosses the pipes between the node and its worker: a JSON header and binary blobs, all lengths first and bounded.
//!
//! Layout: `DLT1`, header length (u32), number of blobs (u32), length of each blob (u64), header, blobs; integers little-endian.
//! A tensor blob is its type (u8), rank (u8), dimensions (u64 each) and elements, little-endian, row-major.
//! Both sides are this program, so the form may change at any time; `npy` is the form for files.
//!
//! Tensors are written from where they lie and read into where they will: neither side holds their bytes beside them.

use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::ops::Range;

use super::failure::Failure;
use delta_domain::tensor::{DType, Filling, Tensor};

const MAGIC: &[u8; 4] = b"DLT1";
const HEADER_MAX: usize = 64 << 20;
const BLOBS_MAX: usize = 1 << 16;
/// Dimensions of a tensor here, at most; manifest and guard allow fewer.
const RANK_MAX: usize = 255;
/// Bytes that are read in one go.
const PIECE: usize = 256 << 10;

/// The binary parts of a message that was read.
pub(crate) type Blobs = Vec<Blob<'static>>;

/// One of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Blob<'a> {
    Bytes(Cow<'a, [u8]>),
    Tensor(Cow<'a, Tensor>),
}

impl Blob<'_> {
    /// Its length on the pipe.
    fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Tensor(tensor) => tensor.byte_len() + 2 + 8 * tensor.shape().len(),
        }
    }

    /// Shows `visit` its bytes, part by part.
    fn for_parts(&self, mut visit: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        match self {
            Self::Bytes(bytes) => visit(bytes),
            Self::Tensor(tensor) => {
                visit(&head(tensor))?;
                tensor.for_le_parts(visit)
            }
        }
    }

    /// The bytes, of a blob that is no tensor.
    pub(crate) fn bytes(self) -> Option<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Some(bytes.into_owned()),
            Self::Tensor(_) => None,
        }
    }

    /// The tensor, of a blob that is one.
    pub(crate) fn tensor(self) -> Option<Tensor> {
        match self {
            Self::Tensor(tensor) => Some(tensor.into_owned()),
            Self::Bytes(_) => None,
        }
    }
}

/// What stands first in a message, and says which of its blobs are tensors.
pub(crate) trait Header: serde::de::DeserializeOwned {
    /// The places of the tensors among the blobs.
    fn tensors(&self) -> Range<usize>;
}

/// A message to be written: a JSON text and blobs.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    header: Vec<u8>,
    pub(crate) blobs: Vec<Blob<'a>>,
}

impl<'a> Message<'a> {
    /// A message around a header that serialises.
    pub(crate) fn new(
        header: &impl serde::Serialize,
        blobs: Vec<Blob<'a>>,
    ) -> Result<Self, Failure> {
        let header = serde_json::to_vec(header)
            .map_err(|e| Failure::internal(format!("a message cannot be written: {e}")))?;
        Ok(Self { header, blobs })
    }

    /// Everything that stands before the blobs.
    pub(crate) fn start(&self) -> io::Result<Vec<u8>> {
        let length = |n: usize| u32::try_from(n).map_err(io::Error::other);
        let mut out = MAGIC.to_vec();
        out.extend(length(self.header.len())?.to_le_bytes());
        out.extend(length(self.blobs.len())?.to_le_bytes());
        for blob in &self.blobs {
            let length = u64::try_from(blob.len()).map_err(io::Error::other)?;
            out.extend(length.to_le_bytes());
        }
        out.extend_from_slice(&self.header);
        Ok(out)
    }

    /// Writes the whole message, and flushes it. Each blob is let go once it is written.
    pub(crate) fn write(self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(&self.start()?)?;
        for blob in self.blobs {
            blob.for_parts(|part| to.write_all(part))?;
        }
        to.flush()
    }
}

/// Reads one message whose header and blobs have at most `max_bytes` in all.
pub(crate) fn read<H: Header>(from: &mut impl Read, max_bytes: u64) -> io::Result<(H, Blobs)> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut head = [0u8; 12];
    from.read_exact(&mut head)?;
    let [m0, m1, m2, m3, h0, h1, h2, h3, b0, b1, b2, b3] = head;
    if [m0, m1, m2, m3] != *MAGIC {
        return Err(bad("not a message of this program"));
    }
    let header_len =
        usize::try_from(u32::from_le_bytes([h0, h1, h2, h3])).map_err(io::Error::other)?;
    let count = usize::try_from(u32::from_le_bytes([b0, b1, b2, b3])).map_err(io::Error::other)?;
    if header_len > HEADER_MAX || count > BLOBS_MAX {
        return Err(bad("header or number of blobs beyond the bound"));
    }
    let header_len = u64::try_from(header_len).map_err(io::Error::other)?;
    let mut lengths = Vec::with_capacity(count);
    let mut total = header_len;
    for _ in 0..count {
        let mut length = [0u8; 8];
        from.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        total = total
            .checked_add(length)
            .filter(|t| *t <= max_bytes)
            .ok_or_else(|| bad("blobs beyond the bound"))?;
        lengths.push(length);
    }
    let header: H = serde_json::from_slice(&read_vec(from, total.min(header_len))?)
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    let tensors = header.tensors();
    let mut blobs = Vec::with_capacity(count);
    for (i, length) in lengths.into_iter().enumerate() {
        blobs.push(if tensors.contains(&i) {
            Blob::Tensor(Cow::Owned(read_tensor(from, length)?))
        } else {
            Blob::Bytes(Cow::Owned(read_vec(from, length)?))
        });
    }
    Ok((header, blobs))
}

/// Reads exactly `length` bytes, allocating as they arrive: an announced length costs nothing.
fn read_vec(from: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let got = from.take(length).read_to_end(&mut out)?;
    if u64::try_from(got).map_err(io::Error::other)? == length {
        Ok(out)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// Reads the tensor in a blob of `length` bytes.
fn read_tensor(from: &mut impl Read, length: u64) -> io::Result<Tensor> {
    let bad = || {
        let text = "a value on the worker's pipe is malformed";
        io::Error::new(io::ErrorKind::InvalidData, text)
    };
    let mut left = length;
    let mut spend = |bytes: usize| -> io::Result<()> {
        let bytes = u64::try_from(bytes).map_err(io::Error::other)?;
        left = left.checked_sub(bytes).ok_or_else(bad)?;
        Ok(())
    };
    spend(2)?;
    let mut form = [0u8; 2];
    from.read_exact(&mut form)?;
    let [dtype, rank] = form;
    spend(8 * usize::from(rank))?;
    let mut shape = Vec::with_capacity(usize::from(rank).min(RANK_MAX));
    for _ in 0..rank {
        let mut dim = [0u8; 8];
        from.read_exact(&mut dim)?;
        shape.push(usize::try_from(u64::from_le_bytes(dim)).map_err(|_| bad())?);
    }
    let dtype = dtype_of(dtype).ok_or_else(bad)?;
    let mut filling = Filling::new(dtype, shape).ok_or_else(bad)?;
    if u64::try_from(filling.missing()).ok() != Some(left) {
        return Err(bad());
    }
    let mut piece = vec![0; filling.missing().min(PIECE)];
    while filling.missing() > 0 {
        let part = piece.len().min(filling.missing());
        let part = piece.get_mut(..part).ok_or_else(bad)?;
        from.read_exact(part)?;
        filling.push(part).map_err(|_| bad())?;
    }
    filling.finish().map_err(|_| bad())
}

/// What stands before the elements of a tensor.
pub(crate) fn head(tensor: &Tensor) -> Vec<u8> {
    // Invariant: every tensor here has at most 32 dimensions (manifest and guard bound them).
    let rank = u8::try_from(tensor.shape().len()).unwrap_or(u8::MAX);
    let mut out = vec![code(tensor.dtype()), rank];
    for &d in tensor.shape() {
        out.extend(u64::try_from(d).unwrap_or(u64::MAX).to_le_bytes());
    }
    out
}

/// The number of a type in a blob.
fn code(dtype: DType) -> u8 {
    match dtype {
        DType::F32 => 1,
        DType::F64 => 2,
        DType::I32 => 3,
        DType::I64 => 4,
        DType::U8 => 5,
        DType::Bool => 6,
    }
}

/// The type of a number in a blob.
fn dtype_of(number: u8) -> Option<DType> {
    let all = [
        DType::F32,
        DType::F64,
        DType::I32,
        DType::I64,
        DType::U8,
        DType::Bool,
    ];
    all.into_iter().find(|d| code(*d) == number)
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use delta_domain::tensor::TensorData;

    /// A header of a message of which some blobs are tensors.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Places(usize, usize);

    impl Header for Places {
        fn tensors(&self) -> Range<usize> {
            self.0..self.1
        }
    }

    fn written(header: &Places, blobs: Vec<Blob<'_>>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let message = Message::new(header, blobs).unwrap();
        message.write(&mut bytes).unwrap();
        bytes
    }

    fn tensor(tensor: Tensor) -> Blob<'static> {
        Blob::Tensor(Cow::Owned(tensor))
    }

    #[test]
    fn tensors_come_back_with_type_shape_and_bits() {
        let cases = [
            Tensor::new(
                vec![2, 2],
                TensorData::F32(vec![1.5, f32::NAN, -0.0, f32::INFINITY]),
            )
            .unwrap(),
            Tensor::scalar(-2.25),
            Tensor::new(vec![0, 3], TensorData::I64(vec![])).unwrap(),
            Tensor::new(vec![3], TensorData::I32(vec![i32::MIN, 0, 7])).unwrap(),
            Tensor::new(vec![1, 2], TensorData::Bool(vec![true, false])).unwrap(),
            Tensor::new(vec![2], TensorData::U8(vec![0, 255])).unwrap(),
            Tensor::new(
                vec![100_000],
                TensorData::F32((0..100_000).map(|i| i as f32).collect()),
            )
            .unwrap(),
        ];
        for case in cases {
            let bytes = written(&Places(0, 1), vec![tensor(case.clone())]);
            let (header, blobs) = read::<Places>(&mut &bytes[..], u64::MAX).unwrap();
            let back = blobs.into_iter().next().unwrap().tensor().unwrap();
            assert_eq!((back.dtype(), back.shape()), (case.dtype(), case.shape()));
            assert_eq!(written(&header, vec![tensor(back)]), bytes);
        }
    }

    #[test]
    fn every_truncation_and_another_length_are_errors() {
        let bytes = written(&Places(0, 1), vec![tensor(Tensor::scalar(1.0))]);
        for n in 0..bytes.len() {
            assert!(read::<Places>(&mut &bytes[..n], 1000).is_err(), "{n}");
        }
        // The blob's length stands behind magic and two numbers; what it says must be what the shape says.
        for wrong in [0, 1, 2, 9, 11] {
            let mut bytes = bytes.clone();
            bytes[12] = wrong;
            bytes.resize(2000, 0);
            assert!(read::<Places>(&mut &bytes[..], 10_000).is_err(), "{wrong}");
        }
    }

    #[test]
    fn messages_round_trip_and_hostile_lengths_cost_nothing() {
        let blobs = vec![
            Blob::Bytes(Cow::Borrowed(&b"one"[..])),
            tensor(Tensor::scalar(2.0)),
            Blob::Bytes(Cow::Borrowed(b"")),
        ];
        let bytes = written(&Places(1, 2), blobs.clone());
        let back = read(&mut &bytes[..], 100).unwrap();
        assert_eq!(back, (Places(1, 2), blobs));
        assert!(read::<Places>(&mut &bytes[..], 5).is_err(), "bound");
        for n in 0..bytes.len() {
            assert!(read::<Places>(&mut &bytes[..n], 100).is_err(), "{n}");
        }
        // A blob of 2^63 bytes is announced: it is an error by the bound, or at the end of the input, never allocated.
        for places in ["[0,0]", "[0,1]"] {
            let mut huge = b"DLT1\x05\0\0\0\x01\0\0\0".to_vec();
            huge.extend((1u64 << 63).to_le_bytes());
            huge.extend(places.as_bytes());
            // A tensor of 2^60 numbers.
            huge.extend([2, 1]);
            huge.extend((1u64 << 60).to_le_bytes());
            assert!(read::<Places>(&mut &huge[..], u64::MAX).is_err());
        }
        let garbage = b"GET / HTTP/1.1\r\n\r\n";
        assert!(read::<Places>(&mut &garbage[..], u64::MAX).is_err());
    }
}
