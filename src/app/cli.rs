//! The command line: what may be typed, and which function does it.
//!
//! Parsing and exit codes only. Each command is a function, here or in [`commands`](super::commands); none of them
//! reads the arguments again. Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.

mod dispatch;
mod local_node;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{Args, Parser, Subcommand};

use super::config::DEFAULT_PATH;

pub(crate) use local_node::ask as health;

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
pub struct Cli {
    /// Configuration file
    #[arg(
        long,
        global = true,
        env = "DELTA_NODE_CONFIG",
        hide_env_values = true,
        default_value = DEFAULT_PATH,
        value_name = "FILE"
    )]
    config: PathBuf,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the configuration file and make the directories it names
    Init,
    /// Run the node
    Run,
    /// Tell the network that this node is gone
    Leave,
    /// Run the embedded connector as a server
    Connector,
    /// Check configuration, directories, connector, runtime and data
    Check(CheckArgs),
    /// Run a whole network on this machine: a task over several nodes, one of which is killed
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
    /// Ask the node on this machine whether it is alive
    #[command(hide = true)]
    Healthcheck,
    /// The contained process that runs graphs
    #[command(name = "__worker", hide = true)]
    Worker,
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// `demo`
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Print one JSON object as the last line
    #[arg(long)]
    pub json: bool,
    /// Number of nodes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(3..=50))]
    pub nodes: u16,
    /// Number of training rounds
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub rounds: u32,
    /// Run no task: start the network for tasks of your own and keep it running until Ctrl-C
    #[arg(long)]
    pub keep: bool,
    /// Port of the first node with --keep, the others' after it; 0 takes free ones
    #[arg(long, default_value_t = 6700, requires = "keep")]
    pub port: u16,
    /// Keep the temporary directory with databases, logs and results
    #[arg(long)]
    pub keep_files: bool,
}

/// `attack`
#[derive(Debug, Clone, Args)]
pub struct AttackArgs {
    /// Write the report as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the report as a page
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Only attacks with this in their name; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub only: Vec<String>,
    /// List the attacks and do nothing
    #[arg(long)]
    pub list: bool,
    /// Take two walls of the started network down, and add harmless controls: what must be reported as NOT repelled
    #[arg(long, conflicts_with = "coordinator")]
    pub weaken: bool,
    /// Attack this running node of yours instead of a network started here
    #[arg(long, value_name = "URL", requires = "connector")]
    pub coordinator: Option<String>,
    /// The connector of that node
    #[arg(long, value_name = "HOST:PORT", requires = "coordinator")]
    pub connector: Option<String>,
}

#[derive(Debug, Args)]
struct DataArgs {
    /// Replace what is there
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
struct MnistArgs {
    /// Replace what is there
    #[arg(long)]
    force: bool,
    /// Keep all 60,000 images instead of a random third
    #[arg(long)]
    all: bool,
    /// Folder of MNIST's training files; only file:// so far
    #[arg(long, default_value = super::datasets::MNIST_URL, value_name = "URL")]
    url: String,
}

/// Which node the `task` commands talk to.
#[derive(Debug, Args)]
struct NodeArg {
    /// The node's URL [default: this machine, port from the configuration]
    #[arg(long, value_name = "URL")]
    node: Option<String>,
}

#[derive(Debug, Subcommand)]
enum TaskCommand {
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

/// Parses the process's arguments, does what they say, and gives the exit code.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => dispatch::run(cli),
        Err(error) => {
            let printed = error.print();
            match u8::try_from(error.exit_code()) {
                Ok(code) if printed.is_ok() => ExitCode::from(code),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
