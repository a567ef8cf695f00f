//! No two releases whose units differ by fewer than the threshold: their difference would be a release of those few.
//!
//! Sets are compared record by record, and what differs is counted in units of the release that is judged: twelve records of one person
//! are one. What it does not see: sums over sets that no indicator shows, and unions of three or more releases; the leverage covers
//! those within one release for one unit.

use std::collections::BTreeSet;

use super::judge::Finding;
use super::row_set::RowSet;
use super::rule::RecordsRule;

/// How a release is compared.
#[derive(Debug, Clone, Copy)]
pub struct Overlap<'u> {
    /// The unit of each record of the new release ([`Units::unit_of`](super::Units::unit_of)); `None`: each record is one.
    pub unit_of: Option<&'u [u32]>,
    /// Fewest units by which two sets may differ, if they differ.
    pub threshold: u64,
}

/// Compares the sets of a new release with those of earlier releases of the same version of the dataset, to the same author. Returns the
/// first broken pair. Sets of the same release can be compared by naming them as both.
#[must_use]
pub fn overlaps(previous: &[RowSet], new: &[RowSet], how: Overlap<'_>) -> Option<Finding> {
    let pairs = new
        .iter()
        .flat_map(|set| previous.iter().map(move |other| (set, other)));
    pairs
        .map(|(set, other)| how.differing(set, other))
        .find(|units| (1..how.threshold).contains(units))
        .map(|units| {
            let least = how.threshold;
            let why = format!("{units} units are in one of two releases and not in the other, and 0 or at least {least} may");
            Finding::new(RecordsRule::Overlap, why)
        })
}

impl Overlap<'_> {
    /// Units that differ, counted up to the threshold.
    fn differing(&self, a: &RowSet, b: &RowSet) -> u64 {
        let enough = usize::try_from(self.threshold).unwrap_or(usize::MAX);
        let count = match self.unit_of {
            None => a.differing(b).take(enough).count(),
            Some(unit_of) => {
                let mut seen = BTreeSet::new();
                for record in a.differing(b) {
                    // A record that the new release does not have counts for itself.
                    seen.insert(unit_of.get(record).copied().ok_or(record));
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
        let how = Overlap {
            unit_of,
            threshold: 10,
        };
        overlaps(previous, new, how).is_some()
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
