//! Whether a member's message is a proof of a claim.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{Identity as _, IsIdentity as _, VartimeMultiscalarMul as _};
use delta_ports::certifier::Claim;

use crate::circuit::Circuit;
use crate::encoding::{check_claim, claim_bytes};
use crate::error::ProofError;
use crate::field::{dot, equality, equality_at};
use crate::generators::Cache;
use crate::layout::Layout;
use crate::masks::adds;
use crate::message::{Message, points, scalars};
use crate::relation::{follow, functional};
use crate::transcript::Transcript;

/// # Errors
/// What is wrong with it.
pub(crate) fn verify<'a>(
    cache: &Cache,
    claim: &Claim,
    bytes: &'a [u8],
) -> Result<Message<'a>, ProofError> {
    check_claim(claim)?;
    let message = Message::read(&claim.schema, bytes)?;
    let layout = message.layout;
    let mut transcript = Transcript::new("delta certificate proof 1");
    transcript.absorb("claim", &claim_bytes(claim));
    transcript.absorb("part", message.part);
    transcript.absorb("commitments", message.commitments);
    let tau: Vec<Scalar> = (0..layout.log_rows)
        .map(|_| transcript.challenge("tau"))
        .collect();
    let (gamma, lambda) = (
        transcript.challenge("gamma"),
        transcript.challenge("lambda"),
    );
    let circuit = Circuit::new(layout, &claim.weights, gamma, lambda);

    let rounds = scalars(message.rounds)?;
    let mut left = (rounds.as_slice(), message.rounds);
    let mut challenges = Vec::with_capacity(layout.log_rows);
    let mut followed = dot(&circuit.lambdas, &message.signals);
    for round in 0..layout.log_rows {
        let degree = layout.degree(round);
        let (now, later) = left.0.split_at(degree);
        let (bytes, later_bytes) = left.1.split_at(32 * degree);
        left = (later, later_bytes);
        transcript.absorb("round", bytes);
        let challenge = transcript.challenge("rho");
        followed = follow(followed, now, &challenge);
        challenges.push(challenge);
    }

    let opening = Opening::new(&layout, scalars(message.opening)?, &challenges);
    let summand = circuit.summand(
        &opening.columns(&layout, &challenges),
        equality_at(&tau, &challenges),
    );
    transcript.absorb("opening", message.opening);
    transcript.absorb("product", message.product);
    let e = transcript.challenge("e");
    transcript.absorb("response", message.response);
    let beta = transcript.challenge("batch");

    let product = scalars(message.product)?;
    let response = Response::new(&layout, scalars(message.response)?);
    let (of_pads, of_masks) = functional(&layout, &challenges, &circuit.lambdas);
    let answered = dot(&of_pads, response.pads()) + dot(&of_masks, response.masks());
    if answered != (followed - summand) * e + product.iter().sum::<Scalar>() {
        return Err(ProofError::new(
            "the rounds do not lead from the sums to the rows",
        ));
    }
    let mut equation = Equation::new(
        cache
            .at_least(layout.generators())
            .points
            .len()
            .min(layout.generators()),
    );
    commitments(&message, &opening, &response, e, beta, &mut equation)?;
    equation.check(cache, &layout)?;
    Ok(message)
}

/// The opened rows: scalars of each matrix with its blinding behind them.
struct Opening {
    matrices: Vec<(Vec<Scalar>, Scalar)>,
    of_blocks: Vec<Scalar>,
    bump: Scalar,
}

impl Opening {
    fn new(layout: &Layout, all: Vec<Scalar>, challenges: &[Scalar]) -> Self {
        let mut rest = all.as_slice();
        let mut matrices = Vec::new();
        for columns in [layout.data_columns(), layout.aux_columns()] {
            let (values, behind) = rest.split_at(columns << layout.log_block);
            if let Some((blinding, behind)) = behind.split_first().filter(|_| columns > 0) {
                matrices.push((values.to_vec(), *blinding));
                rest = behind;
            }
        }
        let last = challenges[layout.log_rows - 1];
        let of_blocks = equality(&challenges[layout.log_block..]);
        Self {
            matrices,
            of_blocks,
            bump: last * (Scalar::ONE - last),
        }
    }

