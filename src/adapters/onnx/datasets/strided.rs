//! Numbers that lie in a file at regular distances: rows first, columns first, or any other order of the dimensions.
//!
//! What is wanted is read in the order in which it lies, a piece at a time: neighbours are read at once, whatever the order of the
//! dimensions, and no more is held than a piece and the result.

mod element;

use std::ops::Range;

use super::array::ArrayFile;
use crate::convert::Numbers;
use crate::failure::Failure;
use delta_domain::tensor::element_count;

pub(super) use element::{Bytes, Element};

/// Elements that are looked for together.
const PIECE: usize = 1 << 18;
/// Elements that are read without need, so that their neighbours on both sides are read at once.
const GAP: usize = 64;
/// Most elements that are read at once.
const RUN: usize = 1 << 18;

/// Where the elements of an array lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) element: Element,
    /// The first byte of the first element.
    pub(super) start: u64,
    pub(super) shape: Vec<usize>,
    /// Elements from one to the next, for each dimension.
    pub(super) strides: Vec<usize>,
}

/// Strides of elements that lie one after the other, the last dimension first or, with `columns`, the first.
pub(super) fn dense(shape: &[usize], columns: bool) -> Vec<usize> {
    let step = |stride: &mut usize, length: &usize| {
        let this = *stride;
        *stride = stride.saturating_mul(*length);
        Some(this)
    };
    if columns {
        return shape.iter().scan(1, step).collect();
    }
    let mut strides: Vec<usize> = shape.iter().rev().scan(1, step).collect();
    strides.reverse();
    strides
}

/// An array in a file.
pub(super) struct Strided {
    bytes: Bytes,
    layout: Layout,
    scratch: Vec<u8>,
}

impl Strided {
    /// # Errors
    /// When `bytes` end before the last element, or the array is larger than a machine.
    pub(super) fn new(bytes: Bytes, layout: Layout) -> Result<Self, Failure> {
        let short = || Failure::corrupt("it ends before its last number");
        let size = layout.element.size();
        let held = element_count(&layout.shape).and_then(|n| n.checked_mul(size.max(8)));
        if held.is_none_or(|n| isize::try_from(n).is_err()) {
            return Err(Failure::corrupt("its shape is larger than a machine"));
        }
        if held != Some(0) {
            let last = layout.shape.iter().zip(&layout.strides);
            let mut last = last.map(|(n, s)| n.saturating_sub(1).checked_mul(*s));
            let last = last.try_fold(0_usize, |sum, n| sum.checked_add(n?));
            let end = last.and_then(|n| n.checked_add(1)?.checked_mul(size));
            let end = end.and_then(|n| layout.start.checked_add(u64::try_from(n).ok()?));
            if end.ok_or_else(short)? > bytes.len()? {
                return Err(short());
            }
        }
        Ok(Self {
            bytes,
            layout,
            scratch: Vec::new(),
        })
    }

    /// Reads the elements at `wanted`, counted in elements from the first; each with its place in the answer, which has `len` elements.
    fn gather(&mut self, mut wanted: Vec<(usize, usize)>) -> Result<Numbers, Failure> {
        wanted.sort_unstable();
        let size = self.layout.element.size();
        let mut answer = None;
        let mut rest = wanted.as_slice();
        while let Some((first, _)) = rest.first().copied() {
            let near = |pair: &&[(usize, usize)]| match pair {
                [(a, _), (b, _)] => b - a <= GAP && b - first < RUN,
                _ => false,
            };
            let run = 1 + rest.windows(2).take_while(near).count();
            let (now, later) = rest.split_at(run);
            rest = later;
            let last = now.last().map_or(first, |(at, _)| *at);
            let from = u64::try_from(first.saturating_mul(size)).unwrap_or(u64::MAX);
            let bytes = self.bytes.get(
                self.layout.start.saturating_add(from),
                (last - first + 1).saturating_mul(size),
                &mut self.scratch,
            )?;
            let read = self.layout.element.decode(bytes)?;
            let into = answer.get_or_insert_with(|| like(&read, wanted.len()));
            scatter(&read, first, now, into);
        }
        match answer {
            Some(answer) => Ok(answer),
            None => self.layout.element.decode(&[]),
        }
    }

    /// Whether a row, and the next one after it, are one run of bytes.
    fn is_dense(&self) -> bool {
        self.layout.strides == dense(&self.layout.shape, false)
    }
}

impl ArrayFile for Strided {
    fn shape(&self) -> &[usize] {
        &self.layout.shape
    }

