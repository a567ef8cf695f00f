//! What the owner says to a task: asked before every round, and heard while a round waits for the word.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Membership;
use crate::owner::{Case, Permit};
use crate::runner::noise::{Sum, dearest_round};
use delta_domain::identity::{Fingerprint, Trust};
use delta_domain::ids::{DatasetName, RoundNumber};
use delta_domain::manifest::Manifest;
use delta_domain::policy::{Author, Question};
use delta_domain::privacy::cost::Cost;
use delta_domain::records::proof::ReleaseProof;
use delta_domain::records::records_steps;
use delta_domain::round::DeclineCode;
use delta_ports::storage::LogLevel;
use delta_ports::{PortError, report};

impl Membership {
    /// What the owner is asked about this task. Needs its bundle.
    pub(super) async fn case(&mut self) -> Result<Arc<Case>, PortError> {
        if let Some(case) = &self.case {
            return Ok(case.clone());
        }
        let bundle = self.bundle().await?;
        let author = self.author().await?;
        let case = Arc::new(Case {
            name: bundle.manifest().name.clone(),
            question: Question::of(&bundle, author),
            disclosure: bundle.manifest().disclosure(),
            // What an earlier version accepted was not followed.
            proof: self
                .state
                .proof
                .clone()
                .unwrap_or(ReleaseProof::Unproven(Vec::new())),
            steps: records_steps(bundle.manifest()),
            costs: self.costs(bundle.manifest()),
        });
        // Who proves its key only later is then somebody who may ask for more.
        if case.question.author.own || case.question.author.node.is_some() {
            self.case = Some(case.clone());
        }
        Ok(case)
    }

    /// What the dearest round of a task costs each dataset, if its cohort is as small as this node allows; nothing where that cannot be said.
    fn costs(&self, manifest: &Manifest) -> BTreeMap<DatasetName, Cost> {
        let settings = &self.context.settings;
        let sum = Sum::smallest_of(manifest, settings.min_clients, settings.privacy.colluders);
        dearest_round(manifest, sum)
    }

    /// Who asks, as far as this node knows it.
    async fn author(&self) -> Result<Author, PortError> {
        let context = &self.context;
        let Some(owner) = self.state.owner() else {
            return Ok(Author::default());
        };
        let found = context.identities.of(std::slice::from_ref(owner)).await;
        let Some(identity) = found.into_iter().next() else {
            return Ok(Author::default());
        };
        let own = *owner == context.own_address().await?
            && context
                .ports
                .storage
                .task_by_network_id(&self.state.task)
                .await?
                .is_some();
        let organisation = match identity.trust {
            Trust::Rostered { organisation } => Some(organisation),
            Trust::Pinned { .. } | Trust::FirstUse | Trust::Changed | Trust::Unknown => None,
        };
        Ok(Author {
            own,
            node: identity.key.as_ref().map(Fingerprint::of),
            organisation,
            name: None,
        })
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
