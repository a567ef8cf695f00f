//! TLS of the server: a certificate and its key from files, which are read again when they have changed.
//!
//! Connections that stand go on under the certificate that they began with. Files that cannot be used leave the old one in its place.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ServerConfig;

use crate::pem;
use delta_ports::{PortError, PortErrorKind, report};

/// Where certificate and key are, both in PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The node's certificate, and those between it and one that others trust.
    pub certificate: PathBuf,
    /// The private key of the first. Other users must not be able to read it.
    pub key: PathBuf,
}

/// What tells a file from the one that was there before.
type Stamp = Option<(u64, u64, i64, i64)>;

/// The certificate in use.
pub(crate) struct Tls {
    files: TlsFiles,
    used: Mutex<([Stamp; 2], Arc<ServerConfig>)>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// They cannot be used, with the reason.
    pub(crate) fn open(files: TlsFiles) -> Result<Self, PortError> {
        let stamps = files.stamps();
        let config = files.load()?;
        Ok(Self {
            files,
            used: Mutex::new((stamps, config)),
        })
    }

    /// What the next connection is taken with.
    pub(crate) fn now(&self) -> Arc<ServerConfig> {
        let stamps = self.files.stamps();
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.0 != stamps {
            // Said once: the next connection finds these stamps.
            used.0 = stamps;
            match self.files.load() {
                Ok(config) => {
                    tracing::info!("the certificate was read again");
                    used.1 = config;
                }
                Err(error) => tracing::error!(
                    "the certificate has changed and cannot be used, the old one stays: {}",
                    report(&error)
                ),
            }
        }
        used.1.clone()
    }
}

impl TlsFiles {
    fn stamps(&self) -> [Stamp; 2] {
        [&self.certificate, &self.key].map(|path| {
            let m = std::fs::metadata(path).ok()?;
            Some((m.ino(), m.len(), m.ctime(), m.ctime_nsec()))
        })
    }

    fn load(&self) -> Result<Arc<ServerConfig>, PortError> {
        check_private(&self.key)?;
        let failed = |error: rustls::Error| {
            let text = format!(
                "{} and {} make no certificate with its key",
                self.certificate.display(),
                self.key.display()
            );
            PortError::new(PortErrorKind::Corrupt, "tls.load", text).with_source(error)
        };
        let mut config = ServerConfig::builder_with_provider(pem::provider())
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .with_no_client_auth()
            .with_single_cert(pem::certificates(&self.certificate)?, pem::key(&self.key)?)
            .map_err(failed)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// A key may be its owner's and a group's, as usual for certificates of a whole machine, and nobody else's.
fn check_private(key: &Path) -> Result<(), PortError> {
    let mode = std::fs::metadata(key).map_or(0, |m| m.permissions().mode());
    if mode & 0o007 == 0 {
        return Ok(());
    }
    let text = format!(
        "every user can read or change {}: run `chmod 600` on it",
        key.display()
    );
    Err(PortError::new(PortErrorKind::Denied, "tls.load", text))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;
    use crate::pem::self_signed;
    use delta_domain::time::Timestamp;

    fn put(folder: &Path) -> TlsFiles {
        let made = self_signed(vec!["localhost".into()], Timestamp(1_795_329_517_000)).unwrap();
        let files = TlsFiles {
            certificate: folder.join("c.pem"),
            key: folder.join("k.pem"),
        };
        fs::write(&files.certificate, &made.certificate).unwrap();
        fs::write(&files.key, made.key.as_bytes()).unwrap();
        fs::set_permissions(&files.key, Permissions::from_mode(0o600)).unwrap();
        files
    }

    #[test]
    fn changed_files_are_read_again_and_unusable_ones_change_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let files = put(dir.path());
        let tls = Tls::open(files.clone()).unwrap();
        let first = tls.now();
        assert!(Arc::ptr_eq(&first, &tls.now()));
        put(dir.path());
        let second = tls.now();
        assert!(!Arc::ptr_eq(&first, &second));
        fs::write(&files.certificate, "nothing").unwrap();
        assert!(Arc::ptr_eq(&second, &tls.now()));
        put(dir.path());
        assert!(!Arc::ptr_eq(&second, &tls.now()));
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let files = put(dir.path());
        let why = |files: &TlsFiles| Tls::open(files.clone()).err().unwrap();
        fs::set_permissions(&files.key, Permissions::from_mode(0o644)).unwrap();
        assert!(why(&files).message().contains("chmod 600"));
        fs::set_permissions(&files.key, Permissions::from_mode(0o640)).unwrap();
        assert!(Tls::open(files.clone()).is_ok());
        let swapped = TlsFiles {
            certificate: files.key.clone(),
            key: files.key.clone(),
        };
        assert_eq!(why(&swapped).kind(), PortErrorKind::Corrupt);
        let absent = TlsFiles {
            certificate: dir.path().join("no.pem"),
            ..files.clone()
        };
        assert!(why(&absent).message().contains("no.pem"));
        let other = put(&{
            let folder = dir.path().join("other");
            fs::create_dir(&folder).unwrap();
            folder
        });
        let mixed = TlsFiles {
            key: other.key,
            ..files
        };
        assert_eq!(why(&mixed).kind(), PortErrorKind::Corrupt);
    }
}
