//! How a machine rests on disk: a sealed snapshot, and for some a journal of sealed inputs after it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Machine, MachinePorts};
use delta_domain::time::Timestamp;
use delta_ports::storage::{MachineKey, StoredMachine};
use delta_ports::{PortError, PortErrorKind};

pub(super) fn context(key: &MachineKey) -> Vec<u8> {
    format!("{}/{}/{}", key.kind.name(), key.task, key.round).into_bytes()
}

/// A journal's entry: when the input was handled, and the input as [`Machine::journalled`] wrote it.
pub(super) fn entry(at: Timestamp, input: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([at.0.to_le_bytes().as_slice(), input].concat())
}

/// The form of journalled inputs. It grows with every change of their form or meaning within one release.
const JOURNAL_FORM: u32 = 4;

/// An entry opens in its own place only, and by a program that writes the same form: another one may do something else on the same
/// input. A node that is stopped, not killed, leaves a snapshot, which any release reads.
pub(super) fn entry_context(key: &MachineKey, version: u64) -> Vec<u8> {
    let place = format!("/{version}/{}/{JOURNAL_FORM}", env!("CARGO_PKG_VERSION"));
    [context(key), place.into_bytes()].concat()
}

pub(super) fn cannot_seal(e: impl std::fmt::Display) -> PortError {
    PortError::new(PortErrorKind::Internal, "machine.seal", e.to_string())
}

/// A value that belongs to `key`, as it rests on disk.
///
/// # Errors
/// `Internal` when it cannot be serialised, `Unavailable` when there is no randomness.
pub(crate) fn seal<T: Serialize>(
    ports: &MachinePorts,
    key: &MachineKey,
    value: &T,
) -> Result<Vec<u8>, PortError> {
    let plain = Zeroizing::new(serde_json::to_vec(value).map_err(cannot_seal)?);
    seal_bytes(ports, &context(key), &plain)
}

pub(super) fn seal_bytes(
    ports: &MachinePorts,
    context: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, PortError> {
    let mut rng = ports.entropy.rng()?;
    ports
        .vault
        .seal(&mut rng, context, plain)
        .map_err(cannot_seal)
}

/// A snapshot in plain: the machine's own fields, and the id of its next effect before them.
#[derive(Serialize)]
struct Snapshot<'a, M> {
    next_effect: u64,
    #[serde(flatten)]
    machine: &'a M,
}

/// The one field of a snapshot that is not the machine's. Read apart from the others, so that no secret of theirs is buffered.
#[derive(Deserialize)]
struct NextEffect {
    next_effect: Option<u64>,
}

pub(super) fn seal_snapshot<M: Machine>(
    ports: &MachinePorts,
    key: &MachineKey,
    machine: &M,
    next_effect: u64,
) -> Result<Vec<u8>, PortError> {
    let snapshot = Snapshot {
        next_effect,
        machine,
    };
    seal(ports, key, &snapshot)
}

/// A machine as it was last committed.
pub(crate) struct Loaded<M> {
    pub(crate) machine: M,
    /// Where the ids of its effects go on.
    pub(super) next_id: u64,
}

/// The machine as it was last committed: its snapshot, and every input since, handled again.
pub(super) fn restore<M: Machine>(
    ports: &MachinePorts,
    stored: &StoredMachine,
) -> Result<Loaded<M>, PortError> {
    let key = &stored.key;
    let plain = unseal(ports, key, &context(key), &stored.snapshot)?;
    let mut machine: M = parse(key, &plain)?;
    let NextEffect { next_effect } = parse(key, &plain)?;
    let mut next_id = next_effect.unwrap_or_else(|| after_uncounted(stored.version));
    for (version, sealed) in &stored.journal {
        let plain = unseal(ports, key, &entry_context(key, *version), sealed)?;
        let (at, input) = plain
            .split_first_chunk::<8>()
            .ok_or_else(|| corrupt(key, "a short entry"))?;
        let at = Timestamp(u64::from_le_bytes(*at));
        let input = M::replayed(input).map_err(|e| corrupt(key, e.to_string()))?;
        // Its effects are in the outbox, or done; they have had their ids.
        let effects = machine
            .handle(at, input)
            .map_err(|e| corrupt(key, format!("version {version} cannot be repeated: {e}")))?;
        next_id += effects.len() as u64;
    }
    Ok(Loaded { machine, next_id })
}

/// A next id that nothing has had, for a snapshot that was written before ids were kept in it: each run of such a machine began at
/// its version times 2^20, and counted on from there.
fn after_uncounted(version: u64) -> u64 {
    version.saturating_mul(1 << 20)
}

fn corrupt(key: &MachineKey, why: impl Into<String>) -> PortError {
    let text = format!(
        "the stored state of {} {} cannot be read",
        key.kind.name(),
        key.task
    );
    PortError::new(PortErrorKind::Corrupt, "machine.open", text).with_source(why.into())
}

pub(super) fn open<T: DeserializeOwned>(
    ports: &MachinePorts,
    key: &MachineKey,
    context: &[u8],
    sealed: &[u8],
) -> Result<T, PortError> {
    parse(key, &unseal(ports, key, context, sealed)?)
}

/// The value that [`seal`] made a stored snapshot of.
///
/// # Errors
/// `Corrupt` when it cannot be opened, or is of another form.
pub(crate) fn open_value<T: DeserializeOwned>(
    ports: &MachinePorts,
    stored: &StoredMachine,
) -> Result<T, PortError> {
    open(ports, &stored.key, &context(&stored.key), &stored.snapshot)
}

fn unseal(
    ports: &MachinePorts,
    key: &MachineKey,
    context: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, PortError> {
    let plain = ports.vault.open(context, sealed);
    plain.map_err(|e| corrupt(key, e.to_string()))
}

fn parse<T: DeserializeOwned>(key: &MachineKey, plain: &[u8]) -> Result<T, PortError> {
    serde_json::from_slice(plain).map_err(|e| corrupt(key, e.to_string()))
}
