//! One cohort for each released number: with a second one, the difference of two sums would be a sum over the few members in between.
//!
//! The same step on the same variables and the same data gives the same numbers. Summed with the same members again they say nothing
//! new; with others they do. So the first cohort in which a member releases is the only one.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::judge::Finding;
use super::rule::RecordsRule;
use crate::ids::{Address, Digest};

/// Releases that a book holds; about 100 MB. A full book refuses what is new.
const MAX_POINTS: usize = 1 << 20;

/// What a released vector is a function of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReleasePoint {
    /// The step: its graph, and how its records are read, bounded and summed.
    pub step: Digest,
    /// The variables that the coordinator sent.
    pub variables: Digest,
    /// The version of the dataset.
    pub data: Digest,
}

/// The cohort of each release.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CohortBook {
    #[serde(with = "pairs")]
    first: BTreeMap<ReleasePoint, Digest>,
}

impl CohortBook {
    /// Whether this may be released to this cohort.
    ///
    /// # Errors
    /// A finding of `records.cohort` when it was released to another one, or the book is full.
    pub fn check(&self, point: &ReleasePoint, cohort: Digest) -> Result<(), Finding> {
        let refused = |why: &str| Err(Finding::new(RecordsRule::Cohort, why));
        match self.first.get(point) {
            Some(first) if *first == cohort => Ok(()),
            Some(_) => refused(
                "the same step on the same variables and data was released with other members",
            ),
            None if self.first.len() >= MAX_POINTS => {
                refused("more releases than can be remembered")
            }
            None => Ok(()),
        }
    }

    /// Remembers that it is released; to be persisted before anything leaves.
    ///
    /// # Errors
    /// As [`Self::check`]; nothing is remembered then.
    pub fn release(&mut self, point: ReleasePoint, cohort: Digest) -> Result<(), Finding> {
        self.check(&point, cohort)?;
        self.first.entry(point).or_insert(cohort);
        Ok(())
    }

    /// Releases remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.first.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }
}

/// The digest of a cohort: of its members' addresses, sorted, each once. Those whose numbers are in the sum, not all who were asked.
#[must_use]
pub fn cohort_digest<'a>(members: impl IntoIterator<Item = &'a Address>) -> Digest {
    let sorted: BTreeSet<String> = members.into_iter().map(ToString::to_string).collect();
    let mut text = String::from("delta records cohort 1\n");
    for address in sorted {
        // No address has a line break.
        text.push_str(&address);
        text.push('\n');
    }
    Digest::of(text.as_bytes())
}

/// A map whose keys are no strings, as a list of pairs.
mod pairs {
    use super::{BTreeMap, Deserialize, Digest, ReleasePoint, Serialize};

    pub(super) fn serialize<S: serde::Serializer>(
        map: &BTreeMap<ReleasePoint, Digest>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        map.iter().collect::<Vec<_>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<ReleasePoint, Digest>, D::Error> {
        let pairs = Vec::<(ReleasePoint, Digest)>::deserialize(deserializer)?;
        Ok(pairs.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(names: &[u8]) -> Vec<Address> {
        names
            .iter()
            .map(|n| format!("0x{n:040x}").parse().unwrap())
            .collect()
    }

    #[test]
    fn a_cohort_is_a_set() {
        let digest = |names| cohort_digest(&members(names));
        assert_eq!(digest(&[1, 2, 3]), digest(&[3, 1, 2, 1]));
        assert_ne!(digest(&[1, 2, 3]), digest(&[1, 2]));
    }

    #[test]
    fn only_the_first_cohort_gets_it() {
        let point = |n: u8| ReleasePoint {
            step: Digest::of(b"step"),
            variables: Digest::of(&[n]),
            data: Digest::of(b"data"),
        };
        let (one, other) = (
            cohort_digest(&members(&[1, 2, 3])),
            cohort_digest(&members(&[1, 2, 4])),
        );
        let mut book = CohortBook::default();
        book.check(&point(0), one).unwrap();
        assert!(book.is_empty());
        book.release(point(0), one).unwrap();
        book.release(point(0), one).unwrap();
        let finding = book.release(point(0), other).unwrap_err();
        assert_eq!(finding.rule, RecordsRule::Cohort);
        book.release(point(1), other).unwrap();
        assert_eq!(book.len(), 2);
        let text = serde_json::to_string(&book).unwrap();
        assert_eq!(serde_json::from_str::<CohortBook>(&text).unwrap(), book);
    }
}
