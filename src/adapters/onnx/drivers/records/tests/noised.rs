//! Under noise: each record at its place among blanks, products of vectors, and when records go alone.

use serde_json::json;

use super::*;
use crate::convert::widen;
use crate::records::tests::{int, ints};
use crate::runtime::Runtime;

/// A step with noise of this graph on a runtime, and what it is asked.
struct Noised {
    loaded: Loaded,
    step: Step,
    spec: Records,
    manifest: Manifest,
}

impl Noised {
    fn new(sketch: &Sketch, outputs: &[&str], runtime: &dyn Runtime) -> Self {
        let step: Step = serde_json::from_value(sketch.step(outputs)).unwrap();
        let Driver::Records(mut spec) = step.driver.clone() else {
            panic!()
        };
        with_noise(&mut spec);
        let mut made = Self {
            loaded: Loaded::new(runtime, sketch.checked(outputs)).unwrap(),
            step,
            spec,
            manifest: sketch.task(sketch.step(outputs), outputs),
        };
        made.declare();
        made
    }

    /// The task says what the step is.
    fn declare(&mut self) {
        declare(&mut self.manifest, &self.step, &mut self.loaded);
    }

    /// Whether batches of so many places would be used.
    fn keeps(&mut self, size: usize) -> bool {
        let manifest = self.manifest.clone();
        let limits = limits(&manifest);
        keeps_places(
            &mut self.loaded,
            &self.step,
            &self.spec,
            limits,
            &scope(),
            size,
        )
        .unwrap()
    }

    /// The one sum, of batches of this form; 0 where no record is left.
    fn sum(&mut self, sex: &[f64], form: (usize, bool)) -> f64 {
        let manifest = self.manifest.clone();
        let limits = limits(&manifest);
        let scope = scope();
        let data = &mut memory(sex);
        let done = sized(
            &mut self.loaded,
            &self.step,
            &self.spec,
            limits,
            &scope,
            data,
            form,
        );
        done.map_or(0.0, |done| {
            done.values.values().map(|sum| widen(sum)[0]).sum()
        })
    }

    /// Sums by name, as the driver makes them.
    fn run(&mut self, data: &mut Memory) -> BTreeMap<String, Tensor> {
        let manifest = self.manifest.clone();
        let limits = limits(&manifest);
        run(
            &mut self.loaded,
            &self.step,
            &self.spec,
            limits,
            &scope(),
            data,
        )
        .unwrap()
        .values
        .into_iter()
        .map(|(name, sum)| (name.to_string(), sum))
        .collect()
    }
}

fn limits(manifest: &Manifest) -> Limits<'_> {
    Limits {
        manifest,
        precision: 8,
        rules: None,
        table: None,
    }
}

pub(super) fn scope() -> Scope {
    Scope {
        variables: BTreeMap::new(),
        sums: BTreeMap::new(),
        clients: 0,
        noise: None,
        values: BTreeMap::new(),
    }
}

/// The wage times 0.1234567.
fn simple() -> (Sketch, String) {
    let mut sketch = Sketch::new();
    let x = sketch.table(&["wage", "sex"]);
    let y = sketch.op("Mul", &[&x, &sketch.floats(&[2], &[0.1234567, 2.0])]);
    (sketch, y)
}

#[test]
fn blanks_add_nothing() {
    // A constant for each record: a blank would count.
    let mut sketch = Sketch::new();
    let x = sketch.table(&["wage"]);
    let zeros = sketch.op("Mul", &[&x, &sketch.floats(&[1], &[0.0])]);
    let y = sketch.op("Add", &[&zeros, &sketch.floats(&[1], &[1.0])]);
    for size in [1, 2, 4, 7, 64] {
        for sum in noised(&sketch, &y, &mut memory(&[0.0; 5]), size) {
            assert_eq!(sum.unwrap(), [5.0], "{size}");
        }
    }
}

