//! What may be typed. Parsing only: none of the commands reads the arguments again.

mod privacy;

use std::path::PathBuf;
use std::sync::LazyLock;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::commands::token::Lifetime;
use super::datasets::MNIST_URL;
use crate::config::DEFAULT_PATH;
use crate::testbed::attack::AttackArgs;
use crate::testbed::demo::DemoArgs;
use delta_domain::access::{Scope, TokenName};
use delta_domain::ids::{DatasetName, Digest, TaskId};
use delta_domain::policy::Who;
pub(super) use privacy::{PlanArgs, PrivacyArgs, PrivacyCommand};

/// The version, with the git revision when the build was told it (`DELTA_NODE_REVISION`).
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let version = env!("CARGO_PKG_VERSION");
    match option_env!("DELTA_NODE_REVISION") {
        Some(revision) if !revision.is_empty() => format!("{version} ({revision})"),
        _ => version.to_owned(),
    }
});

/// Everything that may be typed.
#[derive(Debug, Parser)]
#[command(
    name = "delta-node",
    version = VERSION.as_str(),
    about = "The node of the Delta privacy-computing network",
    long_about = None,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration."
)]
pub(super) struct Cli {
    /// Configuration file
    #[arg(
        long,
        global = true,
        env = "DELTA_NODE_CONFIG",
        hide_env_values = true,
        default_value = DEFAULT_PATH,
        value_name = "FILE"
    )]
    pub(super) config: PathBuf,

    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write the configuration file and make the directories it names
    Init(InitArgs),
    /// Run the node
    Run,
    /// Show who this node is to others; sign rosters, accept keys
    Identity(IdentityArgs),
    /// Tell the network that this node is gone; with a task: take no further part in it
    Leave(LeaveArgs),
    /// Cancel a task that was submitted to a node
    Cancel {
        /// The task's id at the node
        id: u64,
        #[command(flatten)]
        node: NodeArg,
    },
    /// Run the embedded connector as a server
    Connector,
    /// Check configuration, directories, connector, runtime and data
    Check(CheckArgs),
    /// Run a whole network on this machine: a task over several nodes, one of which is killed; with --privacy: what owners allow
    Demo(DemoArgs),
    /// Attack a network of your own, and say which attacks its nodes repel
    Attack(AttackArgs),
    /// Put the iris data set into the data directory
    GetIris(DataArgs),
    /// Put the spector data set into the data directory
    GetSpector(DataArgs),
    /// Put the wages data set into the data directory
    GetWages(DataArgs),
    /// Put a random third of MNIST into the data directory
    GetMnist(MnistArgs),
    /// Put all four data sets into the data directory
    GetAllData(MnistArgs),
    /// Submit tasks and follow them
    #[command(subcommand)]
    Task(TaskCommand),
    /// Make, list and revoke the tokens with which authors and the owner call the API
    #[command(subcommand)]
    Token(TokenCommand),
    /// Show and decide what waits for the owner's word
    #[command(subcommand)]
    Approvals(ApprovalsCommand),
    /// Export and check the owner's journal
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Show what this node's datasets are and how they are read; for their owner
    #[command(subcommand)]
    Data(DataCommand),
    /// Register versions of this node's datasets on the network's data hub, and compare them
    #[command(subcommand)]
    Datasets(DatasetsCommand),
    /// Show the rules for this node's data, and what would become of a task
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Show what tasks under noise have cost each dataset; with `plan`: what they would
    Privacy(PrivacyArgs),
    /// Write everything that makes this node this node into a new folder, while it runs or not; data is not in it
    Backup {
        /// The folder
        folder: PathBuf,
    },
    /// Put a backup in its place; nothing is overwritten
    Restore(RestoreArgs),
    /// Check everything that `check` does, and look for what is wrong at home: damage, tokens, room, what the log says
    Doctor(CheckArgs),
    /// Show the rounds and waits of a running node, again and again
    Top(TopArgs),
    /// Check a certificate from its file alone, and say what it certifies; fails when it does not hold
    Verify {
        /// The certificate
        file: PathBuf,
    },
    /// Show how much the log of a running node says, or let it say more or less until it ends
    LogLevel {
        /// error, warn, info, debug or trace, or such as info,delta_http=debug [default: only show it]
        level: Option<String>,
        #[command(flatten)]
        node: NodeArg,
    },
    /// Ask the node on this machine whether it is alive
    #[command(hide = true)]
    Healthcheck,
    /// The contained process that runs graphs
    #[command(name = "__worker", hide = true)]
    Worker,
}

