//! A hostile coordinator: it follows the protocol far enough to be believed, step by step, and lies where an attack tells it to.
//!
//! Here is what it answers to members; [`RogueCoordinator`], in `steps`, is what it does on the record.

mod steps;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use delta_domain::ids::{Address, Name, RoundNumber, TaskId};
use delta_domain::round::message::{
    RequestBody, RoundView, SealedShares, ShareDelivery, SignedRequest, TranscriptSignature,
};
use delta_ports::blob::ByteStream;
use delta_ports::blob::pieces;
use delta_ports::peer::{CoordinatorApi, PeerRefusal, RefusalKind};

pub(super) use steps::RogueCoordinator;

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

fn no(text: &str) -> PeerRefusal {
    PeerRefusal::new(RefusalKind::Invalid, text)
}

#[async_trait]
impl CoordinatorApi for Inbox {
    async fn bundle(&self, _: &TaskId) -> Result<(u64, ByteStream), PeerRefusal> {
        let mut papers = self.papers();
        papers.bundles_fetched += 1;
        let bytes = papers.bundle.clone();
        Ok((bytes.len() as u64, pieces(bytes)))
    }

    async fn round_view(&self, _: &TaskId, round: RoundNumber) -> Result<RoundView, PeerRefusal> {
        let mut papers = self.papers();
        let view = papers
            .views
            .get(&round.0)
            .cloned()
            .ok_or_else(|| no("no such round"))?;
        Ok(match &mut papers.view {
            Some(lie) => lie(view),
            None => view,
        })
    }

    async fn variable(&self, request: SignedRequest) -> Result<(u64, ByteStream), PeerRefusal> {
        let RequestBody::Variable { name } = &request.body else {
            return Err(no("not a request for a variable"));
        };
        let papers = self.papers();
        let bytes = papers
            .other_variables
            .get(&request.sender)
            .or_else(|| papers.variables.get(name))
            .cloned()
            .ok_or_else(|| no("no such variable"))?;
        Ok((bytes.len() as u64, pieces(bytes)))
    }

    async fn submit(&self, request: SignedRequest) -> Result<(), PeerRefusal> {
        let mut papers = self.papers();
        let at = (request.round.0, request.sender.clone());
        match request.body {
            RequestBody::Decline { reason } => {
                papers.declines.insert(at, reason);
            }
            RequestBody::Confirm { signature } => {
                papers.confirmations.insert(at, signature);
            }
            RequestBody::Shares { shares, transcript } => {
                papers.shares.insert(at, (shares, transcript));
            }
            _ => {}
        }
        Ok(())
    }

    async fn fetch_shares(&self, request: SignedRequest) -> Result<ShareDelivery, PeerRefusal> {
        let papers = self.papers();
        let posted = papers
            .shares
            .iter()
            .filter(|((round, _), _)| *round == request.round.0);
        let (mut shares, mut transcripts) = (Vec::new(), Vec::new());
        for ((_, sender), (theirs, signature)) in posted {
            shares.extend(
                theirs
                    .iter()
                    .filter(|s| s.receiver == request.sender)
                    .cloned(),
            );
            transcripts.push(TranscriptSignature {
                signer: sender.clone(),
                signature: signature.clone(),
            });
        }
        let delivery = ShareDelivery {
            shares,
            transcripts,
        };
        Ok(match &papers.delivery {
            Some(lie) => lie(&request.sender, delivery),
            None => delivery,
        })
    }

    /// All that there is, once as many have signed as the members need; then a member has to judge it.
    async fn confirmations(
        &self,
        request: SignedRequest,
    ) -> Result<Vec<TranscriptSignature>, PeerRefusal> {
        let papers = self.papers();
        let said: Vec<TranscriptSignature> = papers
            .confirmations
            .iter()
            .filter(|((round, _), _)| *round == request.round.0)
            .map(|((_, signer), signature)| TranscriptSignature {
                signer: signer.clone(),
                signature: signature.clone(),
            })
            .collect();
        let uploaded = papers
            .results
            .keys()
            .filter(|(round, _)| *round == request.round.0);
        if said.len() < uploaded.count() {
            return Err(PeerRefusal::new(RefusalKind::Unavailable, "not yet"));
        }
        Ok(said)
    }

    async fn result(
        &self,
        request: SignedRequest,
        mut content: ByteStream,
    ) -> Result<(), PeerRefusal> {
        let mut length = 0;
        while let Some(piece) = futures_util::StreamExt::next(&mut content).await {
            length += piece.map_err(|_| no("broken off"))?.len() as u64;
        }
        let at = (request.round.0, request.sender);
        self.papers().results.insert(at, length);
        Ok(())
    }

    async fn unsigned_shares(&self, _: &TaskId, _: RoundNumber, _: &Address) -> PeerRefusal {
        no("unsigned")
    }
}
