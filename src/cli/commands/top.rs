//! `top`: the rounds and waits of a running node, in a terminal; over its HTTP API, so of another machine's node as well.

mod frame;

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use super::task::{plain, say};
use crate::bootstrap::{UserClient, clock};
use crate::cli::args::TopArgs;
use crate::cli::signals;
use frame::{Running, Seen, lines};

/// Tasks that are looked at: the newest.
const TASKS: u64 = 50;
/// Tasks whose progress is asked for.
const FOLLOWED: usize = 12;
/// Without a terminal that says how wide it is.
const WIDTH: usize = 80;

/// Shows the node until the terminal is interrupted; with `--once` once, without colours or movement.
///
/// # Errors
/// The node's refusal, or that it cannot be reached.
pub(in crate::cli) async fn top(node: &UserClient, args: &TopArgs) -> anyhow::Result<()> {
    let width = args.width.unwrap_or_else(width);
    if args.once {
        let seen = look(node).await?;
        return say(&lines(&seen, clock().now(), width).join("\n"));
    }
    let mut stop = std::pin::pin!(signals::listen()?);
    let colours = std::io::stdout().is_terminal();
    loop {
        let screen = match look(node).await {
            Ok(seen) => lines(&seen, clock().now(), width),
            // It may come back.
            Err(e) => vec![
                format!("{e:#}"),
                "asked again in a moment; Ctrl-C ends this".to_owned(),
            ],
        };
        draw(&screen, colours)?;
        tokio::select! {
            _ = &mut stop => return Ok(()),
            () = tokio::time::sleep(Duration::from_secs(args.every.max(1))) => {}
        }
    }
}

/// Writes over what was there, line by line, so that nothing flickers.
fn draw(screen: &[String], moves: bool) -> anyhow::Result<()> {
    let mut text = String::new();
    if moves {
        text.push_str("\x1b[H");
    }
    for line in screen {
        text.push_str(line);
        text.push_str(if moves { "\x1b[K\n" } else { "\n" });
    }
    if moves {
        text.push_str("\x1b[J");
    }
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("the output is closed")
}

fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok();
    columns.and_then(|c| c.parse().ok()).unwrap_or(WIDTH)
}

/// Asks the node for everything that is shown.
async fn look(node: &UserClient) -> anyhow::Result<Seen> {
    let vitals = node.fetch("/v1/vitals").await.map_err(plain)?;
    let page = format!("/v1/tasks?page=1&page_size={TASKS}");
    let page = node.fetch(&page).await.map_err(plain)?;
    let tasks = page["tasks"].as_array().cloned().unwrap_or_default();
    let is_over = |task: &Value| {
        let status = task["status"].as_str().unwrap_or_default();
        matches!(status, "FINISHED" | "ERROR" | "CONFIRMED")
    };
    let (over, running): (Vec<Value>, Vec<Value>) = tasks.into_iter().partition(is_over);
    let more = running.len().saturating_sub(FOLLOWED);
    let mut shown = Vec::new();
    for task in running.into_iter().take(FOLLOWED) {
        let id = task["id"].as_u64().unwrap_or_default();
        let progress = format!("/v1/task/progress?task_id={id}");
        // It may have ended, or been removed, since.
        let progress = node.fetch(&progress).await.unwrap_or(Value::Null);
        shown.push(Running { task, progress });
    }
    Ok(Seen {
        node: node.base().to_owned(),
        vitals,
        running: shown,
        more,
        over,
    })
}
