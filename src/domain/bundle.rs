//! A task as it travels: a `.delta` file, opened, bounded and checked (docs/protocol/graphs.md, The bundle).
//!
//! A bundle is a zip that holds `task.json`, `graphs/NAME.onnx` and `arrays/NAME.npy`, and nothing else. The commitment of a task is
//! the SHA-256 of these very bytes; whoever opens a bundle compares it first.
//! Not here: whether the graphs themselves are acceptable. The executor judges them (docs/protocol/graphs.md, What a graph may be).
//!
//! What must stay true: a [`Bundle`] exists only if its manifest has no error, every file it names is there and every file there is named.

mod archive;
mod error;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::{Digest, Name};
use super::manifest::{Manifest, VariableSpec};
use super::npy;
use super::tensor::{Tensor, element_count};

pub(crate) use archive::is_allowed_name;
pub use error::BundleError;

/// The one file that every bundle has.
pub const TASK_JSON: &str = "task.json";

/// How large a bundle may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleLimits {
    /// Bytes of the file itself.
    pub bytes: usize,
    /// Bytes of all files in it once expanded, and of all variables' initial values.
    pub expanded_bytes: usize,
    /// Files in it.
    pub files: usize,
    /// Bytes of `task.json`.
    pub task_json_bytes: usize,
}

impl BundleLimits {
    /// The limits of a node that takes bundles of so many bytes.
    #[must_use]
    pub fn of_bytes(bytes: usize) -> Self {
        let default = Self::default();
        Self {
            bytes,
            expanded_bytes: bytes.saturating_mul(2).max(1 << 30),
            ..default
        }
    }

    /// Bytes that all files of a bundle of `packed` bytes may have once expanded. What is packed much denser than graphs and arrays
    /// ever are was made to fill memory.
    #[must_use]
    pub fn expanded(&self, packed: usize) -> usize {
        /// Expansion below this many bytes is never suspicious.
        const SMALL: usize = 16 << 20;
        /// Above it, a bundle may expand to this many times its own size.
        const RATIO: usize = 16;
        self.expanded_bytes
            .min(packed.saturating_mul(RATIO).max(SMALL))
    }
}

impl Default for BundleLimits {
    fn default() -> Self {
        Self {
            bytes: 1 << 30,
            expanded_bytes: 2 << 30,
            files: 10_000,
            task_json_bytes: 4 << 20,
        }
    }
}

/// An opened bundle. Everything in it has been checked, except the graphs' contents.
#[derive(Clone, PartialEq)]
pub struct Bundle {
    commitment: Digest,
    manifest: Manifest,
    graphs: BTreeMap<String, Vec<u8>>,
    initial: BTreeMap<Name, Initial>,
}

/// How a variable begins.
#[derive(Clone, PartialEq)]
enum Initial {
    Held(Tensor),
    /// What is known of a value that was let go: the SHA-256 of the `.npy` file that travels.
    Known(Digest),
}

impl Bundle {
    /// Opens a bundle.
    ///
    /// # Errors
    /// [`BundleError`] says what is wrong, in which file, and what to do about it. Those of the manifest come all at once.
    pub fn open(bytes: &[u8], limits: &BundleLimits) -> Result<Self, BundleError> {
        let mut files = archive::read(bytes, limits)?;
        let json = files
            .remove(TASK_JSON)
            .ok_or_else(|| BundleError::Missing {
                file: TASK_JSON.to_owned(),
                named_by: "every bundle".to_owned(),
            })?;
        let manifest: Manifest =
            serde_json::from_slice(&json).map_err(|e| BundleError::TaskJson {
                line: e.line(),
                column: e.column(),
                message: error::without_position(&e),
            })?;
        let errors = manifest.errors();
        if !errors.is_empty() {
            return Err(BundleError::Manifest(errors));
        }
        let initial = take_arrays(&manifest, &mut files, limits)?;
        let graphs = take_graphs(&manifest, &mut files)?;
        if let Some(file) = files.into_keys().next() {
            return Err(BundleError::Unused { file });
        }
        Ok(Self {
            commitment: Digest::of(bytes),
            manifest,
            graphs,
            initial: held(initial),
        })
    }

