//! The end of a certified task: members' proofs become a certificate, or the answer stands without one.

use super::{TaskRun, rejected};
use crate::certificate::{claim_of, objection, told};
use crate::coordinator::state::{Certified, Contributors, Ended};
use delta_domain::ids::{Address, RoundNumber};
use delta_ports::blob::{BlobName, pieces};
use delta_ports::certificates::MAX_PROOF_BYTES;
use delta_ports::storage::LogLevel;
use delta_ports::{PortError, PortErrorKind};

impl TaskRun {
    /// Whether members prove in the step that is next, or under way.
    pub(super) fn proves(&self) -> bool {
        self.bundle.manifest().proof_step() == Some(self.state.step)
    }

    /// Checks the proofs of all members and keeps the certificate beside the result.
    pub(super) async fn certify(&mut self, members: Vec<Address>) -> Result<(), PortError> {
        let certified = match self.certificate(&members).await {
            Ok(certified) => certified,
            // A proof that does not hold, or does not fit the others: with the member's name, where one is to blame.
            Err(e)
                if matches!(
                    e.kind(),
                    PortErrorKind::Corrupt | PortErrorKind::Rejected | PortErrorKind::Unsupported
                ) =>
            {
                Certified::Not(e.message().to_owned())
            }
            Err(e) => return Err(e),
        };
        self.say(&certified).await;
        let step = self.state.step;
        self.state.certified = Some(certified);
        self.state.step += 1;
        self.state.failures = 0;
        self.state.complete = true;
        let summed = Ended::Summed(Contributors {
            step,
            clients: members,
            ..Contributors::default()
        });
        self.close_round(summed).await
    }

    /// The answer stands without a certificate.
    pub(super) async fn give_certificate_up(&mut self, why: String) -> Result<(), PortError> {
        let certified = Certified::Not(format!("there are not the proofs of all members: {why}"));
        self.say(&certified).await;
        self.state.certified = Some(certified);
        self.state.complete = true;
        let ports = self.context.machine_ports();
        crate::machine::commit(&ports, vec![self.state.change()?]).await?;
        self.state.version += 1;
        Ok(())
    }

    async fn certificate(&self, members: &[Address]) -> Result<Certified, PortError> {
        let manifest = self.bundle.manifest();
        let certify = manifest.certified();
        let certify = certify.ok_or_else(|| rejected("the task certifies nothing".into()))?;
        let answer = self.state.read(&self.context, &certify.answer).await?;
        let (task, round) = (&self.state.task, RoundNumber(self.state.round));
        let claim = claim_of(&self.bundle, task, round, &answer)?;
        let blobs = &self.context.ports.blobs;
        let mut messages = Vec::with_capacity(members.len());
        for member in members {
            let name = BlobName::masked_result(task, round, member);
            messages.push(blobs.read(&name, MAX_PROOF_BYTES).await?);
        }
        let certificates = self.context.ports.executor.certificates();
        let certificates = certificates.ok_or_else(|| {
            let text = "this program was built without certificates";
            PortError::new(PortErrorKind::Unsupported, "coordinator.certify", text)
        })?;
        let (bytes, verdict) = certificates
            .assemble(&claim, certify.tolerance, messages)
            .await?;
        if let Some(why) = objection(&verdict, &self.bundle, task, &self.state.tables) {
            return Ok(Certified::Not(why));
        }
        // Kept also where too much remains: its proofs hold, and say how much.
        let limit = bytes.len() as u64;
        let name = BlobName::certificate(task);
        blobs.put(&name, pieces(bytes), limit).await?;
        if verdict.holds() {
            let text = format!("task {task} certificate: {}", told(&verdict));
            self.context.log(LogLevel::Info, task, text, None).await;
            return Ok(Certified::Confirmed);
        }
        Ok(Certified::Not(format!(
            "all proofs hold, and the answer leaves more open than is allowed ({}): somebody lied while training, or it had not converged, and \
             nobody can be blamed from this alone",
            told(&verdict)
        )))
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
