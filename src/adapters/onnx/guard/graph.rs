//! A checked graph, and how large one may be.

use delta_domain::tensor::DType;

/// How large a graph may be; one that is larger is rejected before it is loaded.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct GraphLimits {
    /// Most bytes of the file.
    pub file_bytes: usize,
    /// Most nodes, that is operators.
    pub nodes: usize,
    /// Most bytes of all constants together, once expanded.
    pub constant_bytes: u64,
    /// Most bytes of one tensor whose size can be read off the file.
    pub tensor_bytes: u64,
}

impl Default for GraphLimits {
    fn default() -> Self {
        Self {
            file_bytes: 128 << 20,
            nodes: 50_000,
            constant_bytes: 128 << 20,
            tensor_bytes: 4 << 30,
        }
    }
}

/// A typed input or output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) dtype: DType,
    /// `None` for an unknown rank; a dimension is `None` when it may have any length.
    pub(crate) dims: Option<Vec<Option<usize>>>,
}

/// A graph that passed the check.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CheckedGraph {
    /// Our encoding of it, the only bytes that a runtime may see.
    pub(crate) bytes: Vec<u8>,
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
}
