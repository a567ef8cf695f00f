//! The sum of a round as it lies on disk until the reduce has run.
//!
//! ```text
//! offset  0  magic "DLTA"              4 bytes
//!         4  version, 1                1 byte
//!         5  reserved, zero            3 bytes
//!         8  number of values, without the counter of failed members, 8 bytes, little-endian
//!        16  the values of each contribution in its declared type, those of exact ones as sums of their digits, little-endian, and the counter,
//!            8 bytes
//! ```
//!
//! Only this node reads it. An earlier release has left an `.npz` in its place; that is read as well.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::oneshot;

use delta_domain::ids::Name;
use delta_domain::manifest::{Contribution, Written};
use delta_domain::npy::{NpzLimits, decode_npz};
use delta_domain::secagg::encoding::Encoding;
use delta_domain::secagg::exact_number::{DIGITS, joined};
use delta_domain::secagg::word::Word;
use delta_domain::tensor::{DType, Filling, Tensor, TensorData};
use delta_ports::blob::{ByteStream, collect};
use delta_ports::{PortError, PortErrorKind};

const OP: &str = "coordinator.reduce";
const MAGIC: &[u8; 4] = b"DLTA";
const VERSION: u8 = 1;
const HEAD_BYTES: usize = 16;
const COUNTER_BYTES: usize = 8;
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

/// What stands before `numbers` values.
fn head(numbers: usize) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend([VERSION, 0, 0, 0]);
    out.extend((numbers as u64).to_le_bytes());
    out
}

/// The type in which the sum of a contribution is kept.
fn kept(contribution: &Contribution) -> DType {
    match (contribution.written, contribution.dtype) {
        (Written::Exact, _) => DType::I64,
        (Written::Fixed, DType::F32) => DType::F32,
        (Written::Fixed, _) => DType::F64,
    }
}

/// What a sum that was kept is as numbers: digits become the numbers nearest to them.
fn number(kept: Tensor) -> Result<Tensor, PortError> {
    let TensorData::I64(digits) = kept.data() else {
        return Ok(kept);
    };
    let mut shape = kept.shape().to_vec();
    shape.pop();
    let numbers = digits.chunks(DIGITS).map(joined).collect();
    Tensor::new(shape, TensorData::F64(numbers)).map_err(|_| wrong())
}

/// How the words of a sum become the file.
pub(super) struct Form {
    encoding: Encoding,
    /// Type and number of words of each contribution.
    parts: Vec<(DType, usize)>,
    numbers: usize,
}

impl Form {
    /// `None` when no machine holds the contributions.
    pub(super) fn new(encoding: Encoding, contributions: &[Contribution]) -> Option<Self> {
        let mut parts = Vec::with_capacity(contributions.len());
        let mut numbers = 0_usize;
        for contribution in contributions {
            let words = contribution.words()?;
            parts.push((kept(contribution), words));
            numbers = numbers.checked_add(words)?;
        }
        Some(Self {
            encoding,
            parts,
            numbers,
        })
    }

    /// What stands first in the file.
    pub(super) fn head(&self) -> Vec<u8> {
        head(self.numbers)
    }

    /// The length of the file in bytes.
    pub(super) fn len(&self) -> u64 {
        let around = (HEAD_BYTES + COUNTER_BYTES) as u64;
        self.parts.iter().fold(around, |sum, (dtype, values)| {
            sum.saturating_add((*values as u64).saturating_mul(dtype.size() as u64))
        })
    }

