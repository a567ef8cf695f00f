//! What crosses the pipes between the node and its worker: a JSON header and binary blobs, all lengths first and bounded.
//!
//! Layout: `DLT1`, header length (u32), number of blobs (u32), length of each blob (u64), header, blobs; integers little-endian.
//! A tensor blob is its type (u8), rank (u8), dimensions (u64 each) and elements, little-endian, row-major.
//! Both sides are this program, so the form may change at any time; `npy` is the form for files.

use std::borrow::Cow;
use std::io::{self, Read, Write};

use super::failure::Failure;
use delta_domain::tensor::{DType, Tensor, TensorData, element_count};

const MAGIC: &[u8; 4] = b"DLT1";
const HEADER_MAX: usize = 64 << 20;
const BLOBS_MAX: usize = 1 << 16;

/// The binary parts of a message that was read.
pub(crate) type Blobs = Vec<Blob>;

/// One of them.
pub(crate) type Blob = Cow<'static, [u8]>;

/// A message: a JSON text and blobs.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Message<'a> {
    pub(crate) header: Vec<u8>,
    pub(crate) blobs: Vec<Cow<'a, [u8]>>,
}

impl<'a> Message<'a> {
    /// A message around a header that serialises.
    pub(crate) fn new(
        header: &impl serde::Serialize,
        blobs: Vec<Cow<'a, [u8]>>,
    ) -> Result<Self, Failure> {
        let header = serde_json::to_vec(header)
            .map_err(|e| Failure::internal(format!("a message cannot be written: {e}")))?;
        Ok(Self { header, blobs })
    }

    /// Everything that stands before the header.
    pub(crate) fn prefix(&self) -> io::Result<Vec<u8>> {
        let length = |n: usize| u32::try_from(n).map_err(io::Error::other);
        let mut out = MAGIC.to_vec();
        out.extend(length(self.header.len())?.to_le_bytes());
        out.extend(length(self.blobs.len())?.to_le_bytes());
        for blob in &self.blobs {
            out.extend(
                u64::try_from(blob.len())
                    .map_err(io::Error::other)?
                    .to_le_bytes(),
            );
        }
        Ok(out)
    }

    /// Writes the whole message, and flushes it.
    pub(crate) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(&self.prefix()?)?;
        to.write_all(&self.header)?;
        self.blobs.iter().try_for_each(|b| to.write_all(b))?;
        to.flush()
    }
}

impl Message<'static> {
    /// Reads one message whose header and blobs have at most `max_bytes` in all.
    pub(crate) fn read(from: &mut impl Read, max_bytes: u64) -> io::Result<Self> {
        let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
        let mut head = [0u8; 12];
        from.read_exact(&mut head)?;
        let [m0, m1, m2, m3, h0, h1, h2, h3, b0, b1, b2, b3] = head;
        if [m0, m1, m2, m3] != *MAGIC {
            return Err(bad("not a message of this program"));
        }
        let header_len =
            usize::try_from(u32::from_le_bytes([h0, h1, h2, h3])).map_err(io::Error::other)?;
        let count =
            usize::try_from(u32::from_le_bytes([b0, b1, b2, b3])).map_err(io::Error::other)?;
        if header_len > HEADER_MAX || count > BLOBS_MAX {
            return Err(bad("header or number of blobs beyond the bound"));
        }
        let mut lengths = Vec::with_capacity(count);
        let mut total = u64::try_from(header_len).map_err(io::Error::other)?;
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
        let header = read_vec(
            from,
            total.min(u64::try_from(header_len).map_err(io::Error::other)?),
        )?;
        let blobs = lengths
            .into_iter()
            .map(|n| read_vec(from, n).map(Cow::Owned))
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Self { header, blobs })
    }

    /// The header as a value.
    pub(crate) fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.header)
            .map_err(|e| Failure::internal(format!("a message cannot be read: {e}")))
    }
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

