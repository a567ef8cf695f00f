//! A member's proof.

use curve25519_dalek::scalar::Scalar;
use delta_domain::ids::Address;
use delta_ports::certifier::{Claim, Peer, Witness};
use zeroize::Zeroizing;

use crate::bits::{Bits, Heights};
use crate::circuit::Circuit;
use crate::commitment::{commit_blocks, compress};
use crate::committed::Committed;
use crate::encoding::{check_claim, claim_bytes};
use crate::error::ProofError;
use crate::field::{Interpolation, dot, equality, wide};
use crate::generators::{Cache, Generators};
use crate::hiding::Hiding;
use crate::layout::{Layout, MAX_MEMBERS};
use crate::masks::Masks;
use crate::message::{PeerEntry, part_bytes, scalar_bytes};
use crate::relation::functional;
use crate::sumcheck::SumCheck;
use crate::transcript::Transcript;
use crate::verify::verify;
use crate::witness::Rows;

/// A member's message. `entropy`: fresh from the system; what hides is drawn from it and from the secrets.
///
/// # Errors
/// When the witness does not fit the claim.
pub(crate) fn prove(
    cache: &Cache,
    claim: &Claim,
    witness: &Witness<'_>,
    entropy: &[u8; 64],
) -> Result<Vec<u8>, ProofError> {
    check_claim(claim)?;
    let owner = (&claim.task, witness.member);
    let committed = Committed::new(
        cache,
        &claim.schema,
        owner,
        witness.rows,
        witness.capacity,
        witness.salt,
    )?;
    let peers = in_order(witness.member, witness.peers)?;
    let Committed {
        layout,
        table,
        bits,
        key,
        blindings,
        points,
    } = committed;
    let rows = Rows::new(layout, table, bits, &claim.weights);
    let generators = cache.at_least(layout.generators());
    let bytes = claim_bytes(claim);
    let masks = Masks::new(
        &generators,
        &bytes,
        witness.member,
        &peers,
        layout.signals(),
    );
    let sums = rows.sums(&claim.weights);
    let sums: Zeroizing<Vec<Scalar>> = Zeroizing::new(sums.iter().map(|sum| wide(*sum)).collect());
    let prover = Prover {
        generators: &generators,
        claim,
        member: witness.member,
        rows: &rows,
        hiding: Hiding::new(entropy, &key, &masks.part(&bytes)),
    };
    let message = prover.run(&masks, &sums, &blindings, &points);
    // What does not hold must not leave: others would name this member.
    verify(cache, claim, &message)
        .map_err(|e| e.of("a bug of this program, or a fault of this machine"))?;
    Ok(message)
}

fn in_order<'a>(member: &Address, peers: &'a [Peer]) -> Result<Vec<&'a Peer>, ProofError> {
    let mut sorted: Vec<&Peer> = peers.iter().collect();
    sorted.sort_by(|a, b| a.address.cmp(&b.address));
    let twice = sorted
        .windows(2)
        .any(|two| two[0].address == two[1].address);
    if twice || sorted.iter().any(|peer| peer.address == *member) {
        return Err(ProofError::new(
            "a peer is there twice, or is the member itself",
        ));
    }
    if !(1..MAX_MEMBERS).contains(&sorted.len()) {
        let count = sorted.len();
        return Err(ProofError::new(format!(
            "{count} peers: sums are hidden by masks shared with 1 to {} others",
            MAX_MEMBERS - 1
        )));
    }
    Ok(sorted)
}

/// What is known before the first round.
pub(crate) struct Prover<'a> {
    pub(crate) generators: &'a Generators,
    pub(crate) claim: &'a Claim,
    pub(crate) member: &'a Address,
    pub(crate) rows: &'a Rows,
    pub(crate) hiding: Hiding,
}

/// One matrix, how its commitments are blinded, and what hides its opened rows.
struct Matrix<'a> {
    bits: &'a Bits,
    heights: Option<&'a Heights>,
    blindings: Zeroizing<Vec<Scalar>>,
    veil: Zeroizing<Vec<Scalar>>,
    veil_blinding: Scalar,
}

impl Matrix<'_> {
    fn columns(&self) -> usize {
        self.bits.columns() + usize::from(self.heights.is_some())
    }
}

