//! What can be wrong with bytes that should be an array, in words for the one who made the file.

/// Why bytes are not an array that tasks can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NpyError {
    /// The beginning is not that of an `.npy` file.
    #[error("not an .npy file: {0}")]
    Header(String),
    /// The element type has no place in a task.
    #[error("elements of type {0:?}: {1}")]
    Type(String, &'static str),
    /// More or fewer bytes than the shape needs.
    #[error(
        "shape {shape:?} needs {needed} bytes of elements, {found} are there: the file is damaged"
    )]
    Size {
        /// The shape in the header.
        shape: Vec<usize>,
        /// Bytes that it needs.
        needed: usize,
        /// Bytes after the header.
        found: usize,
    },
    /// An unsigned number that `i64` cannot hold.
    #[error("the number {0} is too large: numbers above 2^63 - 1 cannot be used")]
    TooLarge(u64),
    /// Not an `.npz`, or one that must not be opened.
    #[error("not an .npz file that can be read: {0}")]
    Npz(String),
    /// One array of an `.npz`.
    #[error("array {name:?}")]
    Inside {
        /// The array's name in the archive.
        name: String,
        /// What is wrong with it.
        source: Box<NpyError>,
    },
}
