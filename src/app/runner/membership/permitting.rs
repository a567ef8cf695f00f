//! What the owner says to a task: asked before every round, and heard while a round waits for the word.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Membership, TaskOnRecord};
use crate::owner::{Case, Permit};
use crate::runner::noise::{Sum, dearest_round};
use delta_domain::identity::{Card, Fingerprint, Trust};
use delta_domain::ids::{DatasetName, Digest, RoundNumber};
use delta_domain::manifest::{MAX_CERTIFIED_ROWS, Manifest};
use delta_domain::policy::{Author, Question};
use delta_domain::privacy::cost::Cost;
use delta_domain::records::proof::ReleaseProof;
use delta_domain::records::{member_spend, records_steps};
use delta_domain::round::DeclineCode;
use delta_domain::secagg::keys::PublicKey;
use delta_ports::blob::BlobName;
use delta_ports::executor::DatasetSummary;
use delta_ports::peer::PeerCalls as _;
use delta_ports::storage::LogLevel;
use delta_ports::{PortError, PortErrorKind, report};

impl Membership {
    /// What the owner is asked about this task. Needs its bundle. Who asks is looked up each time: keys and rosters change.
    pub(super) async fn case(&mut self) -> Result<Arc<Case>, PortError> {
        let author = self.author().await?;
        let known = self.case.as_ref();
        if let Some(case) = known.filter(|case| case.question.author == author) {
            return Ok(case.clone());
        }
        let bundle = self.bundle().await?;
        let question = Question::of(&bundle, author);
        let mut disclosure = bundle.manifest().disclosure();
        disclosure.extend(self.effort(bundle.manifest()).await);
        let case = Arc::new(Case {
            name: bundle.manifest().name.clone(),
            disclosure,
            // What an earlier version accepted was not followed.
            proof: self
                .state
                .proof
                .clone()
                .unwrap_or(ReleaseProof::Unproven(Vec::new())),
            steps: records_steps(bundle.manifest()),
            member: member_spend(bundle.manifest()),
            costs: self.costs(bundle.manifest(), &question),
            certified: bundle.manifest().certified().is_some(),
            question,
        });
        self.case = Some(case.clone());
        Ok(case)
    }

    /// What a proof of this node's rows takes, in words; nothing where members prove nothing.
    async fn effort(&self, manifest: &Manifest) -> Option<String> {
        let certify = manifest.certified()?;
        let steps = manifest.rounds.last().map(|round| &round.map.steps);
        let walked = steps.into_iter().flatten().find_map(|s| s.driver.walks());
        let (dataset, _) = walked?;
        let executor = &self.context.ports.executor;
        let names = BTreeSet::from([dataset.clone()]);
        // Where it cannot be counted the question is asked all the same.
        let there = executor.describe(&names).await.unwrap_or_default();
        let rows = there.first().and_then(DatasetSummary::rows);
        let most = u64::try_from(MAX_CERTIFIED_ROWS).unwrap_or(u64::MAX);
        let effort = certify.effort(rows.unwrap_or(most));
        Some(format!(
            "  a proof of {} rows takes about {} s of one processor and {} MiB here; it is made once, or twice where another is missing",
            rows.map_or(format!("up to {most}"), |n| n.to_string()),
            effort.seconds,
            effort.mebibytes,
        ))
    }

    /// What the dearest round of a task costs each dataset, if its cohort is as small as this node allows; nothing where that cannot be said.
    fn costs(&self, manifest: &Manifest, question: &Question) -> BTreeMap<DatasetName, Cost> {
        let settings = &self.context.settings;
        let (_, colluders) = self.context.owner.floor(question);
        let assumed = settings.privacy.colluders.max(colluders);
        let sum = Sum::smallest_of(manifest, assumed);
        dearest_round(manifest, sum, &self.context.owner.policies())
    }

    /// Who asks, as far as this node knows it.
    async fn author(&mut self) -> Result<Author, PortError> {
        let context = self.context.clone();
        let record = self.state.record.clone();
        let Some((owner, record)) = record.as_ref().and_then(|r| Some((r.owner.as_ref()?, r)))
        else {
            return Ok(Author::default());
        };
        let found = context.identities.of(std::slice::from_ref(owner)).await;
        let Some(identity) = found.into_iter().next() else {
            return Ok(Author::default());
        };
        let own =
            *owner == context.own_address().await? && (self.own || self.is_own(record).await?);
        self.own = own;
        // Whoever the connector lets speak for a node from another url is somebody else.
        let speaks = |card: &Card| same_url(card.url(), &record.url);
        if !own && !identity.card.as_ref().is_some_and(speaks) {
            return Ok(Author::default());
        }
        let name = match (&identity.key, own) {
            (_, true) => self.own_author().await?,
            (Some(key), false) => {
                let key = key.clone();
                self.named_author(&key).await
            }
            (None, false) => None,
        };
        let organisation = match identity.trust {
            Trust::Rostered { organisation } => Some(organisation),
            Trust::Pinned { .. } | Trust::FirstUse | Trust::Changed | Trust::Unknown => None,
        };
        Ok(Author {
            own,
            node: identity.key.as_ref().map(Fingerprint::of),
            organisation,
            name,
        })
    }