    /// Columns at the challenges, of both matrices.
    fn columns(&self, layout: &Layout, challenges: &[Scalar]) -> Vec<Scalar> {
        let in_block = equality(&challenges[..layout.log_block]);
        let column = |values: &[Scalar]| {
            let mut sums = vec![Scalar::ZERO; values.len() >> layout.log_block];
            for (row, weight) in values.chunks_exact(sums.len()).zip(&in_block) {
                sums.iter_mut()
                    .zip(row)
                    .for_each(|(sum, value)| *sum += weight * value);
            }
            sums
        };
        self.matrices
            .iter()
            .flat_map(|(values, _)| column(values))
            .collect()
    }
}

/// The answer to the last challenge: combinations of pads and of masks with their blindings.
struct Response {
    pads: usize,
    all: Vec<Scalar>,
}

impl Response {
    fn new(layout: &Layout, all: Vec<Scalar>) -> Self {
        Self {
            pads: layout.pads(),
            all,
        }
    }

    fn pads(&self) -> &[Scalar] {
        &self.all[..self.pads]
    }

    fn pads_blinding(&self) -> Scalar {
        self.all[self.pads]
    }

    fn masks(&self) -> &[Scalar] {
        &self.all[self.pads + 1..self.all.len() - 1]
    }

    fn masks_blinding(&self) -> Scalar {
        self.all[self.all.len() - 1]
    }
}

/// Four equations between commitments, added up with powers of a challenge: each says that some commitments together are one to these
/// values. They stay apart, for what one may hold another must not.
fn commitments(
    message: &Message<'_>,
    opening: &Opening,
    response: &Response,
    e: Scalar,
    beta: Scalar,
    equation: &mut Equation,
) -> Result<(), ProofError> {
    let table = points(message.table_points)?;
    let new = points(message.commitments)?;
    // Of the second matrix first, then one veil a matrix, then pads, their second, and the masks' second.
    let (aux, tail) = new.split_at(if message.layout.has_aux() {
        table.len()
    } else {
        0
    });
    let (veils, tail) = tail.split_at(opening.matrices.len());
    let mut factor = Scalar::ONE;
    let matrices = opening
        .matrices
        .iter()
        .zip([table.as_slice(), aux])
        .zip(veils);
    for (((values, blinding), blocks), veil) in matrices {
        equation.terms(
            opening.of_blocks.iter().map(|weight| factor * weight),
            blocks,
        );
        equation.terms([factor * opening.bump], std::slice::from_ref(veil));
        equation.values(-factor, values, blinding);
        factor *= beta;
    }
    let peers = message
        .peers
        .iter()
        .map(|peer| peer.commitment.as_slice())
        .collect::<Vec<_>>()
        .concat();
    let signs = message
        .peers
        .iter()
        .map(|peer| adds(message.member.as_str(), peer.address));
    let masks =
        points(&peers)?
            .iter()
            .zip(signs)
            .fold(RistrettoPoint::identity(), |sum, (point, adds)| {
                if adds { sum + point } else { sum - point }
            });
    equation.terms([factor * e, factor], &tail[..2]);
    equation.values(-factor, response.pads(), &response.pads_blinding());
    factor *= beta;
    equation.terms([factor * e, factor], &[masks, tail[2]]);
    equation.values(-factor, response.masks(), &response.masks_blinding());
    Ok(())
}

/// A sum of multiples of points that must be zero.
struct Equation {
    generators: Vec<Scalar>,
    blinding: Scalar,
    scalars: Vec<Scalar>,
    points: Vec<RistrettoPoint>,
}

impl Equation {
    fn new(generators: usize) -> Self {
        Self {
            generators: vec![Scalar::ZERO; generators],
            blinding: Scalar::ZERO,
            scalars: Vec::new(),
            points: Vec::new(),
        }
    }

    fn terms(&mut self, scalars: impl IntoIterator<Item = Scalar>, points: &[RistrettoPoint]) {
        self.scalars.extend(scalars);
        self.points.extend(points);
    }

    fn values(&mut self, factor: Scalar, values: &[Scalar], blinding: &Scalar) {
        for (sum, value) in self.generators.iter_mut().zip(values) {
            *sum += factor * value;
        }
        self.blinding += factor * blinding;
    }

    fn check(mut self, cache: &Cache, layout: &Layout) -> Result<(), ProofError> {
        let generators = cache.at_least(layout.generators());
        self.points
            .extend(&generators.points[..self.generators.len()]);
        self.points.push(generators.blinding);
        self.scalars.append(&mut self.generators);
        self.scalars.push(self.blinding);
        if RistrettoPoint::vartime_multiscalar_mul(&self.scalars, &self.points).is_identity() {
            Ok(())
        } else {
            Err(ProofError::new(
                "what is opened is not what was committed to",
            ))
        }
    }
}
