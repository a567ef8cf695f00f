//! A hostile coordinator: it follows the protocol far enough to be believed, step by step, and lies where an attack tells it to.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::bundles;
use super::target::{Targets, until};
use crate::bootstrap::serve_api;
use delta_domain::ids::{Address, Digest, Name, RoundNumber, TaskId};
use delta_domain::npy;
use delta_domain::round::message::{
    Announcement, RequestBody, RoundView, SealedShares, ShareDelivery, SignedRequest,
    TranscriptSignature,
};
use delta_domain::task::TaskKind;
use delta_domain::tensor::{DType, Tensor};
use delta_ports::blob::ByteStream;
use delta_ports::blob::pieces;
use delta_ports::connector::{Connector, NewTask, RawShareRecord, RoundKey};
use delta_ports::peer::{CoordinatorApi, PeerAnswer, PeerRejection, PeerRequest, RejectionKind};

type DeliveryLie = Box<dyn Fn(&Address, ShareDelivery) -> ShareDelivery + Send>;
type ViewLie = Box<dyn FnMut(RoundView) -> RoundView + Send>;

/// Everything that members have sent, and what they are told.
#[derive(Default)]
pub(super) struct Papers {
    pub(super) bundle: Vec<u8>,
    pub(super) bundles_fetched: usize,
    views: BTreeMap<u32, RoundView>,
    pub(super) shares: BTreeMap<(u32, Address), (Vec<SealedShares>, Vec<u8>)>,
    variables: BTreeMap<Name, Vec<u8>>,
    /// What single members get in place of a variable.
    pub(super) other_variables: BTreeMap<Address, Vec<u8>>,
    pub(super) results: BTreeMap<(u32, Address), u64>,
    pub(super) confirmations: BTreeMap<(u32, Address), Vec<u8>>,
    pub(super) declines: BTreeMap<(u32, Address), String>,
    pub(super) delivery: Option<DeliveryLie>,
    pub(super) view: Option<ViewLie>,
}

/// Where members' requests arrive.
#[derive(Default)]
struct Inbox(Mutex<Papers>);

impl Inbox {
    fn papers(&self) -> MutexGuard<'_, Papers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A coordinator with a task on the record.
pub(super) struct RogueCoordinator<'a> {
    field: &'a Targets,
    address: Address,
    task: TaskId,
    round: u32,
    inbox: Arc<Inbox>,
    stop: CancellationToken,
}

