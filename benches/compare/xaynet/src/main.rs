//! CPU time of one member of xaynet that masks its numbers, for `../xaynet.py`; a line of JSON for each number of values.
//!
//! The steps of its update participant: numbers to its own model of fractions, one mask over them, the bytes it sends. The masking
//! configuration is that of its `configs/config.toml`. The masked model is unmasked again, and compared, once a length.

use std::hint::black_box;
use std::time::Instant;

use xaynet_core::mask::{
    Aggregation, BoundType, DataType, FromPrimitives, GroupType, IntoPrimitives, MaskConfig,
    Masker, Model, ModelType,
};
use xaynet_core::message::ToBytes;

const CONFIG: MaskConfig = MaskConfig {
    group_type: GroupType::Prime,
    data_type: DataType::F32,
    bound_type: BoundType::B0,
    model_type: ModelType::M3,
};
const RUNS: usize = 3;

fn main() {
    for d in [100_000, 1_000_000] {
        let values: Vec<f32> = (0..d).map(|i| (i as f32).sin()).collect();
        check(&values);
        let runs: Vec<[f64; 3]> = (0..RUNS).map(|_| member(&values)).collect();
        let [model, mask, bytes] = [0, 1, 2].map(|i| median(runs.iter().map(|r| r[i]).collect()));
        let all = median(runs.iter().map(|r| r.iter().sum()).collect());
        println!(
            "{{\"d\": {d}, \"member\": {all}, \"model\": {model}, \"mask\": {mask}, \"bytes\": {bytes}}}"
        );
    }
}

/// Seconds for the model, its mask and the bytes of the masked model.
fn member(values: &[f32]) -> [f64; 3] {
    let (model, first) =
        seconds(|| Model::from_primitives_bounded(black_box(values).iter().copied()));
    let ((_, masked), second) = seconds(|| Masker::new(CONFIG.into()).mask(1.0, &model));
    // Written once before, so that the system's clearing of fresh pages is not counted.
    let mut buffer = vec![1; masked.buffer_length()];
    let ((), third) = seconds(|| masked.to_bytes(black_box(&mut buffer)));
    [first, second, third]
}

/// Unmasks one masked model and compares.
fn check(values: &[f32]) {
    let model = Model::from_primitives_bounded(values.iter().copied());
    let (seed, masked) = Masker::new(CONFIG.into()).mask(1.0, &model);
    let mask = seed.derive_mask(values.len(), CONFIG.into());
    let unmasked = Aggregation::from(masked).unmask(mask);
    let back: Vec<f32> = unmasked.into_primitives_unchecked().collect();
    let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-6;
    assert!(back.len() == values.len() && back.iter().zip(values).all(close));
}

/// The answer of `work` and the CPU seconds of this thread that it takes, as in `benches/secagg_world/clock.rs`.
fn seconds<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let (start, wall) = (on_cpu(), Instant::now());
    let answer = work();
    let time = match (start, on_cpu()) {
        (Some(start), Some(end)) => (end - start) as f64 * 1e-9,
        _ => wall.elapsed().as_secs_f64(),
    };
    (answer, time)
}

/// Nanoseconds this thread has run. Linux brings the number up to date at a yield.
fn on_cpu() -> Option<u64> {
    std::thread::yield_now();
    let all = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    all.split(' ').next()?.parse().ok()
}

/// The middle one.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
