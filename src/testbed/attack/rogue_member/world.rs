//! How the hostile member reaches the network of the nodes under attack, while it plays honestly.

use delta_app::member::{Computed, MemberWorld};
use delta_app::once::Standing;
use delta_domain::ids::{Address, Digest, RoundNumber, encode_hex};
use delta_domain::round::Acquaintances;
use delta_domain::round::message::{Confirmation, RoundEnd, ShareDelivery, SignedRequest};
use delta_domain::round::record::{RawPublicKeys, RawShareRecord};
use delta_domain::round::runner::{MaskStream, NoiseGround, ProofGround, VariableRequest};
use delta_domain::secagg::commitment::commit_upload;
use delta_domain::secret::SecretBytes;
use delta_ports::connector::ShareKind;
use delta_ports::peer::PeerCalls as _;
use delta_ports::{PortError, PortErrorKind};

use super::RogueMember;

impl MemberWorld for RogueMember<'_> {
    type Error = PortError;

    fn is_rejection(error: &PortError) -> bool {
        error.kind() == PortErrorKind::Rejected
    }

    // Nothing is done twice, so that nobody needs to look whether it was done before.

    async fn has_joined(&mut self, _: &RawPublicKeys) -> Result<Standing, PortError> {
        Ok(Standing::Absent)
    }

    async fn has_committed(
        &mut self,
        _: ShareKind,
        _: &[(Address, Digest)],
    ) -> Result<Standing, PortError> {
        Ok(Standing::Absent)
    }

    async fn has_committed_result(&mut self, _: &Digest) -> Result<Standing, PortError> {
        Ok(Standing::Absent)
    }

    async fn join(&mut self, keys: &RawPublicKeys) -> Result<(), PortError> {
        let (connector, key) = (&self.connector, self.key());
        let joined = connector.join_round(&self.address, &key, keys).await;
        joined.map(drop)
    }

    async fn public_keys(&mut self, members: &[Address]) -> Result<Vec<RawPublicKeys>, PortError> {
        let connector = &self.connector;
        connector.public_keys(&self.key(), members).await
    }

    async fn commit(
        &mut self,
        kind: ShareKind,
        commitments: &[(Address, Digest)],
    ) -> Result<(), PortError> {
        let (connector, key) = (&self.connector, self.key());
        let done = connector
            .upload_share_commitments(&self.address, &key, kind, commitments)
            .await;
        done.map(drop)
    }

    async fn share_records(
        &mut self,
        senders: &[Address],
    ) -> Result<Vec<RawShareRecord>, PortError> {
        let connector = &self.connector;
        connector
            .share_records(&self.key(), senders, &self.address)
            .await
    }

    async fn commit_result(&mut self, commitment: &Digest) -> Result<(), PortError> {
        let (connector, key) = (&self.connector, self.key());
        let done = connector
            .upload_result_commitment(&self.address, &key, commitment)
            .await;
        done.map(drop)
    }

    async fn reveal(
        &mut self,
        kind: ShareKind,
        shares: &[(Address, SecretBytes)],
    ) -> Result<(), PortError> {
        let (connector, key) = (&self.connector, self.key());
        let in_clear: Vec<(Address, String)> = shares
            .iter()
            .map(|(owner, share)| (owner.clone(), encode_hex(share.expose())))
            .collect();
        let done = connector
            .reveal_shares(&self.address, &key, kind, &in_clear)
            .await;
        done.map(drop)
    }

    async fn submit(&mut self, request: &SignedRequest) -> Result<(), PortError> {
        self.send(request).await
    }

    async fn notify(&mut self, request: &SignedRequest) -> Result<(), PortError> {
        self.send(request).await
    }

    /// It shows nobody who it is, and asks nobody.
    async fn acquaintances(&mut self, _: &[Address]) -> Result<Acquaintances, PortError> {
        Ok(Acquaintances::default())
    }

    async fn fetch_shares(&mut self, request: &SignedRequest) -> Result<ShareDelivery, PortError> {
        self.retry_transient(|| self.field.peers.fetch_shares(self.url(), request))
            .await
    }

    async fn confirmations(
        &mut self,
        request: &SignedRequest,
        _again: bool,
    ) -> Result<Vec<Confirmation>, PortError> {
        self.retry_transient(|| self.field.peers.confirmations(self.url(), request))
            .await
    }

    async fn upload(&mut self, request: &SignedRequest) -> Result<(), PortError> {
        self.retry_transient(|| self.result(request, self.upload.clone()))
            .await
    }

    async fn decline(&mut self, request: &SignedRequest) -> Result<(), PortError> {
        self.send(request).await
    }

    async fn ended(&mut self) -> Result<Option<RoundEnd>, PortError> {
        let round = RoundNumber(self.round);
        let peers = &self.field.peers;
        let view = peers.round_view(self.url(), &self.task, round).await?;
        Ok(view.ended)
    }

    async fn compute(
        &mut self,
        _variables: &[VariableRequest],
        masks: &[MaskStream],
        cohort: usize,
        _noise: Option<&NoiseGround>,
    ) -> Result<Computed, PortError> {
        let upload = self.contribution(masks, cohort);
        self.upload = upload.map_err(|e| {
            PortError::new(PortErrorKind::Internal, "attack.compute", e.to_string())
        })?;
        Ok(Computed {
            commitment: commit_upload(&self.upload),
            len: self.upload.len() as u64,
            point: None,
        })
    }

    async fn prove(
        &mut self,
        _variables: &[VariableRequest],
        _ground: &ProofGround,
    ) -> Result<Computed, PortError> {
        let text = "the hostile member takes part in no certified task";
        Err(PortError::new(
            PortErrorKind::Unsupported,
            "attack.prove",
            text,
        ))
    }
}
