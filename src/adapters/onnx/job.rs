//! What the node asks of its worker and what the worker answers: the headers of [`super::frame::Message`].

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::contain::{Containment, Sandbox};
use super::datasets::{Located, TableProfile};
use super::failure::Failure;
use super::frame::Header;
use super::guard::GraphLimits;
use delta_domain::bundle::BundleLimits;
use delta_domain::ids::{Address, DatasetName, Digest, Name, TaskId};
use delta_domain::manifest::Manifest;
use delta_domain::records::ReleaseRules;
use delta_domain::records::proof::ReleaseProof;
use delta_domain::secret::Secret;
use delta_ports::certifier::{Claim, Peer, Schema, Verdict};
use delta_ports::executor::{IteratorStates, RuntimeInfo};

/// First message to a worker, written by this node alone: nothing in it comes from a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) runtime: RuntimeChoice,
    /// Threads that the runtime computes with.
    pub(crate) threads: usize,
    pub(crate) limits: WorkerLimits,
    /// Files and folders that may be read.
    pub(crate) readable: Vec<PathBuf>,
    /// What to do where walls are missing.
    pub(crate) sandbox: Sandbox,
}

impl Header for Setup {
    fn tensors(&self) -> Range<usize> {
        0..0
    }
}

/// The runtime that a worker starts before it reads its job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RuntimeChoice {
    /// `libonnxruntime` at this path.
    Onnxruntime(PathBuf),
    /// The one that is part of this program.
    Tract,
    /// None: for what needs no graph to run.
    None,
}

/// What a worker may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WorkerLimits {
    /// Address space on top of what the program and the runtime library take.
    pub(crate) memory_bytes: u64,
    /// Processor time, all threads together.
    pub(crate) cpu_seconds: u64,
    pub(crate) graph: GraphLimits,
}

/// Second message. Its blobs are the graphs, then the variables, then the sums, in the order of the names.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) work: Work,
    pub(crate) graphs: Vec<String>,
    pub(crate) variables: Vec<Name>,
    pub(crate) sums: Vec<Name>,
}

impl Job {
    /// Asks a worker what it is.
    pub(crate) fn probe() -> Self {
        Self::of(Work::Probe)
    }

    /// Work that needs nothing sent along.
    pub(crate) fn of(work: Work) -> Self {
        Self {
            work,
            graphs: Vec::new(),
            variables: Vec::new(),
            sums: Vec::new(),
        }
    }
}

impl Header for Job {
    fn tensors(&self) -> Range<usize> {
        let graphs = self.graphs.len();
        let values = self.variables.len().saturating_add(self.sums.len());
        graphs..graphs.saturating_add(values)
    }
}

/// What a worker does with its graphs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Work {
    /// Say what the runtime is, and try to break out.
    Probe,
    /// Unpack the bundle that comes in place of the graphs. Needs no runtime.
    Unpack { limits: BundleLimits },
    /// Find out whether the graphs keep records apart. Needs no runtime, so that nothing which a graph could break into has run.
    Prove {
        /// Of the task whose graphs these are.
        manifest: Box<Manifest>,
    },
    /// Compare datasets with what the task expects of them. Needs no runtime.
    Inspect {
        /// Of the task.
        manifest: Box<Manifest>,
        /// Where the datasets are.
        datasets: BTreeMap<DatasetName, Located>,
    },
    /// Say in plain words what datasets are. Needs no runtime.
    Describe {
        /// Where they are.
        datasets: BTreeMap<DatasetName, Located>,
    },
    /// Say what is in a table, column by column. Needs no runtime.
    Profile {
        /// Where it is.
        place: Option<Located>,
    },
    /// Check and load every graph.
    Check {
        /// Of the task whose graphs these are.
        manifest: Box<Manifest>,
    },
    /// Run a member's map of one step, over local data.
    Map {
        /// Of the task that has this step.
        manifest: Box<Manifest>,
        step: u32,
        iterators: IteratorStates,
        /// What must hold of the sums of `records` steps.
        rules: Option<ReleaseRules>,
        /// This node's seed for noise in graphs.
        noise: Option<Secret<32>>,
        /// Where the datasets are that the map reads.
        datasets: BTreeMap<DatasetName, Located>,
    },
    /// Run a coordinator's reduce of one step, over the sums.
    Reduce {
        /// Of the task that has this step.
        manifest: Box<Manifest>,
        step: u32,
        clients: u32,
    },
    /// Make the rows of a certified task.
    Rows {
        /// Of the task, whose last round says how rows are made.
        manifest: Box<Manifest>,
        /// Where the datasets are that the map reads.
        datasets: BTreeMap<DatasetName, Located>,
        /// What must hold of the rows' sums.
        rules: Option<ReleaseRules>,
    },
    /// Commit to the rows that come as variables `x` and `y`, and prove what an answer leaves open on them where that is wanted. Needs no
    /// runtime: what hides a table is not shown to a process that has loaded a stranger's graph.
    Table {
        schema: Box<Schema>,
        /// Whose table, and what hides it.
        owner: TableOwner,
        proof: Option<Box<Proving>>,
    },
    /// Put the proofs that come in place of the graphs together, and check what comes of it. Needs no runtime.
    Assemble {
        claim: Box<Claim>,
        tolerance: f64,
        /// Who handed them in, in the same order.
        members: Vec<Address>,
    },
    /// Check the certificate that comes in place of the graphs. Needs no runtime.
    Judge,
}

