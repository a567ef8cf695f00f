//! What a node measures of itself. What happens is told as it happens ([`Observation`]); what is so is looked at when somebody reads
//! ([`Vitals`]). No value of a record, a model or a sum is among it; names of datasets and what their budgets have left are.

use std::fmt::Debug;
use std::time::Duration;

use delta_domain::ids::DatasetName;

use crate::PortError;

/// In which part a node is in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// It leads the round.
    Coordinator,
    /// It contributes to it.
    Member,
}

impl Role {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Coordinator => "coordinator",
            Self::Member => "member",
        }
    }
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WaitCause {
    /// The connector, while it is away: deadlines of rounds stand still.
    Connector,
    /// A member's coordinator, while it is away.
    Coordinator,
    /// The owner's word.
    Owner,
}

impl WaitCause {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connector => "connector",
            Self::Coordinator => "coordinator",
            Self::Owner => "owner",
        }
    }
}

/// Between whom bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Link {
    /// Whoever calls this node's API: everything on the wire, TLS included.
    Api,
    /// Coordinators that this node calls: bundles, variables and masked vectors, without what is around them.
    Coordinators,
}

impl Link {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Coordinators => "coordinators",
        }
    }
}

/// In which direction bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To this node.
    Received,
    /// From it.
    Sent,
}

/// A limit of this node that something ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// `policy.max_tasks`.
    Tasks,
    /// The length of a bundle: `policy.max_bundle_bytes`, or room on the disk.
    BundleBytes,
    /// Connections to the API.
    Connections,
    /// Memory for bodies of requests, and other trouble that is answered with 503.
    Requests,
    /// `executor.time_limit_s`.
    WorkerTime,
    /// A worker's memory, or jobs that wait for one.
    WorkerResources,
    /// The privacy budget of a dataset.
    PrivacyBudget,
    /// Room on the disk.
    Disk,
}

impl Limit {
    /// Every limit, in the order in which they are listed.
    pub const ALL: [Self; 8] = [
        Self::Tasks,
        Self::BundleBytes,
        Self::Connections,
        Self::Requests,
        Self::WorkerTime,
        Self::WorkerResources,
        Self::PrivacyBudget,
        Self::Disk,
    ];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tasks => "tasks",
            Self::BundleBytes => "bundle_bytes",
            Self::Connections => "connections",
            Self::Requests => "requests",
            Self::WorkerTime => "worker_time",
            Self::WorkerResources => "worker_resources",
            Self::PrivacyBudget => "privacy_budget",
            Self::Disk => "disk",
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observation {
    /// A round is over for this node. `outcome`: `aggregated` or `contributed`, or a stable word for what became of it.
    RoundEnded {
        /// In which part.
        role: Role,
        /// How.
        outcome: &'static str,
        /// Since this process took it up.
        took: Duration,
    },
    /// A phase of a round is over.
    PhaseEnded {
        /// In which part.
        role: Role,
        /// Which, in the paper's words.
        phase: &'static str,
        /// How long it was.
        took: Duration,
    },
    /// A task of this node's users is over: `finished`, `failed` or `cancelled`.
    TaskEnded {
        /// How.
        outcome: &'static str,
    },
    /// Something was waited for.
    Waited {
        /// For what.
        cause: WaitCause,
        /// How long.
        took: Duration,
    },
    /// Bytes have travelled.
    Carried {
        /// Between whom.
        link: Link,
        /// In which direction.
        direction: Direction,
        /// How many.
        bytes: u64,
    },
    /// A request to the API was answered.
    Answered {
        /// The class of the status: 2, 3, 4 or 5.
        class: u16,
    },
    /// Something ran into a limit.
    LimitHit(Limit),
}

/// How busy workers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Jobs that run.
    pub running: usize,
    /// Jobs that wait for their turn.
    pub waiting: usize,
    /// The most that run at the same time.
    pub most: usize,
}

/// A dataset's privacy budget.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetView {
    /// Whose.
    pub dataset: DatasetName,
    /// Epsilon that the owner allows a period.
    pub epsilon: f64,
    /// Of this, what is charged or reserved; infinite where no epsilon can be proven.
    pub committed: f64,
}

impl BudgetView {
    /// What is neither charged nor reserved.
    #[must_use]
    pub fn left(&self) -> f64 {
        (self.epsilon - self.committed).max(0.0)
    }
}

/// How a node is at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Vitals {
    /// Tasks of its users that run.
    pub tasks_running: usize,
    /// The most of them (`policy.max_tasks`).
    pub tasks_most: usize,
    /// Tasks of the network that it follows as a member.
    pub tasks_followed: usize,
    /// Tasks that wait for its owner.
    pub approvals_waiting: usize,
    /// What must hold before it can work, and whether it does.
    pub checks: Vec<(&'static str, bool)>,
    /// For how long the connector has been away; `None` while it is there.
    pub connector_away: Option<Duration>,
    /// Calls of the connector that wait or are under way.
    pub connector_calls: usize,
    /// Log lines of tasks that are not in the database yet.
    pub log_lines: usize,
    /// Workers.
    pub workers: Load,
    /// Bytes that are free where it keeps its files, where that is known.
    pub disk_free: Option<u64>,
    /// Bytes of memory of its process, without workers, where that is known.
    pub memory: Option<u64>,
    /// Budgets of datasets.
    pub budgets: Vec<BudgetView>,
}

/// The form of a [`Metrics::exposition`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposition {
    /// Prometheus' text format 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Exposition {
    /// Its media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Where measurements go.
///
/// Obligations on implementers: [`Metrics::observe`] neither blocks nor fails, and costs less than a microsecond or two: it is called for
/// every piece that a connection carries.
pub trait Metrics: Debug + Send + Sync + 'static {
    /// Takes note of something that happened.
    fn observe(&self, observation: Observation);
    /// Bytes of memory of this process, where that is known.
    fn memory(&self) -> Option<u64> {
        None
    }
    /// Everything that was observed, and how the node is, as text.
    ///
    /// # Errors
    /// `Rejected` where nothing is measured; `Internal` when it cannot be written.
    fn exposition(&self, form: Exposition, vitals: &Vitals) -> Result<String, PortError>;
}

/// Measures nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMetrics;

impl Metrics for NoMetrics {
    fn observe(&self, _: Observation) {}

    fn exposition(&self, _: Exposition, _: &Vitals) -> Result<String, PortError> {
        let kind = crate::PortErrorKind::Rejected;
        Err(PortError::new(
            kind,
            "metrics",
            "this node measures nothing",
        ))
    }
}
