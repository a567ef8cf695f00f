//! Which records a released number counts: a bitmap, written compactly.
//!
//! Bit i is the record i of the dataset's version, in the order in which the node reads them. A unit of many records has all its bits.

use std::collections::BTreeMap;

use super::accumulate::{MAX_RECORDS, Units};
use super::blocks::Block;
use super::facts::{Facts, MAX_AUDITED};
use crate::ids::Digest;

/// All bits, 64 in a word.
const DENSE: u8 = 0;
/// Distances between the records that are in.
const FEW: u8 = 1;
/// Distances between those that are not.
const MOST: u8 = 2;

/// Records of one version of a dataset.
#[derive(Clone, PartialEq, Eq)]
pub struct RowSet {
    records: usize,
    words: Vec<u64>,
}

/// Bytes that are no row set as this node writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no set of rows")]
pub struct RowSetError;

/// Sizes only.
impl std::fmt::Debug for RowSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RowSet(of {} records)", self.records)
    }
}

impl RowSet {
    /// Those of `records` records for which `holds`; records beyond 2^24 are left out.
    #[must_use]
    pub fn new(records: usize, mut holds: impl FnMut(usize) -> bool) -> Self {
        let records = records.min(MAX_RECORDS);
        let mut words = vec![0_u64; records.div_ceil(64)];
        for (i, word) in words.iter_mut().enumerate() {
            for bit in 0..64.min(records - 64 * i) {
                *word |= u64::from(holds(64 * i + bit)) << bit;
            }
        }
        Self { records, words }
    }

    /// The sets that a release gives away: the records of units with a vector other than 0, and those of each indicator that is not
    /// 0 throughout. Each set once, at most 257.
    ///
    /// `places`: where each record of the release stands among the dataset's `records`.
    #[must_use]
    pub fn of_release(units: &Units, facts: &Facts, places: &[usize], records: usize) -> Vec<Self> {
        let indicators: Vec<usize> = facts
            .outputs
            .iter()
            .enumerate()
            .filter(|(_, output)| output.indicator && output.nonzero > 0 && !output.repeated)
            .map(|(i, _)| i)
            .take(MAX_AUDITED)
            .collect();
        // Of units: all that have a number other than 0, and those of each indicator.
        let mut sets = vec![Self::new(units.len(), |_| false); indicators.len() + 1];
        let mut first = 0;
        Block::each(units, |block| {
            let outputs: Vec<&[i64]> = block.columns().skip(1).collect();
            let mut all = sets.iter_mut();
            if let Some(any) = all.next() {
                any.insert_all(first, block.rows(), |row| {
                    outputs.iter().any(|output| output.get(row) != Some(&0))
                });
            }
            for (set, i) in all.zip(&indicators) {
                let output = outputs.get(*i).copied().unwrap_or_default();
                set.insert_all(first, output.len(), |row| output.get(row) != Some(&0));
            }
            first += block.rows();
        });
        let own = places.len() == records
            && units.len() == records
            && places.iter().enumerate().all(|(i, place)| i == *place);
        let of_records = |set: Self| match units.unit_of() {
            // Each record of the dataset is a unit.
            None if own => set,
            unit_of => set.spread(unit_of, places, records),
        };
        let sets: BTreeMap<Digest, Self> = sets
            .into_iter()
            .map(of_records)
            .map(|set| (set.digest(), set))
            .collect();
        sets.into_values().collect()
    }

    /// The records whose units are in this set.
    fn spread(&self, unit_of: Option<&[u32]>, places: &[usize], records: usize) -> Self {
        let mut spread = Self::new(records, |_| false);
        for (record, place) in places.iter().enumerate() {
            let unit = match unit_of {
                Some(unit_of) => unit_of.get(record).and_then(|u| usize::try_from(*u).ok()),
                None => Some(record),
            };
            if unit.is_some_and(|unit| self.holds(unit)) {
                spread.insert(*place);
            }
        }
        spread
    }

