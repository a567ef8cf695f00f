//! The demonstration's network: a connector and some nodes on free loopback ports.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::recorder::{Witness, Witnessed};
use super::tables;
use crate::assets::DIGITS;
use crate::bootstrap::{self, Embedded, Running};
use crate::config::{Config, Database};
use delta_domain::ids::Address;
use delta_domain::npy::{NpzLimits, decode_npz, encode_npz};
use delta_domain::tensor::{Tensor, TensorData};
use delta_ports::author_api::{AuthorApi as _, TaskProgress};

/// How long starting may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// One node of the network.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) address: Address,
    pub(super) images: usize,
    pub(super) data: PathBuf,
    /// Gone once killed.
    runtime: Option<Runtime>,
    running: Option<Running>,
}

impl Drop for Member {
    fn drop(&mut self) {
        // A runtime must not be waited for on an async thread.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What to start.
pub(super) struct Plan {
    /// How many nodes.
    pub(super) nodes: usize,
    /// The step of a task that the last node's computation of will never end.
    pub(super) doomed_step: Option<u32>,
    /// The first node's port, the next one's after it; free ones when `None`.
    pub(super) first_port: Option<u16>,
}

/// The whole network.
pub(super) struct Network {
    members: Vec<Member>,
    begun: watch::Receiver<bool>,
    stop: CancellationToken,
}

/// The name of a node by its place.
pub(super) fn name(index: usize) -> String {
    format!("node-{}", index + 1)
}

impl Network {
    /// Starts everything.
    pub(super) async fn start(
        folder: &Path,
        plan: &Plan,
        witness: &Witness,
    ) -> anyhow::Result<Self> {
        let count = plan.nodes;
        let stop = CancellationToken::new();
        let connector_port = connector(folder, stop.clone()).await?;
        let shares = split(count)?;
        let (begin, begun) = watch::channel(false);
        let mut members = Vec::new();
        for (index, share) in shares.into_iter().enumerate() {
            let doomed = plan.doomed_step.filter(|_| index + 1 == count);
            let doomed = doomed.map(|step| (step, begin.clone()));
            let home = folder.join(name(index));
            let port = match plan.first_port {
                Some(first) => first
                    .checked_add(u16::try_from(index)?)
                    .context("there is no port above 65535")?,
                None => free_port()?,
            };
            let config = config(&home, index, port, connector_port);
            tables::put(&config.data_dir, index, count)?;
            members.push(member(config, index, share, witness.clone(), doomed).await?);
        }
        Ok(Self {
            members,
            begun,
            stop,
        })
    }

    pub(super) fn nodes(&self) -> &[Member] {
        &self.members
    }

    pub(super) fn victim_name(&self) -> String {
        name(self.members.len() - 1)
    }

    pub(super) fn name_of(&self, address: &Address) -> String {
        self.members
            .iter()
            .find(|m| m.address == *address)
            .map_or_else(|| address.to_string(), |m| m.name.clone())
    }

    /// Kills the last node, once, when its doomed computation has begun.
    pub(super) fn kill_if_begun(&mut self) -> bool {
        if !*self.begun.borrow() {
            return false;
        }
        let Some(victim) = self.members.last_mut() else {
            return false;
        };
        let Some(runtime) = victim.runtime.take() else {
            return false;
        };
        runtime.shutdown_background();
        // Dropping it is no farewell: nothing is said to anybody.
        victim.running = None;
        true
    }

    /// How the task of the first node is getting on.
    pub(super) async fn progress(&self, id: i64) -> Option<TaskProgress> {
        self.members
            .first()?
            .running
            .as_ref()?
            .node
            .task_progress(id)
            .await
            .ok()?
            .1
    }

    pub(super) async fn stop(self) {
        for mut member in self.members {
            if let (Some(runtime), Some(running)) = (member.runtime.take(), member.running.take()) {
                let stopping = tokio::task::spawn_blocking(move || {
                    runtime.block_on(running.stop());
                    runtime.shutdown_background();
                });
                drop(stopping.await);
            }
        }
        self.stop.cancel();
    }
}

/// The network's public record, in a folder of its own. `open`: clients that do not sign are served too.
pub(super) async fn record(folder: &Path, open: bool) -> anyhow::Result<Embedded> {
    let mut config = Config::default();
    config.connector.open = open;
    config.connector.db_file = folder.join("connector").join("connector.db");
    std::fs::create_dir_all(folder.join("connector"))?;
    bootstrap::embedded(&config, bootstrap::clock()).await
}

/// Serves that record on a free port, which it answers with, until `stop`.
pub(super) async fn connector(folder: &Path, stop: CancellationToken) -> anyhow::Result<u16> {
    let embedded = record(folder, false).await?;
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        if let Err(e) = embedded.serve(listener, stop.cancelled_owned()).await {
            tracing::error!("the connector broke: {e}");
        }
        embedded.close().await;
    });
    Ok(port)
}