impl Drop for RogueCoordinator<'_> {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl<'a> RogueCoordinator<'a> {
    /// Creates a task on the record and serves `bundle` for it. `commitment`: what is on record, if not the bundle's own digest.
    pub(super) async fn create(
        field: &'a Targets,
        bundle: Vec<u8>,
        commitment: Option<Digest>,
    ) -> anyhow::Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let inbox = Arc::new(Inbox::default());
        let stop = CancellationToken::new();
        serve_api(
            SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            inbox.clone(),
            stop.clone(),
        )
        .await?;
        let url = format!("http://127.0.0.1:{port}");
        Self::create_at(field, &url, bundle, commitment, inbox, stop).await
    }

    /// As [`Self::create`], with a url on record that leads elsewhere.
    pub(super) async fn elsewhere(field: &'a Targets, url: &str) -> anyhow::Result<Self> {
        let bundle = bundles::task(|_| {})?;
        let (inbox, stop) = (Arc::default(), CancellationToken::new());
        Self::create_at(field, url, bundle, None, inbox, stop).await
    }

    async fn create_at(
        field: &'a Targets,
        url: &str,
        bundle: Vec<u8>,
        commitment: Option<Digest>,
        inbox: Arc<Inbox>,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        let joined = field.connector.join(url, "attacker").await?;
        let commitment = commitment.unwrap_or_else(|| Digest::of(&bundle));
        if let Ok(manifest) = bundles::manifest_of(&bundle) {
            let mut papers = inbox.papers();
            for (name, spec) in &manifest.variables {
                if let Some(zeros) = Tensor::zeros(DType::F32, spec.shape.clone()) {
                    papers.variables.insert(name.clone(), npy::encode(&zeros));
                }
            }
        }
        inbox.papers().bundle = bundle;
        let new = NewTask {
            owner: joined.address.clone(),
            dataset: String::new(),
            commitment,
            kind: TaskKind::Horizontal,
            enable_verify: false,
            tolerance: 0,
        };
        let created = field.connector.create_task(&new).await?;
        Ok(Self {
            field,
            address: joined.address,
            task: created.task,
            round: 0,
            inbox,
            stop,
        })
    }

    pub(super) fn papers(&self) -> MutexGuard<'_, Papers> {
        self.inbox.papers()
    }

    pub(super) fn key(&self) -> RoundKey {
        RoundKey {
            kind: TaskKind::Horizontal,
            task: self.task.clone(),
            round: RoundNumber(self.round),
        }
    }

    pub(super) fn connector(&self) -> &dyn Connector {
        self.field.connector.as_ref()
    }

    pub(super) fn task(&self) -> &TaskId {
        &self.task
    }

    pub(super) fn number(&self) -> u32 {
        self.round
    }

    pub(super) fn announcement(&self) -> Announcement {
        let variables = self.papers().variables.clone();
        Announcement {
            task: self.task.clone(),
            round: RoundNumber(self.round),
            step: 0,
            variables: variables
                .iter()
                .map(|(name, bytes)| (name.clone(), Digest::of(bytes)))
                .collect(),
        }
    }

    /// Starts the next round.
    pub(super) async fn begin(&mut self) -> anyhow::Result<()> {
        self.round += 1;
        let view = RoundView {
            announcement: self.announcement(),
            kind: TaskKind::Horizontal,
            u1: None,
            u2: None,
            u3: None,
            ended: None,
        };
        self.papers().views.insert(self.round, view);
        let key = self.key();
        self.field.touch(&key);
        self.connector()
            .start_round(&self.address, &key, None)
            .await?;
        Ok(())
    }

    /// Waits until each of `members` has joined or declined; gives those who joined.
    pub(super) async fn joined(&self, members: &[Address]) -> anyhow::Result<Vec<Address>> {
        let key = self.key();
        until("members to join or to decline", || async {
            let joined = self.connector().round(&key).await.ok()?.joined;
            let here = |a: &&Address| joined.iter().any(|j| j == a.as_str());
            let answered = members
                .iter()
                .all(|a| here(&a) || self.declined(a).is_some());
            answered.then(|| members.iter().filter(here).cloned().collect())
        })
        .await
    }

    /// Why a member is not, or no longer, in this round.
    pub(super) fn declined(&self, member: &Address) -> Option<String> {
        let at = (self.round, member.clone());
        self.papers().declines.get(&at).cloned()
    }

    /// Every decline of this round in one line.
    pub(super) fn reasons(&self) -> String {
        let papers = self.papers();
        let mut reasons: Vec<&str> = papers
            .declines
            .iter()
            .filter(|((round, _), _)| *round == self.round)
            .map(|(_, why)| why.as_str())
            .collect();
        reasons.sort_unstable();
        reasons.dedup();
        reasons.join("; ")
    }

    /// Publishes u1.
    pub(super) async fn select(&self, u1: &[Address]) -> anyhow::Result<()> {
        let key = self.key();
        self.connector()
            .select_candidates(&self.address, &key, u1)
            .await?;
        Ok(())
    }

    /// Waits until each of `members` has posted its shares or declined; gives those who posted.
    pub(super) async fn posted(&self, members: &[Address]) -> anyhow::Result<Vec<Address>> {
        self.sent("shares or declines", members, |papers, at| {
            papers.shares.contains_key(at)
        })
        .await
    }

    /// Publishes u2.
    pub(super) async fn calculate(&self, u2: &[Address]) -> anyhow::Result<()> {
        let key = self.key();
        self.connector()
            .start_calculation(&self.address, &key, u2)
            .await?;
        Ok(())
    }

    /// Waits until each of `members` has uploaded its result or declined; gives those who uploaded.
    pub(super) async fn uploaded(&self, members: &[Address]) -> anyhow::Result<Vec<Address>> {
        self.sent("results or declines", members, |papers, at| {
            papers.results.contains_key(at)
        })
        .await
    }

    /// Publishes u3.
    pub(super) async fn aggregate(&self, u3: &[Address]) -> anyhow::Result<()> {
        let key = self.key();
        self.connector()
            .start_aggregation(&self.address, &key, u3)
            .await?;
        Ok(())
    }

    /// What `holder` has revealed of each of `owners`' secrets.
    pub(super) async fn revealed(
        &self,
        owners: &[Address],
        holder: &Address,
    ) -> anyhow::Result<Vec<RawShareRecord>> {
        let key = self.key();
        Ok(self.connector().share_records(&key, owners, holder).await?)
    }

    /// The whole round up to the results, honestly. Gives its members.
    pub(super) async fn up_to_results(&mut self) -> anyhow::Result<Vec<Address>> {
        let everybody = self.field.addresses();
        self.begin().await?;
        let u1 = self.joined(&everybody).await?;
        anyhow::ensure!(
            u1.len() == everybody.len(),
            "not everybody joined: {}",
            self.reasons()
        );
        self.select(&u1).await?;
        let u2 = self.posted(&u1).await?;
        self.calculate(&u2).await?;
        let u3 = self.uploaded(&u2).await?;
        anyhow::ensure!(
            u3.len() == u1.len(),
            "not everybody computed: {}",
            self.reasons()
        );
        Ok(u3)
    }

    /// The whole round up to the shares, honestly. Gives its members.
    pub(super) async fn up_to_shares(&mut self) -> anyhow::Result<Vec<Address>> {
        let everybody = self.field.addresses();
        self.begin().await?;
        let u1 = self.joined(&everybody).await?;
        anyhow::ensure!(
            u1.len() == everybody.len(),
            "not everybody joined: {}",
            self.reasons()
        );
        self.select(&u1).await?;
        let u2 = self.posted(&u1).await?;
        anyhow::ensure!(
            u2.len() == u1.len(),
            "not everybody shared: {}",
            self.reasons()
        );
        Ok(u2)
    }

    /// Ends the task, so that nobody waits for it, and takes the attacker off the list.
    pub(super) async fn finish(self) {
        let connector = self.connector();
        drop(
            connector
                .finish_task(TaskKind::Horizontal, &self.address, &self.task)
                .await,
        );
        drop(connector.leave(&self.address).await);
    }

    async fn sent(
        &self,
        what: &str,
        members: &[Address],
        here: impl Fn(&Papers, &(u32, Address)) -> bool,
    ) -> anyhow::Result<Vec<Address>> {
        until(what, || async {
            let papers = self.papers();
            let at = |a: &Address| (self.round, a.clone());
            let answered = members
                .iter()
                .all(|a| here(&papers, &at(a)) || papers.declines.contains_key(&at(a)));
            let sent = members.iter().filter(|a| here(&papers, &at(a))).cloned();
            answered.then(|| sent.collect())
        })
        .await
    }
}