    /// Those of the `count` records from `first` on, which is a multiple of 64, for which `holds`.
    fn insert_all(&mut self, first: usize, count: usize, holds: impl Fn(usize) -> bool) {
        let words = self.words.iter_mut().skip(first / 64);
        for (i, word) in words.take(count.div_ceil(64)).enumerate() {
            for bit in 0..64.min(count - 64 * i) {
                *word |= u64::from(holds(64 * i + bit)) << bit;
            }
        }
    }

    /// Whether a record is in.
    #[must_use]
    pub fn holds(&self, record: usize) -> bool {
        let word = self.words.get(record / 64).copied().unwrap_or(0);
        word >> (record % 64) & 1 == 1
    }

    fn insert(&mut self, record: usize) {
        if record < self.records
            && let Some(word) = self.words.get_mut(record / 64)
        {
            *word |= 1 << (record % 64);
        }
    }

    /// How many records are in.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.words
            .iter()
            .map(|word| u64::from(word.count_ones()))
            .sum()
    }

    /// Records that are in one of both and not in the other, in order.
    pub fn differing(&self, other: &Self) -> impl Iterator<Item = usize> {
        let word = |words: &[u64], i: usize| words.get(i).copied().unwrap_or(0);
        let longest = self.words.len().max(other.words.len());
        (0..longest).flat_map(move |i| {
            let mut rest = word(&self.words, i) ^ word(&other.words, i);
            std::iter::from_fn(move || {
                let bit = usize::try_from(rest.trailing_zeros())
                    .ok()
                    .filter(|_| rest != 0)?;
                rest &= rest - 1;
                Some(64 * i + bit)
            })
        })
    }

    /// SHA-256 of [`Self::to_bytes`].
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }

    /// The shortest of three forms; at most 2,097,157 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let dense = self.words.len() * 8;
        let mut best: Option<(u8, Vec<u8>)> = None;
        for (form, wanted) in [(FEW, true), (MOST, false)] {
            let limit = best.as_ref().map_or(dense, |(_, bytes)| bytes.len());
            if let Some(gaps) = self.gaps(wanted, limit) {
                best = Some((form, gaps));
            }
        }
        let all_bits = || {
            (
                DENSE,
                self.words
                    .iter()
                    .flat_map(|word| word.to_le_bytes())
                    .collect(),
            )
        };
        let (form, rest): (u8, Vec<u8>) = best.unwrap_or_else(all_bits);
        let mut bytes = vec![form];
        push_number(&mut bytes, self.records);
        bytes.extend(rest);
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`RowSetError`] for anything else, also for a set in another form than the shortest.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RowSetError> {
        let (form, mut rest) = bytes.split_first().ok_or(RowSetError)?;
        let records = take_number(&mut rest)
            .filter(|n| *n <= MAX_RECORDS)
            .ok_or(RowSetError)?;
        let mut set = Self::new(records, |_| *form == MOST);
        if *form == DENSE {
            if rest.len() != set.words.len() * 8 {
                return Err(RowSetError);
            }
            for (word, bytes) in set.words.iter_mut().zip(rest.as_chunks().0) {
                *word = u64::from_le_bytes(*bytes);
            }
        } else {
            let mut next = 0;
            while !rest.is_empty() {
                let record = take_number(&mut rest).ok_or(RowSetError)? + next;
                if record >= records {
                    return Err(RowSetError);
                }
                set.words[record / 64] ^= 1 << (record % 64);
                next = record + 1;
            }
        }
        // No bit behind the last record. One set, one form: so that one digest means one set.
        let beyond = set
            .words
            .last()
            .is_some_and(|word| records % 64 != 0 && word >> (records % 64) != 0);
        if !beyond && set.to_bytes() == bytes {
            Ok(set)
        } else {
            Err(RowSetError)
        }
    }

    /// Distances between records whose bit is `wanted`, if they take fewer than `limit` bytes.
    fn gaps(&self, wanted: bool, limit: usize) -> Option<Vec<u8>> {
        let (mut bytes, mut next) = (Vec::new(), 0);
        let reference = Self::new(self.records, |_| !wanted);
        for record in self.differing(&reference) {
            push_number(&mut bytes, record - next);
            next = record + 1;
            if bytes.len() >= limit {
                return None;
            }
        }
        (bytes.len() < limit).then_some(bytes)
    }
}

