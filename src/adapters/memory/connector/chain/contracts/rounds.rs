//! The contracts of tasks and rounds: what moves them, and what is taken back.

use super::values::{bytes, bytes32, hash, shares, smalls};
use super::{Block, Contracts, Done, No, Pair, Round, Task, mixed_case, require};
use delta_domain::connector_record::{
    Answer, NewTaskEntry, ProofEntry, RecordEvent, RoundRef, SecretKind, Status, Step,
};
use delta_domain::task::TaskKind;
use std::collections::BTreeMap;

impl Contracts {
    pub(super) fn create_task(
        &mut self,
        block: Block,
        sender: &str,
        entry: &NewTaskEntry,
    ) -> Result<Done, No> {
        let url = self.identity.url(block, sender)?.to_owned();
        let commitment = bytes32(&entry.commitment)?;
        let task_type = match entry.kind {
            TaskKind::Horizontal => entry.task_type.clone(),
            TaskKind::Hlr => "hlr".to_owned(),
        };
        let number = block.number.to_string();
        // Two equal tasks of one block would have one id, as on a chain.
        let id = hash(&[&number, sender, &entry.dataset, &commitment, &task_type]);
        let hlr = entry.kind == TaskKind::Hlr;
        let task = Task {
            creator: sender.to_owned(),
            url: url.clone(),
            dataset: entry.dataset.clone(),
            commitment: commitment.clone(),
            task_type: task_type.clone(),
            finished: false,
            enable_verify: hlr && entry.enable_verify,
            tolerance: if hlr { entry.tolerance } else { 0 },
            rounds: Vec::new(),
        };
        let event = RecordEvent::TaskCreated {
            address: mixed_case(sender),
            task: id.clone(),
            dataset: entry.dataset.clone(),
            url,
            commitment,
            task_type,
            enable_verify: task.enable_verify,
            tolerance: task.tolerance,
        };
        self.tasks.insert((entry.kind, id.clone()), task);
        Ok(Done {
            answer: Answer::Created(id),
            event: Some(event),
        })
    }

    /// May be repeated, and is announced each time.
    pub(super) fn finish_task(
        &mut self,
        kind: TaskKind,
        sender: &str,
        id: &str,
    ) -> Result<Done, No> {
        self.own_task(kind, sender, id)?.finished = true;
        Ok(Done::told(RecordEvent::TaskFinished {
            task: id.to_owned(),
        }))
    }

    /// Rounds are numbered from 1 without gaps; a finished task takes more.
    pub(super) fn start_round(
        &mut self,
        sender: &str,
        at: &RoundRef,
        weight_commitment: &str,
    ) -> Result<Done, No> {
        let task = self.own_task(at.kind, sender, &at.task)?;
        let next = task.rounds.len() + 1;
        require(
            usize::try_from(at.round) == Ok(next),
            "the round has been already started or the pre round does not exist",
        )?;
        let weight_commitment = match at.kind {
            TaskKind::Hlr => bytes32(weight_commitment)?,
            TaskKind::Horizontal => String::new(),
        };
        task.rounds.push(Round {
            status: Status::Started,
            weight_commitment,
            joined: Vec::new(),
            keys: BTreeMap::new(),
            results: BTreeMap::new(),
            pairs: BTreeMap::new(),
        });
        Ok(Done::told(RecordEvent::RoundStarted {
            task: at.task.clone(),
            round: at.round,
        }))
    }

    /// Only the latest round, once. Nobody asks whether the member is registered.
    pub(super) fn join_round(
        &mut self,
        sender: &str,
        at: &RoundRef,
        pk1: &str,
        pk2: &str,
    ) -> Result<Done, No> {
        let latest = self.latest(at);
        let round = self.round_mut(at)?;
        require(
            latest && round.status == Status::Started,
            "join phase has passed",
        )?;
        let there = round.keys.get(sender).is_some_and(|(pk1, _)| pk1 != "0x");
        require(!there, "Cannot join the same round multiple times")?;
        round
            .keys
            .insert(sender.to_owned(), (bytes(pk1)?, bytes(pk2)?));
        round.joined.push(sender.to_owned());
        Ok(Done::quietly())
    }

