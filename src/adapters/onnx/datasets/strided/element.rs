//! Where the bytes of an array lie, and what its elements are.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use crate::convert::Numbers;
use crate::failure::Failure;
use delta_domain::npy::Elements;
use delta_domain::tensor::TensorData;

/// Where bytes lie.
pub(in crate::datasets) enum Bytes {
    /// In a file.
    File(File),
    /// In memory.
    Memory(Vec<u8>),
}

impl Bytes {
    /// `length` bytes from `start` on; `scratch` may hold them.
    pub(super) fn get<'a>(
        &'a mut self,
        start: u64,
        length: usize,
        scratch: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], Failure> {
        let short = || Failure::corrupt("it ends before its last number");
        match self {
            Self::Memory(all) => {
                let start = usize::try_from(start).map_err(|_| short())?;
                let end = start.checked_add(length).ok_or_else(short)?;
                all.get(start..end).ok_or_else(short)
            }
            Self::File(file) => {
                let limit = u64::try_from(length).unwrap_or(u64::MAX);
                scratch.clear();
                file.seek(SeekFrom::Start(start))
                    .and_then(|_| file.take(limit).read_to_end(scratch))
                    .map_err(|e| Failure::unreadable("it", &e))?;
                scratch.get(..length).ok_or_else(short)
            }
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> Result<u64, Failure> {
        match self {
            Self::Memory(all) => Ok(u64::try_from(all.len()).unwrap_or(u64::MAX)),
            Self::File(file) => file
                .metadata()
                .map(|m| m.len())
                .map_err(|e| Failure::unreadable("it", &e)),
        }
    }
}

/// How an element is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::datasets) enum Element {
    /// As NumPy stores it.
    Plain(Elements),
    /// Half of a number of single precision, its first two bytes; NumPy has no such type.
    Brain {
        /// Whether the highest byte comes first.
        big: bool,
    },
    /// Whole numbers of 64 bits without a sign, as floating point: some are beyond those with a sign.
    Large {
        /// Whether the highest byte comes first.
        big: bool,
    },
}

impl Element {
    pub(in crate::datasets) fn size(self) -> usize {
        match self {
            Self::Plain(elements) => elements.size(),
            Self::Brain { .. } => 2,
            Self::Large { .. } => 8,
        }
    }

    pub(in crate::datasets) fn name(self) -> &'static str {
        match self {
            Self::Plain(elements) => elements.name(),
            Self::Brain { .. } => "bfloat16",
            Self::Large { .. } => "uint64",
        }
    }

    pub(super) fn decode(self, bytes: &[u8]) -> Result<Numbers, Failure> {
        let elements = match self {
            Self::Plain(elements) => elements,
            Self::Brain { big } => {
                let single = |b: &[u8; 2]| match big {
                    true => half::bf16::from_be_bytes(*b).to_f32(),
                    false => half::bf16::from_le_bytes(*b).to_f32(),
                };
                return Ok(Numbers::Single(
                    bytes.as_chunks().0.iter().map(single).collect(),
                ));
            }
            Self::Large { big } => {
                #[expect(clippy::cast_precision_loss, reason = "nearest, as NumPy converts")]
                let double = |b: &[u8; 8]| match big {
                    true => u64::from_be_bytes(*b) as f64,
                    false => u64::from_le_bytes(*b) as f64,
                };
                return Ok(Numbers::Float(
                    bytes.as_chunks().0.iter().map(double).collect(),
                ));
            }
        };
        let data = elements.decode(bytes);
        Ok(
            match data.map_err(|e| Failure::corrupt(delta_ports::report(&e)))? {
                TensorData::F32(v) => Numbers::Single(v),
                TensorData::F64(v) => Numbers::Float(v),
                TensorData::I64(v) => Numbers::Whole(v),
                TensorData::I32(v) => Numbers::Whole(v.into_iter().map(i64::from).collect()),
                TensorData::U8(v) => Numbers::Whole(v.into_iter().map(i64::from).collect()),
                TensorData::Bool(v) => Numbers::Whole(v.into_iter().map(i64::from).collect()),
            },
        )
    }
}
