//! Carrying out a runner's effects, as the driver of a real node would: look at the record first, try again later when it is too early.

use delta_domain::ids::{Address, Digest};
use delta_domain::round::coordinator::CoordinatorInput;
use delta_domain::round::message::SignedRequest;
use delta_domain::round::runner::{MaskStream, RunnerEffect, RunnerInput};
use delta_domain::round::{FailureCode, Rejection};
use delta_domain::secagg::encoding::Encoding;
use delta_domain::secagg::masked_input::le_bytes;
use delta_domain::secagg::word::{Ring, Word};

use super::coordinator::{RETRY, apply};
use super::{Status, World};

/// What became of an effect.
enum Done {
    /// Carried out; nothing is to be told.
    Silently,
    /// Carried out; this is to be told.
    Tell(RunnerInput),
    /// Not possible now.
    Later,
}

/// Why a call to the coordinator has no result.
enum NoAnswer {
    Down,
    Because(Rejection),
}

impl World {
    pub(super) fn carry_out_runner(&mut self, who: &Address, i: usize) {
        let node = self.runners.get_mut(who).unwrap();
        node.outbox[i].tries += 1;
        let task = node.outbox[i].clone();
        self.trace
            .push(format!("{} {who} {}", self.now, task.effect.name()));
        let later = |world: &mut Self| {
            let now = world.now;
            let node = world.runners.get_mut(who).unwrap();
            node.outbox
                .iter_mut()
                .filter(|t| t.id == task.id)
                .for_each(|t| t.not_before = now + RETRY);
        };
        if self.happens(self.faults.request_lost) {
            return later(self);
        }
        let done = self.runner_effect(who, &task.effect);
        if self.happens(self.faults.response_lost) {
            return later(self);
        }
        let duplicate = self.happens(self.faults.duplicate);
        let node = self.runners.get_mut(who).unwrap();
        match done {
            Done::Later => return later(self),
            Done::Silently => node.finish(task.id),
            Done::Tell(input) => {
                node.outbox
                    .iter_mut()
                    .filter(|t| t.id == task.id)
                    .for_each(|t| t.answered = true);
                if duplicate {
                    node.inbox.push((input.clone(), None));
                }
                node.inbox.push((input, Some(task.id)));
            }
        }
        if self.last_effect.get(who) == Some(&task.effect.name()) {
            self.kill(who);
        }
    }

    fn runner_effect(&mut self, who: &Address, effect: &RunnerEffect) -> Done {
        match effect {
            RunnerEffect::Join { keys, notify } => {
                if self.record.status == Status::Absent {
                    return Done::Later;
                }
                if !self.record.has_joined(who) && !self.record.join(who, keys.clone()) {
                    return Done::Tell(broken("the round takes no more members".into()));
                }
                self.notice(notify)
            }
            RunnerEffect::ReadKeys { members } => {
                let mut keys = self.record.public_keys(members);
                if let Some(tamper) = &mut self.tamper.keys {
                    tamper((Some(who.clone()), members.clone()), &mut keys);
                }
                Done::Tell(RunnerInput::PublicKeys(keys))
            }
            RunnerEffect::PublishCommitments { seed, key } => {
                // Too late is no news: u2 will not have this node.
                self.record.commit_shares(who, seed, key);
                Done::Tell(RunnerInput::CommitmentsPublished)
            }
            RunnerEffect::PostShares { request } => match self.call(request) {
                Ok(()) => Done::Silently,
                Err(refused) => after(refused),
            },
            RunnerEffect::CollectShares { request, senders } => {
                let request = self.on_the_way(request);
                if !self.coordinator.alive {
                    return Done::Later;
                }
                let mut delivery = match self.coordinator.machine.deliver(&request) {
                    Ok(delivery) => delivery,
                    Err(e) => return after(NoAnswer::Because(e)),
                };
                if let Some(tamper) = &mut self.tamper.delivery {
                    tamper(who.clone(), &mut delivery);
                }
                let mut records = self.record.share_records(senders, who);
                if let Some(tamper) = &mut self.tamper.records {
                    tamper(
                        (Some(who.clone()), who.clone(), senders.clone()),
                        &mut records,
                    );
                }
                Done::Tell(RunnerInput::SharesCollected { delivery, records })
            }
            RunnerEffect::Compute {
                variables,
                masks,
                cohort,
            } => {
                for variable in variables {
                    let request = self.on_the_way(&variable.request);
                    if !self.coordinator.alive {
                        return Done::Later;
                    }
                    if let Err(e) = self.coordinator.machine.authorise_variable(&request) {
                        return after(NoAnswer::Because(e));
                    }
                    if Digest::of(&self.variables[variable.name.as_str()]) != variable.digest {
                        return Done::Tell(broken("the variable is another one".into()));
                    }
                }
                let bytes = match self.setup.strategy.ring {
                    Ring::Z32 => self.mask::<u32>(who, masks, *cohort),
                    Ring::Z64 => self.mask::<u64>(who, masks, *cohort),
                };
                let (digest, len) = (Digest::of(&bytes), bytes.len() as u64);
                self.masked.insert(who.clone(), bytes);
                Done::Tell(RunnerInput::Masked { digest, len })
            }
            RunnerEffect::Upload {
                commitment,
                request,
                ..
            } => {
                self.record.commit_result(who, *commitment);
                if self.happens(self.faults.between) {
                    return Done::Later;
                }
                self.upload(who, request)
            }
            RunnerEffect::Confirm { request, fetch } => {
                match self.call(request) {
                    // A round that has gone on without this node tells it at the next look.
                    Err(NoAnswer::Because(Rejection::WrongPhase { .. })) => return Done::Later,
                    Err(refused) => return after(refused),
                    Ok(()) => {}
                }
                let fetch = self.on_the_way(fetch);
                if !self.coordinator.alive {
                    return Done::Later;
                }
                match self.coordinator.machine.confirmations(&fetch) {
                    Ok(mut said) => {
                        if let Some(tamper) = &mut self.tamper.confirmations {
                            tamper(who.clone(), &mut said);
                        }
                        Done::Tell(RunnerInput::Confirmed(said))
                    }
                    Err(Rejection::WrongPhase { .. } | Rejection::NotYet { .. }) => Done::Later,
                    Err(e) => after(NoAnswer::Because(e)),
                }
            }
            RunnerEffect::Reveal {
                seeds,
                keys,
                notify,
            } => {
                self.record.reveal(who, seeds, keys);
                match self.notice(notify) {
                    Done::Silently => Done::Tell(RunnerInput::Revealed),
                    other => other,
                }
            }
            RunnerEffect::Decline { request } => match self.call(request) {
                Err(NoAnswer::Down) => Done::Later,
                Err(NoAnswer::Because(Rejection::WrongPhase { late: false, .. })) => Done::Later,
                _ => Done::Silently,
            },
        }
    }

