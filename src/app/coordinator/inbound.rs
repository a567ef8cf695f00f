//! Members' requests: found, authenticated by the round, answered.
//!
//! Not here: taking in a masked result (`inbound/upload.rs`), and what a member is told instead of an answer
//! (`inbound/rejection.rs`).

mod rejection;
mod upload;

use std::sync::Arc;

use async_trait::async_trait;

use super::Coordinator;
use super::presence::{Presence, Stranger};
use super::round_machine::RoundMachine;
use super::state::RunState;
use crate::arrays::halved;
use crate::machine::Handle;
use delta_domain::identity::AuthorWord;
use delta_domain::ids::{Digest, Name, RoundNumber, TaskId};
use delta_domain::round::FailureCode;
use delta_domain::round::coordinator::CoordinatorInput;
use delta_domain::round::message::{
    Announcement, Confirmation, RequestBody, RoundEnd, RoundView, ShareDelivery, SignedRequest,
};
use delta_ports::PortErrorKind;
use delta_ports::blob::{BlobName, ByteStream, pieces};
use delta_ports::peer::{CoordinatorApi, PeerAnswer, PeerRejection, PeerRequest, RejectionKind};
use delta_ports::storage::{LogLevel, MachineKey, MachineKind};
use rejection::{failed, give, invalid, rejected, unavailable};
use upload::take_result;

#[async_trait]
impl CoordinatorApi for Coordinator {
    async fn call(
        &self,
        request: PeerRequest,
        content: Option<ByteStream>,
    ) -> Result<PeerAnswer, PeerRejection> {
        match request {
            PeerRequest::Bundle { task } => self.bundle(&task).await.map(PeerAnswer::file),
            PeerRequest::Author { task } => self.author(&task).await.map(PeerAnswer::file),
            PeerRequest::Certificate { task, key } => {
                let found = self.certificate(&task, key).await;
                found.map(PeerAnswer::file)
            }
            PeerRequest::RoundView { task, round } => {
                let view = self.round_view(&task, round).await;
                view.map(PeerAnswer::RoundView)
            }
            PeerRequest::Signed(request) => self.signed(request, content).await,
            PeerRequest::UnsignedShares { receiver, .. } => Err(PeerRejection::new(
                RejectionKind::Forbidden,
                format!("a request for the shares of {receiver} must carry its signature"),
            )),
        }
    }
}

impl Coordinator {
    async fn signed(
        &self,
        request: SignedRequest,
        content: Option<ByteStream>,
    ) -> Result<PeerAnswer, PeerRejection> {
        match &request.body {
            RequestBody::Variable { name } => {
                let found = self.variable(&request, name).await;
                found.map(PeerAnswer::file)
            }
            RequestBody::FetchShares => {
                let delivery = self.fetch_shares(&request).await;
                delivery.map(PeerAnswer::Shares)
            }
            RequestBody::FetchConfirmations => {
                let list = self.confirmations(&request).await;
                list.map(PeerAnswer::Confirmations)
            }
            RequestBody::Result { .. } => {
                let content = content.ok_or_else(|| invalid("a result comes with its content"))?;
                let round = self.find(&request).await?;
                let taken = take_result(self, &round, &request, content).await;
                taken.map(|()| PeerAnswer::Done)
            }
            RequestBody::Attend => self.attend(&request).await.map(|()| PeerAnswer::Done),
            RequestBody::Depart => self.depart(&request).map(|()| PeerAnswer::Done),
            RequestBody::Joined
            | RequestBody::Decline { .. }
            | RequestBody::Shares { .. }
            | RequestBody::Confirm { .. }
            | RequestBody::Revealed => self.submit(request).await.map(|()| PeerAnswer::Done),
        }
    }

    async fn bundle(&self, task: &TaskId) -> Result<(u64, ByteStream), PeerRejection> {
        let blobs = &self.context.ports.blobs;
        let arriving = self.arriving().get(task).cloned();
        // Until it has its name of the task, and no longer: then it is found under that.
        if let Some(name) = arriving
            && let Ok(found) = blobs.open(&name).await
        {
            return Ok(found);
        }
        match blobs.open(&BlobName::coordinator_bundle(task)).await {
            Ok(found) => Ok(found),
            Err(e) if e.kind() == PortErrorKind::NotFound => Err(self.unknown_task(task)),
            Err(e) => Err(failed(&e)),
        }
    }

    /// This node's word for who submitted a task; none of one that came without a token.
    async fn author(&self, task: &TaskId) -> Result<(u64, ByteStream), PeerRejection> {
        let storage = &self.context.ports.storage;
        let row = storage.task_by_network_id(task).await;
        let row = row.map_err(|e| failed(&e))?;
        // Its bundle can be fetched a moment before its name is down.
        let row = row.ok_or_else(|| unavailable("the task is not known here, or not yet"))?;
        let unnamed = || invalid("the task names no author");
        let bundle = self.stored(task).await?.bundle.ok_or_else(unnamed)?;
        let key = &self.context.ports.node_key;
        let name = row.author.unwrap_or_default();
        let word = AuthorWord::sign(key, task, &bundle, &name).ok_or_else(unnamed)?;
        let bytes = word.to_bytes();
        Ok((bytes.len() as u64, pieces(bytes)))
    }

