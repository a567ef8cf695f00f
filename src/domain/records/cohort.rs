//! One cohort for each released vector: with a second one, the difference of two sums would be a sum over the few members in between.
//!
//! The same step on the same variables and the same data gives a member the same numbers. Summed with the same members again they say
//! nothing new; with others they do. So the first cohort in which a member releases them is the only one. Whether two questions are the
//! same is seen from the questions alone: a member that declines by this rule shows nothing but that its files are what they were. What it
//! does not see: another graph for the same numbers.

use std::collections::BTreeSet;

use super::judge::Finding;
use super::rule::RecordsRule;
use crate::bundle::Bundle;
use crate::ids::{Address, Digest, Name};
use crate::round::message::Encoder;

/// What a member is about to release: the step with its graphs, the variables that the coordinator sent, the versions of the data.
#[must_use]
pub fn release_point<'v>(
    bundle: &Bundle,
    step: u32,
    variables: impl IntoIterator<Item = (&'v Name, &'v Digest)>,
    data: impl IntoIterator<Item = Digest>,
) -> Digest {
    let manifest = bundle.manifest();
    let mut e = Encoder::new("delta records release 1");
    e.number(manifest.strategy.precision.into());
    if let Some(round) = manifest.round_spec(step) {
        // Only a map that cannot be written is no map, and such a bundle is not opened.
        e.bytes(&serde_json::to_vec(&round.map).unwrap_or_default());
    }
    let steps = manifest.round_spec(step).map(|round| &round.map.steps);
    let named = steps.into_iter().flatten();
    let named = named.flat_map(|step| [&step.graph, &step.graph_onnxruntime]);
    let named: BTreeSet<&str> = named.flatten().map(String::as_str).collect();
    for (name, graph) in bundle.graphs().filter(|(name, _)| named.contains(name)) {
        e.text(name);
        e.bytes(&Digest::of(graph).0);
    }
    for (name, value) in variables {
        e.text(name.as_str());
        e.bytes(&value.0);
    }
    for version in data {
        e.bytes(&version.0);
    }
    e.digest()
}

/// Whether numbers may be released to this cohort, when `first` is the one that it was released to before.
///
/// # Errors
/// A finding of `records.cohort` when that was another one.
pub fn same_cohort(first: Option<Digest>, cohort: Digest) -> Result<(), Finding> {
    match first {
        Some(first) if first != cohort => Err(Finding::new(
            RecordsRule::Cohort,
            "the same numbers were released with other members",
        )),
        _ => Ok(()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::BundleLimits;

    fn cohort(names: &[u8]) -> Digest {
        let members: Vec<Address> = names
            .iter()
            .map(|n| format!("0x{n:040x}").parse().unwrap())
            .collect();
        cohort_digest(&members)
    }

    #[test]
    fn a_cohort_is_a_set() {
        assert_eq!(cohort(&[1, 2, 3]), cohort(&[3, 1, 2, 1]));
        assert_ne!(cohort(&[1, 2, 3]), cohort(&[1, 2]));
    }

    #[test]
    fn only_the_first_cohort_gets_it() {
        let (one, other) = (cohort(&[1, 2, 3]), cohort(&[1, 2, 4]));
        same_cohort(None, one).unwrap();
        same_cohort(Some(one), one).unwrap();
        let finding = same_cohort(Some(one), other).unwrap_err();
        assert_eq!(finding.rule, RecordsRule::Cohort);
    }

    #[test]
    fn a_point_is_of_the_question_and_the_data() {
        let bytes = include_bytes!("../../../tests/fixtures/wide-records.delta");
        let bundle = Bundle::open(bytes, &BundleLimits::default()).unwrap();
        let bytes = include_bytes!("../../../tests/fixtures/wide-means.delta");
        let other = Bundle::open(bytes, &BundleLimits::default()).unwrap();
        let name: Name = "w".parse().unwrap();
        let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
        let point = release_point(&bundle, 0, [(&name, &one)], [one]);
        assert_eq!(point, release_point(&bundle, 0, [(&name, &one)], [one]));
        for different in [
            release_point(&other, 0, [(&name, &one)], [one]),
            release_point(&bundle, 1, [(&name, &one)], [one]),
            release_point(&bundle, 0, [(&name, &two)], [one]),
            release_point(&bundle, 0, [(&name, &one)], [two]),
        ] {
            assert_ne!(point, different);
        }
    }
}