    /// The bytes of the file for these words of the sum, which begin at word `at`; the word behind the last number is the counter.
    pub(super) fn bytes<W: Word>(&self, at: usize, words: &[W]) -> Vec<u8> {
        let mut out = Vec::with_capacity(words.len() * DType::F64.size());
        let end = at + words.len();
        let mut before = 0;
        for (dtype, values) in &self.parts {
            let after = before + values;
            let (from, to) = (at.max(before), end.min(after));
            if from < to {
                let words = &words[from - at..to - at];
                let decoded = match dtype {
                    DType::I64 => TensorData::I64(words.iter().map(|w| w.to_signed()).collect()),
                    _ => self.encoding.decode_as(words, *dtype),
                };
                let count = decoded.len();
                if let Ok(part) = Tensor::new(vec![count], decoded) {
                    part.extend_le_bytes(0..count, &mut out);
                }
            }
            before = after;
        }
        if end > self.numbers
            && let Some(counter) = words.last()
        {
            out.extend(counter.to_signed().to_le_bytes());
        }
        out
    }
}

/// A sum that is read, as far as it has come.
struct Reading {
    /// Those that are not full yet, the next one last.
    open: Vec<(Name, Filling)>,
    full: BTreeMap<Name, Tensor>,
    counter: Vec<u8>,
}

impl Reading {
    fn new(contributions: &[Contribution]) -> Option<Self> {
        let filling = |c: &Contribution| {
            let mut shape = c.shape.clone();
            if c.written == Written::Exact {
                shape.push(DIGITS);
            }
            let filling = Filling::new(kept(c), shape)?;
            Some((c.name.clone(), filling))
        };
        Some(Self {
            open: contributions
                .iter()
                .rev()
                .map(filling)
                .collect::<Option<_>>()?,
            full: BTreeMap::new(),
            counter: Vec::with_capacity(COUNTER_BYTES),
        })
    }

    /// Takes the next bytes behind the head.
    fn push(&mut self, mut bytes: &[u8]) -> Result<(), PortError> {
        while let Some((name, mut filling)) = self.open.pop() {
            let (now, later) = bytes.split_at(filling.missing().min(bytes.len()));
            filling.push(now).map_err(|_| wrong())?;
            bytes = later;
            if filling.missing() > 0 {
                self.open.push((name, filling));
                return Ok(());
            }
            let sum = filling.finish().map_err(|_| wrong())?;
            self.full.insert(name, number(sum)?);
        }
        if self.counter.len() + bytes.len() > COUNTER_BYTES {
            return Err(wrong());
        }
        self.counter.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self) -> Result<Summed, PortError> {
        let counter: [u8; COUNTER_BYTES] = self.counter.try_into().map_err(|_| wrong())?;
        let failed = u32::try_from(i64::from_le_bytes(counter)).map_err(|_| wrong())?;
        Ok(Summed {
            sums: self.full,
            failed,
        })
    }
}

/// The file of a sum on its way to the disk, and, once all of it has passed, the sum itself, long before the disk has taken it.
pub(in crate::coordinator) fn overheard(
    file: ByteStream,
    contributions: &[Contribution],
) -> Result<(ByteStream, oneshot::Receiver<Summed>), PortError> {
    let (tell, told) = oneshot::channel();
    let state = Overhearing {
        file,
        skip: HEAD_BYTES,
        reading: Some((Reading::new(contributions).ok_or_else(wrong)?, tell)),
    };
    Ok((Box::pin(state), told))
}

/// [`overheard`] at work.
struct Overhearing {
    file: ByteStream,
    /// Bytes of the head that are to come.
    skip: usize,
    /// Until the end, or an error.
    reading: Option<(Reading, oneshot::Sender<Summed>)>,
}

impl Stream for Overhearing {
    type Item = Result<Bytes, PortError>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let next = std::task::ready!(self.file.poll_next_unpin(cx));
        match &next {
            Some(Ok(piece)) => {
                let skipped = self.skip.min(piece.len());
                self.skip -= skipped;
                let rest = piece.get(skipped..).unwrap_or_default();
                let reading = self.reading.as_mut();
                if reading.is_some_and(|(reading, _)| reading.push(rest).is_err()) {
                    self.reading = None;
                }
            }
            Some(Err(_)) => self.reading = None,
            None => {
                if let Some((reading, tell)) = self.reading.take()
                    && let Ok(summed) = reading.finish()
                {
                    // Nobody may want to know.
                    drop(tell.send(summed));
                }
            }
        }
        std::task::Poll::Ready(next)
    }
}

