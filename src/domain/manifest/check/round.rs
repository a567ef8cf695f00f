//! Maps and reduces: what is made before what is used, what leaves the node, what is kept.

use std::collections::{BTreeMap, BTreeSet};

use super::certify::check_certified;
use super::products::check_products;
use super::records::check_member_noise;
use super::step::{Side, check_step};
use super::{Found, MAX_CONTRIBUTION_LEN, MAX_ROUNDS, check_shape, key, need_variable, quoted};
use crate::ids::Name;
use crate::manifest::{
    Batches, Contribution, Driver, Location, Manifest, MapSpec, ReduceSpec, Step, Target, Written,
};
use crate::strategy::{RingWidth, Rounding};
use crate::tensor::DType;

pub(super) fn check_rounds(manifest: &Manifest, found: &mut Found) {
    found.need(
        !manifest.rounds.is_empty(),
        "rounds",
        "a task needs at least one round",
    );
    found.need(
        manifest.total_rounds() <= MAX_ROUNDS,
        "rounds",
        format!(
            "{} rounds in all, more than the {MAX_ROUNDS} allowed",
            manifest.total_rounds()
        ),
    );
    let mut iterators = BTreeMap::new();
    for (i, round) in manifest.rounds.iter().enumerate() {
        let path = format!("rounds[{i}]");
        found.need(
            round.repeat >= 1,
            format!("{path}.repeat"),
            "must be at least 1; remove the round if it is not wanted",
        );
        found.need(
            i > 0 || round.cohort.is_none(),
            format!("{path}.cohort"),
            "no round is before the first one; leave it out",
        );
        if let Some(certify) = &round.certify {
            check_certified(manifest, i, round, certify, found);
        }
        let sums = round.certify.is_none();
        check_map(manifest, &round.map, sums, &format!("{path}.map"), found);
        check_resume(&round.map, &mut iterators, &format!("{path}.map"), found);
        check_reduce(
            manifest,
            &round.map.contribute,
            &round.reduce,
            &format!("{path}.reduce"),
            found,
        );
    }
}

/// `sums`: it contributes, as every map does but that of a certified round.
fn check_map(manifest: &Manifest, map: &MapSpec, sums: bool, path: &str, found: &mut Found) {
    found.need(
        !map.steps.is_empty(),
        format!("{path}.steps"),
        "a map needs at least one step",
    );
    let values = check_steps(manifest, &map.steps, Side::Map, path, found);
    for (variable, value) in &map.assign {
        let at = format!("{path}.assign.{variable}");
        need_variable(manifest, variable, Some(Location::Client), &at, found);
        need_value(&values, value, &at, found);
    }
    if let Some(noise) = &map.noise {
        let precision = manifest.strategy.precision;
        check_member_noise(noise, precision, &format!("{path}.noise"), found);
        let by_record = map.steps.iter().flat_map(noised_sums).next();
        found.need(
            by_record.is_none(),
            format!("{path}.noise"),
            "a records step of the map has noise of its own; ask for one of them",
        );
    }
    check_products(manifest, map, path, found);
    let at = format!("{path}.contribute");
    let noised: BTreeSet<&Name> = map.steps.iter().flat_map(noised_sums).collect();
    let mut total = Some(0_usize);
    let mut seen = BTreeSet::new();
    for (i, contribution) in map.contribute.iter().enumerate() {
        let Contribution {
            name, dtype, shape, ..
        } = contribution;
        let at = format!("{at}[{i}]");
        need_value(&values, name, &format!("{at}.name"), found);
        found.need(
            seen.insert(name),
            format!("{at}.name"),
            format!("{name} is contributed twice; remove one"),
        );
        found.need(
            matches!(dtype, DType::F32 | DType::F64),
            format!("{at}.dtype"),
            format!(
                "only f32 and f64 can be summed, not {}; cast it in the graph",
                dtype.name()
            ),
        );
        found.need(
            *dtype == DType::F64 || !noised.contains(name),
            format!("{at}.dtype"),
            "numbers under noise are f64: rounded after they were summed, one record could change more than its bound",
        );
        check_shape(shape, MAX_CONTRIBUTION_LEN, &format!("{at}.shape"), found);
        total = total.and_then(|n| n.checked_add(contribution.words()?));
        if contribution.written == Written::Exact {
            check_exact(manifest, map, contribution, &format!("{at}.written"), found);
        }
    }
    found.need(
        !map.contribute.is_empty() || !sums,
        &at,
        "nothing is contributed, so the round has no purpose",
    );
    found.need(
        total.is_some_and(|n| n <= MAX_CONTRIBUTION_LEN),
        &at,
        format!(
            "must hold at most {MAX_CONTRIBUTION_LEN} numbers in all; an exact one counts as 12"
        ),
    );
}