/// Whose table, and what hides it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TableOwner {
    pub(crate) task: TaskId,
    pub(crate) member: Address,
    pub(crate) salt: Secret<32>,
}

/// What is proven of a table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Proving {
    /// Of the table; another one is not proven.
    pub(crate) commitment: Digest,
    pub(crate) capacity: u32,
    pub(crate) claim: Claim,
    pub(crate) peers: Vec<Peer>,
    /// Of the proof's randomness.
    pub(crate) seed: Secret<32>,
}

/// A worker's answer; what does not fit its work is no answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    Failed(Failure),
    /// How the walls stand.
    Walls(Containment),
    Probed {
        runtime: RuntimeInfo,
        containment: Containment,
    },
    /// Blobs: the graphs, then the initial values of the variables that have one in the bundle, in the order of the names.
    Unpacked {
        manifest: Box<Manifest>,
        graphs: Vec<String>,
        arrays: Vec<Name>,
    },
    Proved(ReleaseProof),
    Checked,
    Inspected,
    Described(BTreeMap<DatasetName, String>),
    Profiled(TableProfile),
    /// Blobs: the contributions in the manifest's order, then the assigned variables, then what `released` says.
    Mapped {
        contributions: usize,
        assigned: Vec<Name>,
        iterators: IteratorStates,
        rows: u64,
        released: Vec<Released>,
    },
    /// Blobs: the assigned variables, then one `f64` tensor of the metrics (JSON has no NaN).
    Reduced {
        assigned: Vec<Name>,
        metrics: Vec<String>,
        stop: bool,
    },
    /// Blobs: the features and the labels, then what `released` says.
    Rows {
        released: Vec<Released>,
    },
    Committed {
        commitment: Digest,
        capacity: u32,
        rows: u64,
    },
    /// Blobs: the proof.
    ProvedTable,
    /// A blob where it was assembled: the certificate.
    Judged {
        verdict: Box<Verdict>,
    },
}

impl Header for Reply {
    fn tensors(&self) -> Range<usize> {
        match self {
            Self::Unpacked { graphs, arrays, .. } => {
                graphs.len()..graphs.len().saturating_add(arrays.len())
            }
            Self::Mapped {
                contributions,
                assigned,
                ..
            } => 0..contributions.saturating_add(assigned.len()),
            Self::Reduced { assigned, .. } => 0..assigned.len().saturating_add(1),
            Self::Rows { .. } => 0..2,
            Self::Failed(_)
            | Self::Walls(_)
            | Self::Probed { .. }
            | Self::Proved(_)
            | Self::Checked
            | Self::Inspected
            | Self::Described(_)
            | Self::Profiled(_)
            | Self::Committed { .. }
            | Self::ProvedTable
            | Self::Judged { .. } => 0..0,
        }
    }
}

/// Which records a step's sums count. Its blobs: the unit of each record (`u32`, little-endian) if `units`, then the sets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Released {
    pub(crate) dataset: DatasetName,
    pub(crate) units: bool,
    pub(crate) sets: usize,
}