impl<'a> Prover<'a> {
    /// `sums`: what is claimed of the rows, in the clear. `blindings`, `table_points`: of the commitments to the table.
    pub(crate) fn run(
        mut self,
        masks: &Masks,
        sums: &[Scalar],
        blindings: &[Scalar],
        table_points: &[u8],
    ) -> Vec<u8> {
        let layout = self.rows.layout;
        let claim = claim_bytes(self.claim);
        let masked = sums.iter().zip(masks.total.iter());
        let signals: Vec<Scalar> = masked.map(|(sum, mask)| sum + mask).collect();
        let entries: Vec<PeerEntry<'_>> = masks.entries().collect();
        let mut out = part_bytes(&layout, self.member, &entries, &signals, table_points);
        let mut transcript = Transcript::new("delta certificate proof 1");
        transcript.absorb("claim", &claim);
        transcript.absorb("part", &out);

        let (matrices, mut new_points) = self.matrices(blindings);
        let (pads, pad_blinding) = (self.hiding.scalars(layout.pads()), self.hiding.scalar());
        let (pads2, pad2_blinding) = (self.hiding.scalars(layout.pads()), self.hiding.scalar());
        let (mask2, mask2_blinding) = (self.hiding.scalars(layout.signals()), self.hiding.scalar());
        for (values, blinding) in [
            (&pads, &pad_blinding),
            (&pads2, &pad2_blinding),
            (&mask2, &mask2_blinding),
        ] {
            new_points.extend(
                self.generators
                    .commit(values, blinding)
                    .compress()
                    .to_bytes(),
            );
        }
        transcript.absorb("commitments", &new_points);
        out.extend(new_points);

        let tau: Vec<Scalar> = (0..layout.log_rows)
            .map(|_| transcript.challenge("tau"))
            .collect();
        let (gamma, lambda) = (
            transcript.challenge("gamma"),
            transcript.challenge("lambda"),
        );
        let circuit = Circuit::new(layout, &self.claim.weights, gamma, lambda);
        let (messages, challenges) = self.rounds(&circuit, &tau, &matrices, &pads, &mut transcript);
        out.extend(messages);

        let opening = Zeroizing::new(open(&layout, &matrices, &challenges));
        let opening = scalar_bytes(&opening);
        transcript.absorb("opening", &opening);
        out.extend(opening);
        let (of_pads, of_masks) = functional(&layout, &challenges, &circuit.lambdas);
        let product = (dot(&of_pads, &pads2) + dot(&of_masks, &mask2)).to_bytes();
        transcript.absorb("product", &product);
        out.extend(product);
        let e = transcript.challenge("e");
        let response = |first: &[Scalar], second: &[Scalar]| -> Vec<Scalar> {
            first.iter().zip(second).map(|(a, b)| a * e + b).collect()
        };
        for (first, second, blinding) in [
            (&pads, &pads2, pad_blinding * e + pad2_blinding),
            (&masks.total, &mask2, *masks.blinding * e + mask2_blinding),
        ] {
            out.extend(scalar_bytes(&response(first, second)));
            out.extend(blinding.to_bytes());
        }
        out
    }

    /// Both matrices, and the points that are new: to the second one, and to what hides opened rows of each.
    fn matrices(&mut self, blindings: &[Scalar]) -> (Vec<Matrix<'a>>, Vec<u8>) {
        let (layout, rows) = (self.rows.layout, self.rows);
        let mut points = Vec::new();
        let mut matrices = vec![Matrix {
            bits: &rows.data,
            heights: None,
            blindings: Zeroizing::new(blindings.to_vec()),
            veil: self
                .hiding
                .scalars(layout.data_columns() << layout.log_block),
            veil_blinding: self.hiding.scalar(),
        }];
        if let Some((bits, heights)) = &rows.aux {
            let blindings = self.hiding.scalars(layout.commitments());
            points = compress(&commit_blocks(
                self.generators,
                &layout,
                bits,
                Some(heights),
                &blindings,
            ));
            matrices.push(Matrix {
                bits,
                heights: Some(heights),
                blindings,
                veil: self
                    .hiding
                    .scalars(layout.aux_columns() << layout.log_block),
                veil_blinding: self.hiding.scalar(),
            });
        }
        for matrix in &matrices {
            points.extend(
                self.generators
                    .commit(&matrix.veil, &matrix.veil_blinding)
                    .compress()
                    .to_bytes(),
            );
        }
        (matrices, points)
    }

