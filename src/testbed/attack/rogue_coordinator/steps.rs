//! The steps of a hostile coordinator's round: each is taken when an attack says so, and waits for what honest members make of it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, MutexGuard};

use tokio_util::sync::CancellationToken;

use super::{Inbox, Papers};
use crate::bootstrap::serve_api;
use crate::testbed::attack::bundles;
use crate::testbed::attack::case::Outcome;
use crate::testbed::attack::tap::Tap;
use crate::testbed::attack::target::{Targets, until};
use delta_domain::ids::{Address, Digest, RoundNumber, TaskId};
use delta_domain::npy;
use delta_domain::round::DeclineCode;
use delta_domain::round::message::{Announcement, RoundEnd, RoundView};
use delta_domain::task::TaskKind;
use delta_domain::tensor::{DType, Tensor};
use delta_ports::connector::{Connector, NewTask, RawShareRecord, RoundKey};

/// A coordinator with a task on the record.
pub(in crate::testbed::attack) struct RogueCoordinator<'a> {
    field: &'a Targets,
    connector: Arc<dyn Connector>,
    address: Address,
    task: TaskId,
    round: u32,
    step: u32,
    url: String,
    inbox: Arc<Inbox>,
    stop: CancellationToken,
    /// What passes between the members and this coordinator, where somebody looks.
    tap: Option<Tap>,
}

