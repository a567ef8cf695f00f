//! What a node measures of itself, as text for Prometheus: names and units by its conventions, everything under `delta_` but what is
//! of the process.
//!
//! Label values are a closed set of words but for names of datasets, so that nobody outside can make a series.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod gauges;
mod process;

use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use delta_ports::metrics::{
    Direction, Exposition, Limit, Link, Metrics, Observation, Role, Vitals, WaitCause,
};
use delta_ports::{PortError, PortErrorKind};

use gauges::Gauges;

/// Upper bounds of buckets for rounds and phases, in seconds: from a round on this machine to one on a blockchain or with a large model.
const SECONDS: [f64; 14] = [
    0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
];

type Labels<const N: usize> = [(&'static str, &'static str); N];
type Counters<const N: usize> = Family<Labels<N>, Counter>;
type Seconds<const N: usize> = Family<Labels<N>, Counter<f64, std::sync::atomic::AtomicU64>>;
type Durations<const N: usize> = Family<Labels<N>, Histogram, Buckets>;

#[derive(Debug, Clone)]
struct Buckets;

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(SECONDS)
    }
}

/// Which program measures.
#[derive(Debug, Clone)]
pub struct Build {
    /// Its version.
    pub version: &'static str,
    /// The revision of its sources, where its build was told it.
    pub revision: &'static str,
}

/// [`Metrics`] for Prometheus.
#[derive(Debug)]
pub struct PrometheusMetrics {
    /// Held while gauges are set and read: two readers at a time would see each other's.
    reading: Mutex<(Registry, Gauges)>,
    rounds: Counters<2>,
    round_seconds: Durations<2>,
    phase_seconds: Durations<2>,
    tasks: Counters<1>,
    waited: Seconds<1>,
    answers: Counters<1>,
    limits: Counters<1>,
    bytes: [[Counter; 2]; 2],
}

impl PrometheusMetrics {
    /// Nothing measured yet.
    #[must_use]
    pub fn new(build: &Build) -> Self {
        let mut whole = Registry::default();
        let registry = whole.sub_registry_with_prefix("delta");
        let rounds = Counters::default();
        let round_seconds = Family::new_with_constructor(Buckets);
        let phase_seconds = Family::new_with_constructor(Buckets);
        let (tasks, waited) = (Counters::default(), Seconds::default());
        let (answers, limits) = (Counters::default(), Counters::default());
        let bytes: Counters<2> = Counters::default();
        let about = [("version", build.version), ("revision", build.revision)];
        registry.register("build", "The program that runs", Info::new(about));
        let text = "Rounds that are over for this node, by its part in them and by how they ended";
        registry.register("rounds", text, rounds.clone());
        let text = "How long rounds took, since this process took them up";
        registry.register_with_unit("round_duration", text, Unit::Seconds, round_seconds.clone());
        let text = "How long phases of rounds took";
        registry.register_with_unit("phase_duration", text, Unit::Seconds, phase_seconds.clone());
        let text = "Tasks of this node's authors that are over, by how they ended";
        registry.register("tasks", text, tasks.clone());
        let text = "Time for which deadlines of rounds stood still, or tasks had waited for the owner when the owner decided, by what was waited for";
        registry.register_with_unit("wait", text, Unit::Seconds, waited.clone());
        let text = "Requests to the API that were answered, by class of status";
        registry.register("http_requests", text, answers.clone());
        let text = "How often something ran into a limit of this node, by limit";
        registry.register("limit_hits", text, limits.clone());
        let text = "Bytes carried, by whom with and in which direction: with callers of the API all that goes over the wire, with coordinators of other nodes bundles, variables and masked vectors";
        registry.register_with_unit("network", text, Unit::Bytes, bytes.clone());
        // What has not happened yet is 0, not absent: rates need a beginning.
        for limit in Limit::ALL {
            drop(limits.get_or_create(&[("limit", limit.name())]));
        }
        for cause in [
            WaitCause::Connector,
            WaitCause::Coordinator,
            WaitCause::Owner,
        ] {
            drop(waited.get_or_create(&[("cause", cause.name())]));
        }
        for outcome in ["finished", "failed", "cancelled"] {
            drop(tasks.get_or_create(&[("outcome", outcome)]));
        }
        for (role, outcome) in [
            (Role::Coordinator, "aggregated"),
            (Role::Member, "contributed"),
        ] {
            drop(rounds.get_or_create(&[("role", role.name()), ("outcome", outcome)]));
        }
        let counter = |link: Link, direction| {
            bytes.get_or_create_owned(&[("link", link.name()), ("direction", direction)])
        };
        let of = |link| [counter(link, "received"), counter(link, "sent")];
        let bytes = [of(Link::Api), of(Link::Coordinators)];
        let gauges = Gauges::new(registry);
        gauges.process.register(&mut whole);
        Self {
            reading: Mutex::new((whole, gauges)),
            rounds,
            round_seconds,
            phase_seconds,
            tasks,
            waited,
            answers,
            limits,
            bytes,
        }
    }
}

impl Metrics for PrometheusMetrics {
    fn observe(&self, observation: Observation) {
        match observation {
            Observation::RoundEnded {
                role,
                outcome,
                took,
            } => {
                let labels = [("role", role.name()), ("outcome", outcome)];
                self.rounds.get_or_create(&labels).inc();
                let seconds = self.round_seconds.get_or_create(&labels);
                seconds.observe(took.as_secs_f64());
            }
            Observation::PhaseEnded { role, phase, took } => {
                let labels = [("role", role.name()), ("phase", phase)];
                let seconds = self.phase_seconds.get_or_create(&labels);
                seconds.observe(took.as_secs_f64());
            }
            Observation::TaskEnded { outcome } => {
                self.tasks.get_or_create(&[("outcome", outcome)]).inc();
            }
            Observation::Waited { cause, took } => {
                let waited = self.waited.get_or_create(&[("cause", cause.name())]);
                waited.inc_by(took.as_secs_f64());
            }
            Observation::Carried {
                link,
                direction,
                bytes,
            } => {
                let [api, coordinators] = &self.bytes;
                let [received, sent] = match link {
                    Link::Api => api,
                    Link::Coordinators => coordinators,
                };
                match direction {
                    Direction::Received => received.inc_by(bytes),
                    Direction::Sent => sent.inc_by(bytes),
                };
            }
            Observation::Answered { class } => {
                let class = match class {
                    2 => "2xx",
                    3 => "3xx",
                    4 => "4xx",
                    _ => "5xx",
                };
                self.answers.get_or_create(&[("status", class)]).inc();
            }
            Observation::LimitHit(limit) => {
                self.limits.get_or_create(&[("limit", limit.name())]).inc();
            }
        }
    }

    fn memory(&self) -> Option<u64> {
        process::memory().and_then(|bytes| u64::try_from(bytes).ok())
    }

    fn exposition(&self, form: Exposition, vitals: &Vitals) -> Result<String, PortError> {
        let reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let (registry, gauges) = &*reading;
        gauges.set(vitals);
        let mut out = String::with_capacity(16 << 10);
        let written = match form {
            Exposition::Prometheus => prometheus_text::encode(&mut out, registry),
            Exposition::OpenMetrics => text::encode(&mut out, registry),
        };
        written.map_err(|e| {
            let text = "measurements cannot be written";
            PortError::new(PortErrorKind::Internal, "metrics", text).with_source(e)
        })?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests;
