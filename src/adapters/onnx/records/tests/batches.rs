//! Random graphs, run: what is proven gives each record the same alone as among others.
//!
//! The graphs mix harmless operators with harmful ones, so that a rule which passes too much is found. Graphs that a runtime cannot run at
//! all (shapes that do not fit) say nothing and are left out.

use std::collections::BTreeMap;
use std::ffi::OsString;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};

use super::world::{Sketch, axis, int, ints, to};
use crate::job::RuntimeChoice;
use crate::library::candidates;
use crate::pb::element;
use crate::runtime::{Input, Loaded, Runtime, start};
use delta_domain::tensor::{Tensor, TensorData};

/// Records in a batch.
const RECORDS: usize = 5;
/// Graphs that are tried, from seed 0 on; more with `GRAPHS=10000`.
const GRAPHS: u64 = 800;

/// All runtimes of this machine.
pub(crate) fn runtimes() -> Vec<Box<dyn Runtime>> {
    let mut found: Vec<Box<dyn Runtime>> = start(&RuntimeChoice::Tract, 1).into_iter().collect();
    let environment = |name: &str| -> Option<OsString> { std::env::var_os(name) };
    let libraries = candidates(None, &environment, None).into_iter();
    found.extend(
        libraries
            .filter_map(|path| start(&RuntimeChoice::Onnxruntime(path), 1).ok())
            .take(1),
    );
    found
}

