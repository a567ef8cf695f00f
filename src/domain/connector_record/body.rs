//! A round's body: its members with their keys, and the commitments and shares between them.

use std::collections::BTreeMap;

use super::change::{ChangeError, UploadKind};
use super::command::SecretKind;
use super::status::Status;

/// What a round holds of its members, and a rough count of its bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Body {
    pub(super) members: Vec<Member>,
    places: BTreeMap<String, u32>,
    /// Keyed by places of sender and receiver.
    pairs: BTreeMap<(u32, u32), Pair>,
    bytes: usize,
}

/// One member of a round: its keys, and its commitment to its result once it has made one.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) address: String,
    pub(super) status: Status,
    pub(super) pk1: String,
    pub(super) pk2: String,
    pub(super) result: Option<String>,
}

/// What one member has committed to and revealed for another.
#[derive(Debug, Clone, Default)]
pub(super) struct Pair {
    pub(super) seed: Option<String>,
    pub(super) seed_commitment: Option<String>,
    pub(super) secret_key: Option<String>,
    pub(super) secret_key_commitment: Option<String>,
}

impl Member {
    /// A member that has just joined.
    pub(super) fn new(address: String, status: Status, pk1: String, pk2: String) -> Self {
        Self {
            address,
            status,
            pk1,
            pk2,
            result: None,
        }
    }
}

impl Pair {
    pub(super) fn slot(&self, kind: UploadKind) -> Option<&String> {
        match kind {
            UploadKind::Commitment(SecretKind::Seed) => self.seed_commitment.as_ref(),
            UploadKind::Commitment(SecretKind::SecretKey) => self.secret_key_commitment.as_ref(),
            UploadKind::Share(SecretKind::Seed) => self.seed.as_ref(),
            UploadKind::Share(SecretKind::SecretKey) => self.secret_key.as_ref(),
        }
    }

    fn slot_mut(&mut self, kind: UploadKind) -> &mut Option<String> {
        match kind {
            UploadKind::Commitment(SecretKind::Seed) => &mut self.seed_commitment,
            UploadKind::Commitment(SecretKind::SecretKey) => &mut self.secret_key_commitment,
            UploadKind::Share(SecretKind::Seed) => &mut self.seed,
            UploadKind::Share(SecretKind::SecretKey) => &mut self.secret_key,
        }
    }
}

impl Body {
    pub(super) fn place(&self, address: &str) -> Option<u32> {
        self.places.get(address).copied()
    }

    pub(super) fn member(&self, address: &str) -> Option<(u32, &Member)> {
        let place = self.place(address)?;
        Some((place, self.members.get(usize::try_from(place).ok()?)?))
    }

    pub(super) fn pair(&self, sender: u32, receiver: u32) -> Option<&Pair> {
        self.pairs.get(&(sender, receiver))
    }

    /// Places of the members that stand exactly at `status`.
    pub(super) fn at(&self, status: Status) -> impl Iterator<Item = (&str, u32)> {
        self.members
            .iter()
            .filter(move |m| m.status == status)
            .filter_map(|m| Some((m.address.as_str(), self.place(&m.address)?)))
    }

    /// Takes a member in, at the next free place.
    pub(super) fn join(&mut self, member: Member) -> Result<(), ChangeError> {
        let place =
            u32::try_from(self.members.len()).map_err(|_| ChangeError("too many members"))?;
        self.bytes += member.address.len() * 2 + member.pk1.len() + member.pk2.len() + 200;
        self.places.insert(member.address.clone(), place);
        self.members.push(member);
        Ok(())
    }

    /// Moves the member in a place to a status.
    pub(super) fn set_status(&mut self, place: u32, status: Status) -> Result<(), ChangeError> {
        self.member_mut(place)?.status = status;
        Ok(())
    }

    /// Keeps a member's commitment to its masked result.
    pub(super) fn set_result(&mut self, place: u32, commitment: String) -> Result<(), ChangeError> {
        self.bytes += commitment.len();
        self.member_mut(place)?.result = Some(commitment);
        Ok(())
    }

    /// Keeps what the member in `place` uploads about others: `(the other member's place, text)`.
    pub(super) fn upload(&mut self, kind: UploadKind, place: u32, entries: Vec<(u32, String)>) {
        for (other, text) in entries {
            let key = match kind {
                UploadKind::Commitment(_) => (place, other),
                UploadKind::Share(_) => (other, place),
            };
            self.bytes += text.len() + 64;
            *self.pairs.entry(key).or_default().slot_mut(kind) = Some(text);
        }
    }

    /// Roughly how many bytes of text it holds.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn member_mut(&mut self, place: u32) -> Result<&mut Member, ChangeError> {
        usize::try_from(place)
            .ok()
            .and_then(|p| self.members.get_mut(p))
            .ok_or(ChangeError("unknown member"))
    }
}
