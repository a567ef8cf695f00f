//! `attack`: hostile strangers, members, coordinators and connectors against real nodes over the real wire (SECAGG.md section 4).
//!
//! An attack counts as repelled only if the node said so, or did nothing of what was asked, **and** is unharmed afterwards: every node
//! answers, nobody's two secrets are on the record, and an honest task over all nodes ends with the right numbers. What cannot be judged
//! counts as not repelled. Not here: attacks that need no wire; these are tests of the domain (SECURITY.md has the table).

mod bundles;
mod graphs;
mod http;
mod network;
mod report;
mod rogue_connector;
mod rogue_coordinator;
mod rogue_member;
mod scenarios;
mod target;

use std::future::Future;
use std::io::Write as _;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::adapters::grpc::{GrpcConnector, GrpcOptions};
use delta_ports::connector::Connector as _;
use network::Network;
use report::{Finding, Report};
use scenarios::{connectors, controls, coordinators, members, reveals, sharing, strangers, urls};
use target::{Target, Targets};

/// What may be typed behind `attack`.
#[derive(Debug, Clone, Args)]
pub(crate) struct AttackArgs {
    /// Write the report as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write the report as a page
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Only attacks with this in their name; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub(crate) only: Vec<String>,
    /// List the attacks and do nothing
    #[arg(long)]
    pub(crate) list: bool,
    /// Take two walls of the started network down, and add harmless controls: what must be reported as NOT repelled
    #[arg(long, conflicts_with = "coordinator")]
    pub(crate) weaken: bool,
    /// Attack this running node of yours instead of a network started here
    #[arg(long, value_name = "URL", requires = "connector")]
    pub(crate) coordinator: Option<String>,
    /// The connector of that node
    #[arg(long, value_name = "HOST:PORT", requires = "coordinator")]
    pub(crate) connector: Option<String>,
}

/// The longest that one attack may take, its aftermath included.
const AT_MOST: Duration = Duration::from_secs(75);
/// How often an attack is played that could not be judged.
const TRIES: u32 = 3;

/// What came of an attack, before the aftermath is looked at.
struct Outcome {
    /// What the node said or did, for people.
    answered: String,
    repelled: bool,
}

impl Outcome {
    fn new(repelled: bool, answered: impl Into<String>) -> Self {
        Self {
            answered: answered.into(),
            repelled,
        }
    }
}

type Running<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Outcome>> + Send + 'a>>;

/// One attack.
#[derive(Clone, Copy)]
struct Attack {
    name: &'static str,
    /// Who attacks: a stranger, a member, a coordinator, a connector.
    by: &'static str,
    tried: &'static str,
    /// Whether it needs a connector of our own.
    own: bool,
    run: for<'a> fn(&'a Targets) -> Running<'a>,
}

/// `name, tried => function`, a list of attacks by one kind of attacker.
macro_rules! attacks {
    ($by:literal, $own:literal; $($name:literal, $tried:literal => $run:path;)+) => {
        &[$($crate::testbed::attack::Attack {
            name: $name,
            by: $by,
            tried: $tried,
            own: $own,
            run: |field| Box::pin($run(field)),
        }),+]
    };
}
use attacks;

/// Controls belong to the weakened network: both must be reported.
fn all(weaken: bool) -> Vec<Attack> {
    let controls: &[Attack] = if weaken { controls::ATTACKS } else { &[] };
    [
        controls,
        strangers::ATTACKS,
        members::ATTACKS,
        coordinators::ATTACKS,
        sharing::ATTACKS,
        reveals::ATTACKS,
        urls::ATTACKS,
        connectors::ATTACKS,
    ]
    .concat()
}

/// Runs the attacks.
///
/// # Errors
/// Some attack was not repelled, or there is nothing to attack.
pub(crate) async fn run(args: AttackArgs) -> anyhow::Result<()> {
    let attacks: Vec<Attack> = all(args.weaken)
        .into_iter()
        .filter(|a| args.only.is_empty() || args.only.iter().any(|text| a.name.contains(text)))
        .filter(|a| args.coordinator.is_none() || !a.own)
        .collect();
    if args.list {
        for attack in attacks {
            say(&format!(
                "{}  ({}): {}",
                attack.name, attack.by, attack.tried
            ));
        }
        return Ok(());
    }
    if attacks.is_empty() {
        bail!("no attack has this in its name; see --list")
    }
    let mut folder = tempfile::Builder::new()
        .prefix("delta-attack-")
        .tempdir()
        .context("no temporary directory")?;
    let log = folder.path().join("attack.log");
    log_to(&log)?;
    let report = match (&args.coordinator, &args.connector) {
        (Some(url), Some(connector)) => {
            let (field, place) = foreign(url, connector).await?;
            play(&field, &attacks, place).await
        }
        _ => {
            say("starting a connector and three nodes on loopback");
            let network = Network::start(folder.path(), args.weaken).await?;
            let field = own(&network, log)?;
            let report = play(&field, &attacks, "a network of its own on loopback".into()).await;
            network.stop().await;
            report
        }
    };
    if let Some(file) = &args.json {
        std::fs::write(file, report.json()?)
            .with_context(|| format!("{} cannot be written", file.display()))?;
    }
    if let Some(file) = &args.html {
        std::fs::write(file, report.html())
            .with_context(|| format!("{} cannot be written", file.display()))?;
    }
    say(&report.summary());
    let verdict = report.verdict();
    if verdict.is_err() {
        folder.disable_cleanup(true);
        say(&format!(
            "databases and logs are kept in {}",
            folder.path().display()
        ));
    }
    verdict
}