/// A random graph over the records, from a seed.
struct Random {
    rng: ChaCha20Rng,
    sketch: Sketch,
    /// Values so far.
    values: Vec<String>,
}

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.rng.next_u64() % n
    }

    fn number(&mut self, from: i64, to: i64) -> i64 {
        from + i64::try_from(self.below(u64::try_from(to - from + 1).unwrap())).unwrap()
    }

    /// One of the values, the last ones more often.
    fn value(&mut self) -> String {
        let n = self.values.len();
        let back = self.below(3) * self.below(2) + self.below(2);
        let back = usize::try_from(back).unwrap().min(n - 1);
        self.values[n - 1 - back].clone()
    }

    fn constant(&mut self) -> String {
        let dims = self.list(&[
            &[],
            &[3],
            &[1, 3],
            &[5, 1],
            &[1],
            &[3, 3],
            &[1, 1, 3],
            &[3, 5],
        ]);
        let count = dims.iter().product::<i64>();
        let values: Vec<f64> = (0..count)
            .map(|i| f64::from(i32::try_from(i).unwrap()) * 0.75 - 1.0)
            .collect();
        self.sketch.floats(&dims, &values)
    }

    /// One more node; what it makes is a value of `f64` from then on.
    fn grow(&mut self) {
        let x = self.value();
        let made = match self.below(4) {
            0 => self.each(&x),
            1 => self.along(&x),
            2 => self.shaped(&x),
            _ => self.picked(&x),
        };
        self.values.push(made);
    }

    /// One of so many.
    fn any(&mut self, n: u64) -> usize {
        usize::try_from(self.below(n)).unwrap()
    }

    fn list(&mut self, lists: &[&[i64]]) -> Vec<i64> {
        lists[self.any(u64::try_from(lists.len()).unwrap())].to_vec()
    }

    fn other(&mut self) -> String {
        if self.below(2) == 0 {
            self.value()
        } else {
            self.constant()
        }
    }

    /// Element by element, and products.
    fn each(&mut self, x: &str) -> String {
        let y = self.other();
        match self.below(5) {
            0 => {
                let op = ["Relu", "Abs", "Tanh", "Neg", "Identity", "Floor"][self.any(6)];
                self.sketch.op(op, &[x])
            }
            1 => {
                let op = ["Add", "Sub", "Mul", "Max", "Min", "Div"][self.any(6)];
                self.sketch.op(op, &[x, &y])
            }
            2 => {
                let (a, b) = if self.below(2) == 0 {
                    (x, &*y)
                } else {
                    (&*y, x)
                };
                self.sketch.op("MatMul", &[a, b])
            }
            3 => {
                let (a, b) = (self.number(0, 1), self.number(0, 1));
                let z = self.other();
                self.sketch.op_with(
                    "Gemm",
                    &[x, &y, &z],
                    vec![int("transA", a), int("transB", b)],
                )
            }
            _ => {
                let which = self.sketch.op("Greater", &[x, &y]);
                let z = self.other();
                self.sketch.op("Where", &[&which, x, &z])
            }
        }
    }

    /// Along an axis.
    fn along(&mut self, x: &str) -> String {
        let along = self.number(-2, 1);
        let keep = self.number(0, 1);
        match self.below(7) {
            0 => {
                let axes = self.sketch.ints(&[along]);
                self.sketch
                    .op_with("ReduceSum", &[x, &axes], vec![int("keepdims", keep)])
            }
            1 => self.sketch.op_with(
                "ReduceMax",
                &[x],
                vec![ints("axes", &[along]), int("keepdims", keep)],
            ),
            2 => self.sketch.op_with("Softmax", &[x], vec![axis(along)]),
            3 => {
                let at = self.sketch.single(along);
                self.sketch.op("CumSum", &[x, &at])
            }
            4 => {
                let count = self.sketch.ints(&[1]);
                self.sketch
                    .many("TopK", &[x, &count], vec![axis(along)], 2)
                    .remove(0)
            }
            5 => {
                let at =
                    self.sketch
                        .op_with("ArgMax", &[x], vec![axis(along), int("keepdims", keep)]);
                self.sketch.op_with("Cast", &[&at], to(element::DOUBLE))
            }
            _ => {
                // Of the table itself: an axis that is none makes tract 0.23.9 look for a shape for ever.
                let x = self.values[0].clone();
                let scale = self.sketch.floats(&[3], &[1.0, 2.0, 0.5]);
                self.sketch
                    .op_with("LayerNormalization", &[&x, &scale], vec![axis(along)])
            }
        }
    }

    /// Into another shape.
    fn shaped(&mut self, x: &str) -> String {
        let along = self.number(-2, 1);
        match self.below(8) {
            0 => {
                let perm = self.list(&[&[1, 0], &[0, 1], &[0, 2, 1], &[1, 0, 2], &[2, 1, 0]]);
                self.sketch
                    .op_with("Transpose", &[x], vec![ints("perm", &perm)])
            }
            1 | 2 => {
                let shape = self.list(&[
                    &[0, -1],
                    &[-1],
                    &[-1, 3],
                    &[0, 3, 1],
                    &[1, -1, 3],
                    &[-1, 1],
                    &[0, 1, -1],
                    &[3, -1],
                    &[-1, 9],
                    &[0, 0, -1],
                    &[1, 3, -1],
                    &[3, -1, 1],
                ]);
                let shape = self.sketch.ints(&shape);
                self.sketch.op("Reshape", &[x, &shape])
            }
            3 => {
                let axes = self.sketch.ints(&[along]);
                let op = ["Unsqueeze", "Squeeze"][self.any(2)];
                self.sketch.op(op, &[x, &axes])
            }
            4 => {
                let at = self.number(0, 2);
                self.sketch.op_with("Flatten", &[x], vec![axis(at)])
            }
            5 => {
                let times = self.list(&[&[1, 2], &[2, 1], &[1, 1], &[1, 2, 1]]);
                let times = self.sketch.ints(&times);
                self.sketch.op("Tile", &[x, &times])
            }
            6 => {
                let y = self.value();
                let shape = self.sketch.op("Shape", &[&y]);
                let op = ["Expand", "Reshape"][self.any(2)];
                self.sketch.op(op, &[x, &shape])
            }
            _ => {
                let pads = self.list(&[&[0, 1, 0, 0], &[0, 0, 1, 0], &[1, 0, 0, 0], &[0, 1, 0, 1]]);
                let pads = self.sketch.ints(&pads);
                self.sketch.op("Pad", &[x, &pads])
            }
        }
    }

    /// Picked, cut and joined.
    fn picked(&mut self, x: &str) -> String {
        let along = self.number(-2, 1);
        match self.below(6) {
            0 => {
                let y = self.value();
                self.sketch.op_with("Concat", &[x, &y], vec![axis(along)])
            }
            1 => {
                let (from, to) = (self.number(-2, 1), self.number(1, 6));
                let to = if to == 6 { i64::MAX } else { to };
                let three = [from, to, along].map(|n| self.sketch.ints(&[n]));
                self.sketch
                    .op("Slice", &[x, &three[0], &three[1], &three[2]])
            }
            2 => {
                let index = self.list(&[&[0, 1], &[1, 1], &[-1], &[0]]);
                let index = self.sketch.ints(&index);
                self.sketch
                    .op_with("Gather", &[x, &index], vec![axis(along)])
            }
            3 => {
                let y = self.other();
                let at = self.sketch.op_with("ArgMax", &[x], vec![axis(along)]);
                self.sketch
                    .op_with("GatherElements", &[&y, &at], vec![axis(along)])
            }
            4 => {
                let at = self
                    .sketch
                    .op_with("ArgMax", &[x], vec![axis(along), int("keepdims", 0)]);
                let (width, fill) = (
                    self.sketch.ints(&[5]),
                    self.sketch.floats(&[2], &[0.0, 1.0]),
                );
                self.sketch
                    .op_with("OneHot", &[&at, &width, &fill], vec![axis(along)])
            }
            _ => {
                let part = self.any(2);
                self.sketch
                    .many("Split", &[x], vec![axis(along)], 2)
                    .remove(part)
            }
        }
    }
}

