//! `demo --keep`: the demonstration's network for tasks of one's own, until a signal ends it.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;

use super::args::DemoArgs;
use super::screen::Screen;
use crate::testbed::network::{Network, Plan};
use crate::testbed::recorder::Witness;

/// Starts the network, says where it is, and waits for what ends it.
pub(super) async fn run(
    args: &DemoArgs,
    folder: &Path,
    show: &Screen,
    stop: impl Future<Output = &'static str>,
) -> anyhow::Result<()> {
    let plan = Plan {
        nodes: usize::from(args.nodes),
        doomed_step: None,
        first_port: Some(args.port).filter(|p| *p != 0),
    };
    show.line(&format!(
        "starting a connector and {} nodes in {}",
        args.nodes,
        folder.display()
    ));
    let network = Network::start(folder, &plan, &Witness::default())
        .await
        .context("the network does not start; --port chooses other ports, --port 0 free ones")?;
    for node in network.nodes() {
        show.line(&format!(
            "  {}  {}  {} images  {}",
            node.name,
            node.url,
            node.images,
            node.data.display()
        ));
    }
    let first = network.nodes().first().context("no node")?;
    if args.json {
        let nodes: Vec<serde_json::Value> = network
            .nodes()
            .iter()
            .map(|n| {
                serde_json::json!({
                    "name": n.name, "url": n.url, "address": n.address, "data": n.data,
                })
            })
            .collect();
        let mut out = std::io::stdout();
        writeln!(out, "{}", serde_json::json!({ "nodes": nodes }))?;
        out.flush()?;
    }
    show.line(&format!(
        "each node has a part of digits, wages.csv, iris.csv and spector.csv; submit tasks to {}; Ctrl-C ends",
        first.url
    ));
    let signal = stop.await;
    show.line(&format!("{signal} received, stopping"));
    network.stop().await;
    Ok(())
}
