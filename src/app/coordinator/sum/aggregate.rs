//! The sum of a round as it lies on disk until the reduce has run.
//!
//! ```text
//! offset  0  magic "DLTA"              4 bytes
//!         4  version, 1                1 byte
//!         5  bytes per word, 4 or 8    1 byte
//!         6  reserved, zero            2 bytes
//!         8  number of words, without the counter of failed members, 8 bytes, little-endian
//!        16  the words, little-endian, and the counter
//! ```
//!
//! Only this node reads it. An earlier release has left an `.npz` in its place; that is read as well.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;

use delta_domain::ids::Name;
use delta_domain::manifest::Contribution;
use delta_domain::npy::{NpzLimits, decode_npz};
use delta_domain::secagg::encoding::Encoding;
use delta_domain::secagg::word::{Ring, Word};
use delta_domain::tensor::{DType, Tensor, TensorData, element_count};
use delta_ports::blob::{ByteStream, collect};
use delta_ports::{PortError, PortErrorKind};

const OP: &str = "coordinator.reduce";
const MAGIC: &[u8; 4] = b"DLTA";
const VERSION: u8 = 1;
const HEAD_BYTES: usize = 16;
/// Name under which an earlier release has put the number of failed members beside the sums.
const FAILED: &str = "0failed";

/// What the members have contributed.
#[derive(Debug, PartialEq)]
pub(in crate::coordinator) struct Summed {
    /// One sum a contribution.
    pub(in crate::coordinator) sums: BTreeMap<Name, Tensor>,
    /// Members among them that could not compute theirs, and have contributed zeros.
    pub(in crate::coordinator) failed: u32,
}

/// What stands before the words.
pub(super) fn head(ring: Ring, numbers: usize) -> Vec<u8> {
    let width: u8 = match ring {
        Ring::Z32 => 4,
        Ring::Z64 => 8,
    };
    let mut out = MAGIC.to_vec();
    out.extend([VERSION, width, 0, 0]);
    out.extend((numbers as u64).to_le_bytes());
    out
}

/// Reads a sum of `contributions`, each turned into numbers of its declared type as it comes.
pub(in crate::coordinator) async fn read(
    len: u64,
    mut file: ByteStream,
    encoding: Encoding,
    contributions: &[Contribution],
) -> Result<Summed, PortError> {
    let mut begun = Vec::with_capacity(HEAD_BYTES);
    let mut rest = bytes::Bytes::new();
    while begun.len() < HEAD_BYTES
        && let Some(piece) = file.next().await
    {
        let mut piece = piece?;
        let taken = piece.split_to((HEAD_BYTES - begun.len()).min(piece.len()));
        begun.extend_from_slice(&taken);
        rest = piece;
    }
    if !begun.starts_with(MAGIC) {
        let mut bytes = begun;
        bytes.extend_from_slice(&rest);
        bytes.extend(collect(file, len, OP).await?);
        return read_npz(&bytes);
    }
    let total = contributions
        .iter()
        .try_fold(0_usize, |sum, c| sum.checked_add(element_count(&c.shape)?));
    let expected = total.map(|total| head(encoding.ring(), total));
    if expected.is_none_or(|expected| begun != expected) {
        return Err(wrong());
    }
    let first = futures_util::stream::once(std::future::ready(Ok(rest)));
    let words: ByteStream = Box::pin(first.chain(file));
    match encoding.ring() {
        Ring::Z32 => decode::<u32>(words, encoding, contributions).await,
        Ring::Z64 => decode::<u64>(words, encoding, contributions).await,
    }
}

async fn decode<W: Word>(
    mut file: ByteStream,
    encoding: Encoding,
    contributions: &[Contribution],
) -> Result<Summed, PortError> {
    let mut parts: Vec<Part> = contributions
        .iter()
        .map(Part::new)
        .collect::<Option<_>>()
        .ok_or_else(wrong)?;
    let (mut at, mut counter) = (0, None);
    let mut partial: Vec<u8> = Vec::new();
    while let Some(piece) = file.next().await {
        let piece = piece?;
        let mut bytes = &piece[..];
        let whole;
        if !partial.is_empty() {
            partial.extend_from_slice(bytes);
            whole = std::mem::take(&mut partial);
            bytes = &whole;
        }
        let (chunks, odd) = W::chunks(bytes);
        partial.extend_from_slice(odd);
        let words: Vec<W> = chunks.iter().map(|b| W::from_le(*b)).collect();
        let mut words = &words[..];
        while let Some((&first, after)) = words.split_first() {
            let Some(part) = parts.get_mut(at) else {
                // Nothing comes behind the counter.
                if counter.replace(first.to_signed()).is_some() {
                    return Err(wrong());
                }
                words = after;
                continue;
            };
            let (now, later) = words.split_at(part.missing().min(words.len()));
            part.extend(encoding.decode_as(now, part.dtype));
            words = later;
            at += usize::from(part.missing() == 0);
        }
        // Those without elements are full at once.
        while parts.get(at).is_some_and(|part| part.missing() == 0) {
            at += 1;
        }
    }
    let failed = counter.and_then(|n| u32::try_from(n).ok());
    let failed = failed.filter(|_| partial.is_empty()).ok_or_else(wrong)?;
    let named = contributions.iter().zip(parts);
    let sums = named.map(|(c, part)| Ok((c.name.clone(), part.finish()?)));
    Ok(Summed {
        sums: sums.collect::<Result<_, PortError>>()?,
        failed,
    })
}

