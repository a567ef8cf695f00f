//! CPU time of the calling thread, memory of the process, the machine's name, medians.

use std::time::Instant;

/// Seconds of CPU time that `work` takes on this thread, and its answer. Wall time where the system does not tell.
pub fn seconds<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let (start, wall) = (on_cpu(), Instant::now());
    let answer = work();
    let time = match (start, on_cpu()) {
        (Some(start), Some(end)) => (end - start) as f64 * 1e-9,
        _ => wall.elapsed().as_secs_f64(),
    };
    (answer, time)
}

/// Seconds on the wall.
pub fn wall<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let answer = work();
    (answer, start.elapsed().as_secs_f64())
}

/// Nanoseconds this thread has run, so that other processes do not count. Linux brings the number up to date at a yield.
fn on_cpu() -> Option<u64> {
    std::thread::yield_now();
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()?
        .split(' ')
        .next()?
        .parse()
        .ok()
}

/// Bytes of memory the process has resident.
pub fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().split(' ').next()?.parse().ok());
    1024 * kib.unwrap_or(0_u64)
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Model and flags of the processor, cores and load of the machine.
pub fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        info.lines()
            .find(|l| l.starts_with(name))
            .and_then(|l| l.split_once(": "))
            .map_or("unknown", |(_, v)| v)
            .to_owned()
    };
    let flags = field("flags");
    let known: Vec<&str> = flags
        .split(' ')
        .filter(|f| ["aes", "vaes", "avx2", "avx512f", "sha_ni", "bmi2", "adx"].contains(f))
        .collect();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "{} [{}], {} cores, load {} when it began",
        field("model name"),
        known.join(" "),
        delta_node::app::parallel::cores(),
        load.split(' ').next().unwrap_or("unknown")
    )
}
