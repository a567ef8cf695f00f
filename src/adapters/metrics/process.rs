//! The process itself, under the names that every Prometheus client uses. Where there is no `/proc` it says nothing but when it started.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// What is there only where it can be read.
pub(crate) type Maybe<G = Gauge> = Family<[(&'static str, &'static str); 0], G>;

#[derive(Debug, Default)]
pub(crate) struct Process {
    memory: Maybe,
    open_files: Maybe,
    most_files: Maybe,
    processor: Maybe<Counter<f64, AtomicU64>>,
}

impl Process {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let started = Gauge::<f64, AtomicU64>::default();
        #[expect(
            clippy::disallowed_methods,
            reason = "when the process began, for whoever reads it; nothing is decided by it"
        )]
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        started.set(since.unwrap_or_default().as_secs_f64());
        let help = "When this process started, since the beginning of 1970";
        registry.register_with_unit("process_start_time", help, Unit::Seconds, started);
        let help = "Memory of this process, without its workers'";
        let memory = self.memory.clone();
        registry.register_with_unit("process_resident_memory", help, Unit::Bytes, memory);
        let help = "Files and connections that this process has open";
        registry.register("process_open_fds", help, self.open_files.clone());
        let help = "Files and connections that this process may have open";
        registry.register("process_max_fds", help, self.most_files.clone());
        let help = "Processor time of this process, without its workers'";
        let processor = self.processor.clone();
        registry.register_with_unit("process_cpu", help, Unit::Seconds, processor);
    }

    pub(crate) fn set(&self) {
        let set = |gauge: &Maybe, value: Option<i64>| {
            gauge.clear();
            if let Some(value) = value {
                gauge.get_or_create(&[]).set(value);
            }
        };
        set(&self.memory, memory());
        set(&self.open_files, open_files());
        set(&self.most_files, most_files());
        if let Some(seconds) = processor() {
            let counter = self.processor.get_or_create(&[]);
            counter.inner().store(seconds.to_bits(), Ordering::Relaxed);
        }
    }
}

fn read(file: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/self/{file}")).ok()
}

pub(crate) fn memory() -> Option<i64> {
    let status = read("status")?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn open_files() -> Option<i64> {
    let count = fs::read_dir("/proc/self/fd").ok()?.count();
    // One of them is the look itself.
    i64::try_from(count.saturating_sub(1)).ok()
}

fn most_files() -> Option<i64> {
    let limits = read("limits")?;
    let line = limits
        .lines()
        .find_map(|l| l.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time.
fn processor() -> Option<f64> {
    let stat = read("stat")?;
    // The program's name, in brackets, may have anything in it.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    let ticks = u32::try_from(rustix::param::clock_ticks_per_second()).ok()?;
    Some((f64::from(user) + f64::from(system)) / f64::from(ticks.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_process_sees_itself() {
        assert!(memory().unwrap() > 1 << 20);
        assert!(open_files().unwrap() >= 3);
        assert!(most_files().unwrap() >= open_files().unwrap());
        let before = processor().unwrap();
        while processor().unwrap() < before + 0.03 {
            std::hint::black_box((0..10_000_u64).sum::<u64>());
        }
    }
}