impl Drop for RogueCoordinator<'_> {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl<'a> RogueCoordinator<'a> {
    /// Creates a task on the record and serves `bundle` for it. `commitment`: what is on record, if not the bundle's own digest.
    pub(in crate::testbed::attack) async fn create(
        field: &'a Targets,
        bundle: Vec<u8>,
        commitment: Option<Digest>,
    ) -> anyhow::Result<Self> {
        let (port, inbox, stop) = Self::served().await?;
        let url = format!("http://127.0.0.1:{port}");
        Self::create_at(field, &url, bundle, commitment, inbox, stop).await
    }

    /// As [`Self::create`], with every byte that members send on record: [`Self::heard`].
    pub(in crate::testbed::attack) async fn tapped(
        field: &'a Targets,
        bundle: Vec<u8>,
    ) -> anyhow::Result<Self> {
        let (port, inbox, stop) = Self::served().await?;
        let tap = Tap::before(port).await?;
        let mut own = Self::create_at(field, &tap.url(), bundle, None, inbox, stop).await?;
        own.tap = Some(tap);
        Ok(own)
    }

    async fn served() -> anyhow::Result<(u16, Arc<Inbox>, CancellationToken)> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let inbox = Arc::new(Inbox::default());
        let stop = CancellationToken::new();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        serve_api(address, inbox.clone(), stop.clone()).await?;
        Ok((port, inbox, stop))
    }

    /// As [`Self::create`], with a url on record that leads elsewhere.
    pub(in crate::testbed::attack) async fn elsewhere(
        field: &'a Targets,
        url: &str,
    ) -> anyhow::Result<Self> {
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
        let connector = field.newcomer()?;
        let joined = connector.join(url, "attacker").await?;
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
        let created = connector.create_task(&new).await?;
        Ok(Self {
            field,
            connector,
            address: joined.address,
            task: created.task,
            round: 0,
            step: 0,
            url: url.to_owned(),
            inbox,
            stop,
            tap: None,
        })
    }

    pub(in crate::testbed::attack) fn url(&self) -> &str {
        &self.url
    }

    /// Everything that members have sent, as it came over the wire; nothing without a tap.
    pub(in crate::testbed::attack) fn heard(&self) -> String {
        self.tap.as_ref().map(Tap::heard).unwrap_or_default()
    }

    pub(in crate::testbed::attack) fn papers(&self) -> MutexGuard<'_, Papers> {
        self.inbox.papers()
    }

    pub(in crate::testbed::attack) fn key(&self) -> RoundKey {
        RoundKey {
            kind: TaskKind::Horizontal,
            task: self.task.clone(),
            round: RoundNumber(self.round),
        }
    }

    pub(in crate::testbed::attack) fn connector(&self) -> &dyn Connector {
        self.connector.as_ref()
    }

    pub(in crate::testbed::attack) fn task(&self) -> &TaskId {
        &self.task
    }

    pub(in crate::testbed::attack) fn number(&self) -> u32 {
        self.round
    }

    pub(in crate::testbed::attack) fn announcement(&self) -> Announcement {
        let variables = self.papers().variables.clone();
        Announcement {
            task: self.task.clone(),
            round: RoundNumber(self.round),
            step: self.step,
            variables: variables
                .iter()
                .map(|(name, bytes)| (name.clone(), Digest::of(bytes)))
                .collect(),
        }
    }

    /// Starts the next round.
    pub(in crate::testbed::attack) async fn begin(&mut self) -> anyhow::Result<()> {
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

    /// With its next round of this step of the task.
    pub(in crate::testbed::attack) fn at_step(mut self, step: u32) -> Self {
        self.step = step;
        self
    }

    /// Starts the next round with this step of the task.
    pub(in crate::testbed::attack) async fn begin_step(&mut self, step: u32) -> anyhow::Result<()> {
        self.step = step;
        self.begin().await
    }

    /// Ends the round as one whose sum is there.
    pub(in crate::testbed::attack) async fn end(&self) -> anyhow::Result<()> {
        self.show(|view| view.ended = Some(RoundEnd::Finished));
        let key = self.key();
        self.connector().end_round(&self.address, &key).await?;
        Ok(())
    }

    /// Changes what this coordinator tells of the round to whoever asks.
    pub(in crate::testbed::attack) fn show(&self, change: impl FnOnce(&mut RoundView)) {
        if let Some(view) = self.papers().views.get_mut(&self.round) {
            change(view);
        }
    }

    /// Waits until each of `members` has joined or declined; gives those who joined.
    pub(in crate::testbed::attack) async fn joined(
        &self,
        members: &[Address],
    ) -> anyhow::Result<Vec<Address>> {
        let key = self.key();
        until("members to join or to decline", || async {
            let joined = self.connector().round(&key).await.ok()??.joined;
            let here = |a: &&Address| joined.iter().any(|j| j == a.as_str());
            let answered = members
                .iter()
                .all(|a| here(&a) || self.declined(a).is_some());
            answered.then(|| members.iter().filter(here).cloned().collect())
        })
        .await
    }

    /// Why a member is not, or no longer, in this round.
    pub(in crate::testbed::attack) fn declined(&self, member: &Address) -> Option<DeclineCode> {
        let at = (self.round, member.clone());
        self.papers().declines.get(&at).copied()
    }

    /// Every decline of this round in one line.
    pub(in crate::testbed::attack) fn reasons(&self) -> String {
        let papers = self.papers();
        let mut reasons: Vec<&str> = papers
            .declines
            .iter()
            .filter(|((round, _), _)| *round == self.round)
            .map(|(_, why)| why.name())
            .collect();
        reasons.sort_unstable();
        reasons.dedup();
        reasons.join("; ")
    }

    /// Publishes u1.
    pub(in crate::testbed::attack) async fn select(&self, u1: &[Address]) -> anyhow::Result<()> {
        let key = self.key();
        self.connector()
            .select_candidates(&self.address, &key, u1)
            .await?;
        Ok(())
    }

    /// Waits until each of `members` has posted its shares or declined; gives those who posted.
    pub(in crate::testbed::attack) async fn posted(
        &self,
        members: &[Address],
    ) -> anyhow::Result<Vec<Address>> {
        self.sent("shares or declines", members, |papers, at| {
            papers.shares.contains_key(at)
        })
        .await
    }

    /// Publishes u2.
    pub(in crate::testbed::attack) async fn calculate(&self, u2: &[Address]) -> anyhow::Result<()> {
        let key = self.key();
        self.connector()
            .start_calculation(&self.address, &key, u2)
            .await?;
        Ok(())
    }

    /// Waits until each of `members` has uploaded its result or declined; gives those who uploaded.
    pub(in crate::testbed::attack) async fn uploaded(
        &self,
        members: &[Address],
    ) -> anyhow::Result<Vec<Address>> {
        self.sent("results or declines", members, |papers, at| {
            papers.results.contains_key(at)
        })
        .await
    }

    /// Publishes u3.
    pub(in crate::testbed::attack) async fn aggregate(&self, u3: &[Address]) -> anyhow::Result<()> {
        let key = self.key();
        self.connector()
            .start_aggregation(&self.address, &key, u3)
            .await?;
        Ok(())
    }

    /// What `holder` has revealed of each of `owners`' secrets.
    pub(in crate::testbed::attack) async fn revealed(
        &self,
        owners: &[Address],
        holder: &Address,
    ) -> anyhow::Result<Vec<RawShareRecord>> {
        let key = self.key();
        Ok(self.connector().share_records(&key, owners, holder).await?)
    }

    /// As [`Self::up_to_results`], of this step of the task.
    pub(in crate::testbed::attack) async fn up_to_results_of(
        &mut self,
        step: u32,
    ) -> anyhow::Result<Vec<Address>> {
        self.step = step;
        self.up_to_results().await
    }

    /// The whole round up to the results, honestly. Gives its members.
    pub(in crate::testbed::attack) async fn up_to_results(
        &mut self,
    ) -> anyhow::Result<Vec<Address>> {
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

    /// Goes on with a round in which members were told different things: repelled when each of them has noticed, before it sends anything.
    pub(in crate::testbed::attack) async fn noticed_by_all(mut self) -> anyhow::Result<Outcome> {
        let members = self.up_to_shares().await?;
        self.calculate(&members).await?;
        let uploaded = self.uploaded(&members).await?;
        let answered = self.reasons();
        let broken = |m| self.declined(m) == Some(DeclineCode::Protocol);
        let noticed = members.iter().all(broken);
        self.finish().await;
        Ok(Outcome::new(uploaded.is_empty() && noticed, answered))
    }

    /// The whole round up to the shares, honestly. Gives its members.
    pub(in crate::testbed::attack) async fn up_to_shares(
        &mut self,
    ) -> anyhow::Result<Vec<Address>> {
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
    pub(in crate::testbed::attack) async fn finish(self) {
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