    /// Selecting may be repeated at any status; the two steps after it ask for the one before, the first of them for no list.
    pub(super) fn advance(
        &mut self,
        sender: &str,
        step: Step,
        at: &RoundRef,
        clients: &[String],
    ) -> Result<Done, No> {
        self.own_task(at.kind, sender, &at.task)?;
        let small = smalls(clients)?;
        let round = self.round_mut(at)?;
        let known = || small.iter().all(|a| round.keys.contains_key(a));
        match step {
            Step::Select => {
                require(!small.is_empty(), "Must provide addresses")?;
                require(known(), "Candidate must exist")?;
                round.status = Status::Running;
            }
            Step::Calculate => {
                let running = round.status == Status::Running;
                require(running, "This round is not running now")?;
                round.status = Status::Calculating;
            }
            Step::Aggregate => {
                let calculating = round.status == Status::Calculating;
                require(calculating, "Calculating has not started")?;
                require(known(), "Candidate must exist")?;
                round.status = Status::Aggregating;
            }
        }
        let (task, round) = (at.task.clone(), at.round);
        let addrs = small.iter().map(|a| mixed_case(a)).collect();
        Ok(Done::told(match step {
            Step::Select => RecordEvent::PartnerSelected { task, round, addrs },
            Step::Calculate => RecordEvent::CalculationStarted { task, round, addrs },
            Step::Aggregate => RecordEvent::AggregationStarted { task, round, addrs },
        }))
    }

    /// All or none; nobody asks who the two are.
    pub(super) fn commit(
        &mut self,
        sender: &str,
        secret: SecretKind,
        at: &RoundRef,
        receivers: &[String],
        commitments: &[String],
    ) -> Result<Done, No> {
        let (receivers, values) = (smalls(receivers)?, shares(commitments)?);
        require(
            receivers.len() == values.len(),
            "receivers length is not equal to commitments length",
        )?;
        let round = self.round_mut(at)?;
        let running = round.status == Status::Running;
        require(running, "not in secret sharing phase")?;
        let mut seen = Vec::new();
        for receiver in &receivers {
            let key = (sender.to_owned(), receiver.clone());
            let there = round.pairs.get(&key).is_some_and(|pair| {
                let commitment = match secret {
                    SecretKind::Seed => &pair.seed_commitment,
                    SecretKind::SecretKey => &pair.secret_key_commitment,
                };
                !commitment.is_empty()
            });
            require(
                !there && !seen.contains(&receiver),
                "cannot upload seed cmmt multiple times",
            )?;
            seen.push(receiver);
        }
        for (receiver, value) in receivers.iter().zip(values) {
            let pair = round.pair(sender, receiver);
            match secret {
                SecretKind::Seed => pair.seed_commitment = value,
                SecretKind::SecretKey => pair.secret_key_commitment = value,
            }
        }
        Ok(Done::quietly())
    }

    pub(super) fn commit_result(
        &mut self,
        sender: &str,
        at: &RoundRef,
        commitment: &str,
    ) -> Result<Done, No> {
        let commitment = bytes(commitment)?;
        let round = self.round_mut(at)?;
        require(
            commitment.len() > 2,
            "commitment length exceeds limit or it is empty",
        )?;
        let calculating = round.status == Status::Calculating;
        require(calculating, "not in uploading phase")?;
        let there = round.results.contains_key(sender);
        require(!there, "cannot upload resultCommitment multiple times")?;
        round.results.insert(sender.to_owned(), commitment);
        Ok(Done::quietly())
    }

