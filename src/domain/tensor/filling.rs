//! Tensors and their little-endian bytes, a part at a time: what streams through a pipe, a file or a connection is held once.
//!
//! Not here: shapes and types in front of the elements (`npy`), and who reads or writes.

use super::{DType, Tensor, TensorData, element_count};

/// Elements that are turned into bytes at a time by [`Tensor::for_le_parts`].
const PART: usize = 64 * 1024;

impl Tensor {
    /// Bytes of all elements.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        // A tensor in memory has fewer bytes than `usize` can count.
        self.len() * self.dtype().size()
    }

    /// Appends the little-endian bytes of the elements in `range`; those beyond the end are left out.
    pub fn extend_le_bytes(&self, range: std::ops::Range<usize>, out: &mut Vec<u8>) {
        let (from, to) = (range.start.min(self.len()), range.end.min(self.len()));
        let (from, to) = (from, to.max(from));
        // Chunks of a known size, so that it is one wide copy.
        macro_rules! write {
            ($values:expr) => {{
                let at = out.len();
                out.resize(at + (to - from) * self.dtype().size(), 0);
                let chunks = out[at..].as_chunks_mut().0;
                for (bytes, x) in chunks.iter_mut().zip(&$values[from..to]) {
                    *bytes = x.to_le_bytes();
                }
            }};
        }
        match self.data() {
            TensorData::F32(v) => write!(v),
            TensorData::F64(v) => write!(v),
            TensorData::I32(v) => write!(v),
            TensorData::I64(v) => write!(v),
            TensorData::U8(v) => out.extend_from_slice(&v[from..to]),
            TensorData::Bool(v) => out.extend(v[from..to].iter().map(|&x| u8::from(x))),
        }
    }

    /// Shows `visit` the little-endian bytes of all elements, in order, part by part.
    ///
    /// # Errors
    /// The first error of `visit`.
    pub fn for_le_parts<E>(&self, mut visit: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut part = Vec::new();
        let mut at = 0;
        while at < self.len() {
            part.clear();
            self.extend_le_bytes(at..at + PART, &mut part);
            visit(&part)?;
            at += PART;
        }
        Ok(())
    }
}

/// The bytes do not make the array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{got} bytes of elements, where {needed} are needed")]
pub struct FillError {
    /// Bytes that the shape asks for.
    pub needed: usize,
    /// Bytes that came, or that would have come with the last piece.
    pub got: usize,
}

/// A tensor whose elements arrive as little-endian bytes, cut anywhere. Memory is taken as they come, never for a promise.
#[derive(Debug)]
pub struct Filling {
    shape: Vec<usize>,
    data: TensorData,
    needed: usize,
    got: usize,
    /// The bytes of an element that has not come whole.
    partial: Vec<u8>,
}

impl Filling {
    /// An array of `shape`, without elements yet. `None` when no machine holds it.
    #[must_use]
    pub fn new(dtype: DType, shape: Vec<usize>) -> Option<Self> {
        let needed = element_count(&shape)?.checked_mul(dtype.size())?;
        isize::try_from(needed).ok()?;
        Some(Self {
            shape,
            data: match dtype {
                DType::F32 => TensorData::F32(Vec::new()),
                DType::F64 => TensorData::F64(Vec::new()),
                DType::I32 => TensorData::I32(Vec::new()),
                DType::I64 => TensorData::I64(Vec::new()),
                DType::U8 => TensorData::U8(Vec::new()),
                DType::Bool => TensorData::Bool(Vec::new()),
            },
            needed,
            got: 0,
            partial: Vec::new(),
        })
    }

