//! Pedersen commitments to blocks of rows, and the digest of a table's that is registered before training.

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity as _;
use delta_domain::ids::{Address, Digest, TaskId};
use delta_domain::secret::Secret;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::bits::{Bits, Heights};
use crate::encoding::schema_bytes;
use crate::generators::Generators;
use crate::layout::Layout;
use crate::transcript::{hash, hash_scalar};
use delta_ports::certifier::Schema;

/// Four bits, or a hexadecimal digit, a step.
const DIGIT: usize = 4;
/// Digits of a number below 2^56.
const HEIGHT_DIGITS: usize = 14;

/// Commitments to all blocks of a matrix: to its bits and, where there are some, to the numbers in the column behind them.
///
/// One addition for every four bits, whatever they are: time does not depend on the table, but which point is read does.
pub(crate) fn commit_blocks(
    generators: &Generators,
    layout: &Layout,
    bits: &Bits,
    heights: Option<&Heights>,
    blindings: &[Scalar],
) -> Vec<RistrettoPoint> {
    let columns = bits.columns() + usize::from(heights.is_some());
    let groups = bits.columns().div_ceil(DIGIT);
    let block = layout.block();
    let place = |l: usize| &generators.points[l * columns..][..columns];
    let sums: Vec<_> = (0..block)
        .map(|l| {
            (0..groups)
                .map(|g| subset_sums(place(l), g * DIGIT, bits.columns()))
                .collect::<Vec<_>>()
        })
        .collect();
    let multiples: Vec<_> = (0..block)
        .map(|l| heights.map(|_| digit_multiples(place(l)[columns - 1])))
        .collect();
    let commit = |(k, blinding): (usize, &Scalar)| {
        let mut point = generators.blind(blinding);
        for l in 0..block {
            let row = k * block + l;
            for (g, sums) in sums[l].iter().enumerate() {
                let digit = (0..DIGIT)
                    .map(|i| bits.get(row, g * DIGIT + i) << i)
                    .sum::<u8>();
                point += sums[usize::from(digit)];
            }
            if let (Some(multiples), Some(heights)) = (&multiples[l], heights) {
                for (d, multiples) in multiples.iter().enumerate() {
                    let digit = (heights.0[row] >> (DIGIT * d)).to_le_bytes()[0] & 0xf;
                    point += multiples[usize::from(digit)];
                }
            }
        }
        point
    };
    blindings.iter().enumerate().map(commit).collect()
}

/// Sums of every subset of four points; fewer at the end of a row.
fn subset_sums(points: &[RistrettoPoint], from: usize, end: usize) -> [RistrettoPoint; 1 << DIGIT] {
    let mut sums = [RistrettoPoint::identity(); 1 << DIGIT];
    for (i, point) in points[from..end.min(from + DIGIT)].iter().enumerate() {
        for low in 0..1 << i {
            sums[low + (1 << i)] = sums[low] + point;
        }
    }
    sums
}

/// For every digit of a number, what each of its values is worth.
fn digit_multiples(point: RistrettoPoint) -> Vec<[RistrettoPoint; 1 << DIGIT]> {
    let mut unit = point;
    let digit = |_| {
        let mut multiples = [RistrettoPoint::identity(); 1 << DIGIT];
        for value in 1..multiples.len() {
            multiples[value] = multiples[value - 1] + unit;
        }
        unit += multiples[(1 << DIGIT) - 1];
        multiples
    };
    (0..HEIGHT_DIGITS).map(digit).collect()
}

/// The key that blinds the commitments to a table: of its salt, its place and its content, so that the same salt never blinds two tables
/// alike.
pub(crate) fn table_key(
    salt: &Secret<32>,
    schema: &Schema,
    task: &TaskId,
    member: &Address,
    bits: &Bits,
) -> Zeroizing<[u8; 64]> {
    let parts: [&[u8]; 5] = [
        salt.expose(),
        task.as_str().as_bytes(),
        member.as_str().as_bytes(),
        &schema_bytes(schema),
        bits.bytes(),
    ];
    Zeroizing::new(hash("delta certificate table key 1", &parts))
}

/// One blinding a commitment.
pub(crate) fn table_blindings(key: &[u8; 64], count: usize) -> Zeroizing<Vec<Scalar>> {
    let blinding = |k: u64| {
        hash_scalar(
            "delta certificate table blinding 1",
            &[key, &k.to_be_bytes()],
        )
    };
    Zeroizing::new((0..count as u64).map(blinding).collect())
}

/// What is registered: of whose table it is, what its rows are, and the commitments.
pub(crate) fn table_digest(
    schema: &Schema,
    task: &TaskId,
    member: &Address,
    log_rows: usize,
    points: &[u8],
) -> Digest {
    let log_rows = u8::try_from(log_rows).unwrap_or(u8::MAX);
    let parts: [&[u8]; 6] = [
        b"delta certificate table 1",
        task.as_str().as_bytes(),
        member.as_str().as_bytes(),
        &schema_bytes(schema),
        &[log_rows],
        points,
    ];
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    Digest(digest.finalize().into())
}

/// Points one after the other, 32 bytes each.
pub(crate) fn compress(points: &[RistrettoPoint]) -> Vec<u8> {
    points
        .iter()
        .flat_map(|point| point.compress().to_bytes())
        .collect()
}

/// The same back.
pub(crate) fn decompress(bytes: &[u8]) -> Option<Vec<RistrettoPoint>> {
    let (points, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() {
        return None;
    }
    points
        .iter()
        .map(|point| CompressedRistretto(*point).decompress())
        .collect()
}
