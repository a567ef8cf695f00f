//! The contract of `ports::journal::Journal`, on the journal in memory and on a file alike.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use async_trait::async_trait;

use delta_node::adapters::system::FileJournal;
use delta_node::ports::journal::Journal;
use delta_testing::contract_tests;
use delta_testing::contracts::journal::Subject;
use delta_testing::memory::MemoryJournal;

struct Files(tempfile::TempDir);

#[async_trait]
impl Subject for Files {
    async fn open(&self) -> Arc<dyn Journal> {
        let path = self.0.path().join("audit.jsonl");
        Arc::new(FileJournal::open(path).await.unwrap())
    }
}

contract_tests!(journal, memory, MemoryJournal::default());
contract_tests!(journal, files, Files(tempfile::tempdir().unwrap()));