    /// The certificate of a task's answer. While its end is being written, whoever asks comes again. Who has another answer, or none, hears
    /// what is said of a task without a certificate.
    async fn certificate(
        &self,
        task: &TaskId,
        key: Digest,
    ) -> Result<(u64, ByteStream), PeerRejection> {
        if self.active().contains_key(task) {
            return Err(unavailable("the task is not over yet"));
        }
        let none = || invalid(format!("task {task} has no certificate of this answer"));
        let state = self.run_on_disk(task).await.map_err(|e| failed(&e))?;
        if state.and_then(|state| state.certificate_key) != Some(key) {
            return Err(none());
        }
        let found = self
            .context
            .ports
            .blobs
            .open(&BlobName::certificate(task))
            .await;
        found.map_err(|e| match e.kind() {
            PortErrorKind::NotFound => none(),
            _ => failed(&e),
        })
    }

    async fn round_view(
        &self,
        task: &TaskId,
        round: RoundNumber,
    ) -> Result<RoundView, PeerRejection> {
        if let Some(handle) = self.round(task, round.0) {
            return Ok(handle.state().0.view());
        }
        let state = self.stored(task).await?;
        // The last one of a number: a round that never got on record gives its number back.
        let ended = match state.rounds.iter().rfind(|r| r.round == round.0) {
            Some(report) => report.end.clone(),
            // A round that is on the record but not among ours was given up by an earlier life of this node.
            None if round.0 < state.round => RoundEnd::Failed(FailureCode::Abandoned),
            None if round.0 == state.round => {
                return Err(unavailable("the round is being taken up again"));
            }
            None => return Err(invalid("task round does not exist")),
        };
        let step = state
            .rounds
            .iter()
            .rfind(|r| r.round == round.0)
            .map_or(state.step, |r| r.step);
        let announcement = Announcement {
            task: task.clone(),
            round,
            step,
            variables: std::collections::BTreeMap::new(),
        };
        Ok(RoundView {
            announcement,
            kind: state.kind,
            u1: None,
            u2: None,
            u3: None,
            ended: Some(ended),
        })
    }

    async fn variable(
        &self,
        request: &SignedRequest,
        name: &Name,
    ) -> Result<(u64, ByteStream), PeerRejection> {
        let round = self.find(request).await?;
        round
            .state()
            .0
            .authorise_variable(request)
            .map_err(rejected)?;
        let announcement = round.state().0.context().announcement.clone();
        if !announcement.variables.contains_key(name) {
            return Err(invalid(format!(
                "variable {name} is not part of this round"
            )));
        }
        let state = self.stored(&request.task).await?;
        let kept = state
            .variables
            .get(name)
            .ok_or_else(|| invalid(format!("variable {name} does not exist")))?;
        let blob = BlobName::server_variable(&request.task, kept.step, name);
        let opened = self.context.ports.blobs.open(&blob).await;
        let (len, content) = opened.map_err(|e| failed(&e))?;
        if kept.half.is_none() {
            return Ok((len, content));
        }
        let bundle = self.active().get(&request.task).map(|a| a.bundle.clone());
        let bundle = bundle.ok_or_else(|| unavailable("the task is being taken up"))?;
        let spec = bundle.manifest().variables.get(name);
        let spec = spec.ok_or_else(|| invalid(format!("variable {name} does not exist")))?;
        halved(&spec.shape, &kept.digest, content).map_err(|e| failed(&e))
    }

