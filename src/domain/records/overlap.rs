//! No two releases whose units differ by fewer than the threshold: their difference would be a release of those few.
//!
//! Sets are compared record by record, by the places of records in the dataset as it is now, and what differs is counted in units of the
//! release that is judged: twelve records of one person are one. So a table to which three rows were added is not summed again before
//! enough others are there. What it does not see: sums over sets that no indicator shows, unions of three or more releases, and records
//! that have moved to other places; the leverage covers those within one release for one unit.

use std::collections::BTreeSet;

use super::judge::Finding;
use super::row_set::RowSet;
use super::rule::RecordsRule;
use crate::ids::{DatasetName, Digest};

/// In [`ReleasedRows::unit_of`]: a record whose unit is not known. It counts for itself.
pub const NO_UNIT: u32 = u32::MAX;

/// Which records of a dataset the sums of one step count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleasedRows {
    /// Of which dataset.
    pub dataset: DatasetName,
    /// What tells this content of the dataset from others.
    pub version: Digest,
    /// The unit of each record of the dataset, or [`NO_UNIT`]; `None`: each record is one.
    pub unit_of: Option<Vec<u32>>,
    /// [`RowSet::of_release`].
    pub sets: Vec<RowSet>,
}

impl ReleasedRows {
    /// Compares the sets of this release with each other and with those of earlier releases of the same data to the same author:
    /// two are the same, or differ by at least `threshold` units. Returns the first broken pair.
    #[must_use]
    pub fn overlaps(&self, previous: &[RowSet], threshold: u64) -> Option<Finding> {
        let earlier = |i: usize| previous.iter().chain(self.sets.iter().take(i));
        let pairs = (self.sets.iter().enumerate())
            .flat_map(|(i, set)| earlier(i).map(move |other| (set, other)));
        pairs
            .map(|(set, other)| self.differing(set, other, threshold))
            .find(|units| (1..threshold).contains(units))
            .map(|units| {
                let why = format!("{units} units are in one of two sums and not in the other, and 0 or at least {threshold} may");
                Finding::new(RecordsRule::Overlap, why)
            })
    }

    /// Units that differ, counted up to the threshold.
    fn differing(&self, a: &RowSet, b: &RowSet, threshold: u64) -> u64 {
        let enough = usize::try_from(threshold).unwrap_or(usize::MAX);
        let count = match &self.unit_of {
            None => a.differing(b).take(enough).count(),
            Some(unit_of) => {
                let mut seen = BTreeSet::new();
                for record in a.differing(b) {
                    let unit = unit_of.get(record).filter(|unit| **unit != NO_UNIT);
                    seen.insert(unit.copied().ok_or(record));
                    if seen.len() >= enough {
                        break;
                    }
                }
                seen.len()
            }
        };
        u64::try_from(count).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(n: usize) -> RowSet {
        RowSet::new(500, |i| i < n)
    }

    fn broken(previous: &[RowSet], new: &[RowSet], unit_of: Option<&[u32]>) -> bool {
        let rows = ReleasedRows {
            dataset: "any.csv".parse().unwrap(),
            version: Digest::default(),
            unit_of: unit_of.map(<[u32]>::to_vec),
            sets: new.to_vec(),
        };
        rows.overlaps(previous, 10).is_some()
    }

    #[test]
    fn sets_of_one_release_are_compared_too() {
        assert!(broken(&[], &[first(100), first(97)], None));
        assert!(!broken(&[], &[first(100), first(90)], None));
    }

    #[test]
    fn records_without_a_known_unit_count_for_themselves() {
        let unit_of: Vec<u32> = (0..500)
            .map(|i| if i < 200 { 0 } else { NO_UNIT })
            .collect();
        assert!(broken(&[first(100)], &[first(200)], Some(&unit_of)));
        assert!(broken(&[first(200)], &[first(209)], Some(&unit_of)));
        assert!(!broken(&[first(200)], &[first(210)], Some(&unit_of)));
    }

    #[test]
    fn sets_are_the_same_or_differ_by_enough() {
        for (n, refused) in [
            (100, false),
            (101, true),
            (109, true),
            (110, false),
            (99, true),
            (91, true),
            (90, false),
        ] {
            assert_eq!(broken(&[first(100)], &[first(n)], None), refused, "{n}");
        }
        assert!(broken(
            &[first(50), first(100)],
            &[first(75), first(99)],
            None
        ));
        assert!(!broken(&[], &[first(99)], None));
        // Out at one end and in at the other.
        assert!(broken(
            &[first(100)],
            &[RowSet::new(500, |i| (4..104).contains(&i))],
            None
        ));
        assert!(!broken(
            &[first(100)],
            &[RowSet::new(500, |i| (5..105).contains(&i))],
            None
        ));
    }

    #[test]
    fn persons_count_once() {
        // Twelve records a person.
        let unit_of: Vec<u32> = (0..500).map(|i| i / 12).collect();
        assert!(!broken(&[first(120)], &[first(132)], None));
        assert!(broken(&[first(120)], &[first(132)], Some(&unit_of)));
        assert!(!broken(&[first(120)], &[first(240)], Some(&unit_of)));
    }

    #[test]
    fn sets_of_other_sizes_are_compared_too() {
        assert!(broken(
            &[RowSet::new(100, |_| true)],
            &[RowSet::new(103, |_| true)],
            None
        ));
        assert!(!broken(
            &[RowSet::new(100, |_| true)],
            &[RowSet::new(203, |_| true)],
            None
        ));
    }
}
