//! A hostile coordinator: it follows the protocol far enough to be believed, step by step, and lies where an attack tells it to.
//!
//! Here is what it answers to members; [`RogueCoordinator`], in `steps`, is what it does on the record.

mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::StreamExt as _;

use delta_domain::ids::{Address, Name};
use delta_domain::round::DeclineCode;
use delta_domain::round::message::{
    Confirmation, RequestBody, RoundView, SealedShares, ShareDelivery, SignedRequest,
};
use delta_domain::secagg::seal::TAG_BYTES;
use delta_ports::blob::ByteStream;
use delta_ports::blob::pieces;
use delta_ports::peer::{CoordinatorApi, PeerAnswer, PeerRejection, PeerRequest, RejectionKind};

pub(super) use steps::RogueCoordinator;

type DeliveryLie = Box<dyn Fn(&Address, ShareDelivery) -> ShareDelivery + Send>;
type ViewLie = Box<dyn FnMut(RoundView) -> RoundView + Send>;

/// Everything that members have sent, and what they are told.
#[derive(Default)]
pub(super) struct Papers {
    pub(super) bundle: Vec<u8>,
    pub(super) bundles_fetched: usize,
    views: BTreeMap<u32, RoundView>,
    pub(super) shares: BTreeMap<(u32, Address), Vec<SealedShares>>,
    variables: BTreeMap<Name, Vec<u8>>,
    /// What single members get in place of a variable.
    pub(super) other_variables: BTreeMap<Address, Vec<u8>>,
    pub(super) results: BTreeMap<(u32, Address), u64>,
    pub(super) confirmations: BTreeMap<(u32, Address), Vec<u8>>,
    /// Who said that its shares are on record.
    pub(super) revealed: BTreeSet<(u32, Address)>,
    pub(super) declines: BTreeMap<(u32, Address), DeclineCode>,
    pub(super) delivery: Option<DeliveryLie>,
    pub(super) view: Option<ViewLie>,
    /// What a colluding member says about u3 to one receiver.
    pub(super) said_to: BTreeMap<Address, Confirmation>,
}

/// Where members' requests arrive.
#[derive(Default)]
struct Inbox(Mutex<Papers>);

impl Inbox {
    fn papers(&self) -> MutexGuard<'_, Papers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
            PeerRequest::Author { .. } => Err(no("the task names no author")),
            PeerRequest::Certificate { .. } => Err(no("the task has no certificate")),
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
                return self.confirmed(&at).map(PeerAnswer::Confirmations);
            }
            RequestBody::Result { .. } => {
                self.results.insert(at, length);
            }
            RequestBody::Decline { reason } => {
                self.declines.insert(at, reason);
            }
            RequestBody::Confirm { tags, .. } => {
                self.confirmations.insert(at, tags);
            }
            RequestBody::Revealed => {
                self.revealed.insert(at);
            }
            RequestBody::Shares { shares } => {
                self.shares.insert(at, shares);
            }
            _ => {}
        }
        Ok(PeerAnswer::Done)
    }

    /// What a receiver gets in a round.
    fn deliver(&self, (round, receiver): &(u32, Address)) -> ShareDelivery {
        let posted = self.shares.iter().filter(|((r, _), _)| r == round);
        let all = posted.flat_map(|(_, theirs)| theirs);
        let delivery = ShareDelivery {
            shares: all.filter(|s| s.receiver == *receiver).cloned().collect(),
        };
        match &self.delivery {
            Some(lie) => lie(receiver, delivery),
            None => delivery,
        }
    }

    /// All that there is for one of them, once as many have spoken as the members need; then it has to judge it.
    fn confirmed(
        &self,
        (round, receiver): &(u32, Address),
    ) -> Result<Vec<Confirmation>, PeerRejection> {
        let spoken = self.confirmations.iter().filter(|((r, _), _)| r == round);
        let mut said: Vec<Confirmation> = spoken
            .filter_map(|((_, member), tags)| {
                let mut told: Vec<&Address> = self
                    .shares
                    .get(&(*round, member.clone()))?
                    .iter()
                    .map(|s| &s.receiver)
                    .collect();
                told.sort();
                let place = told.iter().position(|a| *a == receiver)?;
                Some(Confirmation {
                    member: member.clone(),
                    tag: tags.chunks_exact(TAG_BYTES).nth(place)?.to_vec(),
                })
            })
            .collect();
        said.extend(self.said_to.get(receiver).cloned());
        let uploaded = self.results.keys().filter(|(r, _)| r == round);
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