    /// Puts together what another process unpacked: the same checks as [`Bundle::open`], on what came out of it.
    ///
    /// `arrays` are the initial values of the variables that name a file; the others begin as zeros.
    ///
    /// # Errors
    /// [`BundleError`] when the parts do not belong together.
    pub fn assemble(
        commitment: Digest,
        manifest: Manifest,
        graphs: BTreeMap<String, Vec<u8>>,
        mut arrays: BTreeMap<Name, Tensor>,
    ) -> Result<Self, BundleError> {
        let errors = manifest.errors();
        if !errors.is_empty() {
            return Err(BundleError::Manifest(errors));
        }
        for (path, file) in manifest.graph_files() {
            if !graphs.contains_key(file) {
                return Err(BundleError::Missing {
                    file: file.to_owned(),
                    named_by: path,
                });
            }
        }
        let mut initial = BTreeMap::new();
        for (name, spec) in &manifest.variables {
            let value = match &spec.init {
                None => Tensor::zeros(spec.dtype, spec.shape.clone()),
                Some(_) => arrays
                    .remove(name)
                    .filter(|t| t.dtype() == spec.dtype && t.shape() == spec.shape),
            };
            initial.insert(name.clone(), value.ok_or_else(|| wrong_array(name, spec))?);
        }
        Ok(Self {
            commitment,
            manifest,
            graphs,
            initial: held(initial),
        })
    }

    /// Manifest, graphs, and the initial values that are held.
    #[must_use]
    pub fn into_parts(self) -> (Manifest, BTreeMap<String, Vec<u8>>, BTreeMap<Name, Tensor>) {
        let values = self.initial.into_iter();
        let values = values.filter_map(|(name, initial)| match initial {
            Initial::Held(value) => Some((name, value)),
            Initial::Known(_) => None,
        });
        (self.manifest, self.graphs, values.collect())
    }

    /// Lets go of initial values of more than `bytes` bytes each; their digests stay.
    ///
    /// A model is held by nobody between its rounds: who needs the value opens the bundle again.
    #[must_use]
    pub fn let_go(mut self, bytes: usize) -> Self {
        let names = self.initial.keys().cloned();
        let halves: BTreeSet<Name> = names
            .filter(|name| self.manifest.travels_in_half(name))
            .collect();
        for (name, initial) in &mut self.initial {
            if let Initial::Held(value) = initial
                && value.byte_len() > bytes
            {
                let digest = npy::digest(value);
                let half = halves.contains(name).then(|| half_digest(value, digest));
                *initial = Initial::Known(half.unwrap_or(digest));
            }
        }
        self
    }

    /// Bytes that it takes in memory, about.
    #[must_use]
    pub fn size(&self) -> usize {
        let tensors = self.initial.values().map(|initial| match initial {
            Initial::Held(value) => value.byte_len(),
            Initial::Known(_) => 0,
        });
        let graphs = self.graphs.values().map(Vec::len);
        tensors.chain(graphs).fold(4096, usize::saturating_add)
    }

    /// What the task says about itself.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The bytes of a graph, by the name that steps use: `graphs/NAME.onnx`.
    #[must_use]
    pub fn graph(&self, file: &str) -> Option<&[u8]> {
        self.graphs.get(file).map(Vec::as_slice)
    }

    /// All graphs, by name.
    pub fn graphs(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.graphs
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }

    /// The initial value of a variable, with exactly its dtype and shape; zeros where the manifest names no file. `None` where it
    /// was let go.
    #[must_use]
    pub fn initial(&self, variable: &Name) -> Option<&Tensor> {
        match self.initial.get(variable)? {
            Initial::Held(value) => Some(value),
            Initial::Known(_) => None,
        }
    }

    /// SHA-256 of a variable's initial value as the `.npy` file that travels.
    #[must_use]
    pub fn initial_digest(&self, variable: &Name) -> Option<Digest> {
        Some(match self.initial.get(variable)? {
            Initial::Held(value) if self.manifest.travels_in_half(variable) => {
                half_digest(value, npy::digest(value))
            }
            Initial::Held(value) => npy::digest(value),
            Initial::Known(digest) => *digest,
        })
    }

    /// [`Self::initial_digest`], if the variable still has its initial value before `step`, counted from 0: no earlier step assigns it.
    #[must_use]
    pub fn digest_before(&self, variable: &Name, step: u32) -> Option<Digest> {
        let begun = |first: u32| first < step;
        let mut first = 0_u32;
        for round in &self.manifest.rounds {
            if begun(first) && round.reduce.assign.contains_key(variable) {
                return None;
            }
            first = first.saturating_add(round.repeat);
        }
        self.initial_digest(variable)
    }

    /// SHA-256 of the bundle's bytes: what the connector keeps as the task's commitment.
    #[must_use]
    pub fn commitment(&self) -> Digest {
        self.commitment
    }
}

/// Of a value with a number that cannot travel, which its coordinator refuses, the digest of the whole.
fn half_digest(value: &Tensor, digest: Digest) -> Digest {
    npy::half_digest(value, &digest).unwrap_or(digest)
}

