//! The driver with a graph of its own on each runtime: batches of any size make one sum, and a record that fails is left out alone.

mod noised;

use std::collections::BTreeMap;

use super::*;
use crate::convert::widen;
use crate::guard::CheckedGraph;
use crate::records::tests::{Sketch, axis, runtimes};
use delta_domain::manifest::{Contribution, Driver, Written};
use delta_domain::tensor::DType;

/// Rows of a table in memory.
struct Memory(BTreeMap<String, Vec<f64>>);

impl Rows for Memory {
    fn len(&self) -> usize {
        self.0["wage"].len()
    }

    fn read(&mut self, field: &DataField, rows: &[usize]) -> Result<Tensor, Failure> {
        let (names, whole) = match field {
            DataField::Columns(names) => (names.clone(), false),
            DataField::ColumnI64(name) => (vec![name.clone()], true),
            _ => return Err(Failure::internal("no such field")),
        };
        let all = rows.iter().flat_map(|r| names.iter().map(move |n| (r, n)));
        let numbers: Vec<f64> = all.map(|(r, n)| self.0[n][*r]).collect();
        if !whole {
            return Ok(
                Tensor::new(vec![rows.len(), names.len()], TensorData::F64(numbers)).unwrap(),
            );
        }
        let odd = numbers.iter().any(|n| n.fract() != 0.0);
        if odd {
            return Err(Failure::corrupt("not whole"));
        }
        let numbers = numbers.iter().map(|n| *n as i64).collect();
        Ok(Tensor::new(vec![rows.len()], TensorData::I64(numbers)).unwrap())
    }
}

fn memory(sex: &[f64]) -> Memory {
    let wage = (0..sex.len()).map(|i| 100.0 + i as f64).collect();
    Memory(BTreeMap::from([
        ("wage".to_owned(), wage),
        ("sex".to_owned(), sex.to_vec()),
    ]))
}

/// Makes the task declare of this step what its graph makes of a record that is fit for it.
fn declare(manifest: &mut Manifest, step: &Step, loaded: &mut Loaded) {
    let scope = noised::scope();
    let mut shapes = [0.0, 9.0].into_iter().filter_map(|sex| {
        let mut data = memory(&[sex]);
        let mut made = BTreeMap::new();
        for port in &loaded.graph.inputs {
            if let Source::Data { field, .. } = source(step, port).unwrap() {
                made.insert(port.name.clone(), data.read(field, &[0]).ok()?);
            }
        }
        let outputs = execute(loaded, step, &scope, &made).ok()?;
        let blocks = blocks(step, &loaded.graph.outputs, &outputs, 1).ok()?;
        let shapes = blocks.into_iter().map(|(o, b)| (o, b.shape));
        Some(shapes.collect::<Shapes>())
    });
    let layout = Layout::of(step, &shapes.next().unwrap()).unwrap();
    let plain = layout
        .plain
        .into_iter()
        .map(|(_, name, shape)| (name, shape));
    let products = layout.products.into_iter();
    let products = products.map(|p| (p.name, vec![p.shape.0, p.shape.1]));
    let map = &mut manifest.rounds[0].map;
    map.steps = vec![step.clone()];
    map.contribute = plain
        .chain(products)
        .map(|(name, shape)| Contribution {
            name,
            dtype: DType::F64,
            shape,
            written: Written::Fixed,
        })
        .collect();
}

fn graph(sketch: &Sketch, output: &str) -> (CheckedGraph, Step) {
    let step = serde_json::from_value(sketch.step(&[output])).unwrap();
    (sketch.checked(&[output]), step)
}

/// As [`sums`], of a step with noise.
fn noised(
    sketch: &Sketch,
    output: &str,
    data: &mut Memory,
    size: usize,
) -> Vec<Result<Vec<f64>, Failure>> {
    run_with(sketch, output, data, (size, true), with_noise)
}