/// A tensor as a blob.
pub(crate) fn encode(tensor: &Tensor) -> Vec<u8> {
    let size = tensor.len().saturating_mul(tensor.dtype().size());
    let mut out = Vec::with_capacity(size.saturating_add(2 + 8 * tensor.shape().len()));
    out.push(code(tensor.dtype()));
    // Invariant: every tensor here has at most 32 dimensions (manifest and guard bound them).
    out.push(u8::try_from(tensor.shape().len()).unwrap_or(u8::MAX));
    for &d in tensor.shape() {
        out.extend(u64::try_from(d).unwrap_or(u64::MAX).to_le_bytes());
    }
    match tensor.data() {
        TensorData::F32(v) => v
            .iter()
            .for_each(|x| out.extend_from_slice(&x.to_le_bytes())),
        TensorData::F64(v) => v
            .iter()
            .for_each(|x| out.extend_from_slice(&x.to_le_bytes())),
        TensorData::I32(v) => v
            .iter()
            .for_each(|x| out.extend_from_slice(&x.to_le_bytes())),
        TensorData::I64(v) => v
            .iter()
            .for_each(|x| out.extend_from_slice(&x.to_le_bytes())),
        TensorData::U8(v) => out.extend_from_slice(v),
        TensorData::Bool(v) => out.extend(v.iter().map(|&b| u8::from(b))),
    }
    out
}

/// The tensor in a blob.
pub(crate) fn decode(blob: &[u8]) -> Result<Tensor, Failure> {
    let bad = || Failure::internal("a value on the worker's pipe is malformed");
    let (&[dtype, rank], mut rest) = blob.split_first_chunk::<2>().ok_or_else(bad)?;
    let mut shape = Vec::new();
    for _ in 0..rank {
        let (length, tail) = rest.split_first_chunk::<8>().ok_or_else(bad)?;
        shape.push(usize::try_from(u64::from_le_bytes(*length)).map_err(|_| bad())?);
        rest = tail;
    }
    let dtype = [
        DType::F32,
        DType::F64,
        DType::I32,
        DType::I64,
        DType::U8,
        DType::Bool,
    ]
    .into_iter()
    .find(|d| code(*d) == dtype)
    .ok_or_else(bad)?;
    let expected = element_count(&shape)
        .and_then(|n| n.checked_mul(dtype.size()))
        .ok_or_else(bad)?;
    if expected != rest.len() {
        return Err(bad());
    }
    Tensor::new(shape, elements(dtype, rest)).map_err(|_| bad())
}

/// As many elements as there are whole ones.
fn elements(dtype: DType, bytes: &[u8]) -> TensorData {
    match dtype {
        DType::F32 => TensorData::F32(
            bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect(),
        ),
        DType::F64 => TensorData::F64(
            bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| f64::from_le_bytes(*b))
                .collect(),
        ),
        DType::I32 => TensorData::I32(
            bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| i32::from_le_bytes(*b))
                .collect(),
        ),
        DType::I64 => TensorData::I64(
            bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| i64::from_le_bytes(*b))
                .collect(),
        ),
        DType::U8 => TensorData::U8(bytes.to_vec()),
        DType::Bool => TensorData::Bool(bytes.iter().map(|&b| b != 0).collect()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

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
        ];
        for tensor in cases {
            let back = decode(&encode(&tensor)).unwrap();
            assert_eq!(encode(&back), encode(&tensor));
            assert_eq!(
                (back.dtype(), back.shape()),
                (tensor.dtype(), tensor.shape())
            );
        }
    }

    #[test]
    fn every_truncation_and_a_longer_blob_are_errors() {
        let blob = encode(&Tensor::scalar(1.0));
        for n in 0..blob.len() {
            assert!(decode(&blob[..n]).is_err(), "{n}");
        }
        let mut longer = blob;
        longer.push(0);
        assert!(decode(&longer).is_err());
    }

    #[test]
    fn messages_round_trip_and_hostile_lengths_cost_nothing() {
        let message = Message::new(
            &"head",
            vec![Cow::Borrowed(&b"one"[..]), Cow::Borrowed(b"")],
        )
        .unwrap();
        let mut bytes = Vec::new();
        message.write(&mut bytes).unwrap();
        assert_eq!(Message::read(&mut &bytes[..], 100).unwrap(), message);
        assert!(Message::read(&mut &bytes[..], 5).is_err(), "bound");
        for n in 0..bytes.len() {
            assert!(Message::read(&mut &bytes[..n], 100).is_err(), "{n}");
        }
        // A blob of 2^63 bytes is announced: it is an error by the bound, or at the end of the input, never allocated.
        let mut huge = b"DLT1\0\0\0\0\x01\0\0\0".to_vec();
        huge.extend((1u64 << 63).to_le_bytes());
        assert!(Message::read(&mut &huge[..], u64::MAX).is_err());
        assert!(
            Message::read(&mut &b"GET / HTTP/1.1\r\n\r\n"[..], u64::MAX).is_err(),
            "garbage"
        );
    }
}
