//! Claims in bytes. Numbers are big-endian; `docs/protocol/certificate.md` has the table.

use delta_domain::ids::{Digest, RoundNumber, TaskId};
use delta_ports::certifier::{Bounds, Claim, MAX_WEIGHT, Model, Schema};

use crate::error::ProofError;
use crate::layout::MAX_FEATURES;

/// The version of everything that this crate writes and reads.
pub(crate) const VERSION: u16 = 1;

/// A schema.
pub(crate) fn schema_bytes(schema: &Schema) -> Vec<u8> {
    let model = match schema.model {
        Model::Logistic => 0,
        Model::Linear => 1,
        Model::Mean => 2,
    };
    let mut out = vec![
        model,
        u8::try_from(schema.features.len()).unwrap_or(u8::MAX),
    ];
    for bounds in schema.features.iter().chain(&schema.label) {
        out.extend(bounds.low.to_be_bytes());
        out.extend(bounds.high.to_be_bytes());
    }
    out
}

/// A claim: the schema, task, bundle, round and weights.
pub(crate) fn claim_bytes(claim: &Claim) -> Vec<u8> {
    let mut out = schema_bytes(&claim.schema);
    out.extend(claim.task.as_str().as_bytes());
    out.extend(claim.bundle.0);
    out.extend(claim.round.0.to_be_bytes());
    out.extend(claim.weights.iter().flat_map(|weight| weight.to_be_bytes()));
    out
}

/// Whether the numbers of a claim are within their limits.
///
/// # Errors
/// The first that is not.
pub(crate) fn check_claim(claim: &Claim) -> Result<(), ProofError> {
    let (got, want) = (claim.weights.len(), claim.schema.weights());
    if got != want {
        return Err(ProofError::new(format!(
            "{got} weights where the answer has {want}"
        )));
    }
    match claim
        .weights
        .iter()
        .position(|w| w.unsigned_abs() > MAX_WEIGHT.unsigned_abs())
    {
        Some(at) => Err(ProofError::new(format!("weight {at} is above 1,024"))),
        None => Ok(()),
    }
}

/// Takes a claim off the front of `reader`. Whether its schema makes sense is for the layout to say.
///
/// # Errors
/// When the bytes end, or are no claim.
pub(crate) fn read_claim(reader: &mut Reader<'_>) -> Result<Claim, ProofError> {
    let [model, features] = reader.array()?;
    let model = match model {
        0 => Model::Logistic,
        1 => Model::Linear,
        2 => Model::Mean,
        other => return Err(ProofError::new(format!("model {other} is not known"))),
    };
    let features = usize::from(features);
    if features > MAX_FEATURES {
        return Err(ProofError::new(format!(
            "{features} features are more than {MAX_FEATURES}"
        )));
    }
    let bounds = |reader: &mut Reader<'_>| -> Result<Bounds, ProofError> {
        let low = f64::from_be_bytes(reader.array()?);
        let high = f64::from_be_bytes(reader.array()?);
        Ok(Bounds { low, high })
    };
    let schema = Schema {
        model,
        features: (0..features)
            .map(|_| bounds(reader))
            .collect::<Result<_, _>>()?,
        label: if model == Model::Linear {
            Some(bounds(reader)?)
        } else {
            None
        },
    };
    let task: TaskId = reader
        .text(66)?
        .parse()
        .map_err(|_| ProofError::new("the task's id is none"))?;
    let bundle = Digest(reader.array()?);
    let round = RoundNumber(u32::from_be_bytes(reader.array()?));
    let weights = (0..schema.weights())
        .map(|_| reader.array().map(i64::from_be_bytes))
        .collect::<Result<_, _>>()?;
    let claim = Claim {
        schema,
        task,
        bundle,
        round,
        weights,
    };
    check_claim(&claim)?;
    Ok(claim)
}

/// Bytes of a stranger, from the front on.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    /// # Errors
    /// When fewer are left.
    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], ProofError> {
        let Some((head, rest)) = self.0.split_at_checked(count) else {
            let left = self.0.len();
            return Err(ProofError::new(format!(
                "it ends early: {count} bytes wanted, {left} left"
            )));
        };
        self.0 = rest;
        Ok(head)
    }

    /// # Errors
    /// As [`Self::take`].
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], ProofError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    /// # Errors
    /// As [`Self::take`], and when it is not UTF-8.
    pub(crate) fn text(&mut self, count: usize) -> Result<&'a str, ProofError> {
        std::str::from_utf8(self.take(count)?).map_err(|_| ProofError::new("a text is not UTF-8"))
    }
}