fn with_noise(spec: &mut Records) {
    let noise = r#"{"multiplier": "1", "delta": 1e-6}"#;
    spec.clip = serde_json::from_str(r#"{"l2": 1000.0}"#).unwrap();
    spec.noise = serde_json::from_str(noise).unwrap();
}

/// The sum, with so many records a batch; on every runtime, which must agree.
fn sums(
    sketch: &Sketch,
    output: &str,
    data: &mut Memory,
    size: usize,
    unit: bool,
) -> Vec<Result<Vec<f64>, Failure>> {
    run_with(sketch, output, data, (size, false), |spec| {
        if unit {
            spec.unit = serde_json::from_str(r#"{"key": "sex"}"#).unwrap();
        }
    })
}

fn run_with(
    sketch: &Sketch,
    output: &str,
    data: &mut Memory,
    form: (usize, bool),
    change: impl Fn(&mut Records),
) -> Vec<Result<Vec<f64>, Failure>> {
    let (graph, step) = graph(sketch, output);
    let mut manifest = sketch.task(sketch.step(&[output]), &[output]);
    let Driver::Records(mut spec) = step.driver.clone() else {
        panic!()
    };
    change(&mut spec);
    runtimes()
        .iter()
        .map(|runtime| {
            let mut loaded = Loaded::new(&**runtime, graph.clone()).unwrap();
            declare(&mut manifest, &step, &mut loaded);
            let scope = Scope {
                variables: BTreeMap::new(),
                sums: BTreeMap::new(),
                clients: 0,
                noise: None,
                values: BTreeMap::new(),
            };
            let done = sized(
                &mut loaded,
                &step,
                &spec,
                Limits {
                    manifest: &manifest,
                    precision: 3,
                    rules: None,
                    table: None,
                },
                &scope,
                data,
                form,
            )?;
            assert_eq!(done.rows, data.len() as u64);
            let (_, value) = done.values.into_iter().next().unwrap();
            assert_eq!(value.dtype(), DType::F64);
            Ok(widen(&value))
        })
        .collect()
}

#[test]
fn the_sum_does_not_depend_on_batches() {
    let mut sketch = Sketch::new();
    let x = sketch.table(&["wage", "sex"]);
    let y = sketch.op("Mul", &[&x, &sketch.floats(&[2], &[0.1234567, 2.0])]);
    let sex: Vec<f64> = (0..23).map(|i| f64::from(i % 2)).collect();
    for size in [1, 2, 5, 7, 23, 100] {
        for unit in [false, true] {
            for sum in sums(&sketch, &y, &mut memory(&sex), size, unit) {
                // Each record is rounded to three digits by itself.
                let expected: f64 = (0..23)
                    .map(|i| ((100.0 + f64::from(i)) * 123.4567).round_ties_even())
                    .sum();
                assert_eq!(sum.unwrap(), [expected / 1000.0, 22.0], "{size}");
            }
        }
    }
}

#[test]
fn a_record_that_ends_its_run_is_left_out_by_itself() {
    let mut sketch = Sketch::new();
    let sex = sketch.column("sex");
    let y = sketch.op_with(
        "Gather",
        &[&sketch.floats(&[2, 1], &[1.0, 10.0]), &sex],
        vec![axis(0)],
    );
    // An index outside, and a cell that is no whole number.
    let cells = [0.0, 1.0, 99.0, 1.0, 0.5, 0.0, 1.0];
    for size in [1, 3, 7] {
        for sum in noised(&sketch, &y, &mut memory(&cells), size) {
            assert_eq!(sum.unwrap(), [32.0], "{size}");
        }
        // Without noise a sum that is silently about fewer records would be wrong.
        for sum in sums(&sketch, &y, &mut memory(&cells), size, false) {
            assert!(sum.is_err(), "{size}");
        }
    }
    for sum in sums(&sketch, &y, &mut memory(&[9.0, 9.5]), 2, false) {
        assert!(sum.is_err(), "no record is left");
    }
}

#[test]
fn an_output_must_count_the_records() {
    let mut sketch = Sketch::new();
    let x = sketch.table(&["wage"]);
    let y = sketch.op_with("ReduceSum", &[&x, &sketch.ints(&[0])], vec![]);
    for sum in sums(&sketch, &y, &mut memory(&[0.0; 4]), 4, false) {
        assert!(
            sum.unwrap_err()
                .message
                .contains("its first axis must count them")
        );
    }
    assert!(
        sums(&sketch, &y, &mut memory(&[]), 4, false)
            .iter()
            .all(Result::is_err)
    );
}

#[test]
fn a_batch_fits_its_bytes() {
    let mut sketch = Sketch::new();
    let x = sketch.table(&["wage", "sex"]);
    let y = sketch.op("Relu", &[&x]);
    let (graph, step) = graph(&sketch, &y);
    assert_eq!(
        batch_size(&step, &graph.inputs, &graph.outputs),
        BATCH_RECORDS
    );
    let mut wide = graph.inputs.clone();
    wide[0].dims = Some(vec![None, Some(1 << 16)]);
    assert_eq!(batch_size(&step, &wide, &graph.outputs), 1);
    wide[0].dims = Some(vec![None, Some(1 << 10)]);
    assert_eq!(batch_size(&step, &wide, &[]), 127);
}