    async fn submit(&self, request: SignedRequest) -> Result<(), PeerRejection> {
        let round = self.find(&request).await?;
        let what = request.body.name();
        let (task, number, sender) = (request.task.clone(), request.round, request.sender.clone());
        let declined = match &request.body {
            RequestBody::Decline { reason } => Some(*reason),
            _ => None,
        };
        let uploaded = matches!(request.body, RequestBody::Shares { .. });
        let roll = self.active().get(&task).and_then(|a| a.roll.clone());
        let mut claimed = "";
        let input = match declined {
            // Of a member of u1 the round knows the key; of anybody else it is the long-term one, where that is known.
            Some(reason) if round.state().0.directory().is_none() => {
                let known = roll.as_ref().and_then(|roll| roll.knows(&sender));
                if known.is_none() && reason.stays() && !request.signature.is_empty() {
                    return Err(unavailable("it is not known yet who is on the network"));
                }
                // Nobody is looked for under a name that nobody has.
                let proven = known == Some(true) && self.is_proven(&request).await;
                claimed = if proven { "" } else { ", unproven" };
                match proven && reason.stays() {
                    true => CoordinatorInput::Refused {
                        member: request.sender.clone(),
                        reason,
                    },
                    false => CoordinatorInput::Request(request),
                }
            }
            _ => CoordinatorInput::Request(request),
        };
        give(&round, input).await?;
        if let Some(reason) = declined {
            // Anybody can say this in anybody's name: once for each known node is heard, the rest is not worth a line.
            if !roll.is_some_and(|roll| roll.declined(&sender)) {
                return Ok(());
            }
            let message =
                format!("task {task} round {number} {sender} declines{claimed}: it {reason}");
            self.context.log(LogLevel::Warn, &task, message, None).await;
        } else if uploaded {
            let message = format!("task {task} round {number} {sender} upload secret shares");
            self.context.step(&task, message, None).await;
        } else {
            tracing::debug!(%task, round = %number, %sender, "{what}");
        }
        Ok(())
    }

    /// Holds a member's word that it is there.
    async fn attend(&self, request: &SignedRequest) -> Result<(), PeerRejection> {
        let presence = self.presence(request)?;
        let stay = presence.admit(request).await.map_err(stranger)?;
        stay.hold().await;
        Ok(())
    }

    fn depart(&self, request: &SignedRequest) -> Result<(), PeerRejection> {
        self.presence(request)?.depart(request).map_err(stranger)
    }

    fn presence(&self, request: &SignedRequest) -> Result<Arc<Presence>, PeerRejection> {
        let found = self.active().get(&request.task).map(|a| a.presence.clone());
        found.ok_or_else(|| self.unknown_task(&request.task))
    }

    /// Whether a decline is signed under the key that its sender is known by.
    async fn is_proven(&self, request: &SignedRequest) -> bool {
        if request.signature.is_empty() {
            return false;
        }
        let sender = std::slice::from_ref(&request.sender);
        let known = self.context.identities.of(sender).await;
        let key = known.first().and_then(|identity| identity.key.as_ref());
        key.is_some_and(|key| {
            key.verify(&request.signed_bytes(), &request.signature)
                .is_ok()
        })
    }

    async fn fetch_shares(&self, request: &SignedRequest) -> Result<ShareDelivery, PeerRejection> {
        let round = self.find(request).await?;
        let delivery = round.state().0.deliver(request).map_err(rejected)?;
        let message = format!(
            "task {} round {} {} get secret shares",
            request.task, request.round, request.sender
        );
        self.context.step(&request.task, message, None).await;
        Ok(delivery)
    }

    async fn confirmations(
        &self,
        request: &SignedRequest,
    ) -> Result<Vec<Confirmation>, PeerRejection> {
        let round = self.find(request).await?;
        round.state().0.confirmations(request).map_err(rejected)
    }

    /// What is on disk of a task.
    async fn stored(&self, task: &TaskId) -> Result<RunState, PeerRejection> {
        let key = MachineKey {
            kind: MachineKind::CoordinatorTask,
            task: task.clone(),
            round: 0,
        };
        let storage = &self.context.ports.storage;
        let stored = storage.machine(&key).await.map_err(|e| failed(&e))?;
        stored
            .as_ref()
            .and_then(|s| RunState::restore(s).ok())
            .ok_or_else(|| self.unknown_task(task))
    }

    /// The round of a request, when it is the one that runs.
    async fn find(&self, request: &SignedRequest) -> Result<Handle<RoundMachine>, PeerRejection> {
        if let Some(handle) = self.round(&request.task, request.round.0) {
            return Ok(handle);
        }
        let known = self.active().contains_key(&request.task);
        if known {
            // Between two rounds, or right after a restart: the caller may be early or late.
            let key = MachineKey {
                kind: MachineKind::CoordinatorRound,
                task: request.task.clone(),
                round: request.round.0,
            };
            return match self.context.ports.storage.machine(&key).await {
                Ok(Some(_)) => Err(unavailable("the round is being taken up again")),
                _ => Err(invalid("task round does not exist")),
            };
        }
        Err(self.unknown_task(&request.task))
    }

    fn unknown_task(&self, task: &TaskId) -> PeerRejection {
        // The connector tells members of a new task before it answers us.
        if *self.creating.borrow() > 0 || !self.resumed.is_cancelled() {
            unavailable("the task is being taken up")
        } else {
            invalid(format!("task {task} does not exist"))
        }
    }
}

fn stranger(who: Stranger) -> PeerRejection {
    match who {
        Stranger::Unknown => unavailable("the task's rounds have not shown the sender's key yet"),
        Stranger::Forged => PeerRejection::new(
            RejectionKind::Forbidden,
            "the request is not signed under the sender's key of the task",
        ),
    }
}
