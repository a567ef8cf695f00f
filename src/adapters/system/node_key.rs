//! The node's own keys: 32 bytes each in a file that only the node's user can read.
//!
//! The node key opens the vault (`domain::vault`): whoever loses its file loses the rounds that were running, and nothing else; whoever reads it
//! and the database sees their secrets. The identity key is what the node is known by (`domain::identity`): whoever loses its file must have a new one
//! entered in rosters and pins; whoever reads it can speak in the node's name.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use rand_core::Rng as _;
use zeroize::Zeroizing;

use super::files::{TempFile, blocking, check_private, io_error, make_folder};
use delta_domain::identity::NodeKey;
use delta_domain::secret::Secret;
use delta_ports::entropy::Entropy;
use delta_ports::{PortError, PortErrorKind};

const OP: &str = "node_key.load";
const KEY_BYTES: usize = 32;

/// Reads the node key, or makes it when there is no such file. Two processes that start together agree on one key.
///
/// # Errors
/// `Denied` when other users can read the file or this one cannot; `Corrupt` when it does not hold 32 bytes.
pub async fn load_or_create_node_key(
    path: &Path,
    entropy: &dyn Entropy,
) -> Result<Secret<32>, PortError> {
    load_or_create(path, entropy).await
}

/// Reads the identity key, or makes it when there is no such file, as [`load_or_create_node_key`] does.
///
/// # Errors
/// As there, and `Corrupt` when it is no secret key of secp256k1.
pub async fn load_or_create_identity_key(
    path: &Path,
    entropy: &dyn Entropy,
) -> Result<NodeKey, PortError> {
    let secret = load_or_create(path, entropy).await?;
    NodeKey::new(&secret).map_err(|e| {
        let text = "holds no key of secp256k1: restore it from a backup";
        let text = format!("{} {text}", path.display());
        PortError::new(PortErrorKind::Corrupt, OP, text).with_source(e)
    })
}

async fn load_or_create(path: &Path, entropy: &dyn Entropy) -> Result<Secret<32>, PortError> {
    let mut rng = entropy.rng()?;
    let path = path.to_owned();
    blocking(OP, move || match File::open(&path) {
        Ok(file) => read(&path, file),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let mut key = Zeroizing::new([0; KEY_BYTES]);
            rng.fill_bytes(key.as_mut_slice());
            match create(&path, &key) {
                Ok(()) => Ok(Secret::new(*key)),
                // Somebody was faster: theirs is the key.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => File::open(&path)
                    .map_err(|e| io_error(OP, "open the key file", &path, e))
                    .and_then(|file| read(&path, file)),
                Err(e) => Err(io_error(OP, "make the key file", &path, e)),
            }
        }
        Err(e) => Err(io_error(OP, "open the key file", &path, e)),
    })
    .await
}

fn create(path: &Path, key: &[u8; KEY_BYTES]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    make_folder(folder)?;
    let mut temp = TempFile::create(folder)?;
    temp.file().write_all(key)?;
    temp.persist_new(path)
}

fn read(path: &Path, file: File) -> Result<Secret<32>, PortError> {
    let cannot = |e| io_error(OP, "read the key file", path, e);
    check_private(OP, "key file", path, &file)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_BYTES + 1));
    file.take(KEY_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    let key: [u8; KEY_BYTES] = bytes.as_slice().try_into().map_err(|_| {
        PortError::new(
            PortErrorKind::Corrupt,
            OP,
            format!("the key file {} does not hold exactly {KEY_BYTES} bytes: restore it from a backup, or remove it to get a new one", path.display()),
        )
    })?;
    Ok(Secret::new(key))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::SystemEntropy;

    #[tokio::test]
    async fn the_key_is_made_once_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/node.key");
        let first = load_or_create_node_key(&path, &SystemEntropy)
            .await
            .unwrap();
        let second = load_or_create_node_key(&path, &SystemEntropy)
            .await
            .unwrap();
        assert_eq!(first.expose(), second.expose());
        assert_ne!(first.expose(), &[0; 32]);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(
            fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1,
            "no temporary file is left"
        );
    }

    #[tokio::test]
    async fn starters_that_race_agree() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.key");
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let path = path.clone();
                tokio::spawn(async move {
                    *load_or_create_node_key(&path, &SystemEntropy)
                        .await
                        .unwrap()
                        .expose()
                })
            })
            .collect();
        let mut keys = Vec::new();
        for task in tasks {
            keys.push(task.await.unwrap());
        }
        assert!(keys.iter().all(|k| k == &keys[0]));
    }

    #[tokio::test]
    async fn a_readable_key_is_refused_with_the_cure() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.key");
        fs::write(&path, [7; 32]).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let error = load_or_create_node_key(&path, &SystemEntropy)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Denied);
        assert!(error.message().contains("chmod 600"), "{error}");
    }

    #[tokio::test]
    async fn an_identity_key_stays_the_same_and_is_in_range() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity.key");
        let first = load_or_create_identity_key(&path, &SystemEntropy)
            .await
            .unwrap();
        let second = load_or_create_identity_key(&path, &SystemEntropy)
            .await
            .unwrap();
        assert_eq!(first.public(), second.public());
        fs::write(&path, [0xFF; 32]).unwrap();
        let error = load_or_create_identity_key(&path, &SystemEntropy)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), PortErrorKind::Corrupt);
    }

    #[tokio::test]
    async fn a_key_of_another_length_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for len in [0, 31, 33, 4096] {
            let path = dir.path().join(format!("{len}.key"));
            fs::write(&path, vec![7; len]).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            let error = load_or_create_node_key(&path, &SystemEntropy)
                .await
                .unwrap_err();
            assert_eq!(error.kind(), PortErrorKind::Corrupt, "{len} bytes");
        }
    }
}
