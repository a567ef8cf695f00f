//! Names in a graph: every value has one of its own, and none is shown at full length.

use std::collections::BTreeSet;

use crate::failure::Failure;

/// Longest name of a value or of a dimension.
pub(super) const NAME_BYTES: usize = 512;

/// Names of values so far.
#[derive(Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// Whether a value has this name.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Gives a value its name, which no other may have.
    pub(super) fn define(&mut self, name: &str) -> Result<(), Failure> {
        if name.is_empty() || name.len() > NAME_BYTES {
            return Err(Failure::rejected(format!(
                "a value has no name or one of more than {NAME_BYTES} bytes"
            )));
        }
        if !self.0.insert(name.to_owned()) {
            return Err(Failure::rejected(format!(
                "two values have the name {:?}; names must be unique",
                short(name)
            )));
        }
        Ok(())
    }
}

/// Hostile text may be huge: show its beginning only.
pub(super) fn short(text: &str) -> String {
    text.chars().take(80).collect()
}
