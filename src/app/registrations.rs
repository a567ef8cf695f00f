//! Versions of this node's datasets on the data hub: registered one after the other, each once, and compared with what tasks read.
//!
//! Persist, then speak: a version with its salt is in the database before the hub hears of it, and counts once the hub has shown it.
//! What a killed node left in between is finished by whoever registers next.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::Mutex as Turn;

use super::context::Ports;
use super::node::not_reached;
use super::once::wait_to_look;
use delta_domain::identity::DATA_NAME;
use delta_domain::ids::{Address, DatasetName, Digest};
use delta_domain::registration::{MOST_VERSIONS, Registration};
use delta_domain::secret::Secret;
use delta_ports::clock::Clock;
use delta_ports::connector::Connector;
use delta_ports::entropy::Entropy;
use delta_ports::executor::Executor;
use delta_ports::owner_api::{OnHub, RegisteredVersion};
use delta_ports::storage::Storage;
use delta_ports::{PortError, PortErrorKind, UserError};

/// Versions lie in the database under this, the digest of the dataset's name, and their number.
const PREFIX: &str = "registration/";

pub(crate) struct Registrations {
    storage: Arc<dyn Storage>,
    connector: Arc<dyn Connector>,
    executor: Arc<dyn Executor>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// One version at a time.
    turn: Turn<()>,
}

impl Registrations {
    pub(crate) fn new(ports: &Ports) -> Self {
        Self {
            storage: ports.storage.clone(),
            connector: ports.connector.clone(),
            executor: ports.executor.clone(),
            clock: ports.clock.clone(),
            entropy: ports.entropy.clone(),
            turn: Turn::default(),
        }
    }

    /// Registers what a dataset holds now as its next version; the last one, where that is the same.
    pub(crate) async fn register(
        &self,
        address: &Address,
        dataset: &DatasetName,
    ) -> Result<RegisteredVersion, UserError> {
        if dataset.as_str() == DATA_NAME {
            let text = format!("{dataset} is what this node's identity is called on the data hub");
            return Err(UserError::Invalid(text));
        }
        let _turn = self.turn.lock().await;
        let version = self.executor.version(dataset).await;
        let version = version.map_err(|e| match e.kind() {
            PortErrorKind::NotFound => UserError::Invalid(format!("there is no dataset {dataset}")),
            _ => UserError::Port(e),
        })?;
        let mut last = self.of(dataset).await?.pop();
        if let Some(pending) = last.as_mut().filter(|last| !last.on_record) {
            self.publish(address, pending).await?;
        }
        let known = last.filter(|last| last.version == version);
        let registered = match known {
            Some(known) => known,
            None => {
                let index = self.free(address, dataset).await?;
                let salt = Secret::draw(&mut self.entropy.rng()?);
                let at = self.clock.now();
                let mut new = Registration::new(dataset.clone(), index, version, salt, at);
                self.keep(&new).await?;
                self.publish(address, &mut new).await?;
                new
            }
        };
        Ok(told(&registered, Some(true), Some(OnHub::Same)))
    }

    /// The last version of each dataset, and whether it is what the dataset holds now.
    pub(crate) async fn last(&self) -> Result<Vec<RegisteredVersion>, UserError> {
        let mut all = Vec::new();
        for last in self.newest().await?.values() {
            let now = self.executor.version(&last.dataset).await.ok();
            all.push(told(last, now.map(|now| now == last.version), None));
        }
        Ok(all)
    }

    /// All versions of a dataset, oldest first, each beside what the hub shows.
    pub(crate) async fn history(
        &self,
        address: &Address,
        dataset: &DatasetName,
    ) -> Result<Vec<RegisteredVersion>, UserError> {
        let mut all = Vec::new();
        for version in self.of(dataset).await? {
            let shown = self.shown(address, dataset, version.index).await?;
            let commitment = version.commitment().to_string();
            let same = shown.map(|shown| shown.eq_ignore_ascii_case(&commitment));
            let on_hub = match same {
                None => OnHub::Nothing,
                Some(true) => OnHub::Same,
                Some(false) => OnHub::Another,
            };
            all.push(told(&version, None, Some(on_hub)));
        }
        Ok(all)
    }

    /// One sentence for each of these datasets that does not hold what was registered last.
    pub(crate) async fn differences(
        &self,
        datasets: &BTreeSet<DatasetName>,
    ) -> Result<Vec<String>, PortError> {
        let mut all = Vec::new();
        for (dataset, last) in self.newest().await? {
            if datasets.contains(&dataset)
                && last.on_record
                && self.executor.version(&dataset).await? != last.version
            {
                all.push(format!(
                    "{dataset} does not hold what was registered on the data hub as its version {}; `delta-node datasets register {dataset}` registers it as it is",
                    last.index
                ));
            }
        }
        Ok(all)
    }