/// Seven bits a byte, the low ones first.
fn push_number(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(0x80 | u8::try_from(number & 0x7f).unwrap_or(0));
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap_or(0));
}

/// At most four bytes of seven bits.
fn take_number(bytes: &mut &[u8]) -> Option<usize> {
    let mut number = 0;
    for shift in [0, 7, 14, 21] {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::records::facts::tests::units;

    #[test]
    fn a_release_gives_away_each_set_once() {
        let rows: Vec<Vec<i64>> = (0..100)
            .map(|i| vec![i64::from(i < 30), i - 3, 2 * i64::from(i < 30), 0])
            .collect();
        let units = units(&rows);
        // Every third of the dataset's records, backwards.
        let places: Vec<usize> = (0..100).map(|i| 3 * (99 - i)).collect();
        let mut sets = RowSet::of_release(&units, &Facts::of(&units), &places, 300);
        sets.sort_unstable_by_key(RowSet::count);
        let all = RowSet::new(300, |i| i % 3 == 0);
        let first = RowSet::new(300, |i| i % 3 == 0 && i / 3 > 69);
        assert_eq!(sets, [first, all]);
    }

    #[test]
    fn few_most_and_half_are_short() {
        let size = |holds: fn(usize) -> bool| RowSet::new(1_000_000, holds).to_bytes().len();
        assert_eq!(size(|_| false), 4);
        assert_eq!(size(|_| true), 4);
        assert_eq!(size(|i| i == 999_999), 7);
        assert_eq!(size(|i| i % 1000 != 0), 4 + 1 + 999 * 2);
        assert_eq!(size(|i| i % 2 == 0), 4 + 125_000);
    }

    #[test]
    fn other_forms_are_refused() {
        for bad in [
            &[][..],
            &[0],
            &[1, 0x80],
            &[1, 5, 5],
            &[3, 0],
            &[0, 0, 0],
            &[2, 200, 200, 200, 200, 1],
            &[1, 3, 0, 0, 0],
        ] {
            assert_eq!(RowSet::from_bytes(bad), Err(RowSetError), "{bad:?}");
        }
        let mut dense = vec![DENSE, 70];
        dense.extend([0xff; 16]);
        assert_eq!(RowSet::from_bytes(&dense), Err(RowSetError));
    }

    proptest! {
        #[test]
        fn bytes_come_back(bits in prop::collection::vec(prop::bool::weighted(0.9), 0..400), flip in any::<bool>()) {
            let set = RowSet::new(bits.len(), |i| bits[i] ^ flip);
            let bytes = set.to_bytes();
            prop_assert_eq!(RowSet::from_bytes(&bytes).unwrap(), set.clone());
            prop_assert!(bytes.len() <= 3 + bits.len().div_ceil(64) * 8);
        }

        #[test]
        fn any_bytes_are_refused_or_come_back(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(set) = RowSet::from_bytes(&bytes) {
                prop_assert_eq!(set.to_bytes(), bytes);
            }
        }

        #[test]
        fn differences_are_exact(a in prop::collection::vec(any::<bool>(), 0..200), b in prop::collection::vec(any::<bool>(), 0..200)) {
            let (x, y) = (RowSet::new(a.len(), |i| a[i]), RowSet::new(b.len(), |i| b[i]));
            let at = |bits: &[bool], i: usize| bits.get(i).copied().unwrap_or(false);
            let plain: Vec<usize> = (0..200).filter(|i| at(&a, *i) != at(&b, *i)).collect();
            prop_assert_eq!(x.differing(&y).collect::<Vec<_>>(), plain);
        }
    }
}
