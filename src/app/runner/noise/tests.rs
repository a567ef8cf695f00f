//! Whose noise a number gets, what that costs, and what a member sends that could not compute.

use serde_json::{Value, json};

use super::*;
use crate::vectors::MaskedVector;
use delta_domain::policy::{Policy, Privacy, Renewal};
use delta_domain::secagg::mask::MaskGenerator;

/// Five members, one of whom may collude.
const SUM: Sum = Sum {
    shares: 4,
    smallest: 5,
    colluders: 1,
};

/// One `records` step: the sums that it makes, with their lengths, of which dataset, and with which noise.
fn step(dataset: &str, sums: &[(&str, usize)], multiplier: Option<&str>) -> Value {
    let outputs = sums
        .iter()
        .map(|(name, _)| ((*name).to_owned(), json!({"to": "sum", "name": name})));
    let mut driver = json!({"kind": "records", "dataset": dataset, "clip": {"l2": 2.5}});
    if let Some(multiplier) = multiplier {
        driver["noise"] = json!({"multiplier": multiplier, "delta": 1e-6});
    }
    json!({
        "graph": "graphs/map.onnx",
        "driver": driver,
        "inputs": {"x": {"from": "data", "dataset": dataset, "field": {"columns": ["wage"]}}},
        "outputs": outputs.collect::<BTreeMap<_, _>>(),
    })
}

fn round(steps: &[Value], contribute: &[(&str, usize)]) -> Value {
    let contribute = contribute
        .iter()
        .map(|(name, length)| json!({"name": name, "dtype": "f64", "shape": [length]}));
    json!({
        "map": {"steps": steps, "contribute": contribute.collect::<Vec<_>>()},
        "reduce": {"steps": [], "assign": {}}
    })
}

/// A task of these rounds. Numbers have two places, so that a bound of 2.5 is 250.
fn task(rounds: &[Value]) -> Manifest {
    let table = json!({"kind": "table", "columns": ["wage"]});
    serde_json::from_value(json!({
        "format": "delta-task/1", "name": "sums", "type": "horizontal",
        "strategy": {"min_clients": 3, "max_clients": 9, "precision": 2},
        "datasets": {"a.csv": table, "b.csv": table},
        "variables": {"out": {"location": "server", "dtype": "f64", "shape": []}},
        "rounds": rounds, "outputs": ["out"]
    }))
    .unwrap()
}

fn one(sums: &[(&str, usize)], multiplier: Option<&str>) -> Manifest {
    task(&[round(&[step("a.csv", sums, multiplier)], sums)])
}

fn noise(manifest: &Manifest) -> Noise {
    Noise::of(manifest, 0, SUM).unwrap().unwrap()
}

fn refused(manifest: &Manifest, sum: Sum) -> String {
    let error = Noise::of(manifest, 0, sum).err().unwrap();
    assert_eq!(error.kind(), PortErrorKind::Rejected);
    error.message().to_owned()
}

fn seed(byte: u8) -> Secret<32> {
    Secret::new([byte; 32])
}

fn epsilon(cost: &Cost) -> f64 {
    cost.colluding.epsilon(1e-6)
}

/// An owner's rules with a budget for these units on one dataset.
fn budgets(dataset: &DatasetName, unit: Unit) -> Policies {
    let policy = Policy {
        privacy: Some(Privacy {
            unit,
            epsilon: 1.0,
            delta: 1e-6,
            renew: Renewal::Never,
        }),
        ..Policy::default()
    };
    Policies::new([(dataset.clone(), policy)].into())
}

#[test]
fn who_asks_for_none_gets_none() {
    assert!(
        Noise::of(&one(&[("s", 3)], None), 0, SUM)
            .unwrap()
            .is_none()
    );
    let over = Noise::of(&one(&[("s", 3)], Some("2")), 7, SUM);
    assert!(over.unwrap().is_none(), "there is no step 7");
}

#[test]
fn each_number_that_leaves_has_noise_of_its_own() {
    let noise = noise(&one(&[("s", 40), ("t", 40)], Some("2")));
    let drawn = noise.draw(&seed(1));
    assert_eq!(drawn.len(), 80);
    assert_ne!(drawn[..40], drawn[40..], "a seed is used for one vector");
    assert_eq!(*drawn, *noise.draw(&seed(1)), "a crash draws nothing new");
    assert_ne!(*drawn, *noise.draw(&seed(2)));
}

