//! A member's message in bytes: who it is, masked sums, commitments, the proof. Every length follows from the first 55 bytes and the claim.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use delta_domain::ids::Address;
use delta_ports::certifier::Schema;

use crate::commitment::decompress;
use crate::encoding::{Reader, VERSION};
use crate::error::ProofError;
use crate::layout::{Layout, MAX_MEMBERS};

const MAGIC: &[u8; 8] = b"DELTAPRF";

/// The largest message of any claim, for who reserves room: 64 features, 131,072 rows, 999 peers.
pub(crate) const MAX_BYTES: usize = 4 << 20;

/// A peer as a message names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PeerEntry<'a> {
    pub(crate) address: &'a str,
    pub(crate) commitment: &'a [u8; 32],
}

/// What comes before everything that is computed from it.
pub(crate) fn part_bytes(
    layout: &Layout,
    member: &Address,
    peers: &[PeerEntry<'_>],
    signals: &[Scalar],
    points: &[u8],
) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend(VERSION.to_be_bytes());
    out.extend(u8::try_from(layout.log_rows));
    out.extend(member.as_str().as_bytes());
    out.extend(u16::try_from(peers.len()).unwrap_or(u16::MAX).to_be_bytes());
    for peer in peers {
        out.extend(peer.address.as_bytes());
        out.extend(peer.commitment);
    }
    out.extend(scalar_bytes(signals));
    out.extend(points);
    out
}

/// Scalars one after the other, 32 bytes each, little-endian.
pub(crate) fn scalar_bytes(scalars: &[Scalar]) -> Vec<u8> {
    scalars.iter().flat_map(Scalar::to_bytes).collect()
}

/// A message cut into its parts. Bytes are what the transcript takes in; points and scalars are canonical.
pub(crate) struct Message<'a> {
    pub(crate) layout: Layout,
    pub(crate) member: Address,
    pub(crate) peers: Vec<PeerEntry<'a>>,
    pub(crate) signals: Vec<Scalar>,
    /// From the first byte to the commitments to the table.
    pub(crate) part: &'a [u8],
    pub(crate) table_points: &'a [u8],
    /// Commitments of this proof.
    pub(crate) commitments: &'a [u8],
    pub(crate) rounds: &'a [u8],
    pub(crate) opening: &'a [u8],
    pub(crate) product: &'a [u8],
    pub(crate) response: &'a [u8],
}

impl<'a> Message<'a> {
    /// # Errors
    /// When the bytes are not exactly a message of a member of this schema.
    pub(crate) fn read(schema: &Schema, bytes: &'a [u8]) -> Result<Self, ProofError> {
        let mut reader = Reader(bytes);
        if reader.array()? != *MAGIC {
            return Err(ProofError::new("it does not begin as a proof does"));
        }
        let version = u16::from_be_bytes(reader.array()?);
        if version != VERSION {
            return Err(ProofError::new(format!(
                "version {version}, where this program reads {VERSION}: use another release"
            )));
        }
        let [log_rows] = reader.array()?;
        let layout = Layout::new(schema, usize::from(log_rows))?;
        let member: Address = reader
            .text(42)?
            .parse()
            .map_err(|_| ProofError::new("the member's address is none"))?;
        let count = usize::from(u16::from_be_bytes(reader.array()?));
        if !(1..MAX_MEMBERS).contains(&count) {
            return Err(ProofError::new(format!(
                "{count} peers, where 1 to {} can be",
                MAX_MEMBERS - 1
            )));
        }
        let want = 55 + count * (42 + 32) + 32 * layout.words();
        if bytes.len() != want {
            let got = bytes.len();
            return Err(ProofError::new(format!(
                "{got} bytes, where this claim takes {want}"
            )));
        }
        let peers = read_peers(&mut reader, &member, count)?;
        let signals = scalars(reader.take(32 * layout.signals())?)?;
        let table_points = reader.take(32 * layout.commitments())?;
        let part = &bytes[..bytes.len() - reader.0.len()];
        let commitments = reader.take(32 * layout.proof_points())?;
        let rounds = reader.take(32 * layout.pads())?;
        let opening = reader.take(32 * layout.opened())?;
        let product = reader.take(32)?;
        let response = reader.0;
        Ok(Self {
            layout,
            member,
            peers,
            signals,
            part,
            table_points,
            commitments,
            rounds,
            opening,
            product,
            response,
        })
    }
}

fn read_peers<'a>(
    reader: &mut Reader<'a>,
    member: &Address,
    count: usize,
) -> Result<Vec<PeerEntry<'a>>, ProofError> {
    let mut peers: Vec<PeerEntry<'a>> = Vec::with_capacity(count);
    for _ in 0..count {
        let address = reader.text(42)?;
        if address.parse::<Address>().is_err() || address == member.as_str() {
            return Err(ProofError::new(
                "a peer's address is none, or the member's own",
            ));
        }
        if peers.last().is_some_and(|last| last.address >= address) {
            return Err(ProofError::new(
                "peers are not in ascending order, each once",
            ));
        }
        let commitment = reader
            .take(32)?
            .try_into()
            .map_err(|_| ProofError::new("it ends early"))?;
        peers.push(PeerEntry {
            address,
            commitment,
        });
    }
    Ok(peers)
}

/// Scalars from bytes, each below the group's order.
///
/// # Errors
/// When one is not.
pub(crate) fn scalars(bytes: &[u8]) -> Result<Vec<Scalar>, ProofError> {
    let (words, _) = bytes.as_chunks::<32>();
    let scalar = |word: &[u8; 32]| Option::<Scalar>::from(Scalar::from_canonical_bytes(*word));
    let all: Option<Vec<Scalar>> = words.iter().map(scalar).collect();
    all.ok_or_else(|| ProofError::new("a scalar is not below the group's order"))
}

/// Points from bytes.
///
/// # Errors
/// When one is no point of ristretto255, or written in another way than the one.
pub(crate) fn points(bytes: &[u8]) -> Result<Vec<RistrettoPoint>, ProofError> {
    decompress(bytes).ok_or_else(|| ProofError::new("a commitment is no point of ristretto255"))
}

impl Layout {
    /// Points that are new in a proof: to the second matrix, to what hides rows of each, to pads, and two of the product's.
    pub(crate) fn proof_points(&self) -> usize {
        if self.has_aux() {
            self.commitments() + 5
        } else {
            4
        }
    }

    /// Scalars of opened rows with their blindings.
    pub(crate) fn opened(&self) -> usize {
        let aux = if self.has_aux() {
            (self.aux_columns() << self.log_block) + 1
        } else {
            0
        };
        (self.data_columns() << self.log_block) + 1 + aux
    }

    /// Points and scalars of a message, 32 bytes each.
    fn words(&self) -> usize {
        let response = self.pads() + 1 + self.signals() + 1;
        self.signals()
            + self.commitments()
            + self.proof_points()
            + self.pads()
            + self.opened()
            + 1
            + response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use delta_ports::certifier::{Bounds, Model};

    #[test]
    fn no_message_is_larger_than_is_said() {
        for features in [1, 10, 64] {
            for model in [Model::Logistic, Model::Linear, Model::Mean] {
                let bounds = Bounds {
                    low: 0.0,
                    high: 1.0,
                };
                let label = (model == Model::Linear).then_some(bounds);
                let schema = Schema {
                    model,
                    features: vec![bounds; features],
                    label,
                };
                let bytes =
                    |log_rows| 55 + 999 * 74 + 32 * Layout::new(&schema, log_rows).unwrap().words();
                assert!((4..=17).map(bytes).max().unwrap() <= MAX_BYTES);
            }
        }
    }
}
