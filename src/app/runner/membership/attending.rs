//! Being there for a task's coordinator: one request is always open, from the first round on until the task is over for this node.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Membership;
use crate::backoff::Backoff;
use crate::context::Context;
use crate::coordinator::presence::PACE;
use delta_domain::ids::{Address, Digest, RoundNumber, TaskId};
use delta_domain::round::message::{RequestBody, SignedRequest};
use delta_domain::secagg::sealing::SealingPair;
use delta_ports::peer::PeerCalls as _;

/// Who is there, for whom.
struct Attending {
    context: Arc<Context>,
    url: String,
    task: TaskId,
    round: RoundNumber,
    me: Address,
    pair: SealingPair,
}

impl Attending {
    fn request(&self, body: RequestBody) -> SignedRequest {
        let mut request = SignedRequest {
            task: self.task.clone(),
            round: self.round,
            sender: self.me.clone(),
            view: Digest([0; 32]),
            body,
            signature: Vec::new(),
        };
        request.signature = self.pair.pair().sign(&request.signed_bytes());
        request
    }

    /// For ever: whoever asked for it gives it up.
    async fn run(self) {
        let (peers, clock) = (&self.context.ports.peers, &self.context.ports.clock);
        let request = self.request(RequestBody::Attend);
        let mut backoff = Backoff::NOTICE;
        loop {
            let asked = clock.now();
            match peers.attend(&self.url, &request).await {
                Ok(()) => {
                    backoff.reset();
                    // Answered at once: the coordinator has many members.
                    if clock.now() - asked < PACE / 4 {
                        clock.sleep(PACE).await;
                    }
                }
                // Before the first u1, and while the coordinator is away; or one that knows no such request.
                Err(_) => clock.sleep(backoff.pause()).await,
            }
        }
    }
}

impl Membership {
    fn attendance(&self) -> Option<Attending> {
        Some(Attending {
            context: self.context.clone(),
            url: self.state.record.as_ref()?.url.clone(),
            task: self.state.task.clone(),
            round: RoundNumber(self.state.last_round.max(1)),
            me: self.context.address.borrow().clone()?,
            pair: self.pair.clone()?,
        })
    }

    /// Is there from now on, where this node has a key of the task.
    pub(super) fn attend(&mut self) {
        if self.attending.is_some() || self.state.finished {
            return;
        }
        let Some(attending) = self.attendance() else {
            return;
        };
        let stop = CancellationToken::new();
        self.attending = Some(stop.clone().drop_guard());
        self.context.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = attending.run() => {}
            }
        });
    }

    /// Says that this node has no key of the task any more, and comes back with another.
    pub(super) async fn depart(&mut self) {
        if self.attending.take().is_none() {
            return;
        }
        if let Some(attending) = self.attendance() {
            let farewell = attending.request(RequestBody::Depart);
            // Without it the next round does not wait for this node.
            drop(
                self.context
                    .ports
                    .peers
                    .submit(&attending.url, &farewell)
                    .await,
            );
        }
    }
}