#[test]
fn a_share_is_as_large_as_the_sum_needs() {
    // Four honest shares make 8 times 250 together, so one is half of that: 1000.
    let noise = noise(&one(&[("s", 20_000)], Some("8")));
    let squares: f64 = noise
        .draw(&seed(3))
        .iter()
        .map(|x| (x * x) as f64)
        .sum::<f64>();
    let deviation = (squares / 20_000.0).sqrt();
    // The standard error is 5.
    assert!((deviation - 1000.0).abs() < 25.0, "{deviation}");
}

#[test]
fn a_number_without_noise_beside_one_with_it_is_refused() {
    let steps = [
        step("a.csv", &[("s", 1)], Some("2")),
        step("b.csv", &[("t", 1)], None),
    ];
    let manifest = task(&[round(&steps, &[("s", 1), ("t", 1)])]);
    assert_eq!(
        refused(&manifest, SUM),
        "t leaves without noise beside others with noise"
    );
    // What stays here needs none.
    let kept = task(&[round(&steps, &[("s", 1)])]);
    assert_eq!(noise(&kept).draw(&seed(1)).len(), 1);
}

#[test]
fn noise_for_members_is_of_all_numbers_and_paid_by_all_data() {
    let plain = json!({
        "graph": "graphs/map.onnx",
        "inputs": {"x": {"from": "data", "dataset": "a.csv", "field": {"columns": ["wage"]}}},
        "outputs": {"s": {"to": "value", "name": "s"}, "t": {"to": "value", "name": "t"}},
    });
    let mut round = round(&[plain], &[("s", 3), ("t", 4)]);
    round["map"]["noise"] = json!({"l2": 2.5, "multiplier": "8", "delta": 1e-6});
    let manifest = task(&[round.clone()]);
    assert_eq!(manifest.errors(), []);
    let made = noise(&manifest);
    let drawn = made.draw(&seed(1));
    assert_eq!(drawn.len(), 7);
    assert_eq!(*drawn, *made.draw(&seed(1)));
    // Where members count, as of a records step with these numbers.
    let of_record = |z| noise(&one(&[("s", 7)], Some(z))).costs(&Policies::default());
    let (eight, four) = (of_record("8").unwrap(), of_record("4").unwrap());
    let (a, b): (DatasetName, DatasetName) = ("a.csv".parse().unwrap(), "b.csv".parse().unwrap());
    let costs = made.costs(&budgets(&a, Unit::Member)).unwrap();
    assert_eq!(costs.len(), 2, "whatever the graphs read");
    assert_eq!(costs[&a], eight[&a]);
    // A record, or a person, can turn all numbers of its member around.
    for unit in [Unit::Record, Unit::Person("id".to_owned())] {
        let costs = made.costs(&budgets(&a, unit)).unwrap();
        for cost in [&costs[&a], &costs[&b]] {
            let (paid, least) = (epsilon(cost), epsilon(&four[&a]));
            assert!((paid - least).abs() < 1e-3, "{paid}, {least}");
        }
    }
    round["map"]["noise"]["multiplier"] = json!("many");
    assert!(refused(&task(&[round]), SUM).contains("no noise multiplier"));
}

#[test]
fn noise_that_nobody_can_make_is_refused() {
    let manifest = one(&[("s", 1)], Some("2"));
    let alone = Sum {
        shares: 1,
        smallest: 2,
        colluders: 2,
    };
    assert!(refused(&manifest, alone).contains("nobody's noise is sure to count"));
    assert!(refused(&one(&[("s", 1)], Some("many")), SUM).contains("no noise multiplier"));
    let mut unbounded = step("a.csv", &[("s", 1)], Some("2"));
    unbounded["driver"]["clip"] = Value::Null;
    let unbounded = task(&[round(&[unbounded], &[("s", 1)])]);
    assert!(refused(&unbounded, SUM).contains("needs a bound"));
}

