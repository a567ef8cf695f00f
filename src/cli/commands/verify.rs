//! `verify`: whether a certificate holds, from its file alone; no node, no network, no configuration.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};

use super::task::say;
use delta_ports::certificates::MAX_CERTIFICATE_BYTES;
use delta_ports::certifier::{Model, Verdict};

/// Checks the certificate in `file` and prints what it certifies. Whether it holds.
///
/// # Errors
/// The file cannot be read, or it is no certificate whose proofs all hold: then with the member, where one can be named.
pub(in crate::cli) fn verify(file: &Path) -> anyhow::Result<bool> {
    let Some(certifier) = crate::bootstrap::certifier() else {
        bail!("this program was built without certificates: build it with the feature `prover`");
    };
    let cannot = || format!("{} cannot be read", file.display());
    let length = std::fs::metadata(file).with_context(cannot)?.len();
    if length > MAX_CERTIFICATE_BYTES {
        bail!("{} is larger than any certificate", file.display());
    }
    let bytes = std::fs::read(file).with_context(cannot)?;
    let verdict = certifier
        .judge(&bytes)
        .with_context(|| format!("{} certifies nothing", file.display()))?;
    say(&told(&verdict)?)?;
    Ok(verdict.holds())
}

fn told(verdict: &Verdict) -> Result<String, std::fmt::Error> {
    let claim = &verdict.claim;
    let what = match claim.schema.model {
        Model::Logistic => "logistic regression",
        Model::Linear => "linear regression",
        Model::Mean => "means",
    };
    let mut text = String::new();
    let word = if verdict.holds() {
        "certified"
    } else {
        "NOT certified"
    };
    writeln!(
        text,
        "{word}: {what}, {} rows of {} members",
        verdict.rows,
        verdict.members.len()
    )?;
    writeln!(
        text,
        "what remains {:.3e}, allowed {:.3e}",
        verdict.norm, verdict.tolerance
    )?;
    writeln!(
        text,
        "task {}, round {}, bundle {}",
        claim.task, claim.round, claim.bundle
    )?;
    if let Some(label) = claim.schema.label {
        writeln!(
            text,
            "labels from {} to {}: in their unit what remains is {:.3e}, allowed {:.3e}",
            label.low,
            label.high,
            verdict.norm * label.half(),
            verdict.tolerance * label.half()
        )?;
    }
    let columns = claim.schema.features.len();
    for (at, coefficient) in claim.coefficients().iter().enumerate() {
        match claim.schema.features.get(at) {
            Some(bounds) => writeln!(
                text,
                "column {at} of {columns}, {} to {}: {coefficient:.9}",
                bounds.low, bounds.high
            )?,
            None => writeln!(text, "intercept: {coefficient:.9}")?,
        }
    }
    for member in &verdict.members {
        writeln!(
            text,
            "member {}: table {}",
            member.member, member.commitment
        )?;
    }
    write!(
        text,
        "Compare the tables' commitments with the record, bundle and bounds with the task, the tolerance with what was agreed. Experimental: nobody outside has reviewed the proofs."
    )?;
    Ok(text)
}
