//! Why a bundle cannot be opened or written: what, where, and what to do about it.

use crate::ids::Name;
use crate::manifest::ManifestError;
use crate::npy::NpyError;
use crate::tensor::DType;

/// Why bytes are not a bundle, or not one that may be opened.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BundleError {
    /// The file is larger than allowed.
    #[error(
        "the bundle has {bytes} bytes, more than the {limit} allowed: make initial values smaller or raise the node's bundle limit"
    )]
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
        /// The largest size allowed, in bytes.
        limit: usize,
    },
    /// The bytes are not a zip, or a zip with something before, between or after its files.
    #[error("not a bundle: {why}")]
    NotABundle {
        /// What was found, and what to do.
        why: String,
    },
    /// One file of the zip is not as bundles have them.
    #[error("{file:?} in the bundle: {rule}")]
    Entry {
        /// The file, as the zip names it.
        file: String,
        /// The rule that it breaks.
        rule: String,
    },
    /// A file, or everything together, would expand beyond the limit.
    #[error(
        "{file} would expand beyond {limit} bytes: a bundle that grows like this is not opened"
    )]
    Expands {
        /// Where the limit was passed.
        file: String,
        /// The limit, in bytes.
        limit: usize,
    },
    /// `task.json` is not JSON, or not of the format.
    #[error("task.json, line {line}, column {column}: {message}")]
    TaskJson {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// The manifest contradicts itself.
    #[error("task.json: {}", joined(.0))]
    Manifest(Vec<ManifestError>),
    /// A file is named but not there.
    #[error("{file} is missing: {named_by} needs it")]
    Missing {
        /// Where it would have to lie in the zip.
        file: String,
        /// The place in `task.json` that names it.
        named_by: String,
    },
    /// A file is there but nothing names it.
    #[error("{file} is in the bundle but task.json never uses it: remove it")]
    Unused {
        /// The file, as the zip names it.
        file: String,
    },
    /// An array is not a readable `.npy`.
    #[error("{file} cannot be read")]
    Array {
        /// The file, as the zip names it.
        file: String,
        /// What is wrong in its header or size.
        source: NpyError,
    },
    /// An initial value is not what its variable declares.
    #[error("the initial value of variable {variable} must be {} of shape {shape:?}", .dtype.name())]
    WrongArray {
        /// The variable whose initial value it is.
        variable: Name,
        /// Declared element type.
        dtype: DType,
        /// Declared shape.
        shape: Vec<usize>,
    },
    /// A bundle could not be written.
    #[error("the bundle cannot be written: {why}")]
    Pack {
        /// What the writer of zips or JSON said.
        why: String,
    },
}

impl BundleError {
    /// Stable name for logs, metrics and tests.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::NotABundle { .. } => "not_a_bundle",
            Self::Entry { .. } => "bad_entry",
            Self::Expands { .. } => "expands",
            Self::TaskJson { .. } => "task_json",
            Self::Manifest(_) => "manifest",
            Self::Missing { .. } => "missing_file",
            Self::Unused { .. } => "unused_file",
            Self::Array { .. } => "bad_array",
            Self::WrongArray { .. } => "wrong_array",
            Self::Pack { .. } => "pack",
        }
    }
}

fn joined(errors: &[ManifestError]) -> String {
    errors
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// The message of a JSON error without its ` at line L column C`, which is said already. It quotes the file, so it is cut and cleaned.
pub(super) fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let tail = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&tail).unwrap_or(&text);
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(600).map(visible).collect()
}