/// A contribution's sum, as far as it has come.
struct Part {
    shape: Vec<usize>,
    dtype: DType,
    needed: usize,
    narrow: Vec<f32>,
    wide: Vec<f64>,
}

impl Part {
    fn new(contribution: &Contribution) -> Option<Self> {
        let needed = element_count(&contribution.shape)?;
        let is_narrow = contribution.dtype == DType::F32;
        Some(Self {
            shape: contribution.shape.clone(),
            dtype: contribution.dtype,
            needed,
            narrow: Vec::with_capacity(if is_narrow { needed } else { 0 }),
            wide: Vec::with_capacity(if is_narrow { 0 } else { needed }),
        })
    }

    fn missing(&self) -> usize {
        self.needed - self.narrow.len() - self.wide.len()
    }

    fn extend(&mut self, data: TensorData) {
        match data {
            TensorData::F32(more) => self.narrow.extend(more),
            TensorData::F64(more) => self.wide.extend(more),
            // Sums are decoded to no other type.
            _ => {}
        }
    }

    fn finish(self) -> Result<Tensor, PortError> {
        let data = match self.dtype {
            DType::F32 => TensorData::F32(self.narrow),
            _ => TensorData::F64(self.wide),
        };
        Tensor::new(self.shape, data).map_err(|_| wrong())
    }
}

/// What an earlier release has written.
fn read_npz(bytes: &[u8]) -> Result<Summed, PortError> {
    let mut arrays = decode_npz(bytes, &NpzLimits::default())
        .map_err(|e| super::super::internal(OP, e.to_string()))?;
    // Absent from a sum that a still earlier one has left.
    let failed = match arrays.remove(FAILED).map(Tensor::into_data) {
        Some(TensorData::I64(n)) => n.first().and_then(|n| u32::try_from(*n).ok()),
        _ => None,
    };
    let named = arrays.into_iter().map(|(name, sum)| {
        let name = name.parse::<Name>();
        let name = name.map_err(|e| super::super::internal(OP, e.to_string()))?;
        Ok((name, sum))
    });
    Ok(Summed {
        sums: named.collect::<Result<_, PortError>>()?,
        failed: failed.unwrap_or(0),
    })
}

fn wrong() -> PortError {
    let text = "the sum on disk is not one of this step";
    PortError::new(PortErrorKind::Corrupt, OP, text)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use delta_domain::npy::encode_npz;
    use delta_domain::secagg::masked_input::le_bytes;

    fn contribution(name: &str, dtype: DType, shape: &[usize]) -> Contribution {
        Contribution {
            name: name.parse().unwrap(),
            dtype,
            shape: shape.to_vec(),
        }
    }

    fn declared() -> Vec<Contribution> {
        vec![
            contribution("empty", DType::F32, &[0, 2]),
            contribution("a", DType::F32, &[2, 2]),
            contribution("b", DType::F64, &[]),
            contribution("none", DType::F64, &[0]),
        ]
    }

    fn file<W: Word>(words: &[i64]) -> Vec<u8> {
        let words: Vec<W> = words.iter().map(|w| W::from_signed(*w)).collect();
        let (mut out, mut bytes) = (head(W::RING, 5), Vec::new());
        le_bytes(&words, &mut bytes);
        out.extend(bytes);
        out
    }

    async fn read_cut(bytes: &[u8], cut: usize, ring: Ring) -> Result<Summed, PortError> {
        let pieces: Vec<_> = bytes
            .chunks(cut)
            .map(|p| Ok(Bytes::copy_from_slice(p)))
            .collect();
        let stream: ByteStream = Box::pin(futures_util::stream::iter(pieces));
        let encoding = Encoding::new(ring, 1, 3);
        read(bytes.len() as u64, stream, encoding, &declared()).await
    }

    #[tokio::test]
    async fn a_sum_comes_back_wherever_it_is_cut() {
        let words = [10, -20, 30, 40, -55, 1];
        for (bytes, ring) in [
            (file::<u32>(&words), Ring::Z32),
            (file::<u64>(&words), Ring::Z64),
        ] {
            for cut in 1..bytes.len() + 1 {
                let summed = read_cut(&bytes, cut, ring).await.unwrap();
                assert_eq!(summed.failed, 1);
                let sum = |name: &str| summed.sums[&name.parse::<Name>().unwrap()].data().clone();
                assert_eq!(sum("a"), TensorData::F32(vec![1.0, -2.0, 3.0, 4.0]));
                assert_eq!(sum("b"), TensorData::F64(vec![-5.5]));
                assert_eq!(summed.sums.len(), 4);
            }
            for n in 0..bytes.len() {
                assert!(read_cut(&bytes[..n], 7, ring).await.is_err(), "{n}");
            }
            let longer = [&bytes[..], &[0; 8]].concat();
            assert!(read_cut(&longer, 7, ring).await.is_err());
        }
        let narrow = file::<u32>(&words);
        assert!(read_cut(&narrow, 7, Ring::Z64).await.is_err());
    }

    #[tokio::test]
    async fn the_sum_that_an_earlier_release_has_left_is_read() {
        let sum = Tensor::new(vec![2], TensorData::F64(vec![1.5, 2.0])).unwrap();
        let failed = Tensor::new(vec![], TensorData::I64(vec![2])).unwrap();
        let bytes = encode_npz(&[("a", &sum), (FAILED, &failed)]).unwrap();
        let summed = read_cut(&bytes, 5, Ring::Z64).await.unwrap();
        let name: Name = "a".parse().unwrap();
        assert_eq!((summed.failed, &summed.sums[&name]), (2, &sum));
    }
}