    fn rounds(
        &self,
        circuit: &Circuit<'_>,
        tau: &[Scalar],
        matrices: &[Matrix<'_>],
        pads: &[Scalar],
        transcript: &mut Transcript,
    ) -> (Vec<u8>, Vec<Scalar>) {
        let layout = self.rows.layout;
        let bits = matrices.iter().map(|matrix| matrix.bits).collect();
        let mut rows = SumCheck::new(circuit, self.rows.wires(circuit), equality(tau), bits);
        let (inner, last) = layout.degrees();
        let (inner, last) = (Interpolation::new(inner), Interpolation::new(last));
        let (mut messages, mut challenges, mut pads) = (Vec::new(), Vec::new(), pads);
        for round in 0..layout.log_rows {
            let is_last = round + 1 == layout.log_rows;
            let values = if is_last {
                last_values(circuit, &rows, matrices, &challenges, layout.degree(round))
            } else {
                rows.values(layout.degree(round))
            };
            let of = if is_last { &last } else { &inner };
            let coefficients = Zeroizing::new(of.coefficients(&values));
            let sent = std::iter::once(&coefficients[0]).chain(&coefficients[2..]);
            let (now, later) = pads.split_at(layout.degree(round));
            pads = later;
            let message: Vec<Scalar> = sent
                .zip(now)
                .map(|(coefficient, pad)| coefficient + pad)
                .collect();
            let message = scalar_bytes(&message);
            transcript.absorb("round", &message);
            messages.extend(message);
            let challenge = transcript.challenge("rho");
            challenges.push(challenge);
            if !is_last {
                rows.bind(&challenge);
            }
        }
        (messages, challenges)
    }
}

/// The last round's polynomial: on the way from one row to the other every column passes by its veil, so that what is opened in between is
/// as random as the veil.
fn last_values(
    circuit: &Circuit<'_>,
    rows: &SumCheck<'_>,
    matrices: &[Matrix<'_>],
    challenges: &[Scalar],
    degree: usize,
) -> Zeroizing<Vec<Scalar>> {
    let in_block = equality(&challenges[..circuit.layout.log_block]);
    let veil = |matrix: &Matrix<'_>| {
        let mut sums = vec![Scalar::ZERO; matrix.columns()];
        for (row, weight) in matrix.veil.chunks_exact(sums.len()).zip(&in_block) {
            sums.iter_mut()
                .zip(row)
                .for_each(|(sum, value)| *sum += weight * value);
        }
        sums
    };
    let veils: Zeroizing<Vec<Scalar>> = Zeroizing::new(matrices.iter().flat_map(veil).collect());
    let ([low, high], [equality_low, equality_high]) = rows.last_pair();
    let value = |x: u64| {
        let x = Scalar::from(x);
        let bump = x * (Scalar::ONE - x);
        let columns = low.iter().zip(high.iter()).zip(veils.iter());
        let columns: Zeroizing<Vec<Scalar>> = Zeroizing::new(
            columns
                .map(|((l, h), v)| l + x * (h - l) + bump * v)
                .collect(),
        );
        circuit.summand(&columns, equality_low + x * (equality_high - equality_low))
    };
    Zeroizing::new((0..=degree as u64).map(value).collect())
}

/// Rows of each matrix at the challenges, one for each place in a block, and their blinding.
fn open(layout: &Layout, matrices: &[Matrix<'_>], challenges: &[Scalar]) -> Vec<Scalar> {
    let of_blocks = equality(&challenges[layout.log_block..]);
    let last = challenges[layout.log_rows - 1];
    let bump = last * (Scalar::ONE - last);
    let mut out = Vec::new();
    for matrix in matrices {
        let columns = matrix.columns();
        for (l, veil) in matrix.veil.chunks_exact(columns).enumerate() {
            for (column, veil) in veil.iter().enumerate() {
                let mut sum = bump * veil;
                for (k, weight) in of_blocks.iter().enumerate() {
                    let row = k * layout.block() + l;
                    if column == matrix.bits.columns() {
                        let height = matrix.heights.map_or(0, |heights| heights.0[row]);
                        sum += weight * Scalar::from(height);
                    } else if matrix.bits.get(row, column) == 1 {
                        sum += weight;
                    }
                }
                out.push(sum);
            }
        }
        out.push(dot(&of_blocks, &matrix.blindings) + bump * matrix.veil_blinding);
    }
    out
}
