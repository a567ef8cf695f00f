//! Who submitted a task, in the word of the node that coordinates it: signed under its long-term key, for the owners of data whose rules
//! name authors (`author:NAME@...`). A node answers for its own authors; nobody else can know them.

use serde::{Deserialize, Serialize};

use super::key::NodeKey;
use super::words::presentable;
use crate::ids::{Digest, TaskId, decode_hex, encode_hex};
use crate::round::message::Encoder;
use crate::secagg::keys::PublicKey;

/// An author's name, as one node gives it for one task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorWord {
    /// The name: that of the token which the task was submitted with.
    name: String,
    /// Of the node, over task, bundle and name; hex.
    signature: String,
}

impl AuthorWord {
    /// The longest form of it that is read, in bytes of JSON.
    pub const MAX_BYTES: u64 = 1024;

    /// The word of the node with `key` that `name` submitted the bundle of this digest as this task. `None` for a name that may not stand
    /// among people's.
    #[must_use]
    pub fn sign(key: &NodeKey, task: &TaskId, bundle: &Digest, name: &str) -> Option<Self> {
        may_stand(name).then(|| Self {
            name: name.to_owned(),
            signature: encode_hex(&key.sign(&signed_bytes(task, bundle, name))),
        })
    }

    /// Its form on the wire, JSON.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The word of a wire form.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The name, if the node with `key` gives it for this task and bundle.
    #[must_use]
    pub fn name_by(&self, key: &PublicKey, task: &TaskId, bundle: &Digest) -> Option<&str> {
        let signature = decode_hex(&self.signature).ok()?;
        let bytes = signed_bytes(task, bundle, &self.name);
        let holds = may_stand(&self.name) && key.verify(&bytes, &signature).is_ok();
        holds.then_some(&*self.name)
    }
}

fn may_stand(name: &str) -> bool {
    presentable(name).as_deref() == Some(name)
}

fn signed_bytes(task: &TaskId, bundle: &Digest, name: &str) -> Vec<u8> {
    let mut e = Encoder::new("delta task author 1");
    e.text(task.as_str());
    e.bytes(&bundle.0);
    e.text(name);
    e.finish()
}

#[cfg(test)]
mod tests {
    use super::super::words::MAX_WORD_BYTES;
    use super::*;
    use crate::secret::Secret;

    fn key(byte: u8) -> NodeKey {
        NodeKey::new(&Secret::new([byte; 32])).unwrap()
    }

    fn task(byte: &str) -> TaskId {
        format!("0x{}", byte.repeat(32)).parse().unwrap()
    }

    #[test]
    fn a_name_holds_for_its_node_task_and_bundle_only() {
        let (task, other) = (task("55"), task("56"));
        let (bundle, another) = (Digest([1; 32]), Digest([2; 32]));
        let word = AuthorWord::sign(&key(1), &task, &bundle, "alice").unwrap();
        let public = key(1).public().clone();
        assert_eq!(word.name_by(&public, &task, &bundle), Some("alice"));
        assert_eq!(word.name_by(key(2).public(), &task, &bundle), None);
        assert_eq!(word.name_by(&public, &other, &bundle), None);
        assert_eq!(word.name_by(&public, &task, &another), None);
        assert_eq!(AuthorWord::of_bytes(&word.to_bytes()), Some(word.clone()));
        let forged = AuthorWord {
            name: "bob".to_owned(),
            ..word
        };
        assert_eq!(forged.name_by(&public, &task, &bundle), None);
    }

    #[test]
    fn names_that_would_mislead_are_not_given() {
        let (task, bundle) = (task("55"), Digest([1; 32]));
        for name in ["", "a\nb", &"x".repeat(MAX_WORD_BYTES + 1)] {
            assert_eq!(AuthorWord::sign(&key(1), &task, &bundle, name), None);
        }
    }
}