    /// By which name the task's coordinator, which has this key, knows its author. Whoever cannot be asked now is asked again.
    async fn named_author(&mut self, key: &PublicKey) -> Option<String> {
        let record = self.state.record.clone()?;
        let task = self.state.task.clone();
        if self.state.author.is_none() {
            let peers = &self.context.ports.peers;
            self.state.author = match peers.author(&record.url, &task).await {
                Ok(word) => Some(Some(word)),
                Err(e) if e.is_transient() => {
                    tracing::debug!(%task, "its author is not known: {}", report(&e));
                    None
                }
                Err(_) => Some(None),
            };
        }
        let word = self.state.author.as_ref()?.as_ref()?;
        let name = word.name_by(key, &task, &record.commitment)?;
        Some(name.to_owned())
    }

    /// The name of the token with which a task was submitted here.
    async fn own_author(&self) -> Result<Option<String>, PortError> {
        let storage = &self.context.ports.storage;
        let row = storage.task_by_network_id(&self.state.task).await?;
        Ok(row.and_then(|row| row.author))
    }

    /// Whether a task on the record is one that was submitted here: with this node's url, and the very bundle that this node coordinates.
    async fn is_own(&self, record: &TaskOnRecord) -> Result<bool, PortError> {
        let context = &self.context;
        let task = &self.state.task;
        let row = context.ports.storage.task_by_network_id(task).await?;
        if row.is_none() || !same_url(&context.settings.url, &record.url) {
            return Ok(false);
        }
        let limit = context.settings.bundle.bytes as u64;
        let name = BlobName::coordinator_bundle(task);
        match context.ports.blobs.read(&name, limit).await {
            Ok(bytes) => {
                let commitment = record.commitment;
                let compute = &context.ports.compute;
                let same = move || Ok(Digest::of(&bytes) == commitment);
                compute.blocking("runner.own", same).await
            }
            Err(e) if e.kind() == PortErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// What becomes of a round of this task now.
    pub(super) async fn permit(&mut self) -> Result<Permit, PortError> {
        let case = self.case().await?;
        self.context.owner.permit(&self.state.task, &case).await
    }

    /// Asks the owner as soon as the task is here, so that nobody need wait for its first round.
    pub(super) async fn ask_the_owner(&mut self) {
        if let Err(e) = self.permit().await {
            tracing::warn!(task = %self.state.task, "the owner could not be asked: {}", report(&e));
        }
    }

    /// The owner has decided something, or the rules are others: a round that waits may go on, or is declined.
    pub(super) async fn hear_the_owner(&mut self) {
        let Some(round) = self.waiting else {
            return;
        };
        match self.permit().await {
            Ok(Permit::Ask) => {}
            Ok(Permit::Join) => {
                self.waiting = None;
                self.enter(round).await;
            }
            Ok(Permit::Decline(code)) => {
                self.waiting = None;
                self.refuse(round, code).await;
            }
            Err(e) => {
                tracing::warn!(task = %self.state.task, "the owner's word is not known: {}", report(&e));
            }
        }
    }

    /// Tells the coordinator that the owner is asked, and keeps the round in mind.
    pub(super) async fn wait_for_the_owner(&mut self, round: RoundNumber) {
        self.waiting = Some(round);
        self.refuse(round, DeclineCode::AsksOwner).await;
    }

    /// Declines a round, with a word for both sides' logs.
    pub(super) async fn refuse(&mut self, round: RoundNumber, code: DeclineCode) {
        let task = self.state.task.clone();
        let text = match code {
            DeclineCode::AsksOwner => {
                format!("task {task} round {round} waits: this node {code}")
            }
            _ => format!("task {task} round {round} is declined: this node {code}"),
        };
        self.context.log(LogLevel::Warn, &task, text, None).await;
        self.decline(round, code).await;
    }
}

/// Whether two urls are one, with or without a slash at the end.
fn same_url(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}
