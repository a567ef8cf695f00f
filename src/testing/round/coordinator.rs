//! Carrying out the coordinator's effects, as the driver of a real node would.

use std::time::Duration;

use delta_domain::ids::{Address, Digest};
use delta_domain::round::coordinator::{CoordinatorEffect, CoordinatorInput, Publication};
use delta_domain::round::runner::MaskStream;
use delta_domain::secagg::mask::{MaskSeed, Masker, Sign};
use delta_domain::secagg::masked_input::{HEADER_BYTES, MaskedInputHeader, StreamAdder};
use delta_domain::secagg::word::{Ring, Word};

use super::{List, Status, World};

/// When an effect is tried again.
pub(super) const RETRY: Duration = Duration::from_millis(250);

impl World {
    pub(super) fn carry_out_coordinator(&mut self, i: usize) {
        let task = self.coordinator.outbox[i].clone();
        self.coordinator.outbox[i].tries += 1;
        self.trace
            .push(format!("{} coordinator {}", self.now, task.effect.name()));
        if self.happens(self.faults.request_lost) {
            self.coordinator.outbox[i].not_before = self.now + RETRY;
            return;
        }
        let Some(input) = self.coordinator_effect(&task.effect) else {
            self.coordinator.outbox[i].not_before = self.now + RETRY;
            return;
        };
        if self.happens(self.faults.response_lost) {
            self.coordinator.outbox[i].not_before = self.now + RETRY;
            return;
        }
        self.coordinator.outbox[i].answered = true;
        if self.happens(self.faults.duplicate) {
            self.coordinator.inbox.push((input.clone(), None));
        }
        self.coordinator.inbox.push((input, Some(task.id)));
    }

    fn coordinator_effect(&mut self, effect: &CoordinatorEffect) -> Option<CoordinatorInput> {
        Some(match effect {
            CoordinatorEffect::StartRound => {
                self.record.start();
                CoordinatorInput::Started
            }
            CoordinatorEffect::ReadJoins => {
                let mut joined: Vec<Address> =
                    self.record.joins.iter().map(|(a, _)| a.clone()).collect();
                if let Some(tamper) = &mut self.tamper.joins {
                    tamper((), &mut joined);
                }
                let known = self.runners.keys().cloned().collect();
                CoordinatorInput::Joins {
                    joined,
                    known,
                    tables: std::collections::BTreeMap::new(),
                }
            }
            CoordinatorEffect::SelectCandidates { u1 } => {
                if self.record.publish(Status::Running, u1) {
                    self.broadcast(List::U1, u1);
                }
                CoordinatorInput::Published(Publication::Selection)
            }
            CoordinatorEffect::ReadKeys { members } => {
                let mut keys = self.record.public_keys(members);
                if let Some(tamper) = &mut self.tamper.keys {
                    tamper((None, members.clone()), &mut keys);
                }
                CoordinatorInput::PublicKeys(keys)
            }
            CoordinatorEffect::CheckCommitments { pairs } => {
                let mut missing = Vec::new();
                for (receiver, senders) in pairs {
                    let records = self.record.share_records(senders, receiver);
                    for (sender, record) in senders.iter().zip(records) {
                        let fine =
                            |c: Option<String>| c.is_some_and(|c| c.parse::<Digest>().is_ok());
                        if !fine(record.seed_commitment) || !fine(record.secret_key_commitment) {
                            missing.push(sender.clone());
                        }
                    }
                }
                CoordinatorInput::CommitmentsChecked { missing }
            }
            CoordinatorEffect::StartCalculation { u2 } => {
                if self.record.publish(Status::Calculating, u2) {
                    self.broadcast(List::U2, u2);
                }
                CoordinatorInput::Published(Publication::Calculation)
            }
            CoordinatorEffect::ReadResultCommitment { member } => {
                let mut commitment = self.record.results.get(member).cloned();
                if let Some(tamper) = &mut self.tamper.result {
                    tamper(member.clone(), &mut commitment);
                }
                CoordinatorInput::ResultCommitment {
                    member: member.clone(),
                    commitment,
                }
            }
            CoordinatorEffect::StartAggregation { u3 } => {
                if self.record.publish(Status::Aggregating, u3) {
                    self.broadcast(List::U3, u3);
                }
                CoordinatorInput::Published(Publication::Aggregation)
            }
            CoordinatorEffect::ReadReveals { receiver, senders } => {
                let mut records = self.record.share_records(senders, receiver);
                if let Some(tamper) = &mut self.tamper.records {
                    tamper((None, receiver.clone(), senders.clone()), &mut records);
                }
                CoordinatorInput::Reveals {
                    receiver: receiver.clone(),
                    records,
                }
            }
            CoordinatorEffect::Unmask {
                members,
                masks,
                dropped,
            } => {
                assert_eq!(Some(members), self.record.u3.as_ref(), "u3 as published");
                let (task, round) = (
                    self.setup.announcement().task,
                    self.setup.announcement().round,
                );
                let pairs = dropped
                    .iter()
                    .flat_map(|d| d.peers.iter().map(move |p| (d, p)));
                let masks = &masks
                    .iter()
                    .cloned()
                    .chain(pairs.map(|(d, p)| d.stream(p, &task, round).unwrap()))
                    .collect::<Vec<_>>();
                match self.setup.strategy.ring() {
                    Ring::Z32 => self.unmask::<u32>(members, masks),
                    Ring::Z64 => self.unmask::<u64>(members, masks),
                }
                CoordinatorInput::Unmasked
            }
            CoordinatorEffect::EndRound => {
                if self.record.end() {
                    self.broadcast_end();
                }
                CoordinatorInput::Published(Publication::End)
            }
        })
    }

    /// Sums the uploads of `members`, takes the masks away, and compares with what the members put in: exact, bit for bit.
    fn unmask<W: Word>(&mut self, members: &[Address], masks: &[MaskStream]) {
        let mut sum = vec![W::default(); self.setup.length];
        for member in members {
            let bytes = &self.uploads[member];
            let expected = self.header::<W>(member);
            MaskedInputHeader::decode_expecting(bytes, &expected).unwrap();
            let mut adder = StreamAdder::new(Sign::Plus);
            adder.push(&mut sum, &bytes[HEADER_BYTES..]).unwrap();
            adder.finish(&sum).unwrap();
        }
        apply(&mut sum, self, masks);
        let got: Vec<i64> = sum.iter().map(|w| w.to_signed()).collect();
        let expected: Vec<i64> = (0..self.setup.length)
            .map(|j| members.iter().map(|m| self.inputs[m][j]).sum())
            .collect();
        assert_eq!(got, expected, "a wrong sum: {}", self.story());
        self.sum = Some(got);
    }

    pub(super) fn header<W: Word>(&self, sender: &Address) -> MaskedInputHeader {
        let announcement = self.setup.announcement();
        MaskedInputHeader {
            task: announcement.task,
            round: announcement.round,
            sender: sender.clone(),
            ring: W::RING,
            length: self.setup.length as u64,
        }
    }
}

/// Adds the masks to the words.
pub(super) fn apply<W: Word>(words: &mut [W], world: &World, masks: &[MaskStream]) {
    let masks: Vec<(&MaskSeed, Sign)> = masks.iter().map(|m| (&m.seed, m.sign)).collect();
    Masker::new(world.setup.strategy.mask_generator, &masks).apply(0, words);
}
