//! Attacks by a coordinator whose url on record leads where nodes must not go.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::testbed::attack::case::{Attack, Outcome, attacks};
use crate::testbed::attack::rogue_coordinator::RogueCoordinator;
use crate::testbed::attack::target::{Targets, until};
use crate::testbed::attack::told;

pub(in crate::testbed::attack) const ATTACKS: &[Attack] = attacks! { "coordinator", true;
    "url-loopback", "a coordinator's url that leads to a service of the node's own machine" => loopback;
    "url-redirect", "a coordinator that redirects to such a service" => redirect;
    "url-metadata", "a coordinator's url that leads to the cloud's metadata service" => metadata;
    "url-scheme", "a coordinator's url with a file behind it" => file;
};

/// A service that nobody may reach, and how often somebody did.
pub(super) struct Canary {
    url: String,
    visits: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Canary {
    /// Listens on `host` and answers everybody with `answer`.
    pub(super) async fn listen(host: &str, answer: String) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((host, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let visits = Arc::new(AtomicUsize::new(0));
        let counted = visits.clone();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let answer = answer.clone();
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    if stream.read(&mut request).await.is_ok() {
                        drop(stream.write_all(answer.as_bytes()).await);
                    }
                });
            }
        });
        Ok(Self { url, visits, task })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }
}

pub(super) const SECRET: &str =
    "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nsecret";

/// Offers a task there. Nodes with such a coordinator can tell nobody that they decline: their logs say it.
async fn offered(field: &Targets, url: &str) -> anyhow::Result<String> {
    let mut coordinator = RogueCoordinator::elsewhere(field, url).await?;
    coordinator.begin().await?;
    let task = coordinator.task().clone();
    let what = "all nodes to decline";
    let reasons = until(what, || async {
        let reasons = field.log.refusals(&task);
        (reasons.len() >= field.targets.len()).then_some(reasons)
    })
    .await;
    coordinator.finish().await;
    let mut reasons = reasons?;
    reasons.dedup();
    Ok(reasons.join("; "))
}

async fn loopback(field: &Targets) -> anyhow::Result<Outcome> {
    let canary = Canary::listen("127.0.0.2", SECRET.into()).await?;
    let why = offered(field, &canary.url).await?;
    let visits = canary.visits();
    Ok(Outcome::new(
        visits == 0,
        format!("{visits} connections; {why}"),
    ))
}

async fn redirect(field: &Targets) -> anyhow::Result<Outcome> {
    let canary = Canary::listen("127.0.0.2", SECRET.into()).await?;
    let answer = format!(
        "HTTP/1.1 302 Found\r\nlocation: {}/secret\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        canary.url
    );
    let sign = Canary::listen("127.0.0.1", answer).await?;
    let why = offered(field, &sign.url).await?;
    let (asked, visits) = (sign.visits(), canary.visits());
    let answered = format!("{asked} requests were redirected, {visits} followed; {why}");
    Ok(Outcome::new(asked > 0 && visits == 0, answered))
}

async fn metadata(field: &Targets) -> anyhow::Result<Outcome> {
    denied(field, "http://169.254.169.254/latest/meta-data").await
}

async fn file(field: &Targets) -> anyhow::Result<Outcome> {
    denied(field, "file:///etc/passwd").await
}

/// Nothing can listen there; that nothing was sent shows in the reason.
async fn denied(field: &Targets, url: &str) -> anyhow::Result<Outcome> {
    let why = offered(field, url).await?;
    Ok(Outcome::new(told::forbids_the_url(&why), why))
}