fn random(seed: u64) -> (Sketch, String) {
    let mut sketch = Sketch::new();
    let x = sketch.table(&["wage", "age", "a"]);
    let mut all = Random {
        rng: ChaCha20Rng::seed_from_u64(seed),
        sketch,
        values: vec![x],
    };
    for _ in 0..1 + seed % 5 {
        all.grow();
    }
    let last = all.values.last().unwrap().clone();
    let mut sketch = all.sketch;
    let out = sketch.op("Identity", &[&last]);
    (sketch, out)
}

/// Five records of three numbers, no two alike.
fn records() -> Vec<[f64; 3]> {
    vec![
        [1.5, -2.0, 7.0],
        [0.25, 11.0, -3.0],
        [-8.0, 0.5, 0.75],
        [4.0, 4.5, -6.5],
        [-1.25, 9.0, 2.0],
    ]
}

/// The graph on some records; `None` where the runtime cannot run it.
fn run(loaded: &mut Loaded, records: &[[f64; 3]]) -> Option<Tensor> {
    let x = Tensor::new(vec![records.len(), 3], TensorData::F64(records.concat())).unwrap();
    let inputs = vec![Input::Given(&x); loaded.graph.inputs.len()];
    loaded.run(&inputs, &[]).ok()?.remove(0)
}

/// Whether each record gives the same alone as in the batch; `None` where the graph does not run.
fn alike(runtime: &dyn Runtime, sketch: &Sketch, output: &str) -> Option<bool> {
    let mut loaded = Loaded::new(runtime, sketch.checked(&[output])).ok()?;
    let all = records();
    let batch = run(&mut loaded, &all)?;
    let block = batch.shape().get(1..)?.to_vec();
    if batch.shape().first() != Some(&RECORDS) {
        return Some(false);
    }
    let numbers = crate::convert::widen(&batch);
    let length = numbers.len() / RECORDS;
    for (index, record) in all.iter().enumerate() {
        let Some(alone) = run(&mut loaded, &[*record]) else {
            return Some(false);
        };
        let expected = [vec![1], block.clone()].concat();
        let close = |a: f64, b: f64| {
            a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
        };
        let own = &numbers[index * length..(index + 1) * length];
        let same = crate::convert::widen(&alone)
            .iter()
            .zip(own)
            .all(|(a, b)| close(*a, *b));
        if alone.shape() != expected || !same {
            return Some(false);
        }
    }
    Some(true)
}

#[test]
fn what_is_proven_is_the_same_alone_and_in_a_batch() {
    let runtimes = runtimes();
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    let graphs = std::env::var("GRAPHS").ok().and_then(|n| n.parse().ok());
    for seed in 0..graphs.unwrap_or(GRAPHS) {
        let (sketch, output) = random(seed);
        let proof = sketch.proof(&[&output]);
        for runtime in &runtimes {
            let outcome = alike(&**runtime, &sketch, &output);
            let kind = match (&proof, outcome) {
                (_, None) => "does not run",
                (Ok(_), Some(true)) => "proven and alike",
                (Ok(_), Some(false)) => panic!(
                    "seed {seed}, {}: proven, and not alike",
                    runtime.info().name
                ),
                (Err(_), Some(true)) => "alike and unproven",
                (Err(_), Some(false)) => "mixed and unproven",
            };
            *counts.entry(kind).or_default() += 1;
        }
    }
    eprintln!("{} runtimes: {counts:?}", runtimes.len());
    if !runtimes.is_empty() {
        assert!(counts["proven and alike"] >= 60, "{counts:?}");
        assert!(counts["mixed and unproven"] >= 60, "{counts:?}");
        // The rules refuse little of what is harmless.
        assert!(
            counts["alike and unproven"] < counts["proven and alike"],
            "{counts:?}"
        );
    }
}
