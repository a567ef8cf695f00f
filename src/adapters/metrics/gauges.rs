//! What is so when somebody reads: set from [`Vitals`] each time.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::process::{Maybe, Process};
use delta_ports::metrics::Vitals;

type Float = Gauge<f64, AtomicU64>;
type ByWord = Family<[(&'static str, &'static str); 1], Float>;
type ByDataset = Family<[(&'static str, String); 1], Float>;

/// The gauges.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    tasks_running: Gauge,
    tasks_limit: Gauge,
    tasks_followed: Gauge,
    approvals_waiting: Gauge,
    ready: ByWord,
    connector_up: Gauge,
    connector_away: Float,
    queues: ByWord,
    workers_running: Gauge,
    workers_limit: Gauge,
    disk_free: Maybe,
    budgets: ByDataset,
    left: ByDataset,
    pub(crate) process: Process,
}

fn whole(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn float(number: usize) -> f64 {
    number as f64
}

impl Gauges {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let gauges = Self::default();
        let all = [
            (
                "tasks_running",
                "Tasks of this node's authors that run",
                &gauges.tasks_running,
            ),
            (
                "tasks_limit",
                "The most tasks of this node's authors that run at the same time (policy.max_tasks)",
                &gauges.tasks_limit,
            ),
            (
                "tasks_followed",
                "Tasks of the network that this node follows as a member",
                &gauges.tasks_followed,
            ),
            (
                "approvals_waiting",
                "Tasks that wait for this node's owner",
                &gauges.approvals_waiting,
            ),
            (
                "connector_up",
                "Whether the connector knows this node and is heard",
                &gauges.connector_up,
            ),
            (
                "workers_running",
                "Workers that run graphs",
                &gauges.workers_running,
            ),
            (
                "workers_limit",
                "The most workers that run graphs at the same time (executor.jobs)",
                &gauges.workers_limit,
            ),
        ];
        for (name, help, gauge) in all {
            registry.register(name, help, gauge.clone());
        }
        let help = "Whether what must hold before this node can work does, as at /readyz";
        registry.register("ready", help, gauges.ready.clone());
        let help = "For how long the connector has been away";
        let away = gauges.connector_away.clone();
        registry.register_with_unit("connector_away", help, Unit::Seconds, away);
        let help =
            "What waits: jobs for a worker, calls for the connector, log lines for the database";
        registry.register("queue_length", help, gauges.queues.clone());
        let help = "Room where this node keeps its files";
        let free = gauges.disk_free.clone();
        registry.register_with_unit("disk_free", help, Unit::Bytes, free);
        let help = "Epsilon that the owner allows a dataset each period";
        registry.register("privacy_epsilon_budget", help, gauges.budgets.clone());
        let help = "Of a dataset's epsilon, what is neither charged nor reserved";
        registry.register("privacy_epsilon_left", help, gauges.left.clone());
        gauges
    }

    /// Sets all of them.
    pub(crate) fn set(&self, vitals: &Vitals) {
        self.tasks_running.set(whole(vitals.tasks_running));
        self.tasks_limit.set(whole(vitals.tasks_most));
        self.tasks_followed.set(whole(vitals.tasks_followed));
        self.approvals_waiting.set(whole(vitals.approvals_waiting));
        for (check, ok) in &vitals.checks {
            let gauge = self.ready.get_or_create(&[("check", *check)]);
            gauge.set(f64::from(u8::from(*ok)));
        }
        let away = vitals.connector_away;
        self.connector_up.set(i64::from(away.is_none()));
        self.connector_away
            .set(away.unwrap_or_default().as_secs_f64());
        for (queue, length) in [
            ("workers", vitals.workers.waiting),
            ("connector", vitals.connector_calls),
            ("log", vitals.log_lines),
        ] {
            let gauge = self.queues.get_or_create(&[("queue", queue)]);
            gauge.set(float(length));
        }
        self.workers_running.set(whole(vitals.workers.running));
        self.workers_limit.set(whole(vitals.workers.most));
        self.disk_free.clear();
        if let Some(free) = vitals.disk_free {
            let free = i64::try_from(free).unwrap_or(i64::MAX);
            self.disk_free.get_or_create(&[]).set(free);
        }
        self.budgets.clear();
        self.left.clear();
        for budget in &vitals.budgets {
            let labels = [("dataset", budget.dataset.to_string())];
            self.budgets.get_or_create(&labels).set(budget.epsilon);
            self.left.get_or_create(&labels).set(budget.left());
        }
        self.process.set();
    }
}
