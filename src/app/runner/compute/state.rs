//! What a member keeps of its own between rounds: its variables, and where its iterators stand.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Computation, corrupt};
use crate::arrays::{Packed, npz_stream};
use delta_domain::bundle::Bundle;
use delta_domain::ids::Name;
use delta_domain::manifest::Location;
use delta_domain::npy::{NpzLimits, decode_npz};
use delta_domain::tensor::{Tensor, TensorData};
use delta_ports::blob::BlobName;
use delta_ports::executor::{IteratorStates, Whose};
use delta_ports::{PortError, PortErrorKind};

/// Name under which the places of the iterators lie beside a member's own variables: none of them can begin with a digit.
const ITERATORS: &str = "0iterators";
/// Name under which it is kept that the member could not compute.
const FAILED: &str = "0failed";

/// A member's own variables and iterators between rounds.
#[derive(Debug, Clone, Default)]
pub(in crate::runner) struct ClientState {
    pub(in crate::runner) variables: BTreeMap<Name, Tensor>,
    pub(in crate::runner) iterators: IteratorStates,
    /// It could not compute in the step that left this state.
    pub(in crate::runner) failed: bool,
}

impl Computation<'_> {
    /// The member's own variables as they stand, or as the bundle starts them.
    pub(super) async fn state(&self) -> Result<ClientState, PortError> {
        let mut state = ClientState::default();
        let mut arrays = self.kept(self.state_step).await?.unwrap_or_default();
        if let Some(TensorData::U8(json)) = arrays.remove(ITERATORS).map(Tensor::into_data) {
            state.iterators = serde_json::from_slice(&json)
                .map_err(|e| corrupt("the iterators are unreadable").with_source(e))?;
        }
        let variables = self.bundle.manifest().variables.iter();
        let mut whole: Option<Arc<Bundle>> = None;
        for (name, spec) in variables.filter(|(_, v)| v.location == Location::Client) {
            let kept = arrays.remove(name.as_str());
            let kept = kept.filter(|t| t.shape() == spec.shape && t.dtype() == spec.dtype);
            let held = kept.or_else(|| self.bundle.initial(name).cloned());
            let value = match (held, &spec.init) {
                (Some(value), _) => Some(value),
                (None, None) => Tensor::zeros(spec.dtype, spec.shape.clone()),
                (None, Some(_)) => {
                    let opened = match whole.take() {
                        Some(opened) => opened,
                        None => self.values().await?,
                    };
                    whole.insert(opened).initial(name).cloned()
                }
            };
            let value = value.ok_or_else(|| corrupt("a variable is too large"))?;
            state.variables.insert(name.clone(), value);
        }
        Ok(state)
    }

    /// The bundle with all its initial values.
    async fn values(&self) -> Result<Arc<Bundle>, PortError> {
        let name = BlobName::runner_bundle(self.round.task());
        let commitment = self.bundle.commitment();
        self.context
            .open_with_values(&name, Some(&commitment), Whose::Others)
            .await
    }

    /// Whether this member could not compute in the step before `step`, or was not in it.
    ///
    /// Read from what that step left, also where its own variables count as they were because the member never heard of the sum.
    pub(super) async fn has_failed(&self, step: u32) -> Result<bool, PortError> {
        let left = self.kept(step).await?;
        Ok(left.is_none_or(|arrays| arrays.contains_key(FAILED)))
    }

    /// What the step before `step` has left, nothing before the first one.
    async fn kept(&self, step: u32) -> Result<Option<BTreeMap<String, Tensor>>, PortError> {
        let name = BlobName::client_state(self.round.task(), step);
        let expanded_bytes = self.context.settings.bundle.expanded_bytes;
        let blobs = &self.context.ports.blobs;
        let bytes = match blobs.read(&name, expanded_bytes as u64).await {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == PortErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let limits = NpzLimits {
            expanded_bytes,
            ..NpzLimits::default()
        };
        let arrays = decode_npz(&bytes, &limits)
            .map_err(|e| corrupt("the member's state is unreadable").with_source(e))?;
        Ok(Some(arrays))
    }

    /// Writes the member's own variables and places as of a step.
    pub(super) async fn keep_state(&self, step: u32, state: ClientState) -> Result<(), PortError> {
        let internal = |e: String| PortError::new(PortErrorKind::Internal, "runner.state", e);
        let json = serde_json::to_vec(&state.iterators).map_err(|e| internal(e.to_string()))?;
        let bytes = |bytes: Vec<u8>| {
            Tensor::new(vec![bytes.len()], TensorData::U8(bytes))
                .map_err(|e| internal(e.to_string()))
        };
        let mut arrays = vec![(ITERATORS.to_owned(), bytes(json)?)];
        if state.failed {
            arrays.push((FAILED.to_owned(), bytes(vec![1])?));
        }
        let variables = state.variables.into_iter();
        arrays.extend(variables.map(|(name, value)| (name.to_string(), value)));
        let arrays = arrays.into_iter();
        let arrays = arrays.map(|(name, value)| (name, Packed::Held(Arc::new(value))));
        let blobs = &self.context.ports.blobs;
        let (limit, content) = npz_stream(blobs.clone(), arrays.collect());
        let name = BlobName::client_state(self.round.task(), step);
        blobs.put(&name, content, limit).await.map(drop)
    }
}