#[derive(Debug, Subcommand)]
pub(super) enum DatasetsCommand {
    /// Publish a commitment to what a dataset holds now, as its next version: its name is public then, its content is not
    Register {
        /// The dataset
        name: DatasetName,
        #[command(flatten)]
        node: NodeArg,
    },
    /// Show the last registered version of each dataset, and whether the dataset still holds it
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        node: NodeArg,
    },
    /// Show all registered versions of a dataset, and what the data hub shows under them
    History {
        /// The dataset
        name: DatasetName,
        /// As JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        node: NodeArg,
    },
}

impl DatasetsCommand {
    /// Which node is asked.
    pub(super) fn node(&self) -> &NodeArg {
        let (Self::Register { node, .. } | Self::List { node, .. } | Self::History { node, .. }) =
            self;
        node
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum DataCommand {
    /// List the datasets with what they are and how they are read
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what is in a table, column by column: what its cells are, how many are missing, ranges and levels
    Describe {
        /// The dataset
        name: DatasetName,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a draft of a table's catalogue, to paste beside its rules; nothing is published
    Publish {
        /// The dataset
        name: DatasetName,
    },
    /// Ask the database of a dataset that is a query, or of every one, anew; tasks that run see the new rows from their next round on
    Refresh {
        /// The dataset
        name: Option<DatasetName>,
    },
    /// Look whether a dataset, or every one, can be read by tasks; fails when not
    Check {
        /// The dataset
        name: Option<DatasetName>,
    },
}

#[derive(Debug, Args)]
pub(super) struct IdentityArgs {
    #[command(subcommand)]
    pub(super) command: Option<IdentityCommand>,
}

#[derive(Debug, Subcommand)]
pub(super) enum IdentityCommand {
    /// Print this node's card, fingerprint and roster entry (the same without a command)
    Show,
    /// Check what a node shows of itself against its signatures and the connector's record
    Verify {
        /// The node's URL [default: this node]
        url: Option<String>,
    },
    /// List the nodes that were seen, and what vouches for them
    Known,
    /// Accept the new key of a node, once its owner has confirmed it
    Accept {
        /// The node's address
        address: String,
    },
    /// Add this node's signature to a roster
    SignRoster {
        /// The roster
        file: PathBuf,
    },
    /// Accept the configuration's roster even though the one before does not vouch for it
    AcceptRoster,
}

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// Make a certificate for the host in node.url and this machine, and set it in the configuration
    #[arg(long, value_name = "KIND")]
    pub(super) tls: Option<TlsKind>,
}

/// Where the certificate comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum TlsKind {
    /// The node vouches for itself: for trials, and for networks that exchange certificates (tls.ca)
    SelfSigned,
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct TopArgs {
    /// Show it once
    #[arg(long)]
    pub(super) once: bool,
    /// Seconds between two looks
    #[arg(long, default_value_t = 2, value_name = "SECONDS")]
    pub(super) every: u64,
    /// Columns [default: $COLUMNS, or 80]
    #[arg(long)]
    pub(super) width: Option<usize>,
    #[command(flatten)]
    pub(super) node: NodeArg,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// The backup
    #[arg(required_unless_present = "resume")]
    pub(super) folder: Option<PathBuf>,
    /// The node has not worked since the backup: it may take part in tasks at once
    #[arg(long)]
    pub(super) nothing_since: bool,
    /// Let the restored node take part in tasks: budgets allow for what was spent since the backup
    #[arg(long, conflicts_with_all = ["folder", "nothing_since"])]
    pub(super) resume: bool,
}

#[derive(Debug, Args)]
pub(super) struct DataArgs {
    /// Replace what is there
    #[arg(long)]
    pub(super) force: bool,
}

#[derive(Debug, Args)]
pub(super) struct MnistArgs {
    /// Replace what is there
    #[arg(long)]
    pub(super) force: bool,
    /// Keep all 60,000 images instead of a random third
    #[arg(long)]
    pub(super) all: bool,
    /// Folder of MNIST's training files; only file:// so far
    #[arg(long, default_value = MNIST_URL, value_name = "URL")]
    pub(super) url: String,
}

/// Which node a command talks to, and with which token.
#[derive(Debug, Clone, Args)]
pub(super) struct NodeArg {
    /// The node's URL [default: this machine, port from the configuration]
    #[arg(long, value_name = "URL")]
    pub(super) node: Option<String>,
    /// File with the token to show [default: $DELTA_NODE_TOKEN; of the node on this machine its own token]
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct LeaveArgs {
    /// The task's id on the network, 0x and 64 hex digits; the running node is asked
    pub(super) task: Option<TaskId>,
    #[command(flatten)]
    pub(super) node: NodeArg,
}

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token and print it: it is shown this once
    Create {
        /// What to call it
        name: TokenName,
        /// What it is good for: submit, result, read, approve, admin, metrics
        #[arg(
            long = "scope",
            required = true,
            value_delimiter = ',',
            value_name = "SCOPE"
        )]
        scopes: Vec<Scope>,
        /// How long: 30m, 12h, 90d, or never
        #[arg(long, default_value = "90d", value_name = "TIME")]
        expires: Lifetime,
    },
    /// List the tokens, without what is secret of them
    List,
    /// Make a token good for nothing
    Revoke {
        /// What it is called
        name: TokenName,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum ApprovalsCommand {
    /// List the tasks that wait for you
    List {
        /// Also those that do not wait, and every decision
        #[arg(long)]
        all: bool,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        node: NodeArg,
    },
    /// Say what a task would do, and what your rules say to it
    Show {
        /// The task's id on the network, 0x and 64 hex digits
        task: TaskId,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        node: NodeArg,
    },
    /// Let a task run on this node's data
    Allow(DecisionArgs),
    /// Keep a task from this node's data; one that runs stops at its next round
    Deny(DecisionArgs),
    /// Take a decision back; a task that runs by it stops at its next round
    Revoke {
        /// The decision's id, as `approvals list --all` shows it
        id: Digest,
        #[command(flatten)]
        node: NodeArg,
    },
}

impl ApprovalsCommand {
    /// Which node is meant.
    pub(super) fn node(&self) -> &NodeArg {
        match self {
            Self::List { node, .. } | Self::Show { node, .. } | Self::Revoke { node, .. } => node,
            Self::Allow(args) | Self::Deny(args) => &args.node,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct DecisionArgs {
    /// The task's id on the network, 0x and 64 hex digits
    pub(super) task: TaskId,
    /// This task only (the default)
    #[arg(long, conflicts_with_all = ["always", "until"])]
    pub(super) once: bool,
    /// Also every later task of this author that asks the same, to the last weight of its graphs
    #[arg(long, conflicts_with = "until")]
    pub(super) always: bool,
    /// The same, to the end of a day (UTC)
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(super) until: Option<String>,
    #[command(flatten)]
    pub(super) node: NodeArg,
}

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Print the journal: one JSON object a line, each signed and hanging on the one before
    Export,
    /// Check every line of a journal
    Verify {
        /// An exported journal [default: this node's]
        file: Option<PathBuf>,
        /// Public key of the node that wrote it, 0x and 66 hex digits [default: this node's]
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
        /// A head that was kept, LINES:DIGEST; without it nobody notices that lines are missing at the end
        #[arg(long, value_name = "HEAD")]
        head: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Print the rules as they are understood
    Show {
        /// Of this dataset only
        dataset: Option<DatasetName>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Say what would become of a task, and by which rules
    Test(PolicyTestArgs),
}

#[derive(Debug, Args)]
pub(super) struct PolicyTestArgs {
    /// The bundle
    pub(super) file: PathBuf,
    /// Who asks: org:NAME, a node's key or fingerprint, author:NAME@ and one of these [default: somebody without a key]
    #[arg(long, value_name = "WHO")]
    pub(super) author: Option<Who>,
    /// As if it were submitted to this very node
    #[arg(long)]
    pub(super) own: bool,
    /// As if every dataset had so many rows [default: counted, where that is quick]
    #[arg(long, value_name = "N")]
    pub(super) rows: Option<u64>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum TaskCommand {
    /// Submit a task bundle and print the task's id
    Submit {
        /// The bundle
        file: PathBuf,
        #[command(flatten)]
        node: NodeArg,
    },
    /// Print a task's status
    Status {
        /// The task's id
        id: u64,
        #[command(flatten)]
        node: NodeArg,
    },
    /// Print a task's log records
    Logs {
        /// The task's id
        id: u64,
        /// Go on until the task ends
        #[arg(long)]
        follow: bool,
        #[command(flatten)]
        node: NodeArg,
    },
    /// Save a finished task's result
    Result {
        /// The task's id
        id: u64,
        /// Where to
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        #[command(flatten)]
        node: NodeArg,
    },
    /// Say in plain words what a bundle computes and what would leave a node
    Inspect {
        /// The bundle
        file: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
