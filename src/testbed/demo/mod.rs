//! `demo`: a whole network on this machine, with real gRPC, HTTP and databases, that trains a model and loses a member on the way.
//!
//! Every node has an async runtime of its own; killing a member is stopping its runtime between two instructions.

mod keep;
mod plot;
mod summary;

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use futures_util::StreamExt as _;

use super::network::{Network, Plan};
use super::recorder::Witness;
use crate::adapters::http::UserClient;
use crate::assets::DIGITS_TASK;
use delta_domain::bundle::{Bundle, BundleLimits, write_bundle};
use delta_domain::ids::Address;
use delta_domain::round::message::RoundEnd;
use delta_ports::node_api::TaskProgress;
use summary::{Round, Summary};

/// What may be typed behind `demo`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DemoArgs {
    /// Print one JSON object as the last line
    #[arg(long)]
    pub(crate) json: bool,
    /// Number of nodes
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(3..=50))]
    pub(crate) nodes: u16,
    /// Number of training rounds
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub(crate) rounds: u32,
    /// Run no task: start the network for tasks of your own and keep it running until Ctrl-C
    #[arg(long)]
    pub(crate) keep: bool,
    /// Port of the first node with --keep, the others' after it; 0 takes free ones
    #[arg(long, default_value_t = 6700, requires = "keep")]
    pub(crate) port: u16,
    /// Keep the temporary directory with databases, logs and results
    #[arg(long)]
    pub(crate) keep_files: bool,
}

/// The longest that the whole demonstration may take.
const AT_MOST: Duration = Duration::from_secs(300);
/// How long the others wait for the member that is killed.
const WAIT: f64 = 6.0;

/// Runs the demonstration.
///
/// # Errors
/// Whatever did not go as it should: the exit code is then not zero.
pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<()> {
    let mut folder = tempfile::Builder::new()
        .prefix("delta-demo-")
        .tempdir()
        .context("no temporary directory")?;
    folder.disable_cleanup(args.keep || args.keep_files);
    let log = std::fs::File::create(folder.path().join("demo.log"))
        .context("the log cannot be written")?;
    // A second initialisation (in tests) keeps the first: nothing is lost but the place of the log.
    drop(
        tracing_subscriber::fmt()
            .with_writer(std::sync::Mutex::new(log))
            .with_ansi(false)
            .with_env_filter("info,delta_node=info")
            .try_init(),
    );
    let show = Screen {
        json: args.json,
        live: std::io::stdout().is_terminal() && !args.json,
    };
    if args.keep {
        return keep::run(&args, folder.path(), &show).await;
    }
    let task = task(&args)?;
    let bundle = Bundle::open(&task, &BundleLimits::default())?;
    let doomed_step = bundle.manifest().total_rounds() / 2;

    show.line(&format!(
        "starting a connector and {} nodes in {}",
        args.nodes,
        folder.path().display()
    ));
    let witness = Witness::default();
    let plan = Plan {
        nodes: usize::from(args.nodes),
        doomed_step: Some(doomed_step),
        first_port: None,
    };
    let mut network = Network::start(folder.path(), &plan, &witness).await?;
    for node in network.nodes() {
        show.line(&format!(
            "  {}  {}  {} images  {}",
            node.name, node.url, node.images, node.address
        ));
    }

    let client = UserClient::new(&network.nodes()[0].url)?;
    let id = client
        .submit(&task)
        .await
        .context("the task was not accepted")?;
    show.line(&format!(
        "task {id} submitted to {}: {}",
        network.nodes()[0].name,
        bundle.manifest().name
    ));
    let progress = tokio::time::timeout(AT_MOST, follow(&show, &client, &mut network, id))
        .await
        .with_context(|| format!("the demonstration was not over after {AT_MOST:?}"))??;

    let result_file = folder.path().join("result.npz");
    let mut content = Box::pin(client.result(u64::try_from(id)?).await?);
    let mut file = std::fs::File::create(&result_file)?;
    while let Some(piece) = content.next().await {
        file.write_all(&piece?)?;
    }
    let by_address: BTreeMap<Address, usize> = network
        .nodes()
        .iter()
        .enumerate()
        .map(|(i, n)| (n.address.clone(), i))
        .collect();
    let rounds = rounds(&progress, &bundle, &witness, &by_address);
    let summary = Summary::new(rounds, &result_file, network.victim_name())?;
    summary.draw(folder.path())?;
    network.stop().await;
    // Results and picture are what the demonstration leaves behind.
    let kept = keep_results(&args, folder.path(), &result_file)?;
    show.line(&summary.text(&kept, args.keep_files.then(|| folder.path())));
    let verdict = summary.verdict();
    if args.json {
        writeln!(
            std::io::stdout(),
            "{}",
            summary.json(verdict.is_ok(), &kept)
        )?;
    }
    verdict
}

/// The task with the wanted number of training rounds and members.
fn task(args: &DemoArgs) -> anyhow::Result<Vec<u8>> {
    let bundle =
        Bundle::open(DIGITS_TASK, &BundleLimits::default()).context("the built-in task")?;
    let mut manifest = bundle.manifest().clone();
    let Some(training) = manifest.rounds.first_mut() else {
        bail!("the built-in task has no rounds")
    };
    training.repeat = args.rounds;
    manifest.strategy.max_clients = u32::from(args.nodes);
    manifest.strategy.wait_timeout = WAIT;
    let graphs = bundle
        .graphs()
        .map(|(name, bytes)| (name.to_owned(), bytes.to_vec()))
        .collect();
    let mut arrays = BTreeMap::new();
    for (name, spec) in &manifest.variables {
        if let (Some(file), Some(value)) = (&spec.init, bundle.initial(name)) {
            arrays.insert(file.clone(), value.clone());
        }
    }
    Ok(write_bundle(&manifest, &graphs, &arrays)?)
}