    /// Bytes that are still to come.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.needed - self.got
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`FillError`] when they are too many; none of them is taken then.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), FillError> {
        if bytes.len() > self.missing() {
            return Err(self.error(bytes.len()));
        }
        self.got += bytes.len();
        let size = self.data.dtype().size();
        let mut bytes = bytes;
        if !self.partial.is_empty() {
            let (head, rest) = bytes.split_at((size - self.partial.len()).min(bytes.len()));
            self.partial.extend_from_slice(head);
            bytes = rest;
            if self.partial.len() < size {
                return Ok(());
            }
            let whole = std::mem::take(&mut self.partial);
            self.extend(&whole);
        }
        let whole = bytes.len() - bytes.len() % size;
        self.extend(&bytes[..whole]);
        self.partial.extend_from_slice(&bytes[whole..]);
        Ok(())
    }

    /// The array, once every byte is there.
    ///
    /// # Errors
    /// [`FillError`] when some are missing.
    pub fn finish(self) -> Result<Tensor, FillError> {
        let error = self.error(0);
        if self.missing() > 0 {
            return Err(error);
        }
        Tensor::new(self.shape, self.data).map_err(|_| error)
    }

    fn error(&self, more: usize) -> FillError {
        FillError {
            needed: self.needed,
            got: self.got.saturating_add(more),
        }
    }

    fn extend(&mut self, bytes: &[u8]) {
        let total = self.needed / self.data.dtype().size();
        macro_rules! read {
            ($values:expr, $type:ty) => {{
                let chunks = bytes.as_chunks().0;
                grow($values, chunks.len(), total);
                $values.extend(chunks.iter().map(|b| <$type>::from_le_bytes(*b)));
            }};
        }
        match &mut self.data {
            TensorData::F32(v) => read!(v, f32),
            TensorData::F64(v) => read!(v, f64),
            TensorData::I32(v) => read!(v, i32),
            TensorData::I64(v) => read!(v, i64),
            TensorData::U8(v) => {
                grow(v, bytes.len(), total);
                v.extend_from_slice(bytes);
            }
            TensorData::Bool(v) => {
                grow(v, bytes.len(), total);
                v.extend(bytes.iter().map(|&b| b != 0));
            }
        }
    }
}

/// Makes room for `more` elements: twice what there is, but never more than `total`, so that nothing is left over at the end.
fn grow<T>(values: &mut Vec<T>, more: usize, total: usize) {
    let wanted = values.len().saturating_add(more);
    if wanted > values.capacity() {
        let room = wanted.max(values.capacity().saturating_mul(2)).min(total);
        values.reserve_exact(room.max(wanted) - values.len());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_tensor() -> impl Strategy<Value = Tensor> {
        (0..6, prop::collection::vec(any::<u32>(), 0..50)).prop_map(|(kind, bits)| {
            let data = match kind {
                0 => TensorData::F32(bits.iter().map(|b| *b as f32).collect()),
                1 => TensorData::F64(bits.iter().map(|b| f64::from(*b)).collect()),
                2 => TensorData::I32(bits.iter().map(|b| b.cast_signed()).collect()),
                3 => TensorData::I64(bits.iter().map(|b| i64::from(*b) << 7).collect()),
                4 => TensorData::U8(bits.iter().map(|b| *b as u8).collect()),
                _ => TensorData::Bool(bits.iter().map(|b| b % 2 == 0).collect()),
            };
            Tensor::new(vec![data.len()], data).unwrap()
        })
    }

    proptest! {
        #[test]
        fn wherever_it_is_cut_the_same_array_comes_out(tensor in any_tensor(), cuts in prop::collection::vec(1_usize..30, 1..8)) {
            let mut bytes = Vec::new();
            tensor.for_le_parts(|part| { bytes.extend_from_slice(part); Ok::<_, ()>(()) }).unwrap();
            prop_assert_eq!(bytes.len(), tensor.byte_len());
            let mut filling = Filling::new(tensor.dtype(), tensor.shape().to_vec()).unwrap();
            let mut rest = &bytes[..];
            for n in cuts.iter().cycle() {
                let (head, tail) = rest.split_at((*n).min(rest.len()));
                filling.push(head).unwrap();
                rest = tail;
                if rest.is_empty() { break; }
            }
            prop_assert_eq!(filling.missing(), 0);
            prop_assert!(filling.push(&[0]).is_err());
            prop_assert_eq!(filling.finish().unwrap(), tensor);
        }

        #[test]
        fn parts_are_what_stands_there(tensor in any_tensor(), at in 0_usize..60, n in 0_usize..60) {
            let (mut all, mut part) = (Vec::new(), Vec::new());
            tensor.extend_le_bytes(0..usize::MAX, &mut all);
            tensor.extend_le_bytes(at..at + n, &mut part);
            let size = tensor.dtype().size();
            let (from, to) = ((at * size).min(all.len()), ((at + n) * size).min(all.len()));
            prop_assert_eq!(part, &all[from..to]);
        }
    }

    #[test]
    fn a_promise_takes_no_memory_and_a_short_one_is_an_error() {
        let filling = Filling::new(DType::F64, vec![1 << 40]).unwrap();
        assert_eq!(filling.data.len(), 0);
        assert_eq!(filling.finish().unwrap_err().needed, 1 << 43);
        assert!(Filling::new(DType::F64, vec![usize::MAX, 2]).is_none());
        let mut filling = Filling::new(DType::F32, vec![2]).unwrap();
        filling.push(&[0; 7]).unwrap();
        assert_eq!(filling.missing(), 1);
        assert!(filling.push(&[0; 2]).is_err());
        assert!(filling.finish().is_err());
    }
}