fn no(text: &str) -> PeerRejection {
    PeerRejection::new(RejectionKind::Invalid, text)
}

#[async_trait]
impl CoordinatorApi for Inbox {
    async fn call(
        &self,
        request: PeerRequest,
        content: Option<ByteStream>,
    ) -> Result<PeerAnswer, PeerRejection> {
        let length = match content {
            Some(content) => length_of(content).await?,
            None => 0,
        };
        let mut papers = self.papers();
        match request {
            PeerRequest::Bundle { .. } => {
                papers.bundles_fetched += 1;
                Ok(file(papers.bundle.clone()))
            }
            PeerRequest::RoundView { round, .. } => {
                let view = papers.views.get(&round.0).cloned();
                let view = view.ok_or_else(|| no("no such round"))?;
                Ok(PeerAnswer::RoundView(match &mut papers.view {
                    Some(lie) => lie(view),
                    None => view,
                }))
            }
            PeerRequest::Signed(request) => papers.take(request, length),
            PeerRequest::UnsignedShares { .. } => Err(no("unsigned")),
        }
    }
}

impl Papers {
    fn take(&mut self, request: SignedRequest, length: u64) -> Result<PeerAnswer, PeerRejection> {
        let at = (request.round.0, request.sender);
        match request.body {
            RequestBody::Variable { name } => {
                let other = self.other_variables.get(&at.1);
                let bytes = other.or_else(|| self.variables.get(&name)).cloned();
                return bytes.map(file).ok_or_else(|| no("no such variable"));
            }
            RequestBody::FetchShares => return Ok(PeerAnswer::Shares(self.deliver(&at))),
            RequestBody::FetchConfirmations => {
                return self.confirmed(at.0).map(PeerAnswer::Confirmations);
            }
            RequestBody::Result { .. } => {
                self.results.insert(at, length);
            }
            RequestBody::Decline { reason } => {
                self.declines.insert(at, reason);
            }
            RequestBody::Confirm { signature } => {
                self.confirmations.insert(at, signature);
            }
            RequestBody::Shares { shares, transcript } => {
                self.shares.insert(at, (shares, transcript));
            }
            _ => {}
        }
        Ok(PeerAnswer::Done)
    }

    /// What a receiver gets in a round.
    fn deliver(&self, (round, receiver): &(u32, Address)) -> ShareDelivery {
        let posted = self.shares.iter().filter(|((r, _), _)| r == round);
        let (mut shares, mut transcripts) = (Vec::new(), Vec::new());
        for ((_, sender), (theirs, signature)) in posted {
            shares.extend(theirs.iter().filter(|s| s.receiver == *receiver).cloned());
            transcripts.push(TranscriptSignature {
                signer: sender.clone(),
                signature: signature.clone(),
            });
        }
        let delivery = ShareDelivery {
            shares,
            transcripts,
        };
        match &self.delivery {
            Some(lie) => lie(receiver, delivery),
            None => delivery,
        }
    }

    /// All that there is, once as many have signed as the members need; then a member has to judge it.
    fn confirmed(&self, round: u32) -> Result<Vec<TranscriptSignature>, PeerRejection> {
        let said: Vec<TranscriptSignature> = self
            .confirmations
            .iter()
            .filter(|((r, _), _)| *r == round)
            .map(|((_, signer), signature)| TranscriptSignature {
                signer: signer.clone(),
                signature: signature.clone(),
            })
            .collect();
        let uploaded = self.results.keys().filter(|(r, _)| *r == round);
        if said.len() < uploaded.count() {
            return Err(PeerRejection::new(RejectionKind::Unavailable, "not yet"));
        }
        Ok(said)
    }
}

fn file(bytes: Vec<u8>) -> PeerAnswer {
    PeerAnswer::file((bytes.len() as u64, pieces(bytes)))
}

async fn length_of(mut content: ByteStream) -> Result<u64, PeerRejection> {
    let mut length = 0;
    while let Some(piece) = content.next().await {
        length += piece.map_err(|_| no("broken off"))?.len() as u64;
    }
    Ok(length)
}