/// Shows the rounds as they go, kills the member that is to die, and answers with the reports of all rounds.
async fn follow(
    show: &Screen,
    client: &UserClient,
    network: &mut Network,
    id: i64,
) -> anyhow::Result<TaskProgress> {
    let started = Instant::now();
    let mut last = (0, String::new(), Vec::new());
    let mut reported = 0;
    loop {
        if network.kill_if_begun() {
            show.line(&format!(
                "         {} is killed in the middle of its computation",
                network.victim_name()
            ));
        }
        let Some(progress) = network.progress(id).await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            if started.elapsed() > Duration::from_secs(60) {
                bail!("the task did not start within a minute");
            }
            continue;
        };
        for report in &progress.rounds[reported..] {
            show.clear();
            let mut numbers = String::new();
            for (name, value) in &report.metrics {
                numbers.push_str(&format!("  {name} {value:.4}"));
            }
            let end = match &report.end {
                RoundEnd::Finished => format!("{} members{numbers}", report.clients.len()),
                RoundEnd::Failed(why) => format!("failed: {why}"),
            };
            let dropped: Vec<String> = report.dropped.iter().map(|a| network.name_of(a)).collect();
            let dropped = if dropped.is_empty() {
                String::new()
            } else {
                format!("  dropped: {}", dropped.join(", "))
            };
            show.line(&format!(
                "round {:>3}  {:>6.2} s  {end}{dropped}",
                report.round, report.seconds
            ));
        }
        reported = progress.rounds.len();
        let now = (
            progress.round,
            progress.phase.clone(),
            progress.waiting_for.clone(),
        );
        if now != last && progress.phase != "Done" {
            let waiting: Vec<String> = progress
                .waiting_for
                .iter()
                .map(|a| network.name_of(a))
                .collect();
            let waiting = if waiting.is_empty() {
                String::new()
            } else {
                format!(", waiting for {}", waiting.join(", "))
            };
            show.live(&format!(
                "round {:>3}  {}{waiting}",
                progress.round, progress.phase
            ));
            last = now;
        }
        let status = client.task(u64::try_from(id)?).await?.status;
        match status.as_str() {
            "FINISHED" => {
                show.clear();
                if let Some(progress) = network
                    .progress(id)
                    .await
                    .filter(|p| p.rounds.len() == reported)
                {
                    return Ok(progress);
                }
            }
            "ERROR" => {
                let log = client.logs(u64::try_from(id)?, 0).await.unwrap_or_default();
                let why = log.last().map(|l| l.message.clone()).unwrap_or_default();
                bail!("the task failed: {why}");
            }
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

fn rounds(
    progress: &TaskProgress,
    bundle: &Bundle,
    witness: &Witness,
    nodes: &BTreeMap<Address, usize>,
) -> Vec<Round> {
    progress
        .rounds
        .iter()
        .map(|report| {
            let members: Vec<usize> = report
                .clients
                .iter()
                .filter_map(|a| nodes.get(a).copied())
                .collect();
            let finished = report.end == RoundEnd::Finished;
            Round {
                round: report.round,
                seconds: report.seconds,
                finished,
                clients: members
                    .iter()
                    .map(|i| crate::testbed::network::name(*i))
                    .collect(),
                dropped: report
                    .dropped
                    .iter()
                    .filter_map(|a| nodes.get(a))
                    .map(|i| crate::testbed::network::name(*i))
                    .collect(),
                accuracy: report.metrics.get("accuracy").copied(),
                loss: report.metrics.get("loss").copied(),
                exact: finished && witness.exact(bundle, report.step, &members),
            }
        })
        .collect()
}

/// Without `--keep-files` only the result and the picture survive, beside each other in the temporary directory of the system.
fn keep_results(
    args: &DemoArgs,
    folder: &std::path::Path,
    result: &std::path::Path,
) -> anyhow::Result<std::path::PathBuf> {
    if args.keep_files {
        return Ok(result.to_owned());
    }
    let kept = std::env::temp_dir().join("delta-demo-result");
    std::fs::create_dir_all(&kept)?;
    std::fs::copy(folder.join("accuracy.svg"), kept.join("accuracy.svg"))?;
    let target = kept.join("result.npz");
    std::fs::copy(result, &target)?;
    Ok(target)
}

/// Where the demonstration speaks: standard output, one line that changes when it is a terminal.
struct Screen {
    json: bool,
    live: bool,
}

impl Screen {
    fn line(&self, text: &str) {
        // With --json everything but the last line is for people: it goes to standard error.
        if self.json {
            drop(writeln!(std::io::stderr(), "{text}"));
        } else {
            drop(writeln!(std::io::stdout(), "{text}"));
        }
    }

    fn live(&self, text: &str) {
        if self.live {
            drop(write!(std::io::stdout(), "\r\x1b[K{text}"));
            drop(std::io::stdout().flush());
        }
    }

    fn clear(&self) {
        self.live("");
    }
}
