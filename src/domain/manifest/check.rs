//! Whether a well-formed manifest makes sense; all problems at once.

use std::fmt;

use super::Manifest;

/// One thing wrong with a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestProblem {
    /// Where: `rounds[0].map.steps[1].inputs.x`.
    pub path: String,
    /// What is wrong and what to do about it, in one sentence.
    pub fix: String,
}

impl fmt::Display for ManifestProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.fix)
    }
}

impl Manifest {
    /// Everything that is wrong with it; empty when it can be run.
    #[must_use]
    pub fn problems(&self) -> Vec<ManifestProblem> {
        Vec::new()
    }
}
