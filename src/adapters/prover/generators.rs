//! The points that commitments are made of. Nobody knows how one is a multiple of others: each is a hash.

use std::sync::{Arc, Mutex, PoisonError};

use curve25519_dalek::ristretto::{RistrettoBasepointTable, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;

use crate::transcript::hash;

/// The first generators, and the blinding one with a table of its multiples.
pub(crate) struct Generators {
    pub(crate) points: Vec<RistrettoPoint>,
    pub(crate) blinding: RistrettoPoint,
    table: RistrettoBasepointTable,
}

impl Generators {
    fn new(count: usize) -> Self {
        let blinding = point("delta certificate blinding 1", &[]);
        let table = RistrettoBasepointTable::create(&blinding);
        let points = (0..count as u64)
            .map(|i| point("delta certificate generator 1", &[&i.to_be_bytes()]))
            .collect();
        Self {
            points,
            blinding,
            table,
        }
    }

    /// `scalar` times the blinding generator, in constant time.
    pub(crate) fn blind(&self, scalar: &Scalar) -> RistrettoPoint {
        &self.table * scalar
    }

    /// A commitment to a short vector of any scalars, in constant time.
    pub(crate) fn commit(&self, values: &[Scalar], blinding: &Scalar) -> RistrettoPoint {
        let terms = values
            .iter()
            .zip(&self.points)
            .map(|(value, point)| value * point);
        terms.fold(self.blind(blinding), |sum, term| sum + term)
    }
}

fn point(label: &str, parts: &[&[u8]]) -> RistrettoPoint {
    RistrettoPoint::from_uniform_bytes(&hash(label, parts))
}

/// Generators that were made once, for all who ask after.
#[derive(Default)]
pub(crate) struct Cache(Mutex<Option<Arc<Generators>>>);

impl Cache {
    /// At least `count` of them.
    pub(crate) fn at_least(&self, count: usize) -> Arc<Generators> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some(generators) if generators.points.len() >= count => Arc::clone(generators),
            _ => Arc::clone(kept.insert(Arc::new(Generators::new(count)))),
        }
    }
}
