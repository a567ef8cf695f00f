//! What a node keeps: its database, and the key that seals secrets in it.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use crate::adapters::sqlite::{SqliteStorage, maintenance};
use crate::adapters::system::load_or_create_node_key;
use crate::config::{Config, Database};
use delta_domain::vault::Vault;
use delta_ports::entropy::Entropy;
use delta_ports::storage::Storage;
use delta_ports::{PortError, PortErrorKind};

/// Opens a database, and makes or updates its tables.
///
/// # Errors
/// `Rejected` for a kind that cannot be used, or when a newer program wrote it; `Denied` without permission; `Corrupt` when it is damaged
/// or is no database.
pub(crate) async fn open_storage(database: &Database) -> Result<Arc<dyn Storage>, PortError> {
    match database {
        Database::Sqlite(file) => {
            let url = format!("sqlite:///{}", file.display());
            Ok(Arc::new(SqliteStorage::open(&url).await?))
        }
        Database::Postgres(_) => Err(PortError::new(
            PortErrorKind::Rejected,
            "storage.open",
            format!(
                "{database} cannot be used: PostgreSQL is not supported yet; set db to an SQLite database such as \"sqlite:///db/delta.db\""
            ),
        )),
    }
}

/// The setting of a database that was restored, until its owner has said that what left the node since the backup is known: not empty.
pub(crate) const RESTORED: &str = "restored";

/// The setting of a database that was restored and goes on: what it does not know of, it may have taken part in.
pub(crate) const RESUMED: &str = "resumed";

/// Copies a database that may be in use into a new file.
///
/// # Errors
/// It cannot be read, or the file is there already.
pub(crate) async fn copy_database(from: &Path, to: &Path) -> Result<(), PortError> {
    maintenance::copy(from, to).await
}

/// What is wrong with a database file; empty when nothing is.
///
/// # Errors
/// It cannot be opened.
pub(crate) async fn examine_database(file: &Path) -> Result<Vec<String>, PortError> {
    maintenance::examine(file).await
}

/// Takes open rounds out of a node's restored database; `since`: what it says under [`RESTORED`]. Answers with how many.
///
/// # Errors
/// The database's.
pub(crate) async fn forget_rounds(file: &Path, since: &[u8]) -> Result<u64, PortError> {
    maintenance::forget_rounds(file, RESTORED, since).await
}

/// Takes members' tasks out of a node's restored database, and says so under [`RESUMED`]: what it has revealed in them since the backup
/// is not known. Answers with how many.
///
/// # Errors
/// The database's.
pub(crate) async fn forget_tasks(file: &Path) -> Result<u64, PortError> {
    maintenance::forget_tasks(file, RESUMED).await
}

/// The node's key at work, made at the first start.
pub(super) async fn open_vault(config: &Config, entropy: &dyn Entropy) -> anyhow::Result<Vault> {
    let key = load_or_create_node_key(&config.key_file(), entropy)
        .await
        .context("the node key cannot be used")?;
    Ok(Vault::new(key))
}

/// Whoever did not run `init` still gets a database, as they get a `task_dir` and logs.
pub(super) fn make_folder_of(file: &Path) -> anyhow::Result<()> {
    match file.parent() {
        Some(folder) => std::fs::create_dir_all(folder)
            .with_context(|| format!("the database's folder {} cannot be made", folder.display())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_database_that_is_no_file_is_refused_without_its_password() {
        let database = Database::Postgres("postgresql://u:s3cr3t@h/d".into());
        let error = open_storage(&database).await.err().unwrap();
        assert_eq!(error.kind(), PortErrorKind::Rejected);
        assert!(error.message().contains("not supported yet"), "{error}");
        assert!(!error.to_string().contains("s3cr3t"), "{error}");
    }
}
