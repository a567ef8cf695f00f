//! The demonstration itself: a task over all nodes, one of which is killed, and what came of it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures_util::StreamExt as _;

use super::args::DemoArgs;
use super::follow::follow;
use super::screen::Screen;
use super::summary::{PICTURE, Round, Summary};
use crate::assets::DIGITS_TASK;
use crate::bootstrap::{UserClient, Way, users};
use crate::testbed::network::{Network, Plan, name};
use crate::testbed::recorder::Witness;
use delta_domain::bundle::{Bundle, BundleLimits, write_bundle};
use delta_domain::ids::Address;
use delta_domain::round::message::RoundEnd;
use delta_ports::author_api::TaskProgress;

/// The longest that the whole demonstration may take.
const AT_MOST: Duration = Duration::from_secs(300);
/// How long the others wait for the member that is killed.
const WAIT: f64 = 6.0;

/// Starts the network, runs the task over it, and says what came of it.
pub(super) async fn run(args: &DemoArgs, folder: &Path, show: &Screen) -> anyhow::Result<()> {
    let task = task(args)?;
    let bundle = Bundle::open(&task, &BundleLimits::default())?;
    let witness = Witness::default();
    let mut network = start(args, &bundle, &witness, folder, show).await?;
    let client = users(&network.nodes()[0].url, None, &Way::default())?;
    let id = client
        .submit(&task)
        .await
        .context("the task was not accepted")?;
    show.line(&format!(
        "task {id} submitted to {}: {}",
        network.nodes()[0].name,
        bundle.manifest().name
    ));
    let progress = tokio::time::timeout(AT_MOST, follow(show, &client, &mut network, id))
        .await
        .with_context(|| format!("the demonstration was not over after {AT_MOST:?}"))??;

    let result = folder.join("result.npz");
    download(&client, id, &result).await?;
    let rounds = rounds(&progress, &bundle, &witness, &places(&network));
    let summary = Summary::new(rounds, &result, network.victim_name())?;
    summary.draw(folder)?;
    network.stop().await;
    // Results and picture are what the demonstration leaves behind.
    let kept = keep_results(args, folder, &result)?;
    show.line(&summary.text(&kept, args.keep_files.then_some(folder)));
    let verdict = summary.verdict();
    if args.json {
        let object = summary.json(verdict.is_ok(), &kept);
        writeln!(std::io::stdout(), "{object}")?;
    }
    verdict
}

/// The network, whose last node will be killed in the middle of the task.
async fn start(
    args: &DemoArgs,
    bundle: &Bundle,
    witness: &Witness,
    folder: &Path,
    show: &Screen,
) -> anyhow::Result<Network> {
    show.line(&format!(
        "starting a connector and {} nodes in {}",
        args.nodes,
        folder.display()
    ));
    let plan = Plan {
        nodes: usize::from(args.nodes),
        doomed_step: Some(bundle.manifest().total_rounds() / 2),
        first_port: None,
    };
    let network = Network::start(folder, &plan, witness).await?;
    for node in network.nodes() {
        show.line(&format!(
            "  {}  {}  {} images  {}",
            node.name, node.url, node.images, node.address
        ));
    }
    Ok(network)
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

async fn download(client: &UserClient, id: i64, to: &Path) -> anyhow::Result<()> {
    let mut content = Box::pin(client.result(u64::try_from(id)?).await?);
    let mut file = std::fs::File::create(to)?;
    while let Some(piece) = content.next().await {
        file.write_all(&piece?)?;
    }
    Ok(())
}

/// Each node's place in the network by its address.
fn places(network: &Network) -> BTreeMap<Address, usize> {
    let nodes = network.nodes().iter().enumerate();
    nodes.map(|(i, n)| (n.address.clone(), i)).collect()
}

/// The reports in the demonstration's own numbers.
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
                clients: members.iter().map(|i| name(*i)).collect(),
                dropped: report
                    .dropped
                    .iter()
                    .filter_map(|a| nodes.get(a))
                    .map(|i| name(*i))
                    .collect(),
                accuracy: report.metrics.get("accuracy").copied(),
                loss: report.metrics.get("loss").copied(),
                exact: finished && witness.exact(bundle, report.step, &members),
            }
        })
        .collect()
}

/// Without `--keep-files` only the result and the picture survive, beside each other in a folder of their own.
fn keep_results(args: &DemoArgs, folder: &Path, result: &Path) -> anyhow::Result<PathBuf> {
    if args.keep_files {
        return Ok(result.to_owned());
    }
    // Nobody else can have put anything there before.
    let kept = tempfile::Builder::new()
        .prefix("delta-demo-result-")
        .tempdir()?
        .keep();
    std::fs::copy(folder.join(PICTURE), kept.join(PICTURE))?;
    let target = kept.join("result.npz");
    std::fs::copy(result, &target)?;
    Ok(target)
}
