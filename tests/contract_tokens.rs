//! The contract of `ports::tokens::TokenStore`, on the store in memory and on files alike.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use delta_node::adapters::system::FileTokens;
use delta_node::ports::tokens::TokenStore;
use delta_testing::contract_tests;
use delta_testing::contracts::tokens::Subject;
use delta_testing::memory::MemoryTokens;

struct Files(tempfile::TempDir);

impl Subject for Files {
    fn handle(&self) -> Arc<dyn TokenStore> {
        let at = |name| self.0.path().join(name);
        Arc::new(FileTokens::new(at("tokens.json"), at("node.token")))
    }
}

contract_tests!(tokens, memory, MemoryTokens::default());
contract_tests!(tokens, files, Files(tempfile::tempdir().unwrap()));
