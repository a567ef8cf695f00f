//! The network of `demo --privacy`: three hospitals that vouch for each other by a roster, and a university that has no data and asks.
//!
//! Every node reads its owner's rules from a file, as `delta-node run` does, and nobody agrees to anything in advance.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::rules;
use crate::assets::PATIENTS;
use crate::bootstrap::{self, Running, UserClient, Way, clock, entropy, node_key, users};
use crate::config::Config;
use crate::testbed::{network, tables};
use delta_app::Node;
use delta_domain::identity::{NodeKey, Roster, RosterEntryForm, RosterFile};
use delta_domain::ids::Address;
use delta_domain::secagg::keys::PublicKey;

/// How many hospitals there are.
pub(super) const HOSPITALS: usize = 3;
/// The organisation that asks.
pub(super) const UNIVERSITY: &str = "University";

/// One node.
pub(super) struct Place {
    /// What it is called, and its folder.
    pub(super) name: String,
    pub(super) url: String,
    pub(super) address: Address,
    /// Rows of its table; none at the university.
    pub(super) patients: usize,
    /// Its journal is signed with the other half.
    pub(super) key: PublicKey,
    pub(super) node: Arc<Node>,
    /// As its author or owner on this machine calls it.
    pub(super) client: UserClient,
    hosted: Hosted,
}

/// A node on an async runtime of its own. Nothing is said to anybody when it is dropped.
struct Hosted(Option<(Runtime, Running)>);

impl Drop for Hosted {
    fn drop(&mut self) {
        // A runtime must not be waited for on an async thread.
        if let Some((runtime, _)) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// The whole network.
pub(super) struct Places {
    pub(super) hospitals: Vec<Place>,
    pub(super) university: Place,
    stop: CancellationToken,
}

impl Places {
    /// Starts everything. `budget`: the epsilon of each hospital.
    pub(super) async fn start(folder: &Path, budget: f64) -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let connector = network::connector(folder, stop.clone()).await?;
        let mut planned = Vec::with_capacity(HOSPITALS + 1);
        for index in 0..=HOSPITALS {
            planned.push(Planned::new(folder, index, connector).await?);
        }
        let roster = folder.join("roster.yaml");
        std::fs::write(&roster, signed_roster(&planned)?)?;
        let mut places = Vec::with_capacity(planned.len());
        for (index, mut plan) in planned.into_iter().enumerate() {
            plan.config.roster.file = Some(roster.clone());
            places.push(plan.run(index, budget).await?);
        }
        let university = places.pop().context("there is no university")?;
        Ok(Self {
            hospitals: places,
            university,
            stop,
        })
    }

    /// The hospital whose ledger and journal are shown: each has the same, for all take part in the same rounds.
    pub(super) fn shown(&self) -> anyhow::Result<&Place> {
        self.hospitals.first().context("there is no hospital")
    }

    /// The hospital at this address; `None` for the university and for strangers.
    pub(super) fn hospital(&self, address: &Address) -> Option<&str> {
        let found = self.hospitals.iter().find(|h| h.address == *address);
        found.map(|h| h.name.as_str())
    }

    /// Every node leaves the network and stops.
    pub(super) async fn stop(self) {
        for mut place in self.hospitals.into_iter().chain([self.university]) {
            if let Some((runtime, running)) = place.hosted.0.take() {
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

/// A node that does not run yet.
struct Planned {
    name: String,
    home: PathBuf,
    config: Config,
    key: NodeKey,
}

impl Planned {
    async fn new(folder: &Path, index: usize, connector: u16) -> anyhow::Result<Self> {
        let (name, organisation) = match index {
            HOSPITALS => ("university".to_owned(), UNIVERSITY.to_owned()),
            _ => (
                format!("hospital-{}", index + 1),
                format!("Hospital {}", index + 1),
            ),
        };
        let home = folder.join(&name);
        std::fs::create_dir_all(home.join("data"))?;
        let mut config = network::config(&home, index, network::free_port()?, connector);
        config.node.name.clone_from(&name);
        config.identity.organisation = organisation;
        let key = node_key(&config, entropy().as_ref()).await?;
        Ok(Self {
            name,
            home,
            config,
            key,
        })
    }

    /// Gives the node its data and its rules, and starts it.
    async fn run(self, index: usize, budget: f64) -> anyhow::Result<Place> {
        let mut patients = 0;
        let configuration = self.home.join("config.yaml");
        std::fs::write(&configuration, "")?;
        if index < HOSPITALS {
            let table = tables::part(&PATIENTS, index, HOSPITALS)?;
            patients = table.lines().count().saturating_sub(1);
            for name in rules::DATASETS {
                std::fs::write(self.config.data_dir.join(name), &table)?;
            }
            let folder = self.home.join("policy.d");
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join("patients.yaml"), rules::written(budget))?;
        }
        let (url, rules) = (self.config.node.url.clone(), self.config.clone());
        let (runtime, running) = network::launch(self.config, move |parts| {
            parts.ports.policies = bootstrap::rules(&rules, &configuration, &parts.executor)?;
            Ok(())
        })
        .await?;
        let address = running.node.address();
        let address =
            address.with_context(|| format!("the connector gave {} no address", self.name))?;
        Ok(Place {
            client: users(&url, None, &Way::default())?,
            name: self.name,
            url,
            address,
            patients,
            key: self.key.public().clone(),
            node: running.node.clone(),
            hosted: Hosted(Some((runtime, running))),
        })
    }
}

/// The roster of all planned nodes, signed by each.
fn signed_roster(planned: &[Planned]) -> anyhow::Result<String> {
    const UNTIL: &str = "2999-12-31";
    let entry = |plan: &Planned| RosterEntryForm {
        organisation: plan.config.identity.organisation.clone(),
        key: plan.key.public().to_wire(),
        url: plan.config.node.url.clone(),
        until: UNTIL.to_owned(),
    };
    let mut file = RosterFile {
        format: 1,
        network: "the demonstration's".to_owned(),
        serial: 1,
        until: UNTIL.to_owned(),
        organisations: planned.iter().map(entry).collect(),
        signatures: Vec::new(),
    };
    let roster = Roster::try_from(file.clone())?;
    let signatures = planned.iter().filter_map(|plan| roster.sign(&plan.key));
    file.signatures = signatures.collect();
    let counts = Roster::try_from(file.clone())?.verify(Some(planned.len()), clock().now());
    counts.context("the roster is not signed by everybody")?;
    Ok(yaml_serde::to_string(&file)?)
}