/// Reads a sum of `contributions`.
pub(in crate::coordinator) async fn read(
    len: u64,
    mut file: ByteStream,
    contributions: &[Contribution],
) -> Result<Summed, PortError> {
    let mut begun = Vec::with_capacity(HEAD_BYTES);
    let mut rest = Bytes::new();
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
        .try_fold(0_usize, |sum, c| sum.checked_add(c.words()?));
    if total.is_none_or(|total| begun != head(total)) {
        return Err(wrong());
    }
    let mut reading = Reading::new(contributions).ok_or_else(wrong)?;
    reading.push(&rest)?;
    while let Some(piece) = file.next().await {
        reading.push(&piece?)?;
    }
    reading.finish()
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
    use super::*;
    use delta_domain::npy::encode_npz;
    use delta_domain::secagg::exact_number::digits;
    use delta_domain::secagg::word::Ring;

    fn declared() -> Vec<Contribution> {
        let contribution = |name: &str, dtype, shape: &[usize]| Contribution {
            name: name.parse().unwrap(),
            dtype,
            shape: shape.to_vec(),
            written: Written::Fixed,
        };
        vec![
            contribution("empty", DType::F32, &[0, 2]),
            contribution("a", DType::F32, &[2, 2]),
            contribution("b", DType::F64, &[]),
            contribution("none", DType::F64, &[0]),
        ]
    }

    /// The file of a sum whose words come `cut` at a time.
    fn file<W: Word>(words: &[i64], cut: usize) -> Vec<u8> {
        let words: Vec<W> = words.iter().map(|w| W::from_signed(*w)).collect();
        let form = Form::new(Encoding::new(W::RING, 1, 3), &declared()).unwrap();
        let mut out = form.head();
        for (i, part) in words.chunks(cut).enumerate() {
            out.extend(form.bytes(i * cut, part));
        }
        assert_eq!(out.len() as u64, form.len());
        out
    }

    fn stream(bytes: &[u8], cut: usize) -> ByteStream {
        let pieces: Vec<_> = bytes
            .chunks(cut)
            .map(|p| Ok(Bytes::copy_from_slice(p)))
            .collect();
        Box::pin(futures_util::stream::iter(pieces))
    }

    async fn read_cut(bytes: &[u8], cut: usize) -> Result<Summed, PortError> {
        read(bytes.len() as u64, stream(bytes, cut), &declared()).await
    }

    const WORDS: [i64; 6] = [10, -20, 30, 40, -55, 1];

    fn expected() -> Summed {
        let sum = |name: &str, shape: &[usize], data| {
            let sum = Tensor::new(shape.to_vec(), data).unwrap();
            (name.parse().unwrap(), sum)
        };
        Summed {
            sums: BTreeMap::from([
                sum("empty", &[0, 2], TensorData::F32(vec![])),
                sum("a", &[2, 2], TensorData::F32(vec![1.0, -2.0, 3.0, 4.0])),
                sum("b", &[], TensorData::F64(vec![-5.5])),
                sum("none", &[0], TensorData::F64(vec![])),
            ]),
            failed: 1,
        }
    }

    #[tokio::test]
    async fn a_sum_comes_back_wherever_it_is_cut() {
        let bytes = file::<u64>(&WORDS, 6);
        for cut in 1..7 {
            assert_eq!(file::<u32>(&WORDS, cut), bytes);
            assert_eq!(file::<u64>(&WORDS, cut), bytes);
        }
        for cut in 1..bytes.len() + 1 {
            assert_eq!(read_cut(&bytes, cut).await.unwrap(), expected());
        }
        for n in 0..bytes.len() {
            assert!(read_cut(&bytes[..n], 7).await.is_err(), "{n}");
        }
        let longer = [&bytes[..], &[0; 8]].concat();
        assert!(read_cut(&longer, 7).await.is_err());
        let mut negative = bytes.clone();
        *negative.last_mut().unwrap() = 0xff;
        assert!(read_cut(&negative, 7).await.is_err());
        let mut another = bytes;
        another[8] += 1;
        assert!(read_cut(&another, 7).await.is_err());
    }

    #[tokio::test]
    async fn exact_numbers_are_joined_from_the_sums_of_their_digits() {
        let declared: Vec<Contribution> = serde_json::from_str(
            r#"[{"name": "a", "dtype": "f64", "shape": [2], "written": "exact"}, {"name": "b", "dtype": "f64", "shape": []}]"#,
        )
        .unwrap();
        let mut words = vec![0_u64; 2 * DIGITS + 2];
        for member in [[1e-30, -1e40], [2e-30, 1e40], [0.0, 7.0]] {
            let digits = member.iter().flat_map(|x| digits(*x).unwrap());
            for (word, digit) in words.iter_mut().zip(digits) {
                *word = word.plus(u64::from_signed(digit));
            }
        }
        words[2 * DIGITS] = 15;
        let form = Form::new(Encoding::new(Ring::Z64, 1, 3), &declared).unwrap();
        for cut in [1, 5, words.len()] {
            let mut bytes = form.head();
            for (i, part) in words.chunks(cut).enumerate() {
                bytes.extend(form.bytes(i * cut, part));
            }
            assert_eq!(bytes.len() as u64, form.len());
            let read = read(bytes.len() as u64, stream(&bytes, 9), &declared)
                .await
                .unwrap();
            let of = |name: &str| read.sums[&name.parse::<Name>().unwrap()].clone();
            assert_eq!(of("a").data(), &TensorData::F64(vec![1e-30 + 2e-30, 7.0]));
            assert_eq!(of("a").shape(), [2]);
            assert_eq!(of("b").data(), &TensorData::F64(vec![1.5]));
        }
    }

    #[tokio::test]
    async fn what_passes_whole_is_overheard_and_nothing_else() {
        let bytes = file::<u64>(&WORDS, 6);
        for cut in [1, 7, 1000] {
            let (passing, told) = overheard(stream(&bytes, cut), &declared()).unwrap();
            let passed = collect(passing, u64::MAX, "test").await.unwrap();
            assert_eq!((passed, told.await.unwrap()), (bytes.clone(), expected()));
        }
        let short = &bytes[..bytes.len() - 1];
        let long = [&bytes[..], &[0]].concat();
        for wrong in [short, &long[..]] {
            let (passing, told) = overheard(stream(wrong, 5), &declared()).unwrap();
            assert_eq!(collect(passing, u64::MAX, "test").await.unwrap(), wrong);
            assert!(told.await.is_err());
        }
        let broken = Err(PortError::new(PortErrorKind::Corrupt, "test", "changed"));
        let broken = stream(&bytes, 5).chain(futures_util::stream::iter([broken]));
        let (passing, told) = overheard(Box::pin(broken), &declared()).unwrap();
        assert!(collect(passing, u64::MAX, "test").await.is_err());
        assert!(told.await.is_err());
    }

    #[tokio::test]
    async fn the_sum_that_an_earlier_release_has_left_is_read() {
        let sum = Tensor::new(vec![2], TensorData::F64(vec![1.5, 2.0])).unwrap();
        let failed = Tensor::new(vec![], TensorData::I64(vec![2])).unwrap();
        let bytes = encode_npz(&[("a", &sum), (FAILED, &failed)]).unwrap();
        let summed = read_cut(&bytes, 5).await.unwrap();
        let name: Name = "a".parse().unwrap();
        assert_eq!((summed.failed, &summed.sums[&name]), (2, &sum));
    }
}