impl fmt::Debug for Bundle {
    /// Says which bundle it is, not what is in it: model values have no place in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle")
            .field("name", &self.manifest.name)
            .field("commitment", &self.commitment)
            .finish_non_exhaustive()
    }
}

/// Packs a task. The same arguments always make the same bytes.
///
/// `graphs` is keyed by `graphs/NAME.onnx` and `arrays` by `arrays/NAME.npy`, as in the manifest. Nothing is checked but the names:
/// tests pack broken tasks too.
///
/// # Errors
/// [`BundleError::Pack`] when the manifest cannot be written as JSON or a name cannot stand in a zip.
pub fn write_bundle(
    manifest: &Manifest,
    graphs: &BTreeMap<String, Vec<u8>>,
    arrays: &BTreeMap<String, Tensor>,
) -> Result<Vec<u8>, BundleError> {
    let json = serde_json::to_vec_pretty(manifest)
        .map_err(|e| BundleError::Pack { why: e.to_string() })?;
    let encoded: Vec<(&str, Vec<u8>)> = arrays
        .iter()
        .map(|(name, tensor)| (name.as_str(), npy::encode(tensor)))
        .collect();
    let graphs = graphs
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    let arrays = encoded
        .iter()
        .map(|(name, bytes)| (*name, bytes.as_slice()));
    archive::write(
        std::iter::once((TASK_JSON, json.as_slice()))
            .chain(graphs)
            .chain(arrays),
    )
    .map_err(|why| BundleError::Pack { why })
}

fn held(values: BTreeMap<Name, Tensor>) -> BTreeMap<Name, Initial> {
    let values = values.into_iter();
    values.map(|(n, t)| (n, Initial::Held(t))).collect()
}

/// The initial value of every variable. Files that hold one leave `files`.
fn take_arrays(
    manifest: &Manifest,
    files: &mut BTreeMap<String, Vec<u8>>,
    limits: &BundleLimits,
) -> Result<BTreeMap<Name, Tensor>, BundleError> {
    let total = manifest.variables.values().try_fold(0_usize, |sum, v| {
        sum.checked_add(element_count(&v.shape)?.checked_mul(v.dtype.size())?)
    });
    if total.is_none_or(|total| total > limits.expanded_bytes) {
        return Err(BundleError::Expands {
            file: "the initial value of all variables".to_owned(),
            limit: limits.expanded_bytes,
        });
    }
    let mut initial = BTreeMap::new();
    for (name, spec) in &manifest.variables {
        let value = match &spec.init {
            None => Tensor::zeros(spec.dtype, spec.shape.clone())
                .ok_or_else(|| wrong_array(name, spec))?,
            Some(file) => {
                let bytes = files.get(file).ok_or_else(|| BundleError::Missing {
                    file: file.clone(),
                    named_by: format!("variables.{name}.init"),
                })?;
                read_array(name, spec, file, bytes)?
            }
        };
        initial.insert(name.clone(), value);
    }
    let used: BTreeSet<&String> = manifest
        .variables
        .values()
        .filter_map(|v| v.init.as_ref())
        .collect();
    files.retain(|file, _| !used.contains(file));
    Ok(initial)
}

/// Reads an array whose header says what the variable declares; several variables may share one large file.
fn read_array(
    name: &Name,
    spec: &VariableSpec,
    file: &str,
    bytes: &[u8],
) -> Result<Tensor, BundleError> {
    let damaged = |source| BundleError::Array {
        file: file.to_owned(),
        source,
    };
    let header = npy::Header::parse(bytes).map_err(damaged)?;
    if header.dtype() != spec.dtype || header.shape() != spec.shape {
        return Err(wrong_array(name, spec));
    }
    header
        .decode(bytes.get(header.data_start()..).unwrap_or_default())
        .map_err(damaged)
}

fn wrong_array(name: &Name, spec: &VariableSpec) -> BundleError {
    BundleError::WrongArray {
        variable: name.clone(),
        dtype: spec.dtype,
        shape: spec.shape.clone(),
    }
}

/// The graphs that steps name, out of `files`.
fn take_graphs(
    manifest: &Manifest,
    files: &mut BTreeMap<String, Vec<u8>>,
) -> Result<BTreeMap<String, Vec<u8>>, BundleError> {
    let mut graphs = BTreeMap::new();
    for (path, file) in manifest.graph_files() {
        if !graphs.contains_key(file) {
            let bytes = files.remove(file).ok_or_else(|| BundleError::Missing {
                file: file.to_owned(),
                named_by: path,
            })?;
            graphs.insert(file.to_owned(), bytes);
        }
    }
    Ok(graphs)
}
