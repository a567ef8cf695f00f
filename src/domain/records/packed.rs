//! Vectors of many units in little memory: rows in blocks, and each column of a block in as few bytes as its numbers take.
//!
//! What a graph makes of a record is mostly small: ones, counts, codes. How the rows came changes nothing of how they are kept.

/// Rows of a block, at most and at least: fewer where they are long. A multiple of 64.
pub(super) const ROWS: usize = 256;
const FEWEST: usize = 64;
/// Numbers of a block, about.
const NUMBERS: usize = 1 << 20;

/// Every number of a column is this one.
const SAME: u8 = 0;
/// Each in so many bytes, as a whole number.
const BYTE: u8 = 1;
const SHORT: u8 = 2;
const INT: u8 = 4;
/// Each as it is.
const WORD: u8 = 8;
/// Mostly zeros: how many are none, where they stand, and what they are.
const SPARSE: u8 = 16;
/// Of so many rows at least one number is not 0 where a column is not kept so.
const SPARSE_ROWS: usize = 3;

/// Rows of words. Those of some columns are the bits of doubles, all others whole numbers.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Packed {
    /// Whether each column is one of doubles.
    doubles: Vec<bool>,
    /// Rows that are in blocks.
    rows: usize,
    blocks: Vec<Box<[u8]>>,
    /// Row by row, what makes no block yet.
    rest: Vec<i64>,
    /// What all blocks take.
    bytes: usize,
}

impl Packed {
    /// Of no row yet; `doubles`: of which columns the words are those of doubles.
    pub(super) const fn new(doubles: Vec<bool>) -> Self {
        Self {
            doubles,
            rows: 0,
            blocks: Vec::new(),
            rest: Vec::new(),
            bytes: 0,
        }
    }

    /// Rows of a block.
    pub(super) const fn block(&self) -> usize {
        match self.width() * ROWS <= NUMBERS {
            true => ROWS,
            false => FEWEST,
        }
    }

    /// Numbers of a row.
    pub(super) const fn width(&self) -> usize {
        self.doubles.len()
    }

    /// Bytes that the rows take, those included that make no block yet.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes + self.rest.len() * size_of::<i64>()
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.rows + self.rest.len() / self.width().max(1)
    }

    /// Adds whole rows, one after the other.
    pub(super) fn push(&mut self, rows: &[i64]) {
        let block = self.block() * self.width();
        let mut rows = rows;
        while !rows.is_empty() {
            let room = block - self.rest.len();
            let (now, later) = rows.split_at(room.min(rows.len()));
            self.rest.extend_from_slice(now);
            rows = later;
            if self.rest.len() == block {
                self.pack();
            }
        }
    }

    /// There are no more rows.
    pub(super) fn close(&mut self) {
        if !self.rest.is_empty() {
            self.pack();
        }
        self.rest = Vec::new();
    }

    fn pack(&mut self) {
        let width = self.width();
        let rows = self.rest.len() / width;
        let mut bytes = Vec::with_capacity(self.rest.len());
        let mut column = [0; ROWS];
        for (place, double) in self.doubles.iter().enumerate() {
            let words = self.rest.iter().skip(place).step_by(width);
            for (to, word) in column.iter_mut().zip(words) {
                *to = *word;
            }
            shrink(&mut column[..rows], *double, &mut bytes);
        }
        self.bytes += bytes.len() + size_of::<Box<[u8]>>();
        self.blocks.push(bytes.into_boxed_slice());
        self.rows += rows;
        self.rest.clear();
    }

    /// Calls `see` with each block in turn: its number of rows, and where its columns are, to be unpacked in their order.
    pub(super) fn each(&self, mut see: impl FnMut(usize, Columns<'_>)) {
        let mut left = self.rows;
        for block in &self.blocks {
            let rows = left.min(self.block());
            left -= rows;
            see(
                rows,
                Columns {
                    bytes: block,
                    doubles: &self.doubles,
                },
            );
        }
    }
}

