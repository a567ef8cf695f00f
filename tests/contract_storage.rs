//! The contract of `ports::storage::Storage`, on the database in memory and on SQLite alike; and what only one of them can do wrong.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "contract_storage/fake.rs"]
mod fake;
#[path = "contract_storage/file.rs"]
mod file;

use std::sync::Arc;

use delta_node::adapters::sqlite::SqliteStorage;
use delta_node::ports::storage::Storage;
use delta_testing::contract_tests;
use delta_testing::contracts::storage::{Memory, Subject};

struct Sqlite(tempfile::TempDir);

impl Sqlite {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn url(&self) -> String {
        format!(
            "sqlite+aiosqlite:///{}",
            self.0.path().join("db/delta.db").display()
        )
    }

    async fn storage(&self) -> SqliteStorage {
        SqliteStorage::open(&self.url()).await.unwrap()
    }
}

#[async_trait::async_trait]
impl Subject for Sqlite {
    async fn open(&self) -> Arc<dyn Storage> {
        Arc::new(self.storage().await)
    }

    async fn restart(&self) -> Arc<dyn Storage> {
        self.open().await
    }
}

contract_tests!(storage, memory, Memory::default());
contract_tests!(storage, sqlite, Sqlite::new());