async fn member(
    config: Config,
    index: usize,
    share: Share,
    witness: Witness,
    doomed: Option<(u32, watch::Sender<bool>)>,
) -> anyhow::Result<Member> {
    let images = share.images;
    let data = config.data_dir.clone();
    std::fs::write(data.join("digits"), share.npz)?;
    let url = config.node.url.clone();
    let (runtime, running) = launch(config, move |parts| {
        let inner = parts.ports.executor.clone();
        parts.ports.executor = Arc::new(Witnessed {
            inner,
            witness,
            node: index,
            doomed,
        });
        Ok(())
    })
    .await?;
    // The data are the test bed's own.
    running.node.agree_to_everything(true);
    let Some(address) = running.node.address() else {
        bail!("the connector gave {} no address", name(index))
    };
    Ok(Member {
        name: name(index),
        url,
        address,
        images,
        data,
        runtime: Some(runtime),
        running: Some(running),
    })
}

/// Starts a node on an async runtime of its own, and waits until it has reached the connector.
pub(super) async fn launch(
    config: Config,
    prepare: impl FnOnce(&mut bootstrap::Parts) -> anyhow::Result<()> + Send + 'static,
) -> anyhow::Result<(Runtime, Running)> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let starting = tokio::task::spawn_blocking(move || {
        let running = runtime.block_on(async {
            let mut parts = bootstrap::open(&config, bootstrap::own_program()?).await?;
            prepare(&mut parts)?;
            let running = Running::start(parts).await?;
            tokio::time::timeout(PATIENCE, running.node.connected())
                .await
                .context("the node does not reach the connector")?;
            anyhow::Ok(running)
        })?;
        anyhow::Ok((runtime, running))
    });
    starting.await?
}

/// A port that is free now, taken a moment later: the url must be known before the node starts.
pub(super) fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

/// The configuration of a node whose files are all below `home`.
pub(super) fn config(home: &Path, index: usize, port: u16, connector_port: u16) -> Config {
    let mut config = Config::default();
    config.chain_connector.host = Ipv4Addr::LOCALHOST.to_string();
    config.chain_connector.port = connector_port;
    config.node.name = name(index);
    config.node.url = format!("http://127.0.0.1:{port}");
    config.api_host = IpAddr::V4(Ipv4Addr::LOCALHOST);
    config.api_port = port;
    config.db = Database::Sqlite(home.join("node.db"));
    config.task_dir = home.join("task");
    config.data_dir = home.join("data");
    config.log.dir = home.join("log");
    config.policy.allow_private_addresses = true;
    config.executor.threads = 1;
    config.executor.library = None;
    config
}

/// One node's images.
struct Share {
    npz: Vec<u8>,
    images: usize,
}

/// Splits the images unevenly: the first node has the most, each of the others a little less.
fn split(count: usize) -> anyhow::Result<Vec<Share>> {
    let arrays: BTreeMap<String, Tensor> = decode_npz(DIGITS, &NpzLimits::default())?;
    let (Some(x), Some(y)) = (arrays.get("x"), arrays.get("y")) else {
        bail!("the built-in images are incomplete")
    };
    let (TensorData::U8(pixels), TensorData::U8(labels)) = (x.data(), y.data()) else {
        bail!("the built-in images are no bytes")
    };
    let total = labels.len();
    let size = pixels.len() / total;
    let weight: usize = (1..=count).sum::<usize>() + count * count;
    let mut shares = Vec::new();
    let mut from = 0;
    for i in 0..count {
        let part = total * (count + count - i) / weight;
        let to = if i + 1 == count {
            total
        } else {
            (from + part).min(total)
        };
        let images = to - from;
        let x = Tensor::new(
            vec![images, 1, 8, 8],
            TensorData::U8(pixels[from * size..to * size].to_vec()),
        )?;
        let y = Tensor::new(vec![images], TensorData::U8(labels[from..to].to_vec()))?;
        shares.push(Share {
            npz: encode_npz(&[("x", &x), ("y", &y)])?,
            images,
        });
        from = to;
    }
    Ok(shares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_goes_to_exactly_one_node_and_shares_differ() {
        for count in [3, 4, 7, 50] {
            let sizes: Vec<usize> = split(count).unwrap().iter().map(|s| s.images).collect();
            assert_eq!(sizes.iter().sum::<usize>(), 1797);
            assert!(sizes.iter().all(|n| *n > 0));
            assert!(sizes[0] > sizes[count - 2], "{sizes:?}");
        }
    }
}