/// The columns of a block that are still to be unpacked.
pub(super) struct Columns<'p> {
    bytes: &'p [u8],
    doubles: &'p [bool],
}

impl Columns<'_> {
    /// Replaces the words of `column` with those of the next one.
    pub(super) fn next(&mut self, column: &mut [i64]) {
        let (double, doubles) = self.doubles.split_first().unwrap_or((&false, &[]));
        self.doubles = doubles;
        self.unpack(column, *double);
    }

    fn unpack(&mut self, column: &mut [i64], double: bool) {
        let form = self.take(1).first().copied().unwrap_or(SAME);
        let rows = column.len();
        match form {
            SPARSE => {
                let count = usize::from(self.take(1).first().copied().unwrap_or(0));
                let places = self.take(count).iter().copied();
                let (mut others, mut rows) = ([0; ROWS], [0; ROWS]);
                for (row, place) in rows.iter_mut().zip(places) {
                    *row = usize::from(place);
                }
                self.unpack(&mut others[..count], double);
                column.fill(0);
                for (row, word) in rows.iter().zip(&others[..count]) {
                    column[*row] = *word;
                }
                return;
            }
            SAME => {
                let word = self.take(8).as_chunks().0.first();
                column.fill(word.map_or(0, |bytes| i64::from_le_bytes(*bytes)));
                return;
            }
            BYTE => widen(self.take(rows), column, |b: [u8; 1]| {
                i8::from_le_bytes(b).into()
            }),
            SHORT => widen(self.take(2 * rows), column, |b| {
                i16::from_le_bytes(b).into()
            }),
            INT => widen(self.take(4 * rows), column, |b| {
                i32::from_le_bytes(b).into()
            }),
            _ => {
                widen(self.take(8 * rows), column, i64::from_le_bytes);
                return;
            }
        }
        if double {
            #[expect(clippy::cast_precision_loss, reason = "at most 32 bits")]
            column
                .iter_mut()
                .for_each(|word| *word = (*word as f64).to_bits().cast_signed());
        }
    }

    fn take(&mut self, count: usize) -> &[u8] {
        let (now, later) = self.bytes.split_at(count.min(self.bytes.len()));
        self.bytes = later;
        now
    }
}

fn widen<const N: usize>(bytes: &[u8], column: &mut [i64], of: impl Fn([u8; N]) -> i64) {
    for (word, bytes) in column.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *word = of(*bytes);
    }
}

/// Appends a column in its shortest form. Doubles that are whole numbers are turned into them.
fn shrink(column: &mut [i64], double: bool, to: &mut Vec<u8>) {
    let first = column.first().copied().unwrap_or(0);
    if column.iter().all(|word| *word == first) {
        to.push(SAME);
        to.extend_from_slice(&first.to_le_bytes());
        return;
    }
    let count = column.iter().filter(|word| **word != 0).count();
    if let Ok(few) = u8::try_from(count)
        && count * SPARSE_ROWS <= column.len()
    {
        to.push(SPARSE);
        to.push(few);
        let mut others = [0; ROWS];
        let present = (0_u8..=u8::MAX)
            .zip(&*column)
            .filter(|(_, word)| **word != 0);
        for ((row, word), other) in present.zip(&mut others) {
            to.push(row);
            *other = *word;
        }
        shrink(&mut others[..count], double, to);
        return;
    }
    let small = |word: &i64| i32::try_from(*word).is_ok();
    let fits = match double {
        true => column.iter().all(|word| whole(*word).is_some()),
        false => column.iter().all(small),
    };
    if !fits {
        to.push(WORD);
        to.extend(column.iter().flat_map(|word| word.to_le_bytes()));
        return;
    }
    if double {
        for word in &mut *column {
            *word = whole(*word).unwrap_or(0);
        }
    }
    let (least, most) = column.iter().fold((0, 0), |(least, most), word| {
        (least.min(*word), most.max(*word))
    });
    let form = match (i8::try_from(least), i8::try_from(most)) {
        (Ok(_), Ok(_)) => BYTE,
        _ if i16::try_from(least).is_ok() && i16::try_from(most).is_ok() => SHORT,
        _ => INT,
    };
    to.push(form);
    let length = usize::from(form);
    to.extend(
        column
            .iter()
            .flat_map(|word| word.to_le_bytes().into_iter().take(length)),
    );
}