    /// All or none. Whoever was committed to may be revealed, also both secrets of one member.
    pub(super) fn reveal(
        &mut self,
        receiver: &str,
        secret: SecretKind,
        at: &RoundRef,
        senders: &[String],
        texts: &[String],
    ) -> Result<Done, No> {
        let (senders, values) = (smalls(senders)?, shares(texts)?);
        require(
            senders.len() == values.len(),
            "senders length is not equal to seeds length",
        )?;
        let round = self.round_mut(at)?;
        let aggregating = round.status == Status::Aggregating;
        require(aggregating, "not in upload ss phase")?;
        let mut seen = Vec::new();
        for sender in &senders {
            let pair = round.pair(sender, receiver);
            let (commitment, share) = match secret {
                SecretKind::Seed => (&pair.seed_commitment, &pair.seed),
                SecretKind::SecretKey => (&pair.secret_key_commitment, &pair.secret_key),
            };
            require(!commitment.is_empty(), "must upload commitment first")?;
            require(
                share.is_empty() && !seen.contains(&sender),
                "cannot upload seed multiple times",
            )?;
            seen.push(sender);
        }
        for (sender, value) in senders.iter().zip(values) {
            let pair = round.pair(sender, receiver);
            match secret {
                SecretKind::Seed => pair.seed = value,
                SecretKind::SecretKey => pair.secret_key = value,
            }
        }
        Ok(Done::quietly())
    }

    /// At any status, and again.
    pub(super) fn end_round(&mut self, sender: &str, at: &RoundRef) -> Result<Done, No> {
        self.own_task(at.kind, sender, &at.task)?;
        self.round_mut(at)?.status = Status::Finished;
        Ok(Done::told(RecordEvent::RoundEnded {
            task: at.task.clone(),
            round: at.round,
        }))
    }

    /// What a proof is worth is the test's to say.
    pub(super) fn verify(&mut self, sender: &str, proof: &ProofEntry) -> Result<Done, No> {
        let verdict = self.verdict;
        let task = self.task_mut(TaskKind::Hlr, &proof.task)?;
        require(task.finished && task.enable_verify, "")?;
        let verified = verdict.ok_or(No::Reverted(""))?;
        Ok(Done {
            answer: Answer::Verified(verified),
            event: Some(RecordEvent::MemberVerified {
                task: proof.task.clone(),
                address: mixed_case(sender),
                verified,
            }),
        })
    }

    pub(super) fn confirm(&mut self, sender: &str, id: &str) -> Result<Done, No> {
        let finished = self.own_task(TaskKind::Hlr, sender, id)?.finished;
        require(finished, "Task is not finished")?;
        Ok(Done::told(RecordEvent::VerificationConfirmed {
            task: id.to_owned(),
        }))
    }

    fn task_mut(&mut self, kind: TaskKind, id: &str) -> Result<&mut Task, No> {
        let key = (kind, id.to_ascii_lowercase());
        self.tasks
            .get_mut(&key)
            .ok_or(No::Reverted("Task not exists"))
    }

    fn own_task(&mut self, kind: TaskKind, sender: &str, id: &str) -> Result<&mut Task, No> {
        let task = self.task_mut(kind, id)?;
        require(task.creator == sender, "Must called by the task owner")?;
        Ok(task)
    }

    fn round_mut(&mut self, at: &RoundRef) -> Result<&mut Round, No> {
        let missing = No::Reverted("this round does not exist");
        let task = self
            .task_mut(at.kind, &at.task)
            .map_err(|_| missing.clone())?;
        let place = usize::try_from(at.round)
            .ok()
            .and_then(|n| n.checked_sub(1));
        place
            .and_then(|place| task.rounds.get_mut(place))
            .ok_or(missing)
    }

    fn latest(&self, at: &RoundRef) -> bool {
        let task = self.tasks.get(&(at.kind, at.task.to_ascii_lowercase()));
        task.is_some_and(|task| usize::try_from(at.round) == Ok(task.rounds.len()))
    }
}

impl Round {
    fn pair(&mut self, sender: &str, receiver: &str) -> &mut Pair {
        let key = (sender.to_owned(), receiver.to_owned());
        self.pairs.entry(key).or_default()
    }
}
