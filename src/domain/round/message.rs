//! What members and the coordinator of a round say to each other directly, and how it is signed.
//!
//! A request is signed under the sender's `pk1` of the round, over a canonical encoding of who asks what, in which task and round,
//! and which members and keys the sender believes in (docs/protocol/http.md, Signed requests). The encoding belongs to no transport.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DeclineCode, FailureCode};
use crate::ids::{Address, Digest, Name, RoundNumber, TaskId};
use crate::task::TaskKind;

/// What a round computes: the same for all members, or they notice (docs/protocol/secagg.md, Transcript).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Announcement {
    /// The task on the record.
    pub task: TaskId,
    /// The round on the connector.
    pub round: RoundNumber,
    /// The step of the task that this round attempts, from 0.
    pub step: u32,
    /// SHA-256 of the `.npy` form of every server variable that the map reads.
    pub variables: BTreeMap<Name, Digest>,
}

impl Announcement {
    /// Digest of the canonical encoding, with the SHA-256 of the task's bundle as whoever encodes it knows that: the coordinator from the
    /// bundle, a member from the task's record. It is not announced, so that nobody can be told another.
    #[must_use]
    pub fn digest(&self, bundle: &Digest) -> Digest {
        let mut e = Encoder::new("delta announcement 2");
        e.text(self.task.as_str());
        e.number(u64::from(self.round.0));
        e.number(u64::from(self.step));
        e.bytes(&bundle.0);
        e.number(self.variables.len() as u64);
        for (name, digest) in &self.variables {
            e.text(name.as_str());
            e.bytes(&digest.0);
        }
        e.digest()
    }
}

/// Where a round stands at its coordinator. Lets a member catch up on events that it missed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundView {
    /// What the round computes.
    pub announcement: Announcement,
    /// Which of the connector's services keeps the task.
    pub kind: TaskKind,
    /// u1, once published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub u1: Option<Vec<Address>>,
    /// u2, once published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub u2: Option<Vec<Address>>,
    /// u3, once published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub u3: Option<Vec<Address>>,
    /// Whether the round is over, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<RoundEnd>,
}

/// How a round ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RoundEnd {
    /// The sum is there.
    Finished,
    /// There is none, for a reason of this class: no text leaves the coordinator.
    Failed(FailureCode),
}

/// Both shares that one member gave another, sealed; hex on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedShares {
    /// Who made them.
    pub sender: Address,
    /// Who can open them.
    pub receiver: Address,
    /// The share of the sender's self-mask seed and the one of its mask key, sealed as one
    /// ([`SealKey`](crate::secagg::SealKey)).
    #[serde(with = "hex_bytes")]
    pub sealed: Vec<u8>,
}

/// A member's word about u3 for one other, which that one alone can check; relayed before shares are revealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// Whose word it is.
    pub member: Address,
    /// [`SealKey::tag`](crate::secagg::SealKey::tag) of the [statement](super::transcript::confirmation_digest).
    #[serde(with = "hex_bytes")]
    pub tag: Vec<u8>,
}

/// Everything that the coordinator relays to one receiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareDelivery {
    /// The shares sealed for the receiver, one entry a sender in u2.
    pub shares: Vec<SealedShares>,
}

/// What a member asks or tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RequestBody {
    /// "I have joined; read the connector."
    Joined,
    /// "I am here": answered after a while, and asked again as long as it is so (docs/protocol/http.md, Presence).
    Attend,
    /// "Do not expect me to say so any more": the sender has no round now, and comes back with another key.
    Depart,
    /// "Do not wait for me", and why: a word of a closed list.
    Decline {
        /// Why.
        reason: DeclineCode,
    },
    /// A server variable, please.
    Variable {
        /// The variable's name in the manifest.
        name: Name,
    },
    /// My shares for everybody, sealed; their commitments are on the connector.
    Shares {
        /// One entry a receiver.
        shares: Vec<SealedShares>,
    },
    /// The shares sealed for me, please.
    FetchShares,
    /// My masked result follows as a stream.
    Result {
        /// Commitment to the whole upload, the same as on the connector.
        digest: Digest,
        /// Its length in bytes.
        len: u64,
    },
    /// "This is the u3 that I was shown."
    Confirm {
        /// What I say of it to each ([`confirmation_digest`](super::transcript::confirmation_digest)).
        statement: Digest,
        /// My tags of it, [`TAG_BYTES`](crate::secagg::seal::TAG_BYTES) for each holder of my shares, in address order.
        #[serde(with = "hex_bytes")]
        tags: Vec<u8>,
    },
    /// What my neighbours say of it to me, please.
    FetchConfirmations,
    /// "I have revealed my shares; read the connector."
    Revealed,
}

