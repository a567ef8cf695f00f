//! `attack`: hostile strangers, members, coordinators and connectors against real nodes over the real wire (SECURITY.md, Where each rule and attack is tested).
//!
//! An attack counts as repelled only if the node said so, or did nothing of what was asked, **and** is unharmed afterwards: every node
//! answers, nobody's two secrets are on the record, and an honest task over all nodes ends with the right numbers. What cannot be judged
//! counts as not repelled. Not here: attacks that need no wire; these are tests of the domain (SECURITY.md has the table).

mod args;
mod bundles;
mod case;
mod conspiracy;
mod data;
mod graphs;
mod http;
mod middle;
mod network;
mod play;
mod questions;
mod report;
mod rogue_connector;
mod rogue_coordinator;
mod rogue_member;
mod scenarios;
mod tap;
mod target;
mod told;

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};

use super::log;
use crate::bootstrap::{Dial, connect};
use case::Attack;
use network::{Network, Terrain};
use play::play;
use report::Report;
use scenarios::{
    between, connectors, controls, coordinators, crowds, disclosures, doors, floods, identities,
    keys, leaks, members, order, probes, results, reveals, rewriting, sharing, strangers,
    thresholds, urls,
};
use target::{Target, Targets};

pub(crate) use args::AttackArgs;

/// Controls belong to the weakened network: both must be reported. Where somebody is between, it is his attacks that are played.
fn all(terrain: Terrain) -> Vec<Attack> {
    let controls: &[Attack] = match terrain {
        Terrain::Sound => &[],
        Terrain::Weakened => controls::ATTACKS,
        Terrain::Between => return [rewriting::ATTACKS, between::ATTACKS].concat(),
    };
    [
        controls,
        strangers::ATTACKS,
        doors::ATTACKS,
        identities::ATTACKS,
        members::ATTACKS,
        keys::ATTACKS,
        results::ATTACKS,
        coordinators::ATTACKS,
        sharing::ATTACKS,
        reveals::ATTACKS,
        urls::ATTACKS,
        connectors::ATTACKS,
        order::ATTACKS,
        thresholds::ATTACKS,
        leaks::ATTACKS,
        probes::ATTACKS,
        floods::ATTACKS,
        crowds::ATTACKS,
        disclosures::ATTACKS,
    ]
    .concat()
}

/// Runs the attacks.
///
/// # Errors
/// Some attack was not repelled, or there is nothing to attack.
pub(crate) async fn run(args: AttackArgs) -> anyhow::Result<()> {
    let attacks = chosen(&args);
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
    let log_file = folder.path().join("attack.log");
    log::into_file(&log_file)?;
    let report = match (&args.coordinator, &args.connector) {
        (Some(url), Some(connector)) => {
            let (field, place) = foreign(url, connector).await?;
            play(&field, &attacks, place, say).await
        }
        _ => {
            say("starting a connector and three nodes on loopback");
            let network = Network::start(folder.path(), args.terrain()).await?;
            let field = own(&network, log_file)?;
            let report = play(
                &field,
                &attacks,
                "a network of its own on loopback".into(),
                say,
            )
            .await;
            network.stop().await;
            report
        }
    };
    write(&args, &report)?;
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

/// The attacks that the arguments ask for.
fn chosen(args: &AttackArgs) -> Vec<Attack> {
    let named = |a: &Attack| args.only.is_empty() || args.only.iter().any(|t| a.name.contains(t));
    let possible = |a: &Attack| args.coordinator.is_none() || !a.own;
    let all = all(args.terrain()).into_iter();
    all.filter(named).filter(possible).collect()
}

/// Writes the report in the forms that the arguments ask for.
fn write(args: &AttackArgs, report: &Report) -> anyhow::Result<()> {
    if let Some(file) = &args.json {
        std::fs::write(file, report.json()?)
            .with_context(|| format!("{} cannot be written", file.display()))?;
    }
    if let Some(file) = &args.html {
        std::fs::write(file, report.html())
            .with_context(|| format!("{} cannot be written", file.display()))?;
    }
    Ok(())
}

/// The network that this program started.
fn own(network: &Network, log: PathBuf) -> anyhow::Result<Targets> {
    let targets = network
        .nodes
        .iter()
        .map(|node| Target {
            url: node.url.clone(),
            address: node.address.clone(),
            rogue: Some(node.rogue.clone()),
            tokens: Some(node.tokens.clone()),
            home: Some(node.home.clone()),
            middle: node.middle.clone(),
            node: node.running.as_ref().map(|running| running.node.clone()),
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
    let client = connect(host, port, Dial::default(), None, None)?;
    let nodes = client.all_nodes().await.context("the connector")?;
    let mut targets: Vec<Target> = nodes
        .into_iter()
        .map(|node| Target {
            url: node.url.trim_end_matches('/').to_owned(),
            address: node.address,
            rogue: None,
            tokens: None,
            home: None,
            middle: None,
            node: None,
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

fn say(text: &str) {
    // The terminal may be gone; the exit code still tells.
    drop(writeln!(std::io::stdout(), "{text}"));
}
