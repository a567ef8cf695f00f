//! The end of a certified task: members' proofs become a certificate, or the answer stands without one.

use super::{TaskRun, rejected};
use crate::backoff::Backoff;
use crate::certificate::{claim_of, door_key, objection, told};
use crate::coordinator::state::{Certified, Contributors, Ended};
use delta_domain::ids::{Address, Digest, RoundNumber};
use delta_ports::blob::{BlobName, pieces};
use delta_ports::certificates::{MAX_CERTIFICATE_BYTES, MAX_PROOF_BYTES};
use delta_ports::certifier::{Claim, Verdict};
use delta_ports::storage::LogLevel;
use delta_ports::{PortError, PortErrorKind, report};

/// How often proofs are checked where it is the worker that fails.
const CHECKS: u32 = 3;

impl TaskRun {
    /// Whether members prove in the step that is next, or under way.
    pub(super) fn proves(&self) -> bool {
        self.bundle.manifest().proof_step() == Some(self.state.step)
    }

    /// Checks the proofs of all members and keeps the certificate beside the result.
    pub(super) async fn certify(&mut self, members: Vec<Address>) -> Result<(), PortError> {
        let certified = match self.certificate(&members).await {
            Ok((certified, key)) => {
                self.state.certificate_key = key;
                certified
            }
            // The answer is none that can be proven, or what is kept of it is damaged.
            Err(e) if matches!(e.kind(), PortErrorKind::Corrupt | PortErrorKind::Rejected) => {
                Certified::Not(e.message().to_owned())
            }
            Err(e) => return Err(e),
        };
        let step = self.state.step;
        self.state.certified = Some(certified.clone());
        self.state.step += 1;
        self.state.failures = 0;
        self.state.complete = true;
        let summed = Ended::Summed(Contributors {
            step,
            clients: members,
            ..Contributors::default()
        });
        self.close_round(summed).await?;
        self.say(&certified).await;
        Ok(())
    }

    /// The answer stands without a certificate.
    pub(super) async fn give_certificate_up(&mut self, why: String) -> Result<(), PortError> {
        let certified = Certified::Not(format!("there are not the proofs of all members: {why}"));
        self.state.certified = Some(certified.clone());
        self.state.complete = true;
        let ports = self.context.machine_ports();
        crate::machine::commit(&ports, vec![self.state.change()?]).await?;
        self.state.version += 1;
        self.say(&certified).await;
        Ok(())
    }

    /// What becomes of the proofs, and what opens the door to the certificate that was kept.
    async fn certificate(
        &self,
        members: &[Address],
    ) -> Result<(Certified, Option<Digest>), PortError> {
        let manifest = self.bundle.manifest();
        let certify = manifest.certified();
        let certify = certify.ok_or_else(|| rejected("the task certifies nothing".into()))?;
        let answer = self.state.read(&self.context, &certify.answer).await?;
        let (task, round) = (&self.state.task, RoundNumber(self.state.round));
        let claim = claim_of(&self.bundle, task, round, &answer)?;
        let (bytes, verdict) = match self.assembled(&claim, certify.tolerance, members).await? {
            Ok(made) => made,
            Err(why) => return Ok((Certified::Not(why), None)),
        };
        let proven = verdict.members.iter().map(|proven| &proven.member);
        if !proven.eq(members) {
            let why = "its members are not those of the sum".to_owned();
            return Ok((Certified::Not(why), None));
        }
        if let Some(why) = objection(&verdict, &self.bundle, task, &self.state.tables) {
            return Ok((Certified::Not(why), None));
        }
        let key = Some(door_key(&answer)?);
        // Kept also where too much remains: its proofs hold, and say how much.
        let limit = bytes.len() as u64;
        let name = BlobName::certificate(task);
        let blobs = &self.context.ports.blobs;
        blobs.put(&name, pieces(bytes), limit).await?;
        if verdict.holds() {
            let text = format!("task {task} certificate: {}", told(&verdict));
            self.context.log(LogLevel::Info, task, text, None).await;
            return Ok((Certified::Confirmed, key));
        }
        let why = format!(
            "all proofs hold, and the answer leaves more open than is allowed ({}): somebody lied while training, or it had not converged, and \
             nobody can be blamed from this alone",
            told(&verdict)
        );
        Ok((Certified::Not(why), key))
    }

    /// The members' proofs put together and judged, or why they are not: whatever is wrong with them, or with the worker that looks at them,
    /// takes the certificate and not the answer.
    ///
    /// # Errors
    /// The disk's.
    async fn assembled(
        &self,
        claim: &Claim,
        tolerance: f64,
        members: &[Address],
    ) -> Result<Result<(Vec<u8>, Verdict), String>, PortError> {
        let (task, round) = (&self.state.task, RoundNumber(self.state.round));
        let certificates = self.context.ports.executor.certificates();
        let Some(certificates) = certificates else {
            return Ok(Err("this program was built without certificates".to_owned()));
        };
        let clock = &self.context.ports.clock;
        let mut backoff = Backoff::STEPS;
        let mut tries = 0;
        loop {
            let mut messages = Vec::with_capacity(members.len());
            let mut left = MAX_CERTIFICATE_BYTES;
            for member in members {
                let name = BlobName::masked_result(task, round, member);
                let blobs = &self.context.ports.blobs;
                let message = blobs.read(&name, MAX_PROOF_BYTES).await?;
                let bytes = u64::try_from(message.len()).unwrap_or(u64::MAX);
                let Some(less) = left.checked_sub(bytes) else {
                    let text = format!(
                        "all proofs together are larger than {MAX_CERTIFICATE_BYTES} bytes"
                    );
                    return Ok(Err(text));
                };
                left = less;
                messages.push((member.clone(), message));
            }
            let error = match certificates.assemble(claim, tolerance, messages).await {
                Ok(made) => return Ok(Ok(made)),
                Err(e) => e,
            };
            tries += 1;
            match error.kind() {
                // With the member's name, where one is to blame.
                PortErrorKind::Corrupt | PortErrorKind::Rejected | PortErrorKind::Unsupported => {
                    return Ok(Err(error.message().to_owned()));
                }
                _ if tries < CHECKS => {
                    tracing::warn!(%task, "the proofs are checked again: {}", report(&error));
                    clock.sleep(backoff.pause()).await;
                }
                _ => {
                    tracing::error!(%task, "the proofs cannot be checked: {}", report(&error));
                    let text = format!(
                        "the coordinator could not check the proofs: {}",
                        error.message()
                    );
                    return Ok(Err(text));
                }
            }
        }
    }

    async fn say(&self, certified: &Certified) {
        let task = &self.state.task;
        let (level, text) = match certified {
            Certified::Confirmed => (
                LogLevel::Info,
                format!("[Verification Confirmed] task {task}: the answer is certified"),
            ),
            Certified::Not(why) => (
                LogLevel::Warn,
                format!("task {task}: the answer is not certified: {why}"),
            ),
        };
        self.context.log(level, task, text, None).await;
    }
}
