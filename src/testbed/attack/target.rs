//! Where attacks take place: the nodes under attack as seen from the attackers' side, and how to tell that they are unharmed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures_util::StreamExt as _;
use tokio::time::timeout;

use super::middle::Middle;
use super::rogue_connector::RogueConnector;
use super::told::ProgramLog;
use super::{bundles, http};
use crate::bootstrap::{Dial, LogLine, Way, connect, connect_as_somebody, peers_anywhere, users};
use delta_app::Node;
use delta_domain::event::NetworkEvent;
use delta_domain::ids::{Address, Digest, TaskId};
use delta_domain::npy::{NpzLimits, decode_npz};
use delta_domain::tensor::TensorData;
use delta_ports::connector::{Connector, RoundKey};
use delta_ports::peer::PeerTransport;
use delta_ports::tokens::TokenStore;

/// How long a task of the attackers, or the honest one, may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// Pause between two looks.
pub(super) const LOOK: Duration = Duration::from_millis(25);

/// A member of the network under attack.
pub(super) struct Target {
    pub(super) url: String,
    pub(super) address: Address,
    /// The hostile connector of this node; only where the network is our own.
    pub(super) rogue: Option<Arc<RogueConnector>>,
    /// The tokens that its owner makes; only where the network is our own.
    pub(super) tokens: Option<Arc<dyn TokenStore>>,
    /// Where its files are; only where the network is our own.
    pub(super) home: Option<PathBuf>,
    /// Who is on the way to it, where somebody is.
    pub(super) middle: Option<Arc<Middle>>,
    /// Its owner's side; only where the network is our own.
    pub(super) node: Option<Arc<Node>>,
}

/// What attackers see.
pub(super) struct Targets {
    /// The first is the coordinator of the honest task.
    pub(super) targets: Vec<Target>,
    /// As a bystander speaks to it, who has joined nothing.
    pub(super) connector: Arc<dyn Connector>,
    connector_at: (String, u16),
    pub(super) peers: Arc<dyn PeerTransport>,
    /// What nodes of our own write into their log.
    pub(super) log: ProgramLog,
    /// Rounds that were tampered with: nobody's two secrets may be on their record.
    touched: Mutex<Vec<RoundKey>>,
}