#[test]
fn records_go_alone_where_batches_could_tell_of_others() {
    for runtime in runtimes() {
        let (sketch, y) = simple();
        let mut good = Noised::new(&sketch, &[&y], &*runtime);
        assert!(good.keeps(64));
        // Persons' places would hang on other persons.
        good.spec.unit = serde_json::from_str(r#"{"key": "sex"}"#).unwrap();
        assert!(!good.keeps(64));

        // Records are mixed, which alone they cannot be.
        let mut mixing = Sketch::new();
        let x = mixing.table(&["wage"]);
        let all = mixing.op_with(
            "ReduceSum",
            &[&x, &mixing.ints(&[0])],
            vec![int("keepdims", 1)],
        );
        let y = mixing.op("Add", &[&x, &all]);
        let mut mixing = Noised::new(&mixing, &[&y], &*runtime);
        assert!(!mixing.keeps(64));
        let sums = mixing.run(&mut memory(&[0.0; 3]));
        assert_eq!(widen(&sums[y.as_str()]), [606.0]);

        // What fails on blanks would fail for a record that is not there.
        let mut fragile = Sketch::new();
        let sex = fragile.column("sex");
        let index = fragile.op("Sub", &[&sex, &fragile.ints(&[9])]);
        let y = fragile.op_with(
            "Gather",
            &[&fragile.floats(&[2, 1], &[1.0, 10.0]), &index],
            vec![axis(0)],
        );
        let mut fragile = Noised::new(&fragile, &[&y], &*runtime);
        assert!(!fragile.keeps(64));
        let sums = fragile.run(&mut memory(&[9.0, 10.0, 3.0, 10.0]));
        assert_eq!(widen(&sums[y.as_str()]), [21.0]);
    }
}

#[test]
fn two_outputs_are_one_product() {
    let mut sketch = Sketch::new();
    let x = sketch.table(&["wage", "sex"]);
    let sex = sketch.table(&["sex"]);
    let left = sketch.op("Mul", &[&x, &sketch.floats(&[2], &[0.01, 1.0])]);
    let right = sketch.op("Mul", &[&sex, &sketch.floats(&[3], &[1.0, -2.0, 0.5])]);
    let plain = sketch.op("Mul", &[&sex, &sketch.floats(&[1], &[0.25])]);
    let sex: Vec<f64> = (0..70).map(|i| f64::from(i % 3)).collect();
    for runtime in runtimes() {
        let mut step = Noised::new(&sketch, &[&left, &right, &plain], &*runtime);
        for (output, to) in [(&left, "left"), (&right, "right")] {
            let target = json!({"to": to, "name": "both"});
            let target = serde_json::from_value(target).unwrap();
            step.step.outputs.insert(output.clone(), target);
        }
        step.declare();
        let sums = step.run(&mut memory(&sex));
        assert_eq!(sums.len(), 2);
        assert_eq!(widen(&sums[plain.as_str()]), [17.25]);
        let both = &sums["both"];
        assert_eq!(both.shape(), [2, 3]);
        let of = |f: fn(f64, f64) -> f64| -> f64 {
            let rows = sex.iter().enumerate();
            rows.map(|(i, s)| f(100.0 + i as f64, *s)).sum()
        };
        let (a, b) = (of(|w, s| 0.01 * w * s), of(|_, s| s * s));
        for (x, expected) in widen(both)
            .iter()
            .zip([a, -2.0 * a, a / 2.0, b, -2.0 * b, b / 2.0])
        {
            assert!((x - expected).abs() < 1e-4, "{x} {expected}");
        }
    }
}

/// A network of a layer, activations, a norm and a softmax, to a vector for each record.
fn network() -> (Sketch, Vec<String>) {
    let mut sketch = Sketch::new();
    let x = sketch.table(&["wage", "sex"]);
    let number = |i: u32| f64::from(i * 7919 % 211) / 97.0 - 1.0;
    let weights: Vec<f64> = (0..26).map(number).collect();
    let h = sketch.op("MatMul", &[&x, &sketch.floats(&[2, 13], &weights)]);
    let a = sketch.op("Tanh", &[&h]);
    let e = sketch.op("Exp", &[&h]);
    let back: Vec<f64> = (0..91).map(number).collect();
    let g = sketch.op("MatMul", &[&a, &sketch.floats(&[13, 7], &back)]);
    let s = sketch.op_with("Softmax", &[&g], vec![axis(1)]);
    let r = sketch.op_with(
        "ReduceMean",
        &[&e],
        vec![ints("axes", &[1]), int("keepdims", 1)],
    );
    let d = sketch.op("Div", &[&e, &r]);
    (sketch, vec![s, d, g])
}

#[test]
fn a_record_becomes_the_same_whatever_stands_at_other_places() {
    let (sketch, outputs) = network();
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let hostile = [
        0.0,
        -0.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        5e-324,
        -1e-310,
        1e308,
        -1e308,
        1e-200,
        0.5,
        700.0,
        -745.0,
    ];
    for runtime in runtimes() {
        let mut step = Noised::new(&sketch, &outputs, &*runtime);
        assert!(step.keeps(16));
        let made = |numbers: &[f64]| {
            let input = Tensor::new(vec![16, 2], TensorData::F64(numbers.to_vec())).unwrap();
            let read = BTreeMap::from([("x0".to_owned(), input)]);
            let made = execute(&mut step.loaded, &step.step, &scope(), &read).unwrap();
            let blocks = blocks(&step.step, &step.loaded.graph.outputs, &made, 16).unwrap();
            let shapes = blocks.iter().map(|(o, b)| (o.clone(), b.shape.clone()));
            let layout = Layout::of(&step.step, &shapes.collect()).unwrap();
            let rows = (0..16).map(|place| {
                let mut row = Vec::new();
                layout.plain(&blocks, &[place], &mut row);
                row.into_iter().map(f64::to_bits).collect::<Vec<_>>()
            });
            rows.collect::<Vec<_>>()
        };
        every_place_by_itself(made, &hostile);
    }
}

/// Each place's bits among blanks, and among hostile numbers that change.
fn every_place_by_itself(mut made: impl FnMut(&[f64]) -> Vec<Vec<u64>>, hostile: &[f64]) {
    let own = |place: usize| [0.1 + place as f64 / 7.0, -1.3 * place as f64];
    for place in 0..16 {
        let mut alone = vec![0.0; 32];
        alone[2 * place..2 * place + 2].copy_from_slice(&own(place));
        let expected = made(&alone).swap_remove(place);
        for turn in 0..hostile.len() {
            let mut crowd: Vec<f64> = (0..32)
                .map(|i| hostile[(i * 5 + turn) % hostile.len()])
                .collect();
            crowd[2 * place..2 * place + 2].copy_from_slice(&own(place));
            assert_eq!(made(&crowd)[place], expected, "place {place}, turn {turn}");
        }
    }
}

/// Taking a record's place away leaves what the others add as it is, to the last bit, also where records fail.
#[test]
fn a_blank_in_place_of_a_record_changes_nothing_else() {
    let mut sketch = Sketch::new();
    let index = sketch.column("sex");
    let wage = sketch.table(&["wage"]);
    let table = sketch.floats(&[2, 1], &[0.1, 10.0]);
    let picked = sketch.op_with("Gather", &[&table, &index], vec![axis(0)]);
    let logs = sketch.op("Log", &[&wage]);
    let y = sketch.op("Mul", &[&picked, &logs]);
    for runtime in runtimes() {
        let mut step = Noised::new(&sketch, &[&y], &*runtime);
        assert!(step.keeps(8));
        for case in 0..40_usize {
            let kinds = [0.0, 1.0, 1.0, 0.0, 99.0, 0.5, 1.0];
            let sex: Vec<f64> = (0..=case)
                .map(|i| kinds[(i * (case + 3) + case) % 7])
                .collect();
            let which = case * 7 % sex.len();
            // A record that fails adds nothing, as a blank does.
            let (mut without, mut alone) = (sex.clone(), vec![99.0; sex.len()]);
            without[which] = 99.0;
            alone[which] = sex[which];
            let mut steps = |sex: &[f64]| (step.sum(sex, (8, true)) * 1e8).round() as i64;
            assert_eq!(steps(&sex) - steps(&without), steps(&alone), "case {case}");
        }
    }
}

/// A graph that makes something of another shape of one record, or of nobody's: as it stands alone or first, or is all there is. The others'
/// sum is the same with and without it, and where nothing is left it is zeros and no failure: a failure would be heard in every sum.
#[test]
fn no_record_and_no_want_of_one_makes_a_step_fail() {
    let mut sketch = Sketch::new();
    let sex = sketch.column("sex");
    let wage = sketch.table(&["wage"]);
    let usual = sketch.op("Less", &[&sex, &sketch.ints(&[5])]);
    let y = sketch.op_with("Compress", &[&wage, &usual], vec![axis(0)]);
    let mut wide = Sketch::new();
    let column = wide.column("sex");
    let wage = wide.table(&["wage"]);
    let both = wide.op_with("Concat", &[&wage, &wage], vec![axis(1)]);
    let odd = wide.op("Greater", &[&column, &wide.ints(&[5])]);
    let first = wide.op("Equal", &[&column, &column]);
    let kept = wide.op_with("Concat", &[&first, &odd], vec![axis(0)]);
    let z = wide.op_with("Compress", &[&both, &kept], vec![axis(1)]);
    // An index outside, on each runtime.
    let mut narrow = Sketch::new();
    let index = narrow.column("sex");
    let wage = narrow.table(&["wage"]);
    let ones = narrow.floats(&[3, 1], &[1.0; 3]);
    let picked = narrow.op_with("Gather", &[&ones, &index], vec![axis(0)]);
    let w = narrow.op("Mul", &[&picked, &wage]);
    for runtime in runtimes() {
        let forms = [(&narrow, &w), (&sketch, &y), (&wide, &z)];
        // The other runtime has no such operator.
        let known = match runtime.info().name.as_str() {
            "onnxruntime" => 3,
            _ => 1,
        };
        for (sketch, output) in forms.into_iter().take(known) {
            let mut step = Noised::new(sketch, &[output], &*runtime);
            for (sex, expected) in [
                (&[0.0, 1.0, 2.0][..], 303.0),
                (&[9.0, 1.0, 2.0], 203.0),
                (&[0.0, 1.0, 9.0], 201.0),
                (&[9.0], 0.0),
                (&[], 0.0),
            ] {
                let sums = step.run(&mut memory(sex));
                assert_eq!(widen(&sums[output.as_str()]), [expected], "{sex:?}");
            }
        }
    }
}
