//! A member's table with its commitments.

use curve25519_dalek::scalar::Scalar;
use delta_domain::ids::{Address, Digest, TaskId};
use delta_domain::secret::Secret;
use delta_ports::certifier::{Rows, Schema};
use zeroize::Zeroizing;

use crate::bits::Bits;
use crate::commitment::{commit_blocks, compress, table_blindings, table_digest, table_key};
use crate::error::ProofError;
use crate::generators::Cache;
use crate::layout::Layout;
use crate::table::Table;

/// A committed table: its bits, and what its commitments are blinded by.
pub(crate) struct Committed {
    pub(crate) layout: Layout,
    pub(crate) table: Table,
    pub(crate) bits: Bits,
    /// What blindings are drawn from.
    pub(crate) key: Zeroizing<[u8; 64]>,
    /// One a commitment.
    pub(crate) blindings: Zeroizing<Vec<Scalar>>,
    /// The commitments, compressed.
    pub(crate) points: Vec<u8>,
}

impl Committed {
    /// # Errors
    /// When the rows do not fit.
    pub(crate) fn new(
        cache: &Cache,
        schema: &Schema,
        owner: (&TaskId, &Address),
        cells: Rows<'_>,
        capacity: u32,
        salt: &Secret<32>,
    ) -> Result<Self, ProofError> {
        if !capacity.is_power_of_two() {
            return Err(ProofError::new(format!(
                "capacity {capacity} is no power of two"
            )));
        }
        let layout = Layout::new(
            schema,
            usize::try_from(capacity.ilog2()).unwrap_or(usize::MAX),
        )?;
        let table = Table::new(schema, layout, cells)?;
        let bits = Bits::of_table(&layout, &table);
        let key = table_key(salt, schema, owner.0, owner.1, &bits);
        let blindings = table_blindings(&key, layout.commitments());
        let generators = cache.at_least(layout.generators());
        let points = compress(&commit_blocks(
            &generators,
            &layout,
            &bits,
            None,
            &blindings,
        ));
        Ok(Self {
            layout,
            table,
            bits,
            key,
            blindings,
            points,
        })
    }

    pub(crate) fn digest(&self, schema: &Schema, task: &TaskId, member: &Address) -> Digest {
        table_digest(schema, task, member, self.layout.log_rows, &self.points)
    }
}