    /// Puts a version on the hub, unless it is there, and writes down that it is.
    async fn publish(&self, address: &Address, new: &mut Registration) -> Result<(), UserError> {
        let commitment = new.commitment().to_string();
        let (name, index) = (new.dataset.as_str(), new.index);
        let before = self.shown(address, &new.dataset, index).await?;
        if before.is_none() {
            let place = place(index);
            let sent = self
                .connector
                .register_data(address, name, place, &commitment);
            if let Err(e) = sent.await.map_err(not_reached) {
                // The hub may have it all the same: the next call looks.
                tracing::warn!(
                    dataset = name,
                    "a version is not known to be on the data hub"
                );
                return Err(e);
            }
        }
        let mut looks = 0;
        let shown = loop {
            match self.shown(address, &new.dataset, index).await? {
                None => looks += 1,
                shown => break shown,
            }
            if !wait_to_look(&*self.clock, looks).await {
                break None;
            }
        };
        match shown {
            Some(shown) if shown.eq_ignore_ascii_case(&commitment) => {
                new.on_record = true;
                Ok(self.keep(new).await?)
            }
            Some(_) => {
                // Its number is somebody else's; the next version takes the next free one.
                self.forget(new).await?;
                Err(UserError::Unavailable(format!(
                    "the data hub shows another commitment for version {index} of {name}: register it again to take the next number"
                )))
            }
            None => Err(UserError::Unavailable(format!(
                "the data hub does not show version {index} of {name} yet: register it again later"
            ))),
        }
    }

    /// The first number that neither this node nor the hub has a version under.
    async fn free(&self, address: &Address, dataset: &DatasetName) -> Result<u32, UserError> {
        let last = self.of(dataset).await?.pop();
        let first = last.map_or(0, |last| last.index.saturating_add(1));
        for index in first..MOST_VERSIONS {
            if self.shown(address, dataset, index).await?.is_none() {
                return Ok(index);
            }
        }
        Err(UserError::Invalid(format!(
            "{dataset} has {MOST_VERSIONS} versions on the data hub: that is the most"
        )))
    }

    async fn shown(
        &self,
        address: &Address,
        dataset: &DatasetName,
        index: u32,
    ) -> Result<Option<String>, UserError> {
        let name = dataset.as_str();
        let found = self.connector.data_commitment(address, name, place(index));
        found.await.map_err(not_reached)
    }

    async fn newest(&self) -> Result<BTreeMap<DatasetName, Registration>, PortError> {
        let kept = self.storage.settings(PREFIX).await?;
        let mut newest = BTreeMap::<DatasetName, Registration>::new();
        for (name, bytes) in kept.iter().filter(|(_, bytes)| !bytes.is_empty()) {
            let one = read(name, bytes)?;
            let older = newest.get(&one.dataset).is_none_or(|n| n.index < one.index);
            if older {
                newest.insert(one.dataset.clone(), one);
            }
        }
        Ok(newest)
    }

    /// All versions of a dataset, oldest first.
    async fn of(&self, dataset: &DatasetName) -> Result<Vec<Registration>, PortError> {
        let kept = self.storage.settings(&under(dataset)).await?;
        let kept = kept.iter().filter(|(_, bytes)| !bytes.is_empty());
        let all: Result<Vec<_>, _> = kept.map(|(name, bytes)| read(name, bytes)).collect();
        let mut all = all?;
        all.sort_by_key(|one| one.index);
        Ok(all)
    }

    async fn keep(&self, one: &Registration) -> Result<(), PortError> {
        let bytes = serde_json::to_vec(one).map_err(|e| {
            let text = "a version of a dataset cannot be written";
            PortError::new(PortErrorKind::Internal, "registrations.keep", text).with_source(e)
        })?;
        self.storage.set_setting(&key(one), &bytes).await
    }

    async fn forget(&self, one: &Registration) -> Result<(), PortError> {
        self.storage.set_setting(&key(one), &[]).await
    }
}

fn told(one: &Registration, current: Option<bool>, on_hub: Option<OnHub>) -> RegisteredVersion {
    RegisteredVersion {
        dataset: one.dataset.clone(),
        index: one.index,
        version: one.version,
        commitment: one.commitment(),
        at: one.at,
        confirmed: one.on_record,
        current,
        on_hub,
    }
}

/// By digest: names may hold anything.
fn under(dataset: &DatasetName) -> String {
    format!("{PREFIX}{}/", Digest::of(dataset.as_str().as_bytes()))
}

fn key(one: &Registration) -> String {
    format!("{}{:05}", under(&one.dataset), one.index)
}

fn place(index: u32) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}

fn read(name: &str, bytes: &[u8]) -> Result<Registration, PortError> {
    serde_json::from_slice(bytes).map_err(|e| {
        let text = format!("{name} in the database is not what was written there");
        PortError::new(PortErrorKind::Corrupt, "registrations.read", text).with_source(e)
    })
}
