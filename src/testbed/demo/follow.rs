//! Watching the task: what the screen shows meanwhile, and the moment at which a member is killed.

use std::time::{Duration, Instant};

use anyhow::bail;

use super::screen::Screen;
use crate::bootstrap::UserClient;
use crate::testbed::network::Network;
use delta_domain::ids::Address;
use delta_domain::round::message::RoundEnd;
use delta_ports::author_api::{RoundReport, TaskProgress};

/// How long a task may take to start.
const START_WITHIN: Duration = Duration::from_secs(60);

/// Shows the rounds as they go, kills the member that is to die, and answers with the reports of all rounds.
pub(super) async fn follow(
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
            if started.elapsed() > START_WITHIN {
                bail!("the task did not start within a minute");
            }
            continue;
        };
        for report in &progress.rounds[reported..] {
            show.clear();
            show.line(&told(report, network));
        }
        reported = progress.rounds.len();
        let now = (
            progress.round,
            progress.phase.clone(),
            progress.waiting_for.clone(),
        );
        if now != last && progress.phase != "Done" {
            show.live(&standing(&progress, network));
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

/// A round that is over, in one line.
fn told(report: &RoundReport, network: &Network) -> String {
    let mut numbers = String::new();
    for (name, value) in &report.metrics {
        numbers.push_str(&format!("  {name} {value:.4}"));
    }
    let end = match &report.end {
        RoundEnd::Finished => format!("{} members{numbers}", report.clients.len()),
        RoundEnd::Failed(code) => {
            let why = report.reason.as_deref().unwrap_or(code.meaning());
            format!("failed: {why}")
        }
    };
    format!(
        "round {:>3}  {:>6.2} s  {end}{}",
        report.round,
        report.seconds,
        named("  dropped: ", &report.dropped, network)
    )
}

/// Where the running round stands, in one line.
fn standing(progress: &TaskProgress, network: &Network) -> String {
    format!(
        "round {:>3}  {}{}",
        progress.round,
        progress.phase,
        named(", waiting for ", &progress.waiting_for, network)
    )
}

/// The members' names behind `before`; nothing when there are none.
fn named(before: &str, members: &[Address], network: &Network) -> String {
    if members.is_empty() {
        return String::new();
    }
    let names: Vec<String> = members.iter().map(|a| network.name_of(a)).collect();
    format!("{before}{}", names.join(", "))
}
