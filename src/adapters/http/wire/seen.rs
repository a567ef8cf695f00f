//! `GET /v1/identity/seen`: whether a node shows itself at its url on record, as another one last saw it.

use serde::{Deserialize, Serialize};

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeenDto {
    /// `null` where nobody has looked lately.
    pub(crate) seen: Option<bool>,
}

impl SeenDto {
    /// The longest answer that is read, in bytes.
    pub(crate) const MAX_BYTES: usize = 256;
}