    fn kind(&self) -> &'static str {
        self.layout.element.name()
    }

    fn rows(&mut self, rows: &[usize]) -> Result<Numbers, Failure> {
        let read = self.read(rows);
        match self.layout.element {
            // Only what is too large can be wrong with such elements alone; what else is, is wrong again.
            Element::Plain(elements) if read.is_err() && elements.name() == "uint64" => {
                let stored = self.layout.element;
                let big = elements.is_big_endian();
                self.layout.element = Element::Large { big };
                let read = self.read(rows);
                self.layout.element = stored;
                read
            }
            _ => read,
        }
    }
}

impl Strided {
    fn read(&mut self, rows: &[usize]) -> Result<Numbers, Failure> {
        if let Some(beyond) = rows.iter().find(|row| **row >= self.len()) {
            return Err(Failure::internal(format!("row {beyond} of {}", self.len())));
        }
        let inner = self.layout.shape.get(1..).unwrap_or_default().to_vec();
        let steps = self.layout.strides.get(1..).unwrap_or_default().to_vec();
        let each = inner.iter().product::<usize>();
        let total = each.saturating_mul(rows.len());
        let mut answer = self.layout.element.decode(&[])?;
        reserve(&mut answer, total);
        let by_row = self.layout.strides.first().copied().unwrap_or(0);
        let dense = self.is_dense();
        let mut done = 0;
        while done < total {
            if dense {
                // Rows that follow each other are one run.
                let (at, skip) = (done / each, done % each);
                let row = rows.get(at).copied().unwrap_or_default();
                let following = rows.get(at..).unwrap_or_default().iter().zip(row..);
                let same = |pair: &(&usize, usize)| *pair.0 == pair.1;
                let run = following.take(RUN).take_while(same).count();
                let length = run.saturating_mul(each).saturating_sub(skip).min(RUN);
                let first = row.saturating_mul(by_row).saturating_add(skip);
                extend(&mut answer, self.run(first..first.saturating_add(length))?);
                done += length;
                continue;
            }
            let end = total.min(done.saturating_add(PIECE));
            let mut wanted = Vec::with_capacity(end - done);
            for (place, at) in (done..end).enumerate() {
                let (row, mut within) = (rows.get(at / each), at % each);
                let mut address = row.copied().unwrap_or_default().saturating_mul(by_row);
                for (length, step) in inner.iter().zip(&steps).rev() {
                    address = address.saturating_add((within % length).saturating_mul(*step));
                    within /= length;
                }
                wanted.push((address, place));
            }
            extend(&mut answer, self.gather(wanted)?);
            done = end;
        }
        Ok(answer)
    }

    /// Elements that lie one after the other.
    fn run(&mut self, elements: Range<usize>) -> Result<Numbers, Failure> {
        let size = self.layout.element.size();
        let from = u64::try_from(elements.start.saturating_mul(size)).unwrap_or(u64::MAX);
        let start = self.layout.start.saturating_add(from);
        let length = elements.len().saturating_mul(size);
        let bytes = self.bytes.get(start, length, &mut self.scratch)?;
        self.layout.element.decode(bytes)
    }
}

/// Zeros of the same kind.
fn like(numbers: &Numbers, len: usize) -> Numbers {
    match numbers {
        Numbers::Single(_) => Numbers::Single(vec![0.0; len]),
        Numbers::Float(_) => Numbers::Float(vec![0.0; len]),
        Numbers::Whole(_) => Numbers::Whole(vec![0; len]),
    }
}

/// Puts what was read, from the element `first` on, where it is wanted.
fn scatter(read: &Numbers, first: usize, wanted: &[(usize, usize)], into: &mut Numbers) {
    fn put<T: Copy>(read: &[T], first: usize, wanted: &[(usize, usize)], into: &mut [T]) {
        for (at, place) in wanted {
            if let (Some(from), Some(to)) = (read.get(at - first), into.get_mut(*place)) {
                *to = *from;
            }
        }
    }
    match (read, into) {
        (Numbers::Single(read), Numbers::Single(into)) => put(read, first, wanted, into),
        (Numbers::Float(read), Numbers::Float(into)) => put(read, first, wanted, into),
        (Numbers::Whole(read), Numbers::Whole(into)) => put(read, first, wanted, into),
        // All that is read is of the layout's kind.
        _ => {}
    }
}

fn reserve(numbers: &mut Numbers, more: usize) {
    match numbers {
        Numbers::Single(v) => v.reserve_exact(more),
        Numbers::Float(v) => v.reserve_exact(more),
        Numbers::Whole(v) => v.reserve_exact(more),
    }
}