/// The whole number of at most 32 bits that a double is. Zeros of both signs are one: what is summed makes no difference.
#[expect(clippy::cast_possible_truncation, reason = "compared afterwards")]
fn whole(bits: i64) -> Option<i64> {
    let double = f64::from_bits(bits.cast_unsigned());
    let number = double as i32;
    (f64::from(number) == double).then(|| i64::from(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(packed: &Packed) -> Vec<Vec<i64>> {
        let mut all = Vec::new();
        packed.each(|rows, mut columns| {
            let mut block = vec![Vec::new(); rows];
            let mut column = vec![0; rows];
            for _ in 0..packed.width() {
                columns.next(&mut column);
                for (row, word) in block.iter_mut().zip(&column) {
                    row.push(*word);
                }
            }
            all.append(&mut block);
        });
        all
    }

    /// Words of any size.
    fn word() -> impl Strategy<Value = i64> {
        (any::<i64>(), 0_u32..64).prop_map(|(word, shift)| word >> shift)
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back(
            words in prop::collection::vec((word(), word(), -1e9..1e9_f64, -300_i32..300), 0..700),
            cut in 0_usize..700,
        ) {
            let of = |x: f64| x.to_bits().cast_signed();
            let all: Vec<Vec<i64>> = words
                .iter()
                .map(|(a, b, x, n)| {
                    let few = if n % 4 == 0 { (*a, of(*x)) } else { (0, of(0.0)) };
                    vec![*a, 7, *b >> 40, few.0, of(*x), of(f64::from(*n)), of(0.5), few.1]
                })
                .collect();
            let doubles = vec![false, false, false, false, true, true, true, true];
            let (mut once, mut twice) = (Packed::new(doubles.clone()), Packed::new(doubles));
            let flat = all.concat();
            once.push(&flat);
            let (one, other) = flat.split_at((cut * 8).min(flat.len()));
            twice.push(one);
            twice.push(other);
            prop_assert_eq!(once.rows(), all.len());
            once.close();
            twice.close();
            prop_assert!(once == twice);
            prop_assert_eq!(once.rows(), all.len());
            prop_assert_eq!(rows(&once), all);
        }
    }

    #[test]
    fn small_numbers_take_few_bytes() {
        let bytes = |of: &dyn Fn(i64) -> i64, double| {
            let mut packed = Packed::new(vec![double]);
            packed.push(&(0..256).map(of).collect::<Vec<_>>());
            packed.close();
            packed.bytes() - size_of::<Box<[u8]>>()
        };
        let double = |x: f64| x.to_bits().cast_signed();
        assert_eq!(bytes(&|_| 1 << 60, false), 9);
        assert_eq!(bytes(&|i| i / 2 - 100, false), 257);
        assert_eq!(bytes(&|i| i, false), 513);
        assert_eq!(bytes(&|i| i << 20, false), 1025);
        assert_eq!(bytes(&|i| i << 50, false), 2049);
        assert_eq!(bytes(&|i| double(i as f64), true), 513);
        assert_eq!(bytes(&|i| double(i as f64 + 0.5), true), 2049);
        let tenth = |i: i64, x: f64| if i % 10 == 3 { double(x) } else { 0 };
        assert_eq!(bytes(&|i| i64::from(i % 10 == 3), false), 2 + 26 + 9);
        assert_eq!(bytes(&|i| tenth(i, i as f64 + 0.5), true), 2 + 26 + 209);
    }
}