impl RequestBody {
    /// Stable name: part of what is signed, log field, metric label.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::Attend => "attend",
            Self::Depart => "depart",
            Self::Decline { .. } => "decline",
            Self::Variable { .. } => "variable",
            Self::Shares { .. } => "shares",
            Self::FetchShares => "fetch_shares",
            Self::Result { .. } => "result",
            Self::Confirm { .. } => "confirm",
            Self::FetchConfirmations => "fetch_confirmations",
            Self::Revealed => "revealed",
        }
    }

    fn encode(&self, e: &mut Encoder) {
        e.text(self.name());
        match self {
            Self::Joined
            | Self::Attend
            | Self::Depart
            | Self::FetchShares
            | Self::FetchConfirmations
            | Self::Revealed => {}
            Self::Confirm { statement, tags } => {
                e.bytes(&statement.0);
                e.bytes(tags);
            }
            Self::Decline { reason } => e.text(reason.name()),
            Self::Variable { name } => e.text(name.as_str()),
            Self::Shares { shares } => {
                e.number(shares.len() as u64);
                for s in shares {
                    e.text(s.sender.as_str());
                    e.text(s.receiver.as_str());
                    e.bytes(&s.sealed);
                }
            }
            Self::Result { digest, len } => {
                e.bytes(&digest.0);
                e.number(*len);
            }
        }
    }
}

/// A request and its sender's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedRequest {
    /// The task that it is for.
    pub task: TaskId,
    /// The round that it is for: a request fits no other.
    pub round: RoundNumber,
    /// The member that asks or tells.
    pub sender: Address,
    /// Digest of the members and keys that the sender believes in; all zeros before u1 is known.
    pub view: Digest,
    /// What is asked or told.
    pub body: RequestBody,
    /// Signature under the sender's `pk1`; empty when the sender has no keys in the round (a decline before joining).
    #[serde(with = "hex_bytes")]
    pub signature: Vec<u8>,
}

impl SignedRequest {
    /// The bytes that are signed: an unambiguous encoding of everything but the signature.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut e = Encoder::new("delta request 1");
        e.text(self.task.as_str());
        e.number(u64::from(self.round.0));
        e.text(self.sender.as_str());
        e.bytes(&self.view.0);
        self.body.encode(&mut e);
        e.finish()
    }
}

/// Length-prefixed concatenation under a label: two different values never encode alike.
pub(crate) struct Encoder(Vec<u8>);

impl Encoder {
    pub(crate) fn new(label: &str) -> Self {
        let mut e = Self(Vec::with_capacity(256));
        e.text(label);
        e
    }

    pub(crate) fn number(&mut self, n: u64) {
        self.0.extend_from_slice(&n.to_be_bytes());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(crate) fn digest(self) -> Digest {
        Digest::of(&self.0)
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// `0x` and lower-case hex for byte strings in messages.
pub(crate) mod hex_bytes {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::ids::{decode_hex, encode_hex};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encode_hex(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        decode_hex(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: RequestBody) -> SignedRequest {
        SignedRequest {
            task: format!("0x{}", "ab".repeat(32)).parse().unwrap(),
            round: RoundNumber(1),
            sender: format!("0x{}", "cd".repeat(20)).parse().unwrap(),
            view: Digest([0; 32]),
            body,
            signature: vec![],
        }
    }

    #[test]
    fn different_requests_sign_different_bytes() {
        let a = request(RequestBody::Joined);
        let b = request(RequestBody::Revealed);
        assert_ne!(a.signed_bytes(), b.signed_bytes());
        assert_ne!(
            a.signed_bytes(),
            SignedRequest {
                round: RoundNumber(2),
                ..a.clone()
            }
            .signed_bytes()
        );
        assert_ne!(
            a.signed_bytes(),
            SignedRequest {
                view: Digest([1; 32]),
                ..a.clone()
            }
            .signed_bytes()
        );
    }

    #[test]
    fn requests_survive_json() {
        let r = request(RequestBody::Result {
            digest: Digest([7; 32]),
            len: 12,
        });
        let text = serde_json::to_string(&r).unwrap();
        assert_eq!(serde_json::from_str::<SignedRequest>(&text).unwrap(), r);
    }
}
