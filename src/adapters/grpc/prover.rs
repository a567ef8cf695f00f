//! The prover's client (delta-zk). Answers are bounded; a proof of a large block may take minutes, so the deadline is generous.

use std::time::Duration;

use async_trait::async_trait;
use tonic::transport::Channel;

use super::GrpcOptions;
use super::client::endpoint;
use super::error::port_error;
use super::pb::delta::zkp_client::ZkpClient;
use super::pb::delta::{Input, Sample};
use delta_ports::prover::{BlockProof, Prover};
use delta_ports::{PortError, PortErrorKind};

const OP: &str = "prover.prove";

/// More blocks than this in one answer are nonsense.
const MAX_PROOFS: usize = 4096;

/// A prover in another process.
#[derive(Debug, Clone)]
pub struct GrpcProver {
    client: ZkpClient<Channel>,
    timeout: Duration,
}

impl GrpcProver {
    /// A client of the prover at `host:port`; `timeout` is for one whole call.
    ///
    /// # Errors
    /// `Internal` when host and port make no address.
    pub fn new(host: &str, port: u16, timeout: Duration) -> Result<Self, PortError> {
        let options = GrpcOptions::default();
        let channel = endpoint("prover.new", host, port, &options)?.connect_lazy();
        Ok(Self {
            client: ZkpClient::new(channel).max_decoding_message_size(options.max_answer),
            timeout,
        })
    }

    async fn collect(&self, input: Input) -> Result<Vec<BlockProof>, PortError> {
        let fail = |status| port_error(OP, status);
        let mut stream = self
            .client
            .clone()
            .prove(input)
            .await
            .map_err(fail)?
            .into_inner();
        let mut proofs = Vec::new();
        while let Some(proof) = stream.message().await.map_err(fail)? {
            if !proof.error.is_empty() {
                return Err(PortError::new(PortErrorKind::Rejected, OP, proof.error));
            }
            let index = u32::try_from(proof.index).map_err(|e| {
                PortError::new(PortErrorKind::Corrupt, OP, "a proof has a negative index")
                    .with_source(e)
            })?;
            if proofs.len() >= MAX_PROOFS {
                return Err(PortError::new(
                    PortErrorKind::Corrupt,
                    OP,
                    "the prover answers without end",
                ));
            }
            proofs.push(BlockProof {
                index,
                proof: proof.proof,
                pub_signals: proof.public_signals,
            });
        }
        proofs.sort_by_key(|p| p.index);
        Ok(proofs)
    }
}

#[async_trait]
impl Prover for GrpcProver {
    async fn prove(
        &self,
        weights: &[f64],
        samples: &[Vec<f64>],
    ) -> Result<Vec<BlockProof>, PortError> {
        let input = Input {
            weights: weights.to_vec(),
            xy: samples
                .iter()
                .map(|row| Sample { d: row.clone() })
                .collect(),
        };
        match tokio::time::timeout(self.timeout, self.collect(input)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(PortError::new(
                PortErrorKind::Timeout,
                OP,
                "the prover did not finish in time",
            )),
        }
    }
}