impl Targets {
    pub(super) fn new(
        targets: Vec<Target>,
        host: &str,
        port: u16,
        log: Option<PathBuf>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            targets,
            connector: connect_as_somebody(host, port)?,
            connector_at: (host.to_owned(), port),
            peers: peers_anywhere()?,
            log: ProgramLog(log),
            touched: Mutex::default(),
        })
    }

    /// The connector as a newcomer with a key of its own speaks to it.
    pub(super) fn newcomer(&self) -> anyhow::Result<Arc<dyn Connector>> {
        connect_as_somebody(&self.connector_at.0, self.connector_at.1)
    }

    /// The connector as a client without a key speaks to it.
    pub(super) fn unsigned(&self) -> anyhow::Result<Arc<dyn Connector>> {
        connect(
            &self.connector_at.0,
            self.connector_at.1,
            Dial::default(),
            None,
            None,
        )
    }

    /// The node that coordinates the honest task.
    pub(super) fn coordinator(&self) -> &Target {
        &self.targets[0]
    }

    pub(super) fn addresses(&self) -> Vec<Address> {
        self.targets.iter().map(|t| t.address.clone()).collect()
    }

    /// Whether owners allow whatever asks, as most attacks need to get as far as they do, or are asked about every task, as by default.
    pub(super) fn owners_agree(&self, agree: bool) {
        for node in self.targets.iter().filter_map(|t| t.node.as_ref()) {
            node.agree_to_everything(agree);
        }
    }

    /// The owners of all members but the coordinator allow the task of this name, once it waits for them.
    pub(super) async fn owners_allow(&self, name: &str) -> anyhow::Result<()> {
        for target in self.targets.iter().skip(1) {
            let client = users(&target.url, None, &Way::default())?;
            let waiting = async || -> anyhow::Result<Option<TaskId>> {
                let list = client.approvals().await?;
                let tasks = list["tasks"].as_array().into_iter().flatten();
                let mut ours = tasks.filter(|t| t["name"] == name && t["waits"] == true);
                let id = ours.next().and_then(|t| t["task"].as_str());
                Ok(id.map(str::parse).transpose()?)
            };
            let begun = Instant::now();
            let task = loop {
                match waiting().await? {
                    Some(task) => break task,
                    None if begun.elapsed() > PATIENCE => {
                        bail!("{} was not asked about {name}", target.url)
                    }
                    None => tokio::time::sleep(LOOK).await,
                }
            };
            client.decide(&task, "allow", "once", None).await?;
        }
        Ok(())
    }

    /// The hostile connector of a node.
    pub(super) fn rogue(&self, node: usize) -> anyhow::Result<&Arc<RogueConnector>> {
        self.targets
            .get(node)
            .and_then(|t| t.rogue.as_ref())
            .context("this network has a connector of its own")
    }

    /// Every connector is honest again.
    pub(super) fn calm(&self) {
        for rogue in self.targets.iter().filter_map(|t| t.rogue.as_ref()) {
            rogue.honest();
        }
        for middle in self.targets.iter().filter_map(|t| t.middle.as_ref()) {
            middle.honest();
        }
    }

    pub(super) fn touch(&self, key: &RoundKey) {
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        if !touched.contains(key) {
            touched.push(key.clone());
        }
    }

    /// Submits a task to the coordinator.
    pub(super) async fn submit(&self, bundle: &[u8]) -> anyhow::Result<u64> {
        let client = users(&self.coordinator().url, None, &Way::default())?;
        Ok(u64::try_from(client.submit(bundle).await?)?)
    }

    /// As [`Self::submit`], and the task's id on the network as the connector tells it to everybody, of whom `listener` is one.
    pub(super) async fn submit_heard(
        &self,
        listener: &Address,
        bundle: &[u8],
    ) -> anyhow::Result<(u64, TaskId)> {
        // Opened first: what was before it a subscription does not tell.
        let mut events = self.connector.subscribe(listener).await?;
        let id = self.submit(bundle).await?;
        let wanted = (&self.coordinator().address, Digest::of(bundle));
        let heard = async {
            while let Some(event) = events.next().await {
                if let NetworkEvent::TaskCreated {
                    task,
                    owner,
                    commitment,
                    ..
                } = event?
                    && (&owner, commitment.parse()) == (wanted.0, Ok(wanted.1))
                {
                    return Ok(task);
                }
            }
            bail!("the connector ended the subscription")
        };
        let task = timeout(PATIENCE, heard)
            .await
            .with_context(|| format!("the task was not on record within {PATIENCE:?}"))??;
        Ok((id, task))
    }

    /// The coordinator's log of one of its tasks, as its users read it.
    pub(super) async fn task_log(&self, id: u64) -> anyhow::Result<Vec<LogLine>> {
        Ok(users(&self.coordinator().url, None, &Way::default())?
            .logs(id, 0)
            .await?)
    }

    /// Waits for a task of the coordinator's to end well and gives its numbers.
    pub(super) async fn numbers(&self, id: u64) -> anyhow::Result<Vec<f32>> {
        let client = users(&self.coordinator().url, None, &Way::default())?;
        let status = until("the task to end", || async {
            let info = client.task(id).await.ok()?;
            matches!(info.status.as_str(), "FINISHED" | "ERROR").then_some(info.status)
        })
        .await?;
        if status != "FINISHED" {
            let lines = client.logs(id, 0).await.unwrap_or_default();
            let last: Vec<String> = lines.into_iter().rev().take(2).map(|l| l.message).collect();
            bail!("the task failed: {}", last.join("; "))
        }
        let mut content = Box::pin(client.result(id).await?);
        let mut bytes = Vec::new();
        while let Some(piece) = content.next().await {
            bytes.extend_from_slice(&piece?);
        }
        let arrays: BTreeMap<_, _> = decode_npz(&bytes, &NpzLimits::default())?;
        match arrays.get("w").map(|t| t.data()) {
            Some(TensorData::F32(values)) => Ok(values.clone()),
            _ => bail!("the result is not what the task computes"),
        }
    }

    /// Waits for a task and checks its numbers.
    pub(super) async fn ends_right(&self, id: u64, rounds: u32) -> anyhow::Result<()> {
        let got = self.numbers(id).await?;
        if got == vec![bundles::expected(rounds); bundles::VALUES] {
            Ok(())
        } else {
            bail!("the task's result is wrong: {got:?}")
        }
    }

    /// Whether the nodes are unharmed: alive, nobody's two secrets revealed, and an honest task over all of them ends right.
    pub(super) async fn aftermath(&self) -> anyhow::Result<()> {
        self.calm();
        for target in &self.targets {
            let reply = http::send(&target.url, "GET", "/healthz", "", b"")
                .await
                .with_context(|| format!("{} does not answer", target.url))?;
            if reply.status != 200 {
                bail!("{} is not well: {}", target.url, reply.line())
            }
        }
        let touched: Vec<RoundKey> = self
            .touched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
            .collect();
        for key in touched {
            self.no_two_secrets(&key).await?;
        }
        let members = u32::try_from(self.targets.len())?;
        let id = self.submit(&bundles::honest(members, 1)?).await?;
        self.ends_right(id, 1).await.context("the honest task")
    }

    /// Both secrets of one member on record, by one holder or by enough of them, would unmask it.
    async fn no_two_secrets(&self, key: &RoundKey) -> anyhow::Result<()> {
        let everybody = match self.connector.round(key).await {
            Ok(Some(record)) => record.joined,
            Ok(None) | Err(_) => return Ok(()),
        };
        let everybody: Vec<Address> = everybody.iter().filter_map(|a| a.parse().ok()).collect();
        for owner in &everybody {
            let (mut seeds, mut keys) = (0, 0);
            for holder in &everybody {
                let owners = std::slice::from_ref(owner);
                let mut records = self.connector.share_records(key, owners, holder).await?;
                let Some(record) = records.pop() else {
                    continue;
                };
                seeds += usize::from(record.seed.is_some());
                keys += usize::from(record.secret_key.is_some());
                if record.seed.is_some() && record.secret_key.is_some() {
                    bail!("{holder} has revealed both shares of {owner}")
                }
            }
            let majority = everybody.len() / 2 + 1;
            if seeds >= majority && keys >= majority {
                bail!("both secrets of {owner} can be rebuilt")
            }
        }
        Ok(())
    }
}

/// Looks again and again until there is something to see.
pub(super) async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> anyhow::Result<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look().await {
            return Ok(seen);
        }
        if Instant::now() > end {
            bail!("waited {PATIENCE:?} in vain for {what}")
        }
        tokio::time::sleep(LOOK).await;
    }
}
