//! What a member keeps of its own between rounds: its variables, and where its iterators stand.

use std::collections::BTreeMap;

use super::{Computation, corrupt};
use delta_domain::ids::Name;
use delta_domain::manifest::Location;
use delta_domain::npy::{NpzLimits, decode_npz, encode_npz};
use delta_domain::tensor::{Tensor, TensorData};
use delta_ports::blob::{BlobName, pieces};
use delta_ports::executor::IteratorStates;
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
        let manifest = self.bundle.manifest();
        let mut state = ClientState::default();
        for (name, spec) in manifest
            .variables
            .iter()
            .filter(|(_, v)| v.location == Location::Client)
        {
            let initial = self
                .bundle
                .initial(name)
                .cloned()
                .or_else(|| Tensor::zeros(spec.dtype, spec.shape.clone()));
            state.variables.insert(
                name.clone(),
                initial.ok_or_else(|| corrupt("a variable is too large"))?,
            );
        }
        let Some(mut arrays) = self.kept(self.state_step).await? else {
            return Ok(state);
        };
        if let Some(TensorData::U8(json)) = arrays.remove(ITERATORS).map(Tensor::into_data) {
            state.iterators = serde_json::from_slice(&json)
                .map_err(|e| corrupt("the iterators are unreadable").with_source(e))?;
        }
        for (name, value) in &mut state.variables {
            if let Some(kept) = arrays.remove(name.as_str())
                && kept.shape() == value.shape()
                && kept.dtype() == value.dtype()
            {
                *value = kept;
            }
        }
        Ok(state)
    }

    /// Whether this member could not compute in the step before `step`, or was not in it.
    ///
    /// Read from what that step left, also where its own variables count as they were because the member never heard of the sum.
    pub(super) async fn has_failed(&self, step: u32) -> Result<bool, PortError> {
        let left = self.kept(step).await?;
        Ok(left.is_none_or(|arrays| arrays.contains_key(FAILED)))
    }

    async fn kept(&self, step: u32) -> Result<Option<BTreeMap<String, Tensor>>, PortError> {
        let name = BlobName::client_state(self.round.task(), step);
        let limit = self.context.settings.bundle.expanded_bytes as u64;
        let bytes = match self.context.ports.blobs.read(&name, limit).await {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == PortErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let arrays = decode_npz(&bytes, &NpzLimits::default())
            .map_err(|e| corrupt("the member's state is unreadable").with_source(e))?;
        Ok(Some(arrays))
    }

    pub(super) async fn keep_state(&self, step: u32, state: &ClientState) -> Result<(), PortError> {
        let internal = |e: String| PortError::new(PortErrorKind::Internal, "runner.state", e);
        let json = serde_json::to_vec(&state.iterators).map_err(|e| internal(e.to_string()))?;
        let iterators = Tensor::new(vec![json.len()], TensorData::U8(json))
            .map_err(|e| internal(e.to_string()))?;
        let mut arrays: Vec<(&str, &Tensor)> = state
            .variables
            .iter()
            .map(|(n, t)| (n.as_str(), t))
            .collect();
        arrays.push((ITERATORS, &iterators));
        let failed =
            Tensor::new(vec![1], TensorData::U8(vec![1])).map_err(|e| internal(e.to_string()))?;
        if state.failed {
            arrays.push((FAILED, &failed));
        }
        let bytes = encode_npz(&arrays).map_err(|e| internal(e.to_string()))?;
        let len = bytes.len() as u64;
        let name = BlobName::client_state(self.round.task(), step);
        self.context
            .ports
            .blobs
            .put(&name, pieces(bytes), len)
            .await
            .map(drop)
    }
}