/// Exact numbers are digits: what is said of a number's size, or done to a number, would be said of digits.
fn check_exact(
    manifest: &Manifest,
    map: &MapSpec,
    contribution: &Contribution,
    at: &str,
    found: &mut Found,
) {
    let strategy = &manifest.strategy;
    let clipped = |step: &&Step| matches!(&step.driver, Driver::Records(records) if records.clip.is_some() || records.noise.is_some());
    let mut bounded = map
        .steps
        .iter()
        .filter(clipped)
        .flat_map(|step| step.outputs.values());
    let bounded =
        map.noise.is_some() || bounded.any(|target| target.summed() == Some(&contribution.name));
    for (holds, why) in [
        (contribution.dtype == DType::F64, "exact numbers are f64"),
        (
            strategy.ring == RingWidth::Z64,
            "exact numbers need strategy.ring: z64",
        ),
        (
            strategy.bound.is_none(),
            "exact numbers have no bound; leave strategy.bound out",
        ),
        (
            strategy.rounding == Rounding::Nearest,
            "exact numbers are not rounded at random; leave strategy.rounding out",
        ),
        (!bounded, "numbers under noise or a clip are not exact"),
    ] {
        found.need(holds, at, why);
    }
}

fn check_reduce(
    manifest: &Manifest,
    sums: &[Contribution],
    reduce: &ReduceSpec,
    path: &str,
    found: &mut Found,
) {
    let mut values = check_steps(manifest, &reduce.steps, Side::Reduce(sums), path, found);
    // A sum that no graph touches may be kept or shown as it is.
    values.extend(sums.iter().map(|sum| sum.name.clone()));
    for (variable, value) in &reduce.assign {
        let at = format!("{path}.assign.{variable}");
        need_variable(manifest, variable, Some(Location::Server), &at, found);
        need_value(&values, value, &at, found);
    }
    for (label, value) in &reduce.metrics {
        let at = format!("{path}.metrics.{}", key(label));
        let plain = !label.is_empty() && label.len() <= 100 && !label.chars().any(char::is_control);
        found.need(
            plain,
            &at,
            "a metric's name must have 1 to 100 bytes on one line",
        );
        need_value(&values, value, &at, found);
    }
    if let Some(value) = &reduce.stop {
        need_value(&values, value, &format!("{path}.stop"), found);
    }
}

/// Checks all steps and returns the values that they make.
fn check_steps(
    manifest: &Manifest,
    steps: &[Step],
    side: Side<'_>,
    path: &str,
    found: &mut Found,
) -> BTreeSet<Name> {
    let mut values = BTreeSet::new();
    for (i, step) in steps.iter().enumerate() {
        check_step(
            manifest,
            step,
            side,
            &mut values,
            &format!("{path}.steps[{i}]"),
            found,
        );
    }
    values
}

/// Where an iterator stands is kept by the step's position in its map, so the same position in another round goes on with it.
fn check_resume<'m>(
    map: &'m MapSpec,
    iterators: &mut BTreeMap<usize, &'m Batches>,
    path: &str,
    found: &mut Found,
) {
    for (i, step) in map.steps.iter().enumerate() {
        let Driver::Batches(batches) = &step.driver else {
            continue;
        };
        if !batches.resume {
            found.need(
                batches.after.is_none(),
                format!("{path}.steps[{i}].driver.after"),
                "what does not resume begins anew in each round; set resume, or leave it out",
            );
            continue;
        }
        let first = *iterators.entry(i).or_insert(batches);
        let same = Batches {
            length: batches.length,
            ..first.clone()
        } == *batches;
        found.need(
            same,
            format!("{path}.steps[{i}].driver.resume"),
            "an earlier round resumes here with another dataset, subset, batch size, order, seed or beginning; make them equal or do not resume",
        );
    }
}

fn need_value(values: &BTreeSet<Name>, name: &Name, path: &str, found: &mut Found) {
    if !values.contains(name) {
        let known: Vec<&str> = values.iter().take(8).map(Name::as_str).collect();
        found.add(
            path,
            format!(
                "no step makes a value {name}; there are: {}",
                quoted_list(&known)
            ),
        );
    }
}

fn quoted_list(names: &[&str]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names
        .iter()
        .map(|n| quoted(n))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The sums of a step to which noise is added.
fn noised_sums(step: &Step) -> impl Iterator<Item = &Name> {
    let noised = matches!(&step.driver, Driver::Records(records) if records.noise.is_some());
    let targets = step.outputs.values().filter(move |_| noised);
    targets.filter_map(Target::summed)
}
