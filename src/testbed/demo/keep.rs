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
    show.line(&format!("dashboard  {}/", first.url));
    if args.open && !open_browser(&format!("{}/", first.url)) {
        show.line("no browser could be started; open that address in one");
    }
    let signal = stop.await;
    show.line(&format!("{signal} received, stopping"));
    network.stop().await;
    Ok(())
}

/// Lets the desktop show an address; false where there is none.
fn open_browser(url: &str) -> bool {
    let programs: &[&str] = match cfg!(target_os = "macos") {
        true => &["open"],
        false => &["xdg-open", "wslview"],
    };
    let start = |program: &&str| {
        let mut command = std::process::Command::new(program);
        let quiet = std::process::Stdio::null;
        let command = command
            .arg(url)
            .stdin(quiet())
            .stdout(quiet())
            .stderr(quiet());
        let Ok(mut child) = command.spawn() else {
            return false;
        };
        // It may stay as long as the browser does; nobody waits for it but this thread.
        drop(std::thread::spawn(move || drop(child.wait())));
        true
    };
    programs.iter().any(start)
}