    fn upload(&mut self, who: &Address, request: &SignedRequest) -> Done {
        let request = self.on_the_way(request);
        if !self.coordinator.alive {
            return Done::Later;
        }
        let bytes = self.masked[who].clone();
        let (digest, len, here) = match self.coordinator.machine.authorise_result(&request) {
            Ok(answer) => answer,
            Err(e) => return after(NoAnswer::Because(e)),
        };
        if here {
            return Done::Silently;
        }
        assert_eq!((Digest::of(&bytes), bytes.len() as u64), (digest, len));
        self.uploads.insert(who.clone(), bytes);
        let input = CoordinatorInput::ResultUploaded {
            member: who.clone(),
            digest,
        };
        let now = self.now;
        match self.coordinator.feed(now, input) {
            Ok(_) => Done::Silently,
            Err(e) => after(NoAnswer::Because(e)),
        }
    }

    /// A notice that nobody needs to answer.
    fn notice(&mut self, request: &SignedRequest) -> Done {
        if self.happens(self.faults.between) {
            return Done::Later;
        }
        match self.call(request) {
            Err(NoAnswer::Because(Rejection::WrongPhase { late: false, .. })) => Done::Later,
            _ => Done::Silently,
        }
    }

    fn call(&mut self, request: &SignedRequest) -> Result<(), NoAnswer> {
        let request = self.on_the_way(request);
        if !self.coordinator.alive {
            return Err(NoAnswer::Down);
        }
        if self.happens(self.faults.duplicate) {
            let _twice = self.request(request.clone());
        }
        self.request(request).map(|_| ()).map_err(NoAnswer::Because)
    }

    fn on_the_way(&mut self, request: &SignedRequest) -> SignedRequest {
        // Through JSON, as over HTTP.
        let text = serde_json::to_string(request).unwrap();
        let mut request = serde_json::from_str(&text).unwrap();
        if let Some(tamper) = &mut self.tamper.request {
            tamper((), &mut request);
        }
        request
    }

    /// The masked upload of one member.
    fn mask<W: Word>(&self, who: &Address, masks: &[MaskStream], cohort: usize) -> Vec<u8> {
        let mut words: Vec<W> = Vec::new();
        #[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
        let values: Vec<f64> = self.inputs[who].iter().map(|v| *v as f64).collect();
        Encoding::new(W::RING, 0, cohort)
            .encode(&values, &mut words)
            .unwrap();
        apply(&mut words, self, masks);
        let mut bytes = self.header::<W>(who).encode().to_vec();
        let mut body = Vec::new();
        le_bytes(&words, &mut body);
        bytes.extend(body);
        bytes
    }
}

fn broken(reason: String) -> RunnerInput {
    RunnerInput::EffectFailed {
        code: FailureCode::Infrastructure,
        reason,
    }
}

/// Too early: again later. Too late: never mind. Anything else ends this member's part.
fn after(refused: NoAnswer) -> Done {
    match refused {
        NoAnswer::Down => Done::Later,
        NoAnswer::Because(Rejection::WrongPhase { late, .. }) => {
            if late {
                Done::Silently
            } else {
                Done::Later
            }
        }
        NoAnswer::Because(e) => Done::Tell(RunnerInput::EffectFailed {
            code: FailureCode::ProtocolViolation,
            reason: format!("the coordinator refuses: {e}"),
        }),
    }
}