fn extend(numbers: &mut Numbers, more: Numbers) {
    match (numbers, more) {
        (Numbers::Single(v), Numbers::Single(more)) => v.extend(more),
        (Numbers::Float(v), Numbers::Float(more)) => v.extend(more),
        (Numbers::Whole(v), Numbers::Whole(more)) => v.extend(more),
        // All that is read is of the layout's kind.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use delta_domain::npy::Elements;

    #[test]
    fn numbers_beyond_64_bits_with_a_sign_are_the_nearest_floats() {
        let layout = Layout {
            element: Element::Plain(Elements::parse(">u8").unwrap()),
            start: 0,
            shape: vec![2],
            strides: vec![1],
        };
        let bytes = [7_u64.to_be_bytes(), u64::MAX.to_be_bytes()].concat();
        let mut array = Strided::new(Bytes::Memory(bytes), layout).unwrap();
        let largest = 18_446_744_073_709_551_615.0;
        assert_eq!(
            array.rows(&[1, 0]).unwrap(),
            Numbers::Float(vec![largest, 7.0])
        );
        assert_eq!(array.rows(&[0]).unwrap(), Numbers::Whole(vec![7]));
    }

    /// A whole array of bytes, element (i, j, k) of which is 100 i + 10 j + k, stored in the given order of its dimensions.
    fn three(order: [usize; 3]) -> Strided {
        let shape = [2, 3, 4];
        let mut strides = vec![0; 3];
        let mut stride = 1;
        for dimension in order {
            strides[dimension] = stride;
            stride *= shape[dimension];
        }
        let mut bytes = vec![9; 25];
        for i in 0..2 {
            for j in 0..3 {
                for k in 0..4 {
                    bytes[1 + i * strides[0] + j * strides[1] + k * strides[2]] =
                        u8::try_from(100 * i + 10 * j + k).unwrap();
                }
            }
        }
        let layout = Layout {
            element: Element::Plain(Elements::parse("|u1").unwrap()),
            start: 1,
            shape: shape.to_vec(),
            strides,
        };
        Strided::new(Bytes::Memory(bytes), layout).unwrap()
    }

    #[test]
    fn rows_are_the_same_however_the_dimensions_lie() {
        let row = |i: i64| (0..3).flat_map(move |j| (0..4).map(move |k| 100 * i + 10 * j + k));
        for order in [[2, 1, 0], [0, 1, 2], [1, 0, 2], [0, 2, 1]] {
            let mut array = three(order);
            let expected: Vec<i64> = row(1).chain(row(0)).chain(row(1)).collect();
            assert_eq!(
                array.rows(&[1, 0, 1]).unwrap(),
                Numbers::Whole(expected),
                "{order:?}"
            );
            assert_eq!(array.rows(&[]).unwrap(), Numbers::Whole(vec![]));
            assert!(array.rows(&[2]).is_err());
        }
    }

    #[test]
    fn what_is_repeated_lies_once_and_what_is_too_short_is_refused() {
        let layout = |shape: &[usize], strides: &[usize]| Layout {
            element: Element::Brain { big: false },
            start: 0,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
        };
        let bytes = || Bytes::Memory(vec![0x80, 0x3f, 0, 0xc0]);
        let mut repeated = Strided::new(bytes(), layout(&[2, 2], &[0, 1])).unwrap();
        assert_eq!(
            repeated.rows(&[0, 1]).unwrap(),
            Numbers::Single(vec![1.0, -2.0, 1.0, -2.0])
        );
        assert!(Strided::new(bytes(), layout(&[3], &[1])).is_err());
        assert!(Strided::new(bytes(), layout(&[2], &[usize::MAX])).is_err());
        assert!(Strided::new(bytes(), layout(&[usize::MAX, 4], &[0, 0])).is_err());
        let empty = Strided::new(bytes(), layout(&[0, 4], &[4, 1])).unwrap();
        assert_eq!(empty.len(), 0);
    }

    #[test]
    fn a_large_array_of_columns_is_read_in_pieces() {
        let (rows, columns) = (PIECE / 3 + 5, 7);
        let mut file = tempfile::tempfile().unwrap();
        let mut bytes = Vec::new();
        for column in 0..columns {
            for row in 0..rows {
                bytes.extend(u32::try_from(row * 10 + column).unwrap().to_le_bytes());
            }
        }
        std::io::Write::write_all(&mut file, &bytes).unwrap();
        let layout = Layout {
            element: Element::Plain(Elements::parse("<u4").unwrap()),
            start: 0,
            shape: vec![rows, columns],
            strides: dense(&[rows, columns], true),
        };
        let mut array = Strided::new(Bytes::File(file), layout).unwrap();
        let all: Vec<usize> = (0..rows).collect();
        let Numbers::Whole(read) = array.rows(&all).unwrap() else {
            panic!("whole numbers");
        };
        let wrong = read
            .iter()
            .enumerate()
            .find(|(at, x)| **x != i64::try_from(at / columns * 10 + at % columns).unwrap());
        assert_eq!((read.len(), wrong), (rows * columns, None));
    }
}
