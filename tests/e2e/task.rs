//! The fixture tasks with strategies of our own, the nodes' data, and what must come out.

use std::collections::BTreeMap;
use std::path::Path;

use delta_node::domain::bundle::{Bundle, BundleLimits, write_bundle};
use delta_node::domain::npy::{NpzLimits, decode_npz};
use delta_node::domain::strategy::Strategy;
use delta_node::domain::tensor::{Tensor, TensorData};

/// Wages of each node. Any subset of the nodes has a number of rows of its own, so that the result tells who is in it.
const ROWS: [usize; 3] = [3, 5, 9];

pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = ["tests/fixtures", "assets"]
        .map(|folder| root.join(folder).join(name))
        .into_iter()
        .find(|path| path.exists());
    std::fs::read(path.unwrap()).unwrap()
}

/// A fixture with its strategy, and the repetitions of its first round, changed.
pub(crate) fn task(name: &str, repeat: Option<u32>, change: impl FnOnce(&mut Strategy)) -> Vec<u8> {
    let opened = Bundle::open(&fixture(name), &BundleLimits::default()).unwrap();
    let mut manifest = opened.manifest().clone();
    change(&mut manifest.strategy);
    if let Some(repeat) = repeat {
        manifest.rounds[0].repeat = repeat;
    }
    let graphs = opened
        .graphs()
        .map(|(name, bytes)| (name.to_owned(), bytes.to_vec()))
        .collect();
    let arrays = manifest
        .variables
        .iter()
        .filter_map(|(name, v)| Some((v.init.clone()?, opened.initial(name)?.clone())))
        .collect();
    write_bundle(&manifest, &graphs, &arrays).unwrap()
}

/// The means of the wages.
pub(crate) fn wages(change: impl FnOnce(&mut Strategy)) -> Vec<u8> {
    task("wages-means.delta", None, change)
}

/// Phases long enough for a loaded machine, short enough to wait for one.
pub(crate) fn short(least: u32) -> impl Fn(&mut Strategy) {
    move |strategy| {
        strategy.min_clients = least;
        strategy.max_clients = 3;
        strategy.connection_timeout = 8.0;
        strategy.wait_timeout = 8.0;
    }
}

/// No deadline that a test could live to see.
pub(crate) fn endless(least: u32) -> impl Fn(&mut Strategy) {
    move |strategy| {
        short(least)(strategy);
        strategy.connection_timeout = 600.0;
        strategy.wait_timeout = 600.0;
    }
}

fn wages_of(node: usize) -> Vec<f64> {
    (0..ROWS[node])
        .map(|row| 1000.0 * (node as f64 + 1.0) + 7.0 * row as f64 * row as f64)
        .collect()
}

/// The files of a node's data folder.
pub(crate) fn data(node: usize) -> Vec<(&'static str, String)> {
    let wages: String = wages_of(node).iter().map(|w| format!("{w}\n")).collect();
    let iris = include_str!("../../assets/iris.csv");
    let (head, rows) = iris.split_once('\n').unwrap();
    let share: String = rows
        .lines()
        .enumerate()
        .filter(|(i, _)| i % 6 % 3 == node || (i % 6 == 3 && node == 2))
        .map(|(_, row)| format!("{row}\n"))
        .collect();
    let spector = include_str!("../../assets/spector.csv");
    let (names, rows) = spector.split_once('\n').unwrap();
    let students: String = rows
        .lines()
        .enumerate()
        .filter(|(i, _)| i % 3 == node)
        .map(|(_, row)| format!("{row}\n"))
        .collect();
    vec![
        ("wages.csv", format!("wage\n{wages}")),
        ("iris.csv", format!("{head}\n{share}")),
        ("spector.csv", format!("{names}\n{students}")),
    ]
}

/// A result's arrays as numbers.
pub(crate) fn arrays(npz: &[u8]) -> BTreeMap<String, Vec<f64>> {
    let numbers = |t: &Tensor| match t.data() {
        TensorData::F64(values) => values.clone(),
        other => panic!("{:?} is not expected here", other.dtype()),
    };
    decode_npz(npz, &NpzLimits::default())
        .unwrap()
        .iter()
        .map(|(name, t)| (name.clone(), numbers(t)))
        .collect()
}

/// Checks a result of [`wages`] against the plain mean of the nodes that are in it, and says which these are.
pub(crate) fn members(npz: &[u8]) -> Vec<usize> {
    let arrays = arrays(npz);
    let rows = arrays["rows"][0];
    let members: Vec<usize> = (0_u32..8)
        .map(|set| (0..3).filter(|n| set & (1 << n) != 0).collect())
        .find(|set: &Vec<usize>| set.iter().map(|n| ROWS[*n]).sum::<usize>() as f64 == rows)
        .unwrap_or_else(|| panic!("{rows} rows are no set of nodes"));
    let pooled: Vec<f64> = members.iter().flat_map(|n| wages_of(*n)).collect();
    let mean = pooled.iter().sum::<f64>() / pooled.len() as f64;
    // Whole numbers are exact in fixed point, so nothing but the division rounds.
    assert_eq!(arrays["mean"], [mean], "the mean of nodes {members:?}");
    members
}
