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
const GRAPHS: u64 = 600;

/// All runtimes of this machine.
pub(crate) fn runtimes() -> Vec<Box<dyn Runtime>> {
    let mut found: Vec<Box<dyn Runtime>> = start(&RuntimeChoice::Tract, 1).into_iter().collect();
    #[expect(clippy::disallowed_methods, reason = "where the library is")]
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
        let dims = [
            vec![],
            vec![3],
            vec![1, 3],
            vec![5, 1],
            vec![1],
            vec![3, 3],
            vec![1, 1, 3],
            vec![3, 5],
        ];
        let dims = dims[usize::try_from(self.below(8)).unwrap()].clone();
        let count = dims.iter().product::<i64>();
        let values: Vec<f64> = (0..count)
            .map(|i| f64::from(i32::try_from(i).unwrap()) * 0.75 - 1.0)
            .collect();
        self.sketch.floats(&dims, &values)
    }

    /// One more node; what it makes is a value of `f64` from then on.
    fn grow(&mut self) {
        let x = self.value();
        let along = self.number(-2, 1);
        let ends = |g: &Sketch, a: i64| g.ints(&[a]);
        let made = match self.below(24) {
            0 => {
                let ops = ["Relu", "Abs", "Tanh", "Neg", "Identity", "Floor"];
                let op = ops[usize::try_from(self.below(6)).unwrap()];
                self.sketch.op(op, &[&x])
            }
            1..=3 => {
                let y = if self.below(2) == 0 {
                    self.value()
                } else {
                    self.constant()
                };
                let ops = ["Add", "Sub", "Mul", "Max", "Min"];
                let op = ops[usize::try_from(self.below(5)).unwrap()];
                self.sketch.op(op, &[&x, &y])
            }
            4 | 5 => {
                let y = if self.below(2) == 0 {
                    self.value()
                } else {
                    self.constant()
                };
                let (a, b) = if self.below(2) == 0 {
                    (&x, &y)
                } else {
                    (&y, &x)
                };
                self.sketch.op("MatMul", &[a, b])
            }
            6 => {
                let axes = ends(&self.sketch, along);
                self.sketch.op_with(
                    "ReduceSum",
                    &[&x, &axes],
                    vec![int("keepdims", i64::from(along != 1))],
                )
            }
            7 => self
                .sketch
                .op_with("ReduceMax", &[&x], vec![ints("axes", &[along])]),
            8 => self.sketch.op_with("Softmax", &[&x], vec![axis(along)]),
            9 => {
                let at = self.sketch.single(along);
                self.sketch.op("CumSum", &[&x, &at])
            }
            10 => {
                let perms = [
                    vec![1, 0],
                    vec![0, 1],
                    vec![0, 2, 1],
                    vec![1, 0, 2],
                    vec![2, 1, 0],
                ];
                let perm = perms[usize::try_from(self.below(5)).unwrap()].clone();
                self.sketch
                    .op_with("Transpose", &[&x], vec![ints("perm", &perm)])
            }
            11 | 12 => {
                let shapes = [
                    vec![0, -1],
                    vec![-1],
                    vec![-1, 3],
                    vec![0, 3, 1],
                    vec![1, -1, 3],
                    vec![-1, 1],
                    vec![0, 1, -1],
                    vec![3, -1],
                    vec![-1, 9],
                    vec![0, 0, -1],
                ];
                let shape = shapes[usize::try_from(self.below(10)).unwrap()].clone();
                let shape = self.sketch.ints(&shape);
                self.sketch.op("Reshape", &[&x, &shape])
            }
            13 => {
                let axes = ends(&self.sketch, along);
                self.sketch.op("Unsqueeze", &[&x, &axes])
            }
            14 => {
                let y = self.value();
                self.sketch.op_with("Concat", &[&x, &y], vec![axis(along)])
            }
            15 => {
                let (from, to) = (self.number(-2, 1), self.number(1, 6));
                let to = if to == 6 { i64::MAX } else { to };
                let three = [from, to, along].map(|n| self.sketch.ints(&[n]));
                self.sketch
                    .op("Slice", &[&x, &three[0], &three[1], &three[2]])
            }
            16 => {
                let index = self.sketch.ints(&[i64::from(self.rng.next_u32() % 2), 1]);
                self.sketch
                    .op_with("Gather", &[&x, &index], vec![axis(along)])
            }
            17 => {
                let at = self.number(0, 2);
                self.sketch.op_with("Flatten", &[&x], vec![axis(at)])
            }
            18 => {
                let parts =
                    self.sketch
                        .many("TopK", &[&x, &self.sketch.ints(&[1])], vec![axis(along)], 2);
                parts[0].clone()
            }
            19 => {
                let at =
                    self.sketch
                        .op_with("ArgMax", &[&x], vec![axis(along), int("keepdims", 1)]);
                self.sketch.op_with("Cast", &[&at], to(element::DOUBLE))
            }
            20 => {
                let y = self.value();
                let which = self.sketch.op("Greater", &[&x, &y]);
                let z = self.constant();
                self.sketch.op("Where", &[&which, &x, &z])
            }
            21 => {
                let times = self
                    .sketch
                    .ints(&[1 + i64::from(self.rng.next_u32() % 2), 2]);
                self.sketch.op("Tile", &[&x, &times])
            }
            22 => {
                let y = self.value();
                let shape = self.sketch.op("Shape", &[&y]);
                self.sketch.op("Expand", &[&x, &shape])
            }
            _ => {
                let (a, b) = (self.number(0, 1), self.number(0, 1));
                let pads = self.sketch.ints(&[a, 1, b, 0]);
                self.sketch.op("Pad", &[&x, &pads])
            }
        };
        self.values.push(made);
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
    for seed in 0..GRAPHS {
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