async fn play(field: &Targets, attacks: &[Attack], place: String) -> Report {
    let begun = Instant::now();
    let mut findings = Vec::new();
    for attack in attacks {
        let finding = one(field, attack).await;
        say(&finding.line());
        findings.push(finding);
    }
    Report::new(place, begun.elapsed(), findings)
}

/// One attack and its aftermath.
async fn one(field: &Targets, attack: &Attack) -> Finding {
    let begun = Instant::now();
    let tried = async {
        let mut tries = 1;
        loop {
            match (attack.run)(field).await {
                Ok(outcome) => break outcome,
                // The honest members may have been faster, and the round over before it could be attacked.
                Err(_) if tries < TRIES => tries += 1,
                // An attack that cannot be judged is no proof of anything.
                Err(e) => break Outcome::new(false, format!("could not be judged: {e:#}")),
            }
        }
    };
    let (mut outcome, aftermath) = match tokio::time::timeout(AT_MOST, tried).await {
        Ok(outcome) => {
            let looked = tokio::time::timeout(AT_MOST, field.aftermath()).await;
            let looked = looked.unwrap_or_else(|_| bail_late());
            (outcome, looked)
        }
        Err(_) => (
            Outcome::new(false, format!("nothing within {AT_MOST:?}")),
            field.aftermath().await,
        ),
    };
    let afterwards = match aftermath {
        Ok(()) => "unharmed: every node answers, an honest task ends right".to_owned(),
        Err(e) => {
            outcome.repelled = false;
            format!("harmed: {e:#}")
        }
    };
    Finding {
        name: attack.name,
        by: attack.by,
        tried: attack.tried,
        answered: outcome.answered,
        afterwards,
        repelled: outcome.repelled,
        seconds: begun.elapsed().as_secs_f64(),
    }
}

fn bail_late() -> anyhow::Result<()> {
    bail!("the honest task did not end within {AT_MOST:?}")
}

fn own(network: &Network, log: PathBuf) -> anyhow::Result<Targets> {
    let targets = network
        .nodes
        .iter()
        .map(|node| Target {
            url: node.url.clone(),
            address: node.address.clone(),
            rogue: Some(node.rogue.clone()),
        })
        .collect();
    Targets::new(targets, "127.0.0.1", network.connector_port, Some(log))
}

/// A running network: all its living nodes, the one at `url` first.
async fn foreign(url: &str, connector: &str) -> anyhow::Result<(Targets, String)> {
    let url = url.trim_end_matches('/');
    let (host, port) = connector
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse().ok()?)))
        .context("--connector wants HOST:PORT")?;
    let client = GrpcConnector::new(host, port, GrpcOptions::default())?;
    let page = client.nodes(1, 0).await.context("the connector")?;
    let mut targets: Vec<Target> = page
        .nodes
        .into_iter()
        .map(|node| Target {
            url: node.url.trim_end_matches('/').to_owned(),
            address: node.address,
            rogue: None,
        })
        .collect();
    targets.sort_by_key(|target| target.url != url);
    if targets.first().is_none_or(|t| t.url != url) {
        bail!("{url} is not on this connector's list of living nodes")
    }
    if targets.len() < 2 {
        bail!("a network of one node has nothing to protect: start at least two")
    }
    let place = format!("{url} and {} more", targets.len() - 1);
    Ok((Targets::new(targets, host, port, None)?, place))
}

/// Logs of nodes under attack are long: into a file, where someone may look.
fn log_to(file: &std::path::Path) -> anyhow::Result<()> {
    let log = std::fs::File::create(file).context("the log cannot be written")?;
    // A second initialisation (in tests) keeps the first: nothing is lost but the place of the log.
    drop(
        tracing_subscriber::fmt()
            .with_writer(std::sync::Mutex::new(log))
            .with_ansi(false)
            .with_env_filter("info")
            .try_init(),
    );
    Ok(())
}

fn say(text: &str) {
    // The terminal may be gone; the exit code still tells.
    drop(writeln!(std::io::stdout(), "{text}"));
}
