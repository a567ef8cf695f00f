//! What a member's round asks the world to do.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::ids::{Address, Digest, Name};
use crate::round::message::SignedRequest;
use crate::round::record::RawPublicKeys;
use crate::secagg::mask::Sign;
use crate::secret::{Secret, SecretBytes};

/// One pseudorandom stream of a mask.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MaskStream {
    /// Seed of the stream.
    pub seed: Secret<32>,
    /// Whether it is added or taken away.
    pub sign: Sign,
}

/// Its seed wipes itself.
impl zeroize::ZeroizeOnDrop for MaskStream {}

impl MaskStream {
    /// The self mask: always added.
    #[must_use]
    pub fn own(seed: Secret<32>) -> Self {
        Self {
            seed,
            sign: Sign::Plus,
        }
    }
}

/// A server variable to download.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VariableRequest {
    /// Its name in the manifest.
    pub name: Name,
    /// SHA-256 that its `.npy` form must have.
    pub digest: Digest,
    /// The signed request.
    pub request: SignedRequest,
}

/// What a member's noise is drawn from and sized by, where its task asks for noise.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NoiseGround {
    /// Of this node's own entropy and of this round alone. Persisted with the effect: a vector that is made again has the same noise.
    pub seed: Secret<32>,
    /// Equal shares that the noise of the round is made of, as all its members say.
    pub shares: usize,
    /// Members of the smallest sum that enough holders of this one's shares may reveal them for.
    pub smallest_sum: usize,
    /// Of those, members that may take their noise away: as many as the owner assumes, and all strangers.
    pub colluders: usize,
}

impl NoiseGround {
    /// What noise in graphs (dropout and the like) is drawn from: SHA-256 over a label and the seed.
    #[must_use]
    pub fn graph_seed(&self) -> Secret<32> {
        self.derived(b"delta graph noise 1")
    }

    /// What numbers that are contributed are rounded by, where the task asks for chance.
    #[must_use]
    pub fn rounding_seed(&self) -> Secret<32> {
        self.derived(b"delta rounding 1")
    }

    fn derived(&self, label: &[u8]) -> Secret<32> {
        let hash = Sha256::new().chain_update(label);
        Secret::new(hash.chain_update(self.seed.expose()).finalize().into())
    }
}

/// Another member of a proof, and what only the two know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PairKey {
    /// Its address.
    pub peer: Address,
    /// Of this round alone: of both members' `pk2`.
    pub key: Secret<32>,
}

/// What a proof is made under.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProofGround {
    /// All other members of the round, in address order.
    pub peers: Vec<PairKey>,
    /// Of this node's own entropy and of this round alone. Persisted with the effect: a proof that is made again is the same.
    pub seed: Secret<32>,
}

/// A release that only one cohort gets ([`same_cohort`](crate::records::same_cohort)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// What is released: [`release_point`](crate::records::release_point).
    pub point: Digest,
    /// To whom: [`cohort_digest`](crate::records::cohort_digest) of u3.
    pub cohort: Digest,
}

/// What a member's round asks the world to do. Each is safe to repeat after a crash, given a look at the record first.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunnerEffect {
    /// Join on the connector, then tell the coordinator. No input follows.
    Join {
        /// Both public keys.
        keys: RawPublicKeys,
        /// The signed notice for the coordinator.
        notify: SignedRequest,
    },
    /// Read these members' keys → `PublicKeys`.
    ReadKeys {
        /// u1; the keys come in this order.
        members: Vec<Address>,
    },
    /// Put the share commitments on record → `CommitmentsPublished`.
    PublishCommitments {
        /// For the self-mask seed, one a receiver.
        seed: Vec<(Address, Digest)>,
        /// For the mask key, one a receiver.
        key: Vec<(Address, Digest)>,
    },
    /// Send the sealed shares to the coordinator. No input follows.
    PostShares {
        /// The signed shares.
        request: SignedRequest,
    },
    /// Fetch the shares sealed for this node and read the records of `senders` → `SharesCollected`.
    CollectShares {
        /// The signed request.
        request: SignedRequest,
        /// Senders whose records to read, in this order.
        senders: Vec<Address>,
    },
    /// Download the variables, run the map, quantise, mask, write the upload to disk → `Masked`.
    Compute {
        /// Server variables to download.
        variables: Vec<VariableRequest>,
        /// Every stream of this member's mask.
        masks: Vec<MaskStream>,
        /// How many members may be summed: the bound of each number follows from it.
        cohort: usize,
        /// For tasks under noise. `None` in an effect of an earlier release.
        #[serde(default)]
        noise: Option<NoiseGround>,
    },
    /// Download the answer, prove what it leaves open on this member's rows, write the proof to disk → `Masked`.
    Prove {
        /// Server variables to download.
        variables: Vec<VariableRequest>,
        /// What the proof is made under.
        ground: ProofGround,
    },
    /// Put the commitment of the upload on record, then upload it. No input follows.
    Upload {
        /// Its commitment ([`commit_upload`](crate::secagg::commit_upload)).
        commitment: Digest,
        /// Its length in bytes.
        len: u64,
        /// The signed request.
        request: SignedRequest,
    },
    /// Tell the coordinator which u3 this node was shown, and fetch what its neighbours signed → `Confirmed`.
    Confirm {
        /// The signed statement.
        request: SignedRequest,
        /// The signed request for the others'.
        fetch: SignedRequest,
        /// What the sum is of, if it must not be of other members later.
        #[serde(default)]
        release: Option<Release>,
    },
    /// Reveal shares on the connector, then tell the coordinator → `Revealed`.
    Reveal {
        /// Seed shares, for u3.
        seeds: Vec<(Address, SecretBytes)>,
        /// Key shares, for u2 minus u3.
        keys: Vec<(Address, SecretBytes)>,
        /// As it was confirmed; to be on disk before anything is revealed.
        #[serde(default)]
        release: Option<Release>,
        /// The signed notice for the coordinator.
        notify: SignedRequest,
    },
    /// Tell the coordinator not to wait for this node. No input follows; a lost notice costs the coordinator its deadline, no more.
    Decline {
        /// The signed notice.
        request: SignedRequest,
    },
}

impl RunnerEffect {
    /// Stable name: log field, metric label.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Join { .. } => "join",
            Self::ReadKeys { .. } => "read_keys",
            Self::PublishCommitments { .. } => "publish_commitments",
            Self::PostShares { .. } => "post_shares",
            Self::CollectShares { .. } => "collect_shares",
            Self::Compute { .. } => "compute",
            Self::Prove { .. } => "prove",
            Self::Upload { .. } => "upload",
            Self::Confirm { .. } => "confirm",
            Self::Reveal { .. } => "reveal",
            Self::Decline { .. } => "decline",
        }
    }
}