#[test]
fn a_dataset_pays_for_each_of_its_steps() {
    let of = |dataset: &str, sum: &'static str| step(dataset, &[(sum, 4)], Some("8"));
    let both = [("s", 4), ("t", 4)];
    let same = task(&[round(&[of("a.csv", "s"), of("a.csv", "t")], &both)]);
    let other = task(&[round(&[of("a.csv", "s"), of("b.csv", "t")], &both)]);
    let (same, other) = (
        noise(&same).costs(&Policies::default()).unwrap(),
        noise(&other).costs(&Policies::default()).unwrap(),
    );
    let (a, b) = ("a.csv".parse().unwrap(), "b.csv".parse().unwrap());
    assert_eq!(same.keys().collect::<Vec<_>>(), [&a]);
    assert_eq!(other[&a], other[&b]);
    assert_eq!(same[&a], other[&a].repeated(2));
    // Two sums of one step are bounded together, and paid for once.
    let together = noise(&one(&both, Some("8")))
        .costs(&Policies::default())
        .unwrap();
    let difference = epsilon(&together[&a]) - epsilon(&other[&a]);
    assert!(difference.abs() < 1e-6, "{difference}");
}

#[test]
fn a_task_is_judged_by_its_dearest_round() {
    let rounds: Vec<Value> = ["16", "4", "8"]
        .iter()
        .map(|z| round(&[step("a.csv", &[("s", 1)], Some(z))], &[("s", 1)]))
        .collect();
    let name = "a.csv".parse().unwrap();
    let dearest = dearest_round(&task(&rounds), SUM, &Policies::default());
    let alone = dearest_round(&task(&rounds[1..2]), SUM, &Policies::default());
    assert_eq!(dearest[&name], alone[&name]);
    assert!(dearest_round(&one(&[("s", 1)], None), SUM, &Policies::default()).is_empty());
}

#[test]
fn the_smallest_sum_is_the_tasks() {
    let manifest = one(&[("s", 1)], Some("2"));
    let smallest = 3;
    for (assumed, colluders) in [(None, assumed_colluders(3)), (Some(2), 2)] {
        let expected = Sum {
            shares: manifest.strategy.noise_shares(smallest, true),
            smallest,
            colluders,
        };
        assert_eq!(Sum::smallest_of(&manifest, assumed), expected);
    }
}

#[test]
fn who_could_not_compute_sends_zeros_and_its_noise() {
    let manifest = one(&[("s", 50)], Some("8"));
    let noise = noise(&manifest).draw(&seed(4));
    let encoding = manifest.strategy.encoding(5);
    // Without masks, so that what is under them shows.
    let failed = || MaskedVector::failed(50, &[], MaskGenerator::default(), encoding);
    let words = |vector: MaskedVector| -> Vec<i64> {
        let (bytes, end) = vector.block(0).unwrap();
        let words = bytes.chunks_exact(8);
        let words = words.map(|word| i64::from_le_bytes(word.try_into().unwrap()));
        let words: Vec<i64> = words.collect();
        assert_eq!(end, words.len());
        words
    };
    let sent = words(failed().uncounted().with_noise(noise.clone()));
    assert_eq!(sent[..50], noise[..]);
    assert_eq!(sent[50..], [0], "nobody learns that it failed");
    assert_eq!(words(failed())[50..], [1], "without noise it is counted");
    assert!(noise.iter().any(|n| *n != 0));
}

#[test]
fn a_joined_dataset_is_charged_as_well() {
    let with = |how: &str| {
        let mut manifest = one(&[("s", 3)], Some("2"));
        let table = json!({"kind": "table", "columns": ["wage"], "joins": [{"dataset": "b.csv", "key": "id", "how": how, "columns": []}]});
        let table = serde_json::from_value(table).unwrap();
        manifest.datasets.insert("a.csv".parse().unwrap(), table);
        let costs = noise(&manifest).costs(&Policies::default()).unwrap();
        ["a.csv", "b.csv"].map(|name| epsilon(&costs[&name.parse().unwrap()]))
    };
    // Who is taken out of the other table is then not there at all.
    let [own, other] = with("inner");
    assert!((own - other).abs() < 1e-12, "{own} {other}");
    // Or has other numbers: twice the bound, as with half the noise.
    let [same, turned] = with("left");
    let half = noise(&one(&[("s", 3)], Some("1")));
    let half = half.costs(&Policies::default()).unwrap();
    let half = epsilon(&half[&"a.csv".parse().unwrap()]);
    assert!((same - own).abs() < 1e-12, "{same} {own}");
    assert!((turned - half).abs() < 1e-9, "{turned} {half}");
}
